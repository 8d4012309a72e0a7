//! Nightlies through the real command, on simulated slots: killed, interrupted, resumed, compared.
//! One boots QEMU: two small guests at once.
#![allow(clippy::print_stdout, reason = "the front of a test binary")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use libtest_mimic::Arguments;
use shakedown_campaign::book::Entry;

use shakedown_campaign::{Book, Class, Happened, Why};
use shakedown_core::ledger::BOOT;
use shakedown_core::outcome::Word;
use shakedown_host::{Child, Tool};
use support::{Place, Run, by, guest, interrupt, kill, micro, trial};

fn main() {
    shakedown_host::warden::serve_if_asked();
    let args = Arguments::from_args();
    let trials = vec![
        trial("killed_at_20_random_points_the_union_is_the_plan_and_nothing_is_done_twice", killed),
        trial("killed_in_a_control_or_confirming_run_its_question_is_asked_again", killed_in_a_question),
        trial("an_interrupt_ends_in_order_and_a_resume_finishes", interrupted),
        trial("two_machines_of_one_board_at_once_do_not_clash", two_machines),
        trial("what_is_new_since_last_night_comes_first", news),
        trial("two_nightlies_at_once_do_not_meet", two_at_once),
        trial("images_are_found_by_file_folder_rule_and_hash", images),
        trial("an_image_at_an_address_is_fetched_once_and_its_login_is_never_said", downloads),
        trial("a_plan_that_does_not_fit_is_refused_at_its_place", refused),
        trial("runs_are_listed_and_old_ones_go", runs),
        trial("the_first_bad_image_is_found_and_a_killed_search_goes_on", bisect),
    ];
    libtest_mimic::run(&args, trials).exit();
}

fn plan(boards: &str, repeats: u32, more: &str) -> String {
    format!(
        "plan: night\nimages:\n  new: {{ from: {{ file: 'os-{{version}}.img' }}, version: 2.0.0, os: reference }}\nwork:\n  - {{ boards: [{boards}], images: [new], suites: [quick], repeats: {repeats} }}\n{more}"
    )
}

/// The folders of nights, the last one last.
fn nights(place: &Place) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place.path("out")).into_iter().flatten().flatten();
    let is_night = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("nightly-");
    let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(is_night).collect();
    found.sort();
    found
}

fn book(night: &Path) -> Vec<Entry> {
    Book::read(&night.join("book.jsonl")).unwrap()
}

/// Bytes of all journals: how far the night is.
fn written(place: &Place) -> u64 {
    let size = |path: PathBuf| std::fs::metadata(path).map_or(0, |meta| meta.len());
    let entries = std::fs::read_dir(place.path("out")).into_iter().flatten().flatten();
    entries
        .map(|entry| size(entry.path().join("journal.jsonl")) + size(entry.path().join("book.jsonl")))
        .sum()
}

/// Waits until the journals hold so many bytes.
async fn until_written(place: &Place, night: &Child, bytes: u64) {
    let limit = by("the night to get on", 120);
    while written(place) < bytes {
        assert_eq!(night.try_status().unwrap(), None, "it ended before: {}", night.tail());
        limit.pause(Duration::from_millis(1), || night.tail()).await.unwrap();
    }
}

/// How often each case of each job was answered, from the runs' own journals.
fn answered(place: &Place, night: &Path) -> BTreeMap<(String, String), u32> {
    let mut answered = BTreeMap::new();
    for (_, happened) in book(night) {
        let Happened::Started { job, run, .. } = happened else { continue };
        let folder = place.path("out").join(run);
        if !folder.join("journal.jsonl").exists() {
            // Killed between the line in the book and the first one of the journal.
            continue;
        }
        for attempt in Run::read(&folder).ledger.attempts.iter().filter(|attempt| attempt.outcome.is_some()) {
            // What an interrupt ended says nothing.
            if attempt.case.0 != BOOT && attempt.because.as_deref() != Some("interrupted") {
                *answered.entry((job.clone(), attempt.case.0.clone())).or_default() += 1;
            }
        }
    }
    answered
}

