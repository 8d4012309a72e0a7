//! What every test needs: a slot with a micro guest, and ways to look at it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shakedown_console::Finder;
use shakedown_core::console::Tap;
use shakedown_core::{
    Chunk, Cursor, Deadline, Event, Hit, Mark, Mono, NoFence, Pace, RealClock, Sink, Slot, WaitEnd,
};
use shakedown_qemu::micro::{self, Kind, Kit};
use shakedown_qemu::tokens::Tokens;
use shakedown_qemu::{Handle, MachineDoc, SlotRequest, open_with_tokens};
use tokio_util::sync::CancellationToken;

/// Long enough for a busy host, short enough for a test that hangs.
pub(crate) fn by(name: &'static str, seconds: u64) -> Deadline {
    let span = Duration::from_secs(seconds);
    Deadline::new(name, span, Pace::Rig, RealClock::start(), CancellationToken::new())
}

pub(crate) fn scratch(name: &str) -> PathBuf {
    // Longer than the address of a socket: slots live in folders like this one.
    let long = "a-folder-whose-name-is-so-long-that-no-unix-socket-in-it-could-be-named-by-its-path";
    let folder =
        std::env::temp_dir().join(format!("shakedown-micro-{}", std::process::id())).join(long).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[derive(Default)]
pub(crate) struct Events(pub(crate) Mutex<Vec<Event>>);

impl Sink for Events {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

pub(crate) struct Bench {
    pub(crate) slot: Slot,
    pub(crate) handle: Handle,
    pub(crate) events: Arc<Events>,
}

pub(crate) async fn kit() -> Kit {
    let cache = shakedown_host::dirs::cache().unwrap();
    Kit::at(&cache, &by("the micro guests' kernel and busybox", 300)).await.unwrap()
}

impl Bench {
    pub(crate) fn request(name: &str) -> SlotRequest {
        SlotRequest {
            id: format!("test/{name}"),
            board: Arc::new(micro::board()),
            folder: scratch(name),
            clock: RealClock::start(),
            sink: Arc::new(Events::default()),
            fence: Arc::new(NoFence),
        }
    }

    pub(crate) async fn of(name: &str, doc: &MachineDoc) -> Self {
        Self::at(Self::request(name), doc).await
    }

    pub(crate) async fn at(request: SlotRequest, doc: &MachineDoc) -> Self {
        let events = Arc::new(Events::default());
        let request = SlotRequest { sink: events.clone(), ..request };
        // One test runs two machines; the host's tokens may be fewer.
        let two = Tokens::new(shakedown_host::dirs::runtime().unwrap().join("qemus-of-tests"), 2);
        let (slot, handle) = open_with_tokens(doc, request, &two, &by("open the slot", 60)).await.unwrap();
        Self { slot, handle, events }
    }

    pub(crate) async fn with(name: &str, kind: Kind) -> Self {
        Self::of(name, &kit().await.machine(kind)).await
    }

    pub(crate) async fn power(&self, on: bool) -> shakedown_core::Rig<shakedown_core::Proof> {
        self.slot.power.as_ref().unwrap().set(on, &by("power", 60)).await
    }

    pub(crate) async fn see(&self, cursor: &mut Cursor, pattern: &str, seconds: u64) -> Result<Hit, WaitEnd> {
        let mut finder = Finder::of(pattern).unwrap();
        self.slot.log().unwrap().expect(cursor, &mut finder, &by("a pattern", seconds)).await
    }

    pub(crate) async fn type_in(&self, text: &str) {
        let tx = self.slot.console().unwrap().tx.clone().unwrap();
        tx.send(text.as_bytes(), &by("typing", 20)).await.unwrap();
    }

    /// Logs in; the cursor stands after the shell's prompt.
    pub(crate) async fn log_in(&self, cursor: &mut Cursor) {
        self.see(cursor, "micro login: ", 60).await.unwrap();
        self.type_in("root\n").await;
        self.see(cursor, "micro# ", 20).await.unwrap();
    }
}

/// Counts what a recorder would write.
#[derive(Default, Clone)]
pub(crate) struct Counted(pub(crate) Arc<Mutex<Vec<u8>>>);

impl Tap for Counted {
    fn chunk(&mut self, chunk: &Chunk) {
        self.0.lock().unwrap().extend_from_slice(&chunk.bytes);
    }

    fn mark(&mut self, _at: Mono, _off: u64, _mark: &Mark) {}
}
