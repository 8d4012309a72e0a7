//! Which procedures the runner can execute: their steps as works of its own.

use std::time::Duration;

use shakedown_core::{Act, NetRoot, Netboot, Payload, Procedure, ProvStep, Side};

/// The medium that a run writes and boots from.
const MAIN: &str = "main";

/// A step of the runner's own: one of the procedure's, or several that are done as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    /// The name under which it is told.
    pub(crate) name: String,
    /// The longest time.
    pub(crate) within: Duration,
    /// What is done.
    pub(crate) does: Does,
}

/// What is done in a step of the runner's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// The supply off, with its proof.
    PowerOff,
    /// To the host's side, written, read back: one proof.
    Write,
    /// The run's names and keys, onto what was written last.
    Configure(Payload),
    /// The medium to the DUT, for the installer to boot from.
    Give,
    /// A jumper, button or switch.
    Output {
        /// Its name in the rig file.
        name: String,
        /// Held, closed or set.
        on: bool,
    },
    /// The supply on: the installer starts.
    PowerOn,
    /// The installer switches the DUT off.
    AwaitOff,
    /// The installer's medium back to the host.
    TakeAway,
    /// The time passes with the supply proven off.
    Drain,
    /// The version of the procedure's tool. Changes nothing.
    CheckTool(String),
    /// A file that holds the image with the run's names and keys, for the tool.
    Copy,
    /// The tool of this name, to its end.
    Tool(String),
    /// The main medium is attached to the rig host anew.
    AwaitMedium,
    /// A device comes on USB.
    AwaitUsb {
        /// Of the tool whose board it is.
        tool: String,
        /// For people.
        what: String,
        /// `vendor:product`.
        id: String,
    },
    /// The boot files, off the medium that was written, to whoever asks for them.
    Serve(Box<Netboot>),
    /// The boot loader is told to take them, and boots.
    Dialogue,
    /// All of them were taken.
    AwaitFetch,
    /// After the boot: the running system says what it runs from.
    ProveInternal(Vec<String>),
}

/// Why a procedure is not executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotExecuted {
    /// It is planned, and its execution is not built yet.
    NotBuilt {
        /// The procedure.
        kind: &'static str,
        /// The first step that cannot be done.
        step: String,
        /// In words.
        act: String,
    },
    /// It would prove nothing: a step is missing.
    Unproven {
        /// What is missing.
        what: &'static str,
    },
}

impl std::fmt::Display for NotExecuted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotBuilt { kind, step, act } => {
                write!(f, "{kind} is planned, its execution is not built yet: step `{step}` ({act})")
            }
            Self::Unproven { what } => write!(f, "the procedure proves too little: {what}"),
        }
    }
}

impl std::error::Error for NotExecuted {}

/// Whether this runner can execute it.
pub fn executable(procedure: &Procedure) -> Result<(), NotExecuted> {
    works(procedure).map(drop)
}

/// Whether an installer runs on the DUT and writes a medium of its own.
pub(crate) fn installs(procedure: &Procedure) -> bool {
    procedure.steps.iter().any(|step| step.act == Act::AwaitOff)
}

/// Whether the DUT boots from a medium of its own, whoever writes it: the rig has it at most while it is
/// provisioned.
pub fn own_storage(procedure: &Procedure) -> bool {
    let own = |act: &Act| matches!(act, Act::AwaitOff | Act::AwaitMedium { .. } | Act::ProveInternal { .. });
    procedure.steps.iter().any(|step| own(&step.act))
}

/// The tool of a procedure: there is one at most.
pub(crate) fn tool_of(procedure: &Procedure) -> Option<&str> {
    procedure.steps.iter().find_map(|step| match &step.act {
        Act::Tool { name, .. } => Some(name.as_str()),
        _ => None,
    })
}

/// The tool that writes the image, when nothing but its own word says so until the system that boots is
/// asked.
pub(crate) fn writes_by(procedure: &Procedure) -> Option<&str> {
    let written = procedure.steps.iter().any(|step| matches!(step.act, Act::Write { .. }));
    tool_of(procedure).filter(|_| !written)
}

/// Whether the DUT runs from no medium at all, but from what came over the network.
pub fn in_memory(procedure: &Procedure) -> bool {
    let memory = |act: &Act| matches!(act, Act::Serve { how } if how.root == NetRoot::Memory);
    procedure.steps.iter().any(|step| memory(&step.act))
}

