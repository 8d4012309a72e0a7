//! What a porter reads when a document is wrong: `tests/porter.txt` is the text, as printed.
//! `SHAKEDOWN_BLESS=1` writes it anew; read it aloud before committing it.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use shakedown_boards::{BoardsError, Catalogue};

const GOOD: &str = "board: mine\nextends: pc\nname: Mine\nprovision:\n  disk-image: {}\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    /// The error of asking for the OS profile `mine`.
    fn profile_error(&self) -> String {
        let error = self.catalogue().and_then(|catalogue| catalogue.profile("mine")).unwrap_err();
        self.without_own_name(&format!("{error:#}"))
    }

    fn without_own_name(&self, text: &str) -> String {
        let own = self.0.path().display().to_string();
        text.replace(&format!("{own}/"), "").replace(&own, "FOLDER")
    }

    fn catalogue(&self) -> Result<Catalogue, BoardsError> {
        Catalogue::with_paths(&[self.0.path().to_owned()])
    }

    /// The error of asking for board `mine`, without the folder's own name.
    fn error(&self) -> String {
        let error = self.catalogue().and_then(|catalogue| catalogue.board("mine")).unwrap_err();
        self.without_own_name(&format!("{error:#}"))
    }
}

/// The least that an OS profile says: it is entered by the login on its console.
const OS: &str = "os: mine
name: Mine
os-release-ids: [mine]
ssh: { port: 22, user: root, authorized-keys: /root/.ssh/authorized_keys }
login: { prompt: 'login: ', user: root, shell: '# ' }
shutdown: 90s
boot:
  stages:
    - { name: login, seen: { console: ['login: '] }, within: 60s }
    - { name: shell, seen: shell, within: 60s }
";

#[test]
fn an_os_needs_a_way_in_and_what_it_offers() {
    let mine = |text: &str| Folder::new(&[("os/mine.yaml", text)]);
    let good = mine(OS).catalogue().unwrap().profile("mine").unwrap();
    assert_eq!((&good.engine, &good.config), (&None, &None));
    let login = "login: { prompt: 'login: ', user: root, shell: '# ' }\n";
    for (text, says) in [
        (OS.replace(login, ""), "without `config` no image takes a key"),
        (OS.replace("/root/.ssh", ".ssh"), "os/mine.yaml:4:47: ssh.authorized-keys: `.ssh/authorized_keys` is no absolute"),
        (OS.replace("    - { name: shell, seen: shell, within: 60s }\n", ""), "at a stage with `seen: shell`"),
        (OS.replace("shutdown", "offers: [engine]\nshutdown"), "os/mine.yaml:6:10: offers[0]: `engine` is offered"),
        (
            OS.replace("shutdown", "config: { file: c, mounted: /c, keys: { ssh-keys: k } }\nshutdown"),
            "partitions: `boot` is missing",
        ),
        (
            OS.replace(
                "shutdown",
                "partitions: { boot: b, data: d }\nconfig: { file: c, mounted: /c, keys: { ssh-keys: k } }\nshutdown",
            ),
            "the run's key is in the configuration document",
        ),
    ] {
        let error = mine(&text).profile_error();
        assert!(error.contains(says), "{says}:\n{error}");
    }
}

fn mine(text: &str) -> Folder {
    Folder::new(&[("catalogue/mine.yaml", text)])
}

#[test]
fn errors_are_worth_reading() {
    let mut said = String::new();
    let mut case = |title: &str, text: String| writeln!(said, "## {title}\n{text}\n").unwrap();
    let unknown = |slug: &str| format!("{:#}", Catalogue::embedded().board(slug).unwrap_err());
    case("a board that does not exist", unknown("raspberrypi9"));
    case("a slip in a board's name", unknown("generic-amd46"));
    case(
        "a slip in a profile's name",
        format!("{:#}", Catalogue::embedded().profile("balena-os").unwrap_err()),
    );
    let edit = |from: &str, to: &str| mine(&GOOD.replace(from, to)).error();
    case("a slip in a field", edit("provision:", "provison:"));
    case("a field of something else", edit("name: Mine", "name: Mine\nserial: 00:11"));
    case("a slip in a family's name", edit("extends: pc", "extends: [systemd, pcc]"));
    case("a slip in a choice", edit("disk-image", "disc-image"));
    case("a choice without its settings", edit("provision:\n  disk-image: {}", "provision: sd-card"));
    case("a number that is text", edit("name: Mine", "name: Mine\nbaud: fast"));
    case("a duration without unit", edit("name: Mine", "name: Mine\nmin-off: 2"));
    case("a list that is text", edit("name: Mine", "name: Mine\ncapabilities: wifi"));
    case("a capability with a capital", edit("name: Mine", "name: Mine\ncapabilities: [wifi, LED]"));
    case("a key twice", edit("name: Mine", "name: Mine\nname: Yours"));
    case("a field that is missing", edit("name: Mine\n", ""));
    case("a field that no family gives", edit("extends: pc", "extends: grub"));
    case("the wrong file name", edit("board: mine", "board: yours"));
    case("a tab", edit("  disk-image", "\tdisk-image"));
    case("a brace left open", edit("disk-image: {}", "disk-image: {"));
    let stage = |text: &str| mine(&format!("{GOOD}boot:\n  stages:\n    - {text}\n")).error();
    case("a slip in an inherited stage's name", stage("{ name: kernal, within: 9s }"));
    case(
        "a stage behind one that does not exist",
        stage("{ name: dtb, after: grub, seen: shell, within: 9s }"),
    );
    case("a pattern that is none", stage("{ name: kernel, seen: { console: ['Linux (version'] } }"));
    case("a typical time beyond the limit", stage("{ name: kernel, within: 2s, typical: 5s }"));
    case("a stage twice", stage("{ name: kernel, within: 2s }\n    - { name: kernel, within: 3s }"));
    let bad = "{ id: my-bad, pattern: 'Oh no', says: it broke, blame: kernel }";
    case("a blame that does not exist", mine(&format!("{GOOD}boot:\n  bad:\n    - {bad}\n")).error());
    let circle = Folder::new(&[
        ("catalogue/mine.yaml", &GOOD.replace("pc", "a")),
        ("families/a.yaml", "family: a\nextends: b\n"),
        ("families/b.yaml", "family: b\nextends: [pc, a]\n"),
    ]);
    case("families in a circle", circle.error());
    let family = Folder::new(&[
        ("catalogue/mine.yaml", &GOOD.replace("pc", "a")),
        ("families/a.yaml", "family: a\nextends: pc\nbuad: 9600\n"),
    ]);
    case("a slip in a family", family.error());
    case("not text", mine("board: mine\0\n").error());
    case("nothing", mine("# soon\n").error());
    case("ten megabytes", mine(&"x: y\n".repeat(2 << 20)).error());
    case("the wrong ending", Folder::new(&[("catalogue/mine.yml", GOOD)]).error());
    case("a board beside the catalogue", Folder::new(&[("mine.yaml", GOOD)]).error());
    let missing = Catalogue::with_paths(&["/nonexistent/boards".into()]).unwrap_err();
    case("a folder that is not there", format!("{missing:#}"));

    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/porter.txt");
    if std::env::var_os("SHAKEDOWN_BLESS").is_some() {
        std::fs::write(&golden, &said).unwrap();
    }
    let want = std::fs::read_to_string(&golden).unwrap();
    assert_eq!(said, want, "tests/porter.txt differs; SHAKEDOWN_BLESS=1 writes it anew");
}

