//! The JSON Schemas that are committed under `boards/schema/`.

use shakedown_conf::schema_text;

use crate::doc::{BoardDoc, FamilyDoc, OsDoc, SourcesDoc};

/// File name and text of each schema.
pub fn schemas() -> [(&'static str, String); 4] {
    [
        ("board.json", schema_text::<BoardDoc>()),
        ("family.json", schema_text::<FamilyDoc>()),
        ("os.json", schema_text::<OsDoc>()),
        ("sources.json", schema_text::<SourcesDoc>()),
    ]
}
