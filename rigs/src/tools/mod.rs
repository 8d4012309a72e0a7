//! A vendor's tool as a rig file names it: a program with its arguments, its version, and what it prints.

mod known;
mod program;
mod said;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_conf::Pattern;
use shakedown_core::RigTool;

use crate::usb::check_place;
use crate::wiring::WiringProblem;
use program::Program;
use said::Lines;

/// What a tool's arguments may hold.
const IMAGE: &str = "{image}";
const FOLDER: &str = "{folder}";
const NAME: &str = "{name}";

/// A program of the rig host that a procedure runs for this board: rpiboot, uuu, NVIDIA's tools. It is
/// run without a shell, in a process group of its own that is killed with the run; what it prints is kept
/// in the run's folder. A program in a container is one too: `run: [docker, run, …]`, with `stop`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ToolDoc {
    /// The program with its arguments. In them `{image}` is this run's copy of the image, with its names
    /// and keys; `{folder}` the folder that the copy lies in; `{name}` a name that no other run has, for
    /// a container.
    pub run: Vec<String>,
    /// The program that tells the version, and what it must be: looked at before anything is switched.
    pub version: VersionDoc,
    /// A byte regex for the line by which it says that it did its work; without such a line an exit code
    /// of 0 is a failure. Known for `rpiboot`, `uuu`, `tegra` and `tegra-rcm`.
    #[serde(default)]
    pub done: Option<Pattern>,
    /// Byte regexes for lines that mean that it failed, whatever its exit code is; besides the known ones.
    #[serde(default)]
    pub failed: Vec<Pattern>,
    /// A byte regex whose group is how far it is, in percent. Known for `uuu`, `tegra` and `tegra-rcm`.
    #[serde(default)]
    pub progress: Option<Pattern>,
    /// What ends it when killing its processes does not: `[docker, kill, "{name}"]`. Run when its time is
    /// over, when the run is interrupted, and by the warden when the harness dies.
    #[serde(default)]
    pub stop: Vec<String>,
    /// The port of the rig host in which the board shows up on USB, as `lsusb -t` has it (`1-1.4`).
    /// Without it, any device of the right kind counts: enough for one board a host.
    #[serde(default)]
    pub port: Option<String>,
}

/// Which version of a tool it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VersionDoc {
    /// A program with its arguments that tells it: `[uuu, -version]`, `[dpkg-query, -W, rpiboot]`,
    /// `[cat, /opt/Linux_for_Tegra/nv_tegra/bsp_version]`. Its exit code does not matter.
    pub run: Vec<String>,
    /// A byte regex that a line of what it prints must match.
    pub is: Pattern,
}

impl ToolDoc {
    /// Finds what is wrong with it, before anything is opened. `copies`: the procedure makes a copy of
    /// the image for it.
    pub fn check(&self, name: &str, copies: bool) -> Result<(), WiringProblem> {
        for (field, argv) in [("run", &self.run), ("version.run", &self.version.run)] {
            if argv.first().is_none_or(String::is_empty) {
                let what = "a program with its arguments is needed: `[program, argument]`";
                return Err(WiringProblem::new(field, what));
            }
        }
        Lines::compile(name, self)?;
        Lines::pattern("version.is", &self.version.is)?;
        let image = self.run.iter().any(|word| word.contains(IMAGE));
        match (image, copies) {
            (false, true) => {
                let what = "nothing hands it the image: one of its arguments holds `{image}`";
                return Err(WiringProblem::new("run", what));
            }
            (true, false) => {
                let what = "`{image}`: this board's procedure makes no copy of the image for it";
                return Err(WiringProblem::new("run", what));
            }
            _ => {}
        }
        let words = [("run", &self.run), ("version.run", &self.version.run), ("stop", &self.stop)];
        for (field, word) in words.iter().flat_map(|(field, argv)| argv.iter().map(move |word| (field, word)))
        {
            let allowed: &[&str] = match *field {
                "run" => &[IMAGE, FOLDER, NAME],
                "stop" => &[NAME],
                _ => &[],
            };
            if let Some(other) = placeholder(word).filter(|found| !allowed.contains(&found.as_str())) {
                let known = if allowed.is_empty() { "none here".to_owned() } else { allowed.join(", ") };
                return Err(WiringProblem::new(*field, format!("`{other}` is no placeholder: {known}")));
            }
        }
        self.port.as_deref().map_or(Ok(()), |port| check_place("port", port))
    }

    /// Programs that it needs and that this host does not have.
    pub fn missing(&self) -> Vec<&str> {
        let programs = [Some(&self.run), Some(&self.version.run), Some(&self.stop)];
        let mut missing: Vec<_> =
            programs.into_iter().flatten().filter_map(|argv| argv.first()).map(String::as_str).collect();
        missing.dedup();
        missing.retain(|program| !is_there(program));
        missing
    }

    /// The tool.
    pub fn open(&self, name: &str) -> Result<Arc<dyn RigTool>, WiringProblem> {
        Ok(Arc::new(Program::new(name, self)?))
    }
}

/// A word in braces, if there is one that looks like a placeholder.
fn placeholder(word: &str) -> Option<String> {
    let (_, rest) = word.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
    if plain { Some(format!("{{{name}}}")) } else { placeholder(after) }
}

/// By its path, or by its name in `PATH`, as the kernel would find it.
fn is_there(program: &str) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let runs = |path: &Path| {
        path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return runs(Path::new(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir: PathBuf| runs(&dir.join(program)))
}
