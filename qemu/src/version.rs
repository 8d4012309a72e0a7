//! Which QEMU is installed.

use std::fmt;

use shakedown_core::{Deadline, Fault, InfraKind, Rig};
use shakedown_host::Tool;

use crate::machines::Machine;

/// A version of QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 7 of 7.2.22.
    pub major: u32,
    /// 2 of 7.2.22.
    pub minor: u32,
    /// 22 of 7.2.22.
    pub micro: u32,
}

/// The oldest that is known to work.
pub const OLDEST: Version = Version { major: 7, minor: 2, micro: 0 };

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

impl Version {
    /// From the first line of `--version`.
    pub fn parse(text: &str) -> Option<Self> {
        let words = text.lines().next()?.strip_prefix("QEMU emulator version ")?;
        let mut numbers = words.split_ascii_whitespace().next()?.split('.').map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self { major: next()?, minor: next()?, micro: next()? })
    }

    /// Asks the installed QEMU for this machine, and refuses one that is too old.
    pub async fn of(machine: &Machine<'_>, by: &Deadline) -> Rig<Self> {
        Self::of_program(machine.program, machine.package, by).await
    }

    async fn of_program(program: &str, package: &str, by: &Deadline) -> Rig<Self> {
        let output = Tool::new(program).arg("--version").package(package).run_ok(by).await?;
        let said = output.text();
        let fault = || Fault::new(InfraKind::Tool, "qemu", "use", program);
        let Some(version) = Self::parse(&said) else {
            let line = said.lines().next().unwrap_or_default();
            return Err(fault().expected("`QEMU emulator version X.Y.Z`", format!("`{line}`")));
        };
        if version < OLDEST {
            return Err(fault()
                .expected(format!("QEMU {OLDEST} or newer"), format!("QEMU {version}"))
                .hint(format!("Debian 12 and newer have it: apt-get install {package}")));
        }
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use shakedown_core::{Pace, RealClock};
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[test]
    fn versions_of_all_kinds_of_builds_are_read() {
        for (text, version) in [
            ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright", Some((7, 2, 22))),
            ("QEMU emulator version 10.0.2\n", Some((10, 0, 2))),
            ("qemu-img version 7.2.0", None),
            ("QEMU emulator version 7", None),
            ("", None),
        ] {
            let read = Version::parse(text).map(|version| (version.major, version.minor, version.micro));
            assert_eq!(read, version, "{text}");
        }
    }

    #[tokio::test]
    async fn a_missing_or_old_qemu_says_what_to_install() {
        let by = Deadline::new(
            "version",
            Duration::from_secs(10),
            Pace::Rig,
            RealClock::start(),
            CancellationToken::new(),
        );
        let missing = Version::of_program("qemu-system-none", "qemu-system-x86", &by).await.unwrap_err();
        assert_eq!(missing.hint.as_deref(), Some("install it: apt-get install qemu-system-x86"), "{missing}");

        let folder = std::env::temp_dir().join(format!("shakedown-old-qemu-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let old = folder.join("qemu-system-old");
        std::fs::write(&old, "#!/bin/sh\necho 'QEMU emulator version 6.2.0 (old)'\n").unwrap();
        std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o755)).unwrap();
        let fault = Version::of_program(old.to_str().unwrap(), "qemu-system-x86", &by).await.unwrap_err();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(fault.to_string().contains("expected QEMU 7.2.0 or newer, got QEMU 6.2.0"), "{fault}");
    }
}
