//! What is wired right on a rig, and what is not: looks, and one switching at a time.
//!
//! First every part is looked at without changing anything. Then all slots are switched off, and
//! one after the other on and off again, while *all* consoles are listened to: who speaks when
//! tells crossed wires apart. Nothing that is listened to here is judged by an OS: the first bytes
//! of any firmware will do.

mod text;
mod toggle;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{
    Capture, Clock, Deadline, Fault, Guarded, InfraKind, Level, NetPath, Network, Pace, Provision, Side, Slot,
};
use tokio_util::sync::CancellationToken;

use crate::thread::on_thread;

/// A part answers a question within this.
const LOOK: Duration = Duration::from_secs(30);
/// Where an SSH server listens, as far as one knows without an OS.
const SSH: u16 = 22;
/// A grabber that starts, and its first frames.
const PICTURE: Duration = Duration::from_secs(15);
/// A program says its version at once; one in a container may have to be unpacked first.
const TOOL: Duration = Duration::from_secs(60);
/// A closed line says so at once.
const CLOSED: Duration = Duration::from_millis(50);
/// A mux and the reader behind it, or a person.
const MUX: Duration = Duration::from_secs(120);

/// What was found of one part of a slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// `rig/slot`.
    pub slot: String,
    /// `power`, `outputs.reset`, `consoles.main`, `media.main`, `network`, `capture`, `tools.uuu`.
    pub part: String,
    /// What.
    pub diagnosis: Diagnosis,
}

/// What is the matter with a part.
#[derive(Clone, Debug, PartialEq)]
pub enum Diagnosis {
    /// It does what it should: how that is known.
    Fine(String),
    /// It works as far as one can tell, and this cannot be told.
    Unproven(String),
    /// It was not tried: why.
    NotTried(String),
    /// It does not work.
    Broken(Box<Fault>),
    /// Bytes come, and few of them are text: in percent.
    WrongBaud {
        /// Share of bytes that are text.
        text: u32,
        /// How many came.
        bytes: usize,
    },
    /// It is on when it should be off: a relay's NC contact instead of NO, or `active-low` missing.
    Inverted,
    /// Its console and that of another slot are swapped.
    ConsolesSwapped(String),
    /// Its outlet and that of another slot are swapped.
    OutletsSwapped(String),
    /// Its outlet or its console is swapped with that of another slot; nothing tells which.
    Swapped(String),
    /// Switching it on makes these slots' consoles speak, and not its own alone.
    Wakes(Vec<String>),
    /// Switching it on makes no console of the rig speak.
    Silent,
    /// Its console goes on while the power is off.
    NotPowered,
    /// The mux does not bring the medium to the host, or not back.
    DeadMux(Box<Fault>),
}

impl Diagnosis {
    /// Whether something has to be mended.
    pub fn is_wrong(&self) -> bool {
        !matches!(self, Self::Fine(_) | Self::Unproven(_) | Self::NotTried(_))
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fine(proof) => write!(f, "ok: {proof}"),
            Self::Unproven(what) => write!(f, "not proven: {what}"),
            Self::NotTried(why) => write!(f, "not tried: {why}"),
            Self::Broken(fault) => write!(f, "does not work: {fault}"),
            Self::WrongBaud { text, bytes } => write!(
                f,
                "wrong baud: {bytes} bytes came, and only {text} % of them are text; try another `baud`"
            ),
            Self::Inverted => f.write_str(
                "inverted: the DUT starts when it is switched off; the relay's NO and NC contacts are exchanged, or \
                 `active-low` is wrong",
            ),
            Self::ConsolesSwapped(other) => write!(
                f,
                "the consoles of this slot and {other} are swapped: outlet and reset agree, and the other console speaks"
            ),
            Self::OutletsSwapped(other) => write!(
                f,
                "the outlets of this slot and {other} are swapped: console and reset agree, and the other outlet powers them"
            ),
            Self::Swapped(other) => write!(
                f,
                "the outlets or the consoles of this slot and {other} are swapped; a wired `reset` would tell which"
            ),
            Self::Wakes(slots) => {
                write!(f, "switching it on makes the console of {} speak", slots.join(" and of "))
            }
            Self::Silent => f.write_str(
                "no console of the rig speaks when it is switched on: a dead or wrong outlet, or a console that is not \
                 connected (look at GND, RX and TX)",
            ),
            Self::NotPowered => {
                f.write_str("its console goes on while everything is off: this outlet does not power the DUT")
            }
            Self::DeadMux(fault) => write!(f, "dead mux: {fault}"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.slot, self.part, self.diagnosis)
    }
}