async fn killed() {
    let place = Place::new();
    place.file("night.yaml", plan("generic-amd64, generic-aarch64", 40, ""));
    // Failures must survive, too: none of them may be made good by a resume.
    place.file("sim.yaml", "rules: [{ case: 'os::swap::*', rate: 0.5, does: { fail: by the dice } }]\n");
    let args = ["nightly", "night.yaml", "--simulate=sim.yaml"];
    let mut random = fastrand::Rng::with_seed(20);
    let mut torn = 0;
    for life in 0..20 {
        let before = written(&place);
        let more = if life == 0 { vec![] } else { vec!["--resume"] };
        let night = place.start(&[&args[..], &more].concat());
        let until = before + random.u64(1..60_000);
        until_written(&place, &night, until).await;
        kill(night.pid());
        night.wait(&by("the killed night to end", 60)).await.unwrap();
        let is_open = |happened: &Happened| matches!(happened, Happened::Ended { .. });
        let entries = book(&nights(&place)[0]);
        torn += u32::from(!entries.last().is_some_and(|(_, happened)| is_open(happened)));
    }
    assert!(torn > 0, "no life was cut in the middle of a run");
    let last = place.run(&[&args[..], &["--resume"]].concat()).await;
    assert_eq!(last.code, Some(1), "{}", last.all());
    let [night] = &nights(&place)[..] else { panic!("one night: {:?}", nights(&place)) };
    let answered = answered(&place, night);
    let twice: Vec<_> = answered.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "answered more than once: {twice:?}");
    let jobs: BTreeSet<_> = answered.keys().map(|(job, _)| job.clone()).collect();
    assert_eq!(jobs.len(), 80);
    // Every job has the same cases: those that an undisturbed run has.
    let cases = answered.len() / 80;
    let alone = Place::new();
    alone.file("night.yaml", plan("generic-amd64, generic-aarch64", 1, ""));
    alone.run(&["nightly", "night.yaml", "--simulate"]).await.says(0, &["PASS"]);
    let undisturbed = self::answered(&alone, &nights(&alone)[0]);
    assert_eq!((answered.len(), undisturbed.len()), (cases * 80, cases * 2));
    assert!(undisturbed.keys().all(|key| answered.contains_key(key)));
    // The page tells the failures that were seen in any life.
    let failed = |place: &Place, night: &Path| -> BTreeSet<String> {
        let runs = book(night).into_iter().filter_map(|(_, happened)| match happened {
            Happened::Started { run, .. } => Some(run),
            _ => None,
        });
        let folders = runs
            .map(|run| place.path("out").join(run))
            .filter(|folder| folder.join("journal.jsonl").exists());
        let ledgers = folders.map(|folder| Run::read(&folder).ledger);
        let failed = ledgers.flat_map(|ledger| ledger.attempts).filter(|attempt| attempt.blame.is_some());
        failed.map(|attempt| attempt.case.0).collect()
    };
    let summary = std::fs::read_to_string(night.join("summary.md")).unwrap();
    for case in failed(&place, night) {
        assert!(summary.contains(&format!("**flaky** `{case}`")), "{case} is missing in {summary}");
    }
    place
        .run(&[&args[..], &["--resume"]].concat())
        .await
        .says(2, &["came to its end: nothing is left to do"]);
}

/// Attempts with an answer by job, by what they were asked for, and by case.
fn asked(place: &Place, night: &Path) -> BTreeMap<(String, Why, String), u32> {
    let mut asked = BTreeMap::new();
    for (_, happened) in book(night) {
        let Happened::Started { job, why, run, .. } = happened else { continue };
        let folder = place.path("out").join(run);
        if !folder.join("journal.jsonl").exists() {
            continue;
        }
        let why = if why == Why::Rest { Why::Planned } else { why };
        for attempt in Run::read(&folder).ledger.attempts.iter().filter(|attempt| attempt.outcome.is_some()) {
            if attempt.case.0 != BOOT {
                *asked.entry((job.clone(), why, attempt.case.0.clone())).or_default() += 1;
            }
        }
    }
    asked
}

