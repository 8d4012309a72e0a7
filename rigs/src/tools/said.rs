//! What a tool prints: kept as bytes, read line by line.

use std::fs::File;
use std::io::{self, Write};

use shakedown_conf::Pattern;
use shakedown_console::{Capture, clean};
use shakedown_host::LineCutter;

use super::ToolDoc;
use super::known::known;
use crate::wiring::WiringProblem;

/// Of a line that is shown to a person.
const SHOWN: usize = 300;

/// The patterns of a tool's lines.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    done: Capture,
    failed: Vec<Capture>,
    progress: Option<Capture>,
    /// The first of them as it is written, for people.
    pub(super) wanted: String,
}

impl Lines {
    /// A regex of the rig file, found anywhere in a line.
    pub(super) fn pattern(field: &str, pattern: &Pattern) -> Result<Capture, WiringProblem> {
        Capture::compile(&format!("({pattern})")).map_err(|error| WiringProblem::new(field, error.what))
    }

    pub(super) fn compile(name: &str, doc: &ToolDoc) -> Result<Self, WiringProblem> {
        let known = known(name);
        let ours = |field: &str, text: &str| {
            Capture::compile(text).map_err(|error| WiringProblem::new(field, error.what))
        };
        let wanted = doc.done.as_ref().map(ToString::to_string).or(known.done.map(str::to_owned));
        let Some(wanted) = wanted else {
            let what =
                format!("what {name} says when it did its work is not known: its exit code is no proof");
            return Err(WiringProblem::new("done", what));
        };
        let mut failed = Vec::new();
        for text in known.failed {
            failed.push(ours("failed", &format!("({text})"))?);
        }
        for (index, pattern) in doc.failed.iter().enumerate() {
            failed.push(Self::pattern(&format!("failed[{index}]"), pattern)?);
        }
        let progress = match (&doc.progress, known.progress) {
            (Some(pattern), _) => Some(ours("progress", &pattern.to_string())?),
            (None, Some(text)) => Some(ours("progress", text)?),
            (None, None) => None,
        };
        Ok(Self { done: ours("done", &format!("({wanted})"))?, failed, progress, wanted })
    }
}

/// What came of a tool so far.
pub(super) struct Said {
    lines: Lines,
    log: File,
    /// The first error of the log file.
    pub(super) broken: Option<io::Error>,
    open: [LineCutter; 2],
    /// Its own word that it did its work.
    pub(super) done: Option<String>,
    /// The first line that means that it did not.
    pub(super) failed: Option<String>,
    /// The last line that holds anything.
    pub(super) last: String,
    percent: Option<u64>,
}

impl Said {
    pub(super) fn new(lines: Lines, log: File) -> Self {
        let open = <[LineCutter; 2]>::default();
        let last = String::new();
        Self { lines, log, broken: None, open, done: None, failed: None, last, percent: None }
    }

    /// Takes what came; how far it is now, when that is news. Tools draw bars with carriage returns.
    pub(super) fn take(&mut self, second: bool, bytes: &[u8]) -> Option<u64> {
        if let Err(error) = self.log.write_all(bytes) {
            self.broken.get_or_insert(error);
        }
        let mut open = std::mem::take(&mut self.open[usize::from(second)]);
        let mut news = None;
        open.cut(bytes, b"\n\r", |line| news = self.line(line).or(news));
        self.open[usize::from(second)] = open;
        news
    }

    /// The lines that no line break ended.
    pub(super) fn end(&mut self) {
        for mut open in std::mem::take(&mut self.open) {
            self.line(&open.end());
        }
    }

