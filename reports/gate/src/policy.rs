//! The policy: what an image must have shown before it ships.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_conf::{ConfError, Document, Loaded, Span, load};
use shakedown_core::Sha;
use shakedown_history::stats::least_repeats;

use crate::judge::Known;
use crate::key::PublicKey;

/// A policy as it stands in its file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PolicyDoc {
    /// Its name.
    pub policy: String,
    /// The last day on which it may be used, and an answer by it be relied upon.
    #[schemars(with = "String", extend("format" = "date"))]
    pub expires: Date,
    /// Evidence that is older does not count.
    pub max_age: Span,
    /// Runs on simulated slots count, for trying a policy. Without it they never do.
    #[serde(default)]
    pub accept_simulated: bool,
    /// Whose journals are believed.
    pub trust: Vec<Trust>,
    /// What must have passed.
    pub require: Vec<Require>,
    /// Cases that are known to fail: they count for nothing until their day.
    #[serde(default)]
    pub quarantine: Vec<Quarantine>,
    /// What is left out this time, by name.
    #[serde(default)]
    pub waivers: Vec<Waiver>,
    /// Tests that a person makes and signs.
    #[serde(default)]
    pub manual: Vec<Manual>,
    /// What measures may be.
    #[serde(default)]
    pub limits: Vec<Limit>,
}

/// A key whose journals and records are believed.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// Whose it is.
    pub name: String,
    /// `ed25519:…`, as `shakedown gate key` prints it.
    #[schemars(with = "String", regex(pattern = "^ed25519:"))]
    pub key: PublicKey,
}

/// Boards × suites × repeats.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Require {
    /// By their slugs.
    pub boards: Vec<String>,
    /// Every case of these suites.
    #[serde(default)]
    pub suites: Vec<String>,
    /// Every case of these selections.
    #[serde(default)]
    pub selections: Vec<String>,
    /// Passes of each case, on each board.
    pub repeats: u32,
    /// Cases that may be skipped where a board or slot does not offer what they need. Any other skip
    /// is missing evidence.
    #[serde(default)]
    pub may_skip: Vec<String>,
}

/// A case that is known to fail.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Quarantine {
    /// Its id.
    pub case: String,
    /// Only on these boards; on all when empty.
    #[serde(default)]
    pub boards: Vec<String>,
    /// Who will see to it.
    pub owner: String,
    /// Where it is followed.
    pub issue: String,
    /// Why it may ship all the same.
    pub reason: String,
    /// The last day. From the next on the entry blocks.
    #[schemars(with = "String", extend("format" = "date"))]
    pub until: Date,
}

/// What is left out, once and with a name to it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Waiver {
    /// The waiver's name.
    pub name: String,
    /// A case, a limit or a manual test: exactly one of the three.
    #[serde(default)]
    pub case: Option<String>,
    /// A limit's name.
    #[serde(default)]
    pub limit: Option<String>,
    /// A manual test's name.
    #[serde(default)]
    pub manual: Option<String>,
    /// Only on these boards; on all when empty.
    #[serde(default)]
    pub boards: Vec<String>,
    /// Who decided it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The last day; afterwards nothing is waived.
    #[schemars(with = "String", extend("format" = "date"))]
    pub until: Date,
}

/// A test that a person makes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manual {
    /// Its name.
    pub test: String,
    /// On each of these boards.
    pub boards: Vec<String>,
    /// Names of `trust`: who may sign it.
    pub signed_by: Vec<String>,
}

/// What a measure may be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limit {
    /// The limit's name.
    pub name: String,
    /// The measure's: `boot.kernel`.
    pub measure: String,
    /// Of which case, or of boots that were started so. Stages default to `power-on`.
    #[serde(default)]
    pub of: Option<String>,
    /// On each of these boards.
    pub boards: Vec<String>,
    /// Values that there must be, of the baseline too.
    pub repeats: u32,
    /// The median may be so much.
    #[serde(default)]
    pub at_most: Option<f64>,
    /// The median must be so much.
    #[serde(default)]
    pub at_least: Option<f64>,
    /// No single value may be more.
    #[serde(default)]
    pub never_above: Option<f64>,
    /// Compared with another image.
    #[serde(default)]
    pub baseline: Option<Baseline>,
}

