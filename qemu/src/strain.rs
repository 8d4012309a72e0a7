//! How much a machine waits for its host's cores, and what its deadlines make of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shakedown_core::event::Sink;
use shakedown_core::{Event, Mono, PaceGauge};

/// How often the scheduler's books are read.
pub(crate) const EVERY: Duration = Duration::from_secs(1);
/// The shortest time between two events, unless the pace leaps.
const QUIET: Duration = Duration::from_secs(10);

/// The strain as last measured.
#[derive(Debug)]
pub(crate) struct Strain(AtomicU64);

impl Default for Strain {
    fn default() -> Self {
        Self(AtomicU64::new(1.0f64.to_bits()))
    }
}

impl Strain {
    pub(crate) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, strain: f64) {
        self.0.store(strain.to_bits(), Ordering::Relaxed);
    }
}

/// Follows the strain and says when the pace has changed.
#[derive(Debug)]
pub(crate) struct Follower {
    smooth: f64,
    told: f64,
    at: Option<Mono>,
}

impl Default for Follower {
    fn default() -> Self {
        Self { smooth: 1.0, told: 1.0, at: None }
    }
}

impl Follower {
    /// Takes the stretch of the last interval: up at half the way, so that one bad second is not
    /// believed, and down by a quarter, so that a wait under way keeps what it was given.
    pub(crate) fn follow(
        &mut self,
        stretch: f64,
        now: Mono,
        strain: &Strain,
        gauge: &PaceGauge,
        sink: &dyn Sink,
    ) {
        let share = if stretch > self.smooth { 0.5 } else { 0.25 };
        self.smooth += (stretch.max(1.0) - self.smooth) * share;
        strain.set(self.smooth);
        let factor = gauge.set(self.smooth);
        // The strain alone is told: what a boot measured is in the factor too, and is no news of the host.
        let held = self.smooth.min(PaceGauge::MAX);
        let ratio = (held / self.told).max(self.told / held);
        let quiet = self.at.is_some_and(|at| now.since(at) < QUIET);
        if ratio >= 2.0 || (ratio >= 1.3 && !quiet) {
            (self.told, self.at) = (held, Some(now));
            sink.emit(Event::PaceChanged { factor, why: "QEMU waited for a core".into() });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<f64>>);

    impl Sink for Kept {
        fn emit(&self, event: Event) {
            if let Event::PaceChanged { factor, .. } = event {
                self.0.lock().unwrap().push(factor);
            }
        }
    }

    #[test]
    fn a_starved_machine_is_told_of_once_and_its_recovery_once() {
        let (mut follower, strain, gauge, kept) =
            (Follower::default(), Strain::default(), PaceGauge::default(), Kept::default());
        let mut second = 0;
        let mut feed = |stretch: f64, seconds: u64| {
            for _ in 0..seconds {
                second += 1;
                follower.follow(stretch, Mono(second * 1_000_000_000), &strain, &gauge, &kept);
            }
        };
        feed(1.05, 60);
        feed(1.4, 1);
        assert!(kept.0.lock().unwrap().is_empty(), "noise and one bad second are no news");
        feed(100.0, 30);
        assert!((gauge.factor() - PaceGauge::MAX).abs() < f64::EPSILON, "bounded: {}", gauge.factor());
        assert!(strain.get() > 50.0, "what was measured is not bounded");
        feed(1.0, 60);
        let told = kept.0.lock().unwrap().clone();
        assert!(gauge.factor() < 1.01 && told.len() <= 6, "{told:?}");
    }
}