async fn killed_in_a_question() {
    let documents = |place: &Place, repeats| {
        let text = plan("generic-amd64", repeats, "retry: { infra: 1, fail: 2, undetermined: old }\n");
        let old = "images:\n  old: { from: { file: 'old-{version}.img' }, version: 1.0.0, os: reference }\n";
        place.file("night.yaml", text.replace("images:\n", old));
        // What cannot be told with the new image, and passes with the old one; and what always fails.
        let rules = "rules:
  - { image: 2.0.0, case: 'os::swap::*', does: lose-network }
  - { case: 'os::time::*', does: { fail: the clock is wrong } }
";
        place.file("sim.yaml", rules);
    };
    let args = ["nightly", "night.yaml", "--simulate=sim.yaml"];
    let swap = "**fail** `os::swap::zram-size` on generic-amd64 with new: ";
    let alone = Place::new();
    documents(&alone, 1);
    alone.run(&args).await.says(1, &["FAIL"]);
    let undisturbed = asked(&alone, &nights(&alone)[0]);
    let times = |why: Why| {
        undisturbed.iter().filter(move |((_, asked, _), _)| *asked == why).map(|(_, times)| *times)
    };
    assert!(times(Why::Control).eq([1]) && times(Why::Confirm).all(|times| times == 2), "{undisturbed:?}");
    let summary = |place: &Place| std::fs::read_to_string(nights(place)[0].join("summary.md")).unwrap();
    assert!(summary(&alone).contains(swap), "{}", summary(&alone));

    let place = Place::new();
    documents(&place, 40);
    let mut cut = BTreeMap::new();
    for life in 0..16 {
        let wanted = if life % 2 == 0 { Why::Control } else { Why::Confirm };
        let last = || {
            let night = nights(&place).pop()?;
            // What is being written is no line yet.
            Book::read(&night.join("book.jsonl")).ok()?.pop()
        };
        let night = place.start(&[&args[..], if life == 0 { &[] } else { &["--resume"] }].concat());
        let limit = by("a run that asks again", 120);
        loop {
            match last() {
                Some((_, Happened::Started { why, .. })) if why == wanted => break,
                _ if night.try_status().unwrap().is_some() => break,
                _ => limit.pause(Duration::from_millis(1), || night.tail()).await.unwrap(),
            }
        }
        kill(night.pid());
        night.wait(&by("the killed night to end", 60)).await.unwrap();
        let mut open = BTreeMap::new();
        for (_, happened) in book(&nights(&place)[0]) {
            match happened {
                Happened::Started { run, why, .. } => drop(open.insert(run, why)),
                Happened::Ended { run, .. } => drop(open.remove(&run)),
                _ => {}
            }
        }
        for why in open.into_values() {
            *cut.entry(why).or_insert(0_u32) += 1;
        }
    }
    assert!(cut.contains_key(&Why::Control) && cut.contains_key(&Why::Confirm), "lives ended in {cut:?}");
    let last = place.run(&[&args[..], &["--resume"]].concat()).await;
    last.says(1, &["FAIL"]);
    assert!(summary(&place).contains(swap), "{}", summary(&place));
    let asked = asked(&place, &nights(&place)[0]);
    let of_a_job = |((job, why, case), times): (&(String, Why, String), &u32)| {
        let repeat = job.rsplit_once('/').unwrap();
        (repeat.1.to_owned(), format!("{why:?} {case}"), *times)
    };
    for repeat in 1..=40 {
        let got = asked.iter().map(of_a_job).filter(|(number, ..)| *number == repeat.to_string());
        let got: Vec<_> = got.map(|(_, what, times)| (what, times)).collect();
        let wanted: Vec<_> = undisturbed.iter().map(of_a_job).map(|(_, what, times)| (what, times)).collect();
        assert_eq!(got, wanted, "repeat {repeat}; lives ended in {cut:?}");
    }
}

async fn interrupted() {
    let place = Place::new();
    place.file("night.yaml", plan("generic-amd64", 60, ""));
    let args = ["nightly", "night.yaml", "--simulate"];
    let night = place.start(&args);
    until_written(&place, &night, 40_000).await;
    interrupt(night.pid());
    let status = night.wait(&by("the interrupted night to end", 120)).await.unwrap();
    assert_eq!(status.code(), Some(130), "{}", night.tail());
    let folder = nights(&place)[0].clone();
    let page = std::fs::read_to_string(folder.join("nightly.html")).unwrap();
    assert!(page.contains("the night was interrupted"), "what was not done is told");
    place.run(&[&args[..], &["--resume"]].concat()).await.says(0, &["PASS"]);
    assert!(answered(&place, &folder).values().all(|times| *times == 1));
}

