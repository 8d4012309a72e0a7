//! Running programs: each in its own process group, bounded in time and output.

mod capture;
mod child;
mod detached;
mod leader;
mod lines;
mod run;
mod terminal;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::shell::quote;
use shakedown_core::{Fault, InfraKind, Rig};

use crate::warden;
pub use child::{Child, Piped};
pub use detached::Detached;
use leader::Leader;
pub use lines::LineCutter;

/// Which of a program's outputs a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

type OnLine = Arc<dyn Fn(Stream, &str) + Send + Sync>;
type OnBytes = Arc<dyn Fn(Stream, &[u8]) + Send + Sync>;

/// A program with its arguments, ready to be run or started.
#[derive(Clone)]
pub struct Tool {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    stdin: Option<Arc<[u8]>>,
    limit: usize,
    secrets: Vec<String>,
    package: Option<String>,
    log: Option<PathBuf>,
    on_line: Option<OnLine>,
    on_bytes: Option<OnBytes>,
    own_session: bool,
    in_front: bool,
}

/// A program that ran to its end, whatever it returned.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// The first bytes of its standard output, up to [`Tool::limit`].
    pub out: Vec<u8>,
    /// The last bytes of its standard error, up to [`Tool::limit`].
    pub err: Vec<u8>,
    /// Whether it printed more than was kept.
    pub truncated: bool,
    /// From its start to its end.
    pub took: Duration,
}

impl Output {
    /// Standard output as text for people and patterns, without the last line break.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).trim_end_matches(['\n', '\r']).to_owned()
    }
}

impl Tool {
    /// Output kept unless told otherwise, of each stream.
    pub const LIMIT: usize = 4 << 20;

    /// A program by its path, or by its name in `PATH`. It reads nothing unless told otherwise.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            stdin: None,
            limit: Self::LIMIT,
            secrets: Vec::new(),
            package: None,
            log: None,
            on_line: None,
            on_bytes: None,
            own_session: false,
            in_front: false,
        }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Adds to the environment, which is otherwise ours.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The working directory.
    #[must_use]
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// What it reads; without this, nothing.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into().into());
        self
    }

    /// The most bytes kept of each of its outputs.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// A text that is shown as `***` wherever the command or its output is shown.
    #[must_use]
    pub fn secret(mut self, text: impl Into<String>) -> Self {
        self.secrets.push(text.into());
        self
    }

    /// The Debian package that brings the program, for the hint when it is missing.
    #[must_use]
    pub fn package(mut self, name: impl Into<String>) -> Self {
        self.package = Some(name.into());
        self
    }

    /// Both outputs of a program that is started go to the end of this file.
    #[must_use]
    pub fn log_to(mut self, file: impl AsRef<Path>) -> Self {
        self.log = Some(file.as_ref().to_owned());
        self
    }

    /// Called with each line as it comes, without its line break: progress.
    #[must_use]
    pub fn on_line(mut self, call: impl Fn(Stream, &str) + Send + Sync + 'static) -> Self {
        self.on_line = Some(Arc::new(call));
        self
    }

    /// Called with what comes of either output as it comes, whole: for what is kept as bytes.
    #[must_use]
    pub fn on_bytes(mut self, call: impl Fn(Stream, &[u8]) + Send + Sync + 'static) -> Self {
        self.on_bytes = Some(Arc::new(call));
        self
    }

    /// The program makes its own session, and with it its process group (`setsid`).
    pub(crate) fn own_session(mut self) -> Self {
        self.own_session = true;
        self
    }

    /// The program's name without its directory.
    pub fn name(&self) -> String {
        let path = Path::new(&self.program);
        path.file_name().unwrap_or(&self.program).to_string_lossy().into_owned()
    }

    /// The text with secrets replaced by `***`.
    pub fn redact(&self, text: &str) -> String {
        let known = self.secrets.iter().filter(|secret| !secret.is_empty());
        known.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }

    /// A fault of this program.
    fn fault(&self, op: &str) -> Fault {
        Fault::new(InfraKind::Tool, self.name(), op, format!("`{self}`"))
    }

    fn spawn(&self, stdin: Stdio, out: Stdio, err: Stdio) -> Rig<(Leader, std::process::Child)> {
        let ward = warden::start()?;
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(mark) = ward.mark() {
            command.env(warden::MARK, mark);
        }
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        if !self.own_session && !self.in_front {
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        }
        command.stdin(stdin).stdout(out).stderr(err);
        let mut child = command.spawn().map_err(|error| self.cannot_start(&error))?;
        let pipes = std::process::Child::id(&child);
        match Leader::adopt(&mut child, ward) {
            Ok(leader) => Ok((leader, child)),
            Err(error) => {
                crate::group::kill(pipes);
                let _ = child.wait();
                Err(self.fault("watch").because(&error))
            }
        }
    }

    fn cannot_start(&self, error: &std::io::Error) -> Fault {
        let fault = self.fault("start").because(error);
        match (&self.package, error.kind(), &self.dir) {
            (_, std::io::ErrorKind::NotFound, Some(dir)) if !dir.is_dir() => {
                fault.expected(format!("the directory {}", dir.display()), "no such directory")
            }
            (Some(package), std::io::ErrorKind::NotFound, _) => {
                fault.hint(format!("install it: apt-get install {package}"))
            }
            (None, std::io::ErrorKind::NotFound, _) => {
                fault.hint(format!("install {} or put it into PATH", self.name()))
            }
            _ => fault,
        }
    }
}

/// The command as one would type it, with secrets hidden.
impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = std::iter::once(&self.program).chain(&self.args);
        let words: Vec<_> = words.map(|word| quote(&self.redact(&word.to_string_lossy()))).collect();
        f.write_str(&words.join(" "))
    }
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tool({self})")
    }
}

/// How a process ended, for people: `exit code 1`, `signal 9 (KILL)`.
pub fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => {
            let name = match signal {
                1 => " (HUP)",
                2 => " (INT)",
                6 => " (ABRT)",
                7 => " (BUS)",
                9 => " (KILL)",
                11 => " (SEGV)",
                13 => " (PIPE)",
                15 => " (TERM)",
                _ => "",
            };
            format!("signal {signal}{name}")
        }
        (None, None) => status.to_string(),
    }
}
