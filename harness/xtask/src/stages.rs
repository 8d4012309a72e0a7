//! What the test command runs: stages in tiers, each tier with its budget.

/// A tier of DESIGN.md section 10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tier {
    /// Formatting, lints and what compiling takes.
    Build,
    /// The reference OS's images; built beside the tiers below.
    Images,
    /// Unit tests, recordings, goldens.
    T0,
    /// Drivers and renderers against counterparts that others wrote.
    T1,
    /// Micro guests.
    T2,
    /// The reference OS from a booted snapshot.
    T3,
    /// The reference OS, cold.
    T4,
}

impl Tier {
    /// All of them, in order.
    pub(crate) const ALL: [Self; 7] =
        [Self::Build, Self::Images, Self::T0, Self::T1, Self::T2, Self::T3, Self::T4];

    /// The longest time, in seconds on 2 cores from a fresh clone.
    pub(crate) fn budget(self) -> u64 {
        match self {
            Self::Build => 1200,
            Self::Images => 480,
            Self::T0 => 300,
            Self::T1 => 400,
            // 676 s on a quiet machine before there were boots over the network and card muxes; 1147 s with them at load 5.
            Self::T2 => 1300,
            Self::T3 => 400,
            Self::T4 => 1300,
        }
    }
}

/// One command of a tier.
pub(crate) struct Stage {
    /// For people and for `--only`.
    pub(crate) name: &'static str,
    /// Its tier.
    pub(crate) tier: Tier,
    /// What runs.
    pub(crate) run: Run,
    /// Only with `--full`.
    pub(crate) full: bool,
}

/// What a stage runs.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// Cargo with these arguments.
    Cargo(&'static [&'static str]),
    /// The command itself.
    Build,
    /// All tests, compiled only.
    BuildTests,
    /// Lints, warnings denied.
    Clippy,
    /// The tests inside the crates.
    Unit,
    /// These integration tests.
    Tests(&'static [&'static str]),
    /// What of these integration tests is ignored elsewhere, for it takes long.
    Ignored(&'static [&'static str]),
    /// The same, with our binary for arm64, which is built for it.
    Arm64(&'static [&'static str]),
    /// The dev build of `shakedown` with these arguments, and the exit code it must have.
    Shakedown(&'static [&'static str], i32),
    /// The rules of the workspace.
    Tidy,
    /// The loader of descriptors, fuzzed.
    Fuzz,
    /// Waits for the images that are built in the background.
    Images,
}

/// One set of features for every build, so that nothing is compiled twice.
pub(crate) const FEATURES: &[&str] = &["--workspace", "--features", "shakedown-qemu/micro,shakedown/rppal"];

/// The same with debug probes.
const PROBE: &str = "shakedown-qemu/micro,shakedown/rppal,shakedown/probe";

const PROBE_CLIPPY: [&str; 8] =
    ["clippy", "--workspace", "--features", PROBE, "--all-targets", "--", "-D", "warnings"];

