//! What the cases about updates share.

use std::time::Duration;

use shakedown_core::profile::UpdateProfile;
use shakedown_core::{Cut, Deadline, Dut, Failure, Ran};

use super::host::Host;
use crate::template::Template;

pub(super) const FACTS: &[&str] = &[
    "update-file",
    "update-slot",
    "marker-health-breadcrumb",
    "marker-health-triggered",
    "marker-altboot-triggered",
    "partition-links",
];

/// An update in the making.
pub(super) struct Update<'a> {
    pub(super) host: Host<'a>,
    profile: &'a UpdateProfile,
}

/// Which system runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) slot: String,
    pub(super) version: String,
}

impl<'a> Update<'a> {
    pub(super) async fn new(dut: &'a dyn Dut, facts: &[&str], by: &Deadline) -> Result<Self, Cut> {
        let host = Host::new(dut, facts, by).await?;
        let profile = dut.profile().update.as_ref();
        let profile = profile.ok_or_else(|| Cut::Broken("the OS profile has no update command".into()))?;
        Ok(Self { host, profile })
    }

    /// Makes the folder in which update files lie.
    pub(super) async fn folder(&self, by: &Deadline) -> Result<(), Cut> {
        let line = "file={update-file}; mkdir -p \"${file%/*}\"";
        self.host.must("there is no folder for the update file", line, by).await?;
        Ok(())
    }

    /// Puts the companion file onto the DUT where updates go.
    pub(super) async fn put(&self, role: &str, by: &Deadline) -> Result<(), Cut> {
        self.folder(by).await?;
        let by = by.child("the update file on its way to the DUT", Duration::from_secs(240));
        self.host.dut.put_companion(role, &self.profile.file, &by).await
    }

    /// Runs the update command on a file; whatever comes of it.
    pub(super) async fn install(&self, file: &str, by: &Deadline) -> Result<Ran, Cut> {
        let values = [("file".to_owned(), file.to_owned())].into();
        let line = Template::parse(&self.profile.command)
            .fill(&values)
            .map_err(|name| Cut::Broken(format!("the update command has no value for `{name}`")))?;
        let by = by.child("the update command", Duration::from_secs(300));
        self.host.ask_slowly(&format!("({line}) 2>&1"), &by).await
    }

    /// Installs the update file that is there; it must be armed afterwards.
    pub(super) async fn arm(&self, by: &Deadline) -> Result<(), Cut> {
        // What an earlier update left behind would tell of this one.
        let line = "rm -f {marker-health-triggered} {marker-altboot-triggered}";
        self.host.must("the marks of an earlier update cannot be removed", line, by).await?;
        let ran = self.install(&self.profile.file, by).await?;
        if !ran.exit.is_ok() {
            let got = format!("{}, {}", ran.exit, crate::expect::printed(&ran));
            return Err(Failure::new("the update does not install", "exit code 0", got).into());
        }
        self.host.must("the update is not armed", "ls {marker-health-breadcrumb}", by).await?;
        Ok(())
    }

    /// Slot and version that run now.
    pub(super) async fn running(&self, by: &Deadline) -> Result<Running, Cut> {
        let slot = self.host.must("the running slot is not told", "{update-slot}", by).await?;
        let version = self
            .host
            .must("the running version is not told", ". /etc/os-release && echo \"$VERSION_ID\"", by)
            .await?;
        Ok(Running { slot, version })
    }
}

impl std::fmt::Display for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "version {} in slot {}", self.version, self.slot)
    }
}
