//! The rings of a program, as the ends of a console's line.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::probe_rs::rtt::{Error, Rtt, ScanRegion};
use ::probe_rs::{Core, Session};
use shakedown_core::{Console, Deadline, Fault, InfraKind, Rig};

use super::Conf;
use crate::console::ConsoleCx;
use crate::console::link::{self, Dial, Ends, TICK, Typing};
use crate::families::ProbeDriver;
use crate::probe::probe_rs::held::{CORE, Following, Held};

const NAME: &str = "rtt";
/// Between two looks at a ring that was empty: a ring of 1 KiB is full after 10 ms at 1 Mbit/s.
const LOOK: Duration = Duration::from_millis(10);
/// Between two looks for a program that has no rings yet.
const SEARCH: Duration = Duration::from_secs(1);

pub(super) async fn open(conf: &Conf, cx: ConsoleCx<'_>, by: &Deadline) -> Rig<Console> {
    let Some(ProbeDriver::ProbeRs(probe)) = cx.probes.get(&conf.probe) else {
        let fault = Fault::new(InfraKind::Config, NAME, "open", cx.name);
        return Err(fault.expected("a probe of this slot", format!("`{}`", conf.probe)));
    };
    let held = Held::of(probe)?;
    let endpoint = held.endpoint();
    let region = conf.at.map_or(ScanRegion::Ram, |at| ScanRegion::Exact(at.into()));
    let rings = Rings {
        following: Arc::new(held.follow()),
        channel: conf.channel,
        region,
        found: Arc::default(),
        told: Arc::default(),
    };
    link::open(NAME, &endpoint, &cx, rings, by).await
}

/// The rings; none, as long as there is no program that has some.
#[derive(Clone)]
struct Rings {
    following: Arc<Following>,
    channel: usize,
    region: ScanRegion,
    found: Arc<Mutex<Option<Rtt>>>,
    /// That there are several tables is told once.
    told: Arc<AtomicBool>,
}

impl Dial for Rings {
    /// A chip that is off has a line all the same: it says nothing.
    fn dial(&self, _by: &Deadline) -> Rig<Ends> {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let reader = Reader { rings: self.clone(), searched: None };
        Ok(Ends { reader: Box::new(reader), writer: Box::new(self.clone()) })
    }
}

impl Rings {
    /// Does this with the rings; `None` where there are none.
    fn with<T>(
        &self,
        search: bool,
        work: impl FnOnce(&mut Rtt, &mut Core<'_>) -> Result<T, Error>,
    ) -> io::Result<Option<T>> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.is_none() && !search {
            return Ok(None);
        }
        let known = found.is_some();
        let mut several = None;
        let look = |session: &mut Session| -> Result<Option<T>, Error> {
            let mut core = session.core(CORE)?;
            if found.is_none() {
                match Rtt::attach_region(&mut core, &self.region) {
                    Ok(rings) => *found = Some(rings),
                    Err(Error::ControlBlockNotFound | Error::ControlBlockCorrupted(_)) => return Ok(None),
                    Err(error @ Error::MultipleControlBlocksFound(_)) => {
                        several = Some(error.to_string());
                        return Ok(None);
                    }
                    Err(error) => return Err(error),
                }
            }
            found.as_mut().map(|rings| work(rings, &mut core)).transpose()
        };
        let done = self.following.with("follow", look);
        if let Some(several) = several.filter(|_| !self.told.swap(true, Ordering::Relaxed)) {
            return Err(io::Error::other(format!("{several}; say which it is with `at`")));
        }
        match done {
            Ok(done) => Ok(done),
            // A chip that never answered is off.
            Err(_) if !known => Ok(None),
            Err(fault) => Err(io::Error::other(fault.to_string())),
        }
    }
}

struct Reader {
    rings: Rings,
    searched: Option<Instant>,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let until = Instant::now() + TICK;
        loop {
            let search = self.searched.is_none_or(|at| at.elapsed() >= SEARCH);
            if search {
                self.searched = Some(Instant::now());
            }
            let channel = self.rings.channel;
            let count = self.rings.with(search, |rings, core| match rings.up_channel(channel) {
                Some(ring) => ring.read(core, buffer),
                None => Ok(0),
            })?;
            match count {
                Some(count) if count > 0 => return Ok(count),
                _ if Instant::now() >= until => return Err(io::ErrorKind::TimedOut.into()),
                _ => std::thread::park_timeout(LOOK),
            }
        }
    }
}

impl Typing for Rings {
    fn write(&mut self, mut bytes: &[u8], by: &Deadline) -> io::Result<()> {
        while !bytes.is_empty() {
            if by.is_over() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let channel = self.channel;
            let count = self.with(true, |rings, core| match rings.down_channel(channel) {
                Some(ring) => ring.write(core, bytes).map(Some),
                None => Ok(None),
            })?;
            match count.flatten() {
                None => return Err(io::Error::other("the program has no ring to type on")),
                Some(0) => std::thread::park_timeout(LOOK),
                Some(count) => bytes = &bytes[count..],
            }
        }
        Ok(())
    }

    fn set_break(&mut self, _on: bool, _by: &Deadline) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "a ring in memory has no break"))
    }
}
