//! A DUT that only another machine sees.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_conf::Secret;
use shakedown_core::{Deadline, Fault, Fut, InfraKind, NetPath, Network, Rig, ShellError};
use shakedown_host::key::fingerprint;
use shakedown_host::ssh::{Jump, JumpKey, JumpLogin};

use super::{NetworkConf, is_host};
use crate::wiring::WiringProblem;

const NAME: &str = "jump";
const SSH: u16 = 22;

/// A DUT that only another machine sees, the jump host: its SSH server connects us on. Each port of the DUT
/// gets an address on this host's loopback, so that shells, copies, probes and `shakedown ssh` go that way
/// too; other users of this host can connect there as well. What the jump host does wrong is the rig's fault,
/// with its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Jump")]
pub struct Conf {
    /// The DUT: its name or address as the jump host knows it, without a port.
    pub host: String,
    /// The jump host: `host`, or `host:port` where its SSH server is not at 22.
    pub through: String,
    /// The user on the jump host.
    pub user: String,
    /// The jump host's key: its fingerprint `SHA256:…`, or a line as `ssh-keyscan` shows it behind the name
    /// (`ssh-ed25519 AAAA…`). A jump host with another one is not logged in to.
    pub host_key: String,
    /// A private key for the jump host as OpenSSH writes it, without a passphrase: `{ file: PATH }` or
    /// `{ env: NAME }`. Left out, the keys of an ssh-agent are offered.
    #[serde(default)]
    pub key: Option<Secret>,
    /// The agent's socket (default: the one that `SSH_AUTH_SOCK` names).
    #[serde(default)]
    pub agent: Option<PathBuf>,
}

impl Conf {
    fn jump_host(&self) -> Option<String> {
        match self.through.rsplit_once(':') {
            // An address of IPv6 has colons of its own, and brackets where a port follows.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                let known = is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0);
                known.then(|| self.through.clone())
            }
            Some(_) => is_host(&self.through).then(|| format!("[{}]:{SSH}", self.through)),
            None => is_host(&self.through).then(|| format!("{}:{SSH}", self.through)),
        }
    }

    fn login(&self) -> Rig<JumpLogin> {
        let fault = || Fault::new(InfraKind::Config, NAME, "open", &self.through);
        let key = match &self.key {
            Some(key) => {
                let text =
                    key.reveal().map_err(|error| fault().expected("its key at hand", error.to_string()))?;
                // A secret ends without the line end of its file; OpenSSH's format has one.
                JumpKey::Private(format!("{}\n", text.expose()).into())
            }
            None => JumpKey::Agent(self.agent.clone()),
        };
        let known = self.jump_host().zip(fingerprint(&self.host_key));
        let (host, host_key) = known.ok_or_else(|| fault().expected("a jump host and its key", "neither"))?;
        Ok(JumpLogin { host, user: self.user.clone(), key, host_key })
    }
}

impl NetworkConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        let problem = |field, what: String| Err(WiringProblem::new(field, what));
        if !is_host(&self.host) {
            return problem("host", format!("`{}` is no host name and no address", self.host));
        }
        if self.jump_host().is_none() {
            return problem("through", format!("`{}` is no `host` and no `host:port`", self.through));
        }
        if self.user.is_empty() {
            return problem("user", "the user on the jump host is needed".into());
        }
        if fingerprint(&self.host_key).is_none() {
            let what = format!("`{}` is no fingerprint `SHA256:…` and no public key", self.host_key);
            return problem("host-key", what);
        }
        if self.key.is_some() && self.agent.is_some() {
            return problem("agent", "where a key is given, no agent is asked".into());
        }
        Ok(())
    }

    fn open<'a>(&'a self, _cx: (), by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Network>>> {
        Box::pin(async move {
            let jump = Jump::new(self.login()?, by.clock().clone())?;
            Ok(Arc::new(Behind { host: self.host.clone(), jump }) as Arc<dyn Network>)
        })
    }
}

struct Behind {
    host: String,
    jump: Jump,
}

impl Network for Behind {
    fn tcp<'a>(&'a self, port: u16, by: &'a Deadline) -> Fut<'a, Result<SocketAddr, ShellError>> {
        Box::pin(async move { self.jump.tcp(&self.host, port, by).await.map_err(ShellError::Rig) })
    }

    fn path<'a>(&'a self, port: u16, by: &'a Deadline) -> Fut<'a, NetPath> {
        Box::pin(self.jump.path(&self.host, port, by))
    }

    fn look<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<String>> {
        Box::pin(async move {
            self.jump.look(by).await?;
            Ok(format!("{} lets us in", self.jump.host()))
        })
    }
}
