//! The boot machine: watches a console climb the stages of a [`BootSpec`].

use std::collections::VecDeque;
use std::time::Duration;

use shakedown_core::{
    BadSpec, BootFailure, BootReport, BootSpec, Chunk, Closed, Mono, PaceGauge, Resets, Seen, StageSpec,
    StageTime, Stop, Waited,
};

use crate::lines::{Line, Lines};
use crate::pattern::{LineSet, PatternError, Patterns};

/// What the machine has to say.
#[derive(Clone, Debug, PartialEq)]
pub enum BootStep {
    /// A stage was reached.
    Stage(StageTime),
    /// The boot failed; nothing comes after this.
    Failed(BootFailure),
}

/// A stage that the machine does not wait for from outside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no stage `{name}` is seen from outside; there are: {}", known.join(", "))]
pub struct UnknownStage {
    /// What was asked for.
    pub name: String,
    /// The names of the stages that are seen from outside.
    pub known: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
enum Owner {
    Stage(usize),
    Bad(usize),
}

/// A known-bad line was seen; the lines after it are being read.
#[derive(Debug)]
struct Dying {
    bad: usize,
    until: Mono,
    stage: String,
    lines: Vec<String>,
}

/// Watches one boot. Sans-I/O: it is fed with chunks and with the time.
///
/// Patterns are searched **line by line** (without terminal codes; lines of more than
/// 4 KiB in overlapping pieces). A line without an end, such as a prompt, is judged
/// once the console paused for [`BootMachine::QUIET`]. So the outcome depends on the
/// bytes and their times, never on how they were cut.
///
/// - A stage before which a non-optional one is missing: [`BootFailure::OutOfOrder`].
/// - A `once` stage seen after a later one: [`BootFailure::Reset`], unless further
///   starts are allowed; then the climb starts over there.
/// - A known-bad line: its `drain` is waited for, then [`BootFailure::Bad`] with the
///   lines around it. Only while booting: what comes after *up* is not judged here.
/// - A stage that does not come within its time × pace (and that of the optional
///   stages that may come before it): [`BootFailure::Late`].
///
/// The pace is the factor that the caller gives (how short of CPU the DUT is now, how slow its last
/// boot was), or what this very boot was measured at, whichever is more.
///
/// - A stage that may be left out and shows late is passed over when a stage seen from outside
///   came first: the console has a way of its own, and the network may be quicker.
///
/// Feed all chunks that are there before a `tick`: a tick judges by what was fed.
#[derive(Debug)]
pub struct BootMachine {
    stages: Vec<StageSpec>,
    bad: Vec<BadSpec>,
    set: LineSet,
    owners: Vec<Owner>,
    allowed: Resets,
    start: Mono,
    factor: f64,
    lines: Lines,
    recent: VecDeque<String>,
    fed: Vec<Line>,
    reached: Vec<StageTime>,
    /// The first stage that was neither reached nor skipped.
    next: usize,
    /// When the last stage was reached, or the climb began.
    since: Mono,
    resets: u32,
    banners: u32,
    banner_shown: bool,
    actual: Duration,
    typical: Duration,
    dying: Option<Dying>,
    over: bool,
}

impl BootMachine {
    /// How long the console must pause before a line without an end is judged.
    pub const QUIET: Duration = Duration::from_millis(200);
    /// How many lines before a known-bad one are kept.
    pub const BEFORE: usize = 12;
    /// How many lines after a known-bad one are kept.
    pub const AFTER: usize = 40;

    /// No stage is waited for longer, whatever its descriptor says.
    const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

