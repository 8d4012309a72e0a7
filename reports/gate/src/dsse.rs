//! DSSE envelopes (`https://github.com/secure-systems-lab/dsse`, version 1): bytes of a stated type,
//! signed together with that type.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::key::{PublicKey, SecretKey};

/// An envelope as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Envelope {
    /// The media type of the payload.
    pub payload_type: String,
    /// Base64.
    pub payload: String,
    /// At least one.
    pub signatures: Vec<Signature>,
}

/// A signature over type and payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// A hint at the key; trusted for nothing.
    #[serde(default)]
    pub keyid: String,
    /// Base64.
    pub sig: String,
}

/// Why an envelope proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not an envelope.
    #[error("not a DSSE envelope: {0}")]
    Form(String),
    /// The payload is of another type.
    #[error("the envelope holds {got}, expected {expected}")]
    Type {
        /// What was asked for.
        expected: String,
        /// What it says.
        got: String,
    },
    /// None of the keys made any of its signatures: another key, or a changed byte.
    #[error("no signature of it is by {0}: it was signed with another key, or changed after it was signed")]
    Signature(String),
    /// What is signed is not of the form that its type promises.
    #[error("what is signed cannot be read: {0}")]
    Payload(String),
}

/// What is signed: type and payload with their lengths, so that neither can run into the other.
fn encoded(kind: &str, payload: &[u8]) -> Vec<u8> {
    [format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).as_bytes(), payload].concat()
}

impl Envelope {
    /// Signs a payload.
    pub fn sign(kind: &str, payload: &[u8], key: &SecretKey) -> Self {
        let sig = STANDARD.encode(key.sign(&encoded(kind, payload)));
        let signatures = vec![Signature { keyid: key.public().id(), sig }];
        Self { payload_type: kind.to_owned(), payload: STANDARD.encode(payload), signatures }
    }

    /// From a file's bytes.
    pub fn parse(text: &[u8]) -> Result<Self, Refused> {
        serde_json::from_slice(text).map_err(|error| Refused::Form(error.to_string()))
    }

    /// For a file.
    pub fn text(&self) -> String {
        // Text fields only: nothing in it can fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// The payload, if it is of this type and one of the keys signed it; and the number of that key.
    pub fn open(&self, kind: &str, keys: &[PublicKey]) -> Result<(Vec<u8>, usize), Refused> {
        if self.payload_type != kind {
            return Err(Refused::Type { expected: kind.to_owned(), got: self.payload_type.clone() });
        }
        let payload = STANDARD.decode(&self.payload).map_err(|error| Refused::Form(error.to_string()))?;
        let bytes = encoded(kind, &payload);
        let by = self.signatures.iter().find_map(|signature| {
            let raw = STANDARD.decode(&signature.sig).ok()?;
            keys.iter().position(|key| key.verifies(&bytes, &raw))
        });
        let names: Vec<_> = keys.iter().map(ToString::to_string).collect();
        by.map(|by| (payload, by)).ok_or_else(|| Refused::Signature(names.join(" or ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_the_one_of_the_specification() {
        // protocol.md of the DSSE specification, test vector.
        let wanted: &[u8] = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world";
        assert_eq!(encoded("http://example.com/HelloWorld", b"hello world"), wanted);
    }

    #[test]
    fn every_changed_byte_another_type_and_another_key_are_refused() {
        let key = SecretKey::generate().unwrap();
        let envelope = Envelope::sign("a/b", b"{\"x\":1}", &key);
        let text = envelope.text();
        assert_eq!(
            Envelope::parse(text.as_bytes()).unwrap().open("a/b", &[key.public()]).unwrap().0,
            b"{\"x\":1}"
        );
        assert!(matches!(envelope.open("a/c", &[key.public()]), Err(Refused::Type { .. })));
        let other = SecretKey::generate().unwrap().public();
        assert!(matches!(envelope.open("a/b", &[other]), Err(Refused::Signature(_))));
        assert_eq!(envelope.open("a/b", &[other, key.public()]).unwrap().1, 1);
        let bytes = text.as_bytes();
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1;
            let opened = Envelope::parse(&changed).and_then(|envelope| envelope.open("a/b", &[key.public()]));
            // White space between the fields and the hint at the key carry nothing.
            let means = Envelope::parse(&changed).is_ok_and(|read| {
                read.payload_type == envelope.payload_type
                    && read.payload == envelope.payload
                    && read.signatures[0].sig == envelope.signatures[0].sig
            });
            assert_eq!(opened.is_ok(), means, "byte {at}: {:?}", bytes[at] as char);
        }
    }
}
