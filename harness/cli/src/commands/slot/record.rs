//! `shakedown record`: a boot of a slot as a recording, with what came of it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use shakedown_boards::{Catalogue, boot_spec};
use shakedown_conf::Span;
use shakedown_console::{
    BootMachine, BootSpecFile, Expectation, Expected, Health, Recorder, Recording, RecordingHead, replay,
};
use shakedown_core::{
    BootSpec, Chunk, Clock, ExitCode, Fault, InfraKind, Mark, Mono, RealClock, Resets, Seen, Tap,
};
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::mpsc;

use super::{WORK, Which, on_runtime, show, unexpected};
use crate::commands::replay as shown;
use crate::compose::reference;
use crate::keeper::client::{Caller, Link};
use crate::keeper::wire::{self, Ask, Frame, Reply, Say, Switch};
use crate::say::err;
use crate::{CliError, CliResult};

/// Bytes that come within this are one event: a serial line gives them by the handful.
const JOINED: Duration = Duration::from_millis(1);
/// Between two looks at the time while nothing is said.
const LOOK: Duration = Duration::from_millis(50);
/// The stages by which a folder's recordings are judged.
const SPEC: &str = "boot.spec.json";

/// `shakedown record`.
#[derive(clap::Args, Debug)]
pub(in crate::commands) struct Args {
    #[command(flatten)]
    which: Which,
    /// Where it goes: NAME.cast, an asciicast. NAME.expect.json is written beside it and, where the
    /// folder has none, boot.spec.json with the board's stages.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Which console, by its name in the rig file.
    #[arg(long, value_name = "NAME", default_value = "main")]
    console: String,
    /// The OS profile whose stages follow the board's.
    #[arg(long, value_name = "ID", default_value = reference::PROFILE)]
    os: String,
    /// The longest wait for the last stage that a console shows, or for a failure.
    #[arg(long, value_name = "TIME", default_value = "10min")]
    limit: Span,
    /// How long it goes on after that.
    #[arg(long, value_name = "TIME", default_value = "2s")]
    after: Span,
    /// What the recording shows and how it was made, for whoever reads it later.
    #[arg(long, value_name = "TEXT")]
    about: Option<String>,
}

pub(in crate::commands) fn run(paths: &[PathBuf], args: &Args) -> CliResult {
    let (rig, slot) = args.which.find()?;
    let catalogue = Catalogue::with_paths(paths)?;
    let doc = &rig.doc.value.slots[&slot];
    let board = rig.board(&catalogue, &slot, doc)?;
    let mut spec = boot_spec(&board, &*catalogue.profile(&args.os)?);
    spec.stages.retain(|stage| matches!(stage.seen, Seen::Console(_)));
    let expectation = args.to.with_extension("expect.json");
    if args.to.extension().is_none_or(|end| end != "cast") {
        let what = format!("{}: expected a file NAME.cast", args.to.display());
        return Err(CliError::refused(what));
    }
    for file in [&args.to, &expectation] {
        if file.exists() {
            let what = format!("{} is there already", file.display());
            return Err(CliError::refused(what).hint("a recording is never written over: name another file"));
        }
    }
    if let Some(folder) = args.to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let title = format!("{}, {}", board.slug, args.console);
    let ended = on_runtime(paths, &rig, "ending the recording", async |caller| {
        held(caller, slot, args, &spec, &title).await
    })?;
    if ended == Ended::Interrupted {
        err!("{}: interrupted; nothing is expected of it", args.to.display());
        return Ok(ExitCode::Interrupted);
    }
    expect(args, &spec, &expectation)?;
    shown::run(paths, &shown::Args { file: args.to.clone(), board: board.slug.clone(), os: args.os.clone() })
}

/// How a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// As it should: the outcome is known, the limit is over, or the line was closed.
    Whole,
    /// By the person.
    Interrupted,
}

