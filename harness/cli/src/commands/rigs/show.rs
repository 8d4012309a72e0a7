//! `shakedown rigs show`: what is wired to what.

use std::path::PathBuf;

use shakedown_boards::Catalogue;

use crate::CliError;
use crate::compose::rig::Rig;
use crate::compose::slot;
use crate::say::out;

/// All slots, or one.
pub(super) fn run(paths: &[PathBuf], rig: &Rig, only: Option<&str>) -> Result<(), CliError> {
    let catalogue = Catalogue::with_paths(paths)?;
    let only = only.map(|name| rig.slot(Some(name), None)).transpose()?.map(|(name, _)| name);
    for (name, doc) in rig.doc.value.slots.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
        let board = rig.board(&catalogue, name, doc)?;
        out!("{}/{name}: {} ({})", rig.doc.value.rig, board.name, board.slug);
        match (&doc.simulated, &doc.qemu) {
            (Some(_), _) => out!("  simulated"),
            (None, Some(_)) => out!("  a QEMU machine: power, output reset, console main, medium main"),
            (None, None) => {}
        }
        match &doc.power {
            Some(power) => out!("  power            {}", power.name()),
            None if doc.wiring().is_some() => out!("  power            nothing here switches it"),
            None => {}
        }
        for (output, driver) in &doc.outputs {
            out!("  output {output:<9} {}", driver.name());
        }
        for (console, driver) in &doc.consoles {
            out!("  console {console:<8} {}", driver.name());
        }
        for (medium, driver) in &doc.media {
            out!("  medium {medium:<9} {}", driver.name());
        }
        if let Some(network) = &doc.network {
            out!("  network          {}", network.name());
        }
        if let Some(capture) = &doc.capture {
            out!("  capture          {}", capture.name());
        }
        for (tool, of) in &doc.tools {
            out!("  tool {tool:<11} {}", of.run.join(" "));
        }
        let offers: Vec<_> = slot::offers(doc).into_iter().map(|offer| offer.0).collect();
        out!("  offers           {}", offers.join(", "));
    }
    Ok(())
}
