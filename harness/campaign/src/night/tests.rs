//! What a night does with each class of outcome, played without a slot.

use std::collections::BTreeMap;
use std::time::Duration;

use shakedown_core::ledger::BOOT;
use shakedown_core::outcome::Word;
use shakedown_core::{Blame, CaseId};

use super::{Night, Policy, Verdict, standings};
use crate::book::{Entry, Happened, Why};
use crate::came::{Came, Class, Seen};
use crate::engine::{Director, Order, Task};
use crate::plan::{Job, Then};
use crate::slots::SlotSpec;

const CASES: [&str; 3] = [BOOT, "a::one", "a::two"];

fn night(slots: usize, repeats: u32, policy: Policy) -> Night {
    let job = |repeat| Job {
        key: format!("pi/new/quick/{repeat}"),
        board: "pi".into(),
        image: "new".into(),
        suite: "quick".into(),
        repeat,
        priority: 0,
    };
    let slot = |number| SlotSpec { id: format!("rig/{number}"), board: "pi".into() };
    Night::new((1..=repeats).map(job).collect(), (0..slots).map(slot).collect(), policy)
}

fn policy() -> Policy {
    Policy { infra: 1, fail: 0, control: None, sick_after: 2, then: Then::TakeOut }
}

/// What a run says when its cases come to these words.
fn came(task: &Task, words: [Word; 3]) -> Came {
    let wanted = |case: &str| {
        case == BOOT || task.only.as_ref().is_none_or(|only| only.contains(&CaseId(case.into())))
    };
    let seen: Vec<_> = CASES
        .iter()
        .zip(words)
        .filter(|(case, _)| wanted(case))
        .map(|(case, word)| Seen {
            case: CaseId((*case).into()),
            word,
            blame: None,
            says: format!("{word:?}"),
        })
        .collect();
    let any = |word| seen.iter().any(|seen: &Seen| seen.word == word);
    let class = if any(Word::CutOff) {
        Class::Cut
    } else if any(Word::Infra) {
        Class::Infra
    } else if any(Word::Fail) {
        Class::Failed
    } else if any(Word::Undetermined) {
        Class::Undetermined
    } else {
        Class::Passed
    };
    Came { class, seen, steps: Vec::new(), took: Duration::ZERO, waited: Duration::ZERO }
}

/// What a control run says, as the runner's table has it.
fn judge(task: &Task, came: &mut Came) {
    let judged = |word| match word {
        Word::CutOff => None,
        Word::Pass => Some(Blame::Os),
        _ => Some(Blame::Rig),
    };
    for seen in came.seen.iter_mut().filter(|_| task.why == Why::Control) {
        seen.blame = judged(seen.word);
    }
}

/// Plays a night on its slots, one after the other; `say` gives each run's words. The runs that were
/// made, what was looked at, and the book.
fn play(
    night: &mut Night,
    mut say: impl FnMut(usize, &Task) -> [Word; 3],
    mut well: impl FnMut(usize) -> bool,
) -> (Vec<(usize, Why, usize)>, Vec<usize>, Vec<Entry>) {
    let (mut runs, mut looks, mut book) = (Vec::new(), Vec::new(), Vec::new());
    let mut left = vec![false; night.slots().len()];
    while !left.iter().all(|left| *left) {
        for (slot, left) in left.iter_mut().enumerate() {
            match night.next(slot) {
                _ if *left => {}
                Order::Leave => *left = true,
                Order::Wait => {}
                Order::Check => {
                    looks.push(slot);
                    night.checked(slot, (!well(slot)).then_some("no card"));
                }
                Order::Run(task) => {
                    let before: usize = night.jobs().iter().map(|job| job.parts.len()).sum();
                    let run = format!("run-{before}");
                    let words = say(slot, &task);
                    let mut came = came(&task, words);
                    judge(&task, &mut came);
                    runs.push((slot, task.why, task.only.as_ref().map_or(2, Vec::len)));
                    let (job, why, slot_id) = (task.key.clone(), task.why, format!("rig/{slot}"));
                    let now = jiff::Timestamp::UNIX_EPOCH;
                    book.push((now, Happened::Started { job, why, run: run.clone(), slot: slot_id }));
                    book.push((now, Happened::Ended { run: run.clone(), came: came.clone() }));
                    night.ended(slot, &task, &run, &came);
                }
            }
        }
    }
    (runs, looks, book)
}

