//! `shakedown image`: build the reference OS, look into images.

use std::ops::ControlFlow;
use std::path::PathBuf;

use shakedown_core::ExitCode;
use shakedown_media::ImageInfo;

use crate::CliResult;
use crate::compose::image::refused;

/// `shakedown image`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// What is in an image: partitions, file systems, os-release, config.json, hashes. Nothing is mounted.
    Info {
        /// raw, .gz, .xz, .zst or .zip.
        image: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(args: Args) -> CliResult {
    match args.command {
        Command::Info { image, json } => {
            let scratch = shakedown_host::dirs::cache()?;
            let info = shakedown_media::inspect_image(&image, &scratch, &mut |_| ControlFlow::Continue(()));
            let info = info.map_err(refused)?;
            if json {
                println!("{}", serde_json::to_string_pretty(&info).map_err(crate::CliError::infra)?);
            } else {
                show(&info);
            }
            Ok(ExitCode::Ok)
        }
    }
}

fn show(info: &ImageInfo) {
    let image = &info.image;
    println!("{}", image.path.display());
    println!("  {} bytes of payload ({:?})", image.size, info.container);
    println!("  SHA-256 of the file     {}", image.sha256);
    println!("  SHA-256 of the payload  {}", image.payload);
    let layout = &info.disk.layout;
    println!("\n{:?} partition table", layout.table);
    println!("  {:>2}  {:<14} {:>9}  {:<8} label", "#", "name", "MiB", "type");
    for partition in &layout.partitions {
        let (kind, label) = partition.fs.as_ref().map_or((String::new(), String::new()), |fs| {
            (fs.kind.to_string(), fs.label.clone().unwrap_or_default())
        });
        let name = partition.name.as_deref().unwrap_or("");
        println!(
            "  {:>2}  {name:<14} {:>9.1}  {kind:<8} {label}",
            partition.index,
            partition.size as f64 / 1_048_576.0
        );
    }
    for warning in &layout.warnings {
        println!("  warning: {warning}");
    }
    for release in &info.disk.os_release {
        println!("\nos-release on partition {} ({})", release.partition, release.path);
        for (key, value) in &release.fields {
            println!("  {key}={value}");
        }
    }
    if let Some(config) = &info.disk.config {
        println!("\n{} on partition {}", config.path, config.partition);
        config.text.lines().for_each(|line| println!("  {line}"));
    }
}
