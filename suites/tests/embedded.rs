//! The cases in the binary, held to the rules that make them worth running.

mod fake;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use shakedown_core::{Capability, CaseId, Effect};
use shakedown_suites::doc::{FactsDoc, ModuleDoc, ProvenDoc, SelectionDoc};
use shakedown_suites::{Ask, SuiteError, Suites};

fn ask(cases: &[&str]) -> Ask {
    Ask { cases: cases.iter().map(|case| (*case).to_owned()).collect(), ..Ask::default() }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn there_are_forty_cases_and_thirty_in_the_demo() {
    let suites = Suites::embedded().unwrap();
    assert!(suites.entries().len() >= 40, "{}", suites.entries().len());
    let demo = suites.select(&Ask::default()).unwrap();
    assert_eq!(demo.name, "demo");
    assert!(demo.entries.len() >= 30, "{}", demo.entries.len());
    assert!(demo.entries.iter().all(|entry| entry.spec().effect <= Effect::SharesReboot));
}

#[test]
fn every_case_has_a_sabotage_and_what_is_proven_is_quick_and_spread() {
    let suites = Suites::embedded().unwrap();
    for entry in suites.entries() {
        assert!(!entry.spec().sabotage.is_empty(), "{}", entry.spec().id);
    }
    assert!(suites.proven().len() >= 10);
    let modules: BTreeSet<_> = suites.proven().iter().map(|(case, _)| case.module().to_owned()).collect();
    assert!(modules.len() >= 5, "{modules:?}");
    for (case, sabotage) in suites.proven() {
        let entry = suites.get(&case.0).unwrap();
        let sabotage = entry.spec().sabotage.iter().find(|known| known.id == *sabotage).unwrap();
        assert!(sabotage.undo.is_some(), "{case} needs a reboot to be taken back");
        assert_eq!(entry.spec().effect, Effect::ReadOnly, "{case}");
    }
}

/// On the reference OS nothing is missing, and no placeholder is left in a sabotage.
#[test]
fn the_reference_profile_knows_every_fact() {
    let suites = Suites::embedded().unwrap();
    let mut profile = fake::profile();
    let known: BTreeSet<_> = suites.entries().iter().flat_map(|entry| entry.config_keys.clone()).collect();
    let config = profile.config.as_mut().unwrap();
    config.keys = known.into_iter().map(|key| (key.clone(), key)).collect();
    profile.partitions = ["boot", "root-a", "root-b", "state", "data"]
        .map(|role| (role.to_owned(), format!("resin-{role}")))
        .into();
    let markers = ["health-breadcrumb", "health-triggered", "altboot-breadcrumb", "altboot-triggered"];
    profile.update = Some(shakedown_core::profile::UpdateProfile {
        file: "/mnt/data/update".into(),
        command: "update {file}".into(),
        slot: "slot".into(),
        markers: markers.map(|marker| (marker.to_owned(), format!("/mnt/state/{marker}"))).into(),
    });
    for entry in suites.entries() {
        assert_eq!(entry.missing(&entry.spec().needs, &profile), None, "{}", entry.spec().id);
        let fitted = entry.for_profile(&profile);
        assert_eq!(fitted.spec().sabotage.len(), entry.spec().sabotage.len(), "{}", entry.spec().id);
    }
    let unused: Vec<_> =
        suites.profile_facts().map(|(name, ..)| name).filter(|name| !suites_use(name)).collect();
    assert!(unused.is_empty(), "no case uses {unused:?}");
}

fn suites_use(fact: &str) -> bool {
    let files = files(root()).into_iter().filter(|file| !file.ends_with("facts.yaml"));
    files
        .map(|file| std::fs::read_to_string(file).unwrap())
        .any(|text| text.contains(&format!("{{{fact}}}")) || text.contains(&format!("\"{fact}\"")))
}

/// YAML and Rust files of this crate.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ending == "yaml" || ending == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn what_a_profile_lacks_is_a_skip_with_its_reason() {
    let suites = Suites::embedded().unwrap();
    let entry = suites.get("os::firewall::chain").unwrap();
    let mut profile = fake::profile();
    profile.facts.remove("firewall-chain");
    let reason = entry.missing(&BTreeSet::new(), &profile).unwrap();
    assert_eq!(reason, "the OS profile `reference` has no fact `firewall-chain`");
    assert!(entry.for_profile(&profile).spec().needs.contains(&Capability::new("fact `firewall-chain`")));
    let entry = suites.get("os::swap::zram-size").unwrap();
    let reason = entry.missing(&BTreeSet::new(), &profile).unwrap();
    assert_eq!(reason, "neither board, OS nor slot offers zram-swap");
    assert_eq!(entry.missing(&[Capability::new("zram-swap")].into(), &profile), None);
    let entry = suites.get("os::system::memory-at-rest").unwrap();
    assert_eq!(entry.missing(&BTreeSet::new(), &profile), None);
    profile.budgets.clear();
    let reason = entry.missing(&BTreeSet::new(), &profile).unwrap();
    assert_eq!(reason, "the OS profile `reference` has no budget for `memory.rest`");
    let entry = suites.get("container::run::logs").unwrap();
    let engine = [Capability::new("engine")].into();
    assert_eq!(entry.missing(&engine, &profile), None);
    profile.facts.remove("test-image-file");
    let reason = entry.missing(&engine, &profile).unwrap();
    assert_eq!(reason, "neither board, OS nor slot offers companion-test-image");
    assert!(entry.for_profile(&profile).spec().needs.contains(&Capability::new("companion-test-image")));
}