const fn cargo(name: &'static str, tier: Tier, args: &'static [&'static str]) -> Stage {
    Stage { name, tier, run: Run::Cargo(args), full: false }
}

const fn tests(name: &'static str, tier: Tier, names: &'static [&'static str]) -> Stage {
    Stage { name, tier, run: Run::Tests(names), full: false }
}

const fn ignored(name: &'static str, tier: Tier, names: &'static [&'static str]) -> Stage {
    Stage { name, tier, run: Run::Ignored(names), full: false }
}

const fn shakedown(name: &'static str, tier: Tier, args: &'static [&'static str]) -> Stage {
    Stage { name, tier, run: Run::Shakedown(args, 0), full: false }
}

const fn only_full(stage: &Stage) -> Stage {
    Stage { full: true, name: stage.name, tier: stage.tier, run: stage.run }
}

/// All stages, in order. What takes longer than the 40 minutes leave runs only with `--full`.
pub(crate) const STAGES: &[Stage] = &[
    cargo("fmt", Tier::Build, &["fmt", "--all", "--", "--check"]),
    Stage { name: "tidy", tier: Tier::Build, run: Run::Tidy, full: false },
    Stage { name: "build", tier: Tier::Build, run: Run::Build, full: false },
    Stage { name: "build-tests", tier: Tier::Build, run: Run::BuildTests, full: false },
    Stage { name: "clippy", tier: Tier::Build, run: Run::Clippy, full: false },
    Stage { name: "unit", tier: Tier::T0, run: Run::Unit, full: false },
    tests(
        "documents",
        Tier::T0,
        &[
            "errors",
            "hostile",
            "catalogue",
            "import",
            "plan",
            "memory",
            "loader",
            "reference",
            "sketch",
            "porter",
            "embedded",
            "steps",
            "bad_input",
            "dut",
            "docs",
            "examples",
            "standin",
            "plots",
            "sabotage",
        ],
    ),
    tests("runner", Tier::T0, &["run", "host_key", "installer", "tools"]),
    tests("campaigns", Tier::T0, &["simulated", "bringup"]),
    tests("console", Tier::T0, &["boot", "matcher", "recorder", "recordings", "speed", "terminal"]),
    tests("reports", Tier::T0, &["goldens", "robust"]),
    tests("history", Tier::T0, &["history", "evidence"]),
    tests("host", Tier::T1, &["console", "process", "ssh", "jump", "warden", "slot", "fetch", "tftp"]),
    tests("gate", Tier::T1, &["gate"]),
    tests("drivers", Tier::T1, &["outputs", "consoles", "contract", "programs", "link", "tftp_servers"]),
    tests("media", Tier::T1, &["media", "block_device"]),
    tests("readers", Tier::T1, &["consumers", "chromium"]),
    Stage { name: "images", tier: Tier::Images, run: Run::Images, full: false },
    // Two run at once: the longest first.
    tests("faults", Tier::T2, &["faults"]),
    tests("lab", Tier::T2, &["lab"]),
    tests("micro-guests", Tier::T2, &["micro"]),
    tests("keeper", Tier::T2, &["keeper", "kept"]),
    tests("nightlies", Tier::T2, &["nightly"]),
    tests("netboots", Tier::T2, &["netboot"]),
    tests("flashers", Tier::T2, &["flasher", "vendor"]),
    only_full(&tests("doctor", Tier::T2, &["doctor"])),
    // A build with debug probes, which takes some hundred crates more.
    only_full(&cargo("probe-clippy", Tier::T2, &PROBE_CLIPPY)),
    only_full(&cargo("probe", Tier::T2, &["test", "--workspace", "--features", PROBE, "--test", "probe"])),
    // What never comes is waited for, five minutes each.
    only_full(&ignored("lab-boards", Tier::T2, &["lab"])),
    shakedown("sabotages", Tier::T3, &["run", "--board", "generic-amd64", "--sabotage", "proven"]),
    shakedown("demo", Tier::T4, &["run", "--board", "generic-amd64", "--selection", "demo"]),
    shakedown(
        "update",
        Tier::T4,
        &[
            "run",
            "--board",
            "generic-amd64",
            "--case",
            "update::commit::*",
            "--case",
            "update::rollback::broken-init",
        ],
    ),
    shakedown("arm64", Tier::T4, &["run", "--board", "generic-aarch64", "--selection", "quick"]),
    only_full(&tests("faults-os", Tier::T4, &["faults_os"])),
    // It builds the workspace once more, for arm64.
    Stage { name: "pins", tier: Tier::T2, run: Run::Arm64(&["pl061", "bcm2835"]), full: true },
    // Without a network, by the login on its console: 2 minutes quiet, several times that when busy.
    only_full(&shakedown("pi", Tier::T4, &["run", "--slot", "pi3", "--selection", "quick"])),
    // It installs a whole OS under emulation.
    only_full(&ignored("flasher-os", Tier::T4, &["flasher"])),
    // It builds Debian, and runs all that its profile allows.
    only_full(&ignored("debian", Tier::T4, &["examples"])),
    // It builds the stand-in for balenaOS and its updates, and runs all that balenaOS's profile allows.
    only_full(&ignored("balena-stand-in", Tier::T4, &["standin"])),
    only_full(&shakedown("all", Tier::T4, &["run", "--board", "generic-amd64", "--selection", "all"])),
    only_full(&shakedown(
        "arm64-all",
        Tier::T4,
        &["run", "--board", "generic-aarch64", "--selection", "all"],
    )),
    // Ignored elsewhere, for it builds twice; without the last word it would run nothing.
    only_full(&cargo(
        "identical-images",
        Tier::Images,
        &["test", "--package", "shakedown-os", "--test", "identical", "--", "--ignored"],
    )),
    Stage { name: "fuzz", tier: Tier::T0, run: Run::Fuzz, full: true },
    only_full(&cargo("doc-tests", Tier::T0, &["test", "--workspace", "--doc"])),
];
