//! Outside documents about boards to descriptors of ours: deterministic, inventing nothing.
//!
//! A board extends those families whose facts its document states, too, the ones that say most
//! first; its file holds what is left. A family that says anything that the document does not
//! is not taken, so that no fact comes from nowhere. Boot stages are ours: they are no such facts.

mod device_types;
mod record;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use crate::catalogue::Catalogue;
use crate::doc::{FamilyDoc, SourcesDoc};
use crate::error::BoardsError;
use crate::facts::Facts;
use crate::layers;
use crate::text::scalar;
use record::Record;

/// The family of a board of which nothing is known but that it runs Linux.
const BASE: &str = "linux-board";

/// A descriptor made from an outside document.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The board.
    pub slug: String,
    /// Its document.
    pub text: String,
    /// What the outside document says and ours cannot.
    pub left_out: Vec<String>,
    /// Each fact: its field, and its value as [`crate::Origin`] shows it.
    pub facts: Vec<(String, String)>,
}

/// Why an outside document cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportError {
    /// It is not what it should be; line and column are the parser's.
    Document(String),
    /// One entry says what we do not know.
    Entry {
        /// Which.
        slug: String,
        /// One clause.
        what: String,
    },
    /// A family of ours is broken.
    Ours(BoardsError),
}

impl std::fmt::Display for ImportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Document(what) => write!(f, "not a document of device types: {what}"),
            Self::Entry { slug, what } => write!(f, "{slug}: {what}"),
            Self::Ours(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ImportError {}

/// What a family states, merged with what it extends.
struct Stated {
    name: String,
    facts: BTreeMap<String, String>,
    capabilities: BTreeMap<String, bool>,
    /// Its source for the fields that have one of their own.
    sources: BTreeMap<String, String>,
    boots: bool,
}

/// Makes descriptors of a document like balena's device types (JSON). The families are the catalogue's.
pub fn device_types(json: &[u8], catalogue: &Catalogue) -> Result<Vec<Imported>, ImportError> {
    let document: device_types::DeviceTypes =
        serde_json::from_slice(json).map_err(|error| ImportError::Document(error.to_string()))?;
    let families = stated(catalogue).map_err(ImportError::Ours)?;
    let sets = catalogue.source_sets().map_err(ImportError::Ours)?;
    let mut all = Vec::new();
    for entry in document.device_types {
        let slug = entry.slug.clone();
        // It becomes a file's name.
        if !shakedown_core::names::is_slug(&slug) {
            let what = "no slug: expected lower-case letters, digits and dashes".to_owned();
            return Err(ImportError::Entry { slug, what });
        }
        if all.iter().any(|earlier: &Imported| earlier.slug == slug) {
            return Err(ImportError::Entry { slug, what: "stands twice in the document".to_owned() });
        }
        let record = Record::new(entry).and_then(|record| named_sources(record, &sets));
        let record = record.map_err(|what| ImportError::Entry { slug, what })?;
        let chosen = choose(&record, &families);
        all.push(Imported {
            slug: record.slug.clone(),
            text: write::descriptor(&record, &chosen),
            left_out: record.left_out.clone(),
            facts: record.fields(),
        });
    }
    all.sort_by(|a, b| a.slug.cmp(&b.slug));
    Ok(all)
}

/// Sources by the short names of their set.
fn named_sources(mut record: Record, sets: &BTreeMap<String, SourcesDoc>) -> Result<Record, String> {
    let set = record.sources.get("all").and_then(|all| sets.get(all)).ok_or("no such set of sources")?;
    let sources = std::mem::take(&mut record.sources);
    for (field, says) in sources {
        let known = set.kinds.iter().find(|(kind, text)| **kind == says || **text == says);
        let name = match (field.as_str(), known) {
            ("all", _) => says,
            (_, Some((kind, _))) => kind.clone(),
            (field, None) => return Err(format!("{field}: unknown source `{says}`")),
        };
        if set.fields.get(&field) != Some(&name) {
            record.sources.insert(field, name);
        }
    }
    Ok(record)
}

fn stated(catalogue: &Catalogue) -> Result<Vec<Stated>, BoardsError> {
    let shelf = catalogue.families();
    let mut all = Vec::new();
    for (name, family) in shelf {
        let own = family.load()?;
        // Only those that say where their facts come from are for imports.
        if !own.value.sources.contains_key("all") && name != BASE {
            continue;
        }
        let below = layers::families(shelf, own.as_ref(), &own.value.extends)?;
        let mut stated = Stated {
            name: name.clone(),
            facts: BTreeMap::new(),
            capabilities: BTreeMap::new(),
            sources: own.value.sources.clone(),
            boots: false,
        };
        let mut facts = Facts::default();
        for layer in below.iter().map(|layer| &layer.value).chain([&own.value]) {
            stated.add(layer);
            facts.apply(Facts::from(layer));
        }
        stated.facts.extend(facts.fields().into_iter().map(|(field, text)| (field.to_owned(), text)));
        all.push(stated);
    }
    Ok(all)
}

impl Stated {
    fn add(&mut self, layer: &FamilyDoc) {
        self.boots |= !layer.boot.stages.is_empty();
        let arch = layer.arch.map(|arch| shakedown_core::Arch::from(arch).to_string());
        for (field, text) in [
            ("arch", arch),
            ("soc", layer.soc.as_deref().map(scalar)),
            ("baud", layer.baud.map(|baud| baud.to_string())),
            ("provision", layer.provision.as_ref().map(crate::doc::ProvisionDoc::text)),
        ] {
            self.facts.extend(text.map(|text| (field.to_owned(), text)));
        }
        self.capabilities.extend(layer.capabilities.iter().map(|word| (word.clone(), true)));
        self.capabilities.extend(layer.without.iter().map(|word| (word.clone(), false)));
    }

    /// Whether the document states all that this family does.
    fn fits(&self, record: &Record, facts: &BTreeMap<String, String>) -> bool {
        self.facts.iter().all(|(field, text)| facts.get(field) == Some(text))
            && self.capabilities.iter().all(|(word, has)| record.capabilities.get(word.as_str()) == Some(has))
            && self.facts.keys().all(|field| {
                // What the family says must come from the same source.
                self.sources.get(field) == record.sources.get(field)
            })
    }

    fn adds(&self, covered: &BTreeSet<&str>) -> usize {
        let words = self.capabilities.keys().map(String::as_str);
        self.facts.keys().map(String::as_str).chain(words).filter(|field| !covered.contains(field)).count()
    }
}

/// The families to extend, the weakest first.
fn choose<'a>(record: &Record, families: &'a [Stated]) -> Vec<&'a Stated> {
    let facts: BTreeMap<_, _> = record.fields().into_iter().collect();
    let fitting: Vec<_> =
        families.iter().filter(|family| !family.facts.is_empty() && family.fits(record, &facts)).collect();
    let (mut chosen, mut covered) = (Vec::<&Stated>::new(), BTreeSet::new());
    while let Some(best) = fitting
        .iter()
        .rev()
        .filter(|family| family.adds(&covered) > 0)
        .max_by_key(|family| family.adds(&covered))
    {
        covered.extend(best.facts.keys().map(String::as_str));
        covered.extend(best.capabilities.keys().map(String::as_str));
        chosen.push(*best);
    }
    if !chosen.iter().any(|family| family.boots) {
        chosen.extend(families.iter().find(|family| family.name == BASE));
    }
    // What says most is the most particular, so its stages come last and win.
    chosen.reverse();
    chosen
}
