//! Time: one clock a run, deadlines with names, and the pace of a slow DUT.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::Fut;

/// Nanoseconds since the start of the run, never going back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mono(pub u64);

impl Mono {
    /// The time from `earlier` to here; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Mono {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_nanos() as u64))
    }
}

/// Where time comes from: the real clock, or a virtual one in tests and simulated slots.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now, since the start of the run.
    fn now(&self) -> Mono;
    /// The time of day.
    fn wall(&self) -> jiff::Timestamp;
    /// Completes at `at`, at once when that has passed.
    fn sleep_until(&self, at: Mono) -> Fut<'static, ()>;
    /// Until this is dropped, something works that a virtual clock cannot see (a thread of its own),
    /// so that one must stand still. Real time goes on.
    fn hold(&self) -> Box<dyn Send> {
        Box::new(())
    }
}

/// The machine's monotonic clock. Needs a tokio runtime with time to sleep.
#[derive(Debug)]
pub struct RealClock {
    origin: std::time::Instant,
}

impl RealClock {
    /// A clock that reads zero now.
    pub fn start() -> Arc<Self> {
        Arc::new(Self { origin: std::time::Instant::now() })
    }
}

impl Clock for RealClock {
    fn now(&self) -> Mono {
        Mono(self.origin.elapsed().as_nanos() as u64)
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn sleep_until(&self, at: Mono) -> Fut<'static, ()> {
        let left = at.since(self.now());
        #[expect(clippy::disallowed_methods, reason = "the one place where time is waited for")]
        Box::pin(tokio::time::sleep(left))
    }
}

/// How much slower than its descriptor says the DUT runs right now: 1 to [`PaceGauge::MAX`].
///
/// Written by who measures (the boot machine against typical stage times, QEMU's
/// slot from the time its threads waited for a core), read by every DUT deadline.
#[derive(Debug)]
pub struct PaceGauge {
    strain: AtomicU64,
    measured: AtomicU64,
}

impl Default for PaceGauge {
    fn default() -> Self {
        let one = || AtomicU64::new(1.0f64.to_bits());
        Self { strain: one(), measured: one() }
    }
}

impl PaceGauge {
    /// No deadline is ever stretched beyond this factor.
    pub const MAX: f64 = 6.0;

    /// The factor in force: how slow the DUT was at its last boot, times how short of CPU its host is now.
    pub fn factor(&self) -> f64 {
        let part = |bits: &AtomicU64| f64::from_bits(bits.load(Ordering::Relaxed));
        (part(&self.strain) * part(&self.measured)).clamp(1.0, Self::MAX)
    }

    /// Sets how much the DUT waits for its host's CPU right now; returns the factor in force.
    pub fn set(&self, factor: f64) -> f64 {
        self.store(&self.strain, factor)
    }

    /// Sets how slow the DUT was at its last boot; returns the factor in force.
    pub fn measured(&self, factor: f64) -> f64 {
        self.store(&self.measured, factor)
    }

    fn store(&self, part: &AtomicU64, factor: f64) -> f64 {
        let held = if factor.is_finite() { factor.clamp(1.0, Self::MAX) } else { 1.0 };
        part.store(held.to_bits(), Ordering::Relaxed);
        self.factor()
    }
}

/// Whose speed a deadline depends on.
#[derive(Clone, Debug)]
pub enum Pace {
    /// Rig hardware: never stretched.
    Rig,
    /// The DUT: stretched by what was measured, also while being waited for.
    Dut(Arc<PaceGauge>),
}

impl Pace {
    /// The factor in force.
    pub fn factor(&self) -> f64 {
        match self {
            Self::Rig => 1.0,
            Self::Dut(gauge) => gauge.factor(),
        }
    }
}

/// A named limit on a wait. Cheap to clone; a child never outlives its parent.
#[derive(Clone, Debug)]
pub struct Deadline {
    name: Arc<str>,
    from: Mono,
    span: Duration,
    pace: Pace,
    parent: Option<Arc<Deadline>>,
    clock: Arc<dyn Clock>,
    cancel: CancellationToken,
}

/// What a wait that ended without its end had seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waited {
    /// The wait's name, as a noun phrase: `login prompt`.
    pub name: String,
    /// How long was waited.
    #[serde(with = "crate::time::millis")]
    pub waited: Duration,
    /// The last thing seen while waiting; empty when nothing was.
    pub last_seen: String,
}

/// Why a wait ended without its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// The deadline passed.
    Late(Waited),
    /// Somebody asked the run to stop.
    Cancelled(Waited),
}

impl Stop {
    /// What had been waited for.
    pub fn waited(&self) -> &Waited {
        match self {
            Self::Late(waited) | Self::Cancelled(waited) => waited,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, waited) = match self {
            Self::Late(waited) => ("waited", waited),
            Self::Cancelled(waited) => ("interrupted after", waited),
        };
        write!(f, "{verb} {:.1} s for {}", waited.waited.as_secs_f64(), waited.name)?;
        if waited.last_seen.is_empty() {
            f.write_str("; nothing was seen")
        } else {
            write!(f, "; last seen: {}", waited.last_seen)
        }
    }
}

