//! `shakedown bringup` through the real command, on simulated slots: what a slot lies about fails
//! its own rung and no other.

#![allow(clippy::print_stdout, reason = "the front of a test binary")]

mod support;

use libtest_mimic::Arguments;
use shakedown_reports::conformance::{Conformance, RUNGS, Standing};
use support::{Place, Ran, trial};

fn main() {
    shakedown_host::warden::serve_if_asked();
    let args = Arguments::from_args();
    let trials = vec![
        trial("a_good_board_climbs_the_ladder_and_what_was_not_tried_says_why", good),
        trial("a_lie_fails_its_own_rung_and_no_other", lies),
        trial("a_rig_that_breaks_fails_no_rung", broken_rig),
        trial("resume_climbs_only_what_is_open", resume),
        trial("one_rung_alone", only),
        trial("another_image_starts_anew", another_image),
        trial("bad_input_is_refused", refused),
    ];
    libtest_mimic::run(&args, trials).exit();
}

fn rig(place: &Place, rules: &str) {
    place.file(
        "rig.yaml",
        format!("rig: sim\nslots:\n  one:\n    board: generic-amd64\n    simulated: {{ seed: 3, rules: [{rules}] }}\n"),
    );
}

async fn climb(place: &Place, more: &[&str]) -> (Ran, Conformance) {
    let ran = place.run(&[&["bringup", "one"], more].concat()).await;
    let file = place.path("out/bringup/sim@one/conformance.json");
    assert!(file.exists(), "{}", ran.all());
    let html = std::fs::read_to_string(place.path("out/bringup/sim@one/conformance.html")).unwrap();
    assert!(html.contains("generic-amd64"));
    (ran, serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap())
}

fn standings(shown: &Conformance, wanted: Standing) -> Vec<&str> {
    shown.rungs.iter().filter(|rung| rung.standing == wanted).map(|rung| rung.name.as_str()).collect()
}

