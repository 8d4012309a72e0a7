//! Programs on a terminal of their own: a shell that stands in for a DUT, a console command.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use shakedown_core::Rig;

use super::{Child, Tool};

impl Tool {
    /// Starts it on a new pseudo-terminal, which is its controlling one; returns our side of
    /// it, made for [`crate::pump::fd`]. Needs util-linux's `setsid`.
    pub fn start_on_terminal(&self) -> Rig<(Child, OwnedFd)> {
        let (ours, theirs) = open().map_err(|error| self.fault("open a terminal for").because(&error))?;
        let mut tool = self.clone();
        tool.args = [vec!["-c".into(), self.program.clone()], self.args.clone()].concat();
        tool.program = "setsid".into();
        let child = tool.package("util-linux").own_session().start_on(&theirs)?;
        Ok((child, ours))
    }
}

fn open() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let path = ptsname(&ours, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = rustix::fs::open(&path, flags, Mode::empty())?;
    Ok((ours, theirs))
}
