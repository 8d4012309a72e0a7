//! A person switches, and says what is.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_core::{Deadline, Fault, Fut, InfraKind, Level, Line, Rig, SeenBy};

use super::{LineConf, LineCx};
use crate::operator::{Answer, Operator};

/// A person switches the output and says whether it is on. For a first try without any hardware;
/// nothing that needs exact times can be done by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Manual")]
pub struct Conf {
    /// What the person has to switch: `the bench supply's left outlet`.
    #[serde(default)]
    pub what: Option<String>,
}

struct Manual {
    what: String,
    operator: Arc<dyn Operator>,
}

impl LineConf for Conf {
    fn open<'a>(&'a self, cx: LineCx<'a>, _by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Line>>> {
        let what = match &self.what {
            Some(what) => what.clone(),
            None => format!("{} of {}", cx.output, cx.slot),
        };
        let line = Manual { what, operator: cx.operator.clone() };
        Box::pin(async move { Ok(Arc::new(line) as Arc<dyn Line>) })
    }
}

impl Line for Manual {
    fn driver(&self) -> &'static str {
        "manual"
    }

    fn endpoint(&self) -> String {
        self.what.clone()
    }

    fn set<'a>(&'a self, on: bool, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async move {
            let level = Level::from(on);
            let question = format!("Please switch {} {level}. Is it done?", self.what);
            match self.operator.ask(&question, by).await? {
                Answer::Yes => Ok(()),
                answer => Err(Fault::new(InfraKind::Power, "manual", format!("switch {level}"), &self.what)
                    .expected("a person who did it", format!("the answer {answer:?}"))),
            }
        })
    }

    fn read<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Level>> {
        Box::pin(async move {
            let question = format!("Is {} on now?", self.what);
            Ok(match self.operator.ask(&question, by).await? {
                Answer::Yes => Level::On,
                Answer::No => Level::Off,
                Answer::DoNotKnow => Level::Unknown,
            })
        })
    }

    fn when_dropped(&self) -> Level {
        // It stays as the person left it.
        Level::Unknown
    }

    fn seen_by(&self, level: Level) -> SeenBy {
        SeenBy::Operator(format!("said that {} is {level}", self.what))
    }
}
