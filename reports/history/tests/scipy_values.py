"""Prints the constants of src/stats/tests.rs. Made with scipy 1.17.1: `pip install scipy==1.17.1`."""
import numpy as np
from scipy import stats

print("// Clopper and Pearson, Wilson: scipy.stats.binomtest(k, n).proportion_ci(confidence, method)")
print("const RATES: &[(u64, u64, f64, f64, f64, f64, f64)] = &[")
for k, n, c in [(0, 1, .95), (1, 1, .95), (0, 20, .95), (1, 20, .95), (20, 20, .95), (7, 300, .99), (299, 300, .9), (0, 59, .95), (333, 1000, .95), (12345, 1000000, .95)]:
    test = stats.binomtest(k, n)
    e, w = test.proportion_ci(c, "exact"), test.proportion_ci(c, "wilson")
    print(f"    ({k}, {n}, {c!r}, {float(e.low)!r}, {float(e.high)!r}, {float(w.low)!r}, {float(w.high)!r}),")
print("];\n")
print("// scipy.stats.fisher_exact([[a, n - a], [b, m - b]]).pvalue")
print("const FISHER: &[((u64, u64), (u64, u64), f64)] = &[")
for a, n, b, m in [(9, 10, 1, 90), (0, 10, 0, 10), (3, 10, 3, 10), (10, 10, 0, 10), (5, 300, 25, 9000), (1, 2, 400, 900)]:
    p = stats.fisher_exact([[a, n - a], [b, m - b]]).pvalue
    print(f"    (({a}, {n}), ({b}, {m}), {float(p)!r}),")
print("];\n")
print("// scipy.stats.mannwhitneyu(a, b, alternative); up to 20 values with ties: of all permutations (method)")
print("const RANKS: &[(&[f64], &[f64], f64, f64, f64)] = &[")
g = np.random.default_rng(7)
sets = [([3.1, 3.4, 3.6], [1.0, 2.0, 2.5]), ([1., 2., 3.], [1.5, 2.5, 3.5, 4.5]), ([5., 5., 5.], [5., 5.]), ([1., 2., 2., 3., 3., 4.], [0., 1., 1., 2., 3.]),
        ([7., 7., 7., 7., 7.], [6., 6., 6., 6., 6.]), ([2., 2., 3.], [1., 2., 2., 2., 4., 4., 1.]), ([1., 1., 2., 5., 5., 5., 6., 6., 7., 9.], [1., 2., 2., 2., 3., 5., 5., 6., 6., 6.]),
        (list(np.round(g.normal(10.6, 1, 9), 3)), list(np.round(g.normal(10, 1, 12), 3))), (list(np.round(g.normal(7.1, .1, 8), 4)), list(np.round(g.normal(7, .1, 20), 4)))]
for a, b in sets:
    few = len(a) + len(b) <= 20 and len(set(a + b)) < len(a + b)
    method = stats.PermutationMethod(n_resamples=np.inf) if few else "auto"
    greater, both = (stats.mannwhitneyu(a, b, alternative=x, method=method) for x in ("greater", "two-sided"))
    show = lambda v: ", ".join(repr(float(x)) for x in v)
    num = lambda v: "1.0" if not np.isfinite(v) else repr(float(v))
    print(f"    (&[{show(a)}], &[{show(b)}], {float(greater.statistic)!r}, {num(greater.pvalue)}, {num(both.pvalue)}),")
print("];\n")
print("// scipy.stats.beta.ppf(p, a, b), scipy.stats.norm.ppf(p), scipy.special.gammaln(x)")
print("const BETA: &[(f64, f64, f64, f64)] = &[")
for p, a, b in [(.025, 1, 20), (.975, 3, 1), (.5, .5, .5), (.001, 250, 7), (.999, 12346, 987655)]:
    print(f"    ({p!r}, {float(a)!r}, {float(b)!r}, {float(stats.beta.ppf(p, a, b))!r}),")
print("];\nconst NORMAL: &[(f64, f64)] = &[" + ", ".join(f"({p!r}, {float(stats.norm.ppf(p))!r})" for p in (.5, .9, .975, .9995, 1e-9)) + "];")
from scipy.special import gammaln
print("const GAMMA: &[(f64, f64)] = &[" + ", ".join(f"({x!r}, {float(gammaln(x))!r})" for x in (.5, 1., 3.25, 100., 1e6)) + "];")
