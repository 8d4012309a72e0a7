//! Writes an image to a file and proves it, timed; the counterpart of `bmaptool copy`.
//!
//! `write_bench IMAGE OUT [identified|one-pass]`: prints seconds of the write with its
//! read-back as one line. `identified` hashes the image beforehand, as a run does at its
//! start (that time is printed too); `one-pass` computes the SHA-256 of the payload while writing.
#![expect(clippy::print_stdout, reason = "an example program whose output is the figure")]

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use shakedown_media::{FileMedium, ImageSource, identify, open_source, write_image};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [image, out, mode] = args.as_slice() else {
        return Err("usage: write_bench IMAGE OUT identified|one-pass".into());
    };
    let quiet = &mut |_: &_| ControlFlow::Continue(());
    let began = Instant::now();
    let mut source = match mode.as_str() {
        "identified" => {
            let identity = identify(Path::new(image), quiet)?;
            println!("identify {:.3} s", began.elapsed().as_secs_f64());
            if let Some(drop_caches) = std::env::var_os("SHAKEDOWN_DROP_CACHES") {
                std::fs::write(drop_caches, "3")?;
            }
            let began = Instant::now();
            let source = ImageSource::open_identified(&identity)?;
            return finish(source, Path::new(out), identity.image().size, began);
        }
        "one-pass" => open_source(Path::new(image))?,
        other => return Err(format!("expected identified or one-pass, got {other}").into()),
    };
    let size = shakedown_core::Source::len_hint(&source).ok_or("the container does not say its size")?;
    let mut medium = FileMedium::create(Path::new(out), size)?;
    let written = write_image(&mut source, &mut medium, quiet)?;
    println!("write {:.3} s {:?}", began.elapsed().as_secs_f64(), written.times());
    Ok(())
}

fn finish(mut source: ImageSource, out: &Path, size: u64, began: Instant) -> Result<(), Box<dyn Error>> {
    let mut medium = FileMedium::create(out, size)?;
    let written = write_image(&mut source, &mut medium, &mut |_| ControlFlow::Continue(()))?;
    println!("write {:.3} s {:?}", began.elapsed().as_secs_f64(), written.times());
    Ok(())
}
