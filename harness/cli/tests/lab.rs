//! Drivers against a kernel with devices: the tests run inside a guest, on this machine's own files. Its
//! USB hubs are QEMU's, its video device the kernel's own model; a GPIO chip, a relay board, a power strip and card muxes are models that are served to
//! it, and the programs that others wrote for them look on.
//!
//! `cargo test -p shakedown --test lab`, or `cargo xtask lab`. Boots QEMU once.
#![allow(clippy::print_stdout, reason = "the front of a test binary")]

mod support;

#[path = "lab/boards.rs"]
mod boards;
#[path = "lab/faults.rs"]
mod faults;
#[path = "lab/gpio.rs"]
mod gpio;
#[path = "lab/mux.rs"]
mod mux;
#[path = "lab/screen.rs"]
mod screen;
#[path = "lab/usb.rs"]
mod usb;

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use shakedown_conf::{Document, load};
use shakedown_core::event::Nowhere;
use shakedown_core::{Guarded, Level, Limits, NoFence, Proof, Rig, SeenBy};
use shakedown_host::warden;
use shakedown_rigs::{LineCx, LineDriver, Nobody, Operator};
use support::lab::{Guest, PORT};
use support::{by, trial};

/// A test's body, as it runs inside.
type Body = fn() -> Pin<Box<dyn Future<Output = ()>>>;

const TESTS: &[(&str, Body)] = &[
    ("a_gpio_line_is_switched_without_a_pulse_and_read_at_its_pin", || Box::pin(gpio::switched())),
    ("a_gpio_line_that_is_not_there_or_not_free_is_told", || Box::pin(gpio::refused())),
    ("the_keeper_holds_a_gpio_line", || Box::pin(gpio::kept())),
    ("a_relay_board_as_usbrelay_sees_it", || Box::pin(usb::relay())),
    ("a_power_strip_as_sispmctl_sees_it", || Box::pin(usb::strip())),
    ("a_hubs_port_as_uhubctl_sees_it", || Box::pin(usb::hub())),
    ("a_card_behind_a_mux_as_usbsdmux_sees_it", || Box::pin(mux::switched())),
    ("a_card_that_is_not_the_slots_or_in_use_stays_where_it_is", || Box::pin(mux::guarded())),
    ("an_sdwire_as_its_own_programs_see_it", || Box::pin(mux::sdwire())),
    ("a_mux_against_every_fault", || Box::pin(mux::faults())),
    ("a_boards_storage_is_written_where_its_boot_rom_was_on_usb", || Box::pin(boards::written())),
    ("a_screen_as_v4l2_ctl_sees_it", || Box::pin(screen::seen())),
    ("a_screen_without_a_picture_is_told", || Box::pin(screen::faults())),
    ("every_driver_of_the_lab_against_every_fault", || Box::pin(faults::all())),
];

/// Those that take minutes, ignored elsewhere.
const LONG: &[(&str, Body)] = &[
    ("what_was_written_over_usb_boots_and_what_never_comes_is_told", || Box::pin(boards::whole())),
    ("a_tool_in_recovery_mode_is_believed_by_what_boots", || Box::pin(boards::recovery())),
    ("an_installer_started_over_usb_is_believed_by_what_boots", || Box::pin(boards::installer())),
];

/// QEMU's hubs: one with a switch a port, and one that says that it has none.
const DEVICES: &[&str] = &[
    "usb-hub,bus=usb.0,port=1,port-power=on",
    "usb-hub,bus=usb.0,port=2",
    "usb-tablet,bus=usb.0,port=1.2",
    "usb-tablet,bus=usb.0,port=2.1",
];

fn main() {
    warden::serve_if_asked();
    let mut args = Arguments::from_args();
    args.test_threads = Some(1);
    if std::env::var_os(PORT).is_some() {
        let tests = TESTS.iter().chain(LONG).map(|(name, body)| trial(name, *body));
        libtest_mimic::run(&args, tests.collect()).exit();
    }
    // Here, for what it starts ends with the thread.
    let guest = if args.list { None } else { Some(Arc::new(Mutex::new(Guest::boot(DEVICES)))) };
    let tests = TESTS.iter().chain(LONG).enumerate().map(|(index, (name, _))| {
        let guest = guest.clone();
        Trial::test(*name, move || {
            let guest = guest.as_ref().ok_or("listed only")?;
            let began = Instant::now();
            guest.lock().unwrap_or_else(PoisonError::into_inner).test(name);
            println!("     {name}: {:.1} s", began.elapsed().as_secs_f64());
            Ok(())
        })
        .with_ignored_flag(index >= TESTS.len())
    });
    libtest_mimic::run(&args, tests.collect()).exit();
}

/// Opens an output from the text of its block.
async fn open(text: &str, seconds: u64) -> Rig<Guarded> {
    let conf =
        load::<LineDriver>(&Document::new("rig.yaml", text)).unwrap_or_else(|error| panic!("{error:#}"));
    conf.value.check().unwrap();
    let operator: Arc<dyn Operator> = Arc::new(Nobody);
    let cx = LineCx { slot: "lab/one", output: "power", safe: Level::Off, operator: &operator };
    let line = conf.value.open(cx, &by("open", seconds)).await?;
    let limits = Limits { min_off: Duration::ZERO, max_cycles_per_minute: 1000, safe: Level::Off };
    Ok(Guarded::new("power", line, limits, Arc::new(NoFence), Arc::new(Nowhere)))
}

/// Switches; the proof must be what was read back.
async fn switch(line: &Guarded, on: bool) -> Proof {
    let proof = line.set(on, &by("switch", 60)).await.unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(proof.seen, SeenBy::ReadBack(Level::from(on)));
    proof
}

async fn status(line: &Guarded) -> Level {
    line.status(&by("status", 60)).await.unwrap_or_else(|fault| panic!("{fault}"))
}
