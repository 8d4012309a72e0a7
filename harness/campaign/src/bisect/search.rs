//! The search itself: which image to try next, and when it is sure. No clock, no I/O.
//!
//! Images stand in order; all from some place on are bad. A bad image fails with a rate that is not
//! known (a deterministic fault: always), a good one with a rate near zero. Every attempt changes how
//! likely each place is, by Bayes' rule; the next image is the one whose attempt tells most.

/// How often a bad image fails, and how likely that is before anything was seen: most faults always do.
const FAILS: [(f64, f64); 11] = [
    (0.05, 0.03),
    (0.1, 0.05),
    (0.2, 0.07),
    (0.3, 0.08),
    (0.4, 0.08),
    (0.5, 0.08),
    (0.6, 0.07),
    (0.7, 0.06),
    (0.8, 0.05),
    (0.9, 0.05),
    (1.0, 0.38),
];
/// How often a good image fails by another fault, and how likely that is.
const STRAYS: [(f64, f64); 3] = [(0.0, 0.9), (0.01, 0.07), (0.05, 0.03)];
/// That the good image is bad, too: somebody said that it is good.
const GOOD_IS_BAD: f64 = 0.02;
/// An image that did not boot so often is left out.
const STRIKES: u32 = 2;
/// An image with which so many attempts could not be told is left out.
const UNTOLD: u32 = 4;

/// What one attempt showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The case passed.
    Pass,
    /// The case failed.
    Fail,
    /// The image did not boot, so the case could not be tried.
    Dead,
    /// Nothing: the rig broke, or it could not be told.
    Nothing,
}

/// All attempts with one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The case passed.
    pub pass: u32,
    /// The case failed.
    pub fail: u32,
    /// It did not boot.
    pub dead: u32,
    /// Nothing was learnt.
    pub nothing: u32,
    /// Attempts that run now.
    pub pending: u32,
}

impl Tally {
    fn is_left_out(&self) -> bool {
        let tried = self.pass + self.fail > 0;
        !tried && (self.dead >= STRIKES || self.nothing >= UNTOLD)
    }
}

/// What the search says so far.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// More attempts are needed.
    Open,
    /// The first bad image is one of these, in order; more than one where images between could not be tried.
    Found {
        /// The candidates.
        first: Vec<usize>,
        /// How sure that is, from 0 to 1.
        sure: f64,
    },
    /// The bad image never failed in so many attempts.
    NotSeen {
        /// Attempts.
        attempts: u32,
    },
    /// The good image fails as well.
    GoodFails {
        /// How sure that is.
        sure: f64,
    },
    /// The good or the bad image cannot be tried: its number.
    EndDead(usize),
}

/// A search over images in order: the first is good, the last is bad.
#[derive(Clone, Debug)]
pub struct Search {
    tallies: Vec<Tally>,
    confidence: f64,
}

impl Search {
    /// Over so many images (at least two), until the answer is as sure as `confidence`, below 1.
    pub fn new(images: usize, confidence: f64) -> Self {
        Self { tallies: vec![Tally::default(); images], confidence }
    }

    /// All attempts so far.
    pub fn tallies(&self) -> &[Tally] {
        &self.tallies
    }

    /// An attempt with this image began.
    pub fn begin(&mut self, image: usize) {
        self.tallies[image].pending += 1;
    }

    /// An attempt with this image showed this.
    pub fn saw(&mut self, image: usize, look: Look) {
        let tally = &mut self.tallies[image];
        tally.pending = tally.pending.saturating_sub(1);
        match look {
            Look::Pass => tally.pass += 1,
            Look::Fail => tally.fail += 1,
            Look::Dead => tally.dead += 1,
            Look::Nothing => tally.nothing += 1,
        }
    }

    /// An attempt with this image was cut off: as if it had not begun.
    pub fn forget(&mut self, image: usize) {
        self.tallies[image].pending = self.tallies[image].pending.saturating_sub(1);
    }

    /// How likely it is that each image is the first bad one.
    pub fn likely(&self) -> Vec<f64> {
        likely(&self.tallies)
    }

