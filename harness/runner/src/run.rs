//! The whole of a run, from the image to the safe state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::event::Planned;
use shakedown_core::{
    Blame, BootSpec, Case, CaseId, Cut, Dut, Effect, Event, ExitCode, Fault, Ledger, OsProfile, Outcome,
    Procedure, Shells, Sink, Slot, event,
};
use shakedown_media::Identity as Identified;
use tokio_util::sync::CancellationToken;

use crate::adjudicate::{Decision, adjudicate};
use crate::cases::{Executor, Halt};
use crate::control::Control;
use crate::dut::{LiveDut, Parts};
use crate::folder::RunFolder;
use crate::identity::Identity;
use crate::kept::Kept;
use crate::observe::{last_lines, observe};
use crate::procedure::{Does, Work, in_memory, installs, netboots, own_storage, tool_of, works, writes_by};
use crate::provision::{self, Provisioned, Writing};
use crate::sink::JournalSink;
use crate::steps::{Stopped, fail_step, refuse, shown, step};
use crate::tool::{self, Before, Wants};
use crate::waiting::Waiting;
use crate::{collect, control, cycles, installer, netboot, wiring};

pub use shakedown_core::ledger::BOOT;

/// What a bring-up looks at before it believes any boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Examine {
    /// The wiring: switch, listen, and the medium there and back.
    pub wiring: bool,
    /// How often the supply is cut, to learn how long the board needs without it; 0: not at all.
    pub power_cycles: u32,
}

/// What is asked for.
pub struct Request {
    /// Where.
    pub slot: Slot,
    /// What the OS promises.
    pub profile: Arc<OsProfile>,
    /// What the run is about, image included.
    pub head: event::RunHead,
    /// The board's stages and the profile's, composed.
    pub spec: BootSpec,
    /// The image under test, identified in this process.
    pub image: Arc<Identified>,
    /// How it gets onto the board: one that is [`crate::executable`].
    pub procedure: Procedure,
    /// The cases, in order of effect.
    pub cases: Vec<Arc<dyn Case>>,
    /// Attempts at each.
    pub repeat: u32,
    /// The fact `cold-boots`: how often the case of that name cuts the power.
    pub cold_boots: u32,
    /// What is looked at before the first boot counts.
    pub examine: Examine,
    /// Leave the DUT switched on at the end.
    pub keep: bool,
    /// How much of the image is written.
    pub writing: Writing,
    /// A known-good image that settles an open question of blame.
    pub control: Option<Arc<Identified>>,
    /// This run's names and keys.
    pub identity: Identity,
    /// Makes shells.
    pub shells: Arc<dyn Shells>,
    /// Takes events.
    pub sink: Arc<JournalSink>,
    /// Where files go.
    pub folder: RunFolder,
    /// Files that somebody else writes into the folder: name and role.
    pub recordings: Vec<(String, String)>,
    /// Stops the run.
    pub cancel: CancellationToken,
    /// The verdict in one line.
    pub verdict: fn(&Ledger) -> String,
}

/// A run that came to its end.
pub struct Ended {
    /// What the process returns.
    pub exit: ExitCode,
    /// The DUT, if it was to be kept and the run was not interrupted.
    pub kept: Option<Kept>,
}

/// Runs it. Everything that came of it is in the journal.
pub async fn run(request: Request) -> Ended {
    let clock = match request.slot.log() {
        Some(log) => log.clock().clone(),
        None => shakedown_core::RealClock::start(),
    };
    let began = clock.now();
    let waiting = Waiting::new(clock.clone());
    let (sink, verdict) = (request.sink.clone(), request.verdict);
    let cancel = request.cancel.clone();
    sink.emit(Event::RunStarted(Box::new(request.head.clone())));
    let mut kept = None;
    let halted = Box::pin(whole(request, waiting.clone(), &mut kept)).await;
    let mut ledger = sink.ledger();
    let exit = match &halted {
        // Also when it came after the last case: not everything that was asked for was done.
        _ if cancel.is_cancelled() => ExitCode::Interrupted,
        Ok(()) => ledger.exit(),
        Err(Halt::Interrupted) => ExitCode::Interrupted,
        Err(Halt::Journal) => ExitCode::Infra.and(ledger.exit()),
    };
    let whole_millis = |span: Duration| Duration::from_millis(span.as_millis() as u64);
    // In the journal's unit, so that the sentence is the same for whoever reads it there.
    let (took, waited) = (whole_millis(clock.now().since(began)), whole_millis(waiting.total()));
    ledger.end = Some((exit, String::new(), took, waited));
    sink.emit(Event::RunEnded { exit, verdict: verdict(&ledger), took, waited });
    let exit = match sink.health() {
        Ok(()) => exit,
        Err(_) => exit.and(ExitCode::Infra),
    };
    Ended { exit, kept }
}

