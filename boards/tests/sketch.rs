//! A first descriptor from a log: what it proposes is cited, and is accepted once a person has filled the gaps.

use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use shakedown_boards::{BoardsError, Catalogue, sketch};

#[derive(Deserialize)]
struct Event(IgnoredAny, String, String);

/// The text of one of our recordings.
fn log(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let events = text.lines().skip(1).map(|line| serde_json::from_str::<Event>(line).unwrap());
    events.filter(|event| event.1 == "o").map(|event| event.2).collect()
}

fn of(log: &str) -> String {
    sketch("mine", &[], Some(("boot.log", log.as_bytes())), &Catalogue::embedded()).unwrap()
}

/// The place that a comment cites says what is cited.
fn cited(sketch: &str, log: &str) -> usize {
    let lines: Vec<_> = log.split('\n').collect();
    let mut count = 0;
    for line in sketch.lines() {
        let Some((_, cite)) = line.split_once("boot.log:") else { continue };
        let (number, rest) = cite.split_once(": ").unwrap_or((cite, ""));
        let there = lines[number.parse::<usize>().unwrap() - 1];
        let word = rest.split_whitespace().last().unwrap_or_default();
        assert!(there.contains(word), "{line}: not in {there}");
        count += 1;
    }
    count
}

#[test]
fn what_a_log_shows_is_proposed_and_cited() {
    for (name, arch, tty, stage) in [
        ("generic-aarch64/reference-uboot.cast", "arch: aarch64", "ttyAMA0", "firmware: boot.log:"),
        ("generic-aarch64/reference-edk2.cast", "arch: aarch64", "ttyAMA0", "firmware: boot.log:"),
        ("generic-amd64/reference-boot.cast", "arch: amd64", "ttyS0", "bootloader: boot.log:"),
    ] {
        let log = log(name);
        let said = of(&log);
        for want in [
            "board: mine\nextends: ",
            arch,
            &format!("tty: [{tty}]"),
            "baud: 115200",
            stage,
            "kernel: boot.log:",
        ] {
            assert!(said.contains(want), "{name}: no `{want}` in\n{said}");
        }
        assert!(cited(&said, &log) >= 5, "{name}:\n{said}");
        assert!(said.contains("# provision: "), "nothing is guessed:\n{said}");
        // With the gaps filled it is a board.
        let name_line = if said.contains("\nname: ") { "" } else { "name: Mine\n" };
        let whole = format!("{said}{name_line}provision: {{ sd-card: {{}} }}\n");
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("catalogue")).unwrap();
        std::fs::write(folder.path().join("catalogue/mine.yaml"), &whole).unwrap();
        let board = Catalogue::with_paths(&[folder.path().to_owned()]).and_then(|all| all.board("mine"));
        let board = board.unwrap_or_else(|error| panic!("{error:#}\n{whole}"));
        assert!(board.stages.iter().any(|stage| stage.name == "kernel"));
    }
}

#[test]
fn garbage_and_nothing_propose_nothing() {
    let random: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let catalogue = Catalogue::embedded();
    for log in [None, Some(("boot.log", &b""[..])), Some(("boot.log", &random[..]))] {
        let said = sketch("mine", &[], log, &catalogue).unwrap();
        assert!(said.contains("extends: linux-board\n") && !said.contains("boot.log:"), "{said}");
    }
    let named = sketch("mine", &["bcm2711".to_owned()], None, &catalogue).unwrap();
    assert!(named.contains("extends: bcm2711\n"), "{named}");
    let error = sketch("mine", &["bcm2712".to_owned()], None, &catalogue).unwrap_err();
    assert!(
        matches!(&error, BoardsError::Unknown { .. }) && error.to_string().contains("did you mean `bcm2711`"),
        "{error}"
    );
}
