//! Board, profile, stages, image and cases of the simulated DUT.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::profile::{ConfigProfile, LoginProfile, SshProfile};
use shakedown_core::{
    Act, Arch, BadSpec, Blame, Board, BootSpec, Case, CaseId, CaseSpec, Cut, Deadline, Dut, Effect, Fut,
    Loader, NetFile, NetRoot, Netboot, OsProfile, Payload, Procedure, ProvStep, Provision, Redo, Seen, Sha,
    Shows, Side, StageSpec,
};

/// The size of the medium.
pub(crate) const DISK: u64 = 4 << 20;
const FIRST: u64 = 1 << 20;
const FAT: u64 = 2 << 20;

/// Where the root partition begins.
pub(crate) const ROOT: u64 = 3 << 20;

/// An image of this size with a FAT partition, `SIM-BOOT`, that holds an empty config.json and a
/// kernel, and a root partition behind it.
pub(crate) fn image(size: u64) -> Vec<u8> {
    let mut disk = vec![0; size as usize];
    disk[0] = 0xf4;
    disk[450] = 0x0c;
    disk[454..458].copy_from_slice(&((FIRST / 512) as u32).to_le_bytes());
    disk[458..462].copy_from_slice(&((FAT / 512) as u32).to_le_bytes());
    disk[466] = 0x83;
    disk[470..474].copy_from_slice(&((ROOT / 512) as u32).to_le_bytes());
    disk[474..478].copy_from_slice(&1024_u32.to_le_bytes());
    disk[ROOT as usize..][..512 << 10].fill(0x5a);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    let mut part = Cursor::new(&mut disk[FIRST as usize..(FIRST + FAT) as usize]);
    let options = fatfs::FormatVolumeOptions::new().volume_label(*b"SIM-BOOT   ");
    fatfs::format_volume(&mut part, options).unwrap();
    part.seek(SeekFrom::Start(0)).unwrap();
    let fs = fatfs::FileSystem::new(part, fatfs::FsOptions::new()).unwrap();
    fs.root_dir().create_file("config.json").unwrap().write_all(b"{}\n").unwrap();
    fs.root_dir().create_file("kernel").unwrap().write_all(b"a kernel").unwrap();
    fs.root_dir().create_file("os-release").unwrap().write_all(b"ID=sim\nVERSION_ID=1.0.0\n").unwrap();
    fs.unmount().unwrap();
    disk
}

pub(crate) fn board() -> Board {
    Board {
        slug: "sim-board".into(),
        name: "Simulated".into(),
        arch: Arch::Amd64,
        soc: None,
        capabilities: BTreeSet::new(),
        provision: Provision::SdCard,
        baud: 115_200,
        min_off: Duration::ZERO,
        stages: Vec::new(),
        bad: Vec::new(),
        config_txt: Vec::new(),
        hash: Sha([0; 32]),
    }
}

/// An OS with a login on its console.
pub(crate) fn profile() -> OsProfile {
    let keys = BTreeMap::from([("hostname".to_owned(), "hostname".to_owned())]);
    OsProfile {
        id: "sim".into(),
        name: "Simulated".into(),
        os_release_ids: Vec::new(),
        offers: BTreeSet::new(),
        ssh: SshProfile { port: 22, user: "root".into(), fingerprint: None, authorized_keys: None },
        login: Some(LoginProfile {
            prompt: "login: ".into(),
            user: "root".into(),
            password: None,
            shell: "# ".into(),
        }),
        engine: None,
        partitions: BTreeMap::from([("boot".to_owned(), "SIM-BOOT".to_owned())]),
        config: Some(ConfigProfile { file: "config.json".into(), mounted: "/config.json".into(), keys }),
        update: None,
        facts: BTreeMap::new(),
        budgets: BTreeMap::new(),
        stages: Vec::new(),
        bad: Vec::new(),
        evidence: vec!["boot:/config.json".into()],
        shutdown: Duration::from_secs(10),
        hash: Sha([0; 32]),
    }
}