/// What YAML cases are held to when they are loaded, for those written in Rust: a sabotage is
/// told by one sentence of its plot, not by a word that several share.
#[test]
fn a_sabotage_of_a_plot_is_told_by_one_failure() {
    let sources: Vec<String> =
        files(&root().join("src/cases")).iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    for module in files(&root().join("os"))
        .into_iter()
        .chain(files(&root().join("container")))
        .chain(files(&root().join("update")))
    {
        let doc: shakedown_conf::Loaded<ModuleDoc> =
            shakedown_conf::load(&shakedown_conf::Document::read(&module).unwrap()).unwrap();
        for case in doc.value.cases {
            let Some(plot) = case.plot else { continue };
            let source = sources.iter().find(|text| text.contains(&format!("\"{plot}\""))).unwrap();
            for sabotage in case.sabotage {
                let fits: BTreeSet<&str> = source
                    .split('"')
                    .skip(1)
                    .step_by(2)
                    .filter(|text| text.contains(&sabotage.must_say))
                    .collect();
                assert!(fits.len() < 2, "{}: `{}` fits {fits:?}", case.id, sabotage.must_say);
            }
        }
    }
}

#[test]
fn cases_run_in_order_of_effect_and_after_what_they_need() {
    let suites = Suites::embedded().unwrap();
    let all = suites.select(&Ask { selection: Some("all".into()), ..Ask::default() }).unwrap();
    assert_eq!(all.entries.len(), suites.entries().len());
    let at: BTreeMap<CaseId, usize> =
        all.entries.iter().enumerate().map(|(at, entry)| (entry.spec().id.clone(), at)).collect();
    for pair in all.entries.windows(2) {
        assert!(pair[0].spec().effect <= pair[1].spec().effect, "{pair:?}");
    }
    for entry in &all.entries {
        for after in &entry.spec().after {
            assert!(at[after] < at[&entry.spec().id], "{} after {after}", entry.spec().id);
        }
    }
}

