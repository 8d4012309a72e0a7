//! `shakedown image`: build the reference OS, look into images.

use std::ops::ControlFlow;
use std::path::PathBuf;

use shakedown_core::ExitCode;
use shakedown_media::{ImageInfo, Table};

use shakedown_os::Target;
use shakedown_suites::TEST_IMAGE;

use crate::CliResult;
use crate::compose::image::refused;
use crate::compose::reference;
use crate::compose::signals::cancelled_by_signals;
use crate::say::out;

/// `shakedown image`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Build the reference OS, or the stand-in for another, or find it in the cache.
    Build {
        /// The architecture.
        #[arg(long, value_enum, default_value = "amd64")]
        arch: ArchArg,
        /// For this board instead, by its slug.
        #[arg(long, value_name = "SLUG", conflicts_with = "arch")]
        board: Option<String>,
        /// Of the OS that executes this profile: `balenaos` is the stand-in for balenaOS.
        #[arg(long, value_name = "PROFILE", default_value = reference::PROFILE)]
        os: String,
        /// Build even when the cache has it.
        #[arg(long)]
        rebuild: bool,
        /// Also the files that the suites bring, as `ROLE: FILE` (`--companion ROLE=FILE` of a run).
        #[arg(long)]
        updates: bool,
        /// The installer instead: it boots from one disk, installs the OS on another and powers off.
        #[arg(long, conflicts_with = "updates")]
        flasher: bool,
    },
    /// What is in an image: partitions, file systems, os-release, config.json, hashes. Nothing is mounted.
    Info {
        /// raw, .gz, .xz, .zst or .zip.
        image: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ArchArg {
    /// 64-bit PC.
    Amd64,
    /// 64-bit Arm.
    Arm64,
    /// Both, one after the other.
    All,
}

/// What is to be built.
struct Wanted {
    boards: Vec<Target>,
    os: String,
    rebuild: bool,
    updates: bool,
    flasher: bool,
}

async fn build(wanted: Wanted) -> CliResult {
    let by = reference::deadline(&cancelled_by_signals("stopping the build"));
    for board in wanted.boards {
        let os = reference::os(&wanted.os, board)?;
        let built = if wanted.flasher {
            reference::flasher(os, board, wanted.rebuild, &by).await?
        } else {
            reference::build(os, board, wanted.rebuild, &by).await?
        };
        out!("{}", built.image.display());
        if wanted.updates {
            if let Some(file) = built.test_image {
                out!("{TEST_IMAGE}: {}", file.display());
            }
            for (role, file) in reference::updates(os, board, &reference::all_roles(), &by).await? {
                out!("{role}: {}", file.display());
            }
        }
    }
    Ok(ExitCode::Ok)
}

pub(super) fn run(args: Args) -> CliResult {
    match args.command {
        Command::Build { arch, board, os, rebuild, updates, flasher } => {
            let boards = match (board, arch) {
                (Some(slug), _) => vec![reference::target(&slug)?],
                (None, ArchArg::Amd64) => vec![Target::Amd64],
                (None, ArchArg::Arm64) => vec![Target::Aarch64],
                (None, ArchArg::All) => vec![Target::Amd64, Target::Aarch64],
            };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(build(Wanted { boards, os, rebuild, updates, flasher }))
        }
        Command::Info { image, json } => {
            let scratch = shakedown_host::dirs::cache()?;
            let info = shakedown_media::inspect_image(&image, &scratch, &mut |_| ControlFlow::Continue(()));
            let info = info.map_err(refused)?;
            if json {
                out!("{}", serde_json::to_string_pretty(&info).map_err(crate::CliError::infra)?);
            } else {
                show(&info);
            }
            Ok(ExitCode::Ok)
        }
    }
}

fn show(info: &ImageInfo) {
    let image = &info.image;
    out!("{}", image.path.display());
    out!("  {} bytes of payload ({})", image.size, info.container);
    out!("  SHA-256 of the file     {}", image.sha256);
    out!("  SHA-256 of the payload  {}", image.payload);
    let layout = &info.disk.layout;
    match &layout.table {
        Table::Gpt { disk } => out!("\nGPT partition table, disk {disk}"),
        Table::Mbr { disk } => out!("\nMBR partition table, disk {disk}"),
        Table::Iso => out!("\nISO 9660 volume without a partition table"),
    }
    out!("  {:>2}  {:<14} {:>9}  {:<8} label", "#", "name", "MiB", "type");
    for partition in &layout.partitions {
        let (kind, label) = partition.fs.as_ref().map_or((String::new(), String::new()), |fs| {
            (fs.kind.to_string(), fs.label.clone().unwrap_or_default())
        });
        let name = partition.name.as_deref().unwrap_or("");
        out!(
            "  {:>2}  {name:<14} {:>9.1}  {kind:<8} {label}",
            partition.index,
            partition.size as f64 / 1_048_576.0
        );
    }
    for warning in &layout.warnings {
        out!("  warning: {warning}");
    }
    for release in &info.disk.os_release {
        out!("\nos-release on partition {} ({})", release.partition, release.path);
        for (key, value) in &release.fields {
            out!("  {key}={value}");
        }
    }
    if let Some(config) = &info.disk.config {
        out!("\n{} on partition {}", config.path, config.partition);
        config.text.lines().for_each(|line| out!("  {line}"));
    }
}
