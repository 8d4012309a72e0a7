//! Many at once: sessions beside labgrid's, and consoles at full rate.

use std::time::Instant;

use anyhow::bail;

use super::{Bench, console_text, number, ratio, until};
use crate::shell::{Background, line, root};

const SESSIONS: usize = 50;
const COMMANDS: usize = 100;
/// MiB that so many sessions may take.
const MEMORY: f64 = 60.0;
/// How many times faster than labgrid's is asked.
const FASTER: f64 = 15.0;

const CONSOLES: usize = 200;
/// A line of 115200 baud with 8 data bits, a start and a stop bit.
const BYTES_A_SECOND: u64 = 11_520;
/// How long they talk.
const SECONDS: u64 = 30;

impl Bench {
    /// Each session is one bash behind a socat of its own, the same for both; labgrid's is one process each, as
    /// one `pytest` a slot is.
    pub(super) fn console_sessions(&self) -> anyhow::Result<()> {
        let bash = self.bash()?;
        let count = COMMANDS.to_string();
        let duts = self.duts(&bash)?;
        let mut argv = vec!["sessions", count.as_str()];
        argv.extend(duts.iter().map(|(_, link)| link.as_str()));
        let ours = timed(|| Self::ours(&argv))?;
        drop(duts);
        let duts = self.duts(&bash)?;
        let each = duts.iter().map(|(_, link)| ["shell", link.as_str(), count.as_str()]);
        let theirs = self.peers(each)?;
        told("on consoles", ours, theirs);
        Ok(())
    }

    fn duts(&self, program: &str) -> anyhow::Result<Vec<(Background, String)>> {
        let links: Vec<_> = (0..SESSIONS).map(|index| self.folder.join(format!("pty-{index}"))).collect();
        println!("$ {SESSIONS} times: socat PTY {program} &");
        let started: anyhow::Result<Vec<_>> = links.iter().map(|link| self.socat(link, program)).collect();
        let started = started?;
        for link in &links {
            until("a terminal", || link.exists())?;
        }
        Ok(started.into_iter().zip(links.iter().map(|link| link.display().to_string())).collect())
    }

    /// labgrid's processes, all at once: the seconds until the last has ended.
    fn peers<'a, const N: usize>(&self, each: impl Iterator<Item = [&'a str; N]>) -> anyhow::Result<f64> {
        self.python();
        let began = Instant::now();
        std::thread::scope(|scope| {
            let all: Vec<_> = each.map(|argv| scope.spawn(move || self.labgrid(&argv))).collect();
            all.into_iter().try_for_each(|one| match one.join() {
                Ok(came) => came.map(drop),
                Err(_) => bail!("the thread of one of labgrid's sessions panicked"),
            })
        })?;
        Ok(began.elapsed().as_secs_f64())
    }

    /// Another process talks on pseudo-terminals and drops what these do not take at its time; what was
    /// recorded is compared with what was said.
    pub(super) fn consoles(&self) -> anyhow::Result<()> {
        let folder = self.folder.join("consoles");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let text = console_text(BYTES_A_SECOND * SECONDS);
        let feed = folder.join("feed");
        std::fs::write(&feed, &text)?;
        let script = root().join("harness/xtask/bench/feed_consoles.py").display().to_string();
        let (count, rate) = (CONSOLES.to_string(), BYTES_A_SECOND.to_string());
        let (said, log) = (folder.display().to_string(), folder.join("feeder.log"));
        let cores = std::thread::available_parallelism()?.get();
        let other = if cores > 1 { "1" } else { "0" };
        let feeder = line(["taskset", "-c", other, "python3", &script, &count, &rate])
            .arg(&feed)
            .arg(&folder)
            .background(&log)?;
        let ports = folder.join("ports");
        until("the feeder's terminals", || ports.exists())?;
        let ports = std::fs::read_to_string(ports)?;
        let bytes = (head(0).len() + text.len()).to_string();
        // Each console has five descriptors: the port twice, and three files.
        let ours = Self::shakedown().display().to_string();
        let argv =
            ["prlimit", "--nofile=4096", "taskset", "-c", "0", &ours, "bench", "consoles", &said, &bytes];
        let came = line(argv.into_iter().chain(ports.lines())).read()?;
        std::fs::write(folder.join("done"), "")?;
        feeder.join()?;
        let not_taken = number(&std::fs::read_to_string(&log)?)?;
        let came: Vec<_> = came.split_whitespace().map(number).collect::<Result<_, _>>()?;
        let [cpu, took, peak] = came[..] else { bail!("expected three numbers, got {came:?}") };
        for console in 0..CONSOLES {
            let recorded = std::fs::read(folder.join(console.to_string()).join("console.log"))?;
            let expected = [head(console).as_bytes(), &text].concat();
            if recorded != expected {
                let same = recorded.iter().zip(&expected).take_while(|(got, said)| got == said).count();
                bail!(
                    "console {console} said {} bytes, {} were recorded, the first {same} right; {not_taken} bytes were \
                     not taken in time on all consoles together",
                    expected.len(),
                    recorded.len()
                );
            }
        }
        println!(
            "{CONSOLES} consoles at 115200 baud for {took:.1} s on one core: no byte lost; {cpu:.2} s of CPU ({:.0} %), \
             {peak:.1} MiB",
            100.0 * cpu / took
        );
        std::fs::remove_dir_all(&folder)?;
        Ok(())
    }
}

/// What each console says first.
fn head(console: usize) -> String {
    format!("console {console:03}\r\n")
}

/// What it came to, and the seconds that it took.
fn timed(work: impl FnOnce() -> anyhow::Result<f64>) -> anyhow::Result<(f64, f64)> {
    let began = Instant::now();
    let came = work()?;
    Ok((came, began.elapsed().as_secs_f64()))
}

fn told(what: &str, (peak, ours): (f64, f64), theirs: f64) {
    ratio(&format!("{SESSIONS} sessions {what}, {COMMANDS} commands each"), "s", ours, theirs, Some(FASTER));
    let verdict = if peak <= MEMORY { "met" } else { "MISSED" };
    println!("  the most memory that ours had in use: {peak:.1} MiB (asked {MEMORY} MiB: {verdict})");
}
