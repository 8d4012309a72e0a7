//! A key pair made for one run, in OpenSSH's formats.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ed25519_dalek::SigningKey;
use sha2::{Digest, Sha256};
use shakedown_core::{Fault, InfraKind, Rig};

const KIND: &[u8] = b"ssh-ed25519";
const COMMENT: &[u8] = b"shakedown";

/// The fingerprint `SHA256:…` of a public key: of a line `ssh-ed25519 AAAA…`, as `known_hosts` and
/// `ssh-keyscan` have them behind the host's name, or of one that is a fingerprint already. `None` for
/// anything else.
pub fn fingerprint(key: &str) -> Option<String> {
    if let Some(digits) = key.strip_prefix("SHA256:") {
        return (STANDARD_NO_PAD.decode(digits).ok()?.len() == 32).then(|| key.to_owned());
    }
    let mut words = key.split_ascii_whitespace();
    let (kind, blob) = (words.next()?, STANDARD.decode(words.next()?).ok()?);
    let (length, rest) = blob.split_first_chunk()?;
    let own = rest.get(..u32::from_be_bytes(*length) as usize)?;
    (own == kind.as_bytes()).then(|| format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&blob))))
}

/// An ed25519 key pair.
#[derive(Clone)]
pub struct KeyPair {
    /// The private key as `ssh-keygen` writes it, without a passphrase.
    pub private: Arc<str>,
    /// `ssh-ed25519 AAAA… shakedown`: a line for `authorized_keys`.
    pub public: String,
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyPair({})", self.public)
    }
}

impl KeyPair {
    /// A new pair from the kernel's random numbers.
    pub fn generate() -> Rig<Self> {
        let mut seed = [0; 32];
        let mut check = [0; 4];
        for bytes in [&mut seed[..], &mut check[..]] {
            getrandom::fill(bytes).map_err(|error| {
                Fault::new(InfraKind::Host, "key", "read", "the kernel's random numbers").because(&error)
            })?;
        }
        Ok(Self::from_seed(&seed, u32::from_be_bytes(check)))
    }

    /// The format is OpenSSH's PROTOCOL.key; `check` stands in it twice, so that a wrong
    /// passphrase shows.
    fn from_seed(seed: &[u8; 32], check: u32) -> Self {
        let point = SigningKey::from_bytes(seed).verifying_key().to_bytes();
        let mut public = Vec::new();
        string(&mut public, KIND);
        string(&mut public, &point);

        let mut secret = [check.to_be_bytes(), check.to_be_bytes()].concat();
        string(&mut secret, KIND);
        string(&mut secret, &point);
        string(&mut secret, &[&seed[..], &point[..]].concat());
        string(&mut secret, COMMENT);
        // Padded to the block size of the cipher `none`, which is 8.
        let padding = (1..).take(secret.len().next_multiple_of(8) - secret.len());
        secret.extend(padding.collect::<Vec<u8>>());

        let mut whole = b"openssh-key-v1\0".to_vec();
        string(&mut whole, b"none");
        string(&mut whole, b"none");
        string(&mut whole, b"");
        whole.extend(1u32.to_be_bytes());
        string(&mut whole, &public);
        string(&mut whole, &secret);

        let text = STANDARD.encode(whole);
        let lines: Vec<_> = text.as_bytes().chunks(70).map(String::from_utf8_lossy).collect();
        let private = format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
            lines.join("\n")
        );
        let public = format!("ssh-ed25519 {} {}", STANDARD.encode(public), String::from_utf8_lossy(COMMENT));
        Self { private: private.into(), public }
    }
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend(bytes);
}
