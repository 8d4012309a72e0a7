//! Runs on a bench of real processes: a terminal of socat's as the serial line, files as the medium and the
//! supply, and OpenSSH's server as the DUT's, which lives and dies with that supply.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use shakedown_core::ledger::Attempt;
use shakedown_core::{Blame, SeenBy};
use shakedown_host::{Child, Tool};

use super::support::keeper::{all_ended, on, until, until_said};
use super::support::{self, Place, Run, by, guest, micro, sshd};

/// The DUT: says that it boots, lets in whoever's key lies on its medium, and has a login that knows nobody.
const DUT: &str = r#"
cd "$1"
port=$(sed -n 's/^ListenAddress .*://p' sshd/config)
while :; do
  while [ ! -e powered ]; do sleep 0.05; done
  printf 'Linux version 6.0.0-bench\r\n'
  grep -a -o -m1 'ssh-ed25519 [A-Za-z0-9+/=]*' cache/slots/tests@one/main.img > authorized
  /usr/sbin/sshd -D -e -f sshd/config 2> sshd/log &
  server=$!
  while [ -e powered ] && ! (exec 3<> "/dev/tcp/127.0.0.1/$port"); do sleep 0.05; done 2> /dev/null
  printf 'micro: ready\r\nmicro login: '
  while [ -e powered ]; do
    if IFS= read -r -t 0.1 line; then printf '\r\nLogin incorrect\r\nmicro login: '; fi
  done
  kill -9 $(cat "/proc/$server/task/$server/children") "$server"
done
"#;

/// What the DUT's shell does for anybody: the commands of the suite below, on this machine.
const SHELL: &str = r#"ForceCommand case "$SSH_ORIGINAL_COMMAND" in *"echo up"*) exec sh -c "$SSH_ORIGINAL_COMMAND";; esac; exit 127"#;

const SUITE: &str = "module: micro::bench
cases:
  - id: answers
    title: the DUT answers
    effect: read-only
    within: 60s
    check:
      - run: echo up
        says: the DUT does not answer
        expect: { equals: up }
    sabotage: [{ id: none, edits: [{ shell: 'false' }], must-say: nothing }]
  - id: other
    title: the DUT answers something else
    effect: read-only
    within: 60s
    check:
      - run: echo up
        says: the DUT answers something else
        expect: { equals: down }
    sabotage: [{ id: none, edits: [{ shell: 'false' }], must-say: nothing }]
  - id: waits
    title: the DUT waits for the test
    effect: read-only
    # The test does its part meanwhile, on a host that may be busy.
    within: 1000s
    check:
      - run: 'echo up; touch PLACE/asked; while [ -d PLACE ] && [ ! -e PLACE/go ]; do sleep 0.05; done'
        says: the DUT does not answer
        expect: { equals: up }
    sabotage: [{ id: none, edits: [{ shell: 'false' }], must-say: nothing }]
";

struct Bench {
    place: Place,
    image: String,
    // A line that nobody has open ends socat, unlike a board.
    line: File,
    dut: Option<Child>,
}

