//! Rates of failure, how sure they are, and what explains them.

use std::collections::{BTreeMap, HashMap};

use rusqlite::params_from_iter;
use serde::{Deserialize, Serialize};
use shakedown_core::outcome::Word;

use crate::error::HistoryError;
use crate::filter::{Filter, Over};
use crate::numbers::word_number;
use crate::stats::{Interval, Method, fisher, interval};
use crate::store::History;

/// What rates are taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// One row a case.
    #[default]
    Case,
    /// One row a slot.
    Slot,
    /// One row a board type.
    Board,
    /// One row an image.
    Image,
}

impl By {
    /// The word for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Case => "case",
            Self::Slot => "slot",
            Self::Board => "board",
            Self::Image => "image",
        }
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Which attempts.
    pub filter: Filter,
    /// One row for each of these.
    pub by: By,
    /// What counts as bad: `fail`, or `infra` for the rig's own rate.
    pub bad: Word,
    /// Of the interval: 0.95.
    pub confidence: f64,
    /// How the interval is made.
    pub method: Method,
}

impl Default for Ask {
    fn default() -> Self {
        let (filter, by, method) = (Filter::default(), By::default(), Method::default());
        Self { filter, by, bad: Word::Fail, confidence: 0.95, method }
    }
}

/// Failures and attempts. Only attempts that passed or ended badly are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Attempts that ended badly.
    pub bad: u64,
    /// These, and those that passed.
    pub all: u64,
}

/// A rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flake {
    /// The case, slot, board or image.
    pub name: String,
    /// What was counted.
    pub tally: Tally,
    /// The rate and its bounds.
    pub interval: Interval,
    /// Attempts that say nothing: skipped, blocked, lost to the rig, undetermined, broken, cut off.
    pub silent: u64,
    /// On which images; told of cases only.
    pub images: Option<Images>,
    /// What explains a case's failures best; `None` when nothing does so with significance.
    pub explained: Option<Explained>,
}

/// On how many images something was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Images {
    /// Passed or ended badly on so many.
    pub tried: u64,
    /// Did both on one image on so many of them: there it is flaky, whatever the reason.
    pub mixed: u64,
}

/// One value of one factor that stands out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explained {
    /// Which factor.
    pub by: By,
    /// Which value of it.
    pub value: String,
    /// There.
    pub here: Tally,
    /// Everywhere else.
    pub elsewhere: Tally,
    /// Fisher's exact test of the two rates, times the number of values that were compared.
    pub p: f64,
}

/// Below this, chance is no explanation.
const SIGNIFICANT: f64 = 0.01;

/// One group of attempts that have everything in common that may explain them.
struct Cell {
    keys: BTreeMap<By, i64>,
    tally: Tally,
    silent: u64,
}

/// What the cells of one row add up to.
#[derive(Default)]
struct Sum {
    tally: Tally,
    silent: u64,
    factors: BTreeMap<(By, i64), Tally>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.bad += other.bad;
        self.all += other.all;
    }
}

