//! A DUT that answers commands from a script, for what the interpreter does with answers.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of it")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use shakedown_core::event::Measure;
use shakedown_core::profile::{ConfigProfile, EngineProfile, SshProfile};
use shakedown_core::{
    Arch, Board, BootReport, Capability, Clock, Cmd, Console, ConsoleLog, Cursor, Cut, Deadline, Dut,
    Evidence, Exit, Fut, LoginTry, OsProfile, Pace, Provision, Ran, RealClock, Reboot, Resets, Sha,
    ShellError,
};
use tokio_util::sync::CancellationToken;

/// What a command comes to: exit code, output, and after a NUL what it complains.
pub type Answer = (i32, &'static str);

pub struct Fake {
    profile: OsProfile,
    board: Board,
    facts: BTreeMap<String, String>,
    console: Console,
    clock: Arc<dyn Clock>,
    /// The beginning of a command, and its answers in turn; the last one stays.
    script: Mutex<Vec<(&'static str, Vec<Answer>)>>,
    pub ran: Mutex<Vec<String>>,
    pub notes: Mutex<Vec<String>>,
    pub measures: Mutex<Vec<Measure>>,
    pub put: Mutex<Vec<(String, Vec<u8>)>>,
    /// What each awaited boot was allowed to do.
    pub resets: Mutex<Vec<Resets>>,
    /// The SSH host key; a boot that was declared to bring another one goes on to the next, if there is one.
    pub keys: Mutex<Vec<&'static str>>,
    declared: Mutex<bool>,
    /// The host names that it was given.
    pub names: Mutex<Vec<String>>,
}

impl Fake {
    pub fn new(script: &[(&'static str, &[Answer])]) -> Self {
        let clock: Arc<dyn Clock> = RealClock::start();
        let log = Arc::new(ConsoleLog::new(clock.clone()));
        Self {
            profile: profile(),
            board: board(),
            facts: [("hostname".to_owned(), "shake-1a2b".to_owned())].into(),
            console: Console { log, tx: None },
            clock,
            script: Mutex::new(script.iter().map(|(line, answers)| (*line, answers.to_vec())).collect()),
            ran: Mutex::default(),
            notes: Mutex::default(),
            measures: Mutex::default(),
            put: Mutex::default(),
            resets: Mutex::default(),
            keys: Mutex::new(vec!["SHA256:one"]),
            declared: Mutex::default(),
            names: Mutex::default(),
        }
    }

    /// With another profile.
    pub fn with_profile(self, profile: OsProfile) -> Self {
        Self { profile, ..self }
    }

    pub fn deadline(&self, span: Duration) -> Deadline {
        Deadline::new("the test", span, Pace::Rig, self.clock.clone(), CancellationToken::new())
    }

    /// The commands that ran.
    pub fn ran(&self) -> Vec<String> {
        self.ran.lock().unwrap().clone()
    }
}

pub fn profile() -> OsProfile {
    static FACTS: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    let facts = FACTS.get_or_init(|| {
        let suites = shakedown_suites::Suites::embedded().unwrap();
        suites.profile_facts().map(|(name, _, value)| (name.to_owned(), value.to_owned())).collect()
    });
    let keys = [("hostname", "hostname"), ("ssh-keys", "os.sshKeys")];
    OsProfile {
        id: "reference".into(),
        name: "the reference OS".into(),
        os_release_ids: Vec::new(),
        offers: [Capability::new("engine")].into(),
        ssh: SshProfile { port: 22222, user: "root".into(), fingerprint: None, authorized_keys: None },
        login: None,
        engine: Some(EngineProfile {
            command: "docker".into(),
            healthy: "engine-healthcheck".into(),
            unit: Some("engine.service".into()),
            process: Some("dockerd".into()),
            tcp_port: Some(2375),
        }),
        partitions: BTreeMap::new(),
        config: Some(ConfigProfile {
            file: "config.json".into(),
            mounted: "/mnt/boot/config.json".into(),
            keys: keys.map(|(name, key)| (name.to_owned(), key.to_owned())).into(),
        }),
        update: None,
        facts: facts.clone(),
        budgets: [("memory.rest".to_owned(), 300.0), ("cpu.rest".to_owned(), 30.0)].into(),
        stages: Vec::new(),
        bad: Vec::new(),
        evidence: Vec::new(),
        shutdown: Duration::from_secs(60),
        hash: Sha([0; 32]),
    }
}

fn board() -> Board {
    Board {
        slug: "some-board".into(),
        name: "Some board".into(),
        arch: Arch::Amd64,
        soc: None,
        capabilities: std::collections::BTreeSet::new(),
        provision: Provision::SdCard,
        baud: 115_200,
        min_off: Duration::ZERO,
        stages: Vec::new(),
        bad: Vec::new(),
        config_txt: Vec::new(),
        hash: Sha([0; 32]),
    }
}

impl Dut for Fake {
    fn profile(&self) -> &OsProfile {
        &self.profile
    }
    fn board(&self) -> &Board {
        &self.board
    }
    fn facts(&self) -> &BTreeMap<String, String> {
        &self.facts
    }
    fn offers(&self, _: &Capability) -> bool {
        true
    }
    fn run<'a>(&'a self, cmd: &'a Cmd, _: &'a Deadline) -> Fut<'a, Result<Ran, ShellError>> {
        self.ran.lock().unwrap().push(cmd.line.clone());
        let mut script = self.script.lock().unwrap();
        let answers = &mut script
            .iter_mut()
            .find(|(line, _)| cmd.line.starts_with(line))
            .unwrap_or_else(|| panic!("no answer to `{}`", cmd.line))
            .1;
        let (code, out) = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
        let took = Duration::ZERO;
        let (out, err) = out.split_once('\0').unwrap_or((out, ""));
        let (exit, out, err) = (Exit::Code(code), out.as_bytes().to_vec(), err.as_bytes().to_vec());
        Box::pin(async move { Ok(Ran { exit, out, err, took, truncated: false }) })
    }
    fn run_on_console<'a>(&'a self, cmd: &'a Cmd, by: &'a Deadline) -> Fut<'a, Result<Ran, Cut>> {
        Box::pin(async move { Ok(self.run(cmd, by).await?) })
    }
    fn put<'a>(&'a self, to: &'a str, data: &'a [u8], _: &'a Deadline) -> Fut<'a, Result<(), ShellError>> {
        self.put.lock().unwrap().push((to.to_owned(), data.to_vec()));
        Box::pin(async { Ok(()) })
    }
    fn put_companion<'a>(&'a self, role: &'a str, _: &'a str, _: &'a Deadline) -> Fut<'a, Result<(), Cut>> {
        self.put.lock().unwrap().push((role.to_owned(), Vec::new()));
        Box::pin(async { Ok(()) })
    }
    fn console(&self) -> &Console {
        &self.console
    }
    fn reboot<'a>(&'a self, _: Reboot, _: &'a Deadline) -> Fut<'a, Result<BootReport, Cut>> {
        let mut keys = self.keys.lock().unwrap();
        if std::mem::take(&mut *self.declared.lock().unwrap()) && keys.len() > 1 {
            keys.remove(0);
        }
        Box::pin(async { Ok(BootReport { stages: Vec::new(), pace: 1.0, banners: 1 }) })
    }
    fn await_boot<'a>(
        &'a self,
        _: Cursor,
        resets: &'a Resets,
        by: &'a Deadline,
    ) -> Fut<'a, Result<BootReport, Cut>> {
        self.resets.lock().unwrap().push(resets.clone());
        self.reboot(Reboot::Clean, by)
    }
    fn host_key(&self) -> Option<String> {
        self.keys.lock().unwrap().first().map(|key| (*key).to_owned())
    }
    fn renamed(&self, hostname: &str) {
        self.names.lock().unwrap().push(hostname.to_owned());
    }
    fn host_key_may_change(&self) {
        *self.declared.lock().unwrap() = true;
    }
    fn try_login<'a>(&'a self, _: LoginTry, _: &'a Deadline) -> Fut<'a, Result<bool, ShellError>> {
        Box::pin(async { Ok(false) })
    }
    fn port_open<'a>(&'a self, _: u16, _: &'a Deadline) -> Fut<'a, Result<bool, Cut>> {
        Box::pin(async { Ok(false) })
    }
    fn ntp<'a>(&'a self, _: &'a Deadline) -> Fut<'a, Result<SocketAddr, Cut>> {
        Box::pin(async { Ok(SocketAddr::from(([10, 0, 2, 2], 12_300))) })
    }
    fn measure(&self, measure: Measure) {
        self.measures.lock().unwrap().push(measure);
    }
    fn evidence(&self, evidence: Evidence) {
        self.notes.lock().unwrap().push(format!("{evidence:?}"));
    }
}