impl Bench {
    async fn new() -> Self {
        let place = Place::new();
        micro::documents(&place, "20s");
        let here = place.path("").display().to_string();
        let here = here.trim_end_matches('/');
        place.file("private/suites/micro/bench.yaml", SUITE.replace("PLACE", here));
        let authorized = place.path("authorized").display().to_string();
        let (_, ssh) = sshd::configured(&place, &authorized, SHELL).await;
        for document in ["private/catalogue/micro-board.yaml", "private/os/micro.yaml"] {
            let text = std::fs::read_to_string(place.path(document)).unwrap();
            // A busy machine may be slow: it is not the time that this is about.
            let text = text.replace("within: 1", "within: 10").replace("within: 2", "within: 20");
            let text = text
                .replace("port: 2000, user: root", &format!("port: {}, user: {}", ssh.port(), sshd::user()));
            place.file(document, text);
        }
        place.file("dut.sh", DUT);
        let line = place.path("line").display().to_string();
        let (dut, line_open) = plugged(&place).await;
        place.file(
            "rig.yaml",
            format!(
                "rig: tests\nslots:\n  one:\n    board: micro-board\n    \
                 consoles: {{ main: {{ serial: {{ port: {line}, baud: 115200 }} }} }}\n    \
                 media: {{ main: {{ file: {{ path: main.img, size: 8MiB }} }} }}\n    \
                 network: {{ address: {{ host: 127.0.0.1 }} }}\n    power:\n      command:\n        \
                 on: [sh, -c, 'test ! -e {here}/broken && touch {here}/powered']\n        off: [rm, -f, {here}/powered]\n        \
                 status: {{ run: [sh, -c, 'test -e {here}/powered && echo yes || echo no'], on: 'yes', off: 'no' }}\n"
            ),
        );
        let image = place.file("image", guest::versioned("")).display().to_string();
        Self { place, image, line: line_open, dut: Some(dut) }
    }

    fn run<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let run = ["--path", "private", "run", "--slot", "one", "--image", &self.image, "--os", "micro"];
        [&run[..], more].concat()
    }

    async fn kept(&self) -> Child {
        let keeper = self.place.start(&["--path", "private", "keep"]);
        until_said(&keeper, "keeping tests").await;
        keeper
    }

    /// A run that is in its case `waits`, through a keeper that has the slot.
    async fn waiting(&self) -> Child {
        let run = self.place.start(&self.run(&["--case", "micro::bench::waits"]));
        until_said_or(&run, || self.place.path("asked").exists()).await;
        run
    }

    /// The adapter is pulled and plugged again, and the board with it.
    async fn replugged(&mut self) {
        drop(self.dut.take());
        until("the end of the line", 60, || !self.place.path("line").exists()).await;
        let (dut, line) = plugged(&self.place).await;
        (self.dut, self.line) = (Some(dut), line);
    }

    fn on(&self) -> bool {
        self.place.path("powered").exists()
    }
}

/// Starts the DUT behind its line.
async fn plugged(place: &Place) -> (Child, File) {
    let line = place.path("line");
    let ends = [
        format!("PTY,link={},raw,echo=0", line.display()),
        format!("EXEC:bash {} {}", place.path("dut.sh").display(), place.path("").display()),
    ];
    let dut = Tool::new("socat").package("socat").args(ends).start().unwrap();
    until("the DUT's line", 60, || line.exists()).await;
    let plain = OFlags::NOCTTY.bits().cast_signed();
    (dut, File::options().read(true).write(true).custom_flags(plain).open(&line).unwrap())
}

async fn until_said_or(run: &Child, is: impl Fn() -> bool) {
    let limit = by("the case that waits", 120);
    while !is() {
        assert_eq!(run.try_status().unwrap(), None, "{}", run.tail());
        limit.pause(std::time::Duration::from_millis(20), || run.tail()).await.unwrap();
    }
}

/// What came of a case, and how that was told.
fn told(attempt: &Attempt) -> (String, &'static str, &'static str, Option<String>) {
    let outcome = attempt.outcome.as_ref().unwrap();
    (
        attempt.case.0.clone(),
        outcome.word(),
        attempt.blame.map_or("nobody", Blame::word),
        attempt.because.clone(),
    )
}

/// What was switched, in its order.
fn switched(folder: &Path) -> Vec<(String, bool, SeenBy)> {
    let journal = shakedown_core::journal::read(&std::fs::read(folder.join("journal.jsonl")).unwrap());
    let proofs = journal.entries.iter().filter_map(|entry| match &entry.event {
        shakedown_core::Event::Switched { proof } => {
            Some((proof.output.clone(), proof.on, proof.seen.clone()))
        }
        _ => None,
    });
    proofs.collect()
}

