//! What a family of OSes promises, complete: what `boards/os/*.yaml` become.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::boot::{BadSpec, StageSpec};
use crate::ids::{Capability, Sha};

/// The SSH server of an OS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshProfile {
    /// TCP port on the DUT.
    pub port: u16,
    /// The user to log in as.
    pub user: String,
    /// A byte regex for the line of the console that shows the host key; its
    /// first group is the fingerprint `SHA256:…`. `None`: the first key seen in a run is pinned.
    pub fingerprint: Option<String>,
    /// The file that the run's key is added to through the console's login, where no
    /// configuration document brings it.
    pub authorized_keys: Option<String>,
}

/// The login on the serial console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginProfile {
    /// A byte regex for the prompt that asks for a name.
    pub prompt: String,
    /// The user.
    pub user: String,
    /// A byte regex for the password prompt, and the password, where one is asked.
    pub password: Option<(String, String)>,
    /// A byte regex for the shell's prompt.
    pub shell: String,
}

/// The container engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineProfile {
    /// `docker`, `balena-engine`.
    pub command: String,
    /// A line of shell that succeeds when the engine is healthy.
    pub healthy: String,
    /// The systemd unit. `None`: it is no daemon, or another's.
    pub unit: Option<String>,
    /// The process that its watchdog watches.
    pub process: Option<String>,
    /// The TCP port that is open in development mode only.
    pub tcp_port: Option<u16>,
}

/// The document on the boot partition that configures the OS, and the keys in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProfile {
    /// Path on the boot partition: `config.json`.
    pub file: String,
    /// Where the running OS mounts it: `/mnt/boot/config.json`.
    pub mounted: String,
    /// Dotted key by what it means to us: `hostname`, `uuid`, `ssh-keys`, `ntp-servers`,
    /// `dns-servers`, `persistent-journal`, `development-mode`, `udev-rules`.
    pub keys: BTreeMap<String, String>,
}

/// How a new version is installed on a running DUT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateProfile {
    /// Where the update file is put on the DUT.
    pub file: String,
    /// A line of shell that installs it; `{file}` stands for the path. It does not reboot.
    pub command: String,
    /// A line of shell that prints the running slot: `A` or `B`.
    pub slot: String,
    /// Paths by meaning: `health-breadcrumb`, `health-triggered`, `altboot-triggered` …
    pub markers: BTreeMap<String, String>,
}

/// Everything that is known about a family of OSes.
#[derive(Clone, Debug, PartialEq)]
pub struct OsProfile {
    /// `reference`, `balenaos`.
    pub id: String,
    /// For people.
    pub name: String,
    /// `ID=` values of os-release that mean this profile.
    pub os_release_ids: Vec<String>,
    /// What the OS offers to the cases.
    pub offers: BTreeSet<Capability>,
    /// Its SSH server.
    pub ssh: SshProfile,
    /// Its console login, if there is one.
    pub login: Option<LoginProfile>,
    /// Its container engine, if it has one.
    pub engine: Option<EngineProfile>,
    /// GPT or file-system labels by role: `boot`, `root-a`, `root-b`, `state`, `data`.
    pub partitions: BTreeMap<String, String>,
    /// Its configuration document. `None`: an image takes nothing of a run.
    pub config: Option<ConfigProfile>,
    /// Its update command, if it has one.
    pub update: Option<UpdateProfile>,
    /// Names that the YAML checks use as `{name}`: paths, units, commands of this OS.
    pub facts: BTreeMap<String, String>,
    /// Limits of measures by name, in the measure's own unit: `memory.rest`.
    pub budgets: BTreeMap<String, f64>,
    /// The stages after `kernel`, in order.
    pub stages: Vec<StageSpec>,
    /// Lines that end a boot at once.
    pub bad: Vec<BadSpec>,
    /// Files and directories on the medium worth keeping after a crash, as `role:path`.
    pub evidence: Vec<String>,
    /// The longest time for an orderly shutdown.
    pub shutdown: Duration,
    /// Of the resolved profile.
    pub hash: Sha,
}

impl OsProfile {
    /// The dotted key of the configuration document for what it means to us.
    pub fn config_key(&self, meaning: &str) -> Option<&str> {
        self.config.as_ref()?.keys.get(meaning).map(String::as_str)
    }

    /// What cases may use as `{name}`: the facts of the profile, and those that follow from its
    /// other fields, whatever it lists under the same name.
    pub fn all_facts(&self) -> BTreeMap<String, String> {
        let mut all = self.facts.clone();
        let mut put = |name: String, value: &str| all.insert(name, value.to_owned());
        put("ssh-port".to_owned(), &self.ssh.port.to_string());
        if let Some(engine) = &self.engine {
            let port = engine.tcp_port.map(|port| port.to_string());
            for (name, value) in [
                ("engine", Some(&engine.command)),
                ("engine-healthy", Some(&engine.healthy)),
                ("engine-unit", engine.unit.as_ref()),
                ("engine-process", engine.process.as_ref()),
                ("engine-tcp-port", port.as_ref()),
            ] {
                if let Some(value) = value {
                    put(name.to_owned(), value);
                }
            }
        }
        if let Some(config) = &self.config {
            put("config".to_owned(), &config.mounted);
        }
        for (role, label) in &self.partitions {
            put(format!("partition-{role}"), label);
        }
        if let Some(update) = &self.update {
            put("update-file".to_owned(), &update.file);
            put("update-slot".to_owned(), &update.slot);
            for (name, path) in &update.markers {
                put(format!("marker-{name}"), path);
            }
        }
        all
    }
}
