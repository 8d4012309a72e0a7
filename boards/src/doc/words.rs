//! Core's words, with a schema for editors.

use schemars::JsonSchema;
use serde::Deserialize;
use shakedown_core::{Arch, Blame};

/// A CPU architecture, by its name in balena's contracts where they have one, else by Debian's or Docker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ArchDoc {
    /// x86-64.
    Amd64,
    /// 64-bit Arm.
    Aarch64,
    /// 32-bit Arm with hardware floating point.
    Armv7hf,
    /// 32-bit x86.
    I386,
    /// 32-bit x86 without long NOPs (Quark).
    I386Nlp,
    /// Armv6 of the first Raspberry Pis.
    Rpi,
    /// 64-bit RISC-V.
    Riscv64,
    /// 64-bit POWER, little-endian.
    Ppc64le,
    /// IBM Z.
    S390x,
}

impl From<ArchDoc> for Arch {
    fn from(arch: ArchDoc) -> Self {
        match arch {
            ArchDoc::Amd64 => Self::Amd64,
            ArchDoc::Aarch64 => Self::Aarch64,
            ArchDoc::Armv7hf => Self::Armv7hf,
            ArchDoc::I386 => Self::I386,
            ArchDoc::I386Nlp => Self::I386Nlp,
            ArchDoc::Rpi => Self::Rpi,
            ArchDoc::Riscv64 => Self::Riscv64,
            ArchDoc::Ppc64le => Self::Ppc64le,
            ArchDoc::S390x => Self::S390x,
        }
    }
}

/// Whose fault a known-bad line is when nothing else speaks against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BlameDoc {
    /// The operating system under test.
    Os,
    /// The image file: corrupt, for another board, not bootable.
    Image,
    /// The bench around the DUT.
    Rig,
    /// shakedown itself, or a case of it.
    Harness,
    /// Open; a control run may settle it.
    Undetermined,
}

impl From<BlameDoc> for Blame {
    fn from(blame: BlameDoc) -> Self {
        match blame {
            BlameDoc::Os => Self::Os,
            BlameDoc::Image => Self::Image,
            BlameDoc::Rig => Self::Rig,
            BlameDoc::Harness => Self::Harness,
            BlameDoc::Undetermined => Self::Undetermined,
        }
    }
}