#[test]
fn garbage_is_refused_at_once() {
    let garbage: Vec<u8> = (0..10_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let folder = mine("");
    std::fs::write(folder.0.path().join("catalogue/mine.yaml"), &garbage).unwrap();
    let began = Instant::now();
    assert!(folder.error().starts_with("catalogue/mine.yaml: larger than 1024 KiB"));
    std::fs::write(folder.0.path().join("catalogue/mine.yaml"), &garbage[..1 << 20]).unwrap();
    assert!(folder.error().contains("is not UTF-8"), "{}", folder.error());
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn a_later_folder_wins_and_says_so() {
    let first =
        Folder::new(&[("catalogue/mine.yaml", GOOD), ("families/grub.yaml", "family: grub\nbaud: 9600\n")]);
    let second = Folder::new(&[("catalogue/mine.yaml", &GOOD.replace("Mine", "Better"))]);
    let paths = [first.0.path().to_owned(), second.0.path().to_owned()];
    let catalogue = Catalogue::with_paths(&paths).unwrap();
    let resolved = catalogue.resolved("mine").unwrap();
    assert_eq!((resolved.board.name.as_str(), resolved.board.baud), ("Better", 9600));
    let from = |field: &str| {
        resolved
            .origins
            .iter()
            .find(|origin| origin.field == field)
            .map(shakedown_boards::Origin::from)
            .unwrap()
    };
    assert_eq!(from("name"), format!("{}/catalogue/mine.yaml:3", second.0.path().display()));
    assert_eq!(from("baud"), format!("{}/families/grub.yaml:2", first.0.path().display()));
    assert_eq!(from("boot.stages[kernel].seen"), "boards/families/linux.yaml:8");
    assert_eq!(from("min-off"), "default");
    // The private `grub` has no stage, and no other board is the worse for a broken one.
    assert!(resolved.board.stages.iter().all(|stage| stage.name != "bootloader"));
    let broken = Folder::new(&[("catalogue/broken.yaml", "board: [")]).catalogue().unwrap();
    assert!(broken.board("generic-amd64").is_ok());
    assert_eq!(broken.check().len(), 1);
    assert_eq!(broken.list().iter().filter(|listed| listed.resolved.is_err()).count(), 1);
}

#[test]
fn layers_merge_field_by_field() {
    let text = format!(
        "{GOOD}capabilities: [led]\nconfig-txt: [b=2]\nboot:\n  stages:\n    - {{ name: kernel, within: 9s }}\n    \
         - {{ name: spl, after: firmware, seen: {{ console: [SPL] }}, within: 1s }}\n  \
         bad:\n    - {{ id: kernel-panic, blame: undetermined }}\n"
    );
    let folder = Folder::new(&[
        ("catalogue/mine.yaml", &text.replace("extends: pc", "extends: [pc, mid]")),
        (
            "families/mid.yaml",
            "family: mid\nextends: linux\ncapabilities: [wifi]\nconfig-txt: [a=1]\nsoc: Z80\n",
        ),
    ]);
    let board = folder.catalogue().unwrap().board("mine").unwrap();
    let stages: Vec<_> = board.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(stages, ["firmware", "spl", "bootloader", "kernel"]);
    assert_eq!((board.stages[3].within, board.stages[3].once), (Duration::from_secs(9), true));
    let panic = board.bad.iter().find(|bad| bad.id == "kernel-panic").unwrap();
    assert_eq!((panic.blame, panic.drain), (shakedown_core::Blame::Undetermined, Duration::from_secs(3)));
    let capabilities: Vec<_> = board.capabilities.iter().map(|capability| capability.0.as_str()).collect();
    assert_eq!(capabilities, ["led", "wifi"]);
    assert_eq!((board.config_txt.join(" "), board.soc.as_deref()), ("a=1 b=2".to_owned(), Some("Z80")));
}
