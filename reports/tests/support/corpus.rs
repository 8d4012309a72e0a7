//! Writes journals as the runner would, on a clock of its own: the same bytes every time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use shakedown_core::event::{Better, Measure, Planned, RunHead};
use shakedown_core::{
    Blame, BootFailure, BootReport, CaseId, Effect, Event, Evidence, ExitCode, ImageRef, JournalWriter,
    Level, Mono, Outcome, Proof, SeenBy, Sha, StageTime,
};

/// The version of the format that this generator writes: files of older ones stay as they are.
pub const FORMAT: &str = "v1";

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A run that is being told.
pub struct Tale {
    writer: JournalWriter<Vec<u8>>,
    pub now: Mono,
    text: Vec<u8>,
    begun: Mono,
    boot_step: Mono,
}

/// What the reference OS says while it boots: stage, after, console line.
pub const STAGES: [(&str, u64, &str); 6] = [
    ("firmware", 812, "SeaBIOS (version 1.16.2-debian-1.16.2-1)"),
    ("bootloader", 2_104, "GNU GRUB  version 2.06-13+deb12u1"),
    ("kernel", 4_391, "[    0.000000] Linux version 6.1.0-26-amd64 (debian-kernel@lists.debian.org)"),
    ("userspace", 9_870, "[    5.312004] systemd[1]: systemd 252.31-1~deb12u1 running in system mode"),
    ("login", 15_633, "shakedown-reference 1.0.0 sd-5f3a91 ttyS0"),
    ("ready", 18_248, "ssh answers, engine healthy"),
];

impl Tale {
    pub fn new(run: &str) -> Self {
        let (now, begun, boot_step) = (Mono(0), Mono(0), Mono(0));
        Self { writer: JournalWriter::new(Vec::new(), run), now, text: Vec::new(), begun, boot_step }
    }

    pub fn say(&mut self, event: Event) -> &mut Self {
        let start: jiff::Timestamp = "2026-03-14T09:26:53Z".parse().expect("a time");
        let wall = start + jiff::SignedDuration::from_nanos(self.now.0 as i64);
        let (_, line) = self.writer.append(self.now, wall, event).expect("a Vec takes all");
        self.text.extend_from_slice(line.as_bytes());
        self.text.push(b'\n');
        self
    }

    pub fn wait(&mut self, millis: u64) -> &mut Self {
        self.now = self.now + ms(millis);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.text.clone()
    }

    /// Head and plan.
    pub fn begin(&mut self, plan: Vec<Planned>) -> &mut Self {
        self.say(Event::RunStarted(Box::new(head())));
        self.wait(14).say(Event::Planned { cases: plan })
    }

    pub fn step(&mut self, step: &str, millis: u64, proof: &str) -> &mut Self {
        self.say(Event::StepStarted { step: step.into() }).wait(millis);
        self.say(Event::StepEnded { step: step.into(), proof: proof.into(), took: ms(millis) })
    }

    /// Fetches, writes with progress, injects identity.
    pub fn provision(&mut self) -> &mut Self {
        self.step("check the slot", 212, "doctor: 6 of 6 checks passed");
        self.say(Event::StepStarted { step: "write image".into() });
        let total = 2_147_483_648;
        for tenth in 0..=10 {
            self.say(Event::Progress { step: "write image".into(), done: total / 10 * tenth, total })
                .wait(290);
        }
        self.say(Event::StepEnded {
            step: "write image".into(),
            proof: "read back 2.0 GiB (312 MiB of data, the rest holes), SHA-256 equal".into(),
            took: ms(3_190),
        });
        self.step("inject identity", 96, "config.json read back: hostname sd-5f3a91, 1 key")
    }

    pub fn power(&mut self, on: bool) -> &mut Self {
        let proof =
            Proof { output: "power".into(), on, seen: SeenBy::ReadBack(Level::from(on)), at: self.now };
        self.say(Event::Switched { proof })
    }

    /// The step that [`Tale::boot_fails`] ends.
    pub fn boot_begins(&mut self) -> &mut Self {
        self.boot_step = self.now;
        self.say(Event::StepStarted { step: "boot".into() }).power(true)
    }

    /// Reaches the first `many` stages; each takes `pace` times its usual time.
    pub fn stages(&mut self, how: &str, many: usize, pace: f64) -> Vec<StageTime> {
        self.begun = self.now;
        self.say(Event::BootStarted { how: how.into() });
        let mut reached = Vec::new();
        for (name, after, saw) in &STAGES[..many] {
            let after = ms((*after as f64 * pace) as u64);
            self.now = self.begun + after;
            let stage = StageTime { name: (*name).into(), after, at: self.now, saw: (*saw).into() };
            reached.push(stage.clone());
            self.say(Event::StageReached(stage));
        }
        reached
    }

