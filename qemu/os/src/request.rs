//! What can be built, and what comes out.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Manifest;

/// An architecture, by Debian's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit PC: BIOS and UEFI.
    Amd64,
    /// 64-bit Arm: UEFI, by U-Boot or edk2.
    Arm64,
}

impl Arch {
    /// Debian's name for it.
    pub fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The board that stands for it.
    pub fn board(self) -> Target {
        match self {
            Self::Amd64 => Target::Amd64,
            Self::Arm64 => Target::Aarch64,
        }
    }
}

/// A board that there is an image for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Any PC, by BIOS or UEFI.
    Amd64,
    /// Any 64-bit Arm machine with UEFI.
    Aarch64,
    /// A Raspberry Pi 3, whose firmware starts the kernel from its card. No boot loader chooses a slot.
    RaspberryPi3,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Amd64, Self::Aarch64, Self::RaspberryPi3];

    /// The slug that its os-release carries and that its update files must name.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Amd64 => "generic-amd64",
            Self::Aarch64 => "generic-aarch64",
            Self::RaspberryPi3 => "raspberrypi3-64",
        }
    }

    /// Its architecture.
    pub fn arch(self) -> Arch {
        match self {
            Self::Amd64 => Arch::Amd64,
            Self::Aarch64 | Self::RaspberryPi3 => Arch::Arm64,
        }
    }

    /// Whether something at boot chooses a slot: without it there is no update.
    pub fn has_slots(self) -> bool {
        self != Self::RaspberryPi3
    }

    /// By its slug.
    pub fn of_slug(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.slug() == slug)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.debian())
    }
}

/// Which OS is made of the packages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Os {
    /// The reference OS.
    #[default]
    Reference,
    /// The stand-in for balenaOS: its names, paths and habits, on the same packages.
    BalenaOs,
}

impl Os {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Reference, Self::BalenaOs];

    /// The OS profile that it executes.
    pub fn profile(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::BalenaOs => "balenaos",
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference OS",
            Self::BalenaOs => "stand-in for balenaOS",
        }
    }

    /// Whether there is one for this board. The stand-in starts by UEFI alone.
    pub fn is_for(self, board: Target) -> bool {
        self == Self::Reference || board == Target::Amd64
    }

    /// By its profile.
    pub fn of_profile(profile: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|os| os.profile() == profile)
    }

    /// What is its own, as a script of the recipe.
    pub(crate) fn script(self) -> &'static str {
        match self {
            Self::Reference => "assemble/reference.sh",
            Self::BalenaOs => "balena/os.sh",
        }
    }
}

/// Whole, or broken in a way that a suite needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// Nothing is broken.
    #[default]
    Standard,
    /// There is no init: the kernel panics.
    NoInit,
    /// There is no kernel: the boot loader cannot load the slot.
    NoKernel,
    /// It comes up, and its health check fails.
    Unhealthy,
}

impl Variant {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Standard, Self::NoInit, Self::NoKernel, Self::Unhealthy];

    /// Its name, as it stands in `VARIANT_ID` of os-release.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::NoInit => "no-init",
            Self::NoKernel => "no-kernel",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What to build.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// Which OS.
    pub os: Os,
    /// For which board.
    pub board: Target,
    /// `VERSION_ID` of its os-release.
    pub version: String,
    /// Whole or broken.
    pub variant: Variant,
    /// Where packages, images and updates are kept.
    pub cache: PathBuf,
    /// Ask the mirror for newer packages even when its lists are fresh.
    pub refresh: bool,
    /// Build even when the cache has it; for the proof that two builds are equal.
    pub rebuild: bool,
    /// More kernel arguments.
    pub kernel_args: String,
}

impl BuildRequest {
    /// The reference OS in version 1.0.0, whole.
    pub fn new(board: Target, cache: impl Into<PathBuf>) -> Self {
        Self {
            os: Os::Reference,
            board,
            version: "1.0.0".to_owned(),
            variant: Variant::Standard,
            cache: cache.into(),
            refresh: false,
            rebuild: false,
            kernel_args: String::new(),
        }
    }
}

/// A finished image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Built {
    /// The image, compressed with zstd.
    pub image: PathBuf,
    /// Bytes of the image as it goes on a disk.
    pub raw_bytes: u64,
    /// SHA-256 of the image as it goes on a disk.
    pub sha256: String,
    /// Bytes of the compressed file.
    pub packed_bytes: u64,
    /// The packages it was made of.
    pub manifest: Manifest,
    /// Hash of everything that went into it.
    pub key: String,
    /// The container image that the suites bring, where none lies on the data partition.
    #[serde(skip)]
    pub test_image: Option<PathBuf>,
    /// How long each step took when it was built.
    pub figures: Vec<(String, Duration)>,
    /// Whether it came from the cache.
    #[serde(skip)]
    pub cached: bool,
}

/// A finished update file.
#[derive(Clone, Debug)]
pub struct Update {
    /// The file for the OS's own update command.
    pub file: PathBuf,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// Whether it came from the cache.
    pub cached: bool,
}

/// A step of a build: begun (`took` is `None`) or done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is done, as a noun phrase: `packages`, `root file system`.
    pub name: String,
    /// How long it took.
    pub took: Option<Duration>,
}

/// Who is told about the steps.
pub type OnStep<'a> = dyn Fn(Step) + Send + Sync + 'a;
