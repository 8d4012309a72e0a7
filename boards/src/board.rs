//! A board's layers to a complete board.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use shakedown_conf::{Loaded, Place, Span};
use shakedown_core::{Arch, Board, Capability};

use crate::consistent::consistent;
use crate::doc::{ArchDoc, BoardDoc, BootDoc, FamilyDoc, LoaderDoc, ProvisionDoc};
use crate::error::BoardsError;
use crate::facts::Facts;
use crate::merge::{Boot, Sourced, check_pattern, or, put};
use crate::origin::Origins;

/// Serial consoles of boards run at this speed unless a family says otherwise.
const BAUD: u32 = 115_200;
/// Bulk capacitors of small boards hold the supply for about a second.
const MIN_OFF: Duration = Duration::from_secs(2);

/// What one document says of a board, whether board or family.
struct Layer<'a> {
    arch: Option<ArchDoc>,
    soc: Option<&'a String>,
    capabilities: &'a [String],
    without: &'a [String],
    provision: Option<&'a ProvisionDoc>,
    baud: Option<u32>,
    min_off: Option<Span>,
    boot: &'a BootDoc,
    config_txt: &'a [String],
    facts: Facts,
}

impl<'a> From<&'a FamilyDoc> for Layer<'a> {
    fn from(doc: &'a FamilyDoc) -> Self {
        Self {
            arch: doc.arch,
            soc: doc.soc.as_ref(),
            capabilities: &doc.capabilities,
            without: &doc.without,
            provision: doc.provision.as_ref(),
            baud: doc.baud,
            min_off: doc.min_off,
            boot: &doc.boot,
            config_txt: &doc.config_txt,
            facts: Facts::from(doc),
        }
    }
}

impl<'a> From<&'a BoardDoc> for Layer<'a> {
    fn from(doc: &'a BoardDoc) -> Self {
        Self {
            arch: doc.arch,
            soc: doc.soc.as_ref(),
            capabilities: &doc.capabilities,
            without: &doc.without,
            provision: doc.provision.as_ref(),
            baud: doc.baud,
            min_off: doc.min_off,
            boot: &doc.boot,
            config_txt: &doc.config_txt,
            facts: Facts::from(doc),
        }
    }
}

#[derive(Default)]
struct Merged {
    arch: Option<Sourced<ArchDoc>>,
    soc: Option<Sourced<String>>,
    /// Whether it has it.
    capabilities: BTreeMap<String, Sourced<bool>>,
    provision: Option<Sourced<ProvisionDoc>>,
    baud: Option<Sourced<u32>>,
    min_off: Option<Sourced<Span>>,
    boot: Boot,
    config_txt: Vec<Sourced<String>>,
    facts: Facts,
    places: BTreeMap<&'static str, Place>,
}

impl Merged {
    fn apply<T>(&mut self, from: &Loaded<T>, layer: &Layer<'_>) -> Result<(), BoardsError> {
        put(&mut self.arch, layer.arch, || from.at("arch"));
        put(&mut self.soc, layer.soc.cloned(), || from.at("soc"));
        if let Some(ProvisionDoc::Netboot(doc)) = layer.provision {
            doc.check().map_err(|(field, what)| from.invalid(&format!("provision.netboot.{field}"), what))?;
            if let Some(LoaderDoc { countdown, prompt, .. }) = &doc.loader {
                for (name, pattern) in [("countdown", countdown), ("prompt", prompt)] {
                    check_pattern(from, &format!("provision.netboot.loader.{name}"), pattern.as_str())?;
                }
            }
        }
        put(&mut self.provision, layer.provision.cloned(), || from.at("provision"));
        if layer.baud == Some(0) {
            return Err(from.invalid("baud", "a console of 0 baud says nothing").into());
        }
        put(&mut self.baud, layer.baud, || from.at("baud"));
        put(&mut self.min_off, layer.min_off, || from.at("min-off"));
        for (name, words, has) in
            [("capabilities", layer.capabilities, true), ("without", layer.without, false)]
        {
            for (index, word) in words.iter().enumerate() {
                let field = format!("{name}[{index}]");
                check_word(from, &field, word)?;
                if !has && layer.capabilities.contains(word) {
                    return Err(from.invalid(&field, format!("`{word}` is in `capabilities`, too")).into());
                }
                let place = from.at(&field);
                self.capabilities.insert(word.clone(), Sourced { value: has, place });
            }
        }
        self.places.extend(layer.facts.fields().into_iter().map(|(field, _)| (field, from.at(field))));
        self.facts.apply(layer.facts.clone());
        for (index, line) in layer.config_txt.iter().enumerate() {
            let place = from.at(&format!("config-txt[{index}]"));
            self.config_txt.push(Sourced { value: line.clone(), place });
        }
        self.boot.apply(from, layer.boot)
    }
}

