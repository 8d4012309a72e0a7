//! One exchange with an agent.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_conf::{Secret, SecretError};
use shakedown_core::{Deadline, Fault, InfraKind, Rig};
use snmp2::v3::{Auth as Level, AuthProtocol, Cipher, Security};
use snmp2::{Error, Oid, Pdu, SyncSession, Value};

use super::NAME;
use super::dialect::Numbers;
use crate::worker::left;

/// What opens an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SnmpAccess")]
pub enum Access {
    /// SNMPv1 with a community.
    #[serde(rename = "v1")]
    V1(Community),
    /// SNMPv2c with a community.
    #[serde(rename = "v2c")]
    V2c(Community),
    /// SNMPv3 with a user.
    #[serde(rename = "v3")]
    V3(User),
}

/// A community that may write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "SnmpCommunity")]
pub struct Community {
    /// `{ env: NAME }` or `{ file: PATH }`.
    pub community: Secret,
}

/// A user of SNMPv3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "SnmpUser")]
pub struct User {
    /// The user's name.
    pub user: String,
    /// How requests are signed.
    pub hash: Hash,
    /// The password that signs: `{ env: NAME }` or `{ file: PATH }`.
    pub password: Secret,
    /// How requests are encrypted; without it they are only signed.
    #[serde(default)]
    pub cipher: Option<CipherDoc>,
    /// The password that encrypts.
    #[serde(default)]
    pub privacy: Option<Secret>,
}

/// A hash of SNMPv3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "SnmpHash")]
#[expect(missing_docs, reason = "their names say it")]
pub enum Hash {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// A cipher of SNMPv3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "SnmpCipher")]
#[expect(missing_docs, reason = "their names say it")]
pub enum CipherDoc {
    Des,
    Aes128,
    Aes192,
    Aes256,
}

impl From<Hash> for AuthProtocol {
    fn from(hash: Hash) -> Self {
        match hash {
            Hash::Md5 => Self::Md5,
            Hash::Sha1 => Self::Sha1,
            Hash::Sha224 => Self::Sha224,
            Hash::Sha256 => Self::Sha256,
            Hash::Sha384 => Self::Sha384,
            Hash::Sha512 => Self::Sha512,
        }
    }
}

impl From<CipherDoc> for Cipher {
    fn from(cipher: CipherDoc) -> Self {
        match cipher {
            CipherDoc::Des => Self::Des,
            CipherDoc::Aes128 => Self::Aes128,
            CipherDoc::Aes192 => Self::Aes192,
            CipherDoc::Aes256 => Self::Aes256,
        }
    }
}

impl User {
    /// What is wrong with the settings.
    pub(super) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        match (self.cipher, &self.privacy) {
            (Some(_), None) => Err(("access.v3.privacy", "a cipher needs its password")),
            (None, Some(_)) => Err(("access.v3.cipher", "a password for privacy needs its cipher")),
            (Some(cipher), _) if Cipher::from(cipher).priv_key_needs_extension(&self.hash.into()) => {
                Err(("access.v3.hash", "too short for this cipher: take sha256 or longer"))
            }
            _ => Ok(()),
        }
    }

    fn security(&self) -> Result<Security, SecretError> {
        let level = match (self.cipher, &self.privacy) {
            (Some(cipher), Some(privacy)) => Level::AuthPriv {
                cipher: cipher.into(),
                privacy_password: privacy.reveal()?.expose().as_bytes().to_vec(),
            },
            _ => Level::AuthNoPriv,
        };
        let password = self.password.reveal()?;
        let security = Security::new(self.user.as_bytes(), password.expose().as_bytes());
        Ok(security.with_auth(level).with_auth_protocol(self.hash.into()))
    }
}

/// Where an agent is and what opens it.
#[derive(Clone)]
pub(super) struct Agent {
    pub(super) address: String,
    pub(super) endpoint: String,
    pub(super) access: Access,
}

impl Agent {
    fn fault(&self, op: &str) -> Fault {
        Fault::new(InfraKind::Power, NAME, op, &self.endpoint)
    }

    /// Writes an integer; the agent must confirm this object with this value.
    pub(super) fn set(&self, op: &str, object: &Numbers, value: i64, by: &Deadline) -> Rig<()> {
        match self.exchange(op, object, Some(value), by)? {
            confirmed if confirmed == value => Ok(()),
            other => Err(self.fault(op).expected(format!("{value} confirmed"), other.to_string())),
        }
    }

    /// Reads an integer.
    pub(super) fn get(&self, op: &str, object: &Numbers, by: &Deadline) -> Rig<i64> {
        self.exchange(op, object, None, by)
    }

