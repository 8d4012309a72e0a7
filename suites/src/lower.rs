//! Suite files become complete cases: everything that can be wrong with them is said here,
//! with its place.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use shakedown_conf::{ConfError, Loaded};
use shakedown_core::{Capability, CaseId, CaseSpec, Edit, Sabotage};

use crate::cases::{PLOTS, Plot};
use crate::check::{Body, Check};
use crate::doc::{CaseDoc, EffectDoc, ModuleDoc, SabotageDoc};
use crate::entry::Entry;
use crate::facts;
use crate::files::Files;
use crate::lower_step::{Use, steps};
use crate::template::Template;

/// Facts that the test image needs.
const TEST_IMAGE: [&str; 3] = ["engine", "test-image", "scratch"];
const CLEANUP_WITHIN: Duration = Duration::from_secs(30);

/// The cases of a module file. `known` are the facts that placeholders may name.
pub(crate) fn module(
    doc: &Loaded<ModuleDoc>,
    files: &Files,
    known: &BTreeSet<String>,
) -> Result<Vec<Entry>, ConfError> {
    let module = &doc.value;
    if module.module.split("::").count() < 2 || !module.module.split("::").all(is_kebab) {
        return Err(doc.invalid("module", format!("`{}` is not like `os::swap`", module.module)));
    }
    let mut known = known.clone();
    known.extend(module.facts.keys().cloned());
    let mut entries = Vec::new();
    for (index, case) in module.cases.iter().enumerate() {
        let at = format!("cases[{index}]");
        entries.push(Lower { doc, files, known: &known, at }.case(case)?);
    }
    Ok(entries)
}

/// What the lowering of one case needs.
pub(crate) struct Lower<'a> {
    pub(crate) doc: &'a Loaded<ModuleDoc>,
    pub(crate) files: &'a Files,
    pub(crate) known: &'a BTreeSet<String>,
    pub(crate) at: String,
}

