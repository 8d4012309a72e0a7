//! Every driver of a family against every fault: the rows come from the families' own lists,
//! so a driver without rows here fails.
//!
//! Counterparts: real programs for `command` (grade *real peer*), a scripted person for
//! `manual` (grade *own fake*).

mod support;

use std::sync::Arc;
use std::time::Duration;

use shakedown_conf::{Document, load};
use shakedown_core::{Guarded, Level, Limits, NoFence, SeenBy};
use shakedown_rigs::{Answer, LineCx, LineDriver, Operator};

use support::{Person, by, nowhere};

/// What an output does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// It takes the command and never answers.
    Hangs,
    /// It says that it could not.
    Fails,
    /// It says something that means neither on nor off.
    Garbage,
    /// It says that it did it, and reads back the other level.
    Lies,
    /// It cannot be read back.
    Silent,
}

const ALL: [Wrong; 6] =
    [Wrong::Nothing, Wrong::Hangs, Wrong::Fails, Wrong::Garbage, Wrong::Lies, Wrong::Silent];

/// A driver with this fault; `None` where the driver cannot have it.
fn subject(driver: &str, wrong: Wrong) -> Option<(String, Arc<dyn Operator>)> {
    match driver {
        "manual" => {
            let answers = match wrong {
                Wrong::Nothing => vec![Answer::Yes, Answer::Yes],
                Wrong::Hangs => vec![],
                Wrong::Fails => vec![Answer::No],
                // Answers are typed: there is no other word than these.
                Wrong::Garbage => return None,
                Wrong::Lies => vec![Answer::Yes, Answer::No],
                Wrong::Silent => vec![Answer::Yes, Answer::DoNotKnow],
            };
            Some(("manual: {}".into(), Person::with(answers)))
        }
        "command" => {
            let (on, says) = match wrong {
                Wrong::Nothing => ("true", "outlet 1: ON"),
                Wrong::Hangs => ("sleep", "outlet 1: ON"),
                Wrong::Fails => ("false", "outlet 1: ON"),
                Wrong::Garbage => ("true", "\u{1b}[31m500 Internal Server Error"),
                Wrong::Lies => ("true", "outlet 1: OFF"),
                Wrong::Silent => ("true", ""),
            };
            let within = if wrong == Wrong::Hangs { "500ms" } else { "20s" };
            let argument = if wrong == Wrong::Hangs { ", '60'" } else { "" };
            let status = format!(
                "status: {{ run: [printf, '%s', \"{}\"], on: ': ON', off: ': OFF' }}",
                says.escape_debug()
            );
            let status = if wrong == Wrong::Silent { String::new() } else { format!(", {status}") };
            let text =
                format!("command: {{ on: [{on}{argument}], off: ['true'], within: {within}{status} }}");
            Some((text.replace("\\u{1b}", "\\e"), Person::with(vec![])))
        }
        other => panic!("no rows for the driver `{other}`: add them to this test"),
    }
}

#[tokio::test]
async fn every_output_driver_against_every_fault() {
    for driver in LineDriver::NAMES {
        for wrong in ALL {
            let Some((text, operator)) = subject(driver, wrong) else { continue };
            let conf = load::<LineDriver>(&Document::new("rig.yaml", &text))
                .unwrap_or_else(|e| panic!("{e:#}"))
                .value;
            assert_eq!(conf.name(), *driver);
            conf.check().unwrap();
            let by = by(if wrong == Wrong::Hangs { Duration::from_secs(1) } else { Duration::from_secs(20) });
            let cx = LineCx { slot: "desk/pi4", output: "power", safe: Level::Off, operator: &operator };
            let line = conf.open(cx, &by).await.unwrap();
            let guarded = Guarded::new("power", line, Limits::default(), Arc::new(NoFence), nowhere());
            let end = guarded.set(true, &by).await;
            let row = format!("{driver} that {wrong:?}: {end:?}");
            match wrong {
                Wrong::Nothing => {
                    let want_person = *driver == "manual";
                    let seen = end.unwrap().seen;
                    assert_eq!(matches!(seen, SeenBy::Operator(_)), want_person, "{row}");
                    assert_eq!(seen == SeenBy::ReadBack(Level::On), !want_person, "{row}");
                }
                Wrong::Silent => assert_eq!(end.unwrap().seen, SeenBy::Nothing, "{row}"),
                Wrong::Hangs => assert!(end.unwrap_err().stop.is_some(), "{row}"),
                Wrong::Fails | Wrong::Garbage | Wrong::Lies => {
                    let fault = end.unwrap_err();
                    assert!(!fault.expected.is_empty() && !fault.got.is_empty(), "{row}");
                    assert_eq!(fault.driver, *driver, "{row}");
                }
            }
        }
    }
}
