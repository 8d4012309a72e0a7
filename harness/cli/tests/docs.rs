//! The documents that people copy from the docs are accepted, and editors know their fields.

use std::path::Path;

use shakedown::compose::rig::{Rig, RigDoc};
use shakedown::compose::slot;
use shakedown_boards::Catalogue;
use shakedown_campaign::plan::PlanDoc;
use shakedown_gate::policy::PolicyDoc;

/// The YAML blocks of a page, without the indentation of the list they stand in.
fn blocks(page: &str) -> Vec<String> {
    blocks_of(page, "yaml")
}

/// Those of another language.
fn blocks_of(page: &str, language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(indent) = line.find(&format!("```{language}")) else { continue };
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

/// The profile of the page is accepted as it stands, and each word that it lists is one that cases ask for.
#[test]
fn the_example_of_adding_an_os_is_accepted() {
    let [profile] = &blocks("adding-an-os.md")[..] else { panic!("one block") };
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("os")).unwrap();
    std::fs::write(place.path().join("os/debian.yaml"), profile).unwrap();
    let own = Catalogue::with_paths(&[place.path().to_owned()]).unwrap();
    let wrong: Vec<_> = own.check().iter().map(|error| format!("{error:#}")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(own.profile("debian").unwrap().config.is_none());

    let page = include_str!("../../docs/adding-an-os.md");
    let listed =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | ")).map(|(word, _)| word);
    let offered = Catalogue::embedded().profile("reference").unwrap();
    let offered: Vec<_> = offered.offers.iter().map(|offer| offer.0.as_str()).collect();
    let listed: Vec<_> = listed.filter(|word| !word.contains(['/', '.']) && *word != "build").collect();
    let unlisted: Vec<_> = offered.iter().filter(|word| !listed.contains(word)).collect();
    assert!(unlisted.is_empty(), "the page does not list {unlisted:?}");
    let unknown: Vec<_> = listed.iter().filter(|word| !offered.contains(word)).collect();
    assert!(unknown.is_empty(), "no profile offers {unknown:?}");
}

/// The page's board is accepted, and what the page says of it is so.
#[test]
fn the_example_of_porting_a_board_is_accepted() {
    let [board, rig, netboot, bench] = &blocks("porting-a-board.md")[..] else { panic!("four blocks") };
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("catalogue")).unwrap();
    std::fs::write(place.path().join("catalogue/my-gateway.yaml"), board).unwrap();
    std::fs::write(place.path().join("catalogue/my-board.yaml"), netboot).unwrap();
    let own = Catalogue::with_paths(&[place.path().to_owned()]).unwrap();
    let found = own.resolved("my-gateway").unwrap();
    let told = shakedown_boards::explain(&found);
    assert!(told.contains("Provisioning: sd-card") && told.contains("boot loader      *unknown*"), "{told}");

    // The slots that are installed, and told what to boot, can be.
    let executed = |text: &str, name: &str| {
        let file = place.path().join("desk.yaml");
        std::fs::write(&file, text).unwrap();
        let rig = Rig::find(Some(&file)).unwrap_or_else(|error| panic!("{error}"));
        let slot = &rig.doc.value.slots[name];
        let board = rig.board(&own, name, slot).unwrap_or_else(|error| panic!("{error}"));
        rig.check(name, slot, &board).unwrap_or_else(|error| panic!("{error}"));
        let procedure = slot::procedure(name, slot, &board, None);
        let procedure = procedure.unwrap_or_else(|error| panic!("{error}"));
        shakedown_runner::executable(&procedure).unwrap_or_else(|why| panic!("{why}"));
        procedure
    };
    assert!(shakedown_runner::own_storage(&executed(&format!("rig: desk\n{rig}"), "box")));
    assert!(shakedown_runner::netboots(&executed(bench, "one")));
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
fn the_slots_that_need_no_hardware_fit_their_boards() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../qemu/rig.yaml");
    let rig = Rig::find(Some(&file)).unwrap_or_else(|error| panic!("{error}"));
    let catalogue = Catalogue::embedded();
    for (name, slot) in &rig.doc.value.slots {
        let board = rig.board(&catalogue, name, slot).unwrap_or_else(|error| panic!("{error}"));
        rig.check(name, slot, &board).unwrap_or_else(|error| panic!("{error}"));
    }
    let reference = catalogue.profile("reference").unwrap();
    let offered = |slot: &str| rig.doc.value.slots[slot].offered(&reference).offers.clone();
    assert_eq!(offered("amd64"), reference.offers);
    let lacking: Vec<_> = reference.offers.difference(&offered("pi3")).map(|word| word.0.clone()).collect();
    assert_eq!(lacking, ["ab-update", "engine"]);
}

