//! The DUT that is not there: what it does, as time goes by.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shakedown_core::{Clock, ConsoleLog, ImageRef, Mono, NetPath, Unreachable};

use crate::dice::{self, Moment, Scene};
use crate::doc::{Does, SimulationDoc};
use crate::medium::Content;

/// What is seen of a stage, and how far up the way it stands, from 0 to 1.
pub(crate) struct Stage {
    pub(crate) name: String,
    /// What the console says; `None` where it is seen through the shell.
    pub(crate) line: Option<Vec<u8>>,
    pub(crate) at: f64,
}

/// What never changes in a run.
pub(crate) struct Stand {
    pub(crate) slot: String,
    pub(crate) board: String,
    pub(crate) nonce: String,
    pub(crate) doc: SimulationDoc,
    pub(crate) stages: Vec<Stage>,
    pub(crate) image: ImageRef,
    pub(crate) control: Option<ImageRef>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: Arc<ConsoleLog>,
    pub(crate) medium: Arc<Mutex<Content>>,
    /// What is wrong with the slot itself.
    pub(crate) sick: Option<Does>,
}

/// What does.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) on: bool,
    /// The supply failed.
    pub(crate) lost: bool,
    /// Starts so far; what belonged to an earlier one says nothing any more.
    pub(crate) starts: u32,
    /// Since when the shell lets in.
    pub(crate) shell_from: Option<Mono>,
    /// The console answers.
    pub(crate) login: bool,
    /// What the network says instead of what the shell's state would give.
    pub(crate) path: Option<NetPath>,
    asked: BTreeMap<String, u32>,
}

/// The DUT of one run.
pub(crate) struct World {
    pub(crate) stand: Stand,
    state: Mutex<State>,
}

/// What comes of a line of shell.
pub(crate) enum Answer {
    /// It ends with this code and these words, after so long.
    Ends(Duration, i32, String),
    /// Never.
    Never,
    /// The session ends.
    Gone(Unreachable),
}

