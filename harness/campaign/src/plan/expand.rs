//! From the document to a list of jobs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use shakedown_conf::{ConfError, Document, Loaded, load};
use shakedown_core::names::is_plain_char;

use super::doc::{ImageFrom, PlanDoc, UrlDoc};

/// One run that the plan asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// `board/image/suite/repeat`: the same in every night.
    pub key: String,
    /// The board's slug.
    pub board: String,
    /// The image's label.
    pub image: String,
    /// The selection, suite or pattern of cases.
    pub suite: String,
    /// From 1.
    pub repeat: u32,
    /// Higher comes first.
    pub priority: i32,
}

/// A plan that was read and makes sense by itself.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The document and its places.
    pub doc: Loaded<PlanDoc>,
}

impl Plan {
    /// Reads it.
    pub fn load(document: &Document) -> Result<Self, ConfError> {
        let doc = load::<PlanDoc>(document)?;
        let plan = &doc.value;
        if plan.plan.is_empty() || !plan.plan.chars().all(is_plain_char) {
            return Err(doc.invalid("plan", "a name has letters, digits, `-`, `_` and `.`"));
        }
        if plan.work.is_empty() {
            return Err(doc.invalid("work", "a plan has work to do"));
        }
        let labels = || plan.images.keys().cloned();
        let known = |field: &str, label: &str| {
            let there = plan.images.contains_key(label);
            if there { Ok(()) } else { Err(doc.unknown_name(field, "image", label, labels())) }
        };
        for (label, image) in &plan.images {
            let field = format!("images.{label}.from");
            match &image.from {
                ImageFrom::File(path) | ImageFrom::Folder(path) => {
                    let version = image.version.as_deref();
                    fill(path, "BOARD", version).map_err(|what| doc.invalid(&field, what))?;
                }
                ImageFrom::Url(url) => {
                    check_url(url, image.version.as_deref())
                        .map_err(|(name, what)| doc.invalid(&format!("{field}.url{name}"), what))?;
                }
                ImageFrom::Sha256(hex) => {
                    let sha = shakedown_core::Sha::from_hex(hex);
                    sha.ok_or_else(|| doc.invalid(&field, "expected the 64 hex digits of a SHA-256"))?;
                }
                ImageFrom::Previous(previous) => {
                    known(&format!("{field}.previous.of"), &previous.of)?;
                    let of = plan.images.get(&previous.of).map(|image| &image.from);
                    if !matches!(of, Some(ImageFrom::File(_) | ImageFrom::Folder(_))) {
                        let what = "only an image that comes from a file or folder has one before it";
                        return Err(doc.invalid(&format!("{field}.previous.of"), what));
                    }
                }
                ImageFrom::Reference => {}
            }
        }
        for (index, work) in plan.work.iter().enumerate() {
            let field = |name: &str| format!("work[{index}].{name}");
            if work.boards.is_empty() == work.with.is_empty() {
                return Err(doc.invalid(&format!("work[{index}]"), "expected either `boards` or `with`"));
            }
            for (at, label) in work.images.iter().enumerate() {
                known(&format!("work[{index}].images[{at}]"), label)?;
            }
            for (name, list) in [("images", &work.images), ("suites", &work.suites)] {
                if list.is_empty() {
                    return Err(doc.invalid(&field(name), "nothing would run"));
                }
            }
            if !(1..=10_000).contains(&work.repeats) {
                return Err(doc.invalid(&field("repeats"), "expected a number from 1 to 10000"));
            }
        }
        if let Some(label) = &plan.retry.undetermined {
            known("retry.undetermined", label)?;
        }
        if plan.sick.after == 0 {
            return Err(doc.invalid("sick.after", "expected a number from 1"));
        }
        Ok(Self { doc })
    }

    /// Every run that it asks for. `offering` gives the boards that offer all of these.
    pub fn jobs(&self, offering: &dyn Fn(&[String]) -> Vec<String>) -> Result<Vec<Job>, ConfError> {
        let (mut jobs, mut keys) = (Vec::new(), BTreeSet::new());
        for (index, work) in self.doc.value.work.iter().enumerate() {
            let boards = if work.with.is_empty() { work.boards.clone() } else { offering(&work.with) };
            if boards.is_empty() {
                let what = format!("no slot of the rigs offers {}", work.with.join(", "));
                return Err(self.doc.invalid(&format!("work[{index}].with"), what));
            }
            for repeat in 1..=work.repeats {
                for board in &boards {
                    for image in &work.images {
                        for suite in &work.suites {
                            let key = format!("{board}/{image}/{suite}/{repeat}");
                            if !keys.insert(key.clone()) {
                                let what = format!("`{key}` is planned twice");
                                return Err(self.doc.invalid(&format!("work[{index}]"), what));
                            }
                            let (board, image, suite) = (board.clone(), image.clone(), suite.clone());
                            let priority = work.priority;
                            jobs.push(Job { key, board, image, suite, repeat, priority });
                        }
                    }
                }
            }
        }
        Ok(jobs)
    }
}

