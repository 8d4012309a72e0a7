//! Whether one set of numbers is larger than another, without a guess at their law.

use serde::{Deserialize, Serialize};

use super::special::{ln_choose, normal_upper};

/// Beyond so many pairs the normal law is as good as counting, and counting is slow.
const COUNTED: usize = 20_000;

/// So many values in all are counted out with their ties, too: in small sets the normal law says
/// less than the smallest p there can be ([`least_p`]).
const TIED: usize = 20;

/// What is asked of two sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alternative {
    /// The first is larger.
    Greater,
    /// They differ.
    TwoSided,
}

/// What the test of Mann and Whitney says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// How often a value of the first set exceeds one of the second; ties count half.
    pub u: f64,
    /// How likely that is when both are of one law.
    pub p: f64,
}

/// Mann and Whitney's U: by counting all ways to deal the ranks out when there are at most
/// twenty values, or one set has at most eight and none is tied; else by the normal law with
/// corrections for ties and continuity. `p` is 1 when a set is empty.
pub fn mann_whitney(first: &[f64], second: &[f64], ask: Alternative) -> Comparison {
    let (n, m) = (first.len(), second.len());
    if n == 0 || m == 0 {
        return Comparison { u: 0.0, p: 1.0 };
    }
    let mut all: Vec<(f64, bool)> = first.iter().map(|value| (*value, true)).collect();
    all.extend(second.iter().map(|value| (*value, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks, mut ties, mut at) = (0.0, 0.0, 0);
    let (mut doubled, mut of_the_first) = (Vec::with_capacity(n + m), 0);
    while at < all.len() {
        let same = all[at..].iter().take_while(|entry| entry.0.total_cmp(&all[at].0).is_eq()).count();
        let of_first = all[at..at + same].iter().filter(|entry| entry.1).count();
        // Those that are tied share the middle of their ranks, which count from 1.
        let rank = f64::midpoint((at + 1) as f64, (at + same) as f64);
        ranks += rank * of_first as f64;
        ties += (same * same * same - same) as f64;
        // Twice the rank is a whole number: (at + 1) + (at + same).
        doubled.extend(std::iter::repeat_n(2 * at + same + 1, same));
        of_the_first += (2 * at + same + 1) * of_first;
        at += same;
    }
    let (size, other) = (n as f64, m as f64);
    let u = ranks - size * (size + 1.0) / 2.0;
    if n + m <= TIED && ties > 0.0 {
        let (at_most, at_least) = dealt(&doubled, n, of_the_first);
        let p = match ask {
            Alternative::Greater => at_least,
            // With ties the law need not be symmetric.
            Alternative::TwoSided => 2.0 * at_least.min(at_most),
        };
        return Comparison { u, p: p.clamp(0.0, 1.0) };
    }
    let larger = match ask {
        Alternative::Greater => u,
        Alternative::TwoSided => u.max(size * other - u),
    };
    let few = n + m <= TIED || (n.min(m) <= 8 && n * m <= COUNTED);
    let one_sided = if few && ties == 0.0 {
        exact(n, m, larger as usize)
    } else {
        let total = size + other;
        let variance = size * other / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
        // All values equal: nothing speaks for a difference.
        if variance <= 0.0 {
            1.0
        } else {
            normal_upper((larger - size * other / 2.0 - 0.5) / variance.sqrt())
        }
    };
    let p = match ask {
        Alternative::Greater => one_sided,
        Alternative::TwoSided => 2.0 * one_sided,
    };
    Comparison { u, p: p.clamp(0.0, 1.0) }
}

/// The smallest p that sets of these sizes can have, one-sided: all of one set above all of the other.
pub fn least_p(n: usize, m: usize) -> f64 {
    (-ln_choose((n + m) as u64, n as u64)).exp()
}

/// The chances that `n` of these ranks, dealt out blindly, add up to at most, and to at least, `sum`.
fn dealt(ranks: &[usize], n: usize, sum: usize) -> (f64, f64) {
    let most: usize = ranks.iter().sum();
    // By how many ranks were taken and what they add up to; at most C(20, 10) ways each.
    let mut ways = vec![vec![0_u64; most + 1]; n + 1];
    ways[0][0] = 1;
    for rank in ranks {
        // From above, so that no rank is taken twice.
        for taken in (1..=n).rev() {
            for total in (*rank..=most).rev() {
                ways[taken][total] += ways[taken - 1][total - rank];
            }
        }
    }
    let all: u64 = ways[n].iter().sum();
    let share = |part: &[u64]| part.iter().sum::<u64>() as f64 / all as f64;
    (share(&ways[n][..=sum]), share(&ways[n][sum..]))
}

/// The chance of a U of at least `u`, from the number of orders with each U.
fn exact(n: usize, m: usize, u: usize) -> f64 {
    // Orders of i values of one set among j of the other, by their U: the largest of them all
    // belongs to the first set (and adds j) or to the second.
    let (n, m) = (n.min(m), n.max(m));
    let mut before: Vec<Vec<f64>> = vec![vec![1.0]; m + 1];
    for i in 1..=n {
        let mut now: Vec<Vec<f64>> = vec![vec![1.0]];
        for j in 1..=m {
            let mut ways = vec![0.0; i * j + 1];
            for (at, many) in before[j].iter().enumerate() {
                ways[at + j] += many;
            }
            for (at, many) in now[j - 1].iter().enumerate() {
                ways[at] += many;
            }
            now.push(ways);
        }
        before = now;
    }
    let ways = &before[m];
    let total: f64 = ways.iter().sum();
    ways.iter().skip(u).sum::<f64>() / total
}

/// The fewest values of each set with which the one-sided test can say anything at this level: with
/// fewer, even two sets that do not overlap are no evidence.
pub fn least_repeats(alpha: f64) -> usize {
    (1..=1000).find(|n| -ln_choose(2 * *n as u64, *n as u64) <= alpha.ln() + 1e-9).unwrap_or(1000)
}

/// The middle value; 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}
