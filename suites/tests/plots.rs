//! What plots allow on their way, against a DUT that answers from a script.

mod fake;

use std::time::Duration;

use fake::{Answer, Fake};
use shakedown_core::profile::UpdateProfile;
use shakedown_core::{BadSpec, Blame, Capability, Cut, OsProfile};
use shakedown_suites::Suites;

/// The reference OS's own words when a new version fails its health check.
const UPDATE_FAILED: &str = "update-failed";

fn profile() -> OsProfile {
    let markers = ["health-breadcrumb", "health-triggered", "altboot-breadcrumb", "altboot-triggered"];
    OsProfile {
        update: Some(UpdateProfile {
            file: "/data/update".into(),
            command: "update {file}".into(),
            slot: "slot".into(),
            markers: markers.map(|marker| (marker.to_owned(), format!("/{marker}"))).into(),
        }),
        bad: vec![BadSpec {
            id: UPDATE_FAILED.into(),
            pattern: "update failed".into(),
            says: "it rolls back".into(),
            blame: Blame::Os,
            drain: Duration::ZERO,
        }],
        ..fake::profile()
    }
}

async fn ends(case: &str, fake: &Fake) -> Result<(), Cut> {
    let suites = Suites::embedded().unwrap();
    let case = suites.get(case).unwrap().for_profile(&profile());
    assert!(!case.spec().needs.contains(&Capability::new("fact `fast-health`")));
    case.run(fake, &fake.deadline(Duration::from_secs(10))).await
}

async fn run(case: &str, script: &[(&'static str, &[Answer])]) -> Fake {
    let fake = Fake::new(script).with_profile(profile());
    assert_eq!(ends(case, &fake).await, Ok(()));
    fake
}

/// The OS announces the rollback with a line that is known-bad at any other boot.
#[tokio::test]
async fn a_rollback_by_health_check_may_be_announced() {
    let version: &[Answer] = &[(0, "1.0.0"), (0, "2.0.0"), (0, "1.0.0")];
    let fake = run(
        "update::rollback::failing-health-check",
        &[
            ("slot", &[(0, "A"), (0, "B"), (0, "A")]),
            (". /etc/os-release", version),
            ("file=", &[(0, "")]),
            ("(update ", &[(0, "")]),
            ("ls /health-breadcrumb", &[(0, "/health-breadcrumb")]),
            ("printf", &[(0, "")]),
            ("systemd-run", &[(0, "")]),
            ("cat /health-triggered", &[(0, "the engine is not healthy")]),
            ("test ! -e", &[(0, "")]),
            ("rm -f", &[(0, "")]),
        ],
    )
    .await;
    let resets = fake.resets.lock().unwrap();
    assert_eq!(resets.len(), 2, "the new version, then the old one");
    assert!(resets.iter().all(|allowed| allowed.bad == [UPDATE_FAILED]), "{resets:?}");
}

/// A boot loader that tells of the watchdog's reset tells of what is wanted; a panic is not.
#[tokio::test]
async fn a_reset_by_the_watchdog_may_be_told_by_the_boot_loader() {
    let fake = run(
        "os::reboot::hung-system-is-reset",
        &[
            ("cat /proc/sys/kernel/random/boot_id", &[(0, "one"), (0, "two")]),
            ("grep -l", &[(0, "/sys/class/watchdog/watchdog0/state")]),
            ("sync;", &[(0, "")]),
        ],
    )
    .await;
    let resets = fake.resets.lock().unwrap();
    assert_eq!((resets[0].up_to, resets[0].bad.as_slice()), (1, &["watchdog-reset".to_owned()][..]));
}

/// A key that outlives the reset was not on what was emptied, whatever the profile promises.
#[tokio::test]
async fn a_reset_declares_a_new_host_key_and_misses_one_that_does_not_come() {
    let script: &[(&'static str, &[Answer])] = &[
        ("mkdir", &[(0, "")]),
        ("rm ", &[(0, "")]),
        ("ls ", &[(0, "")]),
        ("engine-healthcheck", &[(0, "")]),
        ("volumes=", &[(0, "")]),
    ];
    let renewed = Fake::new(script).with_profile(profile());
    *renewed.keys.lock().unwrap() = vec!["SHA256:one", "SHA256:two"];
    assert_eq!(ends("os::reboot::purge", &renewed).await, Ok(()));
    assert_eq!(*renewed.keys.lock().unwrap(), ["SHA256:two"], "it was declared");

    let kept = Fake::new(script).with_profile(profile());
    let Err(Cut::Fail(failure)) = ends("os::reboot::purge", &kept).await else { panic!("it passes") };
    assert_eq!(
        (failure.what.as_str(), failure.got.as_str()),
        ("the SSH host key survived the reset", "SHA256:one")
    );
}