    fn line(&mut self, bytes: &[u8]) -> Option<u64> {
        let line = clean(bytes);
        let line = line.trim_ascii();
        if line.is_empty() {
            return None;
        }
        let text: String = String::from_utf8_lossy(line).chars().take(SHOWN).collect();
        if self.lines.failed.iter().any(|failed| failed.first(line).is_some()) {
            self.failed.get_or_insert_with(|| text.clone());
        }
        if self.lines.done.first(line).is_some() {
            self.done = Some(text.clone());
        }
        self.last = text;
        let percent = self.lines.progress.as_ref().and_then(|progress| progress.first(line));
        let percent = percent.and_then(|digits| std::str::from_utf8(&digits).ok()?.parse().ok());
        let news = percent.filter(|percent| *percent <= 100 && self.percent != Some(*percent));
        self.percent = news.or(self.percent);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As their users published them.
    const RPIBOOT: &[u8] = b"RPIBOOT: build-date Jan  6 2023 version 20221215~105525 e4819de4\nWaiting for \
        BCM2835/6/7/2711...\nSending bootcode.bin\nSuccessful read 4 bytes \nSecond stage boot server\n\
        Cannot open file config.txt\nFile read: start4.elf\nSecond stage boot server done\n";
    const UUU: &[u8] = b"uuu (Universal Update Utility) for nxp imx chips -- libuuu_1.5.201-0-g727fc2b\n\
        1:16>Start Cmd:FB: flash -raw2sparse all image\n\x1b[93m\r3%\x1b[0m\x1b[93m\r57%\x1b[0m\n\
        \x1b[32m1:16>Okay (0.53s)\x1b[0m\n1:16>Start Cmd:FB: done\n\x1b[32m1:16>Okay (0s)\x1b[0m\n";
    const UUU_FAILED: &[u8] =
        b"1:16>Start Cmd:SDPS: boot -f flash.bin\n\x1b[91m1:16>Fail LIBUSB_ERROR_TIMEOUT(5s)\
        \x1b[0m\n";
    const TEGRA: &[u8] = b"[ 1237.8520 ] Coldbooting the device\n[...........] 100%\n\
        *** The target t186ref has been flashed successfully. ***\nReset the board to boot from internal eMMC.\n";
    const INITRD: &[u8] =
        b"Writing /mnt/external/system.img (7 bytes) into /dev/sda2\nFlash is successful\nReboot device";

    const RCM: &[u8] = b"[   0.3929 ] Sending blob\n[   4.3174 ] RCM-boot started\n\n";

    fn doc() -> ToolDoc {
        serde_yaml::from_str("{ run: [x], version: { run: [x], is: '1' } }").unwrap()
    }

    fn read(name: &str, text: &[u8], size: usize) -> (Option<String>, Option<String>, Vec<u64>) {
        let lines = Lines::compile(name, &doc()).unwrap();
        let mut said = Said::new(lines, tempfile::tempfile().unwrap());
        let mut far = Vec::new();
        for chunk in text.chunks(size) {
            far.extend(said.take(false, chunk));
        }
        said.end();
        assert!(said.broken.is_none());
        (said.done, said.failed, far)
    }

    #[test]
    fn what_the_tools_say_is_read_however_it_is_cut() {
        let done = |text: &str| (Some(text.to_owned()), None);
        for (name, text, want, percents) in [
            ("rpiboot", RPIBOOT, done("Second stage boot server done"), vec![]),
            ("uuu", UUU, done("1:16>Start Cmd:FB: done"), vec![3, 57]),
            ("uuu", b"\rSuccess 1    Failure 0   \n\n".as_slice(), done("Success 1    Failure 0"), vec![]),
            ("uuu", UUU_FAILED, (None, Some("1:16>Fail LIBUSB_ERROR_TIMEOUT(5s)".into())), vec![]),
            ("uuu", b"Success 0    Failure 1", (None, Some("Success 0    Failure 1".into())), vec![]),
            ("tegra", TEGRA, done("*** The target t186ref has been flashed successfully. ***"), vec![100]),
            ("tegra", INITRD, done("Flash is successful"), vec![]),
            ("tegra", RCM, (None, None), vec![]),
            ("tegra-rcm", RCM, done("[   4.3174 ] RCM-boot started"), vec![]),
            ("tegra-rcm", b"Error: Return value 8\n", (None, Some("Error: Return value 8".into())), vec![]),
            ("tegra", b"Failed flashing t186ref.\n", (None, Some("Failed flashing t186ref.".into())), vec![]),
        ] {
            for size in [1, 7, 4096] {
                let (done, failed, far) = read(name, text, size);
                assert_eq!((done, failed), want, "{name} in chunks of {size}");
                if size == 4096 {
                    // Only the last news of a chunk is told.
                    assert!(percents.ends_with(&far), "{far:?}");
                } else if size == 1 {
                    assert_eq!(far, percents, "{name}");
                }
            }
        }
    }
}
