//! A bring-up switches the supply again and again: the board must start anew each time, and what it
//! needs without power for that is learnt.

use std::time::Duration;

use shakedown_console::{Finder, Patterns};
use shakedown_core::event::Better;
use shakedown_core::{
    BootFailure, BootSpec, Cursor, Cut, Dut as _, Event, Evidence, Fault, Guarded, InfraKind, Measure, Seen,
    Stop, WaitEnd,
};

use crate::dut::LiveDut;
use crate::provision::{ProvisionError, SWITCH, power_down, switch_on, to_dut};
use crate::wiring::AWAKE;

/// The step's name in the journal.
pub(crate) const STEP: &str = "cycle power";
/// Off times that are tried, as multiples of the shortest that is allowed.
const LONGER: [u32; 4] = [1, 2, 4, 8];
/// The shortest that anything is learnt of, where nothing limits it.
const LEAST: Duration = Duration::from_millis(100);

/// The run's measure of the time without power after which it started anew each time.
const OFF: &str = "power.off";
/// The run's measure of a time that was not enough.
const TOO_SHORT: &str = "power.off.too-short";

/// What came of some cycles with the same time without power.
enum Round {
    /// Each was followed by a start; the longest time without power among them.
    Anew(Duration),
    /// The first that was not.
    Not {
        /// From 1.
        cycle: u32,
        /// How long it was without power.
        off: Duration,
        /// Where on the console it began.
        since: Cursor,
        /// How its first words were waited for.
        stop: Stop,
    },
}

/// Cuts the power so many times, each for the shortest time that is allowed; where the board does not
/// start anew after that, for longer. Ends with the supply off.
pub(crate) async fn cycle(dut: &LiveDut, times: u32) -> Result<String, ProvisionError> {
    let Some(power) = &dut.slot.power else {
        let fault = Fault::new(InfraKind::Config, "slot", "cycle", &dut.slot.id);
        return Err(fault.expected("a power output", "none in the rig file").into());
    };
    let (stage, words) = first_words(&dut.spec, dut.console.log.here())?;
    to_dut(dut, SWITCH).await?;
    // What is off already cannot be cut; whether it starts now is seen in the first cycle.
    wait_for_leave(dut, power).await?;
    switch_on(dut, power, SWITCH).await?;
    let least = power.limits().min_off.max(LEAST);
    let mut told = Vec::new();
    let mut last = None;
    for longer in LONGER {
        let off = least * longer;
        match round(dut, power, &words, off, times).await? {
            Round::Anew(longest) => {
                measure(dut, OFF, longest);
                wait_for_leave(dut, power).await?;
                power_down(dut).await?;
                let at_most = longest.as_secs_f64();
                told.push(format!(
                    "{times} of {times} times it started anew, off for {at_most:.1} s at most"
                ));
                return Ok(told.join("; "));
            }
            Round::Not { cycle, off, since, stop } => {
                measure(dut, TOO_SHORT, off);
                let off = off.as_secs_f64();
                told.push(format!("off for {off:.1} s it did not start anew in cycle {cycle} of {times}"));
                last = Some((since, stop));
            }
        }
    }
    for line in told {
        dut.evidence(Evidence::Note(line));
    }
    let nothing = || (dut.console.log.here(), dut.wait(STEP, AWAKE).stop("nothing"));
    let (since, stop) = last.unwrap_or_else(nothing);
    let late = BootFailure::Late { stage, after: "power".to_owned(), outside: false, stop };
    Err(ProvisionError::dut(Cut::Boot(late), since))
}

/// What a start shows first: of the stages up to the first that must come.
fn first_words(spec: &BootSpec, here: Cursor) -> Result<(String, Patterns), ProvisionError> {
    let mut patterns = Vec::new();
    for stage in &spec.stages {
        if let Seen::Console(seen) = &stage.seen {
            patterns.extend(seen);
            if !stage.optional {
                let broken = |error| Cut::Broken(format!("stage `{}` of the board: {error}", stage.name));
                let words =
                    Patterns::compile(&patterns).map_err(|error| ProvisionError::dut(broken(error), here))?;
                return Ok((stage.name.clone(), words));
            }
        }
    }
    let fault = Fault::new(InfraKind::Config, "board", "see a start of", "the board");
    Err(fault.expected("a stage that is seen on the console", "none").into())
}

async fn round(
    dut: &LiveDut,
    power: &Guarded,
    words: &Patterns,
    off: Duration,
    times: u32,
) -> Result<Round, ProvisionError> {
    let clock = dut.console.log.clock().clone();
    let mut longest = Duration::ZERO;
    for cycle in 1..=times {
        wait_for_leave(dut, power).await?;
        // Between the order and its proof it may have been off already.
        let off_at = clock.now();
        power_down(dut).await?;
        let left = (off_at + off).since(clock.now());
        let pause = dut.wait("time without power", left + Duration::from_secs(30)).at_rig_pace();
        pause.pause(left, || "the supply off".to_owned()).await.map_err(|stop| stopped(power, stop))?;
        let (since, _) = switch_on(dut, power, SWITCH).await?;
        let mut here = since;
        let off = clock.now().since(off_at);
        longest = longest.max(off);
        let by = dut.wait("the board's first words", AWAKE);
        let mut finder = Box::new(Finder::new(words));
        match dut.waiting.on(dut.console.log.expect(&mut here, finder.as_mut(), &by)).await {
            Ok(_) => {}
            Err(WaitEnd::Stopped(stop @ Stop::Late(_))) => {
                return Ok(Round::Not { cycle, off, since, stop });
            }
            Err(WaitEnd::Stopped(stop)) => return Err(stopped(power, stop)),
            Err(WaitEnd::Closed(closed)) => {
                let fault = Fault::new(InfraKind::Console, "slot", "follow", &dut.slot.id);
                return Err(fault.expected("an open console", closed.why).into());
            }
        }
    }
    Ok(Round::Anew(longest))
}

/// With the supply as it is, until one more cycle is within its limit.
async fn wait_for_leave(dut: &LiveDut, power: &Guarded) -> Result<(), ProvisionError> {
    let left = power.until_another_cycle(dut.console.log.clock().now()).await;
    let by = dut.wait("leave for one more cycle", left + Duration::from_secs(30)).at_rig_pace();
    by.pause(left, || "as many cycles in a minute as the limit has".to_owned())
        .await
        .map_err(|stop| stopped(power, stop))
}

fn stopped(power: &Guarded, stop: Stop) -> ProvisionError {
    match stop {
        Stop::Cancelled(_) => ProvisionError::Cancelled,
        stop @ Stop::Late(_) => {
            Fault::new(InfraKind::Power, "slot", "cycle", power.describe()).stopped(stop).into()
        }
    }
}

fn measure(dut: &LiveDut, name: &str, span: Duration) {
    let (name, unit) = (name.to_owned(), "s".to_owned());
    let measure = Measure { name, value: span.as_secs_f64(), unit, better: Better::Lower };
    dut.sink.emit(Event::Measured { case: None, measure });
}