/// Records a run whose slot could not be opened: it has a journal and a verdict like any other.
pub fn not_opened(
    head: event::RunHead,
    fault: Fault,
    exit: ExitCode,
    sink: &JournalSink,
    verdict: fn(&Ledger) -> String,
) {
    sink.emit(Event::RunStarted(Box::new(head)));
    let Decision { outcome, blame, because } =
        adjudicate(&Cut::Rig(fault), &crate::adjudicate::Observed::healthy());
    fail_step(sink, "preflight", outcome, blame, because);
    let (took, waited) = (Duration::ZERO, Duration::ZERO);
    let ledger = Ledger { end: Some((exit, String::new(), took, waited)), ..sink.ledger() };
    sink.emit(Event::RunEnded { exit, verdict: verdict(&ledger), took, waited });
}

async fn whole(request: Request, waiting: Waiting, kept: &mut Option<Kept>) -> Result<(), Halt> {
    let Request {
        slot,
        profile,
        spec,
        head,
        image,
        procedure,
        cases,
        repeat,
        cold_boots,
        examine,
        keep,
        writing,
        control,
        identity,
        shells,
        sink,
        folder,
        recordings,
        cancel,
        ..
    } = request;
    let mut facts: BTreeMap<String, String> = BTreeMap::new();
    facts.insert("version".into(), head.image.version.clone().unwrap_or_default());
    facts.insert("image".into(), head.image.payload.to_string());
    facts.insert("cold-boots".into(), cold_boots.to_string());
    let mut extra = Vec::new();
    let mut spec = spec;
    if installs(&procedure) {
        installer::expects_no_installer(&mut spec, &profile);
    }
    // Switching again would undo an installer's or a loader's work, and of an OS that says nothing on its
    // console nothing could be heard.
    let bears = !own_storage(&procedure) && !netboots(&procedure) && !spec.may_be_silent();
    let examine = if bears { examine } else { Examine::default() };
    let parts = Parts {
        slot,
        profile,
        spec,
        own_storage: own_storage(&procedure) || in_memory(&procedure),
        writes_by: writes_by(&procedure).map(str::to_owned),
        identity,
        shells,
        sink: sink.clone(),
        cancel,
        companions: head.image.companions.clone(),
        facts: BTreeMap::new(),
    };
    let parts = match with_time(parts, facts, &mut extra).await {
        Ok(parts) => parts,
        Err(fault) => {
            fail_step(&sink, "preflight", Outcome::Infra(fault), Blame::Rig, "driver-fault");
            return Ok(());
        }
    };
    let dut = match LiveDut::new(parts, waiting) {
        Ok(dut) => Arc::new(dut),
        Err(fault) => {
            fail_step(&sink, "preflight", Outcome::Infra(fault), Blame::Rig, "driver-fault");
            return Ok(());
        }
    };
    let cases = plan(&dut, cases);
    let mut executor = Executor::new(&dut, &sink, repeat);
    let mut control = Control { image: control, written: false };
    let provisioned = async {
        let done = provision(&dut, &sink, &folder, &procedure, &image, writing, &extra).await?;
        if examine.wiring {
            shown(&dut, &sink, wiring::STEP, wiring::examine(&dut)).await?;
        }
        if examine.power_cycles > 0 && dut.slot.power.is_some() {
            shown(&dut, &sink, cycles::STEP, cycles::cycle(&dut, examine.power_cycles)).await?;
        }
        Ok::<_, Stopped>(done)
    };
    let halted = match provisioned.await {
        Ok((provisioned, proves)) => {
            let up = (&provisioned, proves);
            match climb(&dut, &sink, &folder, &mut executor, up, &mut control).await {
                Ok(()) => executor.run(&cases).await,
                Err(halt) => Err(halt),
            }
        }
        Err(stopped) => match stopped.failed() {
            Ok((step, _)) => {
                executor.blocked = Some(step);
                executor.run(&cases).await
            }
            Err(halt) => Err(halt),
        },
    };
    let keep = keep && !dut.cancel.is_cancelled();
    look_into(&dut, &sink, &folder).await;
    collect_all(&dut, &folder, &control, keep).await;
    safe_state(&dut, &sink, keep).await;
    for (name, role) in recordings {
        // A failure is announced by the folder itself.
        drop(folder.announce(&name, &role));
    }
    *kept = keep.then_some(Kept(dut));
    halted
}

