//! The keeper's rules, and runs through it, on a bench of real processes: no QEMU.
//!
//! `cargo test -p shakedown --test kept`.
#![allow(clippy::print_stdout, reason = "the front of a test binary")]

#[path = "kept/bench.rs"]
mod bench;
mod support;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use support::keeper::{Person, all_ended, keeper, on, until, until_said};
use support::{Place, by, micro, one_by_one, trial};

fn main() {
    one_by_one(|| {
        vec![
            trial("a_question_that_nobody_answers_does_not_keep_the_keeper", unanswered),
            trial("the_lock_is_kept_until_the_slot_is_safe", lock_until_safe),
            trial("one_types_on_a_held_console", one_writer),
            trial("nothing_is_switched_in_the_name_of_a_hold_that_has_ended", hold_over),
            trial("a_run_through_the_keeper_ends_as_one_without", bench::same),
            trial("a_killed_run_leaves_a_safe_slot_that_anybody_may_have", bench::run_killed),
            trial("a_run_whose_keeper_is_killed_ends_as_infra", bench::keeper_killed),
            trial("a_dut_that_is_kept_stays_on_after_the_run", bench::stays_on),
        ]
    });
}

/// A slot with a console that says what is typed on it, and this supply.
fn bench(power: &str) -> Place {
    let place = Place::new();
    micro::documents(&place, "20s");
    place.file(
        "rig.yaml",
        format!(
            "rig: tests\nslots:\n  one:\n    board: micro-board\n    consoles: {{ main: {{ command: {{ run: [cat] }} }} }}\n\
             {power}"
        ),
    );
    place
}

async fn unanswered() {
    let place = bench("    power: { manual: {} }\n");
    // `keep --stop` from a script: nobody is there to say whether it is safe, and it ends all the same.
    let (asking, terminal) = place.on_terminal(&on("power", &["on"]));
    let person = Person::at(terminal);
    person.is_asked("Please switch power of tests/one on. Is it done? [y/n/?] ").await;
    let stop = place.start(&["keep", "--stop"]);
    let status = stop.wait(&by("the end of the keeper", 60)).await.unwrap();
    assert_eq!(status.code(), Some(2), "{}", stop.tail());
    for text in ["its keeper (process ", "has ended", "cannot ask Is power of tests/one on now?"] {
        assert!(stop.tail().contains(text), "missing `{text}` in {}", stop.tail());
    }
    assert_eq!(keeper(&place), None);
    // Whoever was asked is told when they answer, and not believed.
    person.tx.send(b"y\r", &by("typing", 60)).await.unwrap();
    let status = asking.wait(&by("the end of the command", 60)).await.unwrap();
    assert_eq!(status.code(), Some(3), "{}", person.log.last_line());
    // By a person: who is asked.
    let (asking, terminal) = place.on_terminal(&on("power", &["on"]));
    let first = Person::at(terminal);
    first.is_asked("Please switch power of tests/one on. Is it done? [y/n/?] ").await;
    let (stop, terminal) = place.on_terminal(&["keep", "--stop"]);
    let second = Person::at(terminal);
    second.is_asked("Is power of tests/one on now? [y/n/?] ").await;
    second.tx.send(b"n\r", &by("typing", 60)).await.unwrap();
    second.is_asked("power off: a person said that power of tests/one is off").await;
    let status = stop.wait(&by("the end of the keeper", 60)).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", second.log.last_line());
    support::interrupt(asking.pid());
    asking.wait(&by("the end of the command", 60)).await.unwrap();
    all_ended(&place).await;
}

/// A supply that somebody else has switched on, and that is slow to switch off.
fn slow() -> Place {
    let place = bench(
        "    power:\n      command:\n        on: [touch, powered]\n        \
         off: [sh, -c, 'touch begun; while [ ! -e go ]; do sleep 0.05; done; rm -f powered']\n        \
         status: { run: [sh, -c, 'test -e powered && echo yes || echo no'], on: 'yes', off: 'no' }\n        \
         within: 100s\n",
    );
    place.file("powered", "");
    place
}

