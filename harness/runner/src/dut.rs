//! The DUT as cases see it, on top of a slot, a profile and a run's identity.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shakedown_console::Patterns;
use shakedown_core::{
    Board, BootReport, BootSpec, Capability, CaseId, Cmd, Console, Cursor, Cut, Deadline, Dut, Event,
    Evidence, Fault, Fut, InfraKind, LoginTry, Mark, Measure, NetPath, OsProfile, Pace, Ran, Reboot, Resets,
    Rig, Shell, ShellError, Shells, Sink, Slot, SshTarget, Unreachable, shell::quote,
};
use tokio_util::sync::CancellationToken;

use crate::climb::{self, Ascent};
use crate::host_key::HostKey;
use crate::identity::{Identity, facts};
use crate::netboot::Net;
use crate::observe::alarms;
use crate::provision::power_down;
use crate::waiting::Waiting;

/// The most of a command's output that goes into the journal, in bytes of each stream.
const EVIDENCE: usize = 4096;

/// Everything that a run on a slot needs besides its cases.
pub(crate) struct LiveDut {
    pub(crate) slot: Slot,
    pub(crate) profile: Arc<OsProfile>,
    pub(crate) spec: BootSpec,
    pub(crate) identity: Identity,
    pub(crate) shells: Arc<dyn Shells>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) waiting: Waiting,
    pub(crate) cancel: CancellationToken,
    pub(crate) companions: BTreeMap<String, PathBuf>,
    pub(crate) offers: BTreeSet<Capability>,
    pub(crate) console: Console,
    /// It runs from a medium of its own, whoever wrote that, or from none: the main one stays away.
    pub(crate) own_storage: bool,
    /// The tool that wrote that medium, if its own word is all that there is.
    pub(crate) writes_by: Option<String>,
    /// What is served to its boot loader, if anything is.
    pub(crate) net: Net,
    /// Known-bad lines, then signs of a start; `None` where a pattern is not valid.
    pub(crate) alarms: Option<Patterns>,
    facts: BTreeMap<String, String>,
    state: Mutex<State>,
    shell: tokio::sync::Mutex<Option<Arc<dyn Shell>>>,
    login: tokio::sync::Mutex<Option<Arc<dyn Shell>>>,
}

#[derive(Default)]
struct State {
    case: Option<CaseId>,
    /// Since the last boot that was asked for and came up: what comes after is unasked.
    settled: Cursor,
    /// Where the last boot that was watched began.
    ascent: Cursor,
    /// The kernel's id of the last boot that came up, where it is asked for.
    boot_id: Option<String>,
    /// What booted was asked, and is what a tool was to bring.
    proven: bool,
    keys: HostKey,
    /// The run's key was seen on the DUT since the boot that is watched began.
    authorized: bool,
}

/// What [`LiveDut::new`] is made of.
pub(crate) struct Parts {
    /// The place.
    pub slot: Slot,
    /// What the OS promises.
    pub profile: Arc<OsProfile>,
    /// The board's stages and the profile's.
    pub spec: BootSpec,
    /// This run's names and keys.
    pub identity: Identity,
    /// Makes shells.
    pub shells: Arc<dyn Shells>,
    /// Takes events.
    pub sink: Arc<dyn Sink>,
    /// Stops the run.
    pub cancel: CancellationToken,
    /// It boots from a medium of its own.
    pub own_storage: bool,
    /// The tool that writes it unseen.
    pub writes_by: Option<String>,
    /// The image's companion files by role.
    pub companions: BTreeMap<String, PathBuf>,
    /// Facts of the run: version, image; the profile's and the identity's are added.
    pub facts: BTreeMap<String, String>,
}

