//! Builds from a shell, for whoever works on the recipe:
//! `cargo run -p shakedown-os --example build -- amd64 [VERSION [VARIANT]] [--balena] [--update] [--rebuild]`

#![expect(clippy::print_stdout, reason = "a tool for a terminal")]

use std::time::Duration;

use shakedown_core::{Deadline, Pace, RealClock};
use shakedown_os::{BuildRequest, Os, Step, Target, Variant, build, build_update};
use tokio_util::sync::CancellationToken;

type AnyError = Box<dyn std::error::Error>;

fn main() -> Result<(), AnyError> {
    shakedown_host::warden::serve_if_asked();
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> Result<(), AnyError> {
    let (options, words): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let arch = match words.first().map(String::as_str) {
        Some("arm64") => Target::Aarch64,
        Some("pi3") => Target::RaspberryPi3,
        _ => Target::Amd64,
    };
    let mut request = BuildRequest::new(arch, shakedown_host::dirs::cache()?);
    if let Some(version) = words.get(1) {
        request.version.clone_from(version);
    }
    if let Some(name) = words.get(2) {
        let variant = Variant::ALL.into_iter().find(|variant| variant.name() == name);
        request.variant = variant.ok_or("VARIANT is one of: standard no-init no-kernel unhealthy")?;
    }
    if options.iter().any(|option| option == "--balena") {
        request.os = Os::BalenaOs;
    }
    request.rebuild = options.iter().any(|option| option == "--rebuild");
    let clock = RealClock::start();
    let by = Deadline::new(
        "the reference OS",
        Duration::from_secs(30 * 60),
        Pace::Rig,
        clock,
        CancellationToken::new(),
    );
    let on_step = |step: Step| {
        if let Some(took) = step.took {
            println!("{:22} {:6.1} s", step.name, took.as_secs_f64());
        }
    };
    if options.iter().any(|option| option == "--update") {
        let update = build_update(&request, &by, &on_step).await?;
        println!("{} {} bytes, sha256 {}", update.file.display(), update.bytes, update.sha256);
    } else {
        let built = build(&request, &by, &on_step).await?;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        println!(
            "{} {:.0} MiB, raw {:.0} MiB, sha256 {}, {} packages, key {}, cached {}",
            built.image.display(),
            mib(built.packed_bytes),
            mib(built.raw_bytes),
            built.sha256,
            built.manifest.0.len(),
            &built.key[..16],
            built.cached
        );
    }
    Ok(())
}