async fn lock_until_safe() {
    let place = slow();
    let reader = place.start(&on("console", &[]));
    until_said(&reader, "tests/one main: ").await;
    let stop = place.start(&["keep", "--stop"]);
    until("the supply to be switched off", 60, || place.path("begun").exists()).await;
    support::kill(reader.pid());
    reader.wait(&by("the end of the reader", 60)).await.unwrap();
    let limit = by("the keeper to see that nobody follows", 60);
    loop {
        let status = place.run(&["keep", "--status"]).await;
        if !status.out.contains("is followed by") {
            status.says(0, &["tests/one\n  it is used by ", "the keeper of tests, which makes it safe"]);
            break;
        }
        limit.pause(Duration::from_millis(20), || status.out.clone()).await.unwrap();
    }
    let lock = File::open(place.path("runtime/slots/tests@one.lock")).unwrap();
    assert!(lock.try_lock().is_err(), "anybody may have a slot that is being switched");
    place.run(&on("power", &["on"])).await.says(3, &["is ending"]);
    place.file("go", "");
    let status = stop.wait(&by("the end of the keeper", 60)).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", stop.tail());
    assert!(stop.tail().contains("power off: read back off"), "{}", stop.tail());
    lock.try_lock().unwrap();
    all_ended(&place).await;
}

async fn hold_over() {
    let mut place = slow();
    let hold = place.start(&on("hold", &[]));
    until_said(&hold, "held until Ctrl-C").await;
    let said = hold.tail();
    let token = said.lines().find_map(|line| line.strip_prefix("SHAKEDOWN_HOLD=")).unwrap();
    place.env("SHAKEDOWN_HOLD", token);
    place.run(&on("power", &["status"])).await.says(0, &["power on: read back"]);
    support::kill(hold.pid());
    hold.wait(&by("its end", 60)).await.unwrap();
    until("the supply to be switched off", 60, || place.path("begun").exists()).await;
    // One of its programs that has survived it comes too late, and does not wait for its turn.
    let late = place.start(&on("power", &["on"]));
    let refused = late.wait(&by("the refusal", 60)).await;
    place.file("go", "");
    assert_eq!(refused.unwrap().code(), Some(3), "{}", late.tail());
    assert!(late.tail().contains("it is held by "), "{}", late.tail());
    until("a safe slot", 60, || !place.path("powered").exists()).await;
    all_ended(&place).await;
    assert!(!place.path("powered").exists());
}

async fn one_writer() {
    let place = bench("");
    let hold = place.start(&on("hold", &[]));
    until_said(&hold, "held until Ctrl-C").await;
    let said = hold.tail();
    let socket = said.lines().find_map(|line| line.strip_prefix("SHAKEDOWN_CONSOLE_MAIN=")).unwrap();
    let open = || {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    };
    let types = |mut line: &UnixStream, text: &str| line.write_all(text.as_bytes()).unwrap();
    let reads = |mut line: &UnixStream, text: &str| {
        let mut got = vec![0; text.len()];
        line.read_exact(&mut got).unwrap();
        assert_eq!(String::from_utf8_lossy(&got), text);
    };
    let is_closed = |mut line: &UnixStream| match line.read(&mut [0; 64]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    };
    let (first, second, third) = (open(), open(), open());
    // All three are served before anything is said: a connection is followed from its beginning only.
    until_followed(&place, 3).await;
    types(&first, "one\n");
    for line in [&first, &second, &third] {
        reads(line, "one\n");
    }
    types(&second, "two\n");
    assert!(is_closed(&second), "a second writer was listened to");
    types(&first, "three\n");
    reads(&first, "three\n");
    reads(&third, "three\n");
    drop(first);
    until_followed(&place, 1).await;
    types(&third, "four\n");
    reads(&third, "four\n");
    support::interrupt(hold.pid());
    assert_eq!(hold.wait(&by("the end of the hold", 60)).await.unwrap().code(), Some(130), "{}", hold.tail());
    assert!(is_closed(&third) && !std::path::Path::new(socket).exists());
    place.run(&["keep", "--stop"]).await.says(0, &["has ended"]);
    all_ended(&place).await;
}

async fn until_followed(place: &Place, by_so_many: usize) {
    let limit = by("so many to follow the console", 60);
    loop {
        let status = place.run(&["keep", "--status"]).await;
        if status.out.matches("the console main is followed by ").count() == by_so_many {
            return;
        }
        limit.pause(Duration::from_millis(20), || status.out.clone()).await.unwrap();
    }
}
