//! What nightly and bisect share: which slots, and a folder with a book that survives a SIGKILL.

use std::path::{Path, PathBuf};

use shakedown_campaign::book::{BookError, Entry};
use shakedown_campaign::{Book, Happened};
use shakedown_conf::{Document, load};
use shakedown_core::Sha;
use shakedown_simulated::SimulationDoc;

use crate::CliError;
use crate::compose::bench::Shares;
use crate::compose::rig::Rig as RigFile;

/// The book's name in a campaign's folder.
pub(super) const BOOK: &str = "book.jsonl";

/// Where the runs take place, and where they are written.
#[derive(clap::Args, Debug)]
#[expect(clippy::option_option, reason = "an option whose value may be left out, as clap has it")]
pub(super) struct Where {
    /// A rig file (repeatable): all its slots are used. Else SHAKEDOWN_RIG, ./rig.yaml, the built-in QEMU rig.
    #[arg(long = "rig", value_name = "FILE")]
    rigs: Vec<PathBuf>,
    /// Simulate every slot, with images that stand in for the real ones. FILE says what goes wrong.
    /// Without --rig, the slots are made up.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub(super) simulate: Option<Option<PathBuf>>,
    /// With --simulate and without --rig: slots for each board.
    #[arg(long, value_name = "N", default_value_t = 2, requires = "simulate")]
    slots: usize,
    /// Go on with what was killed or interrupted: the last one of its kind and name, or the one in DIR.
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    pub(super) resume: Option<Option<PathBuf>>,
    /// Runs at once. Else what this host bears.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Where run folders and the campaign's folder are made. Else SHAKEDOWN_OUT, ./shakedown-out.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Where {
    /// The rigs, simulated if that is asked for; slots for `boards` are made up where no rig is named.
    pub(super) fn rigs(&self, boards: &[String]) -> Result<Vec<RigFile>, CliError> {
        let mut rigs: Vec<_> =
            self.rigs.iter().map(|file| RigFile::find(Some(file))).collect::<Result<_, _>>()?;
        let Some(file) = &self.simulate else {
            if rigs.is_empty() {
                rigs.push(RigFile::find(None)?);
            }
            return Ok(rigs);
        };
        let simulation = simulation(file.as_deref())?;
        if rigs.is_empty() {
            if boards.is_empty() {
                return Err(CliError::refused("the plan names no board, so no slot can be made up")
                    .hint("name the rigs whose boards are meant with --rig"));
            }
            rigs.push(RigFile::made_up(boards, self.slots)?);
        }
        Ok(rigs.into_iter().map(|rig| rig.simulated(&simulation)).collect())
    }

    pub(super) fn is_simulated(&self) -> bool {
        self.simulate.is_some()
    }

    pub(super) fn out(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(shakedown_host::dirs::out)
    }

    pub(super) fn shares(&self) -> Result<Shares, CliError> {
        Shares::of_host(self.jobs.map(usize::from))
    }
}

/// What goes wrong: as a file says, or nothing.
fn simulation(file: Option<&Path>) -> Result<SimulationDoc, CliError> {
    let Some(file) = file else { return Ok(SimulationDoc::default()) };
    let doc = load::<SimulationDoc>(&Document::read(file)?)?;
    doc.value.check().map_err(|problem| doc.invalid(&problem.field, problem.what))?;
    Ok(doc.value)
}

/// The campaigns of one kind and name in a folder.
pub(super) struct Campaigns<'a> {
    /// Where run folders are.
    pub(super) out: &'a Path,
    /// `nightly`, `bisect`.
    pub(super) kind: &'static str,
    /// What tells this one's folders from others of the kind.
    pub(super) name: String,
}

/// What a campaign begins with; the command line is added.
pub(super) struct Begun {
    pub(super) name: String,
    /// A hash of everything that decides what it is about.
    pub(super) about: Sha,
    pub(super) jobs: usize,
    pub(super) images: Vec<(String, Sha, PathBuf)>,
    pub(super) simulated: bool,
}

impl Campaigns<'_> {
    /// Their folders, the last one last.
    pub(super) fn all(&self) -> Vec<PathBuf> {
        let prefix = format!("{}-{}-", self.kind, self.name);
        let is_one = |path: &PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            // One whose name begins with this one's is another.
            let rest = name.strip_prefix(&prefix).unwrap_or_default();
            rest.len() == "20260101-000000-0000".len()
                && rest.starts_with(|c: char| c.is_ascii_digit())
                && path.join(BOOK).exists()
        };
        let entries = std::fs::read_dir(self.out).into_iter().flatten().flatten();
        let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(is_one).collect();
        found.sort();
        found
    }

    /// A new one, in a folder of its own.
    pub(super) fn begin(&self, begun: Begun) -> Result<(Book, PathBuf), CliError> {
        let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
        // Two may begin in the same second.
        let unique = std::process::id() & 0xffff;
        let folder = self.out.join(format!("{}-{}-{now}-{unique:04x}", self.kind, self.name));
        std::fs::create_dir_all(&folder).map_err(|error| {
            CliError::refused(format!("cannot make {}: {error}", folder.display()))
                .hint("name another place with --out")
        })?;
        let mut book = Book::create(&folder.join(BOOK)).map_err(failed)?;
        let words: Vec<_> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        let Begun { name, about, jobs, images, simulated } = begun;
        let begun = Happened::Begun { name, about, jobs, images, simulated, command: words.join(" ") };
        book.write(&begun).map_err(failed)?;
        Ok((book, folder))
    }

    /// One that was killed or interrupted: the last, or the one in `named`. It must be about the same.
    pub(super) fn resume(
        &self,
        named: Option<&Path>,
        about: Sha,
    ) -> Result<(Book, PathBuf, Vec<Entry>), CliError> {
        let folder = match named {
            Some(folder) => folder.to_owned(),
            None => self.all().pop().ok_or_else(|| {
                let Self { out, kind, name } = self;
                CliError::refused(format!("no {kind} of `{name}` was begun in {}", out.display()))
            })?,
        };
        let shown = folder.display();
        let (mut book, entries) = Book::resume(&folder.join(BOOK)).map_err(failed)?;
        if is_finished(&entries) {
            return Err(CliError::refused(format!("{shown} came to its end: nothing is left to do")));
        }
        let refused = |what: String| CliError::refused(what).hint("begin anew, without --resume");
        match entries.first() {
            Some((_, Happened::Begun { about: then, .. })) if *then == about => {}
            // Killed in its first line: nothing was begun.
            None => return Err(refused(format!("{shown} has not begun anything"))),
            _ => {
                return Err(refused(format!(
                    "what was asked for, an image or the simulation is another one than when {shown} began"
                )));
            }
        }
        book.write(&Happened::Resumed).map_err(failed)?;
        Ok((book, folder, entries))
    }
}

pub(super) fn failed(error: BookError) -> CliError {
    match error {
        BookError::Io { .. } => CliError::infra(error),
        BookError::Busy { .. } | BookError::Broken { .. } => CliError::refused(error),
    }
}

pub(super) fn is_finished(entries: &[Entry]) -> bool {
    matches!(entries.last(), Some((_, Happened::Finished { .. })))
}
