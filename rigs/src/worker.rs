//! One named thread an endpoint: for libraries that block, and for devices that several outputs
//! share. A job that was given to it is finished and told, whoever still listens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::Duration;

use shakedown_core::{Deadline, Fault, InfraKind, Rig};
use tokio::sync::oneshot;

/// No answer of rig hardware takes longer: a PDU's web server on a busy day.
const WITHIN: Duration = Duration::from_secs(10);

/// Room for libraries that keep a datagram's largest size on the stack, several times over
/// (`snmp2`, built without optimization, overflows the usual 2 MiB).
const STACK: usize = 8 << 20;

type Job = Box<dyn FnOnce() + Send>;

/// The thread of one endpoint.
pub(crate) struct Worker {
    kind: InfraKind,
    driver: &'static str,
    endpoint: String,
    jobs: mpsc::Sender<Job>,
}

static ALL: Mutex<BTreeMap<String, Weak<Worker>>> = Mutex::new(BTreeMap::new());

impl Worker {
    /// The thread of this endpoint, for all that share it in this process. It ends with the last of them.
    pub(crate) fn of(driver: &'static str, endpoint: &str) -> Rig<Arc<Self>> {
        Self::new(InfraKind::Power, driver, endpoint)
    }

    /// The same, for typing on a console.
    pub(crate) fn for_console(driver: &'static str, endpoint: &str) -> Rig<Arc<Self>> {
        Self::new(InfraKind::Console, driver, endpoint)
    }

    /// The same, for the mux of a medium.
    pub(crate) fn for_media(driver: &'static str, endpoint: &str) -> Rig<Arc<Self>> {
        Self::new(InfraKind::Storage, driver, endpoint)
    }

    /// The same, for pictures of a screen.
    pub(crate) fn for_capture(driver: &'static str, endpoint: &str) -> Rig<Arc<Self>> {
        Self::new(InfraKind::Capture, driver, endpoint)
    }

    /// The same, for a debug probe.
    #[cfg(feature = "probe")]
    pub(crate) fn for_probe(driver: &'static str, endpoint: &str) -> Rig<Arc<Self>> {
        Self::new(InfraKind::Probe, driver, endpoint)
    }

    fn new(kind: InfraKind, driver: &'static str, endpoint: &str) -> Rig<Arc<Self>> {
        let key = format!("{driver} {endpoint}");
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(worker) = all.get(&key).and_then(Weak::upgrade) {
            return Ok(worker);
        }
        let (jobs, work) = mpsc::channel::<Job>();
        // A thread's name holds no NUL, and an endpoint is as somebody wrote it.
        let name = key.replace(char::is_control, "?");
        let thread = std::thread::Builder::new().name(name).stack_size(STACK);
        thread.spawn(move || work.into_iter().for_each(|job| job())).map_err(|error| {
            Fault::new(InfraKind::Host, driver, "start a thread for", endpoint).because(&error)
        })?;
        let worker = Arc::new(Self { kind, driver, endpoint: endpoint.to_owned(), jobs });
        all.retain(|_, worker| worker.strong_count() > 0);
        all.insert(key, Arc::downgrade(&worker));
        Ok(worker)
    }

    /// Runs a job on the thread, after those that came before. The job gets the deadline that
    /// it has to keep; what has waited past it is not begun, for its caller has gone on.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        op: &str,
        by: &Deadline,
        job: impl FnOnce(&Deadline) -> Rig<T> + Send + 'static,
    ) -> Rig<T> {
        self.watched(op, by, WITHIN, String::new, job).await
    }

    /// The same for a job that takes longer, and tells how far it is.
    pub(crate) async fn watched<T: Send + 'static>(
        self: &Arc<Self>,
        op: &str,
        by: &Deadline,
        within: Duration,
        far: impl Fn() -> String,
        job: impl FnOnce(&Deadline) -> Rig<T> + Send + 'static,
    ) -> Rig<T> {
        let by = by.child(format!("{} to {op}", self.driver), within).at_rig_pace();
        let fault = || Fault::new(self.kind, self.driver, op, &self.endpoint);
        let (done, wait) = oneshot::channel();
        // Ends a little earlier, so that the thread's own words, which tell more, are the ones heard.
        let own = by.child(by.name(), by.left().mul_f64(0.95));
        let queued = fault();
        // While a job is under way the endpoint has its thread, also when all who used it are gone: who comes
        // next waits behind it, and not beside it.
        let alive = Arc::clone(self);
        let job = move || {
            let _alive = alive;
            let result =
                if own.is_over() { Err(queued.stopped(own.stop("others use it"))) } else { job(&own) };
            // Who dropped the future does not want to know.
            let _ = done.send(result);
        };
        let ended = || fault().expected("a thread that answers", "one that has ended");
        self.jobs.send(Box::new(job)).map_err(|_| ended())?;
        match by.run(far, wait).await {
            Ok(result) => result.map_err(|_| ended())?,
            Err(stop) => Err(fault().expected("an answer", stop.to_string()).stopped(stop)),
        }
    }
}

/// What is left, for a library that takes a time limit and takes zero for none.
pub(crate) fn left(by: &Deadline) -> Duration {
    by.left().max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_core::{Pace, RealClock};
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio_util::sync::CancellationToken;

    fn by(span: Duration) -> Deadline {
        Deadline::new("test", span, Pace::Rig, RealClock::start(), CancellationToken::new())
    }

    #[tokio::test]
    async fn what_waited_too_long_is_never_done() {
        let worker = Worker::of("test", "late").unwrap();
        assert!(Arc::ptr_eq(&worker, &Worker::of("test", "late").unwrap()), "one thread an endpoint");
        let (release, held) = mpsc::channel::<()>();
        let long = by(Duration::from_secs(20));
        let first = worker.run("hold", &long, move |_| Ok(held.recv().is_ok()));
        let switched = Arc::new(AtomicU32::new(0));
        let count = switched.clone();
        let short = by(Duration::from_millis(30));
        let second = worker.run("switch", &short, move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        let second = async {
            let late = second.await.unwrap_err();
            release.send(()).unwrap();
            late
        };
        let (first, late) = tokio::join!(first, second);
        assert_eq!(first, Ok(true));
        assert!(late.stop.is_some(), "{late}");
        assert_eq!(worker.run("see", &long, |_| Ok(7)).await, Ok(7));
        assert_eq!(switched.load(Ordering::SeqCst), 0, "switched after its caller had gone");
    }

    #[tokio::test]
    async fn who_comes_after_all_others_have_gone_waits_behind_what_they_began() {
        let worker = Worker::of("test", "left").unwrap();
        let (release, held) = mpsc::channel::<()>();
        let began = Arc::new(AtomicU32::new(0));
        let count = began.clone();
        let job = move |_: &Deadline| {
            let _ = held.recv();
            count.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        worker.run("hold", &by(Duration::from_millis(30)), job).await.unwrap_err();
        drop(worker);
        let next = Worker::of("test", "left").unwrap();
        release.send(()).unwrap();
        let long = by(Duration::from_secs(20));
        let seen = next.run("see", &long, move |_| Ok(began.load(Ordering::SeqCst))).await;
        assert_eq!(seen, Ok(1), "beside a job of the same endpoint");
    }
}
