//! A probe and its chip, shared by all of this process that name the same: opened when needed, on one
//! thread, and let go when nobody needs it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ::probe_rs::config::Registry;
use ::probe_rs::probe::list::{Accessibility, Lister};
use ::probe_rs::probe::{DebugProbeSelector, WireProtocol};
use ::probe_rs::{Core, CoreStatus, CoreType, MemoryInterface as _, Permissions, Session, Target};
use shakedown_core::{Deadline, Fault, InfraKind, Rig};

use super::{Conf, NAME};
use crate::probe::FoundProbe;
use crate::worker::Worker;

/// Opening, and one operation on the core.
pub(super) const SHORT: Duration = Duration::from_secs(20);
/// Which core it is, by its maker's number (Arm's architecture manuals, CPUID base register).
const CPUID: u64 = 0xE000_ED00;
/// Only the first core of a chip is spoken with.
pub(crate) const CORE: usize = 0;

/// How far an operation is, for whoever waits for it.
#[derive(Clone, Default)]
pub(super) struct Step(Arc<Mutex<String>>);

impl Step {
    pub(super) fn at(&self, what: impl Into<String>) {
        *self.lock() = what.into();
    }

    pub(super) fn seen(&self) -> String {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One probe with its chip.
pub(crate) struct Held {
    conf: Conf,
    selector: DebugProbeSelector,
    target: Target,
    worker: Arc<Worker>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    session: Option<Session>,
    /// Ending a session lets the core go, which must not be while it is to stand.
    stands: bool,
    /// How many follow what the chip says: for them it is kept open.
    followers: usize,
}

impl Drop for Open {
    fn drop(&mut self) {
        if let (Some(session), true) = (self.session.take(), self.stands) {
            // The library lets a core run when a session ends. The process's end closes the probe.
            std::mem::forget(session);
        }
    }
}

static ALL: Mutex<BTreeMap<String, Weak<Held>>> = Mutex::new(BTreeMap::new());

impl Held {
    /// The one of these settings.
    pub(crate) fn of(conf: &Conf) -> Rig<Arc<Self>> {
        let refused = |what: &str, got: String| {
            Fault::new(InfraKind::Config, NAME, "open", &conf.probe).expected(what, got)
        };
        let key = format!("{} {} {}", conf.probe, conf.chip, conf.description.display());
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = all.get(&key).and_then(Weak::upgrade).filter(|held| held.conf == *conf) {
            return Ok(held);
        }
        let selector = conf.probe.parse::<DebugProbeSelector>();
        let selector = selector.map_err(|error| refused("a probe's name", error.to_string()))?;
        let file = conf.description.display();
        let text = std::fs::read_to_string(&conf.description)
            .map_err(|error| refused("a chip's description", format!("{file}: {error}")))?;
        let mut known = Registry::new();
        known
            .add_target_family_from_yaml(&text)
            .map_err(|error| refused("a chip's description", format!("{file}: {error}")))?;
        // The library takes the beginning of a name too.
        let target = known.get_target_by_name(&conf.chip).ok().filter(|target| target.name == conf.chip);
        let target = target.ok_or_else(|| {
            let chips = known.families().iter().flat_map(|family| &family.variants);
            let chips = chips.map(|chip| chip.name.as_str()).collect::<Vec<_>>().join(", ");
            refused(&format!("the chip {} in {file}", conf.chip), format!("only {chips}"))
        })?;
        if !target.cores.first().is_some_and(|core| core.core_type.is_cortex_m()) {
            return Err(refused(
                "a Cortex-M, whose reset can be proven",
                format!("{} of {file}", target.name),
            ));
        }
        let worker = Worker::for_probe(NAME, &conf.probe)?;
        let held = Arc::new(Self { conf: conf.clone(), selector, target, worker, open: Mutex::default() });
        all.retain(|_, held| held.strong_count() > 0);
        all.insert(key, Arc::downgrade(&held));
        Ok(held)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("{} behind {}", self.target.name, self.conf.probe)
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn fault(&self, op: &str) -> Fault {
        Fault::new(InfraKind::Probe, NAME, op, self.endpoint())
    }

    /// An error of the library, with how far the work was.
    pub(super) fn failed(&self, op: &str, step: &Step, error: &dyn std::error::Error) -> Fault {
        let done = format!("an error; last seen: {}", step.seen());
        self.fault(op).expected("it done", done).because(error)
    }

    /// Keeps the probe open for somebody who asks it again and again.
    pub(crate) fn follow(self: Arc<Self>) -> Following {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).followers += 1;
        Following(self)
    }

    /// Does this with the chip, on the probe's thread.
    pub(super) async fn with<T: Send + 'static>(
        self: &Arc<Self>,
        op: &'static str,
        within: Duration,
        by: &Deadline,
        work: impl FnOnce(&Self, &mut Session, &Step, &Deadline) -> Rig<T> + Send + 'static,
    ) -> Rig<T> {
        let (held, step) = (self.clone(), Step::default());
        let far = step.clone();
        let job =
            move |by: &Deadline| held.on_thread(op, &step, |held, session| work(held, session, &step, by));
        self.worker.watched(op, by, within, move || far.seen(), job).await
    }

    fn on_thread<T>(
        &self,
        op: &str,
        step: &Step,
        work: impl FnOnce(&Self, &mut Session) -> Rig<T>,
    ) -> Rig<T> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let held = open.session.take();
        // The library asserts what a probe has no duty to say.
        let done = catch_unwind(AssertUnwindSafe(|| {
            let mut session = match held {
                Some(session) => session,
                None => self.attach(op, step)?,
            };
            let done = work(self, &mut session)?;
            step.at("the work done, and the core looked at");
            let core = session.core(CORE).and_then(|mut core| core.status());
            let status = core.map_err(|error| self.failed(op, step, &error))?;
            Ok((done, session, matches!(status, CoreStatus::Halted(_))))
        }));
        let done = done.unwrap_or_else(|_| {
            let got = format!("a defect in the library; last seen: {}", step.seen());
            Err(self.fault(op).expected("it done", got))
        });
        match done {
            Ok((done, session, stands)) => {
                open.stands = stands;
                if stands || open.followers > 0 {
                    open.session = Some(session);
                }
                Ok(done)
            }
            Err(fault) if fault.causes.is_empty() || fault.kind != InfraKind::Probe => Err(fault),
            Err(fault) => Err(self.whose(fault)),
        }
    }

