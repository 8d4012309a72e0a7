//! A secret that documents only point to.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where a secret comes from, written `{ env: NAME }` or `{ file: PATH }`; never the secret itself.
///
/// `Debug`, `Display` and `Serialize` show this place. The secret is read by
/// [`Secret::reveal`] at the moment of use, into a type that cannot be printed.
#[derive(Clone, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub struct Secret(Origin);

/// What is said of anything else in its place.
pub(crate) const NOT_HERE: &str = "a secret is named by its place, `{ env: NAME }` or `{ file: PATH }`";

#[derive(Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "Secret", rename_all = "kebab-case")]
enum Origin {
    /// An environment variable.
    Env(String),
    /// A file; one line end at its end is not part of the secret.
    File(PathBuf),
}

/// A secret that was read. It has no `Debug`, `Display` or `Serialize` that shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Revealed(String);

/// Why a secret is not at hand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set, or is no text.
    #[error("the environment variable {0} is not set: set it, or change the document")]
    NoVariable(String),
    /// The file cannot be read.
    #[error("the secret's file {path} cannot be read: {error}")]
    NoFile {
        /// Which file.
        path: String,
        /// The operating system's words.
        error: String,
    },
}

impl Secret {
    /// A secret in an environment variable.
    pub fn env(name: impl Into<String>) -> Self {
        Self(Origin::Env(name.into()))
    }

    /// A secret in a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Origin::File(path.into()))
    }

    /// Reads it.
    pub fn reveal(&self) -> Result<Revealed, SecretError> {
        match &self.0 {
            Origin::Env(name) => {
                std::env::var(name).map(Revealed).map_err(|_| SecretError::NoVariable(name.clone()))
            }
            Origin::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| SecretError::NoFile {
                    path: path.display().to_string(),
                    error: error.to_string(),
                })?;
                let text = text.strip_suffix('\n').unwrap_or(&text);
                Ok(Revealed(text.strip_suffix('\r').unwrap_or(text).to_owned()))
            }
        }
    }
}

impl Revealed {
    /// The secret, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Origin::Env(name) => write!(f, "<secret from ${name}>"),
            Origin::File(path) => write!(f, "<secret from {}>", path.display()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(Place).map(Self)
    }
}

/// Reads the place. The words of a derived reader would show what was written instead of it.
struct Place;

impl<'de> Visitor<'de> for Place {
    type Value = Origin;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NOT_HERE)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Origin, A::Error> {
        let origin = match map.next_key::<String>()?.as_deref() {
            Some("env") => Origin::Env(map.next_value()?),
            Some("file") => Origin::File(map.next_value()?),
            _ => return Err(A::Error::custom(NOT_HERE)),
        };
        match map.next_key::<IgnoredAny>()? {
            None => Ok(origin),
            Some(_) => Err(A::Error::custom(NOT_HERE)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_revealed_and_never_shown() {
        let path = std::env::temp_dir().join(format!("shakedown-secret-{}", std::process::id()));
        std::fs::write(&path, "hunter2\n").unwrap();
        let secret = Secret::file(&path);
        let revealed = secret.reveal().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(revealed.expose(), "hunter2");
        let shown = format!("{secret} {secret:?} {revealed:?} {}", serde_yaml::to_string(&secret).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
        let gone = secret.reveal().unwrap_err().to_string();
        assert!(gone.contains("cannot be read"), "{gone}");
        let unset = Secret::env("SHAKEDOWN_NO_SUCH_VARIABLE").reveal().unwrap_err();
        assert_eq!(
            unset.to_string(),
            "the environment variable SHAKEDOWN_NO_SUCH_VARIABLE is not set: set it, or change the document"
        );
    }
}
