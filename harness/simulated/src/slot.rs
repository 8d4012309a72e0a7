//! The simulated DUT behind core's traits.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shakedown_core::profile::LoginProfile;
use shakedown_core::{
    Cmd, Console, ConsoleTx, Deadline, Exit, Fault, Fut, InfraKind, Level, Line, LoginTry, Medium, NetPath,
    Network, ProcessState, Ran, Rig, Shell, ShellError, Shells, Side, SshTarget, Storage, Unreachable,
    VitalSigns, Vitals,
};

use crate::doc::Does;
use crate::medium::Memory;
use crate::world::{Answer, World};

/// In faults and events.
pub(crate) const DRIVER: &str = "simulated";

pub(crate) struct Supply(pub(crate) Arc<World>);

impl Line for Supply {
    fn driver(&self) -> &'static str {
        DRIVER
    }

    fn endpoint(&self) -> String {
        self.0.stand.slot.clone()
    }

    fn set<'a>(&'a self, on: bool, _by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async move {
            self.0.switch(on);
            Ok(())
        })
    }

    fn read<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Level>> {
        let state = self.0.state();
        let level = Level::from(state.on && !state.lost);
        Box::pin(async move { Ok(level) })
    }

    fn when_dropped(&self) -> Level {
        Level::Off
    }
}

/// The way to the DUT: its console, its network, its shells.
pub(crate) struct Wire(pub(crate) Arc<World>);

impl ConsoleTx for Wire {
    fn send<'a>(&'a self, _bytes: &'a [u8], _by: &'a Deadline) -> Fut<'a, Rig<()>> {
        let state = self.0.state();
        if state.on && !state.lost && state.login {
            self.0.stand.log.append(b"\r\nsimulated login: ");
        }
        Box::pin(async { Ok(()) })
    }

    fn sysrq<'a>(&'a self, _key: u8, _by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async { Ok(()) })
    }
}

impl Network for Wire {
    fn tcp<'a>(&'a self, port: u16, _by: &'a Deadline) -> Fut<'a, Result<SocketAddr, ShellError>> {
        // Nobody connects to it: the shells below do not.
        Box::pin(async move { Ok(SocketAddr::from(([127, 0, 0, 1], port))) })
    }

    fn path<'a>(&'a self, _port: u16, _by: &'a Deadline) -> Fut<'a, NetPath> {
        let path = self.0.path();
        Box::pin(async move { path })
    }

    fn look<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<String>> {
        Box::pin(async { Ok("simulated".to_owned()) })
    }
}

impl Shells for Wire {
    fn ssh<'a>(
        &'a self,
        _target: &'a SshTarget,
        _by: &'a Deadline,
    ) -> Fut<'a, Result<(Arc<dyn Shell>, String), ShellError>> {
        Box::pin(async {
            self.0.reachable().map_err(ShellError::Dut)?;
            Ok((Arc::new(Self(self.0.clone())) as Arc<dyn Shell>, "SHA256:simulated".to_owned()))
        })
    }

    fn try_login<'a>(
        &'a self,
        _addr: SocketAddr,
        _user: &'a str,
        _how: LoginTry,
        _by: &'a Deadline,
    ) -> Fut<'a, Result<bool, ShellError>> {
        Box::pin(async { Ok(false) })
    }

    fn login<'a>(
        &'a self,
        _console: &'a Console,
        _login: &'a LoginProfile,
        _by: &'a Deadline,
    ) -> Fut<'a, Result<Arc<dyn Shell>, ShellError>> {
        let why = "nobody logs in on a simulated console".to_owned();
        Box::pin(async { Err(ShellError::Dut(Unreachable::Denied(why))) })
    }
}

impl Shell for Wire {
    fn kind(&self) -> &'static str {
        "ssh"
    }

    fn run<'a>(&'a self, cmd: &'a Cmd, by: &'a Deadline) -> Fut<'a, Result<Ran, ShellError>> {
        Box::pin(async move {
            let (took, code, out) = match self.0.answer(&cmd.line) {
                Answer::Ends(took, code, out) => (took, code, out),
                Answer::Gone(unreachable) => return Err(ShellError::Dut(unreachable)),
                Answer::Never => {
                    let never = by.run(String::new, std::future::pending::<()>()).await;
                    let stop = never.err().unwrap_or_else(|| by.stop(""));
                    return Err(ShellError::Dut(Unreachable::Hung(stop)));
                }
            };
            let clock = &self.0.stand.clock;
            let until = clock.now() + took;
            let waited = by.run(String::new, clock.sleep_until(until)).await;
            waited.map_err(|stop| ShellError::Dut(Unreachable::Hung(stop)))?;
            let (exit, out, err) = (Exit::Code(code), out.into_bytes(), Vec::new());
            Ok(Ran { exit, out, err, took, truncated: false })
        })
    }

    fn put<'a>(
        &'a self,
        _to: &'a str,
        _data: &'a [u8],
        _mode: u32,
        _by: &'a Deadline,
    ) -> Fut<'a, Result<(), ShellError>> {
        let reached = self.0.reachable().map_err(ShellError::Dut);
        Box::pin(async move { reached })
    }

    fn get<'a>(
        &'a self,
        from: &'a str,
        _most: u64,
        _by: &'a Deadline,
    ) -> Fut<'a, Result<Vec<u8>, ShellError>> {
        let no = Unreachable::Refusal(format!("{from}: no such file on a simulated DUT"));
        let reached = self.0.reachable().and(Err(no)).map_err(ShellError::Dut);
        Box::pin(async move { reached })
    }
}

/// The card, and who has it.
pub(crate) struct Card(pub(crate) Arc<World>, pub(crate) Mutex<Side>);

impl Storage for Card {
    fn driver(&self) -> &'static str {
        DRIVER
    }

    fn endpoint(&self) -> String {
        self.0.stand.slot.clone()
    }

    fn side<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Side>> {
        let side = *self.1.lock().unwrap_or_else(PoisonError::into_inner);
        Box::pin(async move { Ok(side) })
    }

    fn switch<'a>(&'a self, to: Side, _by: &'a Deadline) -> Fut<'a, Rig<Side>> {
        *self.1.lock().unwrap_or_else(PoisonError::into_inner) = to;
        Box::pin(async move { Ok(to) })
    }

    fn open<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Box<dyn Medium>>> {
        Box::pin(async {
            if self.0.stand.sick == Some(Does::MediumGone) {
                let fault = Fault::new(InfraKind::Storage, DRIVER, "open", self.endpoint());
                return Err(fault.expected("a card in the reader", "none"));
            }
            Ok(Box::new(Memory::new(&self.0.stand.slot, self.0.stand.medium.clone())) as Box<dyn Medium>)
        })
    }
}

pub(crate) struct Well;

impl Vitals for Well {
    fn look(&self) -> VitalSigns {
        VitalSigns { process: ProcessState::None, starved: 1.0, host: None }
    }
}

/// Limits that a supply without a relay needs not have.
pub(crate) fn limits() -> shakedown_core::Limits {
    shakedown_core::Limits { min_off: Duration::from_secs(1), max_cycles_per_minute: 60, safe: Level::Off }
}