/// Whether a boot loader is given what it boots, at each boot anew.
pub fn netboots(procedure: &Procedure) -> bool {
    procedure.steps.iter().any(|step| matches!(step.act, Act::Serve { .. }))
}

/// The works of a procedure, in order. A medium that the DUT boots from goes to it with the boot,
/// whose first act that is.
pub(crate) fn works(procedure: &Procedure) -> Result<Vec<Work>, NotExecuted> {
    let mut works: Vec<Work> = Vec::new();
    let mut rest = procedure.steps.as_slice();
    let mut payload = Payload::Image;
    while let Some((step, after)) = rest.split_first() {
        let not_built = || NotExecuted::NotBuilt {
            kind: procedure.kind,
            step: step.id.clone(),
            act: step.act.to_string(),
        };
        rest = after;
        let (mut name, mut within) = (step.id.replace('-', " "), step.within);
        let does = match &step.act {
            Act::PowerOff => Does::PowerOff,
            Act::Switch { medium, to: Side::Host } if medium == MAIN => match after.split_first() {
                Some((ProvStep { act: Act::Write { medium, payload: what }, within: time, .. }, behind))
                    if medium == MAIN =>
                {
                    (payload, within) = (*what, *time);
                    (name, rest) = written(payload, behind)?;
                    Does::Write
                }
                _ if done(&works, &Does::AwaitOff) => Does::TakeAway,
                _ => return Err(not_built()),
            },
            // The medium is here by itself: no mux gives it.
            Act::Write { medium, payload: what } if medium == MAIN && done(&works, &Does::AwaitMedium) => {
                payload = *what;
                (name, rest) = written(payload, after)?;
                Does::Write
            }
            Act::Configure { medium } if medium == Act::COPY => Does::Copy,
            Act::CheckTool { name } => Does::CheckTool(name.clone()),
            Act::Tool { name, .. } => Does::Tool(name.clone()),
            Act::AwaitMedium { medium } if medium == MAIN => Does::AwaitMedium,
            Act::AwaitUsb { what, id } => match tool_of(procedure) {
                Some(tool) => Does::AwaitUsb { tool: tool.to_owned(), what: what.clone(), id: id.clone() },
                None => return Err(not_built()),
            },
            Act::Configure { medium } if medium == MAIN => {
                "inject identity".clone_into(&mut name);
                Does::Configure(payload)
            }
            Act::Switch { medium, to: Side::Dut } if medium == MAIN => {
                if after.is_empty() {
                    continue;
                }
                Does::Give
            }
            Act::Output { name, on } => Does::Output { name: name.clone(), on: *on },
            Act::PowerOn => Does::PowerOn,
            Act::AwaitOff => Does::AwaitOff,
            Act::Serve { how } => Does::Serve(how.clone()),
            Act::Dialogue { how } if done(&works, &Does::Serve(how.clone())) => Does::Dialogue,
            Act::AwaitFetch => Does::AwaitFetch,
            Act::Drain => Does::Drain,
            Act::ProveInternal { target } if after.is_empty() => Does::ProveInternal(target.clone()),
            _ => return Err(not_built()),
        };
        works.push(Work { name, within, does });
    }
    prove_enough(&works, payload).map_or(Ok(works), |what| Err(NotExecuted::Unproven { what }))
}

/// A write, which the first step behind it reads back: its name in the journal, and the steps behind both.
fn written(payload: Payload, behind: &[ProvStep]) -> Result<(String, &[ProvStep]), NotExecuted> {
    let name = match payload {
        Payload::Image => "write image",
        Payload::Installer => "write installer",
    };
    match behind.split_first() {
        Some((ProvStep { act: Act::ReadBack { medium }, .. }, rest)) if medium == MAIN => {
            Ok((name.to_owned(), rest))
        }
        _ => Err(NotExecuted::Unproven { what: "what is written is not read back" }),
    }
}

fn done(works: &[Work], what: &Does) -> bool {
    works.iter().any(|work| work.does == *what)
}