async fn news() {
    let place = Place::new();
    place.file("night.yaml", plan("generic-amd64", 1, ""));
    place.file("bad.yaml", "rules: [{ case: 'os::swap::*', does: { fail: there is no swap } }]\n");
    place.run(&["nightly", "night.yaml", "--simulate"]).await.says(0, &["PASS"]);
    let swap = "os::swap::zram-size on generic-amd64 with new: there is no swap";
    let ran = place.run(&["nightly", "night.yaml", "--simulate=bad.yaml"]).await;
    ran.says(1, &[&format!("NEW fail   {swap}"), "FAIL — ", "1 fail"]);
    let ran = place.run(&["nightly", "night.yaml", "--simulate=bad.yaml"]).await;
    assert!(ran.code == Some(1) && !ran.out.contains("NEW"), "{}", ran.all());
    // The last one into a history as well: its run, and no other night's.
    let kept = ["nightly", "night.yaml", "--simulate", "--history", "history.sqlite"];
    let ran = place.run(&kept).await;
    ran.says(0, &["PASS", " new attempts"]);
    let count = ran.out.split_once("1 run, ").and_then(|(_, rest)| rest.split_once(" new attempts"));
    let count: u32 = count.unwrap_or_else(|| panic!("{}", ran.all())).0.parse().unwrap();
    let asked = ["history", "--history", "history.sqlite", "--simulated"];
    place.run(&asked).await.says(0, &["(simulated)", &format!("{count} pass")]);
    let nights = nights(&place);
    let page = |night: usize| std::fs::read_to_string(nights[night].join("nightly.html")).unwrap();
    let summary = |night: usize| std::fs::read_to_string(nights[night].join("summary.md")).unwrap();
    assert!(page(0).contains("no night before to compare with") || page(0).contains("Boards and suites"));
    let (new, suites) = (page(1).find("New since the night of"), page(1).find("Boards and suites"));
    assert!(new.is_some() && new < suites, "the news come first");
    assert!(summary(1).contains("New since the night before (1)"), "{}", summary(1));
    assert!(summary(2).contains("Still failing (1)"), "{}", summary(2));
    assert!(summary(3).contains("Fixed (1)"), "{}", summary(3));
    for night in &nights {
        let page = std::fs::read_to_string(night.join("nightly.html")).unwrap();
        assert!(page.contains("Every slot was simulated: nothing was tested."));
        // Its links lead somewhere.
        for link in page.split("href=\"").skip(1) {
            let link = link.split('"').next().unwrap();
            assert!(night.join(link).exists(), "{link}");
        }
    }
}

async fn two_at_once() {
    let place = Place::new();
    place.file("night.yaml", plan("generic-amd64", 12, ""));
    let start = || place.start(&["nightly", "night.yaml", "--simulate"]);
    let (one, other) = (start(), start());
    for night in [&one, &other] {
        let status = night.wait(&by("one of two nights", 180)).await.unwrap();
        assert_eq!(status.code(), Some(0), "{}", night.tail());
    }
    let nights = nights(&place);
    let runs = |night: &Path| -> BTreeSet<String> {
        let started = |(_, happened): Entry| match happened {
            Happened::Started { run, .. } => Some(run),
            _ => None,
        };
        book(night).into_iter().filter_map(started).collect()
    };
    let (one, other) = (runs(&nights[0]), runs(&nights[1]));
    assert_eq!((nights.len(), one.len(), other.len()), (2, 12, 12));
    assert!(one.is_disjoint(&other));
    for night in &nights {
        assert!(answered(&place, night).values().all(|times| *times == 1));
    }
}