/// Capabilities are kebab-case words, so that a slip in one shows.
pub(crate) fn check_word<T>(from: &Loaded<T>, field: &str, word: &str) -> Result<(), BoardsError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !word.is_empty() && word.chars().all(fits) {
        return Ok(());
    }
    Err(from.invalid(field, format!("`{word}` is not a word of a-z, 0-9 and `-`")).into())
}

/// Merges the families and the board itself into a complete board.
pub(crate) fn resolve(
    own: &Loaded<BoardDoc>,
    families: &[Arc<Loaded<FamilyDoc>>],
) -> Result<(Board, Facts, Origins), BoardsError> {
    let mut merged = Merged::default();
    for family in families {
        merged.apply(family, &Layer::from(&family.value))?;
    }
    merged.apply(own, &Layer::from(&own.value))?;
    let mut origins = Origins::default();
    let slug = own.value.board.clone();
    check_word(own, "board", &slug)?;
    origins.note("board", &slug, Some(own.at("board")));
    let name = match &own.value.name {
        Some(name) => {
            origins.note("name", name, Some(own.at("name")));
            name.clone()
        }
        None => return Err(own.missing("", "name").into()),
    };
    let lacks = |field: &str| BoardsError::from(own.missing("", field).hint(lacking(field)));
    let arch = merged.arch.ok_or_else(|| lacks("arch"))?;
    let provision = merged.provision.ok_or_else(|| lacks("provision"))?;
    if merged.boot.is_empty() {
        return Err(lacks("boot"));
    }
    let arch_word = Arch::from(arch.value);
    origins.note("arch", arch_word.to_string(), Some(arch.place));
    if let Some(soc) = &merged.soc {
        origins.note("soc", soc.value.clone(), Some(soc.place.clone()));
    }
    for (field, value) in merged.facts.fields() {
        origins.note(field, value, merged.places.remove(field));
    }
    for has in [true, false] {
        let field = if has { "capabilities" } else { "without" };
        for (word, said) in merged.capabilities.iter().filter(|(_, said)| said.value == has) {
            origins.note(field, word, Some(said.place.clone()));
        }
    }
    origins.note("provision", provision.value.text(), Some(provision.place));
    for (field, sides) in &own.value.disputed {
        for (source, says) in sides {
            let place = own.at(&format!("disputed.{field}.{source}"));
            origins.note(format!("disputed.{field}.{source}"), says, Some(place));
        }
    }
    let baud_known = merged.baud.is_some();
    let baud = or(&mut origins, "baud", merged.baud.as_ref(), BAUD);
    let min_off = or(&mut origins, "min-off", merged.min_off.as_ref(), Span(MIN_OFF));
    for line in &merged.config_txt {
        origins.note("config-txt", line.value.clone(), Some(line.place.clone()));
    }
    let (stages, bad) = merged.boot.finish(&mut origins);
    let (has, without): (Vec<_>, Vec<_>) = merged.capabilities.into_iter().partition(|(_, said)| said.value);
    let words = |said: Vec<(String, Sourced<bool>)>| said.into_iter().map(|(word, _)| word);
    let facts = Facts {
        without: words(without).collect(),
        families: families.iter().map(|family| family.value.family.clone()).collect(),
        baud_known,
        ..merged.facts
    };
    let board = Board {
        slug,
        name,
        arch: arch_word,
        soc: merged.soc.map(|soc| soc.value),
        capabilities: words(has).map(Capability).collect::<BTreeSet<_>>(),
        provision: provision.value.complete(&facts),
        baud,
        min_off: min_off.get(),
        stages,
        bad,
        config_txt: merged.config_txt.into_iter().map(|line| line.value).collect(),
        hash: origins.hash(),
    };
    consistent(own, &board, &facts)?;
    Ok((board, facts, origins))
}

fn lacking(field: &str) -> String {
    format!("neither the board nor a family that it extends gives `{field}`")
}
