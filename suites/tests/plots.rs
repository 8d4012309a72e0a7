//! What plots allow on their way, against a DUT that answers from a script.

mod fake;

use std::time::Duration;

use fake::{Answer, Fake};
use shakedown_core::profile::UpdateProfile;
use shakedown_core::{BadSpec, Blame, Capability, OsProfile};
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

async fn run(case: &str, script: &[(&'static str, &[Answer])]) -> Fake {
    let suites = Suites::embedded().unwrap();
    let fake = Fake::new(script).with_profile(profile());
    let case = suites.get(case).unwrap().for_profile(&profile());
    assert!(!case.spec().needs.contains(&Capability::new("fact `fast-health`")));
    let result = case.run(&fake, &fake.deadline(Duration::from_secs(10))).await;
    assert_eq!(result, Ok(()));
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
