//! `shakedown rigs discover`: what is plugged in, as the draft of a rig file.

use shakedown_core::ExitCode;
use shakedown_rigs::discover::{Found, look};

use crate::CliResult;
use crate::say::out;

pub(super) fn run() -> CliResult {
    let Found { serial, blocks, videos, gpio, relays, muxes } = look(std::path::Path::new("/"))?;
    out!("# A draft: what is plugged into this host. Take what belongs to a DUT, and name its board.");
    out!("# `shakedown drivers` tells each driver's settings, `shakedown rigs doctor` proves the wiring.");
    out!("#\n# serial ports ({}):", serial.len());
    for port in &serial {
        out!("#   {}  {}", port.path.display(), port.what);
    }
    out!("# block devices that can be taken out or unplugged ({}):", blocks.len());
    for block in &blocks {
        out!("#   {}  {}", block.path.display(), block.what);
    }
    out!("# video devices ({}), each for `capture: {{ v4l2: {{ device: … }} }}`:", videos.len());
    for video in &videos {
        out!("#   {}  {}", video.path.display(), video.what);
    }
    out!("# GPIO chips ({}):", gpio.len());
    for chip in &gpio {
        out!("#   {}  {}", chip.path.display(), chip.what);
    }
    out!("# USB relays ({}), each with the block for `power` or an output:", relays.len());
    for relay in &relays {
        out!("#   {}  {{ {} }}", relay.what, relay.block);
    }
    out!("# card muxes ({}), each with the block for a medium; `max-size` is yours to say:", muxes.len());
    for mux in &muxes {
        out!("#   {}  {{ {} }}", mux.what, mux.block);
    }
    out!("rig: desk\nslots:\n  one:\n    board: BOARD-SLUG # shakedown boards list");
    out!("    power: {{ manual: {{}} }} # a person switches, until a driver does");
    match serial.first() {
        // By a program, so that the draft works with every build.
        Some(port) => {
            let path = port.path.display();
            out!(
                "    consoles:\n      main: {{ command: {{ run: [picocom, -qrX, -b, '115200', '{path}'] }} }}"
            );
        }
        None => out!("    consoles: {{}} # no serial port was found: a slot needs `main`"),
    }
    match (muxes.first(), blocks.first()) {
        (Some(mux), _) => out!("    media:\n      main: {{ {} }}", mux.block),
        (None, Some(block)) => {
            out!("    media:\n      main:\n        block-device:");
            out!("          path: '{}'\n          max-size: {}B", block.path.display(), block.size);
            if let Some(serial) = &block.serial {
                out!("          serial: '{serial}'");
            }
            out!("          by-hand: true # a person carries the card");
        }
        (None, None) => out!("    # no card or stick was found: media are missing"),
    }
    let others = videos.len() + relays.len() + muxes.len();
    Ok(if serial.is_empty() && blocks.is_empty() && gpio.is_empty() && others == 0 {
        ExitCode::NothingRan
    } else {
        ExitCode::Ok
    })
}
