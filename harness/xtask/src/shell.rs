//! Running programs, with the line shown before it and the time after it.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map_or(here.clone(), PathBuf::from)
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The `shakedown` binary of the dev profile.
pub(crate) fn shakedown() -> PathBuf {
    target_dir().join("debug/shakedown")
}

/// A program to run from the workspace's root.
pub(crate) struct Line {
    argv: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
}

/// Any program.
pub(crate) fn line<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(argv: I) -> Line {
    Line { argv: argv.into_iter().map(|word| word.as_ref().to_owned()).collect(), env: Vec::new(), dir: None }
}

/// Cargo, the one that runs us.
pub(crate) fn cargo<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(args: I) -> Line {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut line = line([cargo]);
    line.argv.extend(args.into_iter().map(|word| word.as_ref().to_owned()));
    line
}

impl Line {
    /// One more argument.
    pub(crate) fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.argv.push(word.as_ref().to_owned());
        self
    }

    /// Adds to the environment.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Runs it in this folder.
    pub(crate) fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// The line as one would type it.
    pub(crate) fn shown(&self) -> String {
        let env = self.env.iter().map(|(name, value)| format!("{}={} ", name.display(), value.display()));
        let name = |word: &OsString| match std::path::Path::new(word).file_name() {
            Some(file) if file == "cargo" => "cargo".to_owned(),
            _ => word.display().to_string(),
        };
        let dir = self.dir.as_ref().map(|dir| format!("cd {}; ", dir.display())).unwrap_or_default();
        dir + &env.collect::<String>() + &self.argv.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.argv[0]);
        command.args(&self.argv[1..]).envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
    }

    /// Runs it with our own output; an error when it fails.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        println!("$ {}", self.shown());
        let began = Instant::now();
        let status = self.command().stdin(Stdio::null()).status().with_context(|| self.shown())?;
        println!("  {:.1} s", began.elapsed().as_secs_f64());
        if !status.success() {
            bail!("`{}` failed: {status}", self.shown());
        }
        Ok(())
    }

    /// Runs it and returns its exit code; its output goes to ours.
    pub(crate) fn code(&self) -> anyhow::Result<i32> {
        println!("$ {}", self.shown());
        let status = self.command().stdin(Stdio::null()).status().with_context(|| self.shown())?;
        Ok(status.code().unwrap_or(130))
    }

    /// Runs it and returns what it printed; an error when it fails.
    pub(crate) fn read(&self) -> anyhow::Result<String> {
        let output = self.command().stdin(Stdio::null()).output().with_context(|| self.shown())?;
        if !output.status.success() {
            bail!("`{}` failed: {}", self.shown(), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts it in the background with its output in a file. Says nothing.
    pub(crate) fn background(&self, log: &std::path::Path) -> anyhow::Result<Background> {
        if let Some(folder) = log.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let out = std::fs::File::create(log)?;
        let err = out.try_clone()?;
        let child = self.command().stdin(Stdio::null()).stdout(out).stderr(err).spawn()?;
        Ok(Background { child: Some(child), log: log.to_owned(), shown: self.shown(), began: Instant::now() })
    }
}

/// A program in the background. Killed when dropped before it was waited for.
pub(crate) struct Background {
    child: Option<std::process::Child>,
    log: PathBuf,
    shown: String,
    began: Instant,
}

/// What a program in the background left.
pub(crate) struct Ended {
    /// An error when it failed.
    pub(crate) result: anyhow::Result<()>,
    /// What it printed.
    pub(crate) printed: String,
}

impl Background {
    /// Waits for its end.
    pub(crate) fn ended(mut self) -> Ended {
        let result = self.wait();
        let printed = std::fs::read(&self.log).unwrap_or_default();
        Ended { result, printed: String::from_utf8_lossy(&printed).into_owned() }
    }

    /// Waits for its end; its output is shown when it failed.
    pub(crate) fn join(self) -> anyhow::Result<()> {
        let (shown, began) = (self.shown.clone(), self.began);
        let Ended { result, printed } = self.ended();
        println!("$ {shown} (in the background): {:.1} s", began.elapsed().as_secs_f64());
        result.map_err(|error| anyhow::anyhow!("{error:#}\n{printed}"))
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let status = child.wait()?;
        if !status.success() {
            bail!("`{}` failed: {status}", self.shown);
        }
        Ok(())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Already ended is as good as killed.
            drop(child.kill());
            drop(child.wait());
        }
    }
}
