//! Every driver whose hardware is in the lab against everything that its hardware may do wrong.

use shakedown_core::{Fault, Guarded};

use crate::support::by;
use crate::support::lab::{model, oracle};
use crate::{open, switch};

/// A driver, the block of its output, and its model.
const DRIVERS: [(&str, &str, &str); 3] = [
    ("gpio", "gpio: { chip: gpiochip0, line: 2 }", "cp2112"),
    ("sispm", "sispm: { socket: 1 }", "sispm"),
    ("usb-hid-relay", "usb-hid-relay: { relay: 1 }", "relay"),
];

/// It never answers; it refuses each request; the beginning of an answer; an answer with each bit the other way round;
/// it says that it did it, and did not.
const FAULTS: [&str; 5] = ["silence", "refusal", "short", "noise", "stuck"];

async fn fault(line: &Guarded, seconds: u64) -> Fault {
    let limit = by("the test's own bound", 120);
    let by = by("switch", seconds);
    let end = limit.run(String::new, line.set(true, &by)).await.expect("it must end");
    end.map_or_else(|fault| fault, |proof| panic!("switched by {}: {proof}", line.describe()))
}

pub(crate) async fn all() {
    for (driver, block, its_model) in DRIVERS {
        for wrong in FAULTS {
            let line = open(block, 60).await.unwrap();
            switch(&line, false).await;
            model(&format!("{its_model} {wrong}"));
            let seen = fault(&line, if wrong == "silence" { 3 } else { 60 }).await;
            let row = format!("{driver}, {wrong}: {seen}");
            println!("{row}");
            assert_eq!(seen.driver, driver, "{row}");
            assert!(!seen.expected.is_empty() && !seen.got.is_empty(), "{row}");
            assert_eq!(seen.stop.is_some(), wrong == "silence", "{row}");
            assert_eq!(
                seen.got == "read back off",
                wrong == "stuck" || (wrong, driver) == ("noise", "gpio"),
                "{row}"
            );
            model(&format!("{its_model} none"));
            drop(line);
        }
        // And it works again, without being opened anew by anybody else.
        let line = open(block, 60).await.unwrap();
        switch(&line, true).await;
        switch(&line, false).await;
    }
    pulled().await;
}

/// Pulled out while they are held.
async fn pulled() {
    let mut held = Vec::new();
    for (driver, block, _) in DRIVERS {
        held.push((driver, open(block, 60).await.unwrap()));
    }
    for port in ["00", "01", "02"] {
        let (code, said) = oracle(&["usbip", "detach", "-p", port]);
        assert_eq!(code, Some(0), "{said}");
    }
    for (driver, line) in held {
        let seen = fault(&line, 60).await;
        println!("{driver}, pulled: {seen}");
        assert!(!seen.expected.is_empty() && !seen.got.is_empty(), "{seen}");
    }
}