fn verdicts(book: &[Entry]) -> BTreeMap<String, Verdict> {
    standings(book).into_iter().map(|((_, _, case), standing)| (case.0, standing.verdict())).collect()
}

use Word::{Blocked, CutOff, Fail, Infra, Pass, Undetermined};

#[test]
fn a_failure_stays_a_failure_and_a_later_pass_makes_it_flaky() {
    // Not asked for: nothing is run again.
    let (runs, _, book) = play(&mut night(1, 1, policy()), |_, _| [Pass, Fail, Pass], |_| true);
    assert_eq!((runs.len(), verdicts(&book)["a::one"]), (1, Verdict::Fail));
    // Asked for: only what failed, so often, and all of it counts.
    let twice = || Policy { fail: 2, ..policy() };
    let says = |_: usize, task: &Task| if task.before == 1 { [Pass; 3] } else { [Pass, Fail, Pass] };
    let (runs, _, book) = play(&mut night(1, 1, twice()), says, |_| true);
    assert_eq!(runs, [(0, Why::Planned, 2), (0, Why::Confirm, 1), (0, Why::Confirm, 1)]);
    assert_eq!(verdicts(&book)["a::one"], Verdict::Flaky);
    assert_eq!(verdicts(&book)["a::two"], Verdict::Pass);
    let one = &standings(&book)[&("pi".into(), "new".into(), CaseId("a::one".into()))];
    assert_eq!((one.count(Fail), one.count(Pass)), (2, 1));
    // Also over repeats that the plan asks for.
    let says = |_: usize, task: &Task| if task.job == 1 { [Pass, Fail, Pass] } else { [Pass; 3] };
    let (_, _, book) = play(&mut night(1, 3, policy()), says, |_| true);
    assert_eq!(verdicts(&book)["a::one"], Verdict::Flaky);
}

#[test]
fn a_broken_rig_is_looked_at_and_its_job_goes_elsewhere() {
    let says = |_: usize, task: &Task| if task.why == Why::Planned { [Pass, Pass, Infra] } else { [Pass; 3] };
    let (runs, looks, book) = play(&mut night(2, 1, policy()), says, |_| true);
    // Only what has no answer is run again, and not where the rig broke.
    assert_eq!(runs, [(0, Why::Planned, 2), (1, Why::Again, 1)]);
    assert_eq!((looks.len(), verdicts(&book)["a::two"]), (0, Verdict::Pass));
    // With one slot there is no elsewhere: it is looked at before it is used again.
    let (runs, looks, _) = play(&mut night(1, 1, policy()), says, |_| true);
    assert_eq!((runs.len(), looks), (2, vec![0]));
    // A failure before the rig broke is not run again, and not forgotten.
    let says = |_: usize, task: &Task| if task.why == Why::Planned { [Pass, Fail, Infra] } else { [Pass; 3] };
    let (runs, _, book) = play(&mut night(2, 1, policy()), says, |_| true);
    assert_eq!((runs[1], verdicts(&book)["a::one"]), ((1, Why::Again, 1), Verdict::Fail));
}

