//! The real binary, run in a folder of its own, and what came of it.
#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod guest;
pub(crate) mod keeper;
pub(crate) mod lab;
pub(crate) mod micro;
pub(crate) mod pins;
pub(crate) mod scripted;
pub(crate) mod sshd;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use rustix::process::{Pid, Signal};
use shakedown_core::ledger::{Attempt, Step};
use shakedown_core::{Blame, Deadline, Ledger, Pace, RealClock, journal};
use shakedown_host::{Child, Tool, group, warden};
use shakedown_reports::Results;
use tokio_util::sync::CancellationToken;

/// The command under test.
pub(crate) const SHAKEDOWN: &str = env!("CARGO_BIN_EXE_shakedown");

/// A wait of the test itself; generous, for the machine may be busy.
pub(crate) fn by(name: &str, seconds: u64) -> Deadline {
    let span = Duration::from_secs(seconds);
    Deadline::new(name, span, Pace::Rig, RealClock::start(), CancellationToken::new())
}

/// The front of a target whose tests share the machine, and so run one after the other.
pub(crate) fn one_by_one(tests: impl FnOnce() -> Vec<Trial>) -> ! {
    warden::serve_if_asked();
    let mut args = Arguments::from_args();
    args.test_threads = Some(1);
    libtest_mimic::run(&args, tests()).exit()
}

/// A test that prints how long it took.
pub(crate) fn trial<F: Future<Output = ()> + 'static>(name: &'static str, test: fn() -> F) -> Trial {
    Trial::test(name, move || {
        let began = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| Failed::from(error.to_string()))?.block_on(test());
        println!("     {name}: {:.1} s", began.elapsed().as_secs_f64());
        Ok(())
    })
}

/// What a command did.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Both streams, for the message of a failed test.
    pub(crate) fn all(&self) -> String {
        format!("exit {:?}\n--- out\n{}--- err\n{}", self.code, self.out, self.err)
    }

    /// The exit code, and the whole of standard error.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, err: &str) {
        assert_eq!(self.err.trim_end(), err.trim_end(), "{}", self.all());
        assert_eq!(self.code, Some(code), "{}", self.all());
    }

    /// The exit code, and texts of standard output and error.
    #[track_caller]
    pub(crate) fn says(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.all());
        for text in texts {
            assert!(
                self.out.contains(text) || self.err.contains(text),
                "missing `{text}` in\n{}",
                self.all()
            );
        }
    }
}

/// A folder in which the command runs, with a cache and a runtime folder of its own.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl Drop for Place {
    /// A keeper outlives its commands, and would a failed test.
    fn drop(&mut self) {
        for pid in self.processes() {
            if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
                // It may be gone by now, which is what was wanted.
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        let mut place = Self { dir: tempfile::tempdir().unwrap(), env: Vec::new() };
        let own = |name: &str| place.path(name).display().to_string();
        // Slots, locks and tokens of this test meet nobody else's.
        let env = [
            ("SHAKEDOWN_CACHE", own("cache")),
            ("SHAKEDOWN_RUNTIME", own("runtime")),
            ("SHAKEDOWN_OUT", own("out")),
            ("NO_COLOR", "1".to_owned()),
        ];
        place.env = env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        place
    }

    /// Sets a variable for the commands.
    pub(crate) fn env(&mut self, name: &str, value: impl Into<String>) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.into()));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file in it, with the folders on the way.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn tool(&self, program: &str, args: &[&str]) -> Tool {
        let tool = Tool::new(program).args(args).dir(self.dir.path()).limit(64 << 20);
        self.env.iter().fold(tool, |tool, (name, value)| tool.env(name, value))
    }

    /// Runs the command to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Ran {
        self.run_within(SHAKEDOWN, args, 1800).await
    }

    /// Runs another program to its end, in the same folder.
    pub(crate) async fn run_program(&self, program: &str, args: &[&str]) -> Ran {
        self.run_within(program, args, 1800).await
    }

    /// The same with another limit, in seconds.
    pub(crate) async fn run_within(&self, program: &str, args: &[&str], seconds: u64) -> Ran {
        let output = self.tool(program, args).run(&by(&args.join(" "), seconds)).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran { code: output.status.code(), out: text(&output.out), err: text(&output.err) }
    }

    /// Starts the command.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.tool(SHAKEDOWN, args).start().unwrap()
    }

    /// Starts the command on a terminal of its own; returns our side of it.
    pub(crate) fn on_terminal(&self, args: &[&str]) -> (Child, std::os::fd::OwnedFd) {
        self.tool(SHAKEDOWN, args).start_on_terminal().unwrap()
    }

    /// Everything that was started in this place and still runs.
    pub(crate) fn processes(&self) -> Vec<u32> {
        group::with_env(&format!("SHAKEDOWN_RUNTIME={}", self.path("runtime").display()))
    }

    /// The machines among them.
    pub(crate) fn qemus(&self) -> Vec<u32> {
        let is_qemu = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.starts_with(b"qemu-system-") || line.starts_with(b"/usr/bin/qemu-system-")
        };
        self.processes().into_iter().filter(is_qemu).collect()
    }

    /// The folder of the only run, or of the last one that was begun.
    pub(crate) fn last(&self) -> PathBuf {
        std::fs::canonicalize(self.path("out/latest")).unwrap()
    }

    /// Waits until the last run's journal holds this text.
    pub(crate) async fn until_journal(&self, child: &Child, text: &str, seconds: u64) {
        let limit = by(text, seconds);
        let journal = || std::fs::read_to_string(self.path("out/latest/journal.jsonl")).unwrap_or_default();
        while !journal().contains(text) {
            assert_eq!(child.try_status().unwrap(), None, "ended before `{text}`:\n{}", child.tail());
            limit.pause(Duration::from_millis(20), || child.tail()).await.unwrap();
        }
    }
}

