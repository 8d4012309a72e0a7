//! Ed25519 keys, in the PEM files that OpenSSL writes and reads (RFC 8410).

use std::fmt;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use shakedown_core::Sha;

use crate::error::GateError;

/// PKCS#8 of an ed25519 key up to its 32 bytes (RFC 8410, section 7).
const SECRET: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// SubjectPublicKeyInfo of an ed25519 key up to its 32 bytes (RFC 8410, section 4).
const PUBLIC: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const PREFIX: &str = "ed25519:";

/// A key that signs. It is never shown.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

/// A key that verifies; as text `ed25519:` and its 32 bytes in base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl SecretKey {
    /// A new key from the kernel's random numbers.
    pub fn generate() -> Result<Self, GateError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| GateError::Random { why: error.to_string() })?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// A PEM file (`openssl genpkey -algorithm ed25519`).
    pub fn read(path: &Path) -> Result<Self, GateError> {
        let text = std::fs::read_to_string(path).map_err(|error| GateError::file(path, &error))?;
        let seed = from_pem(&text, "PRIVATE KEY", &SECRET)
            .map_err(|error| GateError::key(format!("{}: {error}", path.display())))?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// The key of this file, made there when there is none, readable by its owner alone.
    pub fn read_or_make(path: &Path) -> Result<Self, GateError> {
        if path.exists() {
            return Self::read(path);
        }
        let key = Self::generate()?;
        let fail = |error: std::io::Error| GateError::file(path, &error);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(fail)?;
        }
        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        match made {
            Ok(mut file) => file.write_all(key.pem().as_bytes()).map_err(fail)?,
            // Another run was first.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Self::read(path),
            Err(error) => return Err(fail(error)),
        }
        Ok(key)
    }

    fn pem(&self) -> String {
        to_pem("PRIVATE KEY", &SECRET, &self.0.to_bytes())
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(bytes).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {}", self.public())
    }
}

impl PublicKey {
    /// `ed25519:BASE64`, or a PEM text.
    pub fn parse(text: &str) -> Result<Self, GateError> {
        Self::of(text).map_err(GateError::key)
    }

    /// A file with a public key in either form.
    pub fn read(path: &Path) -> Result<Self, GateError> {
        let text = std::fs::read_to_string(path).map_err(|error| GateError::file(path, &error))?;
        Self::of(&text).map_err(|why| GateError::key(format!("{}: {why}", path.display())))
    }

    fn of(text: &str) -> Result<Self, String> {
        let bytes = match text.trim().strip_prefix(PREFIX) {
            Some(base64) => {
                let bytes = STANDARD.decode(base64).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
                bytes.ok_or_else(|| format!("expected `{PREFIX}` and 32 bytes in base64, got `{text}`"))?
            }
            None => from_pem(text, "PUBLIC KEY", &PUBLIC)?,
        };
        let key = VerifyingKey::from_bytes(&bytes).map_err(|error| error.to_string())?;
        if key.is_weak() {
            return Err("this key verifies anything: its point has a small order".to_owned());
        }
        Ok(Self(key))
    }

    /// As OpenSSL writes it.
    pub fn pem(&self) -> String {
        to_pem("PUBLIC KEY", &PUBLIC, self.0.as_bytes())
    }

    /// The key's name in envelopes: the SHA-256 of its 32 bytes, in hex.
    pub fn id(&self) -> String {
        Sha::of(self.0.as_bytes()).to_string()
    }

    pub(crate) fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_strict(bytes, &signature).is_ok())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", STANDARD.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(input)?).map_err(serde::de::Error::custom)
    }
}

fn to_pem(kind: &str, head: &[u8], key: &[u8; 32]) -> String {
    // Both are shorter than a line of PEM.
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode([head, &key[..]].concat()))
}

fn from_pem(text: &str, kind: &str, head: &[u8]) -> Result<[u8; 32], String> {
    let wanted = || format!("expected a PEM file with an ed25519 {kind}");
    let body = text
        .split_once(&format!("-----BEGIN {kind}-----"))
        .and_then(|(_, rest)| rest.split_once(&format!("-----END {kind}-----")))
        .ok_or_else(wanted)?;
    let base64: String = body.0.split_whitespace().collect();
    let bytes = STANDARD.decode(base64).map_err(|error| format!("{}: {error}", wanted()))?;
    let key = bytes.strip_prefix(head).and_then(|key| key.try_into().ok());
    key.ok_or_else(|| format!("{}, got another kind of key", wanted()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 8410, section 10.3 and 10.1: the private key and its public half.
    const THEIR_SECRET: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    const THEIR_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";

    #[test]
    fn keys_are_those_of_the_rfc_and_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys/run.key");
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        std::fs::write(&file, THEIR_SECRET).unwrap();
        let key = SecretKey::read(&file).unwrap();
        assert_eq!((key.public().pem().as_str(), key.pem().as_str()), (THEIR_PUBLIC, THEIR_SECRET));
        assert_eq!(PublicKey::parse(&key.public().to_string()).unwrap(), key.public());
        let made = folder.path().join("new/run.key");
        let first = SecretKey::read_or_make(&made).unwrap().public();
        assert_eq!(SecretKey::read_or_make(&made).unwrap().public(), first);
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&made).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        for wrong in ["", "ed25519:AAAA", "rsa:AAAA", THEIR_SECRET] {
            assert!(PublicKey::parse(wrong).is_err(), "{wrong}");
        }
        let error = PublicKey::read(&file).unwrap_err().to_string();
        assert_eq!(error.matches("not an ed25519 key").count(), 1, "{error}");
        let zero = format!("ed25519:{}", STANDARD.encode([0; 32]));
        assert!(PublicKey::parse(&zero).unwrap_err().to_string().contains("small order"));
    }
}