    /// What is known now.
    pub fn answer(&self) -> Answer {
        let last = self.tallies.len() - 1;
        for end in [0, last] {
            if self.tallies[end].is_left_out() {
                return Answer::EndDead(end);
            }
        }
        let bad = &self.tallies[last];
        if bad.fail == 0 && self.tallies.iter().all(|tally| tally.fail == 0) {
            // A fault as rare as the rarest that is looked for would have shown itself.
            let missed = (1.0 - FAILS[0].0).powi(bad.pass as i32);
            let given_up = missed < 1.0 - self.confidence;
            return if given_up { Answer::NotSeen { attempts: bad.pass } } else { Answer::Open };
        }
        let likely = self.likely();
        // What is claimed holds with room to spare: the model is a model.
        let enough = 1.0 - (1.0 - self.confidence) / 2.0;
        if likely[0] >= enough {
            return Answer::GoodFails { sure: likely[0] };
        }
        let mut group = Vec::new();
        for image in 1..=last {
            group.push(image);
            if !self.tallies[image].is_left_out() {
                let sure: f64 = group.iter().map(|image| likely[*image]).sum();
                if sure >= enough {
                    return Answer::Found { first: group, sure };
                }
                group.clear();
            }
        }
        Answer::Open
    }

    /// The image whose attempt tells most, given those that run already.
    pub fn next(&self) -> usize {
        let last = self.tallies.len() - 1;
        if self.tallies.iter().all(|tally| tally.fail == 0) {
            // First the fault must be seen: without it every pass is as good as none.
            return last;
        }
        // What runs now is taken to end as is most likely, so that others look elsewhere.
        let mut dreamt = self.tallies.clone();
        let mut posterior = likely(&dreamt);
        for image in 0..=last {
            for _ in 0..self.tallies[image].pending {
                let bad: f64 = posterior[..=image].iter().sum();
                let fails = rate(&dreamt, &posterior);
                if bad * fails > 0.5 {
                    dreamt[image].fail += 1;
                } else {
                    dreamt[image].pass += 1;
                }
                posterior = likely(&dreamt);
            }
        }
        let fails = rate(&dreamt, &posterior);
        let mut bad = 0.0;
        let (mut best, mut most) = (last, f64::MIN);
        for (image, share) in posterior.iter().enumerate() {
            bad += share;
            if self.tallies[image].is_left_out() {
                continue;
            }
            let tells = tells(bad.min(1.0), fails);
            if tells > most {
                (best, most) = (image, tells);
            }
        }
        best
    }
}

/// How many bits an attempt tells about whether an image is bad, which it is with this likelihood.
fn tells(bad: f64, fails: f64) -> f64 {
    let entropy = |p: f64| {
        let part = |p: f64| if p <= 0.0 { 0.0 } else { -p * p.log2() };
        part(p) + part(1.0 - p)
    };
    entropy(bad * fails) - bad * entropy(fails)
}

/// The rate at which bad images seem to fail.
fn rate(tallies: &[Tally], likely: &[f64]) -> f64 {
    let (mut fails, mut tries, mut bad) = (0.0, 0.0, 0.0);
    for (tally, share) in tallies.iter().zip(likely) {
        bad += share;
        fails += bad * f64::from(tally.fail);
        tries += bad * f64::from(tally.fail + tally.pass);
    }
    // As if one failure and a little had been seen: most faults always fail.
    ((fails + 1.0) / (tries + 1.1)).clamp(0.05, 0.99)
}