#[test]
fn the_plan_of_the_page_on_nightlies_is_accepted() {
    let [plan, actions] = &blocks("nightly.md")[..] else { panic!("two blocks") };
    let plan = shakedown_campaign::plan::Plan::load(&shakedown_conf::Document::new("plan.yaml", plan));
    let jobs = plan.and_then(|plan| plan.jobs(&|_| vec!["any".to_owned()]));
    assert_eq!(jobs.map(|jobs| jobs.len()).map_err(|error| format!("{error:#}")), Ok(7));
    assert!(actions.contains("shakedown nightly plan.yaml --rig rig.yaml"));
}

/// Debian's own systemd reads the units as they stand on the page.
#[test]
fn the_systemd_units_of_the_page_on_nightlies_are_accepted() {
    let units = blocks_of("nightly.md", "ini");
    let [service, timer] = &units[..] else { panic!("{} units", units.len()) };
    let place = tempfile::tempdir().unwrap();
    let verify = |service: &str, timer: &str| {
        std::fs::write(place.path().join("shakedown-nightly.service"), service).unwrap();
        std::fs::write(place.path().join("shakedown-nightly.timer"), timer).unwrap();
        let units = ["verify", "--man=no", "./shakedown-nightly.service", "./shakedown-nightly.timer"];
        said(place.path(), Path::new("systemd-analyze"), &units)
    };
    assert_eq!(verify(service, timer), (true, String::new()));
    // It would see what is wrong.
    let (good, says) = verify(service, &timer.replace("OnCalendar", "OnCalender"));
    assert!(!good && says.contains("OnCalender"), "{says}");
    let (good, says) = verify(&service.replace("Type=oneshot", "Type=onesho"), timer);
    assert!(!says.is_empty(), "{good} {says}");
}

/// The workflow of the page, by GitHub's schema as check-jsonschema carries it.
#[test]
fn the_github_workflow_of_the_page_on_nightlies_is_accepted() {
    let wanted = include_str!("check-jsonschema.txt");
    let programs = shakedown_pinned::programs(env!("CARGO_TARGET_TMPDIR"), "check-jsonschema", wanted);
    let place = tempfile::tempdir().unwrap();
    let check = |text: &str| {
        std::fs::write(place.path().join("nightly.yml"), text).unwrap();
        let args = ["--builtin-schema", "vendor.github-workflows", "nightly.yml"];
        said(place.path(), &programs.join("check-jsonschema"), &args)
    };
    let workflow = blocks("nightly.md").pop().unwrap();
    let (good, says) = check(&workflow);
    assert!(good, "{says}");
    let (good, says) = check(&workflow.replace("runs-on", "run-on"));
    assert!(!good && says.contains("runs-on"), "{says}");
}

/// Whether a program succeeds in a folder, and what it says.
#[expect(clippy::disallowed_methods, reason = "readers that others wrote; only tests start them")]
fn said(folder: &Path, program: &Path, args: &[&str]) -> (bool, String) {
    let output = std::process::Command::new(program).args(args).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn the_committed_schemas_are_current_and_named() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (file, text) in [
        ("rigs/schema/rig.json", shakedown_conf::schema_text::<RigDoc>()),
        ("harness/campaign/schema/plan.json", shakedown_conf::schema_text::<PlanDoc>()),
        ("reports/gate/schema/policy.json", shakedown_conf::schema_text::<PolicyDoc>()),
    ] {
        let path = root.join(file);
        if std::env::var_os("SHAKEDOWN_BLESS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(committed, text, "{} is old: cargo xtask generate", path.display());
    }
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
            "pi4: power=serial-relay",
            "cm4: power=serial-relay boot-switch=serial-relay",
            "pi4: power=serial-relay",
            "pi3: power=usb-hid-relay",
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
            let procedure =
                slot::procedure(name, slot, &board, None).unwrap_or_else(|error| panic!("{error}"));
            shakedown_runner::executable(&procedure).unwrap_or_else(|why| panic!("{name}: {why}"));
        }
    }
}