#[test]
fn a_sick_slot_is_taken_out_with_its_reason() {
    let broken = |slot: usize, _: &Task| if slot == 0 { [Infra, Blocked, Blocked] } else { [Pass; 3] };
    // By its health check.
    let mut sick = night(2, 6, policy());
    let (runs, looks, book) = play(&mut sick, broken, |slot| slot != 0);
    assert_eq!(looks, [0]);
    assert_eq!(
        sick.slots()[0].out.as_deref(),
        Some("its health check failed: no card (the run before: boot::cold::ready: Infra)")
    );
    assert_eq!(runs.iter().filter(|(slot, ..)| *slot == 1).count(), 6);
    assert!(verdicts(&book).values().all(|verdict| *verdict == Verdict::Pass), "{:?}", verdicts(&book));
    // By runs that break although it seems well.
    let mut sick = night(2, 6, policy());
    let (_, looks, _) = play(&mut sick, broken, |_| true);
    assert_eq!((looks.len(), sick.slots()[0].runs), (1, 2));
    assert!(
        sick.slots()[0].out.as_deref().unwrap().starts_with("2 runs in a row ended as infra"),
        "{:?}",
        sick.slots()
    );
    // The only one: what it did not do is not done.
    let mut sick = night(1, 6, policy());
    play(&mut sick, broken, |_| false);
    assert_eq!(sick.jobs().iter().filter(|job| !job.is_done()).count(), 6);
    // Where a sick slot ends the plan, the well one begins nothing new.
    let mut stop = night(2, 6, Policy { then: Then::Stop, ..policy() });
    let (runs, ..) = play(&mut stop, broken, |_| false);
    assert!(runs.len() <= 3, "{runs:?}");
}

#[test]
fn what_cannot_be_told_gets_one_control_run_on_the_same_slot() {
    let with = || Policy { control: Some("old".into()), ..policy() };
    for (control, verdict) in [(Pass, Verdict::Fail), (Undetermined, Verdict::Infra), (Infra, Verdict::Infra)]
    {
        let says = |_: usize, task: &Task| {
            if task.why == Why::Control {
                assert_eq!(task.image, "old");
                [Pass, control, Pass]
            } else {
                [Pass, Undetermined, Pass]
            }
        };
        let (runs, _, book) = play(&mut night(2, 1, with()), says, |_| true);
        assert_eq!(runs[..2], [(0, Why::Planned, 2), (0, Why::Control, 1)], "{control:?}");
        assert_eq!(verdicts(&book)["a::one"], verdict, "{control:?}");
        assert_eq!(verdicts(&book)["a::two"], Verdict::Pass, "the control's own passes are nobody's");
    }
    let (runs, _, book) = play(&mut night(1, 1, policy()), |_, _| [Pass, Undetermined, Pass], |_| true);
    assert_eq!((runs.len(), verdicts(&book)["a::one"]), (1, Verdict::Undetermined));
}

#[test]
fn a_run_that_was_cut_off_is_finished_by_another_and_nothing_is_done_twice() {
    let says =
        |_: usize, task: &Task| if task.why == Why::Planned { [Pass, Fail, CutOff] } else { [Pass; 3] };
    let (runs, _, book) = play(&mut night(1, 1, policy()), says, |_| true);
    assert_eq!(runs, [(0, Why::Planned, 2), (0, Why::Rest, 1)]);
    assert_eq!(verdicts(&book)["a::one"], Verdict::Fail);
    // The same from the book alone, cut after every line.
    for cut in 0..=book.len() {
        let mut again = night(1, 1, policy());
        for (run, job, slot) in again.replay(&book[..cut]) {
            let task = Task {
                job: 0,
                key: job.clone(),
                why: Why::Planned,
                image: "new".into(),
                only: None,
                before: 0,
            };
            let nothing = Came { class: Class::Cut, ..came(&task, [CutOff; 3]) };
            again.found(&run, &job, Why::Planned, &slot, &nothing);
        }
        let (runs, ..) = play(&mut again, |_, _| [Pass; 3], |_| true);
        let answered = again.jobs()[0].parts.iter().flat_map(|part| &part.came.seen);
        let twos = answered.filter(|seen| seen.case.0 == "a::two" && seen.word.is_answer()).count();
        assert!(again.jobs()[0].is_done() && twos == 1, "cut {cut}: {runs:?}");
    }
}

/// How often each case was answered in answer to what, cut off or not.
fn answers(book: &[Entry]) -> BTreeMap<(String, Why, CaseId), u32> {
    let (mut begun, mut answers) = (BTreeMap::new(), BTreeMap::new());
    for (_, happened) in book {
        match happened {
            Happened::Started { job, why, run, .. } => {
                let why = if *why == Why::Rest { Why::Planned } else { *why };
                begun.insert(run.clone(), (job.clone(), why));
            }
            Happened::Ended { run, came } => {
                let (job, why) = &begun[run];
                let seen = came.seen.iter().filter(|seen| seen.case.0 != BOOT && seen.word != CutOff);
                for seen in seen {
                    *answers.entry((job.clone(), *why, seen.case.clone())).or_default() += 1;
                }
            }
            _ => {}
        }
    }
    answers
}

