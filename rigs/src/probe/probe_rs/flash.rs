//! A program into a chip's flash: written by the library, then read back and compared by us.

use std::fs::File;
use std::io::{self, Cursor, Read as _};
use std::time::Duration;

use ::probe_rs::config::MemoryRegion;
use ::probe_rs::flashing::{
    BinLoader, BinOptions, DownloadOptions, ElfLoader, ElfOptions, FlashLoader, FlashProgress, HexLoader,
    ProgressEvent, ProgressOperation,
};
use ::probe_rs::{MemoryInterface as _, Session};
use shakedown_core::{Deadline, Fault, Flashed, InfraKind, OnPercent, Program, Rig};

use super::NAME;
use super::cortex::At;

pub(super) const OP: &str = "flash";
/// Some MiB over a slow probe: 8 KB/s is a slow one.
pub(super) const WITHIN: Duration = Duration::from_secs(600);
/// No microcontroller's flash is larger.
const LARGEST: u64 = 64 << 20;
/// Read back at once.
const BLOCK: usize = 4 << 10;

/// Writes it, reads it back, and resets the chip into it.
pub(super) fn flash(
    at: &At<'_>,
    session: &mut Session,
    program: &Program,
    far: &OnPercent,
    by: &Deadline,
) -> Rig<Flashed> {
    let clock = by.clock();
    let loader = load(at, session, program)?;
    let pieces: Vec<_> = loader.flash_builder().data.iter().collect();
    fits(at, session, &pieces)?;
    let whole: u64 = pieces.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    let began = clock.now();
    let mut options = DownloadOptions::default();
    let (step, told) = (at.step.clone(), far.clone());
    let mut done = [0_u64; 2];
    options.progress = FlashProgress::new(move |event| {
        if let ProgressEvent::Progress { operation, size, .. } = event {
            let (index, verb) = match operation {
                ProgressOperation::Erase => (0, "erased"),
                ProgressOperation::Program => (1, "written"),
                _ => return,
            };
            done[index] += size;
            step.at(format!("{} bytes {verb}", done[index]));
            told((done[1] * 100 / whole.max(1)).min(100));
        }
    });
    at.step.at("nothing written yet");
    at.ok(loader.commit(session, options))?;
    let wrote = clock.now().since(began);
    let reading = clock.now();
    at.with(session, |at, core| {
        for (start, bytes) in &pieces {
            compare(at, core, **start, bytes, by)?;
        }
        Ok(())
    })?;
    let took = (wrote, clock.now().since(reading));
    at.step.at("read back, equal");
    let reset = at.with(session, |at, core| at.reset(core, false))?;
    let pieces = pieces.iter().map(|(start, bytes)| (**start, bytes.len() as u64)).collect();
    Ok(Flashed { pieces, took, reset })
}

fn load(at: &At<'_>, session: &mut Session, program: &Program) -> Rig<FlashLoader> {
    let fault = || Fault::new(InfraKind::Config, NAME, OP, program.file.display().to_string());
    let mut bytes = Vec::new();
    let file = File::open(&program.file).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    file.map_err(|error: io::Error| fault().because(&error))?;
    if bytes.is_empty() || bytes.len() as u64 > LARGEST {
        let size = format!("{} bytes or more", bytes.len());
        return Err(fault().expected(format!("a program of 1 to {LARGEST} bytes"), size));
    }
    let (elf, hex) = (bytes.starts_with(b"\x7fELF"), bytes.starts_with(b":"));
    if program.at.is_some() && (elf || hex) {
        return Err(fault().expected("bytes that go to an address", "a file that says itself where it goes"));
    }
    let start = nvm(session).map(|range| range.start).min().unwrap_or_default();
    let base_address = Some(program.at.unwrap_or(start));
    let mut loader = session.target().flash_loader();
    let mut file = Cursor::new(bytes);
    let loaded = match (elf, hex) {
        (true, _) => loader.load_image(session, &mut file, ElfLoader(ElfOptions::default()), None),
        (_, true) => loader.load_image(session, &mut file, HexLoader, None),
        _ => loader.load_image(session, &mut file, BinLoader(BinOptions { base_address, skip: 0 }), None),
    };
    loaded.map_err(|error| {
        let what = format!("a program for {}: {}", at.held.target().name, flash_of(session));
        fault().expected(what, "one that is not").because(&error)
    })?;
    Ok(loader)
}

fn nvm(session: &Session) -> impl Iterator<Item = std::ops::Range<u64>> {
    session.target().memory_map.iter().filter_map(|region| match region {
        MemoryRegion::Nvm(region) => Some(region.range.clone()),
        _ => None,
    })
}

fn flash_of(session: &Session) -> String {
    let ranges = nvm(session).map(|range| format!("{:#010x}..{:#010x}", range.start, range.end));
    format!("flash at {}", ranges.collect::<Vec<_>>().join(", "))
}

/// Refused before anything is erased.
fn fits(at: &At<'_>, session: &Session, pieces: &[(&u64, &Vec<u8>)]) -> Rig<()> {
    for (start, bytes) in pieces {
        let end = **start + bytes.len() as u64;
        if !nvm(session).any(|range| range.contains(*start) && end <= range.end) {
            let fault = Fault::new(InfraKind::Config, NAME, OP, at.held.endpoint());
            return Err(fault.expected(flash_of(session), format!("a piece at {start:#010x}..{end:#010x}")));
        }
    }
    Ok(())
}

fn compare(at: &At<'_>, core: &mut ::probe_rs::Core<'_>, start: u64, bytes: &[u8], by: &Deadline) -> Rig<()> {
    let mut read = vec![0; BLOCK.min(bytes.len())];
    for (index, wanted) in bytes.chunks(BLOCK).enumerate() {
        let here = start + (index * BLOCK) as u64;
        let got = &mut read[..wanted.len()];
        at.step.at(format!("read back up to {here:#010x}"));
        if by.is_over() {
            return Err(at.held.fault(OP).stopped(by.stop(at.step.seen())));
        }
        at.ok(core.read(here, got))?;
        if let Some(offset) = wanted.iter().zip(&*got).position(|(wanted, got)| wanted != got) {
            let expected = format!("{:#04x} at {:#010x}, as written", wanted[offset], here + offset as u64);
            return Err(at.held.fault(OP).expected(expected, format!("{:#04x} read back", got[offset])));
        }
    }
    Ok(())
}