/// The rig host's time server must be known before the image gets its configuration.
async fn with_time(
    mut parts: Parts,
    mut facts: BTreeMap<String, String>,
    extra: &mut Vec<(String, String)>,
) -> Result<Parts, shakedown_core::Fault> {
    if let Some(services) = &parts.slot.services {
        let clock = parts.slot.log().map(|log| log.clock().clone());
        if let Some(clock) = clock {
            let pace = shakedown_core::Pace::Rig;
            let by = shakedown_core::Deadline::new(
                "time server",
                Duration::from_secs(5),
                pace,
                clock,
                parts.cancel.clone(),
            );
            let addr = services.ntp(&by).await?;
            facts.insert("ntp".into(), addr.to_string());
            extra.push(("ntp-servers".into(), format!("\"{addr}\"")));
        }
    }
    parts.facts = facts;
    Ok(parts)
}

/// Decides the skips, announces the plan, and returns what will run.
fn plan(dut: &LiveDut, cases: Vec<Arc<dyn Case>>) -> Vec<Arc<dyn Case>> {
    let missing = |case: &Arc<dyn Case>| -> Option<String> {
        let spec = case.spec();
        let missing: Vec<_> =
            spec.needs.iter().filter(|need| !dut.offers.contains(need)).map(ToString::to_string).collect();
        (!missing.is_empty()).then(|| format!("neither board, OS nor slot offers {}", missing.join(", ")))
    };
    let mut planned = vec![Planned {
        id: CaseId(BOOT.into()),
        title: "The board boots from power-on to ready".into(),
        effect: Effect::CutsPower,
        skip: None,
    }];
    planned.extend(cases.iter().map(|case| {
        let spec = case.spec();
        Planned { id: spec.id.clone(), title: spec.title.clone(), effect: spec.effect, skip: missing(case) }
    }));
    dut.sink.emit(Event::Planned { cases: planned });
    let (runs, skipped): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| missing(case).is_none());
    for case in skipped {
        let reason = missing(&case).unwrap_or_default();
        let case = case.spec().id.clone();
        let outcome = Outcome::Skip { reason };
        let (attempt, took) = (1, Duration::ZERO);
        dut.sink.emit(Event::CaseEnded {
            case,
            attempt,
            outcome,
            blame: None,
            because: None,
            took,
            console: vec![],
        });
    }
    runs
}

