//! Side by side with the peers in the same run: only ratios are claimed.
//!
//! Peers: labgrid from PyPI in a virtual environment of its own, bmaptool from Debian.

mod many;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::packages;
use crate::shell::{Background, cargo, line, root, target_dir};

/// What ends the feed.
const END: &str = "THE-END-OF-FEED";

/// `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this comparison.
    #[arg(long, value_enum)]
    only: Option<Which>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    /// One expect over 10 and 50 MB of console.
    Expect,
    /// Shell round trips on a PTY.
    Shell,
    /// Writing a 2 GiB image with 300 MiB of data to a file, read back and compared.
    Write,
    /// Writing an image again of which 1 % has changed: whole, and as a delta.
    Delta,
    /// 50 sessions at once, 100 commands each, on consoles.
    Sessions,
    /// 200 consoles at full rate, recorded on one core.
    Consoles,
    /// How long the command line takes to start.
    Start,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    packages::install(&[
        packages::BUILD,
        &["socat", "bmap-tools", "fdisk", "python3", "python3-venv", "python3-dev"],
        &["util-linux"],
    ])?;
    cargo(["build", "--release", "--package", "shakedown"]).run()?;
    let bench = Bench { folder: target_dir().join("xtask/bench") };
    std::fs::create_dir_all(&bench.folder)?;
    let wanted = |which| args.only.is_none_or(|only| only == which);
    if wanted(Which::Start) {
        Bench::start()?;
    }
    if wanted(Which::Shell) {
        bench.shell()?;
    }
    if wanted(Which::Sessions) {
        bench.console_sessions()?;
    }
    if wanted(Which::Consoles) {
        bench.consoles()?;
    }
    if wanted(Which::Write) {
        bench.write()?;
    }
    if wanted(Which::Delta) {
        bench.delta()?;
    }
    if wanted(Which::Expect) {
        bench.expect(10)?;
        bench.expect(50)?;
    }
    Ok(())
}

struct Bench {
    folder: PathBuf,
}

impl Bench {
    fn shakedown() -> PathBuf {
        target_dir().join("release/shakedown")
    }

    /// Ours by its hidden command; one number.
    fn ours(args: &[&str]) -> anyhow::Result<f64> {
        let shakedown = Self::shakedown().display().to_string();
        number(&line([shakedown.as_str(), "bench"].iter().chain(args)).read()?)
    }

    /// labgrid's Python; installed at the first call.
    fn python(&self) -> PathBuf {
        let wanted = include_str!("../bench/labgrid.txt");
        shakedown_pinned::programs(&self.folder, "labgrid", wanted).join("python")
    }

    fn labgrid(&self, args: &[&str]) -> anyhow::Result<f64> {
        let script = root().join("harness/xtask/bench/labgrid_peer.py").display().to_string();
        let python = self.python().display().to_string();
        number(&line([python.as_str(), script.as_str()].iter().chain(args)).read()?)
    }

    /// A PTY whose other side is this program.
    fn terminal(&self, program: &str) -> anyhow::Result<(Background, PathBuf)> {
        let link = self.folder.join("pty");
        let socat = self.socat(&link, program)?;
        until("a terminal of socat", || link.exists())?;
        Ok((socat, link))
    }

    /// Begins to make one at `link`.
    fn socat(&self, link: &Path, program: &str) -> anyhow::Result<Background> {
        if link.is_symlink() {
            std::fs::remove_file(link)?;
        }
        let pty = format!("PTY,link={},raw,echo=0,wait-slave", link.display());
        line(["socat", "-b", "65536", &pty, program]).background(&self.folder.join("socat.log"))
    }

    /// A shell that prompts like a DUT, for socat.
    fn bash(&self) -> anyhow::Result<String> {
        let rc = self.folder.join("dutrc");
        std::fs::write(&rc, "PS1='root@dut:~# '; PROMPT_COMMAND=; export TERM=dumb\n")?;
        Ok(format!("EXEC:bash --noprofile --rcfile {} -i,pty,setsid,ctty,stderr", rc.display()))
    }

    fn expect(&self, megabytes: u64) -> anyhow::Result<()> {
        let feed = self.folder.join(format!("feed-{megabytes}"));
        if !feed.exists() {
            std::fs::write(&feed, console_text(megabytes * 1_000_000))?;
        }
        // The feeder stays a moment, so that the last bytes are read before the hang-up.
        let feeder = format!("SYSTEM:cat {} && sleep 5", feed.display());
        let on = |work: &dyn Fn(&str) -> anyhow::Result<f64>| {
            let (_socat, link) = self.terminal(&feeder)?;
            work(&link.display().to_string())
        };
        let ours = on(&|link| Self::ours(&["expect", link, END]))?;
        let theirs = on(&|link| self.labgrid(&["expect", link, END]))?;
        ratio(
            &format!("one expect over {megabytes} MB, CPU"),
            "s",
            ours,
            theirs,
            (megabytes >= 50).then_some(100.0),
        );
        Ok(())
    }

