//! `shakedown screen`: what the DUT shows.

use std::path::{Path, PathBuf};

use shakedown_core::ExitCode;
use shakedown_rigs::Picture;

use super::{WORK, Which, on_runtime, unexpected};
use crate::compose::slot::offers;
use crate::keeper::client::Caller;
use crate::keeper::wire::{Ask, Reply};
use crate::say::out;
use crate::{CliError, CliResult};

/// `shakedown screen`.
#[derive(clap::Args, Debug)]
pub(in crate::commands) struct Args {
    #[command(flatten)]
    which: Which,
    /// Where the picture goes, a PNG.
    #[arg(long, value_name = "FILE", default_value = "screen.png")]
    out: PathBuf,
    /// A PNG that the screen should look like; exit code 1 when it does not.
    #[arg(long, value_name = "FILE")]
    like: Option<PathBuf>,
    /// How much of it may look other, in percent of 80 columns by 30 rows. A line of text is 0.5 and more.
    #[arg(long, value_name = "PERCENT", default_value = "5", requires = "like", value_parser = percent)]
    within: f64,
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "expected 0 to 100".to_owned())
}

pub(in crate::commands) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    let (rig, slot) = args.which.find()?;
    let (_, doc) = rig.slot(Some(&slot), None)?;
    if !offers(doc).iter().any(|offer| offer.0 == "screenshot") {
        let hint = "a rig's slot needs `capture`, a QEMU machine `screen: true`";
        return Err(CliError::refused(format!("nothing takes pictures of {slot}'s screen")).hint(hint));
    }
    let like = args.like.as_deref().map(|file| Ok::<_, CliError>((file, read(file)?))).transpose()?;
    on_runtime(paths, &rig, "waiting for the keeper", async |caller| {
        let id = format!("{}/{slot}", rig.doc.value.rig);
        let png = take(&caller, &slot).await?;
        std::fs::write(&args.out, &png)
            .map_err(|error| CliError::refused(format!("cannot write {}: {error}", args.out.display())))?;
        let picture = Picture::from_png(&png)
            .map_err(|error| CliError::infra(format!("{id}: its capture gave no picture: {error}")))?;
        let (width, height) = picture.size();
        out!("{id}: a picture of {width}x{height}: {}", args.out.display());
        let Some((file, wanted)) = &like else { return Ok(ExitCode::Ok) };
        let unlike = picture.unlike(wanted);
        out!("{id}: {unlike:.1} % look other than {} (allowed: {} %)", file.display(), args.within);
        Ok(if unlike <= args.within { ExitCode::Ok } else { ExitCode::Failed })
    })
}

fn read(file: &Path) -> CliResult<Picture> {
    let picture = std::fs::read(file).and_then(|bytes| Picture::from_png(&bytes));
    picture.map_err(|error| CliError::refused(format!("--like {}: {error}", file.display())))
}

async fn take(caller: &Caller<'_>, slot: &str) -> CliResult<Vec<u8>> {
    let by = caller.wait("the keeper's answer", WORK);
    let mut keeper = caller.ask(Ask::Screen { slot: slot.to_owned() }).await?;
    match keeper.reply(&by).await? {
        Reply::Picture { bytes } => keeper.bytes(bytes, &by).await,
        reply => Err(unexpected(&reply)),
    }
}
