//! A boot over the network: the boot files off what was written, the boot loader's dialogue,
//! and the proof that it took them. Whatever starts the DUT later goes the same way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shakedown_console::{Finder, Patterns};
use shakedown_core::netboot::fill;
use shakedown_core::{
    BootFile, Came, Cursor, Deadline, Fault, Fetch, InfraKind, LoaderNet, Matcher, Medium, Mono, Netboot,
    Order, Rig, Serving, Sha, Side,
};
use shakedown_media::{FsError, Select};

use crate::dut::LiveDut;
use crate::provision::{ProvisionError, SWITCH, medium, to_side};
use crate::thread::on_thread;
use crate::tool::Copy;
use crate::waiting::Timed;

/// Kernels with everything built in have 40 MiB, initial file systems of installers some hundred.
const MOST: u64 = 1 << 30;
/// The placeholder of the server's address.
const SERVER: &str = "serverip";
/// Between two looks at what was taken.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What is served in a run, from the step that serves it on.
#[derive(Default)]
pub(crate) struct Net(Mutex<State>);

#[derive(Default)]
struct State {
    served: Option<Arc<Served>>,
    /// The boot that the procedure began: where on the console, and when; until somebody watches it.
    begun: Option<(Cursor, Mono)>,
    /// The last boot whose loader was told what to boot.
    told: Option<Cursor>,
}

/// Files that are served, and what the boot loader is told about them.
pub(crate) struct Served {
    how: Netboot,
    serving: Box<dyn Serving>,
    files: Vec<BootFile>,
    /// What stands for the placeholders.
    known: Vec<(&'static str, String)>,
}

impl Net {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn served(&self) -> Option<Arc<Served>> {
        self.state().served.clone()
    }

    /// Whether this DUT's boot loader is told what to boot.
    pub(crate) fn is_served(&self) -> bool {
        self.state().served.is_some()
    }

    /// The DUT was switched on for its boot loader.
    pub(crate) fn begin(&self, since: Cursor, at: Mono) {
        self.state().begun = Some((since, at));
    }

    /// The boot that was begun, once.
    pub(crate) fn take_begun(&self) -> Option<(Cursor, Mono)> {
        self.state().begun.take()
    }

    /// Who leads the boot loader in a boot that begins here; `None` where nobody has to any more.
    pub(crate) fn leads(&self, since: Cursor) -> Option<Arc<Served>> {
        let state = self.state();
        state.served.clone().filter(|_| state.told != Some(since))
    }
}

impl Served {
    /// Which requests there were; none is known of a server of somebody else's.
    fn fetches(&self) -> Vec<Fetch> {
        self.serving.fetches().unwrap_or_default()
    }

    fn fill(&self, text: &str) -> String {
        let known: Vec<_> = self.known.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fill(text, &known)
    }