/// What is wrong with it, and in which field.
fn check_url(url: &UrlDoc, version: Option<&str>) -> Result<(), (&'static str, String)> {
    let wrong = |name, what: &str| Err((name, what.to_owned()));
    for (name, address) in [(".at", Some(&url.at)), (".sums", url.sums.as_ref())] {
        let Some(address) = address else { continue };
        fill(address, "BOARD", version).map_err(|what| (name, what))?;
        if address.starts_with("https://") {
            return wrong(name, "there is no TLS in it yet: expected an `http://` address");
        }
        let rest = address.strip_prefix("http://");
        let host = rest.and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
        if host.is_empty() || address.contains(|c: char| c.is_whitespace() || c == '#') {
            return wrong(name, "expected an address such as `http://builds.lab/{board}/os.img.xz`");
        }
        if host.contains('@') {
            return wrong(name, "a password has no place here: use `login` or `token`");
        }
    }
    if let Some(hex) = &url.sha256
        && shakedown_core::Sha::from_hex(hex).is_none()
    {
        return wrong(".sha256", "expected the 64 hex digits of a SHA-256");
    }
    if url.sha256.is_some() && url.sums.is_some() {
        return wrong("", "expected either `sha256` or `sums`");
    }
    if url.login.is_some() && url.token.is_some() {
        return wrong("", "expected either `login` or `token`");
    }
    Ok(())
}

/// A template with its names filled in.
pub fn fill(template: &str, board: &str, version: Option<&str>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, more)) = after.split_once('}') else {
            return Err(format!("`{{` without `}}` in `{template}`"));
        };
        filled.push_str(before);
        filled.push_str(match (name, version) {
            ("board", _) => board,
            ("version", Some(version)) => version,
            ("version", None) => return Err("`{version}` needs the image's `version`".to_owned()),
            _ => return Err(format!("unknown `{{{name}}}`; there are {{board}} and {{version}}")),
        });
        rest = more;
    }
    Ok(filled + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "plan: night
images:
  new: { from: { file: 'builds/{board}/os-{version}.img' }, version: 1.4.0 }
  old: { from: { previous: { of: new } } }
work:
  - { boards: [a, b], images: [new, old], suites: [quick], repeats: 2, priority: 1 }
  - { with: [wifi], images: [new], suites: ['container::*'] }
retry: { undetermined: old }
";

    fn plan(text: &str) -> Result<Plan, String> {
        Plan::load(&Document::new("night.yaml", text)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_plan_is_a_list_of_jobs() {
        let jobs = plan(PLAN).unwrap().jobs(&|_| vec!["c".into()]).unwrap();
        assert_eq!(jobs.len(), 2 * 2 * 2 + 1);
        assert_eq!((jobs[0].key.as_str(), jobs[8].key.as_str()), ("a/new/quick/1", "c/new/container::*/1"));
        let none = plan(PLAN).unwrap().jobs(&|_| vec![]).unwrap_err().to_string();
        assert_eq!(none, "night.yaml:7:13: work[1].with: no slot of the rigs offers wifi");
        assert_eq!(fill("x/{board}-{version}", "pi", Some("2")).as_deref(), Ok("x/pi-2"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_at_its_place() {
        for (from, to, error) in [
            ("[new, old]", "[new, odl]", "6:37: work[0].images[1]: unknown image `odl`; did you mean `old`?"),
            (
                "of: new",
                "of: nwe",
                "4:34: images.old.from.previous.of: unknown image `nwe`; did you mean `new`?",
            ),
            (
                "{version}.img",
                "{verison}.img",
                "3:16: images.new.from: unknown `{verison}`; there are {board} and {version}",
            ),
            (", version: 1.4.0", "", "3:16: images.new.from: `{version}` needs the image's `version`"),
            ("boards: [a, b], ", "", "6:5: work[0]: expected either `boards` or `with`"),
            ("with: [wifi]", "boards: [a]", ""),
            ("repeats: 2", "repeats: 0", "6:69: work[0].repeats: expected a number from 1 to 10000"),
            (
                "retry: { undetermined: old }",
                "retry: { undetermind: old }",
                "8:10: retry.undetermind: unknown field `undetermind`; did you mean `undetermined`?",
            ),
            (
                "file: 'builds/{board}/os-{version}.img'",
                "url: { at: 'http://ci:hunter2@builds.example/os.img' }",
                "3:29: images.new.from.url.at: a password has no place here: use `login` or `token`",
            ),
            (
                "file: 'builds/{board}/os-{version}.img'",
                "url: { at: 'ftp://builds.example/os.img' }",
                "3:29: images.new.from.url.at: expected an address such as `http://builds.lab/{board}/os.img.xz`",
            ),
            (
                "file: 'builds/{board}/os-{version}.img'",
                "url: { at: 'http://builds.example/os.img', token: { env: T }, login: { user: ci, password: { env: P } } }",
                "3:23: images.new.from.url: expected either `login` or `token`",
            ),
            ("plan: night", "plan: a/b", "1:7: plan: a name has letters, digits, `-`, `_` and `.`"),
        ] {
            let got = plan(&PLAN.replace(from, to)).map(|_| ()).err().unwrap_or_default();
            assert_eq!(got.strip_prefix("night.yaml:").unwrap_or(&got), error, "{from} -> {to}");
        }
        let twice = PLAN.replace("with: [wifi]", "boards: [a]").replace("'container::*'", "quick");
        let error = plan(&twice).unwrap().jobs(&|_| vec![]).unwrap_err().to_string();
        assert_eq!(error, "night.yaml:7:5: work[1]: `a/new/quick/1` is planned twice");
    }
}
