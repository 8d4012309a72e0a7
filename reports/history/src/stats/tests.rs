//! Against SciPy 1.17.1; the constants are printed by `tests/scipy_values.py`.

#![expect(clippy::unreadable_literal, reason = "as SciPy prints them")]

use super::special::{beta_quantile, ln_gamma, normal_quantile};
use super::*;

// Clopper and Pearson, Wilson: scipy.stats.binomtest(k, n).proportion_ci(confidence, method)
const RATES: &[(u64, u64, f64, f64, f64, f64, f64)] = &[
    (0, 1, 0.95, 0.0, 0.975, 0.0, 0.7934506856227626),
    (1, 1, 0.95, 0.025000000000000022, 1.0, 0.20654931437723745, 1.0),
    (0, 20, 0.95, 0.0, 0.16843347098308548, 0.0, 0.16112515805281935),
    (1, 20, 0.95, 0.0012650894979560339, 0.24873276277202772, 0.008881448800795402, 0.23613119344674205),
    (20, 20, 0.95, 0.8315665290169145, 1.0, 0.8388748419471808, 1.0),
    (7, 300, 0.99, 0.006836441782355916, 0.05615296034097349, 0.00916306767494169, 0.058131610229479484),
    (299, 300, 0.9, 0.9842854451084136, 0.9998290369677474, 0.9851990393158567, 0.9992560076568493),
    (0, 59, 0.95, 0.0, 0.060608900950339835, 0.0, 0.06112937052678838),
    (333, 1000, 0.95, 0.30381780242015766, 0.36316921785200823, 0.3044779033483562, 0.3628002339858192),
    (
        12345,
        1000000,
        0.95,
        0.012129493825566821,
        0.012563337660844883,
        0.012130446166424584,
        0.01256330043238542,
    ),
];

// scipy.stats.fisher_exact([[a, n - a], [b, m - b]]).pvalue
const FISHER: &[((u64, u64), (u64, u64), f64)] = &[
    ((9, 10), (1, 90), 5.204990715315021e-11),
    ((0, 10), (0, 10), 1.0),
    ((3, 10), (3, 10), 1.0),
    ((10, 10), (0, 10), 1.082508822446903e-05),
    ((5, 300), (25, 9000), 0.0024801110837849817),
    ((1, 2), (400, 900), 1.0),
];

// scipy.stats.mannwhitneyu(a, b, alternative); up to 20 values with ties: of all permutations (method)
const RANKS: &[(&[f64], &[f64], f64, f64, f64)] = &[
    (&[3.1, 3.4, 3.6], &[1.0, 2.0, 2.5], 9.0, 0.05, 0.1),
    (&[1.0, 2.0, 3.0], &[1.5, 2.5, 3.5, 4.5], 3.0, 0.8857142857142858, 0.4),
    (&[5.0, 5.0, 5.0], &[5.0, 5.0], 3.0, 1.0, 1.0),
    (
        &[1.0, 2.0, 2.0, 3.0, 3.0, 4.0],
        &[0.0, 1.0, 1.0, 2.0, 3.0],
        23.0,
        0.10606060606060606,
        0.21212121212121213,
    ),
    (
        &[7.0, 7.0, 7.0, 7.0, 7.0],
        &[6.0, 6.0, 6.0, 6.0, 6.0],
        25.0,
        0.003968253968253968,
        0.007936507936507936,
    ),
    (&[2.0, 2.0, 3.0], &[1.0, 2.0, 2.0, 2.0, 4.0, 4.0, 1.0], 12.0, 0.43333333333333335, 0.8666666666666667),
    (
        &[1.0, 1.0, 2.0, 5.0, 5.0, 5.0, 6.0, 6.0, 7.0, 9.0],
        &[1.0, 2.0, 2.0, 2.0, 3.0, 5.0, 5.0, 6.0, 6.0, 6.0],
        58.5,
        0.26956093442161555,
        0.5391218688432311,
    ),
    (
        &[10.601, 10.899, 10.326, 9.709, 10.145, 9.608, 10.66, 11.94, 10.108],
        &[9.38, 10.49, 10.357, 10.105, 9.07, 9.971, 10.695, 8.656, 9.542, 8.099, 8.71, 8.158],
        87.0,
        0.010453092817339395,
        0.02090618563467879,
    ),
    (
        &[7.0765, 6.9733, 7.1271, 7.1157, 7.0813, 6.8483, 7.0461, 7.0951],
        &[
            7.0113, 6.847, 6.9522, 6.9021, 6.9191, 7.1061, 6.9192, 6.9967, 7.0884, 6.9416, 6.9888, 7.011,
            7.0064, 6.8775, 7.0076, 7.1359, 6.8453, 7.0859, 7.0119, 6.9359,
        ],
        115.0,
        0.03958167436428306,
        0.07916334872856612,
    ),
];