async fn two_machines() {
    let mut place = Place::new();
    micro::documents(&place, "4s");
    micro::serving_rig(&place, ":").await;
    let one = std::fs::read_to_string(place.path("rig.yaml")).unwrap();
    let (_, slot) = one.split_once("slots:\n").unwrap();
    place.file("rig.yaml", format!("{one}{}", slot.replacen("one:", "two:", 1)));
    place.file("image", guest::image(guest::HALT));
    place.file(
        "night.yaml",
        "plan: night
images:
  new: { from: { file: image }, os: micro }
work:
  - { boards: [micro-board], images: [new], suites: ['micro::looks::answers'], repeats: 2 }
",
    );
    // Two machines on any host; what the host bears is another test's.
    place.env("SHAKEDOWN_QEMUS", "2");
    let night = place.start(&["--path", "private", "nightly", "night.yaml", "--rig", "rig.yaml"]);
    let (limit, mut most) = (by("the night's end", 1500), 0);
    let status = loop {
        most = most.max(place.qemus().len());
        if let Some(status) = night.try_status().unwrap() {
            break status;
        }
        limit.pause(Duration::from_millis(20), || night.tail()).await.unwrap();
    };
    // The guest's SSH server takes connections and says nothing: a failure of the OS, met over each
    // machine's own ports. On a starved host the console may be silent for too long as well, and then
    // it cannot be told; a clash would be the rig's.
    assert!(matches!(status.code(), Some(1 | 3)) && most == 2, "{most} {status:?}: {}", night.tail());
    let mut spans: BTreeMap<String, Vec<(jiff::Timestamp, jiff::Timestamp)>> = BTreeMap::new();
    let mut began = BTreeMap::new();
    for (wall, happened) in book(&nights(&place)[0]) {
        match happened {
            Happened::Started { run, slot, .. } => drop(began.insert(run, (wall, slot))),
            Happened::Ended { run, came } => {
                let words: Vec<_> = came.seen.iter().map(|seen| (seen.case.0.as_str(), seen.word)).collect();
                let [(BOOT, Word::Pass), ("micro::looks::answers", Word::Fail | Word::Undetermined)] =
                    words[..]
                else {
                    panic!("{came:#?}")
                };
                assert!(matches!(came.class, Class::Failed | Class::Undetermined), "no rig broke: {came:#?}");
                let (from, slot) = began.remove(&run).unwrap();
                spans.entry(slot).or_default().push((from, wall));
            }
            Happened::Checked { slot, fault, .. } => panic!("{slot} was suspected: {fault:?}"),
            _ => {}
        }
    }
    let [one, two] = [&spans["tests/one"], &spans["tests/two"]];
    assert_eq!((one.len(), two.len()), (1, 1), "{spans:?}");
    assert!(one.iter().any(|one| two.iter().any(|two| one.0 < two.1 && two.0 < one.1)), "{spans:?}");
    // The warden ends by itself, right after the process that it watched.
    let limit = by("the end of all that was started", 60);
    while !place.processes().is_empty() {
        limit.pause(Duration::from_millis(20), || format!("{:?}", place.processes())).await.unwrap();
    }
}

async fn images() {
    let place = Place::new();
    let rig = "rig: sim\nslots:\n  one: { board: generic-amd64, simulated: {} }\n";
    place.file("rig.yaml", rig);
    // A small image, which the first run makes; three versions of it by name.
    place.run(&["run", "--case", "os::swap::*"]).await.says(0, &["PASS"]);
    let made = std::fs::read_dir(place.path("cache/simulated")).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(made).unwrap();
    for (number, name) in ["os-1.9.0.img", "os-1.10.0.img", "os-1.2.0.img"].into_iter().enumerate() {
        let bytes = [&bytes[..300], &[number as u8 + 1], &bytes[301..]].concat();
        place.file(&format!("builds/generic-amd64/{name}"), bytes);
    }
    let plan = |from: &str| {
        format!(
            "plan: p\nimages:\n  a: {{ from: {{ folder: 'builds/{{board}}' }} }}\n  b: {{ from: {from} }}\nwork:\n  - {{ with: [power-cut], images: [a, b], suites: ['os::swap::*'] }}\n"
        )
    };
    let mut hash = String::new();
    for (from, file) in [
        ("{ previous: { of: a } }", "os-1.9.0.img"),
        ("{ file: 'builds/{board}/os-{version}.img' }, version: 1.2.0", "os-1.2.0.img"),
        ("{ sha256: HASH }", "os-1.9.0.img"),
    ] {
        place.file("plan.yaml", plan(&from.replace("HASH", &hash)));
        let ran = place.run(&["nightly", "plan.yaml"]).await;
        ran.says(0, &["PASS"]);
        let Some((_, Happened::Begun { images, simulated, .. })) =
            book(nights(&place).last().unwrap()).into_iter().next()
        else {
            panic!("{}", ran.all())
        };
        let names: Vec<_> = images
            .iter()
            .map(|(label, _, path)| (label.clone(), path.file_name().unwrap().to_owned()))
            .collect();
        assert_eq!(
            names,
            [
                ("a@generic-amd64".to_owned(), "os-1.10.0.img".into()),
                ("b@generic-amd64".to_owned(), file.into())
            ]
        );
        assert!(!simulated);
        if hash.is_empty() {
            hash = shakedown_core::Sha::of(
                &std::fs::read(place.path("builds/generic-amd64/os-1.9.0.img")).unwrap(),
            )
            .to_string();
        }
        for night in nights(&place) {
            std::fs::remove_dir_all(night).unwrap();
        }
    }
    // An image that was changed behind its hash is told.
    std::fs::write(place.path("builds/generic-amd64/os-1.9.0.img"), bytes).unwrap();
    place
        .run(&["nightly", "plan.yaml"])
        .await
        .says(2, &["plan.yaml:4:14: images.b.from:", "is another file now"]);
    place.file("plan.yaml", plan("{ sha256: HASH }").replace("HASH", &"0".repeat(64)));
    place
        .run(&["nightly", "plan.yaml"])
        .await
        .says(2, &["no image with this SHA-256 was read on this host before"]);
}