    /// Watches a boot that began at `start` (power-on, or when the reboot was asked
    /// for); `pace` is the factor on its deadlines in force now.
    ///
    /// # Errors
    /// A pattern that is not valid; [`PatternError::which`] says of which stage.
    pub fn new(spec: &BootSpec, start: Mono, pace: f64) -> Result<Self, PatternError> {
        let (mut patterns, mut owners, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for (index, stage) in spec.stages.iter().enumerate() {
            if let Seen::Console(list) = &stage.seen {
                for (number, pattern) in list.iter().enumerate() {
                    patterns.push(pattern.as_str());
                    owners.push(Owner::Stage(index));
                    names.push(format!("stage {}, pattern {}", stage.name, number + 1));
                }
            }
        }
        for (index, bad) in spec.bad.iter().enumerate() {
            patterns.push(bad.pattern.as_str());
            owners.push(Owner::Bad(index));
            names.push(format!("known-bad line {}", bad.id));
        }
        let set = Patterns::compile(&patterns).and_then(|patterns| patterns.per_line());
        let set = set.map_err(|why| PatternError { which: names[why.index].clone(), ..why })?;
        let mut machine = Self {
            stages: spec.stages.clone(),
            bad: spec.bad.clone(),
            set,
            owners,
            allowed: Resets::default(),
            start,
            factor: 1.0,
            lines: Lines::default(),
            recent: VecDeque::new(),
            fed: Vec::new(),
            reached: Vec::new(),
            next: 0,
            since: start,
            resets: 0,
            banners: 0,
            banner_shown: false,
            actual: Duration::ZERO,
            typical: Duration::ZERO,
            dying: None,
            over: false,
        };
        machine.set_factor(pace);
        Ok(machine)
    }

    /// The same, for a boot that may start several times or show known-bad lines.
    #[must_use]
    pub fn allowing(mut self, resets: &Resets) -> Self {
        self.allowed = resets.clone();
        self
    }

    /// Bytes of the main console, in order; `pace` is the factor on the deadlines in force.
    pub fn feed(&mut self, chunk: &Chunk, pace: f64, steps: &mut Vec<BootStep>) {
        self.set_factor(pace);
        // Bytes of one moment belong together, whatever is due then.
        self.advance(|due| due < chunk.at, steps);
        let mut fed = std::mem::take(&mut self.fed);
        self.lines.feed(chunk, &mut fed);
        let mut done = None;
        for mut line in fed.drain(..) {
            if let Some(before) = done.take() {
                line.done = before;
            }
            self.judge(&mut line, steps);
            self.remember(&line);
            // The next piece of the same line overlaps: what was acted on stays acted on.
            done = line.cut.then_some(line.done);
        }
        if let Some(before) = done {
            self.lines.open_mut().done.extend(before);
        }
        self.fed = fed;
    }

    /// The time is `now`; `pace` is the factor on the deadlines in force.
    pub fn tick(&mut self, now: Mono, pace: f64, steps: &mut Vec<BootStep>) {
        self.set_factor(pace);
        self.advance(|due| due <= now, steps);
    }

    /// When a `tick` is due even if nothing comes; `None` when it is all over.
    pub fn wake_at(&self, pace: f64) -> Option<Mono> {
        let quiet = self.quiet_at();
        let end = match &self.dying {
            _ if self.over => return None,
            Some(dying) => Some(dying.until),
            None => self.deadline(held(pace)).map(|(_, by)| by),
        };
        quiet.into_iter().chain(end).min()
    }

    /// A stage that is seen from outside ([`Seen::Shell`], [`Seen::Engine`]) was reached.
    /// Ask for it only when [`BootMachine::awaiting`] names it: coming early is out of order.
    ///
    /// # Errors
    /// No such stage is seen from outside.
    pub fn reached(
        &mut self,
        stage: &str,
        at: Mono,
        saw: &str,
        pace: f64,
        steps: &mut Vec<BootStep>,
    ) -> Result<(), UnknownStage> {
        self.set_factor(pace);
        let outside = |spec: &&StageSpec| !matches!(spec.seen, Seen::Console(_));
        let Some(index) = self.stages.iter().position(|spec| outside(&spec) && spec.name == stage) else {
            let known = self.stages.iter().filter(outside).map(|spec| spec.name.clone()).collect();
            return Err(UnknownStage { name: stage.to_owned(), known });
        };
        self.advance(|due| due < at, steps);
        if !self.over && self.dying.is_none() {
            self.saw_stage(index, at, saw, steps);
        }
        Ok(())
    }

    /// The console ended and no more will come.
    pub fn closed(&mut self, closed: Closed, steps: &mut Vec<BootStep>) {
        self.judge_open(steps);
        if let Some(dying) = self.dying.take() {
            self.died(dying, steps);
        }
        if !self.over {
            self.fail(BootFailure::Closed(closed), steps);
        }
    }

    /// The stage that must come next: the first that is not optional. `None` when up or failed.
    pub fn awaiting(&self) -> Option<&StageSpec> {
        self.stages[self.next..].iter().find(|stage| !stage.optional).filter(|_| !self.over)
    }

    /// Whether the last non-optional stage was reached.
    pub fn is_up(&self) -> bool {
        self.dying.is_none() && self.stages[self.next..].iter().all(|stage| stage.optional)
    }

    /// How slow this boot was, measured on the stages whose typical time is known:
    /// 1 to [`PaceGauge::MAX`].
    pub fn pace(&self) -> f64 {
        if self.typical.is_zero() {
            1.0
        } else {
            held(self.actual.as_secs_f64() / self.typical.as_secs_f64())
        }
    }

    /// The failure of a boot whose watcher gives up first: what is awaited did not come.
    pub fn given_up(&self, stop: Stop) -> BootFailure {
        let awaited = self.awaiting();
        BootFailure::Late {
            stage: awaited.map_or_else(|| "ready".to_owned(), |stage| stage.name.clone()),
            after: self.last_stage(),
            outside: awaited.is_some_and(|stage| !matches!(stage.seen, Seen::Console(_))),
            stop,
        }
    }

    /// What was reached in the last climb, and the pace.
    pub fn into_report(self) -> BootReport {
        BootReport { pace: self.pace(), stages: self.reached, banners: self.banners }
    }

    fn set_factor(&mut self, pace: f64) {
        self.factor = held(pace);
    }

    /// The stage waited for and its deadline.
    fn deadline(&self, factor: f64) -> Option<(&StageSpec, Mono)> {
        let rest = &self.stages[self.next..];
        let required = rest.iter().position(|stage| !stage.optional)?;
        let within = rest[..=required].iter().map(|stage| stage.within);
        let span = within.fold(Duration::ZERO, Duration::saturating_add).min(Self::LONGEST);
        Some((&rest[required], self.since + span.mul_f64(factor.max(self.pace()))))
    }

    /// When a line without an end is to be judged as it stands.
    fn quiet_at(&self) -> Option<Mono> {
        let open = self.lines.open();
        (!open.looked && !open.bytes.is_empty()).then(|| open.at + Self::QUIET)
    }

    /// Does what is due.
    fn advance(&mut self, due: impl Fn(Mono) -> bool, steps: &mut Vec<BootStep>) {
        if self.quiet_at().is_some_and(&due) {
            self.judge_open(steps);
        }
        if self.over {
            return;
        }
        if let Some(dying) = self.dying.take_if(|dying| due(dying.until)) {
            self.died(dying, steps);
        } else if self.dying.is_none() && self.deadline(self.factor).is_some_and(|(_, by)| due(by)) {
            // What was said counts, even without the pause that usually shows its end.
            self.judge_open(steps);
            self.check_deadline(due, steps);
        }
    }

    fn check_deadline(&mut self, due: impl Fn(Mono) -> bool, steps: &mut Vec<BootStep>) {
        let (false, None, Some((stage, by))) = (self.over, &self.dying, self.deadline(self.factor)) else {
            return;
        };
        if !due(by) {
            return;
        }
        let open = self.lines.open().text();
        let last_seen = if open.is_empty() { self.recent.back().cloned().unwrap_or_default() } else { open };
        let waited = Waited { name: stage.name.clone(), waited: by.since(self.since), last_seen };
        self.fail(self.given_up(Stop::Late(waited)), steps);
    }

    fn judge_open(&mut self, steps: &mut Vec<BootStep>) {
        let mut open = std::mem::take(self.lines.open_mut());
        if !open.looked {
            self.judge(&mut open, steps);
            open.looked = true;
        }
        *self.lines.open_mut() = open;
    }

    /// Acts on the patterns of a line that were not acted on yet.
    fn judge(&mut self, line: &mut Line, steps: &mut Vec<BootStep>) {
        if self.over || self.dying.is_some() {
            return;
        }
        let found: Vec<usize> =
            self.set.matching(&line.bytes).filter(|index| !line.done.contains(index)).collect();
        for index in found {
            line.done.insert(index);
            match self.owners[index] {
                Owner::Stage(stage) => self.saw_stage(stage, line.at, &line.text(), steps),
                Owner::Bad(bad) => self.saw_bad(bad, line),
            }
            if self.over || self.dying.is_some() {
                break;
            }
        }
    }

    /// Keeps a complete line for those who ask what was said around something.
    fn remember(&mut self, line: &Line) {
        let text = line.text();
        if text.is_empty() {
            return;
        }
        if let Some(dying) = &mut self.dying
            && dying.lines.len() <= Self::BEFORE + Self::AFTER
        {
            dying.lines.push(text.clone());
        }
        if self.recent.len() == Self::BEFORE {
            self.recent.pop_front();
        }
        self.recent.push_back(text);
    }

    fn saw_bad(&mut self, bad: usize, line: &Line) {
        let spec = &self.bad[bad];
        if self.allowed.bad.contains(&spec.id) || self.is_up() {
            return;
        }
        let until = line.at + spec.drain;
        let lines = self.recent.iter().cloned().collect();
        self.dying = Some(Dying { bad, until, stage: self.last_stage(), lines });
    }

    fn died(&mut self, mut dying: Dying, steps: &mut Vec<BootStep>) {
        dying.lines.extend(Some(self.lines.open().text()).filter(|text| !text.is_empty()));
        let BadSpec { id, says, blame, .. } = self.bad[dying.bad].clone();
        let failure = BootFailure::Bad { id, says, blame, stage: dying.stage, lines: dying.lines };
        self.fail(failure, steps);
    }

    fn saw_stage(&mut self, index: usize, at: Mono, saw: &str, steps: &mut Vec<BootStep>) {
        let stage = &self.stages[index];
        if self.is_up() {
            return;
        }
        if index + 1 >= self.next {
            // Never twice in a climb.
            if index + 1 > self.next {
                self.climb_to(index, at, saw, steps);
            }
        } else if stage.once {
            if self.resets < self.allowed.up_to {
                self.resets += 1;
                self.start_over(index, at, saw, steps);
            } else {
                let failure = BootFailure::Reset { stage: self.last_stage(), line: saw.to_owned() };
                self.fail(failure, steps);
            }
        } else if self.reached.iter().all(|seen| seen.name != stage.name) && !self.was_overtaken(index) {
            let expected = self.awaiting().map_or_else(|| "ready".to_owned(), |stage| stage.name.clone());
            self.out_of_order(expected, index, saw, steps);
        }
    }

    /// Whether this stage may be left out, and the one that came in its stead is seen from outside.
    fn was_overtaken(&self, index: usize) -> bool {
        let above = |spec: &&StageSpec| self.reached.iter().any(|seen| seen.name == spec.name);
        let by = self.stages[index + 1..self.next].iter().find(above);
        self.stages[index].optional && by.is_some_and(|by| !matches!(by.seen, Seen::Console(_)))
    }

    /// A stage further up.
    fn climb_to(&mut self, index: usize, at: Mono, saw: &str, steps: &mut Vec<BootStep>) {
        let skipped = &self.stages[self.next..index];
        if let Some(missing) = skipped.iter().find(|stage| !stage.optional) {
            let expected = missing.name.clone();
            return self.out_of_order(expected, index, saw, steps);
        }
        let stage = &self.stages[index];
        if let Some(typical) = stage.typical {
            self.typical += typical + skipped.iter().filter_map(|stage| stage.typical).sum();
            self.actual += at.since(self.since);
        }
        if stage.once && !self.banner_shown {
            self.banner_shown = true;
            self.banners += 1;
        }
        let time =
            StageTime { name: stage.name.clone(), after: at.since(self.start), at, saw: saw.to_owned() };
        self.reached.push(time.clone());
        self.next = index + 1;
        self.since = at;
        steps.push(BootStep::Stage(time));
        if self.is_up() {
            self.over = true;
        }
    }

    /// An allowed reset, first noticed by the `once` stage `index`.
    fn start_over(&mut self, index: usize, at: Mono, saw: &str, steps: &mut Vec<BootStep>) {
        self.reached.clear();
        self.banner_shown = false;
        self.since = at;
        // Stages below that may show twice were not noticed as a new start.
        let missing = self.stages[..index].iter().position(|stage| stage.once && !stage.optional);
        self.next = missing.unwrap_or(index);
        self.climb_to(index, at, saw, steps);
    }

    fn out_of_order(&mut self, expected: String, index: usize, saw: &str, steps: &mut Vec<BootStep>) {
        let got = self.stages[index].name.clone();
        self.fail(BootFailure::OutOfOrder { expected, got, line: saw.to_owned() }, steps);
    }

    fn fail(&mut self, failure: BootFailure, steps: &mut Vec<BootStep>) {
        self.over = true;
        steps.push(BootStep::Failed(failure));
    }

    fn last_stage(&self) -> String {
        self.reached.last().map_or_else(|| "power".to_owned(), |stage| stage.name.clone())
    }
}

fn held(factor: f64) -> f64 {
    if factor.is_finite() { factor.clamp(1.0, PaceGauge::MAX) } else { 1.0 }
}
