//! The field `machine`: a name, or a description.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{DescribedMachine, Machine};
use crate::doc::MachineName;

/// Which machine it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// One that is built in.
    Named(MachineName),
    /// One that the rig file describes.
    Described(Box<DescribedMachine>),
}

impl Which {
    /// The machine itself.
    pub fn machine(&self) -> Machine<'_> {
        match self {
            Self::Named(name) => Machine::named(*name),
            Self::Described(described) => described.machine(),
        }
    }
}

impl From<MachineName> for Which {
    fn from(name: MachineName) -> Self {
        Self::Named(name)
    }
}

impl<'de> Deserialize<'de> for Which {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct NameOrDescription;
        impl<'de> Visitor<'de> for NameOrDescription {
            type Value = Which;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a machine (q35, virt, raspi3b), or a description of one")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Which, E> {
                MachineName::deserialize(StrDeserializer::new(name)).map(Which::Named)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Which, A::Error> {
                let described = DescribedMachine::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Which::Described(Box::new(described)))
            }
        }
        input.deserialize_any(NameOrDescription)
    }
}

impl Serialize for Which {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Named(name) => name.serialize(output),
            Self::Described(described) => described.serialize(output),
        }
    }
}

impl JsonSchema for Which {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Which".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<MachineName>();
        let described = generator.subschema_for::<DescribedMachine>();
        json_schema!({"oneOf": [name, described]})
    }
}