/// What is missing, if anything is: each of these steps is what the ones behind it rely on.
fn prove_enough(works: &[Work], payload: Payload) -> Option<&'static str> {
    let place = |wanted: fn(&Does) -> bool| works.iter().position(|work| wanted(&work.does));
    let tool = place(|does| matches!(does, Does::Tool(_)));
    let looks = place(|does| matches!(does, Does::CheckTool(_)));
    if tool.is_some() && looks != Some(0) {
        return Some("nothing looks at the tool before the DUT is touched for it");
    }
    let first = usize::from(looks == Some(0));
    if !matches!(works.get(first), Some(Work { does: Does::PowerOff, .. })) {
        return Some("nothing shows that the DUT is off while its medium is written");
    }
    let written = place(|does| *does == Does::Write);
    let ran = place(|does| *does == Does::PowerOn);
    let served = place(|does| matches!(does, Does::Serve(_)));
    let told = place(|does| *does == Does::Dialogue);
    let fetched = place(|does| *does == Does::AwaitFetch);
    if [served, told, fetched].iter().any(Option::is_some) {
        let copied = place(|does| *does == Does::Copy);
        return in_turn(&[
            (Some(first), ""),
            (written.or(copied), "nothing is written"),
            (served, "nobody serves the boot files"),
            (ran, "nothing starts the boot loader"),
            (told, "nobody tells the boot loader what to boot"),
            (fetched, "nothing shows that the boot files were taken"),
        ]);
    }
    let off = place(|does| *does == Does::AwaitOff);
    let shown = place(|does| *does == Does::AwaitMedium);
    let proves = place(|does| matches!(does, Does::ProveInternal(_)));
    let cut = works.iter().rposition(|work| work.does == Does::PowerOff);
    let not_on = "nothing switches the DUT on for it";
    let still_on = "nothing shows that the DUT is off before it boots from what was written";
    match (written, tool, payload) {
        (None, None, _) => Some("nothing is written"),
        // Only a tool's own word says that it wrote: the system that boots must say so too.
        (None, Some(_), _) => {
            let copied = place(|does| *does == Does::Copy);
            in_turn(&[
                (Some(first), ""),
                (copied, "nothing makes a copy of the image for the tool"),
                (ran, not_on),
                (tool, ""),
                (cut, still_on),
                (proves, "nothing proves what the tool did"),
            ])
        }
        (Some(_), _, Payload::Image) if shown.is_some() => {
            let shows = tool.unwrap_or(ran.unwrap_or_default());
            in_turn(&[
                (Some(first), ""),
                (ran, not_on),
                (Some(shows), ""),
                (shown, "nothing waits for the disk"),
                (written, "it is written before it is there"),
                (cut, still_on),
            ])
        }
        (Some(_), _, Payload::Image) if ran.is_none() => None,
        // From here on an installer runs: its end is seen, the supply is off, its medium is gone, and what
        // boots then says what it is.
        (Some(_), ..) => in_turn(&[
            (written, ""),
            (place(|does| *does == Does::Give), "the DUT does not get the installer's medium"),
            (ran, "nothing starts the installer"),
            (tool.or(ran), "the tool is run before there is a DUT for it"),
            (off, "nothing waits for the installer's end"),
            (cut, "nothing shows that the DUT is off when the installer's medium is taken away"),
            (place(|does| *does == Does::TakeAway), "the installer's medium is not taken away"),
            (proves, "nothing proves what the installer did"),
        ]),
    }
}

