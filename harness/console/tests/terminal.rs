//! The cleaner against an independent terminal parser (`vte`, alacritty's).

use proptest::prelude::*;
use shakedown_console::clean;

/// What a terminal would print, and the controls that it would act on.
#[derive(Default)]
struct Printed(String);

impl vte::Perform for Printed {
    fn print(&mut self, c: char) {
        self.0.push(c);
    }

    fn execute(&mut self, byte: u8) {
        self.0.push(byte.into());
    }
}

fn code() -> impl Strategy<Value = String> {
    prop_oneof![
        "\x1b\\[[0-9;?]{0,8}[@-~]",
        "\x1b\\][0-9]{1,4};[ -~é]{0,12}(\x07|\x1b\\\\)",
        "\x1b[PX^_][ -Z]{0,9}\x1b\\\\",
        "\x1b[ -/]{0,2}[0-9=>cDEHMNO]",
        "\x1b\\[[0-9]{0,3}\x18",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_stays_is_what_a_terminal_prints(
        pieces in prop::collection::vec(prop_oneof!["[ -~é€\t\n]{0,12}", code()], 0..12)
    ) {
        let stream = pieces.concat();
        let mut printed = Printed::default();
        vte::Parser::new().advance(&mut printed, stream.as_bytes());
        // CAN ends a code; the parser also reports it.
        let expected = printed.0.replace('\x18', "");
        prop_assert_eq!(String::from_utf8(clean(stream.as_bytes())).unwrap(), expected);
    }
}

#[test]
fn garbage_costs_one_line_at_most() {
    assert_eq!(clean(b"\x1b]0;never ended\nKernel panic\n"), b"\nKernel panic\n");
    assert_eq!(clean(b"\x1b[12\nKernel panic"), b"\nKernel panic");
    assert_eq!(clean(b"\x1bPq\x1b\x1b[mKernel panic"), b"Kernel panic");
    let long = [&b"\x1b]0;"[..], &vec![b'x'; 5000]].concat();
    assert!(clean(&long).len() > 800, "a string is given up after 4096 bytes");
    assert_eq!(clean(b"\x1b]R\x1b]P0aabbccKernel\0 panic\r\r\n10%\r\r20%\r"), b"Kernel panic\n10%\r20%");
}
