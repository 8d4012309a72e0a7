//! Procedures and explanations: every board has them, they prove what they do, and no field is decoration.

use std::collections::BTreeSet;
use std::path::Path;

use shakedown_boards::plan::{Shape, Wire, ideal, plan, unproven};
use shakedown_boards::{Catalogue, Resolved, boot_spec, explain};
use shakedown_core::{Act, Loader, NetFile, NetRoot, Netboot, Procedure, Provision, Shows};

fn names(items: &[&str]) -> BTreeSet<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

/// A slot with everything that some board needs.
fn full() -> Shape {
    Shape {
        power: true,
        outputs: names(&["boot-switch", "vbus", "recovery", "reset"]),
        consoles: names(&["main"]),
        media: names(&["main"]),
        tools: names(&["edison", "rpiboot", "tegra", "tegra-rcm", "uuu"]),
        network: true,
        tftp: true,
        charge: true,
    }
}

fn acts(procedure: &Procedure) -> String {
    procedure.steps.iter().map(|step| step.id.as_str()).collect::<Vec<_>>().join(" ")
}

fn of(slug: &str) -> Resolved {
    Catalogue::embedded().resolved(slug).unwrap()
}

#[test]
fn every_board_has_a_procedure_that_proves_what_it_does() {
    let catalogue = Catalogue::embedded();
    let mut kinds = BTreeSet::new();
    for slug in catalogue.slugs() {
        let board = catalogue.resolved(slug).unwrap();
        let ideal = ideal(&board.board);
        kinds.insert(ideal.procedure.kind);
        assert_eq!(unproven(&ideal.procedure), None, "{slug}");
        let ids: BTreeSet<_> = ideal.procedure.steps.iter().map(|step| &step.id).collect();
        assert_eq!(ids.len(), ideal.procedure.steps.len(), "{slug}: two steps of one name");
        let changes = ideal.procedure.steps.iter().find(|step| !matches!(step.act, Act::CheckTool { .. }));
        assert_eq!(changes.map(|step| &step.act), Some(&Act::PowerOff), "{slug}: done under a living DUT");
        assert!(ideal.procedure.steps.iter().all(|step| !step.within.is_zero()), "{slug}");
        // No rig of ours has a keyboard: a board that wants one cannot be provisioned, whatever else is there.
        let keyboard = ideal.wires.iter().any(|wire| wire.part == "keyboard" && !wire.optional);
        match plan(&board.board, &full()) {
            Ok(planned) => assert_eq!((planned, keyboard), (ideal, false), "{slug}"),
            Err(missing) => {
                assert!(
                    keyboard && missing.iter().all(|wire| wire.part == "keyboard"),
                    "{slug}: {missing:?}"
                );
            }
        }
    }
    let wanted = names(&[
        "disk-image",
        "flasher",
        "sd-card",
        "tegra-recovery",
        "usb-boot",
        "usb-mass-storage",
        "vendor-tool",
    ]);
    assert_eq!(kinds.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), wanted);
}

/// The steps in the order of balena's own lab; reference: autokit's flash procedures.
#[test]
fn the_steps_are_those_of_the_procedure() {
    let steps = |slug: &str| {
        let board = of(slug);
        acts(&plan(&board.board, &full()).unwrap().procedure)
    };
    for (slug, want) in [
        ("generic-amd64", "power-off main-to-host write-main read-back-main configure-main main-to-dut"),
        ("raspberrypi4-64", "power-off main-to-host write-main read-back-main configure-main main-to-dut"),
        (
            "etcher-pro",
            "power-off main-to-host write-main read-back-main configure-main main-to-dut set-boot-switch power-on \
             await-off power-off-installed release-boot-switch main-away drain prove-internal",
        ),
        (
            "raspberrypicm4-ioboard",
            "check-tool power-off vbus-off set-boot-switch set-vbus power-on load await-main write-main read-back-main configure-main \
             power-off-written release-vbus release-boot-switch drain",
        ),
        (
            "radxa-zero",
            "power-off set-boot-switch set-vbus power-on await-main write-main read-back-main configure-main \
             power-off-written release-vbus release-boot-switch drain",
        ),
        (
            "jetson-xavier",
            "check-tool power-off configure-copy set-recovery power-on await-recovery send power-off-written release-recovery \
             drain prove-internal",
        ),
        (
            "jetson-orin-nano-devkit-nvme",
            "check-tool power-off main-to-host write-main read-back-main configure-main main-to-dut set-recovery power-on \
             await-recovery send await-off power-off-written release-recovery main-away drain prove-internal",
        ),
        (
            "iot-gate-imx8plus",
            "check-tool power-off configure-copy set-vbus power-on send power-off-written release-vbus drain prove-internal",
        ),
    ] {
        assert_eq!(steps(slug), want, "{slug}");
    }
    // A machine that is a process has nothing to drain.
    let process = Shape { charge: false, ..full() };
    let planned = plan(&of("genericx86-64-ext").board, &process).unwrap().procedure;
    assert!(acts(&planned).ends_with("power-off-installed main-away prove-internal"), "{}", acts(&planned));
    let mut board = (*of("generic-aarch64").board).clone();
    for (root, want) in [
        (NetRoot::Memory, "power-off configure-copy serve power-on dialogue fetch"),
        (
            NetRoot::Medium,
            "power-off main-to-host write-main read-back-main configure-main serve main-to-dut power-on \
             dialogue fetch",
        ),
    ] {
        board.provision = Provision::Netboot(by_network(root));
        let netboot = ideal(&board).procedure;
        assert_eq!(acts(&netboot), want);
        assert_eq!(unproven(&netboot), None);
        let missing = plan(&board, &Shape { tftp: false, ..full() }).unwrap_err();
        assert_eq!(missing.iter().map(|wire| wire.part.as_str()).collect::<Vec<_>>(), ["tftp"]);
    }
    let steps = ideal(&board).procedure.steps;
    let told: Vec<_> =
        steps.iter().map(|step| step.act.to_string()).filter(|act| act.contains("boot")).collect();
    assert_eq!(
        told[told.len() - 3..],
        [
            "serve over TFTP: boot:/boot/Image; boot:/initrd",
            "tell the boot loader: `dhcp`; set bootargs=`console=ttyAMA0`; \
             `tftpboot ${kernel_addr_r} {serverip}:{hostname}/1-Image`; \
             `tftpboot ${ramdisk_addr_r} {serverip}:{hostname}/2-initrd`, its length in ramdisk_size; `booti`",
            "wait until the boot files were fetched",
        ]
    );
}