/// Records with the slot held, which makes it safe however the recording ends.
async fn held(
    caller: Caller<'_>,
    slot: String,
    args: &Args,
    spec: &BootSpec,
    title: &str,
) -> CliResult<Ended> {
    let mut hold = caller.ask(Ask::Hold { slot: slot.clone() }).await?;
    let handles = match hold.reply(&caller.wait("the keeper's answer", WORK)).await? {
        Reply::Held(handles) => handles,
        reply => return Err(unexpected(&reply)),
    };
    let inside = caller.inside(&handles.hold);
    let ended = boot(&inside, &handles.slot, &slot, args, spec, title).await;
    // Interrupted or not: the slot is given back in order.
    let quiet = Caller::new(caller.rig, caller.paths, tokio_util::sync::CancellationToken::new());
    hold.say(Say::GiveBack).await?;
    match hold.reply(&quiet.wait("the slot to be safe", WORK)).await? {
        Reply::Proofs(proofs) => show(&handles.slot, &proofs),
        reply => return Err(unexpected(&reply)),
    }
    ended
}

/// From off to on, and up.
async fn boot(
    caller: &Caller<'_>,
    id: &str,
    slot: &str,
    args: &Args,
    spec: &BootSpec,
    title: &str,
) -> CliResult<Ended> {
    let ask = Ask::Console { slot: slot.to_owned(), console: args.console.clone(), tail: 0 };
    let mut link = caller.ask(ask).await?;
    match link.reply(&caller.wait("the keeper's answer", WORK)).await? {
        Reply::Console { .. } => {}
        reply => return Err(unexpected(&reply)),
    }
    let clock: Arc<dyn Clock> = RealClock::start();
    let (mut heard, _line) = listen(link, &clock);
    switch(caller, id, slot, Switch::Off).await?;
    // What was said while it still had power is no part of this boot.
    while heard.try_recv().is_ok() {}
    let mut tape = Tape::new(&args.to, title, &clock, spec)?;
    switch(caller, id, slot, Switch::On).await?;
    let limit = clock.now() + args.limit.get();
    let mut until = limit;
    loop {
        tokio::select! {
            () = caller.cancel.cancelled() => {
                tape.end()?;
                return Ok(Ended::Interrupted);
            }
            said = heard.recv() => match said {
                Some((at, Frame::Bytes(bytes))) => tape.add(at, &bytes),
                Some((at, frame)) => match frame.parse::<Reply>() {
                    // The line was closed: by a machine that is off, or an adapter that is gone.
                    Ok(Reply::Note(note)) => {
                        err!("{id}: {note}");
                        tape.note(at, note);
                        until = until.min(clock.now() + args.after.get());
                    }
                    Ok(reply) => return Err(unexpected(&reply)),
                    Err(error) => return Err(error.into()),
                },
                None => return Err(CliError::infra("the keeper is gone, and the console with it")),
            },
            () = clock.sleep_until((clock.now() + LOOK).min(until)) => {}
        }
        tape.tick(clock.now());
        if tape.is_known() && until == limit {
            until = limit.min(clock.now() + args.after.get());
        }
        if clock.now() >= until {
            break;
        }
    }
    tape.end()?;
    Ok(Ended::Whole)
}

async fn switch(caller: &Caller<'_>, id: &str, slot: &str, to: Switch) -> CliResult<()> {
    let ask = Ask::Switch { slot: slot.to_owned(), output: "power".to_owned(), to };
    match caller.ask(ask).await?.reply(&caller.wait("the keeper's answer", WORK)).await? {
        Reply::Proofs(proofs) => show(id, &proofs),
        reply => return Err(unexpected(&reply)),
    }
    Ok(())
}

/// What the keeper says, stamped as it comes. Our side of the line is to be kept: closing it ends the console.
fn listen(link: Link, clock: &Arc<dyn Clock>) -> (mpsc::UnboundedReceiver<(Mono, Frame)>, OwnedWriteHalf) {
    let (mut from, to) = link.split();
    let (frames, heard) = mpsc::unbounded_channel();
    let clock = clock.clone();
    tokio::spawn(async move {
        while let Ok(Some(frame)) = wire::read(&mut from).await {
            if frames.send((clock.now(), frame)).is_err() {
                break;
            }
        }
    });
    (heard, to)
}

/// The recording while it is made. Its time begins with power-on.
struct Tape {
    recorder: Recorder,
    health: Health,
    file: PathBuf,
    began: Mono,
    open: Option<(Mono, Vec<u8>)>,
    end: u64,
    machine: BootMachine,
    known: bool,
}