/// Whether a file below the folder has this text in it.
fn holds(folder: &Path, text: &str) -> Option<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                    return Some(path);
                }
            }
        }
    }
    None
}

/// lighttpd, which lets `ci` in with this password.
async fn web(folder: &Path, password: &str) -> (Child, u16) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let here = folder.display();
    std::fs::write(folder.join("users"), format!("ci:{password}\n")).unwrap();
    let conf = format!(
        "server.document-root = \"{here}/www\"\nserver.port = {port}\nserver.bind = \"127.0.0.1\"\n\
         server.modules = (\"mod_auth\", \"mod_authn_file\")\n\
         auth.backend = \"plain\"\nauth.backend.plain.userfile = \"{here}/users\"\n\
         auth.require = (\"/\" => (\"method\" => \"basic\", \"realm\" => \"builds\", \"require\" => \"valid-user\"))\n"
    );
    std::fs::write(folder.join("lighttpd.conf"), conf).unwrap();
    let server = Tool::new("lighttpd").args(["-D", "-f", "lighttpd.conf"]).dir(folder).start().unwrap();
    let limit = by("lighttpd to listen", 120);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert_eq!(server.try_status().unwrap(), None, "{}", server.tail());
        limit.pause(Duration::from_millis(20), || server.tail()).await.unwrap();
    }
    (server, port)
}

async fn downloads() {
    const PASSWORD: &str = "canary-hunter2";
    let mut place = Place::new();
    place.file("rig.yaml", "rig: sim\nslots:\n  one: { board: generic-amd64, simulated: {} }\n");
    // A small image, which the first run makes.
    place.run(&["run", "--case", "os::swap::*"]).await.says(0, &["PASS"]);
    let made = std::fs::read_dir(place.path("cache/simulated")).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(made).unwrap();
    let sha = shakedown_core::Sha::of(&bytes);
    let builds = tempfile::tempdir().unwrap();
    let folder = builds.path().join("www/generic-amd64");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("os-1.2.0.img"), &bytes).unwrap();
    std::fs::write(folder.join("os-1.2.0.img.sha256"), format!("{sha}  os-1.2.0.img\n")).unwrap();
    let (server, port) = web(builds.path(), PASSWORD).await;
    let plan = |more: &str| {
        format!(
            "plan: p
images:
  a:
    from:
      url:
        at: 'http://127.0.0.1:{port}/{{board}}/os-{{version}}.img'
        login: {{ user: ci, password: {{ env: BUILDS_PASSWORD }} }}
{more}    version: 1.2.0
work:
  - {{ boards: [generic-amd64], images: [a], suites: ['os::swap::*'] }}
"
        )
    };
    place.file("plan.yaml", plan(""));
    let args = ["nightly", "plan.yaml"];
    place.run(&args).await.says(2, &["plan.yaml:", "images.a.from", "BUILDS_PASSWORD is not set"]);
    place.env("BUILDS_PASSWORD", "wrong");
    place.run(&args).await.says(2, &["images.a.from", "status 401"]);
    place.env("BUILDS_PASSWORD", PASSWORD);
    let ran = place.run(&args).await;
    ran.says(0, &["PASS", "os-1.2.0.img in 1 connection(s)"]);
    let (pair, said) = ("Y2k6Y2FuYXJ5LWh1bnRlcjI=", ran.all());
    assert!(!said.contains(PASSWORD) && !said.contains(pair), "{said}");
    for secret in [PASSWORD, pair] {
        assert_eq!(holds(&place.path(""), secret), None, "it was written down");
    }
    let kept = place.path("cache/downloads").join(sha.to_string()).join("os-1.2.0.img");
    let Some((_, Happened::Begun { images, .. })) = book(nights(&place).last().unwrap()).into_iter().next()
    else {
        panic!("{}", ran.all())
    };
    assert_eq!(images[0].2, kept);
    // It is fetched once; with its hash in the plan, nobody is asked.
    let again = place.run(&args).await;
    again.says(0, &["PASS"]);
    assert!(!again.err.contains("connection(s)"), "{}", again.all());
    kill(server.pid());
    server.wait(&by("the server's end", 60)).await.unwrap();
    place.run(&args).await.says(3, &["images.a.from", ".sha256"]);
    place.file("plan.yaml", plan(&format!("        sha256: {sha}\n")));
    place.run(&args).await.says(0, &["PASS"]);
    // What was changed in the cache is told.
    std::fs::write(&kept, [&bytes[..300], &[bytes[300] ^ 1], &bytes[301..]].concat()).unwrap();
    place.run(&args).await.says(2, &["images.a.from", "is another file now", "removed from the cache"]);
    assert!(!kept.exists());
}