impl World {
    pub(crate) fn new(stand: Stand) -> Arc<Self> {
        let on = stand.sick == Some(Does::PowerStuck);
        Arc::new(Self { stand, state: Mutex::new(State { on, ..State::default() }) })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decide(&self, moment: Moment<'_>, count: u32) -> Option<Does> {
        // The control image is what a run writes second.
        let images = self.stand.medium.lock().unwrap_or_else(PoisonError::into_inner).images;
        let image = self.stand.control.as_ref().filter(|_| images > 1).unwrap_or(&self.stand.image);
        let Stand { slot, board, nonce, .. } = &self.stand;
        dice::decide(&self.stand.doc, &Scene { slot, board, image, nonce }, moment, count)
    }

    /// The supply is switched.
    pub(crate) fn switch(self: &Arc<Self>, on: bool) {
        if self.stand.sick == Some(Does::PowerStuck) {
            return;
        }
        let was = {
            let mut state = self.state();
            (state.lost, state.login, state.shell_from) = (false, false, None);
            // What ran is no more.
            state.starts += u32::from(!on);
            std::mem::replace(&mut state.on, on)
        };
        if on && !was {
            self.start();
        }
    }

    /// It starts anew, from power-on or by itself.
    fn start(self: &Arc<Self>) {
        let number = {
            let mut state = self.state();
            state.starts += 1;
            (state.shell_from, state.login, state.path) = (None, false, None);
            state.starts
        };
        let fate = self.decide(Moment::Boot, number);
        let world = self.clone();
        tokio::spawn(async move { world.climb(number, fate).await });
    }

    async fn climb(self: Arc<Self>, number: u32, fate: Option<Does>) {
        let Stand { doc, stages, clock, log, nonce, .. } = &self.stand;
        let about = number.to_string();
        // Two boots are never the same: 5 % around the usual.
        let jitter = 0.95 + 0.1 * dice::roll(doc.seed, &["boot", nonce, &self.stand.slot, &about]);
        let slow = if let Some(Does::Slow(times)) = fate { times } else { 1.0 };
        let (began, whole) = (clock.now(), doc.boot.get().mul_f64(jitter * slow));
        if fate == Some(Does::Silent) {
            return;
        }
        for (index, stage) in stages.iter().enumerate() {
            let at = began + whole.mul_f64(stage.at);
            clock.sleep_until(at).await;
            let mut state = self.state();
            if state.starts != number || !state.on || state.lost {
                return;
            }
            if fate == Some(Does::Panic) && (index == 1 || stages.len() == 1) {
                log.append(b"Kernel panic - not syncing: simulated\r\n");
                return;
            }
            match &stage.line {
                Some(line) => {
                    log.append(&[line.as_slice(), b"\r\n"].concat());
                    let more = stages[index + 1..].iter().any(|stage| stage.line.is_some());
                    state.login = !more;
                }
                None => {
                    state.shell_from.get_or_insert(at);
                }
            }
            if matches!(&fate, Some(Does::StuckAfter(name)) if *name == stage.name) {
                return;
            }
        }
        // An OS whose stages are all seen on the console lets in at the end.
        let mut state = self.state();
        state.shell_from.get_or_insert(clock.now());
        state.login = true;
    }

    /// Whether SSH lets in now.
    pub(crate) fn reachable(&self) -> Result<(), Unreachable> {
        let state = self.state();
        match &state.path {
            _ if !state.on || state.lost => Err(Unreachable::NoRoute("the DUT is off".into())),
            Some(NetPath::Refused) => Err(Unreachable::Refused("port of SSH".into())),
            Some(_) => Err(Unreachable::NoRoute("no answer".into())),
            None if state.shell_from.is_some() => Ok(()),
            None => Err(Unreachable::Refused("port of SSH".into())),
        }
    }

    /// What the network says without logging in.
    pub(crate) fn path(&self) -> NetPath {
        let state = self.state();
        if let Some(path) = state.path.clone() {
            return path;
        }
        match (state.on && !state.lost, state.shell_from) {
            (true, Some(_)) => NetPath::Speaks,
            (true, None) => NetPath::Refused,
            (false, _) => NetPath::Silent,
        }
    }

    /// A line of shell that was sent.
    pub(crate) fn answer(self: &Arc<Self>, line: &str) -> Answer {
        if let Err(unreachable) = self.reachable() {
            return Answer::Gone(unreachable);
        }
        let usual = Duration::from_millis(40);
        if line.contains("boot_id") {
            return Answer::Ends(usual, 0, format!("boot-{}\n", self.state().starts));
        }
        let Some(case) = line.strip_prefix(crate::case::ASK) else {
            if line.contains("reboot") && !line.starts_with(crate::case::PREPARE) {
                self.reboot();
            }
            return Answer::Ends(usual, 0, String::new());
        };
        let count = {
            let mut state = self.state();
            let count = state.asked.entry(case.to_owned()).or_default();
            *count += 1;
            *count
        };
        let share = dice::roll(self.stand.doc.seed, &["time", &self.stand.nonce, case, &count.to_string()]);
        let took = Duration::from_millis(300) + Duration::from_secs(2).mul_f64(share);
        self.happens(self.decide(Moment::Case(case), count), took)
    }

    /// It goes down, and starts anew.
    fn reboot(self: &Arc<Self>) {
        let world = self.clone();
        let (now, number) = (self.stand.clock.now(), self.state().starts);
        tokio::spawn(async move {
            world.stand.clock.sleep_until(now + Duration::from_secs(2)).await;
            let still = world.state().starts == number && world.state().on;
            if still {
                world.start();
            }
        });
    }

    fn happens(&self, does: Option<Does>, took: Duration) -> Answer {
        let log = &self.stand.log;
        let mut state = self.state();
        let gone = Answer::Gone(Unreachable::Closed("the session ended".into()));
        match does {
            None => Answer::Ends(took, 0, "simulated: well\n".into()),
            Some(Does::Fail(words)) => Answer::Ends(took, 1, format!("{words}\n")),
            Some(Does::Hang) => Answer::Never,
            Some(Does::Oops) => {
                log.append(b"BUG: unable to handle page fault for address: simulated\r\n");
                Answer::Ends(took, 0, "simulated: well\n".into())
            }
            Some(Does::Panic) => {
                log.append(b"Kernel panic - not syncing: simulated\r\n");
                (state.login, state.path) = (false, Some(NetPath::Silent));
                gone
            }
            Some(Does::LoseShell) => {
                state.path = Some(NetPath::Refused);
                gone
            }
            Some(Does::LoseNetwork) => {
                state.path = Some(NetPath::Silent);
                gone
            }
            Some(Does::GoDark) => {
                (state.login, state.path) = (false, Some(NetPath::Silent));
                gone
            }
            Some(Does::PowerLost) => {
                (state.lost, state.login, state.path) = (true, false, Some(NetPath::Silent));
                gone
            }
            Some(Does::Unplugged) => {
                state.path = Some(NetPath::RigDown("simulated0 has no carrier".into()));
                gone
            }
            // Not of a case: no rule gives them here.
            Some(
                Does::Silent | Does::StuckAfter(_) | Does::Slow(_) | Does::PowerStuck | Does::MediumGone,
            ) => Answer::Ends(took, 0, String::new()),
        }
    }
}
