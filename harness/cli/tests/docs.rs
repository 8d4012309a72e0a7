//! The documents that people copy from the docs are accepted, and editors know their fields.

use std::path::Path;

use shakedown::compose::rig::{Rig, RigDoc};
use shakedown_boards::Catalogue;

/// The YAML blocks of a page, without the indentation of the list they stand in.
fn blocks(page: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(indent) = line.find("```yaml") else { continue };
        let inside = lines.by_ref().take_while(|line| line.trim() != "```");
        blocks.push(inside.map(|line| line.get(indent..).unwrap_or_default().to_owned() + "\n").collect());
    }
    blocks
}

#[test]
fn the_examples_of_adding_a_board_are_accepted() {
    let blocks = blocks("adding-a-board.md");
    let [board, rig, stages] = &blocks[..] else { panic!("{} blocks", blocks.len()) };
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("catalogue");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("generic-amd64.yaml"), format!("{board}{stages}")).unwrap();
    let own = Catalogue::with_paths(&[place.path().to_owned()]).unwrap();
    let wrong: Vec<_> = own.check().iter().map(|error| format!("{error:#}")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let stages = &own.board("generic-amd64").unwrap().stages;
    assert!(stages.iter().any(|stage| stage.name == "bootloader" && stage.once), "{stages:?}");

    let file = place.path().join("desk.yaml");
    std::fs::write(&file, rig).unwrap();
    let rig = Rig::find(Some(&file)).unwrap_or_else(|error| panic!("{error}"));
    for (name, slot) in &rig.doc.value.slots {
        let board = rig.board(&Catalogue::embedded(), name, slot).unwrap_or_else(|error| panic!("{error}"));
        rig.check(name, slot, &board).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// The page's board is accepted, and what the page says of it is so.
#[test]
fn the_example_of_porting_a_board_is_accepted() {
    let [board] = &blocks("porting-a-board.md")[..] else { panic!("one block") };
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("catalogue")).unwrap();
    std::fs::write(place.path().join("catalogue/my-gateway.yaml"), board).unwrap();
    let own = Catalogue::with_paths(&[place.path().to_owned()]).unwrap();
    let found = own.resolved("my-gateway").unwrap();
    let told = shakedown_boards::explain(&found);
    assert!(told.contains("Provisioning: sd-card") && told.contains("boot loader      *unknown*"), "{told}");
}

#[test]
fn the_example_of_simulated_slots_is_accepted() {
    let [rig] = &blocks("simulated.md")[..] else { panic!("one block") };
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("rig.yaml");
    std::fs::write(&file, rig).unwrap();
    let rig = Rig::find(Some(&file)).unwrap_or_else(|error| panic!("{error}"));
    let rules = rig.doc.value.slots["flaky"].simulated.as_ref().map(|doc| doc.rules.len());
    assert_eq!(rules, Some(2));
}

#[test]
fn the_example_of_bringing_up_a_board_is_accepted() {
    let [rig] = &blocks("bringing-up-a-board.md")[..] else { panic!("one block") };
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("rig.yaml");
    std::fs::write(&file, rig).unwrap();
    let rig = Rig::find(Some(&file)).unwrap_or_else(|error| panic!("{error}"));
    let slot = &rig.doc.value.slots["amd64"];
    let board = rig.board(&Catalogue::embedded(), "amd64", slot).unwrap_or_else(|error| panic!("{error}"));
    assert!(board.capabilities.iter().all(|capability| capability.0 != "hdmi"), "{:?}", board.capabilities);
    // What the board type does not have cannot be lacking.
    std::fs::write(&file, self::blocks("bringing-up-a-board.md")[0].replace("[hdmi]", "[hdmo]")).unwrap();
    let rig = Rig::find(Some(&file)).unwrap_or_else(|error| panic!("{error}"));
    let error = rig.board(&Catalogue::embedded(), "amd64", &rig.doc.value.slots["amd64"]).unwrap_err();
    assert!(error.to_string().contains("slots.amd64.lacks[0]"), "{error}");
}

#[test]
fn the_plan_of_the_page_on_nightlies_is_accepted() {
    let [plan, actions] = &blocks("nightly.md")[..] else { panic!("two blocks") };
    let plan = shakedown_campaign::plan::Plan::load(&shakedown_conf::Document::new("plan.yaml", plan));
    let jobs = plan.and_then(|plan| plan.jobs(&|_| vec!["any".to_owned()]));
    assert_eq!(jobs.map(|jobs| jobs.len()).map_err(|error| format!("{error:#}")), Ok(7));
    assert!(actions.contains("shakedown nightly plan.yaml --rig rig.yaml"));
}

#[test]
fn the_committed_rig_schema_is_current_and_named() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("rigs/schema/rig.json");
    let text = shakedown_conf::schema_text::<RigDoc>();
    if std::env::var_os("SHAKEDOWN_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(committed, text, "{} is old: cargo xtask generate", path.display());
    let built_in = std::fs::read_to_string(root.join("qemu/rig.yaml")).unwrap();
    assert!(built_in.starts_with("# yaml-language-server: $schema=../rigs/schema/rig.json\n"), "{built_in}");
}

/// The examples as a stranger finds them: each slot fits its board, and each output is named.
#[test]
fn the_example_rigs_are_accepted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let catalogue = Catalogue::embedded();
    let mut outputs = Vec::new();
    let mut files: Vec<_> =
        std::fs::read_dir(root.join("rigs/examples")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        assert!(
            text.starts_with("# yaml-language-server: $schema=../schema/rig.json\n"),
            "{}",
            file.display()
        );
        let rig = Rig::find(Some(file)).unwrap_or_else(|error| panic!("{error}"));
        for (name, slot) in &rig.doc.value.slots {
            let board = rig.board(&catalogue, name, slot).unwrap_or_else(|error| panic!("{error}"));
            rig.check(name, slot, &board).unwrap_or_else(|error| panic!("{error}"));
            let power = slot.power.iter().map(|power| format!("power={}", power.name()));
            let others = slot.outputs.iter().map(|(name, driver)| format!("{name}={}", driver.name()));
            outputs.push(format!("{name}: {}", power.chain(others).collect::<Vec<_>>().join(" ")));
        }
    }
    outputs.dedup_by_key(|line| line.split_once(' ').map(|(_, outputs)| outputs.to_owned()));
    assert_eq!(
        outputs,
        [
            "cm4: power=serial-relay boot-switch=serial-relay",
            "pi4: power=serial-relay",
            "pi3: ",
            "orin: power=http recovery=serial-relay reset=serial-relay vbus=usb-hub",
            "cm4: power=usb-hub boot-switch=usb-hid-relay",
            "pi4: power=gpio reset=gpio",
            "pi1: power=snmp",
        ]
    );
}

#[test]
fn the_rigs_of_the_wiring_page_are_accepted() {
    let blocks = blocks("wiring-a-rig.md");
    assert!(!blocks.is_empty());
    let place = tempfile::tempdir().unwrap();
    for block in blocks {
        let file = place.path().join("rig.yaml");
        std::fs::write(&file, &block).unwrap();
        let rig = Rig::find(Some(&file)).unwrap_or_else(|error| panic!("{error}"));
        for (name, slot) in &rig.doc.value.slots {
            let board =
                rig.board(&Catalogue::embedded(), name, slot).unwrap_or_else(|error| panic!("{error}"));
            rig.check(name, slot, &board).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