async fn refused() {
    let place = Place::new();
    for (from, to, error) in [
        (
            "[quick]",
            "[quik]",
            "night.yaml:5:56: work[0].suites[0]: no suite or selection `quik`; did you mean `quick`?",
        ),
        ("generic-amd64", "generic-amd46", "unknown board `generic-amd46`; did you mean `generic-amd64`?"),
        ("repeats: 1", "repeat: 1", "unknown field `repeat`; did you mean `repeats`?"),
        ("os: reference", "os: refrence", "unknown OS profile `refrence`; did you mean `reference`?"),
    ] {
        place.file("night.yaml", plan("generic-amd64", 1, "").replace(from, to));
        place.run(&["nightly", "night.yaml", "--simulate"]).await.says(2, &[error]);
    }
    place.file("night.yaml", plan("generic-armv7ahf", 1, ""));
    place.run(&["nightly", "night.yaml"]).await.says(2, &["unknown board with a slot `generic-armv7ahf`"]);
    place.file("night.yaml", plan("generic-amd64", 1, ""));
    place
        .run(&["nightly", "night.yaml"])
        .await
        .says(2, &["images.new.from: there is no file", "os-2.0.0.img"]);
    place
        .run(&["nightly", "night.yaml", "--simulate", "--resume"])
        .await
        .says(2, &["no nightly of `night` was begun"]);
    place.run(&["nightly", "night.yaml", "--simulate", "--list"]).await.says(0, &["1 run(s) on 2 slot(s)"]);
    assert!(nights(&place).is_empty(), "nothing was begun");
    // Another plan under the same name does not go on with the old one's night.
    place.file("long.yaml", plan("generic-amd64", 200, ""));
    let night = place.start(&["nightly", "long.yaml", "--simulate"]);
    until_written(&place, &night, 20_000).await;
    let busy = format!("--resume={}", nights(&place)[0].display());
    place
        .run(&["nightly", "long.yaml", "--simulate", &busy])
        .await
        .says(2, &["another process goes on with this campaign"]);
    kill(night.pid());
    night.wait(&by("the killed night to end", 60)).await.unwrap();
    place.file("long.yaml", plan("generic-amd64", 199, ""));
    place
        .run(&["nightly", "long.yaml", "--simulate", "--resume"])
        .await
        .says(2, &["is another one than when", "begin anew, without --resume"]);
}

async fn runs() {
    let place = Place::new();
    place.file("rig.yaml", "rig: sim\nslots:\n  one: { board: generic-amd64, simulated: {} }\n");
    for _ in 0..4 {
        place.run(&["run", "--case", "os::swap::*"]).await.says(0, &["PASS"]);
    }
    let folders = || -> Vec<PathBuf> {
        let entries = std::fs::read_dir(place.path("out")).unwrap().flatten();
        let mut found: Vec<_> =
            entries.map(|entry| entry.path()).filter(|path| path.is_dir() && !path.is_symlink()).collect();
        found.sort();
        found
    };
    let all = folders();
    std::fs::write(all[0].join("pinned"), "gate release-2.0\n").unwrap();
    place.file("night.yaml", plan("generic-amd64", 3, ""));
    place.run(&["nightly", "night.yaml", "--simulate"]).await.says(0, &["PASS"]);
    let listed = place.run(&["runs", "list"]).await;
    listed.says(0, &["7 run(s)", "pinned: gate release-2.0", "generic-amd64", "PASS"]);
    // What is to go is told first, and nothing else goes.
    let would = place.run(&["runs", "gc", "--keep", "2", "--dry-run"]).await;
    would.says(0, &["4 run(s) would go", "1 pinned"]);
    assert_eq!(folders().len(), 8);
    place.run(&["runs", "gc", "--keep", "2"]).await.says(0, &["4 run(s) removed"]);
    assert!(all[0].exists() && !all[1].exists(), "{:?}", folders());
    assert_eq!(folders().iter().filter(|folder| folder.join("journal.jsonl").exists()).count(), 3);
    // So does one that is being written.
    let going = folders().into_iter().rfind(|folder| folder.join("journal.jsonl").exists()).unwrap();
    let journal = std::fs::File::open(going.join("journal.jsonl")).unwrap();
    journal.lock().unwrap();
    place.run(&["runs", "gc", "--keep", "0"]).await.says(0, &["1 run(s) removed, 0 kept, 2 pinned"]);
    place.run(&["runs", "list"]).await.says(0, &["[it is going on]"]);
    drop(journal);
    // The runs of a night that can go on stay.
    place.file("long.yaml", plan("generic-amd64", 300, ""));
    let night = place.start(&["nightly", "long.yaml", "--simulate"]);
    until_written(&place, &night, 150_000).await;
    kill(night.pid());
    night.wait(&by("the killed night to end", 60)).await.unwrap();
    let open = nights(&place).last().unwrap().clone();
    let begun = book(&open).len();
    place.run(&["runs", "gc", "--keep", "0"]).await.says(0, &["removed"]);
    let kept = folders().iter().filter(|folder| folder.join("journal.jsonl").exists()).count();
    assert!(kept > 1 && kept >= begun / 3, "{kept} runs of {begun} lines");
    place.run(&["nightly", "long.yaml", "--simulate", "--resume"]).await.says(0, &["PASS"]);
}

