//! The sabotages of a plan's cases, each as a case of its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{
    Capability, Case, CaseId, CaseSpec, Cut, Deadline, Dut, Edit, Effect, Fut, OsProfile, Sabotage,
};
use shakedown_runner::Sabotaged;
use shakedown_suites::{Plan, Suites, Template, facts};

use super::Which;

/// Leaves those cases of the plan that have a sabotage of this kind.
pub(super) fn narrow(suites: &Suites, plan: &mut Plan, which: Which) {
    plan.entries.retain(|entry| {
        entry.spec().sabotage.iter().any(|sabotage| asked(suites, entry.spec(), sabotage, which))
    });
}

fn asked(suites: &Suites, of: &CaseSpec, sabotage: &Sabotage, which: Which) -> bool {
    which == Which::All || suites.proven().iter().any(|(id, name)| *id == of.id && *name == sabotage.id)
}

/// The sabotages of the plan's cases, in order of effect.
pub(super) struct Sabotages {
    /// Those that can be made, and for the others a case that is skipped for the reason.
    pub(super) cases: Vec<Arc<dyn Case>>,
    /// Why the others cannot be made.
    pub(super) left_out: Vec<String>,
}

impl Sabotages {
    /// Whether there is anything to prove.
    pub(super) fn any(&self) -> bool {
        self.cases.len() > self.left_out.len()
    }
}

pub(super) fn cases(suites: &Suites, plan: &Plan, profile: &OsProfile, which: Which) -> Sabotages {
    let mut all = Sabotages { cases: Vec::new(), left_out: Vec::new() };
    for entry in &plan.entries {
        let fitted = entry.for_profile(profile);
        for declared in entry.spec().sabotage.iter().filter(|one| asked(suites, entry.spec(), one, which)) {
            let filled = fitted.spec().sabotage.iter().find(|sabotage| sabotage.id == declared.id);
            let made = match (filled, unrelated(suites, fitted.spec(), profile)) {
                (Some(sabotage), Some(other)) => {
                    Ok(Arc::new(Sabotaged::new(fitted.clone(), sabotage.clone(), other)) as Arc<dyn Case>)
                }
                (None, _) => Err(lacking(declared, profile)),
                (_, None) => Err("an unrelated read-only case that must still pass".to_owned()),
            };
            all.cases.push(made.unwrap_or_else(|lack| {
                let id = sabotage_id(fitted.spec(), declared);
                all.left_out.push(format!("{id}: `{}` has no {lack}", profile.id));
                Arc::new(Skipped::new(fitted.spec(), id, lack))
            }));
        }
    }
    all.cases.sort_by_key(|case| case.spec().effect);
    all
}

fn sabotage_id(of: &CaseSpec, sabotage: &Sabotage) -> CaseId {
    CaseId(format!("sabotage::{}::{}", of.id, sabotage.id))
}

/// The facts that the sabotage needs and the profile lacks.
fn lacking(sabotage: &Sabotage, profile: &OsProfile) -> String {
    let lines = sabotage.edits.iter().map(|Edit::Shell(line)| line).chain(&sabotage.undo);
    let lines: Vec<_> = lines.map(|line| Template::parse(line)).collect();
    let facts: BTreeSet<_> =
        lines.iter().flat_map(Template::facts).filter(|fact| !facts::known(profile, fact)).collect();
    facts.into_iter().map(|fact| format!("fact `{fact}`")).collect::<Vec<_>>().join(", ")
}

/// The first read-only case of another module that fits this OS and needs nothing of slot or board:
/// it must still pass.
fn unrelated(suites: &Suites, spec: &CaseSpec, profile: &OsProfile) -> Option<Arc<dyn Case>> {
    suites.entries().iter().map(|entry| entry.for_profile(profile)).find(|other| {
        let other = other.spec();
        other.effect == Effect::ReadOnly && other.needs.is_empty() && other.id.module() != spec.id.module()
    })
}