/// Another image, and how much worse than it the new one may be.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Baseline {
    /// The beginning of its hash, at least 12 digits.
    pub image: String,
    /// Per cent.
    pub worse_by_at_most: f64,
    /// The level of the test (Mann and Whitney's, one-sided).
    #[serde(default = "usual")]
    pub alpha: f64,
}

fn usual() -> f64 {
    0.05
}

impl Limit {
    /// What it looks at, as the evidence has it.
    pub fn context(&self) -> Option<&str> {
        self.of.as_deref().or_else(|| self.measure.starts_with("boot.").then_some("power-on"))
    }
}

/// A policy that makes sense.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its content.
    pub doc: PolicyDoc,
    /// Of the file.
    pub sha: Sha,
    /// Where it came from.
    pub from: String,
}

impl Policy {
    /// Reads a policy and refuses one that contradicts itself or names what nobody knows.
    pub fn read(path: &Path, known: &Known) -> Result<Self, ConfError> {
        Self::of(&Document::read(path)?, known)
    }

    /// The same, of a text.
    pub fn of(document: &Document, known: &Known) -> Result<Self, ConfError> {
        let loaded: Loaded<PolicyDoc> = load(document)?;
        check(&loaded, known)?;
        let sha = Sha::of(document.text().as_bytes());
        Ok(Self { doc: loaded.value, sha, from: document.name().to_string() })
    }

    /// The keys, in the order of `trust`.
    pub fn keys(&self) -> Vec<PublicKey> {
        self.doc.trust.iter().map(|trust| trust.key).collect()
    }

    /// Every board that anything is asked of.
    pub fn boards(&self) -> BTreeSet<&str> {
        self.doc.require.iter().flat_map(|require| &require.boards).map(String::as_str).collect()
    }
}

type Checked = Result<(), ConfError>;

fn check(doc: &Loaded<PolicyDoc>, known: &Known) -> Checked {
    let policy = &doc.value;
    if policy.trust.is_empty() {
        return Err(doc.invalid("trust", "without a trusted key nothing can ever count"));
    }
    unique(doc, "trust", "name", policy.trust.iter().map(|trust| &trust.name))?;
    if policy.max_age.0.is_zero() {
        return Err(doc.invalid("max-age", "evidence is never younger than that"));
    }
    requirements(doc, known)?;
    excuses(doc, known)?;
    manual(doc)?;
    limits(doc, known)
}

fn unique<'a>(
    doc: &Loaded<PolicyDoc>,
    list: &str,
    field: &str,
    names: impl Iterator<Item = &'a String>,
) -> Checked {
    let mut seen = BTreeSet::new();
    for (index, name) in names.enumerate() {
        if !seen.insert(name) {
            let what = format!("`{name}` stands twice: which of the two counts?");
            return Err(doc.invalid(&format!("{list}[{index}].{field}"), what));
        }
    }
    Ok(())
}

fn requirements(doc: &Loaded<PolicyDoc>, known: &Known) -> Checked {
    if doc.value.require.is_empty() {
        return Err(doc.invalid("require", "a policy that requires nothing would let everything ship"));
    }
    let mut seen = BTreeSet::new();
    for (index, require) in doc.value.require.iter().enumerate() {
        let at = format!("require[{index}]");
        if require.repeats == 0 {
            return Err(doc.invalid(&format!("{at}.repeats"), "no repeats are no evidence"));
        }
        if require.boards.is_empty() {
            return Err(doc.invalid(&format!("{at}.boards"), "at least one board"));
        }
        if require.suites.is_empty() && require.selections.is_empty() {
            return Err(doc.invalid(&at, "at least one of `suites` and `selections`"));
        }
        for (field, kind, names, all) in [
            ("suites", "suite", &require.suites, &known.suites),
            ("selections", "selection", &require.selections, &known.selections),
        ] {
            for (place, name) in names.iter().enumerate() {
                let field = format!("{at}.{field}[{place}]");
                match all.get(name) {
                    None => return Err(doc.unknown_name(&field, kind, name, all.keys().cloned())),
                    Some(cases) if cases.is_empty() => {
                        return Err(doc.invalid(&field, format!("{kind} `{name}` has no case")));
                    }
                    Some(_) => {}
                }
                for (board_at, board) in require.boards.iter().enumerate() {
                    if !known.boards.contains(board) {
                        let field = format!("{at}.boards[{board_at}]");
                        return Err(doc.unknown_name(&field, "board", board, known.boards.iter().cloned()));
                    }
                    if !seen.insert((board, kind, name)) {
                        let what = format!("{kind} `{name}` on {board} is required twice");
                        return Err(doc.invalid(&field, what));
                    }
                }
            }
        }
        for (place, case) in require.may_skip.iter().enumerate() {
            case_known(doc, &format!("{at}.may-skip[{place}]"), case, known)?;
        }
    }
    Ok(())
}