/// Devices and files that a process has open.
fn has_open(pid: u32, file: &Path) -> bool {
    let file = std::fs::canonicalize(file).unwrap();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    open.flatten().any(|entry| std::fs::read_link(entry.path()).is_ok_and(|at| at == file))
}

pub(crate) async fn same() {
    let bench = Bench::new().await;
    let cases = ["--case", "micro::bench::answers", "--case", "micro::bench::other"];
    let alone = bench.place.run(&bench.run(&cases)).await;
    alone.says(1, &[]);
    let first = Run::read(&bench.place.last());
    let served = bench.kept().await;
    let through = bench.place.run(&bench.run(&cases)).await;
    through.says(1, &[]);
    let second = Run::read(&bench.place.last());
    assert_ne!(first.folder, second.folder);
    let outcomes = |run: &Run| run.ledger.attempts.iter().map(told).collect::<Vec<_>>();
    assert_eq!(outcomes(&first), outcomes(&second));
    assert_eq!(outcomes(&first).len(), 3, "{:?}", outcomes(&first));
    assert_eq!(switched(&first.folder), switched(&second.folder));
    assert!(switched(&first.folder).len() >= 3, "{:?}", switched(&first.folder));
    let console = |run: &Run| std::fs::read_to_string(run.folder.join("console.log")).unwrap();
    assert_eq!(console(&first), console(&second));
    assert!(console(&first).contains("Login incorrect"), "nothing was typed: {}", console(&first));

    // A driver that fails says the same, wherever it runs.
    bench.place.file("broken", "");
    let fault = |run: &Run| format!("{:?}", run.case("boot::cold::ready").outcome);
    bench.place.run(&bench.run(&cases)).await.says(3, &["INFRA"]);
    let through = fault(&Run::read(&bench.place.last()));
    bench.place.run(&["keep", "--stop"]).await.says(0, &[]);
    served.wait(&by("the end of the keeper", 60)).await.unwrap();
    bench.place.run(&bench.run(&cases)).await.says(3, &["INFRA"]);
    assert_eq!(fault(&Run::read(&bench.place.last())), through);
    assert!(through.contains("driver: \"command\""), "{through}");
    std::fs::remove_file(bench.place.path("broken")).unwrap();
    let served = bench.kept().await;

    // The keeper is the owner of the line while the run goes on, and others may read.
    let run = bench.waiting().await;
    let line = bench.place.path("line");
    assert!(has_open(served.pid(), &line) && !has_open(run.pid(), &line));
    let reader = bench.place.start(&on("console", &[]));
    until_said(&reader, "you read only, ").await;
    assert!(reader.tail().contains("run --slot one"), "{}", reader.tail());
    let refused = bench.place.run(&on("power", &["off"])).await;
    refused.says(3, &["tests/one is in use", "it is held by ", "run --slot one"]);
    assert!(bench.on());
    bench.place.run(&bench.run(&cases)).await.says(3, &["it is held by "]);
    let seen = reader.tail().len();
    bench.place.file("go", "");
    let status = run.wait(&by("the end of the run", 120)).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", run.tail());
    assert!(!bench.on());
    assert_eq!(reader.tail().len(), seen, "the DUT said nothing more: {}", reader.tail());
    // What is next finds the slot free, while the reader goes on.
    bench.place.run(&on("power", &["on"])).await.says(0, &["power on: read back on"]);
    until_said(&reader, "Linux version 6.0.0-bench").await;
    bench.place.run(&bench.run(&cases)).await.says(3, &["power was switched on by "]);
    bench.place.run(&["keep", "--stop"]).await.says(0, &["power off: read back off"]);
    served.wait(&by("the end of the keeper", 60)).await.unwrap();
    reader.wait(&by("the end of the reader", 60)).await.unwrap();
    all_ended(&bench.place).await;
}

