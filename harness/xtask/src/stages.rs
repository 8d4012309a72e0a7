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
            Self::Build => 720,
            Self::Images => 480,
            Self::T0 => 120,
            Self::T1 => 240,
            Self::T2 => 360,
            Self::T3 => 240,
            Self::T4 => 480,
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
    /// The dev build of `shakedown` with these arguments, and the exit code it must have.
    Shakedown(&'static [&'static str], i32),
    /// The rules of the workspace.
    Tidy,
    /// Waits for the images that are built in the background.
    Images,
}

const fn cargo(name: &'static str, tier: Tier, args: &'static [&'static str]) -> Stage {
    Stage { name, tier, run: Run::Cargo(args), full: false }
}

/// All stages, in order.
pub(crate) const STAGES: &[Stage] = &[
    cargo("fmt", Tier::Build, &["fmt", "--all", "--", "--check"]),
    cargo("build", Tier::Build, &["build", "--package", "shakedown"]),
    cargo("clippy", Tier::Build, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    Stage { name: "tidy", tier: Tier::Build, run: Run::Tidy, full: false },
    cargo("build-tests", Tier::Build, &["test", "--workspace", "--no-run"]),
    cargo("unit", Tier::T0, &["test", "--workspace", "--lib", "--bins"]),
    Stage { name: "images", tier: Tier::Images, run: Run::Images, full: false },
];