fn case_known(doc: &Loaded<PolicyDoc>, field: &str, case: &str, known: &Known) -> Checked {
    let cases = known.cases();
    if cases.contains(case) {
        return Ok(());
    }
    Err(doc.unknown_name(field, "case", case, cases.iter().map(|case| (*case).to_owned())))
}

fn boards_asked(doc: &Loaded<PolicyDoc>, at: &str, boards: &[String]) -> Checked {
    let asked: BTreeSet<&String> = doc.value.require.iter().flat_map(|require| &require.boards).collect();
    for (index, board) in boards.iter().enumerate() {
        if !asked.contains(board) {
            let field = format!("{at}.boards[{index}]");
            return Err(doc.unknown_name(
                &field,
                "required board",
                board,
                asked.iter().map(|b| (*b).clone()),
            ));
        }
    }
    Ok(())
}

fn excuses(doc: &Loaded<PolicyDoc>, known: &Known) -> Checked {
    let policy = &doc.value;
    unique(doc, "quarantine", "case", policy.quarantine.iter().map(|entry| &entry.case))?;
    unique(doc, "waivers", "name", policy.waivers.iter().map(|waiver| &waiver.name))?;
    for (index, entry) in policy.quarantine.iter().enumerate() {
        let at = format!("quarantine[{index}]");
        case_known(doc, &format!("{at}.case"), &entry.case, known)?;
        boards_asked(doc, &at, &entry.boards)?;
        for (field, text) in [("owner", &entry.owner), ("issue", &entry.issue), ("reason", &entry.reason)] {
            if text.trim().is_empty() {
                return Err(doc.invalid(&format!("{at}.{field}"), "must say something"));
            }
        }
        if entry.until > policy.expires {
            let what = format!("later than the policy itself, which expires on {}", policy.expires);
            return Err(doc.invalid(&format!("{at}.until"), what));
        }
    }
    for (index, waiver) in policy.waivers.iter().enumerate() {
        let at = format!("waivers[{index}]");
        boards_asked(doc, &at, &waiver.boards)?;
        match (&waiver.case, &waiver.limit, &waiver.manual) {
            (Some(case), None, None) => {
                case_known(doc, &format!("{at}.case"), case, known)?;
                if policy.quarantine.iter().any(|entry| entry.case == *case) {
                    let what = format!("`{case}` is in quarantine too: one of the two");
                    return Err(doc.invalid(&format!("{at}.case"), what));
                }
            }
            (None, Some(limit), None) => {
                let names = policy.limits.iter().map(|limit| limit.name.clone());
                if !names.clone().any(|name| name == *limit) {
                    return Err(doc.unknown_name(&format!("{at}.limit"), "limit", limit, names));
                }
            }
            (None, None, Some(test)) => {
                let names = policy.manual.iter().map(|manual| manual.test.clone());
                if !names.clone().any(|name| name == *test) {
                    return Err(doc.unknown_name(&format!("{at}.manual"), "manual test", test, names));
                }
            }
            _ => return Err(doc.invalid(&at, "exactly one of `case`, `limit` and `manual`")),
        }
    }
    Ok(())
}