fn by_network(root: NetRoot) -> Netboot {
    let file = |path: &str, to: &str, size: Option<&str>| NetFile {
        role: "boot".into(),
        path: path.into(),
        to: to.into(),
        size: size.map(str::to_owned),
    };
    Netboot {
        root,
        loader: Loader::u_boot(),
        before: vec!["dhcp".into()],
        variables: vec![("bootargs".into(), "console=ttyAMA0".into())],
        files: vec![
            file("/boot/Image", "${kernel_addr_r}", None),
            file("/initrd", "${ramdisk_addr_r}", Some("ramdisk_size")),
        ],
        boot: "booti".into(),
    }
}

#[test]
fn without_a_verifying_step_a_procedure_is_refused() {
    let catalogue = Catalogue::embedded();
    for slug in catalogue.slugs() {
        let board = catalogue.resolved(slug).unwrap();
        let whole = ideal(&board.board).procedure;
        let verifying = |act: &Act| {
            matches!(act, Act::ReadBack { .. } | Act::ProveInternal { .. } | Act::CheckTool { .. })
        };
        let mut found = 0;
        for index in 0..whole.steps.len() {
            if !verifying(&whole.steps[index].act) {
                continue;
            }
            found += 1;
            let mut without = whole.clone();
            let step = without.steps.remove(index);
            let why =
                unproven(&without).unwrap_or_else(|| panic!("{slug}: without {} nothing is missed", step.id));
            assert!(
                ["is not read back", "nothing proves", "nothing shows"].iter().any(|said| why.contains(said)),
                "{why}"
            );
        }
        assert!(found > 0, "{slug}");
    }
}

#[test]
fn what_a_slot_lacks_is_named_with_what_it_is_for() {
    let missing = |slug: &str, shape: &Shape| -> Vec<Wire> {
        let board = of(slug);
        plan(&board.board, shape).map_or_else(|missing| missing, |_| Vec::new())
    };
    let parts = |wires: Vec<Wire>| wires.into_iter().map(|wire| wire.part).collect::<Vec<_>>().join(" ");
    let bare = Shape::default();
    assert_eq!(parts(missing("raspberrypi4-64", &bare)), "consoles.main media.main power");
    assert_eq!(
        parts(missing("etcher-pro", &bare)),
        "consoles.main media.main power outputs.boot-switch network"
    );
    let no_recovery = Shape { outputs: BTreeSet::new(), ..full() };
    let wires = missing("jetson-nano", &no_recovery);
    assert_eq!(wires.len(), 1, "{wires:?}");
    assert!(wires[0].why.contains("J40 pins 3 (FC REC) - 4 (GND)"), "{wires:?}");
    // Whether the jumper is needed is unknown: without it, it is planned without, and said.
    let planned = plan(&of("revpi-connect-4").board, &no_recovery).unwrap();
    assert!(!acts(&planned.procedure).contains("boot-switch"));
    assert!(planned.procedure.unknown.iter().any(|unknown| unknown.contains("jumper")), "{planned:?}");
    // An output that a step sets is taken back by that step's own undo.
    let orin = of("jetson-orin-nano-devkit-nvme");
    let planned = plan(&orin.board, &full()).unwrap().procedure;
    let set = planned.steps.iter().find(|step| step.id == "set-recovery").unwrap();
    assert_eq!(set.undo, Some(Act::Output { name: "recovery".into(), on: false }));
    assert!(
        planned
            .steps
            .iter()
            .all(|step| !matches!(step.act, Act::Tool { .. }) || step.proof == Shows::ToolReport)
    );
}