    fn exchange(&self, op: &str, object: &Numbers, value: Option<i64>, by: &Deadline) -> Rig<i64> {
        let shown = object.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(".");
        let oid = Oid::from(&object.0).map_err(|_| self.fault(op).expected("an object", &shown))?;
        let share = self.share(by);
        let mut session = self.open(op, share, by)?;
        let mut ask = || {
            let wait = by.child("the agent's answer", share).at_rig_pace();
            let answer = match value {
                Some(value) => session.set(&[(&oid, Value::Integer(value))]).map(|pdu| read(&pdu)),
                None => session.get(&oid).map(|pdu| read(&pdu)),
            };
            (answer, wait)
        };
        let (answer, wait) = match ask() {
            // The agent has told its clock and done nothing: v3 asks for the same again.
            (Err(Error::AuthUpdated), _) => ask(),
            answer => answer,
        };
        let said = answer.map_err(|error| {
            let fault = self.fault(op).expected("an answer", error.to_string());
            match error {
                Error::Receive if wait.is_over() => fault.stopped(wait.stop("no answer")).hint(
                    "an agent does not answer a wrong community either: check the address and `access`",
                ),
                _ => fault,
            }
        })?;
        match said {
            Said::Integer(about, got) if about == object.0 => Ok(got),
            Said::Integer(about, _) => {
                Err(self.fault(op).expected(format!("an answer on {shown}"), format!("one on {about:?}")))
            }
            Said::Refused(status) => Err(self
                .fault(op)
                .expected(format!("{shown} to be taken"), format!("the agent's error {}", refusal(status)))
                .hint("is it this kind of device, does it have this outlet, and may this user write?")),
            Said::Other(what) => Err(self.fault(op).expected(format!("an integer in {shown}"), what)),
        }
    }

    /// How long one answer may take: v3 may need three of them (the agent's name, its clock, the object), and
    /// the library waits for each as long as for the first.
    fn share(&self, by: &Deadline) -> Duration {
        match self.access {
            Access::V1(_) | Access::V2c(_) => left(by),
            Access::V3(_) => left(by) / 3,
        }
    }

    fn open(&self, op: &str, share: Duration, by: &Deadline) -> Rig<SyncSession> {
        let not_at_hand = |error: SecretError| {
            let fault = Fault::new(InfraKind::Config, NAME, op, &self.endpoint);
            fault.expected("its login at hand", error.to_string())
        };
        let (limit, first) = (Some(share), (by.clock().now().0 & 0x3FFF_FFFF) as i32);
        let opened = match &self.access {
            Access::V1(it) => {
                let community = it.community.reveal().map_err(not_at_hand)?;
                SyncSession::new_v1(self.address.as_str(), community.expose().as_bytes(), limit, first)
            }
            Access::V2c(it) => {
                let community = it.community.reveal().map_err(not_at_hand)?;
                SyncSession::new_v2c(self.address.as_str(), community.expose().as_bytes(), limit, first)
            }
            Access::V3(it) => {
                let security = it.security().map_err(not_at_hand)?;
                SyncSession::new_v3(self.address.as_str(), limit, first, security)
            }
        };
        let mut session = opened
            .map_err(|error| self.fault(op).expected("an address that can be sent to", error.to_string()))?;
        if matches!(self.access, Access::V3(_)) {
            let wait = by.child("the agent's name", share).at_rig_pace();
            session.init().map_err(|error| {
                let fault = self.fault(op).expected("the agent's clock and name", error.to_string());
                if wait.is_over() { fault.stopped(wait.stop("no answer")) } else { fault }
            })?;
        }
        Ok(session)
    }
}

/// What an agent said about the one object that was asked for.
enum Said {
    Integer(Vec<u64>, i64),
    Refused(u32),
    Other(String),
}

fn read(pdu: &Pdu<'_>) -> Said {
    if pdu.error_status != 0 {
        return Said::Refused(pdu.error_status);
    }
    let mut bindings = pdu.varbinds.clone();
    match (bindings.next(), bindings.next()) {
        (Some((about, Value::Integer(value))), None) => {
            let about = about.iter().map(Iterator::collect).unwrap_or_default();
            Said::Integer(about, value)
        }
        (Some((_, other)), None) => Said::Other(format!("{other:?}")),
        (first, _) => Said::Other(format!("{} objects", if first.is_some() { "several" } else { "no" })),
    }
}

/// RFC 3416 section 3.
fn refusal(status: u32) -> String {
    const NAMES: [&str; 19] = [
        "noError",
        "tooBig",
        "noSuchName",
        "badValue",
        "readOnly",
        "genErr",
        "noAccess",
        "wrongType",
        "wrongLength",
        "wrongEncoding",
        "wrongValue",
        "noCreation",
        "inconsistentValue",
        "resourceUnavailable",
        "commitFailed",
        "undoFailed",
        "authorizationError",
        "notWritable",
        "inconsistentName",
    ];
    NAMES.get(status as usize).map_or_else(|| status.to_string(), ToString::to_string)
}
