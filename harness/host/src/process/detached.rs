//! A program that outlives us: the keeper of a rig.

use std::fs::File;
use std::process::{Child, ExitStatus, Stdio};

use shakedown_core::Rig;

use super::Tool;

/// A program that was started and that nobody ends for us: no warden of ours knows it, and it is
/// not killed when this is dropped.
#[derive(Debug)]
pub struct Detached {
    child: Child,
    tool: Tool,
}

impl Tool {
    /// Starts it for good, with both outputs going to this file. It should make a session of its
    /// own (`setsid`) first, so that no signal of our terminal reaches it.
    pub fn start_detached(&self, said: &File) -> Rig<Detached> {
        let both = said.try_clone().and_then(|out| Ok((out, said.try_clone()?)));
        let (out, err) = both.map_err(|error| self.fault("open the log of").because(&error))?;
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.args).envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = command.spawn().map_err(|error| self.cannot_start(&error))?;
        Ok(Detached { child, tool: self.clone() })
    }
}

impl Detached {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended; `None` while it runs.
    pub fn try_status(&mut self) -> Rig<Option<ExitStatus>> {
        self.child.try_wait().map_err(|error| self.tool.fault("look at").because(&error))
    }
}