/// What all the rest of shakedown takes from a board.
fn effect(of: &Resolved) -> String {
    let profile = Catalogue::embedded().profile("reference").unwrap();
    let sources: Vec<_> = of.origins.iter().filter_map(|origin| origin.source.clone()).collect();
    format!(
        "{}{:?}{:?}{}",
        explain(of),
        ideal(&of.board),
        boot_spec(&of.board, &profile),
        // `boards show --sources`.
        sources.join(" ")
    )
}

/// A line that holds no value of its own: what it opens is changed line by line.
fn opens(line: &str) -> bool {
    line.trim_end().ends_with(':')
}

/// Every value of these descriptors, changed on its own, changes what comes of the board, or is refused.
#[test]
fn no_field_is_decoration() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue");
    let mut changed = 0;
    for slug in
        ["jetson-xavier", "raspberrypi4-64", "up-board", "generic-amd64", "hummingboard", "revpi-connect-4"]
    {
        let text = std::fs::read_to_string(here.join(format!("{slug}.yaml"))).unwrap();
        let before = effect(&of(slug));
        for (from, to) in changes(&text) {
            let other = format!("{}{}{}", &text[..from.start], to, &text[from.end..]);
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("catalogue")).unwrap();
            std::fs::write(folder.path().join(format!("catalogue/{slug}.yaml")), &other).unwrap();
            let catalogue = Catalogue::with_paths(&[folder.path().to_owned()]).unwrap();
            // Refused is an effect, too: the check sees it.
            if let Ok(after) = catalogue.resolved(slug) {
                let what = &text[from.clone()];
                assert_ne!(effect(&after), before, "{slug}: `{what}` as `{to}` changes nothing in\n{other}");
            }
            changed += 1;
        }
    }
    assert!(changed > 150, "{changed}");
}

/// Each scalar of a descriptor, with another that is like it.
fn changes(text: &str) -> Vec<(std::ops::Range<usize>, String)> {
    let mut all = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let at = start;
        start += line.len();
        if line.trim_start().starts_with('#') || opens(line) {
            continue;
        }
        let colon = line.find(": ").map_or(0, |colon| colon + 2);
        let (mut word, mut quoted) = (None::<usize>, false);
        for (offset, c) in line.char_indices().skip(colon) {
            // A blank inside a plain text ends a word as well: each word is changed.
            let ends = !quoted && (c.is_whitespace() || "[]{},:".contains(c));
            match word {
                None if !ends => {
                    word = Some(offset);
                    quoted = c == '"';
                }
                Some(from) if ends || (quoted && c == '"') => {
                    if c != ':' {
                        all.push((
                            at + from..at + offset + usize::from(quoted),
                            line[from..offset].to_owned(),
                        ));
                    }
                    (word, quoted) = (None, false);
                }
                _ => {}
            }
        }
    }
    all.into_iter().map(|(range, old)| (range, other(old.trim_start_matches('"'), &old))).collect()
}

fn other(plain: &str, old: &str) -> String {
    let quote = |text: String| if old.starts_with('"') { format!("\"{text}\"") } else { text };
    match plain {
        "true" => "false".to_owned(),
        "false" => "true".to_owned(),
        "aarch64" => "amd64".to_owned(),
        "internal" => "sata".to_owned(),
        "usb" | "sd-card" | "network" => "nvme".to_owned(),
        "raw" => "flasher".to_owned(),
        "flasher" => "raw".to_owned(),
        "released" | "discontinued" | "new" => "development".to_owned(),
        "supported" | "unlisted" => "private".to_owned(),
        "gpt" => "msdos".to_owned(),
        _ if plain.parse::<u32>().is_ok() => quote(format!("{}", plain.parse::<u32>().unwrap() + 1)),
        _ if plain.ends_with("iB") => format!("9{plain}"),
        _ => quote(format!("{plain}x")),
    }
}

/// What people read, for one board of each procedure. `SHAKEDOWN_BLESS=1` writes it anew.
#[test]
fn explanations_are_worth_reading() {
    let slugs = [
        "generic-amd64",
        "raspberrypi4-64",
        "intel-nuc",
        "raspberrypicm4-ioboard",
        "jetson-orin-nano-devkit-nvme",
        "iot-gate-imx8plus",
        "zcu102-zynqmp",
    ];
    let said: Vec<_> = slugs.iter().map(|slug| format!("## {slug}\n{}\n", explain(&of(slug)))).collect();
    let said = said.concat();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain.txt");
    if std::env::var_os("SHAKEDOWN_BLESS").is_some() {
        std::fs::write(&golden, &said).unwrap();
    }
    assert_eq!(
        said,
        std::fs::read_to_string(&golden).unwrap_or_default(),
        "SHAKEDOWN_BLESS=1 writes it anew"
    );
    for slug in Catalogue::embedded().slugs() {
        assert!(explain(&of(slug)).lines().count() > 25, "{slug}");
    }
}