impl History {
    /// Rates of failure, the highest lower bound first: what is surely bad stands on top.
    pub fn flakes(&self, ask: &Ask) -> Result<Vec<Flake>, HistoryError> {
        let useless = |got, why| HistoryError::Useless { question: "flakes".to_owned(), got, why };
        if matches!(ask.bad, Word::Pass | Word::Skip) {
            return Err(useless("pass or skip as what is bad", "neither is a way to end badly"));
        }
        if ask.filter.outcome.is_some() {
            return Err(useless("outcome", "a rate is taken over all attempts; `bad` is what is counted"));
        }
        let mut sums: BTreeMap<i64, Sum> = BTreeMap::new();
        let rolled = ask.filter.is_rolled_up();
        // The roll-ups know slots and images apart; rows know both at once. What explains a rate is
        // asked of cases only, and those need both.
        let (slots, images) = (("by_slot", By::Slot), ("by_image", By::Image));
        let sources: &[(&str, By)] = match (rolled, ask.by) {
            (false, _) => &[("attempt", By::Slot)],
            (true, By::Case) => &[slots, images],
            (true, By::Image) => &[images],
            (true, By::Slot | By::Board) => &[slots],
        };
        for (index, (source, finest)) in sources.iter().enumerate() {
            for cell in self.cells(ask, source, *finest)? {
                let Some(row) = cell.keys.get(&ask.by) else { continue };
                let sum = sums.entry(*row).or_default();
                // The second roll-up counts the same attempts again, by another factor.
                if index == 0 {
                    sum.tally.add(cell.tally);
                    sum.silent += cell.silent;
                }
                for (factor, value) in &cell.keys {
                    if *factor != By::Case && (index == 0 || *factor == By::Image) {
                        sum.factors.entry((*factor, *value)).or_default().add(cell.tally);
                    }
                }
            }
        }
        let mut flakes = Vec::new();
        for (row, sum) in sums {
            if sum.tally.all + sum.silent == 0 {
                continue;
            }
            let of_case = ask.by == By::Case;
            let on = || sum.factors.iter().filter(|((by, _), _)| *by == By::Image).map(|(_, tally)| tally);
            let images = || Images {
                tried: on().filter(|tally| tally.all > 0).count() as u64,
                mixed: on().filter(|tally| tally.bad > 0 && tally.bad < tally.all).count() as u64,
            };
            flakes.push(Flake {
                name: self.name_of(ask.by, row)?,
                tally: sum.tally,
                interval: interval(sum.tally.bad, sum.tally.all, ask.confidence, ask.method),
                silent: sum.silent,
                images: of_case.then(images),
                explained: if of_case { self.explain(&sum)? } else { None },
            });
        }
        flakes.sort_by(|a, b| {
            let worst = b.interval.low.total_cmp(&a.interval.low);
            worst.then(b.interval.rate.total_cmp(&a.interval.rate)).then(a.name.cmp(&b.name))
        });
        Ok(flakes)
    }

    fn cells(&self, ask: &Ask, source: &str, finest: By) -> Result<Vec<Cell>, HistoryError> {
        if source == "attempt" { self.cells_of_rows(ask) } else { self.cells_of_roll_up(ask, source, finest) }
    }

    /// Adds rows up here: they come as they lie in the file, and SQLite would sort all of them first.
    fn cells_of_rows(&self, ask: &Ask) -> Result<Vec<Cell>, HistoryError> {
        let mut all = self.case_conditions(&Filter { since: None, ..ask.filter.clone() })?;
        if let Some(since) = ask.filter.since {
            // Runs lie together in the file: a few of them are read faster than many attempts
            // by their times (`+` keeps SQLite from that). No run takes a week.
            let week = 7 * 86_400_000;
            all.and("a.run IN (SELECT id FROM run WHERE started >= ?)", since.as_millisecond() - week);
            all.and("+a.at >= ?", since.as_millisecond());
        }
        let mut names = self.db.prepare_cached("SELECT id, now FROM kase")?;
        let names = names.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let now: HashMap<i64, i64> = names.collect::<Result<_, _>>()?;
        let mut query = self.db.prepare_cached(&format!(
            "SELECT a.kase, a.board, a.slot, a.image, a.outcome FROM attempt AS a{}",
            all.sql()
        ))?;
        let mut rows = query.query(params_from_iter(&all.values))?;
        let mut cells: HashMap<[i64; 4], (Tally, u64)> = HashMap::new();
        let (bad, passed) = (word_number(ask.bad), word_number(Word::Pass));
        while let Some(row) = rows.next()? {
            let kase: i64 = row.get(0)?;
            let kase = now.get(&kase).copied().unwrap_or(kase);
            let key = [kase, row.get(1)?, row.get(2)?, row.get(3)?];
            let outcome: i64 = row.get(4)?;
            let (tally, silent) = cells.entry(key).or_default();
            if outcome == bad || outcome == passed {
                tally.add(Tally { bad: u64::from(outcome == bad), all: 1 });
            } else {
                *silent += 1;
            }
        }
        let factors = [By::Case, By::Board, By::Slot, By::Image];
        let cell = |(keys, (tally, silent))| Cell {
            keys: factors.into_iter().zip::<[i64; 4]>(keys).collect(),
            tally,
            silent,
        };
        Ok(cells.into_iter().map(cell).collect())
    }