#[test]
fn a_run_that_is_killed_anywhere_changes_no_verdict_and_its_question_is_asked_again() {
    type Says = fn(&Task) -> [Word; 3];
    let control = || Policy { control: Some("old".into()), fail: 2, ..policy() };
    let scenes: [(&str, Says, [Verdict; 2]); 6] = [
        ("fails always", |_| [Pass, Fail, Pass], [Verdict::Fail, Verdict::Pass]),
        (
            "passes when it is confirmed",
            |task| if task.why == Why::Confirm { [Pass; 3] } else { [Pass, Fail, Pass] },
            [Verdict::Flaky, Verdict::Pass],
        ),
        (
            "the control image passes",
            |task| if task.image == "old" { [Pass; 3] } else { [Pass, Undetermined, Undetermined] },
            [Verdict::Fail, Verdict::Fail],
        ),
        ("the control image does not", |_| [Pass, Undetermined, Pass], [Verdict::Infra, Verdict::Pass]),
        (
            "a failure beside what cannot be told",
            |task| if task.image == "old" { [Pass; 3] } else { [Pass, Fail, Undetermined] },
            [Verdict::Fail, Verdict::Fail],
        ),
        (
            "the boot cannot be told",
            |task| if task.image == "old" { [Pass; 3] } else { [Undetermined, Blocked, Blocked] },
            [Verdict::Blocked, Verdict::Blocked],
        ),
    ];
    for (scene, says, expected) in scenes {
        let (_, _, whole) = play(&mut night(1, 1, control()), |_, task| says(task), |_| true);
        let verdict = verdicts(&whole);
        assert_eq!([verdict["a::one"], verdict["a::two"]], expected, "{scene}");
        let starts = (0..whole.len()).filter(|at| matches!(whole[*at].1, Happened::Started { .. }));
        let starts: Vec<_> = starts.collect();
        // Two lives end: each at any run, with any part of its journal, or none.
        for (start, journal) in starts.iter().flat_map(|start| (0..=4).map(move |journal| (*start, journal)))
        {
            let mut again = night(1, 1, control());
            let mut book = whole[..=start].to_vec();
            for (life, journal) in [journal, (journal + 3) % 5].into_iter().enumerate() {
                let (open, task) = if life == 0 {
                    let Some(open) = again.replay(&book).pop() else { panic!("{scene}: nothing is open") };
                    let task = again.jobs()[0].todo_now("old");
                    assert!(matches!(&book[start].1, Happened::Started { why, .. } if *why == task.why));
                    (open, task)
                } else {
                    // The next life begins the next run, and is killed in it.
                    let Order::Run(task) = again.next(0) else { break };
                    let run = format!("run-{}", again.jobs()[0].parts.len());
                    let slot = "rig/0".to_owned();
                    let started = Happened::Started {
                        job: task.key.clone(),
                        why: task.why,
                        run: run.clone(),
                        slot: slot.clone(),
                    };
                    book.push((jiff::Timestamp::UNIX_EPOCH, started));
                    ((run, task.key.clone(), slot), task)
                };
                let mut words = says(&task);
                words.iter_mut().skip(journal).for_each(|word| *word = CutOff);
                let mut cut = Came { class: Class::Cut, ..came(&task, words) };
                if journal == 4 {
                    cut.seen.clear();
                }
                judge(&task, &mut cut);
                let (run, job, slot) = open;
                again.found(&run, &job, task.why, &slot, &cut);
                book.push((jiff::Timestamp::UNIX_EPOCH, Happened::Ended { run, came: cut }));
            }
            let (_, _, rest) = play(&mut again, |_, task| says(task), |_| true);
            book.extend(rest);
            let at = format!("{scene}, killed in run {start} after {journal}: {book:#?}");
            assert_eq!(verdicts(&book), verdict, "{at}");
            assert!(again.jobs()[0].is_done(), "{at}");
            assert_eq!(answers(&book), answers(&whole), "{at}");
        }
    }
}
