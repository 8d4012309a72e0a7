//! OS profiles.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use shakedown_conf::{Pattern, Span};

use super::{BootDoc, Extends};

/// What a family of OSes promises.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OsDoc {
    /// Its id; also the file's name.
    pub os: String,
    /// Families that it takes stages and known-bad lines from; they may say nothing else.
    #[serde(default)]
    pub extends: Extends,
    /// Its name for people.
    pub name: String,
    /// `ID=` values of os-release that mean this profile.
    pub os_release_ids: Vec<String>,
    /// What the OS offers to the cases: `ab-update`, `engine` …
    #[serde(default)]
    pub offers: Vec<String>,
    /// Its SSH server.
    pub ssh: SshDoc,
    /// Its login on the serial console, if it has one.
    pub login: Option<LoginDoc>,
    /// Its container engine, if it has one.
    pub engine: Option<EngineDoc>,
    /// Partition labels by role: `boot`, `root-a`, `root-b`, `state`, `data`. With `config`, `boot` and
    /// `data` at least.
    #[serde(default)]
    pub partitions: BTreeMap<String, String>,
    /// Its configuration document. Left out: an image takes nothing of a run, and the console's
    /// `login` is the way in, for SSH by `ssh.authorized-keys`.
    pub config: Option<ConfigDoc>,
    /// How a new version is installed on a running DUT.
    pub update: Option<UpdateDoc>,
    /// Names that the checks use as `{name}`: paths, units, commands.
    #[serde(default)]
    pub facts: BTreeMap<String, String>,
    /// Limits of measures by name, in the measure's own unit.
    #[serde(default)]
    pub budgets: BTreeMap<String, f64>,
    /// The stages after `kernel`.
    #[serde(default)]
    pub boot: BootDoc,
    /// Files and folders worth keeping after a crash, each as `partition role:path on that partition`.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// The longest time for an orderly shutdown.
    pub shutdown: Span,
}

/// The SSH server of an OS.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SshDoc {
    /// TCP port on the DUT.
    pub port: u16,
    /// The user to log in as.
    pub user: String,
    /// A byte regex for the console line with the host key; its first group is `SHA256:…`.
    /// Left out: the first key that is seen in a run counts, and after it only one that a case declares: a reset
    /// makes another.
    pub fingerprint: Option<Pattern>,
    /// For an OS whose image takes no key (`config` is left out): the file that the run's key is
    /// added to at each boot, through the console's login.
    pub authorized_keys: Option<String>,
}

/// The login on the serial console.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LoginDoc {
    /// A byte regex for the prompt that asks for a name.
    pub prompt: Pattern,
    /// The user.
    pub user: String,
    /// The password, where one is asked.
    pub password: Option<PasswordDoc>,
    /// A byte regex for the shell's prompt.
    pub shell: Pattern,
}

/// A password on the console. Test images have well-known ones: this is no secret.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PasswordDoc {
    /// A byte regex for the prompt that asks for it.
    pub prompt: Pattern,
    /// The password.
    pub text: String,
}

/// The container engine.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EngineDoc {
    /// `docker`, `balena-engine`, `podman`.
    pub command: String,
    /// A line of shell that succeeds when the engine is healthy.
    pub healthy: String,
    /// The systemd unit, where it is a daemon.
    pub unit: Option<String>,
    /// The process that its watchdog watches.
    pub process: Option<String>,
    /// The TCP port that is open in development mode only.
    pub tcp_port: Option<u16>,
}

/// The document on the boot partition that configures the OS.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConfigDoc {
    /// Path on the boot partition.
    pub file: String,
    /// Where the running OS has it.
    pub mounted: String,
    /// Dotted key by what it means: `hostname`, `uuid`, `ssh-keys`, `ntp-servers`, `dns-servers`,
    /// `persistent-journal`, `development-mode`, `udev-rules`.
    pub keys: BTreeMap<String, String>,
}

/// How a new version is installed on a running DUT.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct UpdateDoc {
    /// Where the update file is put on the DUT.
    pub file: String,
    /// A line of shell that installs it; `{file}` stands for the path. It does not reboot.
    pub command: String,
    /// A line of shell that prints the running slot: `A` or `B`.
    pub slot: String,
    /// Paths by meaning: `health-breadcrumb`, `health-triggered` …
    #[serde(default)]
    pub markers: BTreeMap<String, String>,
}