async fn good() {
    let place = Place::new();
    rig(&place, "");
    let (ran, shown) = climb(&place, &["--cold-boots", "2", "--power-cycles", "3"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!(standings(&shown, Standing::Fail), Vec::<&str>::new(), "{shown}");
    for rung in shown.rungs.iter().filter(|rung| rung.standing == Standing::NotTried) {
        assert!(rung.parts.iter().any(|part| !part.says.is_empty()), "{} says no reason", rung.name);
    }
    for name in ["wiring", "power", "provisioning", "boot", "console", "shells", "storage", "engine"] {
        assert!(standings(&shown, Standing::Pass).contains(&name), "{name} in\n{shown}");
    }
    let boot = shown.rungs.iter().find(|rung| rung.name == "boot").unwrap();
    assert!(boot.figures.iter().any(|figure| figure.name == "stage kernel"), "{:?}", boot.figures);
    let power = shown.rungs.iter().find(|rung| rung.name == "power").unwrap();
    assert!(power.parts.iter().any(|part| part.says.contains("3 of 3 times it started anew")), "{shown}");
    assert!(power.figures.iter().any(|figure| figure.name == "power.off"), "{:?}", power.figures);
    assert!(!shown.patch.iter().any(|line| line.contains("min-off")), "{:?}", shown.patch);
    assert!(ran.out.contains("conformance: "), "{}", ran.all());
    assert!(shown.is_simulated() && ran.out.contains("SIMULATED"), "{}", ran.all());
    // As if it had been shown by something real: nothing of it counts for a simulated slot.
    let file = place.path("out/bringup/sim@one/conformance.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"simulated\": true", "\"simulated\": false")).unwrap();
    let again = place.run(&["bringup", "one", "--resume", "--only", "console"]).await;
    assert!(again.all().contains("what it showed does not count"), "{}", again.all());
}

async fn lies() {
    for (case, rung) in [
        ("hardware::found::hdmi", "capabilities"),
        ("os::reboot::waits-for-update-lock", "reboot-and-watchdog"),
        ("power::cuts::synced-data-survives", "storage"),
        ("console::line::full-rate", "console"),
    ] {
        let place = Place::new();
        rig(&place, &format!("{{ case: '{case}', does: {{ fail: it is not so }} }}"));
        let (ran, shown) = climb(&place, &[]).await;
        assert_eq!(ran.code, Some(1), "{}", ran.all());
        assert_eq!(standings(&shown, Standing::Fail), [rung], "{shown}");
        let missing = shown.missing();
        assert!(
            missing.iter().any(|line| line.contains(case) && line.contains("it is not so")),
            "{missing:?}"
        );
    }
}

async fn broken_rig() {
    let place = Place::new();
    rig(&place, "{ does: power-stuck }");
    let (ran, shown) = climb(&place, &[]).await;
    assert_eq!(ran.code, Some(3), "{}", ran.all());
    assert_eq!(standings(&shown, Standing::NotTried).len(), RUNGS.len(), "{shown}");
}

async fn resume() {
    let place = Place::new();
    rig(&place, "{ case: 'container::engine::healthy', does: { fail: no engine } }");
    let (ran, first) = climb(&place, &[]).await;
    assert_eq!((ran.code, standings(&first, Standing::Fail)), (Some(1), vec!["engine"]), "{}", ran.all());
    rig(&place, "");
    let (ran, second) = climb(&place, &["--resume"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert!(!ran.all().contains("os::storage::"), "what had passed ran again: {}", ran.all());
    assert_eq!(standings(&second, Standing::Fail), Vec::<&str>::new(), "{second}");
    let run_of = |shown: &Conformance, name: &str| {
        shown.rungs.iter().find(|rung| rung.name == name).map(|rung| rung.run.clone()).unwrap()
    };
    assert_eq!(run_of(&first, "storage"), run_of(&second, "storage"), "the run that showed it is named");
    assert_ne!(run_of(&first, "engine"), run_of(&second, "engine"));
}

/// A failure stays until its own rung is climbed again, and no rung passes that nobody asked for.
async fn only() {
    let place = Place::new();
    rig(&place, "{ case: 'power::cuts::cold-boots', does: { fail: it did not come up } }");
    let (ran, shown) = climb(&place, &["--only", "boot"]).await;
    assert_eq!((ran.code, standings(&shown, Standing::Fail)), (Some(1), vec!["boot"]), "{shown}");
    assert_eq!(standings(&shown, Standing::Pass), Vec::<&str>::new(), "{shown}");
    rig(&place, "");
    let (ran, shown) = climb(&place, &["--only", "engine", "--resume"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.all());
    assert_eq!(standings(&shown, Standing::Fail), ["boot"], "{shown}");
    assert_eq!(standings(&shown, Standing::Pass), ["engine"], "{shown}");
    let (ran, shown) = climb(&place, &["--only", "boot", "--resume"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!(standings(&shown, Standing::Pass), ["boot", "engine"], "{shown}");
}

async fn another_image() {
    let place = Place::new();
    rig(&place, "");
    climb(&place, &["--only", "engine"]).await;
    let ran = place.run(&["bringup", "one", "--resume", "--only", "engine"]).await;
    assert!(ran.out.contains("has passed already"), "{}", ran.all());
    // The rig file changed what the slot shows: what was shown before does not count.
    let text = std::fs::read_to_string(place.path("rig.yaml")).unwrap();
    place.file("rig.yaml", text.replace("    simulated:", "    lacks: [hdmi]\n    simulated:"));
    let ran = place.run(&["bringup", "one", "--resume", "--only", "engine"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert!(ran.err.contains("what it showed does not count"), "{}", ran.all());
    assert!(ran.out.contains("container::engine::healthy"), "{}", ran.all());
    let ran = place.run(&["bringup", "one", "--resume", "--image", "/etc/hostname"]).await;
    assert_eq!(ran.code, Some(2), "{}", ran.all());
}

async fn refused() {
    let place = Place::new();
    rig(&place, "");
    for (args, says) in [
        (&["bringup", "one", "--only", "storgae"][..], "did you mean `storage`?"),
        (&["bringup", "two"], "no slot `two`"),
        (&["bringup", "one", "--resume"], "run it once without --resume"),
    ] {
        let ran = place.run(args).await;
        assert_eq!(ran.code, Some(2), "{}", ran.all());
        assert!(ran.err.contains(says), "{}", ran.all());
    }
}