impl Deadline {
    /// A deadline of its own.
    pub fn new(
        name: impl Into<Arc<str>>,
        span: Duration,
        pace: Pace,
        clock: Arc<dyn Clock>,
        cancel: CancellationToken,
    ) -> Self {
        Self { name: name.into(), from: clock.now(), span, pace, parent: None, clock, cancel }
    }

    /// A shorter wait inside this one, starting now, at the same pace.
    #[must_use]
    pub fn child(&self, name: impl Into<Arc<str>>, span: Duration) -> Self {
        Self {
            name: name.into(),
            from: self.clock.now(),
            span,
            pace: self.pace.clone(),
            parent: Some(Arc::new(self.clone())),
            clock: self.clock.clone(),
            cancel: self.cancel.child_token(),
        }
    }

    /// The same wait, on rig hardware: not stretched by a slow DUT.
    #[must_use]
    pub fn at_rig_pace(mut self) -> Self {
        self.pace = Pace::Rig;
        self
    }

    /// The wait's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The clock that this deadline reads.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Fires when the run is to stop.
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// When it ends, at the pace in force now.
    pub fn by(&self) -> Mono {
        let own = self.from + self.span.mul_f64(self.pace.factor());
        self.parent.as_ref().map_or(own, |parent| own.min(parent.by()))
    }

    /// What is left; zero when passed.
    pub fn left(&self) -> Duration {
        self.by().since(self.clock.now())
    }

    /// Whether it passed or the run was cancelled: for loops on driver threads.
    pub fn is_over(&self) -> bool {
        self.cancel.is_cancelled() || self.left().is_zero()
    }

    /// The error of a wait that ends now.
    pub fn stop(&self, last_seen: impl Into<String>) -> Stop {
        let waited = Waited {
            name: self.name.to_string(),
            waited: self.clock.now().since(self.from),
            last_seen: last_seen.into(),
        };
        if self.cancel.is_cancelled() { Stop::Cancelled(waited) } else { Stop::Late(waited) }
    }

    /// Runs `work` until its end, the deadline (which may move while waiting) or cancellation.
    pub async fn run<T>(
        &self,
        last_seen: impl Fn() -> String,
        work: impl Future<Output = T>,
    ) -> Result<T, Stop> {
        let mut work = std::pin::pin!(work);
        loop {
            let by = self.by();
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = self.cancel.cancelled() => return Err(self.stop(last_seen())),
                () = self.clock.sleep_until(by) => {
                    if self.by() <= self.clock.now() {
                        return Err(self.stop(last_seen()));
                    }
                }
            }
        }
    }

    /// Sleeps for `span` (a settle time or a poll interval that has a name), within this deadline.
    pub async fn pause(&self, span: Duration, last_seen: impl Fn() -> String) -> Result<(), Stop> {
        let until = self.clock.now() + span;
        self.run(last_seen, self.clock.sleep_until(until)).await
    }
}

/// `Duration` as whole milliseconds in the journal.
pub mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes whole milliseconds.
    pub fn serialize<S: Serializer>(span: &Duration, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u64(span.as_millis() as u64)
    }

    /// Reads whole milliseconds.
    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
        Ok(Duration::from_millis(u64::deserialize(input)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deadline(span: Duration, gauge: &Arc<PaceGauge>) -> Deadline {
        Deadline::new(
            "login prompt",
            span,
            Pace::Dut(gauge.clone()),
            RealClock::start(),
            CancellationToken::new(),
        )
    }

    #[tokio::test]
    async fn a_late_wait_says_its_name_and_what_it_saw() {
        let late = deadline(Duration::from_millis(5), &Arc::default())
            .run(|| "U-Boot 2023.01".into(), std::future::pending::<()>())
            .await
            .unwrap_err();
        assert!(matches!(late, Stop::Late(_)));
        assert!(late.to_string().contains("login prompt; last seen: U-Boot 2023.01"), "{late}");
    }

    #[tokio::test]
    async fn a_starved_dut_stretches_a_wait_that_is_under_way() {
        let gauge = Arc::new(PaceGauge::default());
        let limit = deadline(Duration::from_millis(30), &gauge);
        gauge.set(4.0);
        let clock = limit.clock().clone();
        let until = clock.now() + Duration::from_millis(60);
        limit.run(String::new, clock.sleep_until(until)).await.expect("60 ms fit in 30 ms x 4");
        assert!((gauge.set(1e9) - PaceGauge::MAX).abs() < f64::EPSILON);
    }

    #[tokio::test]
    async fn a_child_never_outlives_its_parent() {
        let parent = deadline(Duration::from_millis(10), &Arc::default());
        let child = parent.child("prompt", Duration::from_secs(9));
        assert_eq!(child.by(), parent.by());
        parent.cancel().cancel();
        assert!(matches!(child.stop(""), Stop::Cancelled(_)));
    }
}
