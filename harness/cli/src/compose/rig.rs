//! Rig files: which slots there are, and what each is made of.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use shakedown_conf::{Document, Loaded, load};
use shakedown_qemu::MachineDoc;

use crate::CliError;

/// The QEMU rig that every binary has.
const QEMU_RIG: &str = include_str!("../../../../qemu/rig.yaml");

/// A rig file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RigDoc {
    /// The rig's name: the first part of its slots' ids.
    pub rig: String,
    /// The places for DUTs, by name.
    pub slots: BTreeMap<String, SlotDoc>,
}

/// One DUT's place. Either `qemu`, or the wiring of hardware.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SlotDoc {
    /// The board type that sits in it, by its slug.
    pub board: String,
    /// A virtual machine.
    #[serde(default)]
    pub qemu: Option<MachineDoc>,
}

/// A rig file that was read, and where.
pub struct Rig {
    /// The document and its places.
    pub doc: Loaded<RigDoc>,
    /// Where it came from, for people.
    pub from: String,
}

impl Rig {
    /// The order of look-up: `--rig`, `SHAKEDOWN_RIG`, `./rig.yaml`, the QEMU rig.
    pub fn find(named: Option<&Path>) -> Result<Self, CliError> {
        let variable = std::env::var_os("SHAKEDOWN_RIG").filter(|value| !value.is_empty()).map(PathBuf::from);
        let here = PathBuf::from("rig.yaml");
        let file = named.map(Path::to_owned).or(variable).or_else(|| here.exists().then_some(here));
        let (document, from) = match file {
            Some(path) => (Document::read(&path)?, path.display().to_string()),
            None => (Document::new("qemu/rig.yaml (built in)", QEMU_RIG), "the built-in QEMU rig".to_owned()),
        };
        let doc = load::<RigDoc>(&document)?;
        for (name, slot) in &doc.value.slots {
            if slot.qemu.is_none() {
                return Err(doc.missing(&format!("slots.{name}"), "qemu").into());
            }
        }
        Ok(Self { doc, from })
    }

    /// The slot of this name, or the first one for this board.
    pub fn slot(&self, name: Option<&str>, board: Option<&str>) -> Result<(&str, &SlotDoc), CliError> {
        let slots = &self.doc.value.slots;
        if let Some(name) = name {
            let short = name.strip_prefix(&format!("{}/", self.doc.value.rig)).unwrap_or(name);
            if let Some((name, slot)) = slots.get_key_value(short) {
                return Ok((name, slot));
            }
            return Err(self.no_such("slot", name, slots.keys().map(String::as_str)));
        }
        let Some(board) = board else {
            return match slots.iter().next() {
                Some((name, slot)) if slots.len() == 1 => Ok((name, slot)),
                _ => Err(CliError::refused(format!("{} has several slots", self.from))
                    .hint(format!("say which with --board or --slot: {}", self.names()))),
            };
        };
        let mut fits = slots.iter().filter(|(_, slot)| slot.board == board);
        fits.next().map(|(name, slot)| (name.as_str(), slot)).ok_or_else(|| {
            self.no_such("slot for board", board, slots.values().map(|slot| slot.board.as_str()))
        })
    }

    fn no_such<'a>(&self, kind: &str, got: &str, known: impl Iterator<Item = &'a str>) -> CliError {
        let known: Vec<_> = known.collect();
        let near = shakedown_conf::nearest(got, known.iter().copied());
        let hint = match near {
            Some(near) => format!("did you mean `{near}`? There are: {}", self.names()),
            None => format!("there are: {}", self.names()),
        };
        CliError::refused(format!("no {kind} `{got}` in {}", self.from)).hint(hint)
    }

    fn names(&self) -> String {
        let slots = self.doc.value.slots.iter();
        slots.map(|(name, slot)| format!("{name} ({})", slot.board)).collect::<Vec<_>>().join(", ")
    }
}