impl LiveDut {
    /// Needs a main console: without one there is no proof of a boot.
    pub(crate) fn new(parts: Parts, waiting: Waiting) -> Rig<Self> {
        let Parts {
            slot,
            profile,
            spec,
            identity,
            shells,
            sink,
            cancel,
            own_storage,
            writes_by,
            companions,
            facts: run,
        } = parts;
        let Some(console) = slot.console().cloned() else {
            return Err(Fault::new(InfraKind::Config, "slot", "watch a boot on", &slot.id).expected(
                "a console named `main`",
                format!("{:?}", slot.consoles.keys().collect::<Vec<_>>()),
            ));
        };
        let mut offers: BTreeSet<_> =
            slot.offers.iter().chain(&slot.board.capabilities).chain(&profile.offers).cloned().collect();
        offers.extend(companions.keys().map(|role| Capability::new(format!("companion-{role}"))));
        let facts = facts(&slot, &profile, &identity, run);
        let alarms = alarms(&spec);
        Ok(Self {
            slot,
            profile,
            spec,
            identity,
            shells,
            sink,
            waiting,
            cancel,
            companions,
            offers,
            console,
            own_storage,
            writes_by,
            net: Net::default(),
            alarms,
            facts,
            state: Mutex::default(),
            shell: tokio::sync::Mutex::default(),
            login: tokio::sync::Mutex::default(),
        })
    }

    /// A wait of its own, at the DUT's pace.
    pub(crate) fn wait(&self, name: &str, span: Duration) -> Deadline {
        let clock = self.console.log.clock().clone();
        Deadline::new(name, span, Pace::Dut(self.slot.pace.clone()), clock, self.cancel.clone())
    }