async fn run_words(place: &Place, args: &[String]) -> support::Ran {
    place.run(&args.iter().map(String::as_str).collect::<Vec<_>>()).await
}

async fn bisect() {
    let place = Place::new();
    for number in 1..=64 {
        // Only their names count.
        place.file(&format!("builds/os-1.0.{number}.img"), "");
    }
    let args = |simulate: &str| -> Vec<String> {
        let words =
            "bisect --good os-1.0.1.img --bad os-1.0.64.img --images builds --board generic-amd64 --slots 3";
        let words = format!("{words} --case os::swap::zram-size --simulate={simulate}");
        words.split(' ').map(str::to_owned).collect()
    };
    // A fault that always shows, beside images that do not boot and a rig that breaks.
    place.file(
        "always.yaml",
        "rules:
  - { image: '1.0.3*', image-from: 1.0.35, does: panic }
  - { image-from: 1.0.37, case: 'os::swap::*', does: { fail: no swap } }
  - { case: 'os::swap::*', rate: 0.1, does: unplugged }
",
    );
    let ran = run_words(&place, &args("always.yaml")).await;
    let between = "first bad: os-1.0.35.img or os-1.0.36.img or os-1.0.37.img or os-1.0.38.img or os-1.0.39.img or os-1.0.40.img (those between could not be tried)";
    ran.says(0, &[between, "os-1.0.34.img is good"]);
    // One that shows in 30 % of the attempts, killed and resumed on the way.
    place.file(
        "flaky.yaml",
        "seed: 5\nrules: [{ image-from: 1.0.23, case: 'os::swap::*', rate: 0.3, does: { fail: no swap } }]\n",
    );
    let flaky = args("flaky.yaml");
    let before = written(&place);
    let search = place.start(&flaky.iter().map(String::as_str).collect::<Vec<_>>());
    until_written(&place, &search, before + 100_000).await;
    kill(search.pid());
    search.wait(&by("the killed search to end", 60)).await.unwrap();
    let resumed = [flaky.clone(), vec!["--resume".to_owned()]].concat();
    run_words(&place, &resumed).await.says(0, &["first bad: os-1.0.23.img, 99", "os-1.0.22.img is good"]);
    let killed = std::fs::read_dir(place.path("out")).unwrap().flatten().map(|entry| entry.path());
    let mut killed: Vec<_> = killed.filter(|path| path.join("path.txt").exists()).collect();
    killed.sort();
    let lives =
        book(killed.last().unwrap()).into_iter().filter(|(_, happened)| *happened == Happened::Resumed);
    assert_eq!(lives.count(), 1);
    // Nothing to find.
    place.file("well.yaml", "{}\n");
    run_words(&place, &args("well.yaml")).await.says(3, &["times: the fault was not seen"]);
    let swapped: Vec<_> = args("well.yaml")
        .iter()
        .map(|word| match word.as_str() {
            "os-1.0.1.img" => "os-1.0.64.img".to_owned(),
            "os-1.0.64.img" => "os-1.0.7.img".to_owned(),
            other => other.to_owned(),
        })
        .collect();
    run_words(&place, &swapped).await.says(2, &["does not come before the bad one"]);
}
