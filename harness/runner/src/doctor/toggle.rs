//! One slot at a time: who speaks when its power changes?

use std::time::Duration;

use shakedown_core::{Cursor, Fault, Guarded, InfraKind, Slot, Stop};

use super::{Diagnosis, Doctor, Finding, text};

/// A supply, with its minimum off time, or a person.
const SWITCH: Duration = Duration::from_secs(120);
/// A console that is silent for so long belongs to a DUT that is off, or that has said all.
const QUIET: Duration = Duration::from_secs(4);
/// A board lives on its capacitors for a second or two; a DUT that boots by mistake is done after this.
const FADING: Duration = Duration::from_secs(60);
/// After the first byte of one console: others that are powered by the same outlet begin now too.
const TOGETHER: Duration = Duration::from_secs(3);
/// A reset button.
const PRESS: Duration = Duration::from_millis(300);

/// Where the consoles stood.
struct Marks(Vec<Cursor>);

/// What one switching on and off showed.
#[derive(Default)]
struct Heard {
    /// Slots whose consoles spoke when it was switched on.
    on: Vec<usize>,
    /// Slots whose consoles spoke when it was switched off again.
    off: Vec<usize>,
    /// What its own console said.
    bytes: Vec<u8>,
}

impl Doctor<'_> {
    /// Correlates the power of each slot with the consoles of all.
    pub(super) async fn powers(&self, slots: &[Slot]) -> Vec<Finding> {
        let mut found = Vec::new();
        for slot in slots {
            if let Err(fault) = self.switch(slot, false).await {
                found.push(self.found(slot, "power", Diagnosis::Broken(Box::new(fault))));
            }
        }
        let loud = match self.quiet(slots).await {
            Ok(loud) => loud,
            Err(stop) => return self.stopped(slots, &stop, found),
        };
        let mut heard = Vec::new();
        for (index, slot) in slots.iter().enumerate() {
            if slot.power.is_none() || found.iter().any(|finding| finding.slot == slot.id) {
                heard.push(None);
                continue;
            }
            if loud.contains(&index) {
                found.push(self.found(slot, "power", Diagnosis::NotPowered));
                heard.push(None);
                continue;
            }
            match self.once(slots, slot, &loud).await {
                Ok(Ok(one)) => heard.push(Some(one)),
                Ok(Err(fault)) => {
                    found.push(self.found(slot, "power", Diagnosis::Broken(Box::new(fault))));
                    heard.push(None);
                }
                Err(stop) => return self.stopped(slots, &stop, found),
            }
        }
        for (index, one) in heard.iter().enumerate() {
            let Some(one) = one else { continue };
            let slot = &slots[index];
            let (part, diagnosis) = self.judge(slots, index, one, &heard).await;
            found.push(self.found(slot, part, diagnosis));
            if let Some(text) = text::garbled(&one.bytes) {
                let diagnosis = Diagnosis::WrongBaud { text, bytes: one.bytes.len() };
                found.push(self.found(slot, "consoles.main", diagnosis));
            }
        }
        found
    }

    fn stopped(&self, slots: &[Slot], stop: &Stop, mut found: Vec<Finding>) -> Vec<Finding> {
        for slot in slots.iter().filter(|slot| slot.power.is_some()) {
            found.push(self.found(slot, "power", Diagnosis::NotTried(stop.to_string())));
        }
        found
    }

    async fn switch(&self, slot: &Slot, on: bool) -> Result<(), Fault> {
        let Some(power) = &slot.power else { return Ok(()) };
        power.set(on, &self.wait(format!("power of {}", slot.id), SWITCH)).await.map(drop)
    }

    fn marks(slots: &[Slot]) -> Marks {
        Marks(slots.iter().map(|slot| slot.log().map(|log| log.here()).unwrap_or_default()).collect())
    }

    fn spoke(slots: &[Slot], since: &Marks, but: &[usize]) -> Vec<usize> {
        let moved = |index: &usize| {
            slots[*index].log().is_some_and(|log| log.here() > since.0[*index]) && !but.contains(index)
        };
        (0..slots.len()).filter(moved).collect()
    }

    /// Waits until all consoles are silent; returns those that never are.
    async fn quiet(&self, slots: &[Slot]) -> Result<Vec<usize>, Stop> {
        let whole = self.wait("the consoles to fall silent", FADING);
        loop {
            let since = Self::marks(slots);
            let seen = || "consoles that go on".to_owned();
            let paused = whole.pause(QUIET, seen).await;
            let loud = Self::spoke(slots, &since, &[]);
            match paused {
                Ok(()) if loud.is_empty() => return Ok(loud),
                Ok(()) => {}
                Err(Stop::Late(_)) => return Ok(loud),
                Err(stop) => return Err(stop),
            }
        }
    }

    /// Waits for the first console to speak, and a little longer for others.
    async fn wake(&self, slots: &[Slot], since: &Marks, but: &[usize]) -> Result<Vec<usize>, Stop> {
        let whole = self.wait("a console to speak", self.awake);
        while Self::spoke(slots, since, but).is_empty() {
            match whole.pause(Duration::from_millis(50), || "silence".to_owned()).await {
                Ok(()) => {}
                Err(Stop::Late(_)) => return Ok(Vec::new()),
                Err(stop) => return Err(stop),
            }
        }
        let others = self.wait("other consoles to speak", TOGETHER + QUIET);
        others.pause(TOGETHER, || "one that speaks".to_owned()).await?;
        Ok(Self::spoke(slots, since, but))
    }

    /// On, listen, off, listen.
    async fn once(&self, slots: &[Slot], slot: &Slot, loud: &[usize]) -> Result<Result<Heard, Fault>, Stop> {
        let mut heard = Heard::default();
        let since = Self::marks(slots);
        if let Err(fault) = self.switch(slot, true).await {
            return Ok(Err(fault));
        }
        heard.on = self.wake(slots, &since, loud).await?;
        if let Some(log) = slot.log() {
            let index = slots.iter().position(|other| other.id == slot.id).unwrap_or_default();
            heard.bytes = log.bytes(since.0[index], log.here());
        }
        let off = Self::marks(slots);
        if let Err(fault) = self.switch(slot, false).await {
            return Ok(Err(fault));
        }
        if heard.on.is_empty() {
            // It may start only now.
            heard.off = self.wake(slots, &off, loud).await?;
        }
        self.quiet(slots).await?;
        Ok(Ok(heard))
    }

    async fn judge(
        &self,
        slots: &[Slot],
        index: usize,
        one: &Heard,
        all: &[Option<Heard>],
    ) -> (&'static str, Diagnosis) {
        let name = |index: &usize| slots[*index].id.clone();
        match one.on[..] {
            [only] if only == index => {
                let proof = "its console speaks when it is switched on, and is silent when it is off";
                ("power", Diagnosis::Fine(proof.into()))
            }
            [] if !one.off.is_empty() => ("power", Diagnosis::Inverted),
            [] => ("power", Diagnosis::Silent),
            [other] if all[other].as_ref().is_some_and(|back| back.on == [index]) => {
                // The pair is told apart once, and both are told.
                let (first, second) = (index.min(other), index.max(other));
                match self.which(slots, first, second).await {
                    Some(true) => ("consoles.main", Diagnosis::ConsolesSwapped(name(&other))),
                    Some(false) => ("power", Diagnosis::OutletsSwapped(name(&other))),
                    None => ("power", Diagnosis::Swapped(name(&other))),
                }
            }
            _ => ("power", Diagnosis::Wakes(one.on.iter().map(name).collect())),
        }
    }

    /// Whether it is the consoles that are swapped (`true`) or the outlets: the reset button of a slot
    /// goes to the same board as its outlet in the one case, as its console in the other. `None`
    /// where nothing tells.
    async fn which(&self, slots: &[Slot], first: usize, second: usize) -> Option<bool> {
        let pair = [first, second];
        let button = |index: &usize| -> Option<(usize, &Guarded)> {
            slots[*index].outputs.get("reset").map(|reset| (*index, reset))
        };
        let (pressed, reset) = pair.iter().find_map(button)?;
        let heard = self.press(slots, &pair, reset).await;
        for index in pair {
            if let Err(fault) = self.switch(&slots[index], false).await {
                self.found(&slots[index], "power", Diagnosis::Broken(Box::new(fault)));
            }
        }
        match heard {
            Ok(spoke) => match spoke[..] {
                [only] if only == pressed => Some(false),
                [only] if pair.contains(&only) => Some(true),
                _ => None,
            },
            Err(fault) => {
                self.found(&slots[pressed], "outputs.reset", Diagnosis::Broken(Box::new(fault)));
                None
            }
        }
    }

    /// Who speaks when this button is pressed while both are on.
    async fn press(&self, slots: &[Slot], pair: &[usize], reset: &Guarded) -> Result<Vec<usize>, Fault> {
        let stopped = |stop| Fault::new(InfraKind::Power, "doctor", "press", reset.describe()).stopped(stop);
        for index in pair {
            let since = Self::marks(slots);
            self.switch(&slots[*index], true).await?;
            // Silence before its first word is none that follows its last.
            self.wake(slots, &since, &[]).await.map_err(stopped)?;
        }
        self.quiet(slots).await.map_err(stopped)?;
        let since = Self::marks(slots);
        reset.press(PRESS, &self.wait("reset", SWITCH)).await?;
        self.wake(slots, &since, &[]).await.map_err(stopped)
    }
}
