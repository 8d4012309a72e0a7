//! Outputs: the dumb trait that drivers implement, and the one wrapper that the runner may hold.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Fut;
use crate::event::{Event, Sink};
use crate::fault::{Fault, InfraKind, Rig};
use crate::time::{Deadline, Mono};

/// What an output does, as read from the hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Energised.
    On,
    /// Not energised.
    Off,
    /// The hardware does not say. An answer, never a guess.
    Unknown,
}

impl From<bool> for Level {
    fn from(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Unknown => "unknown",
        })
    }
}

/// One output of a driver. Dumb: no delays, no retries, no memory of what was set.
pub trait Line: Send + Sync {
    /// The driver's name, for faults and events.
    fn driver(&self) -> &'static str;
    /// Which output: a path, an address.
    fn endpoint(&self) -> String;
    /// Switches it.
    fn set<'a>(&'a self, on: bool, by: &'a Deadline) -> Fut<'a, Rig<()>>;
    /// Asks the hardware, never a memory of what was set.
    fn read<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Level>>;
    /// What the hardware does when the process that holds the line ends.
    fn when_dropped(&self) -> Level;
    /// How a level that [`Self::read`] gave is known. A person's word is not read from hardware.
    fn seen_by(&self, level: Level) -> SeenBy {
        SeenBy::ReadBack(level)
    }
}

/// How we know that an output is as asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeenBy {
    /// The hardware reported this level.
    ReadBack(Level),
    /// The console stayed silent this long.
    #[serde(with = "crate::time::millis")]
    Silence(Duration),
    /// The console spoke after switching on.
    Console(String),
    /// A person said so.
    Operator(String),
    /// Nothing confirms it: the hardware has no read-back. The caller must find another proof.
    Nothing,
}

impl fmt::Display for SeenBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadBack(level) => write!(f, "read back {level}"),
            Self::Silence(span) => write!(f, "the console was silent for {:.1} s", span.as_secs_f64()),
            Self::Console(line) => write!(f, "the console said: {line}"),
            Self::Operator(said) => write!(f, "a person {said}"),
            Self::Nothing => f.write_str("nothing confirms it"),
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.output, Level::from(self.on), self.seen)
    }
}

/// What [`Guarded`] did, and how it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The output's name in the slot: `power`, `reset`.
    pub output: String,
    /// What was asked.
    pub on: bool,
    /// How it is known.
    pub seen: SeenBy,
    /// When it was known.
    pub at: Mono,
}

/// Limits that protect the hardware, whoever switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The shortest time between off and on.
    pub min_off: Duration,
    /// The most off-to-on cycles in any minute.
    pub max_cycles_per_minute: u32,
    /// The level to leave behind at the end, in a crash, on a lost lease.
    pub safe: Level,
}

impl Default for Limits {
    fn default() -> Self {
        Self { min_off: Duration::from_secs(1), max_cycles_per_minute: 20, safe: Level::Off }
    }
}

/// The right to actuate. Refuses a stale holder.
pub trait Fence: Send + Sync {
    /// Ok while the right is held.
    fn check(&self) -> Rig<()>;
}

/// A fence for a slot that this process holds by its lock file.
#[derive(Debug)]
pub struct NoFence;

impl Fence for NoFence {
    fn check(&self) -> Rig<()> {
        Ok(())
    }
}

#[derive(Default)]
struct Past {
    off_at: Option<Mono>,
    on_at: VecDeque<Mono>,
}

/// In which cycles are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// An output with read-back, minimum off time, cycle limit, fence and events.
/// The only form in which anything above a driver may hold an output.
pub struct Guarded {
    name: String,
    line: Arc<dyn Line>,
    limits: Limits,
    fence: Arc<dyn Fence>,
    sink: Arc<dyn Sink>,
    past: tokio::sync::Mutex<Past>,
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guarded({} {})", self.line.driver(), self.name)
    }
}

impl Guarded {
    /// Wraps a driver's line.
    pub fn new(
        name: impl Into<String>,
        line: Arc<dyn Line>,
        limits: Limits,
        fence: Arc<dyn Fence>,
        sink: Arc<dyn Sink>,
    ) -> Self {
        Self { name: name.into(), line, limits, fence, sink, past: tokio::sync::Mutex::default() }
    }

    /// The output's name in the slot.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The driver's name and endpoint, for people.
    pub fn describe(&self) -> String {
        format!("{} {}", self.line.driver(), self.line.endpoint())
    }