#[test]
fn what_does_not_exist_is_answered_with_the_nearest_name() {
    let suites = Suites::embedded().unwrap();
    let error = |ask: &Ask| suites.select(ask).unwrap_err().to_string();
    assert_eq!(
        error(&ask(&["os::swap::zarm-size"])),
        "no case `os::swap::zarm-size`; did you mean `os::swap::zram-size`?"
    );
    let selection = Ask { selection: Some("dmeo".into()), ..Ask::default() };
    assert_eq!(error(&selection), "no selection `dmeo`; did you mean `demo`?");
    let suite = Ask { suite: Some("osx".into()), ..Ask::default() };
    assert_eq!(error(&suite), "no suite `osx`; did you mean `os`?");
    let both = Ask { selection: Some("quick".into()), ..ask(&["container::*"]) };
    let plan = suites.select(&both).unwrap();
    assert!(!plan.entries.is_empty());
    assert!(plan.entries.iter().all(|entry| entry.spec().id.suite() == "container"));
}

#[test]
fn a_circle_of_cases_is_found() {
    let folder = std::env::temp_dir().join(format!("shakedown-suites-circle-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("suites/test")).unwrap();
    let case = |id: &str, after: &str| {
        format!(
            "  - {{ id: {id}, title: One of two cases, effect: read-only, within: 1s, after: ['test::circle::{after}'],\n      \
             check: [{{ run: x, says: it is wrong, expect: {{ exit: 0 }} }}],\n      \
             sabotage: [{{ id: none, edits: [{{ shell: x }}], must-say: x }}] }}\n"
        )
    };
    let text = format!("module: test::circle\ncases:\n{}{}", case("one", "two"), case("two", "one"));
    std::fs::write(folder.join("suites/test/circle.yaml"), text).unwrap();
    let suites = Suites::with_paths(std::slice::from_ref(&folder)).unwrap();
    assert_ne!(suites.hash(), Suites::embedded().unwrap().hash());
    let error = suites.select(&ask(&["test::*"])).unwrap_err();
    assert!(matches!(error, SuiteError::Circle(_)));
    let text = error.to_string();
    assert!(text.contains("test::circle::one → test::circle::two → test::circle::one"), "{text}");
    std::fs::remove_dir_all(folder).unwrap();
    let gone = Suites::with_paths(&["/nonexistent".into()]).unwrap_err().to_string();
    assert_eq!(gone, "/nonexistent: is no folder");
}

/// Named like cases of a field: nothing of one OS, board or rig.
#[test]
fn cases_name_no_board_no_driver_and_no_os() {
    for folder in ["os", "container", "update", "src/cases"] {
        for file in files(&root().join(folder)) {
            let text = std::fs::read_to_string(&file).unwrap();
            for word in ["qemu", "generic-", "resin-", "balena", "reference-", "/mnt/", "raspberry"] {
                assert!(!text.to_lowercase().contains(word), "{} says {word}", file.display());
            }
        }
    }
}

#[test]
fn suite_files_are_formatted() {
    for file in files(root()).into_iter().filter(|file| file.extension().is_some_and(|end| end == "yaml")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.display();
        assert!(text.starts_with("# yaml-language-server: $schema="), "{name} names no schema");
        let schema = text.lines().next().unwrap().split_once('=').unwrap().1;
        assert!(file.parent().unwrap().join(schema).is_file(), "{name}: no {schema}");
        assert!(
            text.ends_with('\n') && !text.ends_with("\n\n"),
            "{name} ends in another way than one line end"
        );
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            assert!(!line.contains('\t'), "{name}:{number} has a tab");
            assert_eq!(line, line.trim_end(), "{name}:{number} ends in blanks");
        }
    }
}

#[test]
fn schemas_are_current() {
    let schemas = [
        ("module", shakedown_conf::schema_text::<ModuleDoc>()),
        ("selection", shakedown_conf::schema_text::<SelectionDoc>()),
        ("facts", shakedown_conf::schema_text::<FactsDoc>()),
        ("proven", shakedown_conf::schema_text::<ProvenDoc>()),
    ];
    for (name, text) in schemas {
        let path = root().join(format!("schema/{name}.json"));
        if std::env::var_os("SHAKEDOWN_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text,
            "schema/{name}.json is old: SHAKEDOWN_BLESS=1 cargo test -p shakedown-suites"
        );
    }
}