impl Tape {
    fn new(file: &Path, title: &str, clock: &Arc<dyn Clock>, spec: &BootSpec) -> CliResult<Self> {
        let out = File::create_new(file).map_err(|error| {
            CliError::refused(format!("cannot make the recording {}: {error}", file.display()))
        })?;
        let head = RecordingHead { wall: clock.wall(), title: title.to_owned(), width: 100, height: 30 };
        let (mut recorder, health) = Recorder::new(&head, io::sink(), io::sink(), out);
        recorder.mark(Mono(0), 0, &Mark::PowerOn);
        let machine = BootMachine::new(spec, Mono(0), 1.0).map_err(CliError::refused)?;
        Ok(Self {
            recorder,
            health,
            file: file.to_owned(),
            began: clock.now(),
            open: None,
            end: 0,
            machine,
            known: false,
        })
    }

    fn since(&self, at: Mono) -> Mono {
        Mono(at.0.saturating_sub(self.began.0))
    }

    fn add(&mut self, at: Mono, bytes: &[u8]) {
        let at = self.since(at);
        if self.open.as_ref().is_some_and(|(first, _)| at.since(*first) >= JOINED) {
            self.flush();
        }
        self.open.get_or_insert_with(|| (at, Vec::new())).1.extend_from_slice(bytes);
    }

    fn note(&mut self, at: Mono, note: String) {
        self.flush();
        self.recorder.mark(self.since(at), self.end, &Mark::Note(note));
    }

    /// One event of the recording.
    fn flush(&mut self) {
        let Some((at, bytes)) = self.open.take() else { return };
        let chunk = Chunk { at, off: self.end, bytes: bytes.into() };
        self.end = chunk.end();
        self.recorder.chunk(&chunk);
        let mut steps = Vec::new();
        self.machine.feed(&chunk, 1.0, &mut steps);
    }

    fn tick(&mut self, now: Mono) {
        let now = self.since(now);
        if self.open.as_ref().is_some_and(|(first, _)| now.since(*first) >= JOINED) {
            self.flush();
        }
        self.machine.tick(now, 1.0, &mut Vec::new());
        self.known = self.machine.wake_at(1.0).is_none();
    }

    /// Whether it came up, or failed.
    fn is_known(&self) -> bool {
        self.known
    }

    fn end(mut self) -> CliResult<()> {
        self.flush();
        drop(self.recorder);
        match self.health.troubles().into_iter().find(|trouble| trouble.file == "console.cast") {
            None => Ok(()),
            Some(trouble) => {
                let fault = Fault::new(InfraKind::Host, "recorder", "write", self.file.display().to_string());
                Err(fault.expected("room for the recording", trouble.why).into())
            }
        }
    }
}

/// Reads the recording back, and writes down what came of it.
fn expect(args: &Args, spec: &BootSpec, expectation: &Path) -> CliResult<()> {
    let wrong = |file: &Path, error: &dyn std::fmt::Display| {
        CliError::refused(format!("{}: {error}", file.display()))
    };
    let recording = Recording::from_cast(File::open(&args.to)?).map_err(|error| wrong(&args.to, &error))?;
    let file = args.to.with_file_name(SPEC);
    let mine = pretty(&BootSpecFile::of(spec))?;
    if !file.exists() {
        std::fs::write(&file, &mine)?;
    }
    let text = std::fs::read_to_string(&file)?;
    if text != mine {
        err!("{} has other stages than the board has now: what is expected goes by it", file.display());
    }
    let spec = BootSpecFile::parse(&text).map_err(|error| wrong(&file, &error))?;
    let outcome = replay(&spec, &Resets::default(), recording.start(), &recording.chunks)
        .map_err(|error| wrong(&file, &error))?;
    let document = Expectation {
        about: args.about.clone().unwrap_or_default(),
        spec: SPEC.to_owned(),
        up_to: 0,
        bad: Vec::new(),
        expect: Expected::of(&outcome, &spec).map_err(|error| wrong(&file, &error))?,
    };
    Ok(std::fs::write(expectation, pretty(&document)?)?)
}

fn pretty(document: &impl serde::Serialize) -> CliResult<String> {
    serde_json::to_string_pretty(document)
        .map(|text| text + "\n")
        .map_err(|error| CliError::infra(format!("cannot write a document: {error}")))
}
