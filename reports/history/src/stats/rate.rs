//! Rates of failure: how sure one can be of them, and whether two differ.

use serde::{Deserialize, Serialize};

use super::special::{beta_quantile, ln_choose, normal_quantile};

/// How the interval is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Clopper and Pearson's: never covers less than it says. The default.
    #[default]
    Exact,
    /// Wilson's score: shorter, right on average.
    Wilson,
}

/// A rate and the bounds between which it lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// `k / n`; 0 when there is nothing to count.
    pub rate: f64,
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

/// The two-sided interval of a rate of which `k` of `n` were seen. Of nothing, nothing is known.
pub fn interval(k: u64, n: u64, confidence: f64, method: Method) -> Interval {
    if n == 0 {
        return Interval { rate: 0.0, low: 0.0, high: 1.0 };
    }
    let k = k.min(n);
    let (hits, all) = (k as f64, n as f64);
    let rate = hits / all;
    let half = (1.0 - confidence) / 2.0;
    let (low, high) = match method {
        Method::Exact => (
            if k == 0 { 0.0 } else { beta_quantile(half, hits, all - hits + 1.0) },
            if k == n { 1.0 } else { beta_quantile(1.0 - half, hits + 1.0, all - hits) },
        ),
        Method::Wilson => {
            let z = normal_quantile(1.0 - half);
            let centre = rate + z * z / (2.0 * all);
            let spread = z * (rate * (1.0 - rate) / all + z * z / (4.0 * all * all)).sqrt();
            let whole = 1.0 + z * z / all;
            let low = if k == 0 { 0.0 } else { (centre - spread) / whole };
            let high = if k == n { 1.0 } else { (centre + spread) / whole };
            (low, high)
        }
    };
    Interval { rate, low, high }
}

/// The rate of failure above which `n` attempts without a failure would, with this confidence, have
/// shown one. 1 when there was no attempt.
pub fn seen_rate(n: u64, confidence: f64) -> f64 {
    if n == 0 { 1.0 } else { 1.0 - (1.0 - confidence).powf(1.0 / n as f64) }
}

/// Fisher's exact test, two-sided: how likely two groups of one rate differ at least so much.
/// Each group is (failures, attempts).
pub fn fisher(a: (u64, u64), b: (u64, u64)) -> f64 {
    let (failures, attempts) = (a.0 + b.0, a.1 + b.1);
    let least = failures.saturating_sub(b.1);
    let most = failures.min(a.1);
    let whole = ln_choose(attempts, failures);
    let chance = |k: u64| ln_choose(a.1, k) + ln_choose(b.1, failures - k) - whole;
    let seen = chance(a.0);
    // The same allowance for rounding as R's and SciPy's.
    let sum: f64 = (least..=most).map(chance).filter(|p| *p <= seen + 1e-7).map(f64::exp).sum();
    sum.min(1.0)
}