fn likely(tallies: &[Tally]) -> Vec<f64> {
    let images = tallies.len();
    let all: (u32, u32) =
        tallies.iter().fold((0, 0), |(pass, fail), tally| (pass + tally.pass, fail + tally.fail));
    let log = |p: f64| if p <= 0.0 { f64::NEG_INFINITY } else { p.ln() };
    // Zero times the impossible is certain.
    let times = |many: u32, log: f64| if many == 0 { 0.0 } else { f64::from(many) * log };
    let rates = |list: &[(f64, f64)]| -> Vec<(f64, f64, f64)> {
        list.iter().map(|(rate, prior)| (log(*rate), log(1.0 - rate), log(*prior))).collect()
    };
    let (fails, strays) = (rates(&FAILS), rates(&STRAYS));
    let mut logs = vec![f64::NEG_INFINITY; images * fails.len() * strays.len()];
    let (mut good_pass, mut good_fail) = (0, 0);
    let each = fails.len() * strays.len();
    for (first, part) in logs.chunks_mut(each).enumerate() {
        let prior = if first == 0 { GOOD_IS_BAD } else { (1.0 - GOOD_IS_BAD) / (images - 1) as f64 };
        let (bad_pass, bad_fail) = (all.0 - good_pass, all.1 - good_fail);
        let mut place = part.iter_mut();
        for (fail, pass, likely) in &fails {
            let bad = log(prior) + likely + times(bad_fail, *fail) + times(bad_pass, *pass);
            for (stray, well, likely) in &strays {
                if let Some(place) = place.next() {
                    *place = bad + likely + times(good_fail, *stray) + times(good_pass, *well);
                }
            }
        }
        good_pass += tallies[first].pass;
        good_fail += tallies[first].fail;
    }
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // What is a billionth of a billionth as likely adds nothing, and most are.
    let share = |log: &f64| if *log < most - 41.0 { 0.0 } else { (log - most).exp() };
    let shares: Vec<f64> = logs.chunks(each).map(|part| part.iter().map(share).sum()).collect();
    let whole: f64 = shares.iter().sum();
    shares.into_iter().map(|share| share / whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        random: fastrand::Rng,
        first: usize,
        fails: f64,
        dead: Vec<usize>,
    }

    impl Bench {
        fn look(&mut self, image: usize) -> Look {
            if self.dead.contains(&image) {
                return Look::Dead;
            }
            if self.random.f64() < 0.05 {
                return Look::Nothing;
            }
            if image >= self.first && self.random.f64() < self.fails { Look::Fail } else { Look::Pass }
        }

        /// Searches with so many slots at once, which end in any order; the answer and the attempts.
        fn search(&mut self, images: usize, slots: usize) -> (Answer, u32) {
            let mut search = Search::new(images, 0.99);
            let (mut running, mut attempts) = (Vec::new(), 0);
            loop {
                match search.answer() {
                    Answer::Open => {}
                    answer => return (answer, attempts),
                }
                while running.len() < slots {
                    let image = search.next();
                    search.begin(image);
                    running.push(image);
                }
                let image = running.swap_remove(self.random.usize(..running.len()));
                search.saw(image, self.look(image));
                attempts += 1;
                assert!(attempts < 5000, "no end: {search:?}");
            }
        }
    }

    fn right(seeds: u64, fails: f64, slots: usize) -> (usize, f64) {
        let (mut right, mut all) = (0, 0);
        for seed in 0..seeds {
            let mut random = fastrand::Rng::with_seed(seed);
            let first = random.usize(1..64);
            let (answer, attempts) = Bench { random, first, fails, dead: vec![] }.search(64, slots);
            all += attempts;
            right += usize::from(matches!(&answer, Answer::Found { first: found, .. } if *found == [first]));
        }
        (right, f64::from(all) / seeds as f64)
    }

    #[test]
    fn the_first_bad_of_64_images_is_right_in_99_of_100_searches() {
        for (seeds, fails, slots, most) in
            [(1000, 1.0, 4, 45.0), (1000, 0.3, 1, 120.0), (200, 0.3, 4, 140.0), (200, 1.0, 1, 30.0)]
        {
            let (found, attempts) = right(seeds, fails, slots);
            let share = found as f64 / seeds as f64;
            assert!(share >= 0.99, "{found} of {seeds} right, a fault of {fails} on {slots} slot(s)");
            // Not by trying everything as often as it takes.
            assert!(attempts < most, "{attempts} attempts on average, a fault of {fails} on {slots} slot(s)");
        }
    }

    #[test]
    fn images_that_do_not_boot_are_left_out_and_named_beside_the_one_that_is_found() {
        for seed in 0..50 {
            let mut random = fastrand::Rng::with_seed(seed);
            let first = random.usize(10..50);
            let dead = vec![first - 2, first - 1, first];
            let (answer, _) = Bench { random, first, fails: 1.0, dead }.search(64, 3);
            let Answer::Found { first: found, .. } = answer else { panic!("{answer:?}") };
            assert_eq!(found, [first - 2, first - 1, first, first + 1], "seed {seed}");
        }
        let random = fastrand::Rng::with_seed(1);
        let (answer, _) = Bench { random, first: 3, fails: 1.0, dead: vec![9] }.search(10, 1);
        assert_eq!(answer, Answer::EndDead(9));
    }

    #[test]
    fn a_fault_that_is_not_there_or_everywhere_is_told() {
        let random = || fastrand::Rng::with_seed(5);
        let (answer, attempts) =
            Bench { random: random(), first: 99, fails: 1.0, dead: vec![] }.search(64, 1);
        assert!(matches!(answer, Answer::NotSeen { attempts: 90 }) && attempts < 110, "{answer:?}");
        let (answer, _) = Bench { random: random(), first: 0, fails: 1.0, dead: vec![] }.search(64, 2);
        assert!(matches!(answer, Answer::GoodFails { .. }), "{answer:?}");
        let (answer, _) = Bench { random: random(), first: 0, fails: 0.4, dead: vec![] }.search(64, 2);
        assert!(matches!(answer, Answer::GoodFails { .. }), "{answer:?}");
    }
}
