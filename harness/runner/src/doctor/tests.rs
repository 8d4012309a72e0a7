//! A mux that does not do what it says, in front of a real file.

use std::sync::Mutex;

use shakedown_core::{Fut, Medium, RealClock, Rig, Storage};
use shakedown_media::FileMedium;

use super::*;

/// What is wrong with it.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    /// It stays where it is.
    Stuck,
    /// It says that it switched, and no medium appears.
    Empty,
    /// It goes to the host and not back.
    OneWay,
}

struct Mux {
    wrong: Wrong,
    file: std::path::PathBuf,
    side: Mutex<Side>,
}

impl Storage for Mux {
    fn driver(&self) -> &'static str {
        "mux"
    }

    fn endpoint(&self) -> String {
        self.file.display().to_string()
    }

    fn side<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Side>> {
        Box::pin(async move { Ok(*self.side.lock().unwrap()) })
    }

    fn switch<'a>(&'a self, to: Side, by: &'a Deadline) -> Fut<'a, Rig<Side>> {
        let stays = self.wrong == Wrong::Stuck || (self.wrong == Wrong::OneWay && to == Side::Dut);
        if !stays {
            *self.side.lock().unwrap() = to;
        }
        self.side(by)
    }

    fn open<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Box<dyn Medium>>> {
        Box::pin(async move {
            let path = if self.wrong == Wrong::Empty { self.file.join("none") } else { self.file.clone() };
            Ok(Box::new(FileMedium::open(&path)?) as Box<dyn Medium>)
        })
    }
}

#[tokio::test]
async fn a_dead_mux_is_named() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("card");
    drop(FileMedium::create(&file, 1 << 20).unwrap());
    let doctor =
        Doctor { clock: RealClock::start(), cancel: CancellationToken::new(), awake: LOOK, tell: &|_| {} };
    for (wrong, want) in [
        (Wrong::Nothing, "ok: went to the host, was read, and went back to the DUT"),
        (Wrong::Stuck, "dead mux: mux: cannot switch "),
        (Wrong::Empty, "dead mux: file: cannot open "),
        (Wrong::OneWay, "dead mux: mux: cannot switch "),
    ] {
        let mux = Mux { wrong, file: file.clone(), side: Mutex::new(Side::Dut) };
        let diagnosis = doctor.mux(&mux).await;
        assert!(diagnosis.to_string().starts_with(want), "{diagnosis}");
        assert_eq!(diagnosis.is_wrong(), wrong != Wrong::Nothing);
    }
}