    /// A boot that comes up.
    pub fn boots(&mut self, how: &str, pace: f64) -> &mut Self {
        let stages = self.stages(how, STAGES.len(), pace);
        for pair in stages.windows(2) {
            let seconds = pair[1].after.saturating_sub(pair[0].after).as_secs_f64();
            self.measure(None, &format!("boot.{}", pair[1].name), seconds, "s");
        }
        self.say(Event::BootEnded(BootReport { stages, pace, banners: 1 }))
    }

    /// Power on and the first boot, as the step `boot`.
    pub fn first_boot(&mut self) -> &mut Self {
        self.say(Event::StepStarted { step: "boot".into() }).power(true);
        let before = self.now;
        self.boots("power-on", 1.0);
        let took = self.now.since(before);
        self.say(Event::PaceChanged { factor: 1.34, why: "measured at boot".into() });
        self.say(Event::StepEnded {
            step: "boot".into(),
            proof: "reached ready: SSH let us in, the engine is healthy".into(),
            took,
        })
    }

    pub fn boot_fails(
        &mut self,
        failure: BootFailure,
        outcome: Outcome,
        blame: Blame,
        because: &str,
    ) -> &mut Self {
        let took = self.now.since(self.boot_step);
        self.say(Event::BootFailed(failure));
        let because = because.into();
        self.say(Event::StepFailed { step: "boot".into(), outcome, blame, because, took })
    }

    pub fn measure(&mut self, case: Option<&str>, name: &str, value: f64, unit: &str) -> &mut Self {
        let measure = Measure { name: name.into(), value, unit: unit.into(), better: Better::Lower };
        self.say(Event::Measured { case: case.map(|case| CaseId(case.into())), measure })
    }

    pub fn starts(&mut self, case: &str, attempt: u32) -> &mut Self {
        self.begun = self.now;
        self.say(Event::CaseStarted { case: CaseId(case.into()), attempt })
    }

    pub fn command(
        &mut self,
        case: &str,
        line: &str,
        millis: u64,
        ended: &str,
        out: &str,
        err: &str,
    ) -> &mut Self {
        self.wait(millis).say(Event::Evidence {
            case: Some(CaseId(case.into())),
            evidence: Evidence::Command {
                line: line.into(),
                by: "ssh".into(),
                ended: ended.into(),
                out: out.into(),
                err: err.into(),
                took: ms(millis),
            },
        })
    }

    pub fn ends(
        &mut self,
        case: &str,
        attempt: u32,
        outcome: Outcome,
        blame: Option<(Blame, &str)>,
        console: &[&str],
    ) -> &mut Self {
        let took = self.now.since(self.begun);
        self.say(Event::CaseEnded {
            case: CaseId(case.into()),
            attempt,
            outcome,
            blame: blame.map(|(blame, _)| blame),
            because: blame.map(|(_, because)| because.into()),
            took,
            console: console.iter().map(|line| (*line).into()).collect(),
        })
    }

    pub fn passes(&mut self, case: &Sketch) -> &mut Self {
        self.starts(case.id, 1);
        self.command(case.id, case.line, case.millis, "exit code 0", case.out, "");
        self.wait(2).ends(case.id, 1, Outcome::Pass, None, &[])
    }

    /// A case that was not run, by plan or because something before it failed.
    pub fn aside(&mut self, case: &str, outcome: Outcome) -> &mut Self {
        self.begun = self.now;
        self.ends(case, 1, outcome, None, &[])
    }

    pub fn saves(&mut self, path: &str, role: &str, size: u64) -> &mut Self {
        let sha256 = Sha::of(path.as_bytes());
        self.say(Event::Saved { path: path.into(), role: role.into(), size, sha256 })
    }

    /// Collects, switches off, saves, ends.
    pub fn finish(&mut self, exit: ExitCode, verdict: &str) -> Vec<u8> {
        self.step("collect evidence", 1_406, "journal 412 lines, engine log 61 lines");
        self.power(false);
        self.saves("console.log", "console", 48_213);
        self.saves("console.cast", "console", 71_940);
        self.saves("journal.txt", "journal", 52_008);
        let took = self.now.since(Mono(0));
        let waited = took.mul_f64(0.968);
        self.say(Event::RunEnded { exit, verdict: verdict.into(), took, waited });
        self.bytes()
    }
}