/// A sabotage that cannot be made on this OS: it needs what nobody offers, so the runner skips it
/// and says why.
struct Skipped(CaseSpec);

impl Skipped {
    fn new(of: &CaseSpec, id: CaseId, lack: String) -> Self {
        let title = format!("{} cannot be sabotaged so", of.id);
        let needs = BTreeSet::from([Capability::new(lack)]);
        let (after, sabotage) = (Vec::new(), Vec::new());
        Self(CaseSpec { id, title, needs, effect: of.effect, within: Duration::ZERO, after, sabotage })
    }
}

impl Case for Skipped {
    fn spec(&self) -> &CaseSpec {
        &self.0
    }

    fn run<'a>(&'a self, _dut: &'a dyn Dut, _by: &'a Deadline) -> Fut<'a, Result<(), Cut>> {
        Box::pin(async { Err(Cut::Broken("a sabotage that cannot be made was run".into())) })
    }
}

#[cfg(test)]
mod tests {
    use shakedown_boards::Catalogue;
    use shakedown_suites::Ask;

    use super::*;

    fn plan(suites: &Suites, case: &str) -> Plan {
        suites.select(&Ask { cases: vec![case.to_owned()], ..Ask::default() }).unwrap()
    }

    #[test]
    fn the_proven_sabotages_are_those_of_the_plan() {
        let suites = Suites::embedded().unwrap();
        let reference = Catalogue::embedded().profile("reference").unwrap();
        let proven = |case: &str| {
            let mut plan = plan(&suites, case);
            narrow(&suites, &mut plan, Which::Proven);
            let all = cases(&suites, &plan, &reference, Which::Proven);
            assert_eq!(all.left_out, Vec::<String>::new());
            all.cases.iter().map(|case| case.spec().id.0.clone()).collect::<Vec<_>>()
        };
        assert_eq!(proven("*").len(), suites.proven().len());
        assert_eq!(proven("os::release::slug"), ["sabotage::os::release::slug::another-board"]);
        assert_eq!(proven("update::*"), Vec::<String>::new(), "none of these is in the list");
    }

    #[test]
    fn a_sabotage_that_the_os_has_no_facts_for_is_skipped_with_its_reason() {
        let suites = Suites::embedded().unwrap();
        let whole = Catalogue::embedded().profile("reference").unwrap();
        let mut poor = (*whole).clone();
        poor.facts.clear();
        let plan = plan(&suites, "*");
        let of = |profile: &OsProfile| cases(&suites, &plan, profile, Which::All);
        let (all, few) = (of(&whole), of(&poor));
        assert_eq!(all.cases.len(), few.cases.len(), "none vanishes");
        assert_eq!(all.left_out, Vec::<String>::new(), "the reference OS has them all");
        assert!(
            few.any() && few.left_out.iter().any(|why| why.contains("has no fact `")),
            "{:?}",
            few.left_out
        );
        let skipped =
            few.cases.iter().filter(|case| case.spec().needs.iter().any(|need| need.0.starts_with("fact `")));
        assert!(skipped.count() >= few.left_out.len());
    }

    #[test]
    fn the_unrelated_case_is_of_another_module_and_fits_the_os() {
        let suites = Suites::embedded().unwrap();
        let whole = Catalogue::embedded().profile("reference").unwrap();
        let mut poor = (*whole).clone();
        poor.facts.remove("firewall-chain");
        let of = |case: &str, profile: &OsProfile| {
            unrelated(&suites, suites.get(case).unwrap().spec(), profile).unwrap().spec().id.0.clone()
        };
        assert_eq!(of("os::release::slug", &whole), "os::config::injected-hostname");
        assert_eq!(of("os::config::injected-hostname", &whole), "os::firewall::chain");
        assert_eq!(of("os::config::injected-hostname", &poor), "os::kernel::overlayfs");
    }
}
