//! A run put together by hand, for cases that no document can describe.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use shakedown_boards::Catalogue;
use shakedown_console::Patterns;
use shakedown_core::event::RunHead;
use shakedown_core::profile::LoginProfile;
use shakedown_core::{
    Case, CaseId, CaseSpec, Clock, Cmd, Console, Cut, Deadline, Dut, Effect, Exit, Fut, LoginTry, NoFence,
    Ran, RealClock, Shell, ShellError, Shells, SshTarget, Unreachable,
};
use shakedown_host::KeyPair;
use shakedown_qemu::{MachineDoc, SlotRequest, doc::MachineName};
use shakedown_runner::{Examine, Identity, JournalSink, Request, RunFolder, Writing};
use tokio_util::sync::CancellationToken;

use super::{Place, Run, by, guest};

#[derive(Clone, Copy)]
enum Way {
    Panics,
    Pattern,
    NeverEnds,
    /// The session dies while nobody uses it: the next command, and the next file, are not sent.
    Reconnects,
}

struct Broken(CaseSpec, Way);

impl Case for Broken {
    fn spec(&self) -> &CaseSpec {
        &self.0
    }

    fn run<'a>(&'a self, dut: &'a dyn Dut, by: &'a Deadline) -> Fut<'a, Result<(), Cut>> {
        Box::pin(async move {
            match self.1 {
                Way::Panics => {
                    panic!("index out of bounds: the len is 0 but the index is {}", self.0.id.0.len())
                }
                Way::Pattern => match Patterns::compile(&["(up"]) {
                    Ok(_) => Ok(()),
                    Err(error) => Err(Cut::Broken(error.to_string())),
                },
                Way::NeverEnds => std::future::pending().await,
                Way::Reconnects => {
                    dut.run(&Cmd::sh("ends the session"), by).await?;
                    dut.run(&Cmd::sh("runs all the same"), by).await?;
                    dut.run(&Cmd::sh("ends the session"), by).await?;
                    Ok(dut.put("/file", b"", by).await?)
                }
            }
        })
    }
}

/// A shell on which everything succeeds: the guest has none, and the DUT must count as well
/// between the cases. It dies, unnoticed, after the command `ends the session`.
#[derive(Default)]
struct Willing(std::sync::atomic::AtomicBool);

impl Willing {
    fn sent(&self) -> Result<(), ShellError> {
        let dead = self.0.load(std::sync::atomic::Ordering::Relaxed);
        if dead { Err(ShellError::Dut(Unreachable::NotSent("the session had ended".into()))) } else { Ok(()) }
    }
}

impl Shells for Willing {
    fn ssh<'a>(
        &'a self,
        _target: &'a SshTarget,
        _by: &'a Deadline,
    ) -> Fut<'a, Result<(Arc<dyn Shell>, String), ShellError>> {
        Box::pin(async { Ok((Arc::new(Self::default()) as Arc<dyn Shell>, "SHA256:none".to_owned())) })
    }

    fn try_login<'a>(
        &'a self,
        _addr: SocketAddr,
        _user: &'a str,
        _how: LoginTry,
        _by: &'a Deadline,
    ) -> Fut<'a, Result<bool, ShellError>> {
        Box::pin(async { Ok(false) })
    }

    fn login<'a>(
        &'a self,
        _console: &'a Console,
        _login: &'a LoginProfile,
        _by: &'a Deadline,
    ) -> Fut<'a, Result<Arc<dyn Shell>, ShellError>> {
        Box::pin(async { Err(ShellError::Dut(Unreachable::Denied("no login here".into()))) })
    }
}

impl Shell for Willing {
    fn kind(&self) -> &'static str {
        "ssh"
    }

    fn run<'a>(&'a self, cmd: &'a Cmd, _by: &'a Deadline) -> Fut<'a, Result<Ran, ShellError>> {
        let (out, err, took) = (Vec::new(), Vec::new(), Duration::ZERO);
        let sent = self.sent();
        self.0.fetch_or(cmd.line == "ends the session", std::sync::atomic::Ordering::Relaxed);
        Box::pin(async move { sent.map(|()| Ran { exit: Exit::Code(0), out, err, took, truncated: false }) })
    }

    fn put<'a>(
        &'a self,
        _to: &'a str,
        _data: &'a [u8],
        _mode: u32,
        _by: &'a Deadline,
    ) -> Fut<'a, Result<(), ShellError>> {
        let sent = self.sent();
        Box::pin(async move { sent })
    }

    fn get<'a>(
        &'a self,
        _from: &'a str,
        _most: u64,
        _by: &'a Deadline,
    ) -> Fut<'a, Result<Vec<u8>, ShellError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