    fn shell(&self) -> anyhow::Result<()> {
        let ours = Self::ours(&["shell", "200"])?;
        let (_socat, link) = self.terminal(&self.bash()?)?;
        let theirs = self.labgrid(&["shell", &link.display().to_string(), "200"])?;
        ratio("shell round trip on a PTY, p50", "ms", ours, theirs, Some(5.0));
        Ok(())
    }

    fn write(&self) -> anyhow::Result<()> {
        let image = self.folder.join("sd.img");
        let name = image.display().to_string();
        if !image.exists() {
            let make = format!(
                "truncate -s 2G {name} && for i in $(seq 0 29); do dd if=/dev/urandom of={name} bs=1M count=10 \
                 seek=$((i * 64)) conv=notrunc status=none; done && printf 'label: gpt\\n,1900M\\n' \
                 | sfdisk -q --wipe always {name} && bmaptool create -o {name}.map {name}"
            );
            line(["bash", "-c", &make]).run()?;
        }
        let out = self.folder.join("out.img").display().to_string();
        let map = format!("{name}.map");
        let (mut ours, mut theirs, mut identified) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..5 {
            let time = |argv: &[&str]| -> anyhow::Result<(f64, String)> {
                if Path::new(&out).exists() {
                    std::fs::remove_file(&out)?;
                }
                line(["sync"]).read()?;
                let began = Instant::now();
                let said = line(argv).read()?;
                Ok((began.elapsed().as_secs_f64(), said))
            };
            theirs.push(time(&["bmaptool", "-q", "copy", "--bmap", &map, &name, &out])?.0);
            let shakedown = Self::shakedown().display().to_string();
            let (whole, said) = time(&[&shakedown, "bench", "write", &name, &out])?;
            let first = said.trim().parse::<f64>().context("the seconds of identifying")?;
            identified.push(first);
            ours.push(whole - first);
        }
        ratio(
            "2 GiB image with 300 MiB to a file; ours reads back and compares",
            "s",
            median(ours),
            median(theirs),
            // bmaptool reads nothing back; at most 1.2 times its time is asked.
            Some(1.0 / 1.2),
        );
        // Not a part of the copy: a run's name for the image, which bmaptool never has.
        println!("  before it, once a run, the image's own SHA-256: {:.2} s", median(identified));
        Ok(())
    }

    /// The peer is our own writer of the whole image: no peer of ours writes deltas.
    fn delta(&self) -> anyhow::Result<()> {
        let (shakedown, folder) = (Self::shakedown(), &self.folder);
        for (slow, what) in [(false, "a file"), (true, "a medium that reads 90 and writes 20 MB/s")] {
            let mut ours = line([&shakedown]).arg("bench").arg("delta").arg(folder).arg("256");
            if slow {
                ours = ours.arg("--slow");
            }
            let said = ours.read()?;
            let (whole, delta) = said.trim().split_once(' ').context("two numbers")?;
            ratio(
                &format!("256 MiB again with 1 % changed, to {what}: delta, and whole"),
                "s",
                number(delta)?,
                number(whole)?,
                slow.then_some(1.0 / 0.4),
            );
        }
        Ok(())
    }

    fn start() -> anyhow::Result<()> {
        let mut times = Vec::new();
        for _ in 0..20 {
            let began = Instant::now();
            line([Self::shakedown().as_os_str(), "--version".as_ref()]).read()?;
            times.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        println!("start of the command line: {:.1} ms (median of 20, asked 15 ms)", median(times));
        Ok(())
    }
}

/// `asked` is how many times better we mean to be; below 1 a peer that does less may be quicker.
fn ratio(what: &str, unit: &str, ours: f64, theirs: f64, asked: Option<f64>) {
    let ratio = theirs / ours.max(1e-6);
    let verdict = match asked {
        Some(asked) if ratio >= asked => format!(" (asked {asked:.2}x: met)"),
        Some(asked) => format!(" (asked {asked:.2}x: MISSED)"),
        None => String::new(),
    };
    println!("{what}: ours {ours:.3} {unit}, theirs {theirs:.3} {unit}, ratio {ratio:.2}x{verdict}");
}

/// Looks until it is so; nobody tells us.
fn until(what: &str, mut so: impl FnMut() -> bool) -> anyhow::Result<()> {
    let began = Instant::now();
    while !so() {
        if began.elapsed().as_secs() > 30 {
            bail!("30 s have passed without {what}");
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    Ok(())
}

fn number(text: &str) -> anyhow::Result<f64> {
    text.trim().parse().with_context(|| format!("expected a number, got {text:?}"))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Lines as a boot prints them, then [`END`].
fn console_text(bytes: u64) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes as usize + 200);
    let mut number = 0;
    while (text.len() as u64) < bytes {
        let line = format!(
            "[{number:>12.6}] systemd[1]: Started a unit with a line of typical length {number:08}.\r\n"
        );
        text.extend_from_slice(line.as_bytes());
        number += 1;
    }
    text.extend_from_slice(END.as_bytes());
    text.extend_from_slice(b"\r\n");
    text
}