    /// A wait that an interrupt does not end: for what leaves the slot safe.
    pub(crate) fn must(&self, name: &str, span: Duration) -> Deadline {
        let clock = self.console.log.clock().clone();
        Deadline::new(name, span, Pace::Rig, clock, CancellationToken::new())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Evidence and measures belong to this case from now on; what the one before declared is over.
    pub(crate) fn enter(&self, case: Option<CaseId>) {
        let mut state = self.state();
        state.case = case;
        state.keys.close();
    }

    /// Console bytes after this place came after the last boot that came up.
    pub(crate) fn settled(&self) -> Cursor {
        self.state().settled
    }

    /// The running system is this run's: from here on nobody's word alone is believed.
    pub(crate) fn is_proven(&self) {
        self.state().proven = true;
    }

    /// Whether a tool's word is all that says that the image under test is on the board.
    pub(crate) fn unproven(&self) -> bool {
        self.writes_by.is_some() && !self.state().proven
    }

    /// A boot begins here.
    pub(crate) fn ascend(&self, since: Cursor) {
        let mut state = self.state();
        state.ascent = since;
        // A power cut may have taken it, and another image has none.
        state.authorized = false;
    }

    /// Where the last boot that was watched began.
    pub(crate) fn ascent(&self) -> Cursor {
        self.state().ascent
    }

    /// The id of the boot that came up.
    pub(crate) fn remember_boot(&self, id: Option<String>) {
        self.state().boot_id = id;
    }

    /// The id of the last boot that came up, if it was asked for.
    pub(crate) fn boot_before(&self) -> Option<String> {
        self.state().boot_id.clone()
    }

    pub(crate) fn settle(&self) {
        let here = self.console.log.here();
        self.state().settled = here;
    }

    /// What is known of its host key.
    pub(crate) fn keys<T>(&self, with: impl FnOnce(&mut HostKey) -> T) -> T {
        with(&mut self.state().keys)
    }

    /// The same where another key may be believed afterwards: that is shown.
    pub(crate) fn believe(&self, with: impl FnOnce(&mut HostKey) -> Option<Evidence>) {
        // Not under the lock: the evidence's case is looked up behind it.
        let change = self.keys(with);
        if let Some(change) = change {
            self.evidence(change);
        }
    }

    /// Forgets the shells: after a boot there are new servers behind them.
    pub(crate) async fn drop_shells(&self) {
        *self.shell.lock().await = None;
        *self.login.lock().await = None;
    }

    /// Where SSH answers now, and how to get in.
    pub(crate) async fn target(&self, by: &Deadline) -> Result<SshTarget, ShellError> {
        let Some(network) = &self.slot.network else {
            return Err(ShellError::Rig(
                Fault::new(InfraKind::Network, "slot", "reach", &self.slot.id)
                    .expected("a network", "none in the rig file"),
            ));
        };
        Ok(SshTarget {
            addr: network.tcp(self.profile.ssh.port, by).await?,
            user: self.profile.ssh.user.clone(),
            key: self.identity.private_key.clone(),
            host_key: self.host_key(),
        })
    }

    /// The open SSH shell, or a new one. One try: who waits for it polls with a deadline.
    pub(crate) async fn ssh(&self, by: &Deadline) -> Result<Arc<dyn Shell>, ShellError> {
        let mut open = self.shell.lock().await;
        if let Some(shell) = &*open {
            return Ok(shell.clone());
        }
        let mut target = self.target(by).await?;
        let mut came = self.shells.ssh(&target, by).await;
        if let Err(ShellError::Dut(why)) = &came
            && let Some(other) = self.keys(|keys| keys.other(why))
        {
            target.host_key = Some(other);
            came = self.shells.ssh(&target, by).await;
        }
        match came {
            Ok((shell, fingerprint)) => {
                self.believe(|keys| keys.met(fingerprint));
                *open = Some(shell.clone());
                Ok(shell)
            }
            Err(error) => {
                if let ShellError::Dut(why) = &error {
                    self.keys(|keys| keys.failed(why));
                }
                Err(error)
            }
        }
    }

    /// What commands go through: SSH, or the login on the console where the slot has no network.
    pub(crate) async fn usual_shell(&self, by: &Deadline) -> Result<Arc<dyn Shell>, ShellError> {
        if !self.only_console() {
            return self.ssh(by).await;
        }
        match self.console_shell(by).await {
            Ok(shell) => Ok(shell),
            Err(Cut::Shell(error)) => Err(error),
            // Without a login in the profile: what is missing is the network.
            Err(_) => self.ssh(by).await,
        }
    }

    /// Whether the console is the only way in.
    pub(crate) fn only_console(&self) -> bool {
        let (profile, network) = (&self.profile, self.slot.network.is_some());
        // Where nothing brings the run's key, SSH lets nobody in.
        let takes_key = profile.config.is_some() || profile.ssh.authorized_keys.is_some();
        profile.login.is_some() && !(network && takes_key)
    }

    /// The run's key where the SSH server looks for it, once a boot, through the console's login: for an
    /// OS whose image takes none.
    pub(crate) async fn authorize(&self, by: &Deadline) -> Result<(), Cut> {
        let Some(file) = self.profile.ssh.authorized_keys.as_ref().filter(|_| !self.only_console()) else {
            return Ok(());
        };
        if self.state().authorized {
            return Ok(());
        }
        let (file, key) = (quote(file), quote(&self.identity.public_key));
        let line = format!(
            "umask 077; mkdir -p \"$(dirname {file})\" && {{ grep -qxF {key} {file} 2>/dev/null || {{ \
             [ -z \"$(tail -c 1 {file} 2>/dev/null)\" ] || echo >> {file}; echo {key} >> {file}; }}; }} \
             && grep -cxF {key} {file}"
        );
        let ran = self.quietly_on_console(&Cmd::sh(line), by).await??;
        if !ran.exit.is_ok() {
            let why = format!("the run's key cannot be put at {file}: {} ({})", ran.text(), ran.exit);
            return Err(Cut::Broken(why));
        }
        self.state().authorized = true;
        Ok(())
    }

    async fn forget_usual_shell(&self) {
        let shell = if self.only_console() { &self.login } else { &self.shell };
        *shell.lock().await = None;
    }

    async fn console_shell(&self, by: &Deadline) -> Result<Arc<dyn Shell>, Cut> {
        let mut open = self.login.lock().await;
        if let Some(shell) = &*open {
            return Ok(shell.clone());
        }
        let Some(login) = &self.profile.login else {
            let what = "the OS profile has no console login: the case needs a capability that says so";
            return Err(Cut::Broken(what.into()));
        };
        let shell = self.shells.login(&self.console, login, by).await?;
        *open = Some(shell.clone());
        Ok(shell)
    }

    /// Runs without recording: for the harness's own looks.
    pub(crate) async fn quietly(&self, cmd: &Cmd, by: &Deadline) -> Result<Ran, ShellError> {
        let shell = self.usual_shell(by).await?;
        let mut ran = self.waiting.on(shell.run(cmd, by)).await;
        if is_not_sent(&ran) {
            // The session died while nobody used it. Nothing was done yet, so this is no second try.
            self.forget_usual_shell().await;
            let shell = self.usual_shell(by).await?;
            ran = self.waiting.on(shell.run(cmd, by)).await;
        }
        if ran.is_err() {
            self.forget_usual_shell().await;
        }
        ran
    }

    /// The same through the login on the console: no login, or what came of the command.
    pub(crate) async fn quietly_on_console(
        &self,
        cmd: &Cmd,
        by: &Deadline,
    ) -> Result<Result<Ran, ShellError>, Cut> {
        let shell = self.waiting.on(self.console_shell(by)).await?;
        let ran = self.waiting.on(shell.run(cmd, by)).await;
        if ran.is_err() {
            *self.login.lock().await = None;
        }
        Ok(ran)
    }

    fn record(&self, line: &str, by: &str, ran: &Result<Ran, ShellError>, took: Duration) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(EVIDENCE)]).into_owned();
        let (ended, out, err) = match ran {
            Ok(ran) => (ran.exit.to_string(), text(&ran.out), text(&ran.err)),
            Err(error) => (error.to_string(), String::new(), String::new()),
        };
        self.evidence(Evidence::Command { line: line.to_owned(), by: by.to_owned(), ended, out, err, took });
    }

    pub(crate) async fn path(&self, port: u16, by: &Deadline) -> NetPath {
        match &self.slot.network {
            Some(network) => network.path(port, by).await,
            None => NetPath::Unknown,
        }
    }
}