/// The first that is missing, or before the one that it relies on: what that means.
fn in_turn(steps: &[(Option<usize>, &'static str)]) -> Option<&'static str> {
    steps.windows(2).find(|pair| pair[1].0.is_none_or(|at| Some(at) < pair[0].0)).map(|pair| pair[1].1)
}

#[cfg(test)]
mod tests {
    use shakedown_core::{Loader, NetFile, Redo, Shows};

    use super::*;

    fn step(id: &str, act: Act) -> ProvStep {
        let (proof, within, redo) = (Shows::Level, Duration::from_secs(7), Redo::Step);
        ProvStep { id: id.into(), act, proof, within, undo: None, redo }
    }

    fn card() -> Procedure {
        Procedure { kind: "sd-card", steps: medium(Payload::Image), unknown: vec![] }
    }

    fn medium(payload: Payload) -> Vec<ProvStep> {
        let medium = || MAIN.to_owned();
        vec![
            step("power-off", Act::PowerOff),
            step("main-to-host", Act::Switch { medium: medium(), to: Side::Host }),
            step("write-main", Act::Write { medium: medium(), payload }),
            step("read-back-main", Act::ReadBack { medium: medium() }),
            step("configure-main", Act::Configure { medium: medium() }),
            step("main-to-dut", Act::Switch { medium: medium(), to: Side::Dut }),
        ]
    }

    /// As the boards' planner makes it.
    fn flasher() -> Procedure {
        let output = |on| Act::Output { name: "boot-switch".into(), on };
        let mut steps = medium(Payload::Installer);
        steps.extend([
            step("set-boot-switch", output(true)),
            step("power-on", Act::PowerOn),
            step("await-off", Act::AwaitOff),
            step("power-off-installed", Act::PowerOff),
            step("release-boot-switch", output(false)),
            step("main-away", Act::Switch { medium: MAIN.into(), to: Side::Host }),
            step("drain", Act::Drain),
            step("prove-internal", Act::ProveInternal { target: vec!["nvme0n1".into()] }),
        ]);
        Procedure { kind: "flasher", steps, unknown: vec![] }
    }

    #[test]
    fn an_installer_is_executed_step_by_step() {
        let works = works(&flasher()).unwrap();
        let names: Vec<_> = works.iter().map(|work| work.name.as_str()).collect();
        assert_eq!(
            names.join(", "),
            "power off, write installer, inject identity, main to dut, set boot switch, power on, await off, \
             power off installed, release boot switch, main away, drain, prove internal"
        );
        assert!(installs(&flasher()));
    }

    #[test]
    fn an_installer_without_any_of_its_proofs_is_not_executed() {
        for (id, want) in [
            ("power-off", "nothing shows that the DUT is off while its medium is written"),
            ("read-back-main", "what is written is not read back"),
            ("main-to-dut", "the DUT does not get the installer's medium"),
            ("power-on", "nothing starts the installer"),
            ("await-off", "nothing waits for the installer's end"),
            (
                "power-off-installed",
                "nothing shows that the DUT is off when the installer's medium is taken away",
            ),
            ("main-away", "the installer's medium is not taken away"),
            ("prove-internal", "nothing proves what the installer did"),
        ] {
            let mut procedure = flasher();
            procedure.steps.retain(|step| step.id != id);
            let got = executable(&procedure);
            match (id, got) {
                // Without an end to wait for, the medium's way back is no step that there is.
                ("await-off", Err(NotExecuted::NotBuilt { step, .. })) => assert_eq!(step, "main-away"),
                (_, got) => assert_eq!(got, Err(NotExecuted::Unproven { what: want }), "{id}"),
            }
        }
    }

    fn tool(id: &str) -> ProvStep {
        step(id, Act::Tool { name: "uuu".into(), does: "what it does".into() })
    }

    /// As the boards' planner makes them: a tool that writes, and one that makes the board show its storage.
    fn by_tool() -> Procedure {
        let steps = vec![
            step("check-tool", Act::CheckTool { name: "uuu".into() }),
            step("power-off", Act::PowerOff),
            step("configure-copy", Act::Configure { medium: Act::COPY.into() }),
            step("power-on", Act::PowerOn),
            tool("send"),
            step("power-off-written", Act::PowerOff),
            step("prove-internal", Act::ProveInternal { target: vec![] }),
        ];
        Procedure { kind: "vendor-tool", steps, unknown: vec![] }
    }

    fn shown() -> Procedure {
        let mut steps = by_tool().steps;
        steps.retain(|step| !["configure-copy", "prove-internal"].contains(&step.id.as_str()));
        let mut rest = steps.split_off(4);
        steps.push(step("await-main", Act::AwaitMedium { medium: MAIN.into() }));
        steps.extend(medium(Payload::Image).into_iter().skip(2).take(3));
        steps.append(&mut rest);
        Procedure { kind: "usb-boot", steps, unknown: vec![] }
    }

    #[test]
    fn without_any_of_its_proofs_no_tool_is_run() {
        let off = "nothing shows that the DUT is off before it boots from what was written";
        let looks = "nothing looks at the tool before the DUT is touched for it";
        let still = "nothing shows that the DUT is off while its medium is written";
        for (whole, id, want) in [
            (by_tool(), "check-tool", looks),
            (by_tool(), "power-off", still),
            (by_tool(), "configure-copy", "nothing makes a copy of the image for the tool"),
            (by_tool(), "power-on", "nothing switches the DUT on for it"),
            (by_tool(), "send", "nothing is written"),
            (by_tool(), "power-off-written", off),
            (by_tool(), "prove-internal", "nothing proves what the tool did"),
            (shown(), "check-tool", looks),
            (shown(), "power-on", "nothing switches the DUT on for it"),
            (shown(), "read-back-main", "what is written is not read back"),
            (shown(), "power-off-written", off),
        ] {
            assert_eq!(executable(&whole), Ok(()));
            assert!(own_storage(&whole) && !installs(&whole));
            let mut procedure = whole;
            procedure.steps.retain(|step| step.id != id);
            assert_eq!(executable(&procedure), Err(NotExecuted::Unproven { what: want }), "{id}");
        }
        let mut unseen = shown();
        unseen.steps.retain(|step| step.id != "await-main");
        assert!(executable(&unseen).is_err(), "written without the disk being there");
        assert_eq!((writes_by(&by_tool()), writes_by(&shown())), (Some("uuu"), None));
    }

    #[test]
    fn a_card_is_executed_with_the_times_of_its_steps() {
        let work = |name: &str, does| Work { name: name.into(), within: Duration::from_secs(7), does };
        let want = [
            work("power off", Does::PowerOff),
            work("write image", Does::Write),
            work("inject identity", Does::Configure(Payload::Image)),
        ];
        assert_eq!(works(&card()).unwrap(), want);
        assert!(!installs(&card()));
    }

    #[test]
    fn without_any_of_its_proofs_nothing_is_executed() {
        for (id, want) in [
            ("read-back-main", "what is written is not read back"),
            ("power-off", "nothing shows that the DUT is off while its medium is written"),
        ] {
            let mut procedure = card();
            procedure.steps.retain(|step| step.id != id);
            assert_eq!(executable(&procedure), Err(NotExecuted::Unproven { what: want }), "{id}");
        }
        let nothing = Procedure { steps: card().steps[..1].to_vec(), ..card() };
        assert_eq!(executable(&nothing), Err(NotExecuted::Unproven { what: "nothing is written" }));
    }

    fn netboot(root: NetRoot) -> Procedure {
        let file = NetFile { role: "boot".into(), path: "/Image".into(), to: "1".into(), size: None };
        let (loader, files) = (Loader::u_boot(), vec![file]);
        let (before, variables, boot) = (vec![], vec![], "boot".to_owned());
        let how = Box::new(Netboot { root, loader, before, variables, files, boot });
        let mut steps = medium(Payload::Image);
        let give = steps.pop().unwrap();
        steps.extend([
            step("serve", Act::Serve { how: how.clone() }),
            give,
            step("power-on", Act::PowerOn),
            step("dialogue", Act::Dialogue { how }),
            step("fetch", Act::AwaitFetch),
        ]);
        Procedure { kind: "netboot", steps, unknown: vec![] }
    }

    #[test]
    fn a_boot_over_the_network_is_executed_step_by_step_and_none_can_be_left_out() {
        let works = works(&netboot(NetRoot::Medium)).unwrap();
        let names: Vec<_> = works.iter().map(|work| work.name.as_str()).collect();
        assert_eq!(
            names.join(", "),
            "power off, write image, inject identity, serve, main to dut, power on, dialogue, fetch"
        );
        for (id, want) in [
            ("serve", "nobody serves the boot files"),
            ("power-on", "nothing starts the boot loader"),
            ("dialogue", "nobody tells the boot loader what to boot"),
            ("fetch", "nothing shows that the boot files were taken"),
        ] {
            let mut procedure = netboot(NetRoot::Medium);
            procedure.steps.retain(|step| step.id != id);
            match (id, executable(&procedure)) {
                // Without files that are served there is nothing to tell the boot loader.
                ("serve", Err(NotExecuted::NotBuilt { step, .. })) => assert_eq!(step, "dialogue"),
                (_, got) => assert_eq!(got, Err(NotExecuted::Unproven { what: want }), "{id}"),
            }
        }
    }

    #[test]
    fn what_is_not_built_is_said_before_anything_is_done() {
        let mut procedure = card();
        let keys = "F10".to_owned();
        procedure.kind = "flasher";
        procedure.steps.push(step("keys", Act::Keys { keys }));
        let error = executable(&procedure).unwrap_err().to_string();
        assert_eq!(
            error,
            "flasher is planned, its execution is not built yet: step `keys` (press keys: F10)"
        );
    }
}