/// Kernel and userspace on the console, then the shell.
pub(crate) fn spec() -> BootSpec {
    let stage = |name: &str, seen| StageSpec {
        name: name.into(),
        seen,
        within: Duration::from_secs(20),
        typical: None,
        optional: false,
        once: name == "kernel",
    };
    let bad = |id: &str, pattern: &str, blame| BadSpec {
        id: id.into(),
        pattern: pattern.into(),
        says: format!("it said {pattern}"),
        blame,
        drain: Duration::ZERO,
    };
    BootSpec {
        stages: vec![
            stage("kernel", Seen::Console(vec!["Linux version".into()])),
            stage("userspace", Seen::Console(vec!["sim: up".into()])),
            stage("shell", Seen::Shell),
        ],
        bad: vec![bad("oops", "BUG: unable to handle", Blame::Os)],
    }
}

type Does = for<'a> fn(&'a dyn Dut, &'a Deadline) -> Fut<'a, Result<(), Cut>>;

struct Made {
    spec: CaseSpec,
    prepare: Does,
    run: Box<dyn Fn() + Send + Sync>,
    then: Does,
}

impl Case for Made {
    fn spec(&self) -> &CaseSpec {
        &self.spec
    }

    fn prepare<'a>(&'a self, dut: &'a dyn Dut, by: &'a Deadline) -> Fut<'a, Result<(), Cut>> {
        (self.prepare)(dut, by)
    }

    fn run<'a>(&'a self, dut: &'a dyn Dut, by: &'a Deadline) -> Fut<'a, Result<(), Cut>> {
        (self.run)();
        (self.then)(dut, by)
    }
}

fn named(name: &str, effect: Effect) -> CaseSpec {
    CaseSpec {
        id: CaseId(format!("sim::case::{name}")),
        title: name.to_owned(),
        needs: BTreeSet::new(),
        effect,
        within: Duration::from_secs(60),
        after: Vec::new(),
        sabotage: Vec::new(),
    }
}

/// A case that changes the world and then does this.
pub(crate) fn case(
    name: &str,
    effect: Effect,
    run: impl Fn() + Send + Sync + 'static,
    then: Does,
) -> Arc<dyn Case> {
    let prepare: Does = |_, _| Box::pin(async { Ok(()) });
    Arc::new(Made { spec: named(name, effect), prepare, run: Box::new(run), then })
}

/// A case that shares a reboot.
pub(crate) fn sharing(name: &str, prepare: Does, then: Does) -> Arc<dyn Case> {
    Arc::new(Made { spec: named(name, Effect::SharesReboot), prepare, run: Box::new(|| ()), then })
}

/// As the boards' planner makes it for a card.
pub(crate) fn procedure() -> Procedure {
    Procedure { kind: "sd-card", steps: written(Payload::Image), unknown: Vec::new() }
}

/// As the boards' planner makes it for an installer, with shorter times.
pub(crate) fn flasher() -> Procedure {
    let mut steps = written(Payload::Installer);
    steps.extend(
        [
            ("set-recovery", Act::Output { name: "recovery".into(), on: true }),
            ("power-on", Act::PowerOn),
            ("await-off", Act::AwaitOff),
            ("power-off-installed", Act::PowerOff),
            ("release-recovery", Act::Output { name: "recovery".into(), on: false }),
            ("main-away", Act::Switch { medium: "main".into(), to: Side::Host }),
            ("drain", Act::Drain),
            ("prove-internal", Act::ProveInternal { target: vec!["nvme0n1".into(), "sd?".into()] }),
        ]
        .map(step),
    );
    Procedure { kind: "flasher", steps, unknown: Vec::new() }
}

/// The same for a vendor's tool that writes the board.
pub(crate) fn vendor_tool() -> Procedure {
    let steps = [
        ("check-tool", looks()),
        ("power-off", Act::PowerOff),
        ("configure-copy", Act::Configure { medium: Act::COPY.into() }),
        ("power-on", Act::PowerOn),
        ("send", runs()),
        ("power-off-written", Act::PowerOff),
        ("drain", Act::Drain),
        ("prove-internal", Act::ProveInternal { target: Vec::new() }),
    ];
    Procedure { kind: "vendor-tool", steps: steps.map(step).into(), unknown: Vec::new() }
}