impl Dut for LiveDut {
    fn profile(&self) -> &OsProfile {
        &self.profile
    }

    fn board(&self) -> &Board {
        &self.slot.board
    }

    fn facts(&self) -> &BTreeMap<String, String> {
        &self.facts
    }

    fn offers(&self, capability: &Capability) -> bool {
        self.offers.contains(capability)
    }

    fn run<'a>(&'a self, cmd: &'a Cmd, by: &'a Deadline) -> Fut<'a, Result<Ran, ShellError>> {
        Box::pin(async move {
            let began = by.clock().now();
            let ran = self.quietly(cmd, by).await;
            let through = if self.only_console() { "console" } else { "ssh" };
            self.record(&cmd.line, through, &ran, by.clock().now().since(began));
            ran
        })
    }

    fn run_on_console<'a>(&'a self, cmd: &'a Cmd, by: &'a Deadline) -> Fut<'a, Result<Ran, Cut>> {
        Box::pin(async move {
            let began = by.clock().now();
            let ran = self.quietly_on_console(cmd, by).await?;
            self.record(&cmd.line, "console", &ran, by.clock().now().since(began));
            Ok(ran?)
        })
    }

    fn put<'a>(&'a self, to: &'a str, data: &'a [u8], by: &'a Deadline) -> Fut<'a, Result<(), ShellError>> {
        Box::pin(self.waiting.on(async move {
            let mut put = self.usual_shell(by).await?.put(to, data, 0o644, by).await;
            if is_not_sent(&put) {
                // A file is put beside its place and renamed: what was begun does not count.
                self.forget_usual_shell().await;
                put = self.usual_shell(by).await?.put(to, data, 0o644, by).await;
            }
            // A refusal is an answer: the session is as good as before.
            if !matches!(&put, Ok(()) | Err(ShellError::Dut(Unreachable::Refusal(_)))) {
                self.forget_usual_shell().await;
            }
            put
        }))
    }

    fn put_companion<'a>(&'a self, role: &'a str, to: &'a str, by: &'a Deadline) -> Fut<'a, Result<(), Cut>> {
        Box::pin(async move {
            let broken = |what: String| Cut::Broken(format!("companion file `{role}`: {what}"));
            let path = self.companions.get(role).ok_or_else(|| broken("the image has none".into()))?;
            let data = std::fs::read(path).map_err(|error| broken(format!("{}: {error}", path.display())))?;
            let size = data.len();
            self.put(to, &data, by).await?;
            self.evidence(Evidence::Note(format!("put {} ({size} bytes) at {to}", path.display())));
            Ok(())
        })
    }

    fn console(&self) -> &Console {
        &self.console
    }

    fn reboot<'a>(&'a self, how: Reboot, by: &'a Deadline) -> Fut<'a, Result<BootReport, Cut>> {
        Box::pin(async move {
            let since = self.console.log.here();
            let began = by.clock().now();
            let name = match how {
                Reboot::Clean => {
                    // The shell must have answered before it goes away, so the reboot starts a moment later.
                    let line = self.facts.get("reboot").map_or("systemctl reboot", String::as_str);
                    let cmd =
                        Cmd::sh(format!("(sleep 0.2; {line}) >/dev/null 2>&1 </dev/null & echo rebooting"));
                    self.run(&cmd, by).await?;
                    "clean reboot"
                }
                Reboot::Reset => {
                    let Some(reset) = self.slot.outputs.get("reset") else {
                        return Err(Cut::Broken(
                            "the slot has no output `reset`: the case needs the capability".into(),
                        ));
                    };
                    self.waiting.on(reset.press(Duration::from_millis(100), by)).await?;
                    self.console.log.mark(&Mark::Reset);
                    "reset"
                }
                Reboot::PowerCut => {
                    let Some(power) = &self.slot.power else {
                        return Err(Cut::Broken(
                            "the slot has no power control: the case needs the capability".into(),
                        ));
                    };
                    // A supply that did not go off would look like a DUT that does not start anew.
                    power_down(self).await?;
                    self.waiting.on(power.set(true, by)).await?;
                    self.console.log.mark(&Mark::PowerOn);
                    "power cut"
                }
            };
            self.drop_shells().await;
            let ascent = Ascent {
                how: name,
                since,
                began,
                from_power: how != Reboot::Clean,
                allowed: &Resets::default(),
            };
            climb::climb(self, &ascent, by).await
        })
    }

    fn await_boot<'a>(
        &'a self,
        since: Cursor,
        allowed: &'a Resets,
        by: &'a Deadline,
    ) -> Fut<'a, Result<BootReport, Cut>> {
        Box::pin(async move {
            self.drop_shells().await;
            let began = by.clock().now();
            let ascent = Ascent { how: "reboot by the DUT", since, began, from_power: false, allowed };
            climb::climb(self, &ascent, by).await
        })
    }

    fn host_key(&self) -> Option<String> {
        self.keys(|keys| keys.believed().map(str::to_owned))
    }

    fn renamed(&self, hostname: &str) {
        if let Some(network) = &self.slot.network {
            network.named(hostname);
        }
    }

    fn host_key_may_change(&self) {
        let told = self.profile.ssh.fingerprint.is_some();
        if !told {
            self.keys(HostKey::declare);
        }
        let who = if told { "the console tells which" } else { "the first other one is believed" };
        self.evidence(Evidence::Note(format!(
            "declared: the next boot may bring another SSH host key; {who}"
        )));
    }

    fn try_login<'a>(&'a self, how: LoginTry, by: &'a Deadline) -> Fut<'a, Result<bool, ShellError>> {
        Box::pin(async move {
            let target = self.target(by).await?;
            self.waiting.on(self.shells.try_login(target.addr, &target.user, how, by)).await
        })
    }

    fn port_open<'a>(&'a self, port: u16, by: &'a Deadline) -> Fut<'a, Result<bool, Cut>> {
        Box::pin(async move {
            match self.waiting.on(self.path(port, by)).await {
                NetPath::Speaks | NetPath::Mute => Ok(true),
                NetPath::Refused | NetPath::Silent => Ok(false),
                NetPath::RigDown(what) => Err(Cut::Rig(
                    Fault::new(InfraKind::Network, "network", "probe", format!("port {port}"))
                        .expected("a path", what),
                )),
                NetPath::Unknown => {
                    Err(Cut::Broken("the slot cannot probe ports: the case needs `network`".into()))
                }
            }
        })
    }

    fn ntp<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Result<SocketAddr, Cut>> {
        Box::pin(async move {
            match &self.slot.services {
                Some(services) => Ok(services.ntp(by).await?),
                None => {
                    Err(Cut::Broken("the slot serves no time: the case needs the capability `ntp`".into()))
                }
            }
        })
    }

    fn measure(&self, measure: Measure) {
        let case = self.state().case.clone();
        self.sink.emit(Event::Measured { case, measure });
    }

    fn evidence(&self, evidence: Evidence) {
        let case = self.state().case.clone();
        self.sink.emit(Event::Evidence { case, evidence });
    }
}

fn is_not_sent<T>(done: &Result<T, ShellError>) -> bool {
    matches!(done, Err(ShellError::Dut(Unreachable::NotSent(_))))
}