/// Executes the procedure step by step, with the times that it gives each.
async fn provision(
    dut: &LiveDut,
    sink: &JournalSink,
    folder: &RunFolder,
    procedure: &Procedure,
    image: &Arc<Identified>,
    writing: Writing,
    extra: &[(String, String)],
) -> Result<(Provisioned, Proves), Stopped> {
    let works = match works(procedure) {
        Ok(works) => works,
        Err(why) => return refuse(dut, sink, why.to_string()).await,
    };
    let proven_later = works.iter().any(|work| matches!(work.does, Does::ProveInternal(_)));
    let version = dut.facts().get("version").is_some_and(|version| !version.is_empty());
    if proven_later && !version {
        let why = "the image shows no version: nothing could prove that it is what the installer left behind";
        return refuse(dut, sink, why.to_owned()).await;
    }
    if dut.writes_by.is_some() && dut.profile.config_key("uuid").is_none() {
        let why = "the OS profile has no `uuid` key: nothing could prove that what boots is this run's image";
        return refuse(dut, sink, why.to_owned()).await;
    }
    let (mut written, mut proves, mut since) = (None, None, dut.console.log.here());
    let wants = Wants {
        medium: works.iter().any(|work| work.does == Does::AwaitMedium),
        usb: tool_of(procedure)
            .filter(|_| works.iter().any(|work| matches!(work.does, Does::AwaitUsb { .. }))),
    };
    let (mut before, mut copy) = (Before::default(), None);
    for Work { name, within, does } in works {
        let name =
            if writing == Writing::Nothing && does == Does::Write { "prove image" } else { name.as_str() };
        match does {
            // A DUT that is on would not give its medium away, and nothing may write under it.
            Does::PowerOff => {
                step(dut, sink, name, async {
                    let proof = provision::power_down_within(dut, within).await?;
                    Ok(((), provision::how_off(proof.as_ref())))
                })
                .await?;
            }
            Does::Write => {
                let work = async {
                    let provisioned = provision::write(dut, image, writing, name, within).await?;
                    let proof = provisioned.proof();
                    Ok((provisioned, proof))
                };
                written = Some(step(dut, sink, name, work).await?);
            }
            Does::Configure(payload) => {
                shown(dut, sink, name, provision::inject(dut, payload, extra, within)).await?;
            }
            Does::Give => shown(dut, sink, name, provision::to_dut(dut, within)).await?,
            Does::Output { name: output, on } => {
                let work = async {
                    // A cable that feeds the board may be all that it needs to show itself.
                    before.look(dut, wants).await?;
                    provision::set_output(dut, &output, on, within).await
                };
                shown(dut, sink, name, work).await?;
            }
            Does::PowerOn => {
                let began = dut.console.log.clock().now();
                let work = async {
                    before.look(dut, wants).await?;
                    installer::start(dut, within).await
                };
                since = step(dut, sink, name, work).await?;
                if dut.net.is_served() {
                    dut.net.begin(since, began);
                }
            }
            Does::CheckTool(tool) => shown(dut, sink, name, tool::check(dut, &tool, within)).await?,
            Does::Copy => {
                let work = async {
                    let (copy, provisioned, proof) =
                        tool::copy(dut, folder, image, extra, name, within).await?;
                    Ok(((copy, provisioned), proof))
                };
                let (made, provisioned) = step(dut, sink, name, work).await?;
                (copy, written) = (Some(made), Some(provisioned));
            }
            Does::Tool(tool) => {
                let work = async {
                    before.look(dut, wants).await?;
                    tool::run(dut, folder, &tool, copy.as_ref(), name, within).await
                };
                shown(dut, sink, name, work).await?;
            }
            Does::AwaitMedium => shown(dut, sink, name, tool::await_medium(dut, &before, within)).await?,
            Does::AwaitUsb { tool, what, id } => {
                shown(dut, sink, name, tool::await_usb(dut, &tool, (&what, &id), &before, within)).await?;
            }
            Does::Serve(how) => {
                shown(dut, sink, name, netboot::serve(dut, *how, copy.as_ref(), within)).await?;
            }
            Does::Dialogue => shown(dut, sink, name, netboot::dialogue(dut, since, within)).await?,
            Does::AwaitFetch => shown(dut, sink, name, netboot::fetched(dut, within)).await?,
            Does::AwaitOff => shown(dut, sink, name, installer::await_off(dut, since, within)).await?,
            Does::TakeAway => shown(dut, sink, name, installer::take_away(dut, within)).await?,
            Does::Drain => shown(dut, sink, name, installer::drain(dut, within)).await?,
            // After the boot.
            Does::ProveInternal(target) => proves = Some((name.to_owned(), target, within)),
        }
    }
    match written {
        Some(written) => Ok((written, proves)),
        None => refuse(dut, sink, "the procedure writes nothing".to_owned()).await,
    }
}

/// A step behind the boot: its name, the internal media that count, the longest time.
type Proves = Option<(String, Vec<String>, Duration)>;

