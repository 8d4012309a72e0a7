//! The plan as it stands in its file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_conf::{Secret, Span};

/// A plan: `plan: night`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PlanDoc {
    /// Its name: nightlies of the same name are compared.
    pub plan: String,
    /// The images, by the label that `work` uses.
    pub images: BTreeMap<String, ImageDoc>,
    /// What is tested, where and how often.
    pub work: Vec<WorkDoc>,
    /// After this time nothing new begins; what runs ends in order.
    #[serde(default)]
    pub budget: Option<Span>,
    /// What is run again.
    #[serde(default)]
    pub retry: RetryDoc,
    /// When a slot is sick, and what then.
    #[serde(default)]
    pub sick: SickDoc,
}

/// An image.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImageDoc {
    /// Where it comes from.
    #[serde(deserialize_with = "serde_yaml::with::singleton_map::deserialize")]
    pub from: ImageFrom,
    /// What `{version}` stands for.
    #[serde(default)]
    pub version: Option<String>,
    /// The OS profile (default: the one that knows the image's os-release).
    #[serde(default)]
    pub os: Option<String>,
}

/// Where an image comes from. In a path or address, `{board}` and `{version}` stand for the board's slug and
/// the image's version; a relative one starts at the plan's folder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImageFrom {
    /// This file.
    File(String),
    /// The newest of the images in this folder, by the versions in their names.
    Folder(String),
    /// From a web server, fetched once, proven, and kept by its hash.
    Url(UrlDoc),
    /// The image with this SHA-256 of its file, which an earlier run on this host has read.
    Sha256(String),
    /// The image before another one, by the versions in the names of the files beside it.
    Previous(PreviousDoc),
    /// The reference OS, built when needed.
    Reference,
}

/// An image on a web server. Its SHA-256 is known before it is fetched: given here, or listed there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct UrlDoc {
    /// Its address, with `{board}` and `{version}`.
    pub at: String,
    /// Of the file.
    #[serde(default)]
    pub sha256: Option<String>,
    /// The address of its SHA-256, or of a list with it, as `sha256sum` writes it (default: `at` with
    /// `.sha256` behind it).
    #[serde(default)]
    pub sums: Option<String>,
    /// Who may fetch it, by HTTP's Basic login.
    #[serde(default)]
    pub login: Option<LoginDoc>,
    /// A token, sent as `Authorization: Bearer`: `{ env: NAME }` or `{ file: PATH }`.
    #[serde(default)]
    pub token: Option<Secret>,
}

/// A user, and where the password is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "ImageLogin")]
pub struct LoginDoc {
    /// The user's name.
    pub user: String,
    /// `{ env: NAME }` or `{ file: PATH }`.
    pub password: Secret,
}

/// The image before another one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PreviousDoc {
    /// The other image's label.
    pub of: String,
}

/// Boards × images × suites × repeats.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WorkDoc {
    /// Boards, by their slug.
    #[serde(default)]
    pub boards: Vec<String>,
    /// Every board of the rigs that offers all of these capabilities.
    #[serde(default)]
    pub with: Vec<String>,
    /// Labels of images.
    pub images: Vec<String>,
    /// Selections, suites, or patterns of cases such as `container::*`: each is a run of its own.
    pub suites: Vec<String>,
    /// Runs of each, every one from a fresh image.
    #[serde(default = "once")]
    pub repeats: u32,
    /// Higher comes first.
    #[serde(default)]
    pub priority: i32,
}

fn once() -> u32 {
    1
}

/// What is run again. A failure is never forgotten: when a later attempt passes, the case is *flaky*.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RetryDoc {
    /// How often a job whose rig broke is run again, after its slot's health was looked at.
    #[serde(default = "once")]
    pub infra: u32,
    /// How often what failed is run again, to see whether it always fails.
    #[serde(default)]
    pub fail: u32,
    /// The label of a known-good image: what could not be told is run with it, once, on the same slot.
    #[serde(default)]
    pub undetermined: Option<String>,
}

impl Default for RetryDoc {
    fn default() -> Self {
        Self { infra: once(), fail: 0, undetermined: None }
    }
}

/// When a slot is sick, and what then.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SickDoc {
    /// So many runs in a row whose rig broke. A health check that fails is enough by itself.
    #[serde(default = "twice")]
    pub after: u32,
    /// What then.
    #[serde(default)]
    pub then: Then,
}

fn twice() -> u32 {
    2
}

impl Default for SickDoc {
    fn default() -> Self {
        Self { after: twice(), then: Then::default() }
    }
}

/// What happens when a slot is sick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// The slot is taken out, and the others go on.
    #[default]
    TakeOut,
    /// Nothing new begins.
    Stop,
}