fn case(name: &str, way: Way) -> Arc<dyn Case> {
    let spec = CaseSpec {
        id: CaseId(format!("broken::in::{name}")),
        title: format!("a case that is broken: {name}"),
        needs: BTreeSet::new(),
        effect: Effect::ReadOnly,
        within: Duration::from_millis(200),
        after: Vec::new(),
        sabotage: Vec::new(),
    };
    Arc::new(Broken(spec, way))
}

/// Runs broken cases on the guest in `image`, with the documents of the place.
pub(crate) async fn run(place: &Place) -> Run {
    let catalogue = Catalogue::with_paths(&[place.path("private")]).unwrap();
    let (board, profile) = (catalogue.board("micro-board").unwrap(), catalogue.profile("micro").unwrap());
    let folder = place.path("by-hand");
    std::fs::create_dir_all(&folder).unwrap();
    let clock: Arc<dyn Clock> = RealClock::start();
    let journal = std::fs::File::create(folder.join("journal.jsonl")).unwrap();
    let sink = JournalSink::new("by-hand", Box::new(journal), Vec::new(), clock.clone());
    let spec = shakedown_boards::boot_spec(&board, &profile);
    let procedure = shakedown_boards::plan::ideal(&board).procedure;
    let mut doc = MachineDoc::new(MachineName::Q35);
    doc.cpus = 1;
    doc.memory = shakedown_conf::Bytes(192 << 20);
    doc.disk.size = shakedown_conf::Bytes(guest::DISK);
    let request = SlotRequest {
        id: "tests/by-hand".into(),
        board,
        folder: place.path("slot"),
        clock,
        sink: sink.clone(),
        fence: Arc::new(NoFence),
    };
    let slot = shakedown_qemu::open(&doc, request, &by("a free place for the slot", 600)).await.unwrap();
    let image = shakedown_media::identify(&place.path("image"), &mut |_| ControlFlow::Continue(())).unwrap();
    let keys = KeyPair::generate().unwrap();
    let head = RunHead {
        board: slot.board.slug.clone(),
        slot: slot.id.clone(),
        profile: profile.id.clone(),
        image: image.image().clone(),
        selection: "broken".into(),
        command: "by hand".into(),
        harness: "test".into(),
        hashes: BTreeMap::new(),
        facts: BTreeMap::new(),
    };
    let uuid = "0".repeat(32);
    let request = Request {
        slot,
        profile,
        head,
        spec,
        image,
        procedure,
        cases: vec![
            case("panics", Way::Panics),
            case("pattern", Way::Pattern),
            case("never-ends", Way::NeverEnds),
            case("reconnects", Way::Reconnects),
        ],
        repeat: 1,
        cold_boots: 1,
        examine: Examine::default(),
        keep: false,
        writing: Writing::Whole,
        control: None,
        identity: Identity {
            hostname: "test".into(),
            uuid,
            private_key: keys.private,
            public_key: keys.public,
        },
        shells: Arc::new(Willing::default()),
        sink: sink.clone(),
        folder: RunFolder::new(folder.clone(), sink.clone()),
        recordings: Vec::new(),
        cancel: CancellationToken::new(),
        verdict: shakedown_reports::verdict,
    };
    let exit = shakedown_runner::run(request).await.exit;
    let ledger = sink.ledger();
    assert_eq!(ledger.end.as_ref().unwrap().0, exit);
    let mut results = None;
    shakedown_reports::render_all(&ledger, &shakedown_reports::Extras::default(), &mut |name, bytes| {
        if name == "results.json" {
            results = Some(serde_json::from_slice(bytes).unwrap());
        }
    });
    Run { folder, ledger, results }
}