pub(crate) async fn run_killed() {
    let mut bench = Bench::new().await;
    let served = bench.kept().await;
    let run = bench.waiting().await;
    assert!(bench.on());
    // A gap in the line is a gap in the run's recording.
    bench.replugged().await;
    let recording = bench.place.last().join("console.cast");
    until("the gap", 60, || std::fs::read_to_string(&recording).unwrap().contains("; back after ")).await;
    support::kill(run.pid());
    until("a safe slot", 60, || !bench.on()).await;
    run.wait(&by("its end", 60)).await.unwrap();
    let limit = by("the slot to be free", 60);
    let status = loop {
        let status = bench.place.run(&["keep", "--status"]).await;
        if !status.out.contains("tests/one") {
            break status;
        }
        limit.pause(std::time::Duration::from_millis(20), || status.out.clone()).await.unwrap();
    };
    status.says(0, &["its keeper is process "]);
    std::fs::File::open(bench.place.path("runtime/slots/tests@one.lock")).unwrap().try_lock().unwrap();
    bench.place.file("go", "");
    let next = bench.place.run(&bench.run(&["--case", "micro::bench::answers"])).await;
    next.says(0, &[]);
    bench.place.run(&["keep", "--stop"]).await.says(0, &[]);
    served.wait(&by("the end of the keeper", 60)).await.unwrap();
    all_ended(&bench.place).await;
}

pub(crate) async fn keeper_killed() {
    let bench = Bench::new().await;
    let served = bench.kept().await;
    let run = bench.waiting().await;
    assert!(bench.on() && has_open(served.pid(), &bench.place.path("line")));
    support::kill(served.pid());
    until("the warden to make it safe", 60, || !bench.on()).await;
    let status = run.wait(&by("the end of the run", 300)).await.unwrap();
    assert_eq!(status.code(), Some(3), "{}", run.tail());
    let ended = Run::read(&bench.place.last());
    let case = ended.case("micro::bench::waits");
    assert_eq!(told(case).1, "infra", "{case:?}");
    let said = format!("{:?}", case.outcome);
    assert!(said.contains("the keeper of tests (process "), "{said}");
    assert!(!bench.on());
    served.wait(&by("its end", 60)).await.unwrap();
    bench.place.file("go", "");
    // A board's adapter forgets with its last user that a dead one had it alone; this line has us.
    rustix::termios::ioctl_tiocnxcl(&bench.line).unwrap();
    bench.place.run(&bench.run(&["--case", "micro::bench::answers"])).await.says(0, &[]);
    all_ended(&bench.place).await;
}

pub(crate) async fn stays_on() {
    let bench = Bench::new().await;
    let served = bench.kept().await;
    let kept = bench.place.run(&bench.run(&["--case", "micro::bench::answers", "--keep"])).await;
    kept.says(0, &["kept: the DUT is on"]);
    assert!(bench.on());
    bench
        .place
        .run(&["keep", "--status"])
        .await
        .says(0, &["tests/one\n  power was switched on by ", "--keep`"]);
    bench.place.run(&bench.run(&["--case", "micro::bench::answers"])).await.says(3, &["gives it back"]);
    bench.place.run(&on("power", &["off"])).await.says(0, &["power off: read back off"]);
    assert!(!bench.on());
    // Other commands borrow the slot too, and have given it back when they end.
    bench.place.run(&on("flash", &[&bench.image])).await.says(0, &["wrote and read back 5 MiB"]);
    bench.place.run(&on("power", &["status"])).await.says(0, &["power off: read back"]);
    let doctor = bench.place.run(&["--path", "private", "rigs", "doctor", "--no-toggle"]).await;
    doctor.says(0, &["part(s) looked at, 0 wrong"]);
    bench.place.run(&on("power", &["status"])).await.says(0, &["power off: read back"]);
    bench.place.run(&["keep", "--stop"]).await.says(0, &["has ended"]);
    served.wait(&by("the end of the keeper", 60)).await.unwrap();
    all_ended(&bench.place).await;
}