    /// Whether the probe itself is still there, after an error on the way.
    fn whose(&self, mut fault: Fault) -> Fault {
        if fault.hint.is_none() && Lister::new().open(self.selector.clone()).is_err() {
            fault.got = format!("no probe any more ({})", fault.got);
            fault.hint = Some("is it still plugged in? `shakedown probe list` shows those that are".into());
        }
        fault
    }

    fn attach(&self, op: &str, step: &Step) -> Rig<Session> {
        step.at("the probe not open yet");
        let mut probe = Lister::new().open(self.selector.clone()).map_err(|error| {
            let fault = self.fault(op).expected(format!("the probe {}", self.conf.probe), "none that opens");
            let hint =
                "`shakedown probe list` shows those that are plugged in, and whether you may open them";
            fault.because(&error).hint(hint)
        })?;
        step.at(format!("the probe open ({})", probe.get_name()));
        let silent = |error: &dyn std::error::Error| {
            let got = format!("none; last seen: {}", step.seen());
            let fault = self.fault(op).expected(format!("an answer from {}", self.target.name), got);
            fault.because(error)
        };
        probe.select_protocol(WireProtocol::Swd).map_err(|error| silent(&error))?;
        let attached = probe.attach_with_registry(self.target.clone(), Permissions::new(), &Registry::new());
        let mut session = attached.map_err(|error| silent(&error))?;
        step.at("attached");
        self.identify(op, step, &mut session)?;
        Ok(session)
    }

    /// Refuses another chip than the one that was described.
    fn identify(&self, op: &str, step: &Step, session: &mut Session) -> Rig<()> {
        let mut core = session.core(CORE).map_err(|error| self.failed(op, step, &error))?;
        let wanted = core.core_type();
        let cpuid = self.word(op, step, &mut core, CPUID)?;
        let other = |expected: String, got: String| {
            let hint = "another chip is wired to this probe, or the rig file's `chip` is wrong";
            Err(self.fault(op).expected(expected, got).hint(hint))
        };
        let part = cpuid >> 4 & 0xFFF;
        if family(part) != Some(wanted) {
            let got = format!("CPUID {cpuid:#010x}: {}", part_name(part));
            return other(format!("a core of {wanted:?} ({})", self.target.name), got);
        }
        if let Some(word) = self.conf.identity {
            let got = self.word(op, step, &mut core, word.address.into())?;
            if got & word.mask != word.value {
                let expected =
                    format!("{:#010x} at {:#010x} ({})", word.value, word.address, self.target.name);
                return other(expected, format!("{:#010x}", got & word.mask));
            }
        }
        step.at("attached, and the chip is the one");
        Ok(())
    }

    pub(super) fn word(&self, op: &str, step: &Step, core: &mut Core<'_>, at: u64) -> Rig<u32> {
        core.read_word_32(at).map_err(|error| self.failed(op, step, &error))
    }
}

/// The right to a probe that is kept open.
pub(crate) struct Following(Arc<Held>);

impl Following {
    /// Does this with the chip, on the thread of whoever follows it.
    pub(crate) fn with<T, E: std::error::Error>(
        &self,
        op: &str,
        work: impl FnOnce(&mut Session) -> Result<T, E>,
    ) -> Rig<T> {
        let step = Step::default();
        self.0.on_thread(op, &step, |held, session| {
            work(session).map_err(|error| held.failed(op, &step, &error))
        })
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.followers -= 1;
        if open.followers == 0 && !open.stands {
            open.session = None;
        }
    }
}

/// The architecture of a core by its part number (Arm's manuals of the cores).
fn family(part: u32) -> Option<CoreType> {
    Some(match part {
        0xC20 | 0xC60 | 0xC21 => CoreType::Armv6m,
        0xC23 => CoreType::Armv7m,
        0xC24 | 0xC27 => CoreType::Armv7em,
        0xD20..=0xD24 => CoreType::Armv8m,
        _ => return None,
    })
}

fn part_name(part: u32) -> String {
    match part {
        0xC20 => "Cortex-M0".into(),
        0xC60 => "Cortex-M0+".into(),
        0xC21 => "Cortex-M1".into(),
        0xC23 => "Cortex-M3".into(),
        0xC24 => "Cortex-M4".into(),
        0xC27 => "Cortex-M7".into(),
        0xD20 => "Cortex-M23".into(),
        0xD21 => "Cortex-M33".into(),
        part => format!("a core with the part number {part:#05x}"),
    }
}

/// The probes of this host.
pub(in crate::probe) async fn list(by: &Deadline) -> Rig<Vec<FoundProbe>> {
    let worker = Worker::for_probe(NAME, "all probes")?;
    let job = |_: &Deadline| {
        let found = Lister::new().list_all_with_access().into_iter().map(|item| FoundProbe {
            id: DebugProbeSelector::from(&item.info).to_string(),
            name: item.info.identifier,
            ours: item.accessibility == Accessibility::Accessible,
        });
        Ok(found.collect())
    };
    worker.run("list", by, job).await
}