impl Lower<'_> {
    fn case(&self, case: &CaseDoc) -> Result<Entry, ConfError> {
        let spec = self.spec(case)?;
        let body = match (&case.plot, case.check.is_empty()) {
            (None, false) => Body::Steps(steps(self, "check", &case.check, Use::Check)?),
            (Some(name), true) => Body::Plot(self.plot(name)?),
            (Some(_), false) => return Err(self.invalid("plot", "a case has either `check` or `plot`")),
            (None, true) => return Err(self.invalid("check", "a case without a check cannot fail")),
        };
        if !case.prepare.is_empty() && case.effect != EffectDoc::SharesReboot {
            return Err(self.invalid("prepare", "only `shares-reboot` cases are prepared before a reboot"));
        }
        let check = Check {
            prepare: steps(self, "prepare", &case.prepare, Use::Support)?,
            cleanup: steps(self, "cleanup", &case.cleanup, Use::Support)?,
            cleanup_within: cleanup_within(case),
            test_image: case.test_image,
            body,
            spec,
        };
        let mut facts: BTreeSet<String> =
            check.steps().flat_map(|step| step.facts().into_iter().map(str::to_owned)).collect();
        let mut config_keys: BTreeSet<String> =
            check.steps().filter_map(|step| step.config_key().map(str::to_owned)).collect();
        if check.test_image {
            facts.extend(TEST_IMAGE.map(str::to_owned));
        }
        if let Body::Plot(plot) = &check.body {
            facts.extend(plot.facts.iter().map(|fact| (*fact).to_owned()));
            config_keys.extend(plot.config_keys.iter().map(|key| (*key).to_owned()));
        }
        let budgets = check.steps().filter_map(|step| step.measure().map(str::to_owned)).collect();
        self.told_apart(case, &check)?;
        let (place, test_image) = (self.doc.at(&self.at).file_line(), check.test_image);
        let was = case.was.iter().cloned().map(CaseId).collect();
        Ok(Entry { case: Arc::new(check), place, was, facts, config_keys, budgets, test_image })
    }

    fn spec(&self, case: &CaseDoc) -> Result<CaseSpec, ConfError> {
        if !is_kebab(&case.id) {
            return Err(self.invalid("id", format!("`{}` is not kebab-case", case.id)));
        }
        let title = case.title.trim();
        if title.split_whitespace().count() < 3 || title.ends_with('.') {
            return Err(self.invalid("title", "a title is one sentence without a full stop"));
        }
        if case.within.0.is_zero() {
            return Err(self.invalid("within", "a check needs time"));
        }
        if case.sabotage.is_empty() {
            return Err(self.invalid("sabotage", "a case that no sabotage can fail proves nothing"));
        }
        let mut sabotage = Vec::new();
        for (index, doc) in case.sabotage.iter().enumerate() {
            sabotage.push(self.sabotage(&format!("sabotage[{index}]"), doc)?);
        }
        let ids: BTreeSet<_> = sabotage.iter().map(|sabotage| &sabotage.id).collect();
        if ids.len() < sabotage.len() {
            return Err(self.invalid("sabotage", "two sabotages have the same id"));
        }
        let needs = case.needs.iter().map(Capability::new).collect();
        let cleanup = if case.cleanup.is_empty() { Duration::ZERO } else { cleanup_within(case) };
        Ok(CaseSpec {
            id: CaseId(format!("{}::{}", self.doc.value.module, case.id)),
            title: title.to_owned(),
            needs,
            effect: case.effect.into(),
            within: case.within.0 + cleanup,
            after: case.after.iter().cloned().map(CaseId).collect(),
            sabotage,
        })
    }

    /// A sabotage must be told by one failure of its case, not by several.
    fn told_apart(&self, case: &CaseDoc, check: &Check) -> Result<(), ConfError> {
        let texts: BTreeSet<&str> = check.steps().map(|step| step.says.as_str()).collect();
        for (index, sabotage) in case.sabotage.iter().enumerate() {
            let fits: Vec<_> = texts.iter().filter(|text| text.contains(&sabotage.must_say)).collect();
            if let [one, another, ..] = fits[..] {
                let what = format!("it fits several failures of this case: `{one}`, `{another}`");
                return Err(self.invalid(&format!("sabotage[{index}].must-say"), what));
            }
        }
        Ok(())
    }

    fn sabotage(&self, field: &str, doc: &SabotageDoc) -> Result<Sabotage, ConfError> {
        if !is_kebab(&doc.id) {
            return Err(self.invalid(&format!("{field}.id"), format!("`{}` is not kebab-case", doc.id)));
        }
        if doc.must_say.trim().is_empty() {
            let what = "any failure would do: say what this one is told by";
            return Err(self.invalid(&format!("{field}.must-say"), what));
        }
        if doc.edits.is_empty() {
            return Err(self.invalid(&format!("{field}.edits"), "a sabotage without an edit"));
        }
        let mut edits = Vec::new();
        for (index, edit) in doc.edits.iter().enumerate() {
            self.known_facts(&format!("{field}.edits[{index}]"), &edit.shell)?;
            edits.push(Edit::Shell(edit.shell.clone()));
        }
        if let Some(undo) = &doc.undo {
            self.known_facts(&format!("{field}.undo"), undo)?;
        }
        let (id, undo, must_say) = (doc.id.clone(), doc.undo.clone(), doc.must_say.clone());
        Ok(Sabotage { id, edits, undo, must_say })
    }

    /// Sabotages are filled in before anything runs: with what a profile knows, not the run.
    fn known_facts(&self, field: &str, line: &str) -> Result<(), ConfError> {
        for fact in Template::parse(line).facts() {
            let profile = self.known.contains(fact) && !facts::RUN.contains(&fact);
            if !profile || facts::OFFERED.contains(&fact) {
                let known = self.known.iter().filter(|name| !facts::RUN.contains(&name.as_str()));
                return Err(self.doc.unknown_name(
                    &self.field(field),
                    "fact of a profile",
                    fact,
                    known.cloned(),
                ));
            }
        }
        Ok(())
    }

    fn plot(&self, name: &str) -> Result<&'static Plot, ConfError> {
        PLOTS.iter().find(|plot| plot.name == name).ok_or_else(|| {
            let known = PLOTS.iter().map(|plot| plot.name);
            self.doc.unknown_name(&self.field("plot"), "plot", name, known)
        })
    }

    /// The error at a field of this case.
    pub(crate) fn invalid(&self, field: &str, what: impl Into<String>) -> ConfError {
        self.doc.invalid(&self.field(field), what)
    }

    pub(crate) fn field(&self, field: &str) -> String {
        format!("{}.{field}", self.at)
    }
}

fn cleanup_within(case: &CaseDoc) -> Duration {
    if case.cleanup.is_empty() {
        return Duration::ZERO;
    }
    case.cleanup_within.map_or(CLEANUP_WITHIN, |span| span.0)
}

/// Lower-case words with hyphens between them.
pub(crate) fn is_kebab(name: &str) -> bool {
    let word =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name.split('-').all(word)
}