fn manual(doc: &Loaded<PolicyDoc>) -> Checked {
    unique(doc, "manual", "test", doc.value.manual.iter().map(|manual| &manual.test))?;
    for (index, manual) in doc.value.manual.iter().enumerate() {
        let at = format!("manual[{index}]");
        if manual.boards.is_empty() {
            return Err(doc.invalid(&format!("{at}.boards"), "at least one board, else it is asked of none"));
        }
        boards_asked(doc, &at, &manual.boards)?;
        if manual.signed_by.is_empty() {
            return Err(doc.invalid(&format!("{at}.signed-by"), "nobody could sign it"));
        }
        for (place, name) in manual.signed_by.iter().enumerate() {
            let names = doc.value.trust.iter().map(|trust| trust.name.clone());
            if !names.clone().any(|known| known == *name) {
                return Err(doc.unknown_name(
                    &format!("{at}.signed-by[{place}]"),
                    "trusted name",
                    name,
                    names,
                ));
            }
        }
    }
    Ok(())
}

fn limits(doc: &Loaded<PolicyDoc>, known: &Known) -> Checked {
    unique(doc, "limits", "name", doc.value.limits.iter().map(|limit| &limit.name))?;
    for (index, limit) in doc.value.limits.iter().enumerate() {
        let at = format!("limits[{index}]");
        if limit.boards.is_empty() {
            return Err(doc.invalid(&format!("{at}.boards"), "at least one board, else it limits none"));
        }
        boards_asked(doc, &at, &limit.boards)?;
        let bounds = [limit.at_most, limit.at_least, limit.never_above];
        if bounds.iter().all(Option::is_none) && limit.baseline.is_none() {
            return Err(doc.invalid(&at, "one of `at-most`, `at-least`, `never-above`, `baseline`"));
        }
        if bounds.into_iter().flatten().any(|bound| !bound.is_finite()) {
            return Err(doc.invalid(&at, "a bound is a number"));
        }
        for (field, bound) in [("at-most", limit.at_most), ("never-above", limit.never_above)] {
            if limit.measure.starts_with("boot.") && bound.is_some_and(|bound| bound < 0.0) {
                return Err(
                    doc.invalid(&format!("{at}.{field}"), "no time is below 0 s: nothing could meet it")
                );
            }
        }
        if let (Some(most), Some(least)) = (limit.at_most, limit.at_least)
            && most < least
        {
            let what = format!("no value is at most {most} and at least {least}");
            return Err(doc.invalid(&format!("{at}.at-most"), what));
        }
        if let (Some(never), Some(least)) = (limit.never_above, limit.at_least)
            && never < least
        {
            let what = format!("no median of {least} without a value above {never}");
            return Err(doc.invalid(&format!("{at}.never-above"), what));
        }
        if limit.repeats == 0 {
            return Err(doc.invalid(&format!("{at}.repeats"), "no values are no evidence"));
        }
        if let Some(of) = limit.of.as_deref().filter(|of| of.contains("::")) {
            case_known(doc, &format!("{at}.of"), of, known)?;
        }
        if let Some(baseline) = &limit.baseline {
            baseline_of(doc, &at, limit, baseline)?;
        }
    }
    Ok(())
}

fn baseline_of(doc: &Loaded<PolicyDoc>, at: &str, limit: &Limit, baseline: &Baseline) -> Checked {
    let at = format!("{at}.baseline");
    let hex = baseline.image.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
    if !hex || !(12..=64).contains(&baseline.image.len()) {
        return Err(doc.invalid(&format!("{at}.image"), "12 to 64 hex digits of a SHA-256"));
    }
    if !(baseline.worse_by_at_most >= 0.0 && baseline.worse_by_at_most.is_finite()) {
        return Err(doc.invalid(&format!("{at}.worse-by-at-most"), "per cent, 0 or more"));
    }
    if !(baseline.alpha > 0.0 && baseline.alpha <= 0.5) {
        return Err(doc.invalid(&format!("{at}.alpha"), "above 0, 0.5 at most"));
    }
    let least = least_repeats(baseline.alpha);
    if (limit.repeats as usize) < least {
        let what = format!(
            "with fewer than {least} values of each image no test reaches a level of {}: this limit could never fail",
            baseline.alpha
        );
        return Err(doc.invalid(&format!("{}.repeats", at.trim_end_matches(".baseline")), what));
    }
    Ok(())
}