    fn cells_of_roll_up(&self, ask: &Ask, source: &str, finest: By) -> Result<Vec<Cell>, HistoryError> {
        let factors = [By::Case, By::Board, finest];
        let mut all = self.conditions(&ask.filter, Over::RollUp)?;
        self.and_case(&mut all, &ask.filter, "a.kase")?;
        let table = self.rolled(source, &ask.filter)?;
        let column = |by: &By| match by {
            By::Case => "k.now",
            By::Board => "a.board",
            By::Slot => "a.slot",
            By::Image => "a.image",
        };
        let keys: Vec<_> = factors.iter().map(column).collect();
        let keys = keys.join(", ");
        let sum_of = |word: Word| format!("sum(a.{})", word.text().replace('-', "_"));
        let silent: Vec<_> = Word::ALL
            .into_iter()
            .filter(|word| *word != Word::Pass && *word != ask.bad)
            .map(sum_of)
            .collect();
        let mut query = self.db.prepare(&format!(
            "SELECT {}, {}, {}, {keys} FROM {table} AS a JOIN kase AS k ON k.id = a.kase{} GROUP BY {keys}",
            sum_of(ask.bad),
            sum_of(Word::Pass),
            silent.join(" + "),
            all.sql()
        ))?;
        let cells = query.query_map(params_from_iter(&all.values), |row| {
            let (bad, passed, silent): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let keys = factors.iter().enumerate().map(|(at, by)| Ok((*by, row.get(3 + at)?)));
            Ok(Cell {
                keys: keys.collect::<rusqlite::Result<_>>()?,
                tally: Tally { bad: bad as u64, all: (bad + passed) as u64 },
                silent: silent as u64,
            })
        })?;
        // A roll-up keeps rows of attempts that are gone, or that do not count.
        let is_some =
            |cell: &rusqlite::Result<Cell>| !matches!(cell, Ok(cell) if cell.tally.all + cell.silent == 0);
        Ok(cells.filter(is_some).collect::<Result<_, _>>()?)
    }

    /// The value of a factor that differs most surely from all others. Where two values name the
    /// same attempts (a board with one slot), the wider one is told.
    fn explain(&self, sum: &Sum) -> Result<Option<Explained>, HistoryError> {
        if sum.tally.bad == 0 || sum.tally.bad == sum.tally.all {
            return Ok(None);
        }
        let compared = sum.factors.len().max(1) as f64;
        let mut best: Option<((By, i64), Tally, Tally, f64)> = None;
        for order in [By::Image, By::Board, By::Slot] {
            for ((factor, value), here) in sum.factors.iter().filter(|((factor, _), _)| *factor == order) {
                let elsewhere = Tally {
                    bad: sum.tally.bad - here.bad.min(sum.tally.bad),
                    all: sum.tally.all - here.all.min(sum.tally.all),
                };
                // Only what is worse than the rest explains failures.
                if here.bad * elsewhere.all <= elsewhere.bad * here.all {
                    continue;
                }
                let p = fisher((here.bad, here.all), (elsewhere.bad, elsewhere.all)) * compared;
                if p < SIGNIFICANT && best.as_ref().is_none_or(|(_, _, _, least)| p < *least) {
                    best = Some(((*factor, *value), *here, elsewhere, p));
                }
            }
        }
        best.map(|((by, value), here, elsewhere, p)| {
            Ok(Explained { by, value: self.name_of(by, value)?, here, elsewhere, p })
        })
        .transpose()
    }

    pub(crate) fn name_of(&self, by: By, id: i64) -> Result<String, HistoryError> {
        let ask = match by {
            By::Case => "SELECT name FROM kase WHERE id = ?1",
            By::Slot => "SELECT name FROM slot WHERE id = ?1",
            By::Board => "SELECT name FROM board WHERE id = ?1",
            By::Image => {
                "SELECT trim(ifnull(os, '') || ' ' || ifnull(version, '') || ' ' || substr(payload, 1, 12))
                 FROM image WHERE id = ?1"
            }
        };
        Ok(self.db.prepare_cached(ask)?.query_row([id], |row| row.get(0))?)
    }
}