/// What the doctor works with.
pub struct Doctor<'a> {
    /// The run's clock.
    pub clock: Arc<dyn Clock>,
    /// Ends the examination; the slots are made safe all the same.
    pub cancel: CancellationToken,
    /// How long a DUT may be silent after power-on.
    pub awake: Duration,
    /// Told each finding as it comes.
    pub tell: &'a (dyn Fn(&Finding) + Sync),
}

impl Doctor<'_> {
    pub(crate) fn wait(&self, name: impl Into<Arc<str>>, span: Duration) -> Deadline {
        Deadline::new(name, span, Pace::Rig, self.clock.clone(), self.cancel.clone())
    }

    fn found(&self, slot: &Slot, part: impl Into<String>, diagnosis: Diagnosis) -> Finding {
        let finding = Finding { slot: slot.id.clone(), part: part.into(), diagnosis };
        (self.tell)(&finding);
        finding
    }

    /// Looks at everything; switches nothing.
    pub async fn look(&self, slots: &[Slot]) -> Vec<Finding> {
        let mut found = Vec::new();
        for slot in slots {
            for (part, output) in outputs(slot) {
                let by = self.wait(format!("the state of {part}"), LOOK);
                let diagnosis = match output.status(&by).await {
                    Ok(Level::Unknown) => {
                        Diagnosis::Unproven(format!("{} cannot be read back", output.describe()))
                    }
                    Ok(level) => Diagnosis::Fine(format!("{} reads back {level}", output.describe())),
                    Err(fault) => Diagnosis::Broken(Box::new(fault)),
                };
                found.push(self.found(slot, part, diagnosis));
            }
            for (name, console) in &slot.consoles {
                let mut here = console.log.here();
                let brief = self.wait(format!("the end of {name}"), CLOSED);
                let diagnosis = match brief.run(String::new, console.log.next(&mut here)).await {
                    Ok(Err(closed)) => Diagnosis::Broken(Box::new(
                        Fault::new(InfraKind::Console, "console", "follow", name)
                            .expected("an open line", closed.why),
                    )),
                    _ => Diagnosis::Fine("the line is open".into()),
                };
                found.push(self.found(slot, format!("consoles.{name}"), diagnosis));
            }
            for (name, medium) in &slot.media {
                let by = self.wait(format!("the side of {name}"), LOOK);
                let diagnosis = match medium.side(&by).await {
                    Ok(side) => {
                        Diagnosis::Fine(format!("{} {}: {side:?}", medium.driver(), medium.endpoint()))
                    }
                    Err(fault) => Diagnosis::Broken(Box::new(fault)),
                };
                found.push(self.found(slot, format!("media.{name}"), diagnosis));
            }
            if let Some(network) = &slot.network {
                let diagnosis = self.network(network.as_ref()).await;
                found.push(self.found(slot, "network", diagnosis));
            }
            if let Some(capture) = &slot.capture {
                let diagnosis = self.picture(capture.as_ref()).await;
                found.push(self.found(slot, "capture", diagnosis));
            }
            for (name, tool) in &slot.tools {
                let by = self.wait(format!("the version of {name}"), TOOL);
                let diagnosis = match tool.check(&by).await {
                    Ok(version) => Diagnosis::Fine(version),
                    Err(fault) => Diagnosis::Broken(Box::new(fault)),
                };
                found.push(self.found(slot, format!("tools.{name}"), diagnosis));
            }
            if slot.power.is_none() {
                let why = "nothing here switches the power".to_owned();
                found.push(self.found(slot, "power", Diagnosis::NotTried(why)));
            }
        }
        found
    }

    /// Switches: power one slot at a time, and each mux to the host and back. Ends with everything safe.
    pub async fn toggle(&self, slots: &[Slot]) -> Vec<Finding> {
        let mut found = self.powers(slots).await;
        for slot in slots {
            for (name, medium) in &slot.media {
                let shown = matches!(slot.board.provision, Provision::UsbBoot(_) | Provision::UsbMassStorage);
                let diagnosis = if shown {
                    let why = "it is a disk of this host only while the board is in its USB boot mode";
                    Diagnosis::NotTried(why.to_owned())
                } else {
                    self.mux(medium.as_ref()).await
                };
                found.push(self.found(slot, format!("media.{name}"), diagnosis));
            }
        }
        found.extend(self.make_safe(slots).await);
        found
    }

    /// The rig's own end must be in order; a DUT that is off does not answer.
    async fn network(&self, network: &dyn Network) -> Diagnosis {
        let own = match network.look(&self.wait("the rig's end of the network", LOOK)).await {
            Ok(own) => own,
            Err(fault) => return Diagnosis::Broken(Box::new(fault)),
        };
        match network.path(SSH, &self.wait("a first byte of the DUT", LOOK)).await {
            NetPath::Speaks => Diagnosis::Fine(format!("{own}, and the DUT's port {SSH} speaks")),
            NetPath::Mute | NetPath::Refused => Diagnosis::Fine(format!("{own}, and the DUT answers")),
            NetPath::Silent | NetPath::Unknown | NetPath::RigDown(_) => Diagnosis::Unproven(format!(
                "{own}, and no DUT answers: it may be off, or its OS may have no network"
            )),
        }
    }

    /// A DUT that is off shows nothing, which is no fault of its capture.
    async fn picture(&self, capture: &dyn Capture) -> Diagnosis {
        match capture.screenshot(&self.wait("a picture of the screen", PICTURE)).await {
            Ok(png) => Diagnosis::Fine(format!("took a picture of the screen, {} bytes", png.len())),
            Err(fault) if fault.kind == InfraKind::Screen => Diagnosis::Unproven(fault.to_string()),
            Err(fault) => Diagnosis::Broken(Box::new(fault)),
        }
    }

    async fn mux(&self, medium: &dyn shakedown_core::Storage) -> Diagnosis {
        let by = self.wait("the medium to change sides", MUX);
        let there_and_back = async {
            for side in [Side::Host, Side::Dut] {
                let got = medium.switch(side, &by).await?;
                if got != side {
                    return Err(Fault::new(InfraKind::Storage, medium.driver(), "switch", medium.endpoint())
                        .expected(format!("{side:?}"), format!("{got:?}")));
                }
                if side == Side::Host {
                    let mut open = medium.open(&by).await?;
                    let read = move || {
                        let mut first = vec![0; open.len().min(4096) as usize];
                        open.read_at(0, &mut first)
                    };
                    on_thread("first read", &by, String::new, read).await?.map_err(|error| {
                        Fault::new(InfraKind::Medium, medium.driver(), "read", medium.endpoint())
                            .because(&error)
                    })?;
                }
            }
            Ok(())
        };
        match there_and_back.await {
            Ok(()) => Diagnosis::Fine("went to the host, was read, and went back to the DUT".into()),
            Err(fault) => Diagnosis::DeadMux(Box::new(fault)),
        }
    }

    async fn make_safe(&self, slots: &[Slot]) -> Vec<Finding> {
        let mut found = Vec::new();
        // Also when the examination was interrupted.
        let by = Deadline::new("safe state", MUX, Pace::Rig, self.clock.clone(), CancellationToken::new());
        for slot in slots {
            for output in slot.outputs.values().chain(&slot.power) {
                if let Err(fault) = output.make_safe(&by).await {
                    let diagnosis = Diagnosis::Broken(Box::new(fault));
                    found.push(self.found(slot, output.name(), diagnosis));
                }
            }
        }
        found
    }
}

/// The outputs with the names under which findings speak of them.
fn outputs(slot: &Slot) -> impl Iterator<Item = (String, &Guarded)> {
    let power = slot.power.iter().map(|power| ("power".to_owned(), power));
    power.chain(slot.outputs.iter().map(|(name, output)| (format!("outputs.{name}"), output)))
}

#[cfg(test)]
mod tests;
