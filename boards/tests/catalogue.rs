//! Every document of the catalogue.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use shakedown_boards::{Catalogue, boot_spec, schemas};
use shakedown_core::{Arch, Capability, Seen};

fn regex(pattern: &str) -> Regex {
    let bytes = syntax::Config::new().utf8(false).unicode(false).multi_line(true).crlf(true);
    Regex::builder().syntax(bytes).build(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

/// `name | line` pairs.
fn lines(text: &str) -> Vec<(&str, &str)> {
    text.lines().map(|line| line.split_once(" | ").unwrap()).collect()
}

#[test]
fn nothing_is_wrong() {
    let wrong: Vec<_> = Catalogue::embedded().check().iter().map(|error| format!("{error:#}")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_boards_are_complete() {
    let catalogue = Catalogue::embedded();
    let amd64 = catalogue.board("generic-amd64").unwrap();
    assert_eq!((amd64.arch, amd64.baud), (Arch::Amd64, 115_200));
    assert!(amd64.capabilities.contains(&Capability::new("hdmi")));
    let arm64 = catalogue.board("generic-aarch64").unwrap();
    assert_ne!(amd64.hash, arm64.hash);
    for board in [amd64, arm64] {
        let stages: Vec<_> = board.stages.iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(stages, ["firmware", "bootloader", "kernel"], "{}", board.slug);
        assert!(board.stages[0].optional && !board.stages[1].optional && board.stages[2].once);
    }
    assert!(catalogue.list().iter().all(|listed| listed.resolved.is_ok()));
    assert_eq!(catalogue.board("beaglebone").unwrap().slug, "beaglebone-black", "by an alias");
}

/// Files that a person can take in, and families that carry the rest.
#[test]
fn a_board_states_only_its_own() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue");
    let lines = |path: &Path| std::fs::read_to_string(path).unwrap().lines().count();
    let mut all: Vec<_> = std::fs::read_dir(here).unwrap().map(|file| lines(&file.unwrap().path())).collect();
    all.sort_unstable();
    assert_eq!(all.len(), 161);
    assert!(all[all.len() - 1] <= 25 && all[all.len() / 2] <= 12, "{all:?}");
}

#[test]
fn a_boot_is_the_board_and_then_the_os() {
    let catalogue = Catalogue::embedded();
    for (os, want) in [
        ("reference", "firmware? bootloader kernel initramfs userspace? login shell ready"),
        ("balenaos", "firmware? bootloader? kernel? userspace? login? shell ready"),
    ] {
        for slug in ["generic-amd64", "generic-aarch64"] {
            let spec = boot_spec(&catalogue.board(slug).unwrap(), &catalogue.profile(os).unwrap());
            let shown: Vec<_> = spec
                .stages
                .iter()
                .map(|s| format!("{}{}", s.name, if s.optional { "?" } else { "" }))
                .collect();
            assert_eq!(shown.join(" "), want, "{slug} with {os}");
            assert!(spec.bad.iter().any(|bad| bad.id == "emergency-mode"));
            let ids: BTreeSet<_> = spec.bad.iter().map(|bad| &bad.id).collect();
            assert_eq!(ids.len(), spec.bad.len());
        }
    }
    let reference = catalogue.profile("reference").unwrap();
    for slug in catalogue.slugs() {
        let spec = boot_spec(&catalogue.board(slug).unwrap(), &reference);
        let names: Vec<_> = spec.stages.iter().map(|stage| stage.name.as_str()).collect();
        assert!(
            names.ends_with(&["kernel", "initramfs", "userspace", "login", "shell", "ready"]),
            "{slug}: {names:?}"
        );
        assert!(names.len() <= 8 && spec.bad.len() >= 12, "{slug}");
    }
    // A slot may lack the engine: then nobody waits for it.
    let mut without = (*reference).clone();
    without.offers.retain(|word| word.0 != "engine");
    let spec = boot_spec(&catalogue.board("raspberrypi3-64").unwrap(), &without);
    assert_eq!(spec.stages.last().unwrap().name, "shell");
    let known = catalogue.profile_of("shakedown-reference").unwrap().unwrap();
    assert_eq!(known.id, "reference");
    assert!(catalogue.profile_of("debian").unwrap().is_none());
}

/// All patterns of the boards on which this holds, by stage and by known-bad line.
struct Patterns {
    bad: BTreeMap<String, Vec<Regex>>,
    stages: BTreeMap<String, Vec<Regex>>,
}

impl Patterns {
    fn of(slugs: &[&str]) -> Self {
        let catalogue = Catalogue::embedded();
        let (mut bad, mut stages) = (BTreeMap::<_, BTreeSet<_>>::new(), BTreeMap::<_, BTreeSet<_>>::new());
        let profiles = ["reference", "balenaos"].map(|os| (os, catalogue.profile(os).unwrap()));
        for slug in slugs {
            let board = catalogue.board(slug).unwrap();
            for (os, profile) in &profiles {
                let spec = boot_spec(&board, profile);
                for line in spec.bad {
                    bad.entry(line.id).or_default().insert(line.pattern);
                }
                for stage in spec.stages.into_iter().filter(|_| *os == "reference") {
                    if let Seen::Console(patterns) = stage.seen {
                        stages.entry(stage.name).or_default().extend(patterns);
                    }
                }
            }
        }
        let compiled = |of: BTreeMap<String, BTreeSet<String>>| {
            of.into_iter().map(|(name, of)| (name, of.iter().map(|one| regex(one)).collect())).collect()
        };
        Self { bad: compiled(bad), stages: compiled(stages) }
    }

    fn hits<'a>(of: &'a BTreeMap<String, Vec<Regex>>, line: &str) -> Vec<&'a str> {
        let hit = |(_, patterns): &(&String, &Vec<Regex>)| patterns.iter().any(|one| one.is_match(line));
        of.iter().filter(hit).map(|(name, _)| name.as_str()).collect()
    }
}

/// Each known-bad line has a sample that it catches, and catches nothing of a good boot.
#[test]
fn patterns_catch_what_they_are_for() {
    let catalogue = Catalogue::embedded();
    let all = Patterns::of(&catalogue.slugs().collect::<Vec<_>>());
    let samples = lines(include_str!("bad-lines.txt"));
    for (id, line) in &samples {
        let patterns = all.bad.get(*id).unwrap_or_else(|| panic!("no known-bad line {id}"));
        assert!(patterns.iter().all(|pattern| pattern.is_match(line)), "{id} does not catch: {line}");
        let stages = Patterns::hits(&all.stages, line);
        assert!(stages.is_empty() || stages == ["bootloader"], "{stages:?} takes for itself: {line}");
    }
    let sampled: BTreeSet<_> = samples.iter().map(|(id, _)| *id).collect();
    let unsampled: Vec<_> = all.bad.keys().filter(|id| !sampled.contains(id.as_str())).collect();
    assert!(unsampled.is_empty(), "no sample in bad-lines.txt for {unsampled:?}");
    let good = |slugs: &[&str], text: &str| {
        let patterns = Patterns::of(slugs);
        for (want, line) in lines(text) {
            let hit = Patterns::hits(&all.bad, line);
            assert!(hit.is_empty(), "{hit:?} would end a good boot at: {line}");
            let want: Vec<_> = want.strip_prefix("stage ").into_iter().collect();
            assert_eq!(Patterns::hits(&patterns.stages, line), want, "{line}");
        }
    };
    good(&["generic-amd64", "generic-aarch64"], include_str!("good-lines.txt"));
    good(&["raspberrypi4-64", "beaglebone-black"], include_str!("good-lines-boards.txt"));
    good(&["jetson-xavier"], include_str!("good-lines-cboot.txt"));
    good(&["jetson-orin-nano-devkit-nvme"], include_str!("good-lines-orin.txt"));
}

/// The same facts that the suites are written against, and those that the runner reads.
#[test]
fn the_reference_profile_gives_each_fact_of_the_suites() {
    let text = include_str!("../../suites/facts.yaml");
    let names = text.split("\nprofile:\n").nth(1).unwrap().lines().filter_map(|line| {
        let name = line.strip_prefix("  ")?.strip_suffix(':')?;
        (!name.starts_with(' ')).then_some(name)
    });
    let mut names: BTreeSet<_> = names.collect();
    assert!(names.len() > 20, "suites/facts.yaml is not laid out as this test reads it");
    // These the runner reads, where an installer ran before any case.
    names.extend(["installer-began", "installer-failed"]);
    let profile = Catalogue::embedded().profile("reference").unwrap();
    let given: BTreeSet<_> = profile.facts.keys().map(String::as_str).collect();
    assert_eq!(names.symmetric_difference(&given).collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn the_committed_schemas_are_current_and_named() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, text) in schemas() {
        let path = here.join("schema").join(name);
        if std::env::var_os("SHAKEDOWN_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            committed,
            text,
            "{} is old: SHAKEDOWN_BLESS=1 cargo test -p shakedown-boards",
            path.display()
        );
    }
    for (folder, schema) in
        [("catalogue", "board"), ("families", "family"), ("os", "os"), ("sources", "sources")]
    {
        for entry in std::fs::read_dir(here.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let first = format!("# yaml-language-server: $schema=../schema/{schema}.json\n");
            assert!(text.starts_with(&first), "{}", path.display());
        }
    }
}