/// A case of the sample plan.
pub struct Sketch {
    pub id: &'static str,
    pub title: &'static str,
    pub effect: Effect,
    pub line: &'static str,
    pub out: &'static str,
    pub millis: u64,
}

const fn sketch(
    id: &'static str,
    title: &'static str,
    line: &'static str,
    out: &'static str,
    millis: u64,
) -> Sketch {
    Sketch { id, title, effect: Effect::ReadOnly, line, out, millis }
}

/// The cases that the sample runs are about.
pub const CASES: [Sketch; 12] = [
    sketch(
        "os::release::fields",
        "os-release names the OS, its version and the board's slug",
        "cat /etc/os-release",
        "ID=shakedown-reference\nVERSION_ID=1.0.0\nSLUG=generic-amd64\n",
        31,
    ),
    sketch(
        "os::release::issue",
        "The login banner carries the version of os-release",
        "cat /etc/issue",
        "shakedown-reference 1.0.0 \\n \\l\n",
        24,
    ),
    sketch(
        "os::root::read-only",
        "The root file system is mounted read-only and refuses a write",
        "touch /usr/probe",
        "touch: cannot touch '/usr/probe': Read-only file system\n",
        38,
    ),
    sketch(
        "os::root::fingerprint",
        "Every file of the root is as it was built",
        "fingerprint --check /",
        "14 206 files checked, 0 differ\n",
        2_913,
    ),
    sketch(
        "os::config::hostname",
        "The hostname of config.json is the running hostname",
        "hostname",
        "sd-5f3a91\n",
        22,
    ),
    sketch(
        "os::time::synchronised",
        "chrony is synchronised to the server that the harness offers",
        "chronyc -c tracking",
        "0A000202,10.0.2.2,3,1773480431.118,0.000041,0.000038,0.000212,Normal\n",
        48,
    ),
    sketch(
        "os::units::none-failed",
        "No unit of systemd has failed",
        "systemctl --failed --no-legend",
        "",
        112,
    ),
    sketch(
        "os::rest::memory",
        "Memory at rest is within the profile's budget",
        "free -b",
        "Mem: 1038495744 221904896 402104320\n",
        27,
    ),
    sketch(
        "container::engine::healthy",
        "The engine answers and is of the profile's version",
        "docker version --format '{{.Server.Version}}'",
        "20.10.24\n",
        187,
    ),
    sketch(
        "container::run::from-tarball",
        "An image loads from a tarball and runs without a registry",
        "docker load -i /tmp/probe.tar && docker run --rm probe echo up",
        "Loaded image: probe:latest\nup\n",
        4_820,
    ),
    sketch(
        "container::network::by-name",
        "Two containers on one network find each other by name",
        "docker run --rm --network probe probe wget -qO- http://web:8080/",
        "hello from web\n",
        3_377,
    ),
    sketch(
        "container::limits::memory",
        "A memory limit kills the container and not the host",
        "docker run --rm -m 32m probe fill-memory; echo $?",
        "137\n",
        2_061,
    ),
];

pub fn case(id: &str) -> &'static Sketch {
    CASES.iter().find(|case| case.id == id).expect("a case of the sample plan")
}

pub fn plan() -> Vec<Planned> {
    let planned = |case: &Sketch| Planned {
        id: CaseId(case.id.into()),
        title: case.title.into(),
        effect: case.effect,
        skip: None,
    };
    CASES.iter().map(planned).collect()
}

pub fn head() -> RunHead {
    let texts = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    };
    RunHead {
        board: "generic-amd64".into(),
        slot: "qemu/amd64".into(),
        profile: "reference".into(),
        image: ImageRef {
            path: PathBuf::from("target/images/reference-amd64.img.zst"),
            sha256: Sha::of(b"compressed"),
            payload: Sha::of(b"payload"),
            size: 2_147_483_648,
            os: Some("shakedown-reference".into()),
            version: Some("1.0.0".into()),
            companions: BTreeMap::from([("update".into(), PathBuf::from("target/images/update-amd64.bin"))]),
        },
        selection: "demo".into(),
        command: "shakedown run --board generic-amd64 --selection demo".into(),
        harness: "0.1.0".into(),
        hashes: ["board", "profile", "suites"].iter().map(|n| ((*n).into(), Sha::of(n.as_bytes()))).collect(),
        facts: texts(&[
            ("qemu", "7.2.13 (Debian 1:7.2+dfsg-7+deb12u7)"),
            ("machine", "q35, TCG"),
            ("cpu", "2 × max"),
            ("memory", "1024 MiB"),
            ("host", "bench-01, 2 cores, Linux 6.1"),
        ]),
    }
}