/// Kills one process, and nothing of its group.
pub(crate) fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// What Ctrl-C sends.
pub(crate) fn interrupt(pid: u32) {
    signal(pid, Signal::INT);
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// A run's folder, read back.
pub(crate) struct Run {
    pub(crate) folder: PathBuf,
    pub(crate) ledger: Ledger,
    /// `None` where the run was cut off before its reports.
    pub(crate) results: Option<Results>,
}

impl Run {
    pub(crate) fn read(folder: &Path) -> Self {
        let journal = journal::read(&std::fs::read(folder.join("journal.jsonl")).unwrap());
        let results = std::fs::read(folder.join("results.json")).ok();
        let results = results.map(|text| serde_json::from_slice(&text).unwrap());
        Self { folder: folder.to_owned(), ledger: Ledger::of(&journal), results }
    }

    /// The last attempt at a case.
    #[track_caller]
    pub(crate) fn case(&self, id: &str) -> &Attempt {
        let found = self.ledger.attempts.iter().rfind(|attempt| attempt.case.0 == id);
        found.unwrap_or_else(|| panic!("no attempt at {id}: {:#?}", self.ledger.attempts))
    }

    /// The last step of this name.
    #[track_caller]
    pub(crate) fn step(&self, name: &str) -> &Step {
        let found = self.ledger.steps.iter().rfind(|step| step.name == name);
        found.unwrap_or_else(|| panic!("no step {name}: {:#?}", self.ledger.steps))
    }

    /// A case's outcome, blame and row are these, in the journal and in results.json, and
    /// its headline holds the texts.
    #[track_caller]
    pub(crate) fn judged(&self, id: &str, word: &str, blame: &str, because: &str, texts: &[&str]) {
        let case = self.case(id);
        let outcome = case.outcome.as_ref().unwrap_or_else(|| panic!("{id} did not end"));
        let blamed = case.blame.map_or("nobody", Blame::word);
        let got = (outcome.word(), blamed, case.because.as_deref().unwrap_or("-"));
        assert_eq!(got, (word, blame, because), "{id}: {outcome:?}");
        let said = format!("{}\n{outcome:?}", outcome.headline());
        for text in texts {
            assert!(said.contains(text), "missing `{text}` in {said}");
        }
        let results = self.results.as_ref().expect("a results.json");
        let result = results.cases.iter().find(|case| case.id.0 == id).expect("the case in results.json");
        let last = result.attempts.last().expect("an attempt in results.json");
        assert_eq!((last.outcome.as_ref(), &last.because), (Some(outcome), &case.because), "results.json");
    }

    /// The exit code that the process returned is the one in the journal and in results.json.
    #[track_caller]
    pub(crate) fn ended(&self, ran: Option<i32>, code: u8) {
        let (exit, verdict, ..) = self.ledger.end.as_ref().expect("an end");
        assert_eq!((ran, exit.code()), (Some(i32::from(code)), code), "{verdict}");
        let results = self.results.as_ref().expect("a results.json");
        assert_eq!(results.exit_code, code, "results.json: {}", results.verdict_line);
        assert_eq!(*verdict, results.verdict_line, "the sentence in the journal");
        assert_eq!(self.ledger.problems, [], "the journal is whole");
    }
}
