//! `shakedown report RUN-DIR`: everything again, from the journal alone.

use std::path::{Path, PathBuf};

use shakedown_core::{ExitCode, Ledger, journal};
use shakedown_reports::view::View;
use shakedown_reports::{ExtraFile, Extras, Ruling};

use crate::say::{out, quiet};
use crate::{CliError, CliResult, follow};

/// `shakedown report`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// A run's folder, or a journal.
    run: PathBuf,
    /// Write only this file, as HTML.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> CliResult {
    let (folder, file) = if args.run.is_dir() {
        (args.run.clone(), args.run.join("journal.jsonl"))
    } else {
        (args.run.parent().map(Path::to_owned).unwrap_or_default(), args.run.clone())
    };
    let text = std::fs::read(&file)
        .map_err(|error| CliError::refused(format!("cannot read {}: {error}", file.display())))?;
    let journal = journal::read(&text);
    let ledger = Ledger::of(&journal);
    // A run that was killed in its first line is a run: it stopped before it began.
    let cut_at_once = !text.contains(&b'\n') && (text.is_empty() || text.starts_with(b"{\"v\":"));
    if ledger.head.is_none() && ledger.attempts.is_empty() && !cut_at_once {
        return Err(CliError::refused(format!("{} is not a journal of a run", file.display()))
            .hint("give a run's folder, for example shakedown-out/latest"));
    }
    if let Some(html) = &args.html {
        write_html(&ledger, &folder, html)?;
        return Ok(ExitCode::Ok);
    }
    let shown = shakedown_reports::terminal::replay(std::io::stdout(), follow::options(), &journal);
    quiet(shown.map(drop))?;
    render(&ledger, &folder)?;
    out!("report: {}", folder.join("report.html").display());
    // What cannot be believed is no report of a run, whatever it says of itself.
    let trusted = View::of(&ledger).verdict.ruling != Ruling::Untrusted;
    Ok(if trusted { ExitCode::Ok } else { ExitCode::Infra })
}

fn write_html(ledger: &Ledger, folder: &Path, to: &Path) -> Result<(), CliError> {
    let mut written = Ok(());
    shakedown_reports::render_all(ledger, &extras(folder), &mut |name, bytes| {
        if name == "report.html" {
            written = std::fs::write(to, bytes);
        }
    });
    written.map_err(|error| CliError::infra(format!("cannot write {}: {error}", to.display())))
}

/// Writes all reports into a run's folder.
pub(crate) fn render(ledger: &Ledger, folder: &Path) -> Result<(), CliError> {
    let mut failed = None;
    shakedown_reports::render_all(ledger, &extras(folder), &mut |name, bytes| {
        let path = folder.join(name);
        // Whole, or not there: a killed harness leaves no half of a report.
        let new = folder.join(format!("{name}.new"));
        if let Err(error) = std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, &path)) {
            failed.get_or_insert(format!("cannot write {}: {error}", path.display()));
        }
    });
    failed.map_or(Ok(()), |what| {
        Err(CliError::infra(what).hint("free space in the output folder, or name another with --out"))
    })
}

/// What of the run's folder makes the HTML richer; what is not there is left out.
fn extras(folder: &Path) -> Extras {
    let read = |name: &str| {
        let bytes = std::fs::read(folder.join(name)).ok()?;
        Some(ExtraFile { path: name.to_owned(), bytes })
    };
    Extras {
        consoles: read("console.cast").into_iter().collect(),
        images: read("screen.png").into_iter().collect(),
    }
}