/// Up to ready. What a tool or an installer left behind is proven by what booted, before the boot counts as
/// one of the image under test and before anything is asked about it.
async fn climb(
    dut: &Arc<LiveDut>,
    sink: &Arc<JournalSink>,
    folder: &RunFolder,
    executor: &mut Executor<'_>,
    (provisioned, proves): (&Provisioned, Proves),
    control: &mut Control,
) -> Result<(), Halt> {
    let case = CaseId(BOOT.into());
    sink.emit(Event::CaseStarted { case: case.clone(), attempt: 1 });
    let clock = dut.console.log.clock().clone();
    let (began, since) = (clock.now(), dut.console.log.here());
    let booted = provision::boot(dut, provisioned, "power-on").await;
    let took = clock.now().since(began);
    let (mut decision, mut console) = (None, Vec::new());
    if let Err(cut) = &booted {
        console = last_lines(&dut.console.log, since, 40);
        let mut decided = adjudicate(cut, &observe(dut, since).await);
        collect::screenshot(dut, folder, "screen.png").await;
        // Now: a control run would be another boot.
        collect::post_mortems(dut, folder).await;
        if matches!(decided.outcome, Outcome::Undetermined { .. }) && !dut.cancel.is_cancelled() {
            decided = control::settle(dut, sink, folder, control, decided).await;
        }
        decision = Some(decided);
        executor.blocked = Some(BOOT.into());
    } else if let Some((name, target, within)) = proves
        && let Err(stopped) = shown(dut, sink, &name, installer::prove(dut, &target, within)).await
    {
        // Halted, the case stays open, as the step does: it is not known what booted.
        let (step, decided) = stopped.failed()?;
        console = last_lines(&dut.console.log, since, 40);
        decision = Some(*decided);
        executor.blocked = Some(step);
    }
    let (outcome, blame, because) = match decision {
        None => (Outcome::Pass, None, None),
        Some(Decision { outcome, blame, because }) => (outcome, Some(blame), Some(because)),
    };
    sink.emit(ended(&case, outcome, blame, because, took, console));
    if dut.cancel.is_cancelled() {
        return Err(Halt::Interrupted);
    }
    sink.health().map_err(|_| Halt::Journal)
}

fn ended(
    case: &CaseId,
    outcome: Outcome,
    blame: Option<Blame>,
    because: Option<&str>,
    took: Duration,
    console: Vec<String>,
) -> Event {
    let because = because.map(str::to_owned);
    Event::CaseEnded { case: case.clone(), attempt: 1, outcome, blame, because, took, console }
}

/// Where the run failed later than in its boot, what its cores were doing then.
async fn look_into(dut: &LiveDut, sink: &JournalSink, folder: &RunFolder) {
    let ledger = sink.ledger();
    let done = ledger.files.iter().any(|file| file.role == collect::LOOKED_INTO);
    let failed = !matches!(ledger.exit(), ExitCode::Ok | ExitCode::NothingRan);
    if failed && !done {
        collect::post_mortems(dut, folder).await;
    }
}

/// What the DUT can still tell: through the shell, over its console, off its medium.
async fn collect_all(dut: &Arc<LiveDut>, folder: &RunFolder, control: &Control, keep: bool) {
    let step = "collect";
    let clock = dut.console.log.clock().clone();
    let began = clock.now();
    dut.sink.emit(Event::StepStarted { step: step.into() });
    let proof = if dut.cancel.is_cancelled() {
        "skipped: the run was interrupted".to_owned()
    } else if control.written {
        "nothing more: the medium was read before the control run, which is what it holds now".to_owned()
    } else if dut.settled().0 > 0 && collect::through_shell(dut, folder).await {
        "read through the shell".to_owned()
    } else {
        collect::screenshot(dut, folder, "screen.png").await;
        let logs = collect::over_console(dut, folder).await;
        let medium = if keep {
            "its medium cannot be read while it stays on".to_owned()
        } else if dut.own_storage {
            "its own medium cannot be read from here".to_owned()
        } else {
            match collect::off_medium(dut, folder).await {
                Ok(files) => format!("read {files} file(s) off the medium"),
                Err(fault) => {
                    dut.sink.emit(Event::Trouble(fault.clone()));
                    format!("nothing off the medium: {fault}")
                }
            }
        };
        match logs {
            0 => medium,
            logs => format!("read {logs} log(s) over the console's login; {medium}"),
        }
    };
    dut.sink.emit(Event::StepEnded { step: step.into(), proof, took: clock.now().since(began) });
}

/// However the run went: nothing is left switched that should not be.
async fn safe_state(dut: &LiveDut, sink: &JournalSink, keep: bool) {
    let step = "safe state";
    let clock = dut.console.log.clock().clone();
    let began = clock.now();
    sink.emit(Event::StepStarted { step: step.into() });
    let made = provision::make_safe(dut, keep).await;
    let (step, took) = (step.into(), clock.now().since(began));
    sink.emit(match made {
        Ok(proof) => Event::StepEnded { step, proof, took },
        Err(fault) => {
            let Decision { outcome, blame, because } =
                adjudicate(&Cut::Rig(fault), &crate::adjudicate::Observed::healthy());
            Event::StepFailed { step, outcome, blame, because: because.into(), took }
        }
    });
}
