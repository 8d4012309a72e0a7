//! Descriptors that were made to hurt are refused within 100 MB, measured by the kernel: each is
//! loaded in a child process whose data may not grow beyond that.

use std::fmt::Write;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use shakedown_boards::Catalogue;

/// What a child does instead of the tests.
const CHILD: &str = "SHAKEDOWN_HOSTILE_DESCRIPTOR";
const LIMIT: u64 = 100 << 20;
/// What the child says when the descriptor was refused.
const REFUSED: &str = "refused: ";

/// Name, bytes, and a part of the sentence that refuses them.
fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let mut bomb = "board: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, before) in ["b", "c", "d", "e", "f", "g", "h", "i"].iter().zip("abcdefgh".chars()) {
        let _ = writeln!(bomb, "{name}: &{name} [{}]", format!("*{before},").repeat(9));
    }
    let big = 1 << 20;
    let texts = [
        ("alias-bomb", bomb, "an anchor (`&name`) is not used in documents"),
        ("flow-nesting", "[".repeat(big), "more than 64 levels of nesting"),
        ("map-nesting", "{a: ".repeat(big / 4), "more than 64 levels of nesting"),
        ("block-nesting", "- ".repeat(big / 2), "more than 64 levels of nesting"),
        ("huge-scalar", format!("name: {}", "x".repeat(900 << 10)), "more than 65536 bytes in one value"),
        ("escapes", format!("name: \"{}\"", "\\x41".repeat(100 << 10)), "more than 65536 bytes in one value"),
        ("many-items", format!("capabilities: [{}]", "a,".repeat(400_000)), "more than 50000 keys and values"),
        ("nul", "board: mine\0\n".to_owned(), "a NUL byte"),
        ("tab", "board: mine\nprovision:\n\tdisk-image: {}\n".to_owned(), "a tab in the indentation"),
        ("duplicate", "board: mine\nname: a\nname: b\n".to_owned(), "`name` stands here twice"),
        ("merge", "board: mine\n<<: {a: 1}\n".to_owned(), "a merge (`<<`)"),
        ("tag", "board: !!binary aGk=\n".to_owned(), "a tag (`!name`)"),
        ("two-documents", "board: mine\n---\nboard: mine\n".to_owned(), "a second document"),
        ("complex-key", "? [a, b]\n: c\n".to_owned(), "a key that is no text"),
        ("too-large", "# comment\n".repeat(big / 5), "larger than 1024 KiB"),
        // Families that extend each other without end, and a long chain of them, are documents, too.
        ("circle", "board: mine\nextends: round\nname: Mine\nprovision: { sd-card: {} }\n".to_owned(), "goes in a circle"),
        (
            "regex-bomb",
            "board: mine\nextends: pc\nname: Mine\nprovision: { sd-card: {} }\nboot:\n  bad:\n    - { id: b, pattern: '((a{1000}){1000}){1000}', says: x, blame: os }\n"
                .to_owned(),
            "more than 20000 states",
        ),
    ];
    let mut all: Vec<_> =
        texts.into_iter().map(|(name, text, want)| (name, text.into_bytes(), want)).collect();
    all.push(("not-utf8", b"board: mine\nname: \xff\xfe\n".to_vec(), "is not UTF-8"));
    all
}

/// In the child: limited first, then the descriptor.
fn child(name: &str) -> String {
    let maximum = getrlimit(Resource::Data).maximum;
    setrlimit(Resource::Data, Rlimit { current: Some(LIMIT), maximum }).unwrap();
    if name == "glutton" {
        // Shows that the limit holds: this must not live.
        let fat = vec![1_u8; 2 * LIMIT as usize];
        return format!("{REFUSED}{}", fat.iter().map(|byte| u64::from(*byte)).sum::<u64>());
    }
    let (_, bytes, _) = hostile().into_iter().find(|(known, ..)| *known == name).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for part in ["catalogue", "families"] {
        std::fs::create_dir(folder.path().join(part)).unwrap();
    }
    std::fs::write(folder.path().join("catalogue/mine.yaml"), bytes).unwrap();
    std::fs::write(folder.path().join("families/round.yaml"), "family: round\nextends: [round]\n").unwrap();
    let loaded = Catalogue::with_paths(&[folder.path().to_owned()]).and_then(|all| all.board("mine"));
    format!("{REFUSED}{}", loaded.unwrap_err())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "this very test again, with limited memory; it ends by itself")]
fn hostile_descriptors_are_refused_in_little_memory() {
    if let Ok(name) = std::env::var(CHILD) {
        let said = child(&name);
        std::fs::write(std::env::var("SHAKEDOWN_HOSTILE_ANSWER").unwrap(), said).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let ask = |name: &str| {
        let answer = folder.path().join(name);
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "hostile_descriptors_are_refused_in_little_memory"])
            .env(CHILD, name)
            .env("SHAKEDOWN_HOSTILE_ANSWER", &answer)
            .output()
            .unwrap();
        (output, std::fs::read_to_string(answer).unwrap_or_default())
    };
    for (name, _, want) in hostile() {
        let (output, said) = ask(name);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(said.starts_with(REFUSED) && said.contains(want), "{name}: {said}");
        assert!(said.len() < 2000, "{name}: a sentence of {} bytes", said.len());
    }
    let (output, said) = ask("glutton");
    assert!(!output.status.success() && said.is_empty(), "the limit does not hold: {said}");
}