    /// Asks the hardware.
    pub async fn status(&self, by: &Deadline) -> Rig<Level> {
        self.line.read(by).await
    }

    /// Switches, reads back and compares. `SeenBy::Nothing` when the hardware cannot say.
    pub async fn set(&self, on: bool, by: &Deadline) -> Rig<Proof> {
        let mut past = self.past.lock().await;
        self.fence.check()?;
        if on {
            self.wait_for_permission(&mut past, by).await?;
        }
        self.line.set(on, by).await?;
        let level = self.line.read(by).await?;
        let at = by.clock().now();
        if on {
            past.on_at.push_back(at);
        } else {
            past.off_at = Some(at);
        }
        let seen = match level {
            Level::Unknown => SeenBy::Nothing,
            level if level == Level::from(on) => self.line.seen_by(level),
            level => {
                return Err(Fault::new(InfraKind::Power, self.line.driver(), "switch", self.line.endpoint())
                    .expected(format!("{} {}", self.name, Level::from(on)), format!("read back {level}"))
                    .hint("the command was accepted but the output did not follow: check the wiring, NO/NC and the channel"));
            }
        };
        let proof = Proof { output: self.name.clone(), on, seen, at };
        self.sink.emit(Event::Switched { proof: proof.clone() });
        Ok(proof)
    }

    /// Leaves the output at the level that its limits call safe, and says how that is known.
    /// What reads back as safe is not switched again; `None` where no level is called safe.
    pub async fn make_safe(&self, by: &Deadline) -> Rig<Option<Proof>> {
        let on = match self.limits.safe {
            Level::On => true,
            Level::Off => false,
            Level::Unknown => return Ok(None),
        };
        let level = self.line.read(by).await?;
        if level == self.limits.safe {
            let (output, seen, at) = (self.name.clone(), self.line.seen_by(level), by.clock().now());
            return Ok(Some(Proof { output, on, seen, at }));
        }
        self.set(on, by).await.map(Some)
    }

    /// How long until one more switching on is within the limit of cycles a minute.
    pub async fn until_another_cycle(&self, now: Mono) -> Duration {
        let past = self.past.lock().await;
        let most = self.limits.max_cycles_per_minute.max(1) as usize;
        let nth = past.on_at.len().checked_sub(most).and_then(|index| past.on_at.get(index));
        nth.map_or(Duration::ZERO, |at| (*at + MINUTE).since(now))
    }

    /// Off, the minimum off time, on.
    pub async fn cycle(&self, by: &Deadline) -> Rig<(Proof, Proof)> {
        let off = self.set(false, by).await?;
        Ok((off, self.set(true, by).await?))
    }

    /// On for `held`, then off: a button.
    pub async fn press(&self, held: Duration, by: &Deadline) -> Rig<(Proof, Proof)> {
        let on = self.set(true, by).await?;
        let paused = by.pause(held, || format!("{} held", self.name)).await;
        let off = self.set(false, by).await?;
        paused.map_err(|stop| {
            Fault::new(InfraKind::Power, self.line.driver(), "press", self.line.endpoint()).stopped(stop)
        })?;
        Ok((on, off))
    }

    async fn wait_for_permission(&self, past: &mut Past, by: &Deadline) -> Rig<()> {
        let now = by.clock().now();
        past.on_at.retain(|at| now.since(*at) < MINUTE);
        if past.on_at.len() as u32 >= self.limits.max_cycles_per_minute {
            return Err(Fault::new(InfraKind::Power, self.line.driver(), "switch on", self.line.endpoint())
                .expected(
                    format!("at most {} cycles a minute", self.limits.max_cycles_per_minute),
                    format!("{} in the last minute", past.on_at.len()),
                )
                .hint("the limit protects the board; raise `max-cycles-per-minute` in the rig file if the board bears it"));
        }
        let Some(off_at) = past.off_at else { return Ok(()) };
        let left = (off_at + self.limits.min_off).since(now);
        if left.is_zero() {
            return Ok(());
        }
        // It only has to pass: a starved host may see late that it has.
        by.child("minimum off time", self.limits.min_off + Duration::from_secs(30))
            .at_rig_pace()
            .pause(left, || format!("{} off", self.name))
            .await
            .map_err(|stop| {
                Fault::new(InfraKind::Power, self.line.driver(), "switch on", self.line.endpoint())
                    .stopped(stop)
            })
    }
}
