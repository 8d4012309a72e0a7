//! Programs switch: whatever can be scripted.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_conf::{Pattern, Span};
use shakedown_console::Capture;
use shakedown_core::{Deadline, Fault, Fut, InfraKind, Level, Line, Rig};
use shakedown_host::warden::{self, Registration};
use shakedown_host::{Output, Tool};

use super::{LineConf, LineCx};
use crate::wiring::WiringProblem;

/// Programs switch the output on and off, and a third one reports it. Each is a program with
/// its arguments, run without a shell; anything but exit code 0 is a fault. Without `status`
/// nothing reads the output back, and the harness looks for another proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "OutputCommand")]
pub struct Conf {
    /// Switches it on: `[uhubctl, -l, 1-1, -p, "2", -a, "on"]`.
    pub on: Vec<String>,
    /// Switches it off. It is also what is run when the harness dies.
    pub off: Vec<String>,
    /// Reports whether it is on.
    #[serde(default)]
    pub status: Option<Status>,
    /// The longest time for each of them (default: 10s).
    #[serde(default)]
    pub within: Option<Span>,
}

/// A program that reports an output, and how to read what it prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Status {
    /// The program with its arguments.
    pub run: Vec<String>,
    /// A byte regex that its output matches when the output is on.
    pub on: Pattern,
    /// A byte regex that its output matches when the output is off.
    pub off: Pattern,
}

/// A USB hub or a PDU over the network answers within a second; a relay that wakes a host takes longer.
const WITHIN: Duration = Duration::from_secs(10);

impl Conf {
    fn within(&self) -> Duration {
        self.within.map_or(WITHIN, Span::get)
    }
}

impl LineConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        for (field, argv) in [("on", &self.on), ("off", &self.off)] {
            named(argv).map_err(|problem| problem.within(field))?;
        }
        let Some(status) = &self.status else { return Ok(()) };
        named(&status.run).map_err(|problem| problem.within("status.run"))?;
        for (field, pattern) in [("status.on", &status.on), ("status.off", &status.off)] {
            compile(pattern).map_err(|what| WiringProblem::new(field, what))?;
        }
        Ok(())
    }

    fn open<'a>(&'a self, cx: LineCx<'a>, _by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Line>>> {
        let conf = self.clone();
        let name = format!("{} of {}", cx.output, cx.slot);
        let safe = match cx.safe {
            Level::On => Some(&self.on),
            Level::Off => Some(&self.off),
            Level::Unknown => None,
        };
        let safe = safe.map(|argv| warden::start()?.safe_state(&name, argv, self.within())).transpose();
        Box::pin(async move {
            let patterns =
                conf.status.as_ref().map(|status| Ok((compile(&status.on)?, compile(&status.off)?)));
            let patterns = patterns.transpose().map_err(|what: String| {
                Fault::new(InfraKind::Config, "command", "open", &name)
                    .expected("byte regexes for `status`", what)
            })?;
            Ok(Arc::new(Command { conf, name, patterns, _safe: safe? }) as Arc<dyn Line>)
        })
    }
}

fn named(argv: &[String]) -> Result<(), WiringProblem> {
    match argv.first() {
        Some(program) if !program.is_empty() => Ok(()),
        _ => Err(WiringProblem::new("", "a program with its arguments is needed: `[program, argument]`")),
    }
}

fn compile(pattern: &Pattern) -> Result<Capture, String> {
    Capture::compile(&format!("({pattern})")).map_err(|error| error.what)
}

struct Command {
    conf: Conf,
    name: String,
    /// For on and off.
    patterns: Option<(Capture, Capture)>,
    _safe: Option<Registration>,
}

impl Command {
    async fn run(&self, op: &str, argv: &[String], by: &Deadline) -> Rig<Output> {
        let program = argv.first().map(String::as_str).unwrap_or_default();
        let by = by.child(format!("{program} to {op} {}", self.name), self.conf.within()).at_rig_pace();
        Tool::new(program).args(argv.iter().skip(1)).run_ok(&by).await.map_err(|fault| Fault {
            kind: InfraKind::Power,
            driver: "command".into(),
            op: format!("{op} {} by", self.name),
            endpoint: argv.join(" "),
            ..fault
        })
    }
}

impl Line for Command {
    fn driver(&self) -> &'static str {
        "command"
    }

    fn endpoint(&self) -> String {
        self.name.clone()
    }

    fn set<'a>(&'a self, on: bool, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async move {
            let (op, argv) = if on { ("switch on", &self.conf.on) } else { ("switch off", &self.conf.off) };
            self.run(op, argv, by).await.map(drop)
        })
    }

    fn read<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Level>> {
        Box::pin(async move {
            let (Some(status), Some((on, off))) = (&self.conf.status, &self.patterns) else {
                return Ok(Level::Unknown);
            };
            let output = self.run("read back", &status.run, by).await?;
            match (on.first(&output.out).is_some(), off.first(&output.out).is_some()) {
                (true, false) => Ok(Level::On),
                (false, true) => Ok(Level::Off),
                (both, _) => {
                    let got = if both { "both, in" } else { "neither, in" };
                    let said: String = output.text().chars().take(200).collect();
                    Err(Fault::new(InfraKind::Power, "command", "read back", &self.name)
                        .expected(
                            format!("output with `{}` or `{}`", status.on, status.off),
                            format!("{got} {said:?}"),
                        )
                        .hint("run the status program by hand and make `status.on` and `status.off` fit what it prints"))
                }
            }
        })
    }

    fn when_dropped(&self) -> Level {
        // The hardware behind a program keeps its state; the warden puts it into the safe one.
        Level::Unknown
    }
}