// scipy.stats.beta.ppf(p, a, b), scipy.stats.norm.ppf(p), scipy.special.gammaln(x)
const BETA: &[(f64, f64, f64, f64)] = &[
    (0.025, 1.0, 20.0, 0.0012650894979498038),
    (0.975, 3.0, 1.0, 0.9915962413403874),
    (0.5, 0.5, 0.5, 0.4999999999999999),
    (0.001, 250.0, 7.0, 0.9310920478881142),
    (0.999, 12346.0, 987655.0, 0.012690005352071558),
];
const NORMAL: &[(f64, f64)] = &[
    (0.5, 0.0),
    (0.9, 1.2815515655446004),
    (0.975, 1.959963984540054),
    (0.9995, 3.2905267314919255),
    (1e-09, -5.9978070150076865),
];
const GAMMA: &[(f64, f64)] = &[
    (0.5, 0.5723649429247),
    (1.0, 0.0),
    (3.25, 0.9358019311087253),
    (100.0, 359.1342053695754),
    (1000000.0, 12815504.569147611),
];

fn near(got: f64, wanted: f64, what: &str) {
    let off = (got - wanted).abs();
    assert!(off <= 1e-12 || off <= wanted.abs() * 1e-9, "{what}: {got:e}, SciPy says {wanted:e}");
}

#[test]
fn intervals_are_scipys() {
    for &(k, n, confidence, low, high, wilson_low, wilson_high) in RATES {
        let exact = interval(k, n, confidence, Method::Exact);
        near(exact.low, low, &format!("{k}/{n} exact low"));
        near(exact.high, high, &format!("{k}/{n} exact high"));
        let wilson = interval(k, n, confidence, Method::Wilson);
        near(wilson.low, wilson_low, &format!("{k}/{n} Wilson low"));
        near(wilson.high, wilson_high, &format!("{k}/{n} Wilson high"));
    }
    assert_eq!(interval(0, 0, 0.95, Method::Exact), Interval { rate: 0.0, low: 0.0, high: 1.0 });
}

#[test]
fn what_no_failure_proves_is_the_exact_one_sided_bound() {
    // The rule of three: 59 clean attempts show 5 %.
    near(seen_rate(59, 0.95), 1.0 - 0.05_f64.powf(1.0 / 59.0), "59");
    assert!(seen_rate(59, 0.95) < 0.05 && seen_rate(58, 0.95) > 0.05);
    near(seen_rate(20, 0.95), beta_quantile(0.95, 1.0, 20.0), "the same by the beta law");
    assert!((seen_rate(0, 0.95) - 1.0).abs() < f64::EPSILON);
}

#[test]
fn fisher_is_scipys() {
    for &(a, b, p) in FISHER {
        near(fisher(a, b), p, &format!("{a:?} {b:?}"));
    }
}

#[test]
fn ranks_are_scipys() {
    for &(a, b, u, greater, both) in RANKS {
        let got = mann_whitney(a, b, Alternative::Greater);
        near(got.u, u, "U");
        near(got.p, greater, &format!("greater {a:?}"));
        near(mann_whitney(a, b, Alternative::TwoSided).p, both, &format!("two-sided {a:?}"));
    }
}

#[test]
fn no_p_is_below_the_least_there_can_be() {
    // All of one set above all of the other, each tied within itself: the clearest result there is.
    let (high, low) = ([7.0; 5], [6.0; 5]);
    near(mann_whitney(&high, &low, Alternative::Greater).p, least_p(5, 5), "5 and 5, tied");
    near(least_p(5, 5), 1.0 / 252.0, "1 / (10 over 5)");
    for (n, m) in [(2, 3), (3, 3), (7, 13), (10, 10)] {
        let got = mann_whitney(&vec![2.0; n], &vec![1.0; m], Alternative::Greater).p;
        near(got, least_p(n, m), &format!("{n} and {m}"));
    }
}

#[test]
fn the_functions_underneath_are_scipys() {
    for &(p, a, b, x) in BETA {
        near(beta_quantile(p, a, b), x, &format!("beta {p} {a} {b}"));
    }
    for &(p, z) in NORMAL {
        near(normal_quantile(p), z, &format!("normal {p}"));
    }
    for &(x, value) in GAMMA {
        near(ln_gamma(x), value, &format!("gamma {x}"));
    }
}

#[test]
fn with_too_few_values_even_the_clearest_difference_is_no_evidence() {
    assert_eq!((least_repeats(0.05), least_repeats(0.01)), (3, 5));
    let p = |n: usize| {
        let (low, high): (Vec<f64>, Vec<f64>) = (0..n).map(|i| (i as f64, 100.0 + i as f64)).unzip();
        mann_whitney(&high, &low, Alternative::Greater).p
    };
    assert!(p(3) <= 0.05 && p(2) > 0.05 && p(5) <= 0.01 && p(4) > 0.01);
}