    fn last_request(&self) -> String {
        let last = self.fetches().last().map(Fetch::to_string);
        last.unwrap_or_else(|| format!("nobody asked {}", self.serving.addr()))
    }
}

fn fault(op: &str) -> Fault {
    Fault::new(InfraKind::Network, "netboot", op, "the boot files")
}

/// Reads the files off the copy of the image, or off the main medium on the host's side, and serves them.
pub(crate) async fn serve(
    dut: &LiveDut,
    how: Netboot,
    copy: Option<&Copy>,
    within: Duration,
) -> Result<String, ProvisionError> {
    let Some(tftp) = dut.slot.tftp.clone() else {
        return Err(fault("serve")
            .expected("a slot that gives its DUT boot files", "one that does not")
            .into());
    };
    let known = known(dut, tftp.loader());
    if let Some(word) =
        how.words().into_iter().find(|word| *word != SERVER && !known.iter().any(|(name, _)| name == word))
    {
        return Err(fault("name what the boot loader is told of")
            .expected(format!("a slot whose network gives `{{{word}}}`"), "one that does not say it")
            .hint("let the boot loader ask for an address (`dhcp`), or say `loader` in the slot's `tftp`")
            .into());
    }
    let by = dut.wait("the boot files", within).at_rig_pace();
    let mut files = Vec::new();
    for (index, bytes) in read(dut, &how, copy, &by).await?.into_iter().enumerate() {
        let name = fill(&how.name(index), &[("hostname", &dut.identity.hostname)]);
        files.push(BootFile { name, bytes: bytes.into() });
    }
    let serving = tftp.serve(files.clone(), &by).await?;
    let told = |file: &BootFile| {
        format!("{} ({} bytes, SHA-256 {})", file.name, file.bytes.len(), Sha::of(&file.bytes).short())
    };
    let told: Vec<_> = files.iter().map(told).collect();
    let proof = format!("{} serves {}", serving.addr(), told.join(", "));
    let known = known.into_iter().chain([(SERVER, serving.addr().ip().to_string())]).collect();
    dut.net.state().served = Some(Arc::new(Served { how, serving, files, known }));
    Ok(proof)
}

/// What stands for the placeholders, but the server's address.
fn known(dut: &LiveDut, loader: Option<LoaderNet>) -> Vec<(&'static str, String)> {
    let mut known = vec![("hostname", dut.identity.hostname.clone()), ("uuid", dut.identity.uuid.clone())];
    if let Some(LoaderNet { address, netmask, gateway }) = loader {
        known.extend([("ipaddr", address.to_string()), ("netmask", netmask.to_string())]);
        known.extend(gateway.map(|gateway| ("gatewayip", gateway.to_string())));
    }
    known
}

async fn read(
    dut: &LiveDut,
    how: &Netboot,
    copy: Option<&Copy>,
    by: &Deadline,
) -> Result<Vec<Vec<u8>>, ProvisionError> {
    let mut wanted = Vec::new();
    for file in &how.files {
        let Some(label) = dut.profile.partitions.get(&file.role) else {
            let roles: Vec<_> = dut.profile.partitions.keys().map(String::as_str).collect();
            let what = format!("{file}: OS profile {} names no partition `{}`", dut.profile.id, file.role);
            return Err(ProvisionError::Refused(format!("{what}: expected one of {}", roles.join(", "))));
        };
        wanted.push((file.to_string(), Select::Label(label.clone()), file.path.clone()));
    }
    let medium: Box<dyn Medium> = if let Some(copy) = copy {
        Box::new(copy.open()?)
    } else {
        let storage = medium(dut)?;
        let by = dut.wait("the medium on the host's side", SWITCH).at_rig_pace();
        to_side(storage.as_ref(), Side::Host, &by).await?;
        storage.open(&by).await?
    };
    let mut medium = Timed { medium, waiting: dut.waiting.clone() };
    let work = move || -> Result<Vec<Vec<u8>>, ProvisionError> {
        let mut read = Vec::new();
        for (name, which, path) in wanted {
            let file =
                shakedown_media::read_file(&mut medium, &which, &path, MOST).map_err(
                    |error| match error {
                        FsError::Io { .. } => fault("read").because(&error).into(),
                        // The medium holds the image as proven: what is not there is not in the image.
                        error => ProvisionError::Refused(format!("the boot file {name}: {error}")),
                    },
                )?;
            if file.size == 0 || file.size > MOST {
                let what = format!("the boot file {name}: expected 1 to {MOST} bytes, got {}", file.size);
                return Err(ProvisionError::Refused(what));
            }
            read.push(file.bytes);
        }
        Ok(read)
    };
    on_thread("boot files", by, String::new, work).await?
}

/// The dialogue of the boot that the procedure began.
pub(crate) async fn dialogue(dut: &LiveDut, since: Cursor, within: Duration) -> Result<String, Fault> {
    let Some(served) = dut.net.served() else {
        return Err(fault("tell the boot loader of").expected("files that are served", "none"));
    };
    let by = dut.wait("the boot loader's dialogue", within);
    dut.waiting.on(tell(dut, &served, since, &by)).await.map(|(proof, _)| proof)
}

/// Tells the boot loader everything; what the answers were, and where the console is another's.
async fn tell(dut: &LiveDut, served: &Served, since: Cursor, by: &Deadline) -> Rig<(String, Cursor)> {
    // Behind the time that the board has to its kernel it counts nothing down any more.
    let stages = dut.slot.board.stages.iter().map(|stage| stage.within).sum();
    let count = by.child("the boot loader's countdown", stages);
    let mut prompt = dut.shells.interrupt(&dut.console, &served.how.loader, since, &count).await?;
    let mut answers = Vec::new();
    for order in served.how.orders() {
        match order {
            Order::Must(line) => drop(prompt.must(&served.fill(&line), by).await?),
            Order::Set { name, value } => prompt.set(&name, &served.fill(&value), by).await?,
            Order::Fetch { file, command, size } => {
                let command = served.fill(&command);
                prompt.must(&command, by).await.map_err(|fault| with_request(fault, served))?;
                let length = served.files.get(file).map_or(0, |file| file.bytes.len());
                let got = prompt.get("filesize", by).await?;
                // U-Boot tells lengths in hex.
                if usize::from_str_radix(&got, 16) != Ok(length) {
                    return Err(fault("have the boot loader take").expected(
                        format!("filesize={length:x} after `{command}`"),
                        format!("filesize={got}"),
                    ));
                }
                if let Some(name) = size {
                    prompt.set(&name, &got, by).await?;
                }
                answers.push(format!("`{command}`: {length} bytes"));
            }
            Order::Leave(line) => {
                let line = served.fill(&line);
                let left = prompt.leave(&line, by).await?;
                answers.push(format!("left by `{line}`"));
                dut.net.state().told = Some(since);
                return Ok((answers.join("; "), left));
            }
        }
    }
    Err(fault("boot").expected("a command that leaves the boot loader", "none"))
}

/// What the server saw of it tells a dead line from a wrong name.
fn with_request(mut fault: Fault, served: &Served) -> Fault {
    fault.causes.push(format!("the server's side: {}", served.last_request()));
    fault
}

/// Every file was taken to its last block.
pub(crate) async fn fetched(dut: &LiveDut, within: Duration) -> Result<String, Fault> {
    let Some(served) = dut.net.served() else {
        return Err(fault("see the end of").expected("files that are served", "none"));
    };
    if served.serving.fetches().is_none() {
        return Ok(format!(
            "{} is not ours and does not say; the boot loader has every file in its full length",
            served.serving.addr()
        ));
    }
    let by = dut.wait("the boot files to be taken", within).at_rig_pace();
    loop {
        let fetches = served.fetches();
        let taken = |file: &BootFile| {
            let whole = |fetch: &&Fetch| fetch.name == file.name && matches!(fetch.came, Came::Whole { .. });
            fetches.iter().rev().find(whole).map(Fetch::to_string)
        };
        let proofs: Vec<_> = served.files.iter().map(taken).collect();
        if let Some(all) = proofs.iter().cloned().collect::<Option<Vec<_>>>() {
            return Ok(all.join("; "));
        }
        let missing = proofs.iter().position(Option::is_none).and_then(|at| served.files.get(at));
        if let Err(stop) = dut.waiting.on(by.pause(LOOK_AGAIN, || served.last_request())).await {
            let name = missing.map_or("", |file| file.name.as_str());
            return Err(fault("see the end of")
                .expected(format!("`{name}` taken to its last block"), served.last_request())
                .stopped(stop));
        }
    }
}

/// Leads the boot loader through every boot from `since` on; ends only with a fault.
pub(crate) async fn lead(dut: &LiveDut, served: &Served, mut since: Cursor, by: &Deadline) -> Fault {
    loop {
        let led = async {
            counts_down(dut, served, since, by).await?;
            tell(dut, served, since, by).await
        };
        match led.await {
            Ok((_, left)) => since = left,
            Err(fault) => return fault,
        }
    }
}

/// Waits for the next countdown. None may come for as long as an OS takes to come up or to go down:
/// when that is too long, the boot's stages say so, and so this never ends without one.
async fn counts_down(dut: &LiveDut, served: &Served, since: Cursor, by: &Deadline) -> Rig<()> {
    let patterns = Patterns::compile(&[&served.how.loader.countdown])
        .map_err(|error| fault("see the countdown before").because(&error))?;
    let (mut cursor, mut finder) = (since, Finder::new(&patterns));
    match dut.console.log.expect(&mut cursor, &mut finder as &mut dyn Matcher, by).await {
        Ok(_) => Ok(()),
        Err(_) => std::future::pending().await,
    }
}