/// The same for a board that shows its own storage after a tool gave it its loader.
pub(crate) fn usb_boot() -> Procedure {
    let main = || "main".to_owned();
    let steps = [
        ("check-tool", looks()),
        ("power-off", Act::PowerOff),
        ("set-recovery", Act::Output { name: "recovery".into(), on: true }),
        ("power-on", Act::PowerOn),
        ("load", runs()),
        ("await-main", Act::AwaitMedium { medium: main() }),
        ("write-main", Act::Write { medium: main(), payload: Payload::Image }),
        ("read-back-main", Act::ReadBack { medium: main() }),
        ("configure-main", Act::Configure { medium: main() }),
        ("power-off-written", Act::PowerOff),
        ("release-recovery", Act::Output { name: "recovery".into(), on: false }),
        ("drain", Act::Drain),
    ];
    Procedure { kind: "usb-boot", steps: steps.map(step).into(), unknown: Vec::new() }
}

/// The same for a board that shows its own storage without a tool, fed over the cable by its only output.
pub(crate) fn usb_mass_storage() -> Procedure {
    let steps = usb_boot().steps.into_iter();
    let steps = steps.filter(|step| !["check-tool", "load"].contains(&step.id.as_str()));
    Procedure { kind: "usb-mass-storage", steps: steps.collect(), unknown: Vec::new() }
}

/// The same for a board in its recovery mode; with an installer it starts one from its medium.
pub(crate) fn recovery(installer: bool) -> Procedure {
    let mut steps = vec![step(("check-tool", looks()))];
    if installer {
        steps.extend(written(Payload::Installer));
    } else {
        steps.push(step(("power-off", Act::PowerOff)));
        steps.push(step(("configure-copy", Act::Configure { medium: Act::COPY.into() })));
    }
    let id = "0955:7023".to_owned();
    steps.extend(
        [
            ("set-recovery", Act::Output { name: "recovery".into(), on: true }),
            ("power-on", Act::PowerOn),
            ("await-recovery", Act::AwaitUsb { what: "recovery mode".into(), id }),
            ("send", runs()),
        ]
        .map(step),
    );
    if installer {
        steps.push(step(("await-off", Act::AwaitOff)));
    }
    steps.push(step(("power-off-written", Act::PowerOff)));
    steps.push(step(("release-recovery", Act::Output { name: "recovery".into(), on: false })));
    if installer {
        steps.push(step(("main-away", Act::Switch { medium: "main".into(), to: Side::Host })));
    }
    steps.push(step(("drain", Act::Drain)));
    steps.push(step(("prove-internal", Act::ProveInternal { target: Vec::new() })));
    Procedure { kind: "tegra-recovery", steps, unknown: Vec::new() }
}

/// The same for a board whose boot loader takes the kernel over the network.
pub(crate) fn netboot() -> Procedure {
    let kernel = NetFile { role: "boot".into(), path: "/kernel".into(), to: "1".into(), size: None };
    let how = Box::new(Netboot {
        root: NetRoot::Medium,
        loader: Loader::u_boot(),
        before: Vec::new(),
        variables: Vec::new(),
        files: vec![kernel],
        boot: "boot".into(),
    });
    let mut steps = written(Payload::Image);
    steps.extend(
        [
            ("serve", Act::Serve { how: how.clone() }),
            ("power-on", Act::PowerOn),
            ("dialogue", Act::Dialogue { how }),
            ("fetch", Act::AwaitFetch),
        ]
        .map(step),
    );
    Procedure { kind: "netboot", steps, unknown: Vec::new() }
}

fn looks() -> Act {
    Act::CheckTool { name: "flash".into() }
}

fn runs() -> Act {
    Act::Tool { name: "flash".into(), does: "what it does".into() }
}

fn written(payload: Payload) -> Vec<ProvStep> {
    let main = || "main".to_owned();
    let switch = |to| Act::Switch { medium: main(), to };
    let acts = [
        ("power-off", Act::PowerOff),
        ("main-to-host", switch(Side::Host)),
        ("write-main", Act::Write { medium: main(), payload }),
        ("read-back-main", Act::ReadBack { medium: main() }),
        ("configure-main", Act::Configure { medium: main() }),
        ("main-to-dut", switch(Side::Dut)),
    ];
    acts.map(step).into()
}

fn step((id, act): (&str, Act)) -> ProvStep {
    // A drain is this long; everything else has it as its end.
    let seconds = match act {
        Act::Drain => 5,
        // Tests wait for what never comes.
        Act::AwaitMedium { .. } | Act::AwaitUsb { .. } | Act::Tool { .. } => 20,
        _ => 120,
    };
    let (proof, within, redo) = (Shows::Level, Duration::from_secs(seconds), Redo::Step);
    ProvStep { id: id.to_owned(), act, proof, within, undo: None, redo }
}
