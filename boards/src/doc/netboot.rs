//! A boot over the network, as a board's document tells it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use shakedown_conf::Pattern;
use shakedown_core::netboot::{PLACEHOLDERS, placeholders};
use shakedown_core::{Loader, NetFile, NetRoot, Netboot};

use crate::text::{list, scalar};

/// What is particular about a boot over the network. The boot loader is one that has U-Boot's commands
/// (`tftpboot`, `setenv`, `printenv`, `if`). In what it is told, `{serverip}` stands for the address of
/// the server as the DUT sees it, `{hostname}` and `{uuid}` for the run's names, `{ipaddr}`, `{netmask}`
/// and `{gatewayip}` for its place in the slot's network, where the slot says it; `${name}` is a variable
/// of its own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NetbootDoc {
    /// What the OS runs from once its kernel is up.
    pub root: NetRootDoc,
    /// How the boot loader is spoken with (default: U-Boot as its own configuration has it).
    pub loader: Option<LoaderDoc>,
    /// Commands before anything is fetched, in order: `dhcp`. Each must succeed.
    #[serde(default)]
    pub before: Vec<String>,
    /// Variables by name, set after these commands and read again: `bootargs`.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// What is fetched, in order: kernel, initial file system, device tree.
    pub files: Vec<NetFileDoc>,
    /// The command that boots it: `booti ${kernel_addr_r} ${ramdisk_addr_r}:${ramdisk_size} ${fdtcontroladdr}`.
    pub boot: String,
}

/// What an OS runs from whose kernel came over the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NetRootDoc {
    /// Its initial file system, in memory: the boot files are all that it gets.
    Memory,
    /// The slot's medium `main`, which the whole image is written to before.
    Medium,
}

/// How a boot loader is spoken with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LoaderDoc {
    /// A byte regex of its countdown.
    pub countdown: Pattern,
    /// The keys that end it.
    pub key: String,
    /// A byte regex of its prompt, at the end of what it has said.
    pub prompt: Pattern,
}

/// A file of the image that the boot loader fetches.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NetFileDoc {
    /// Where it is in the image: the partition's role in the OS profile, and its path there, `boot:/Image`.
    pub from: String,
    /// Where in memory it goes: `${kernel_addr_r}`.
    pub to: String,
    /// The variable that gets its length, where the command that boots wants it: `ramdisk_size`.
    pub size: Option<String>,
}

/// What is wrong with a field, relative to `netboot`.
type Problem = (String, String);

impl NetbootDoc {
    /// Finds what parsing cannot.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if let Some(loader) = &self.loader
            && loader.key.is_empty()
        {
            return Err(("loader.key".into(), "no key ends no countdown".into()));
        }
        for (index, command) in self.before.iter().enumerate() {
            line(format!("before[{index}]"), command)?;
        }
        for (name, value) in &self.variables {
            let field = format!("variables.{name}");
            variable(field.clone(), name)?;
            line(field.clone(), value)?;
            if value.contains('\'') {
                return Err((field, "the boot loader is given values in single quotes".into()));
            }
        }
        if self.files.is_empty() {
            return Err(("files".into(), "nothing is fetched: name a kernel at least".into()));
        }
        for (index, file) in self.files.iter().enumerate() {
            let field = |name: &str| format!("files[{index}].{name}");
            let names = |path: &str| path.len() > 1 && path.starts_with('/') && !path.ends_with('/');
            if !file.split().is_some_and(|(role, path)| !role.is_empty() && names(path)) {
                let what = format!("`{}` is no file of a partition such as `boot:/Image`", file.from);
                return Err((field("from"), what));
            }
            line(field("from"), &file.from)?;
            line(field("to"), &file.to)?;
            if file.from.contains(' ') || file.to.contains(' ') {
                return Err((field("to"), "a space would be the end of the word for the boot loader".into()));
            }
            if let Some(name) = &file.size {
                variable(field("size"), name)?;
            }
        }
        line("boot".into(), &self.boot)
    }

    pub(crate) fn complete(&self) -> Netboot {
        let loader = self.loader.as_ref().map_or_else(Loader::u_boot, |doc| Loader {
            countdown: doc.countdown.0.clone(),
            key: doc.key.clone(),
            prompt: doc.prompt.0.clone(),
        });
        let file = |file: &NetFileDoc| {
            let (role, path) = file.split().unwrap_or_default();
            let (role, path) = (role.to_owned(), path.to_owned());
            NetFile { role, path, to: file.to.clone(), size: file.size.clone() }
        };
        Netboot {
            root: match self.root {
                NetRootDoc::Memory => NetRoot::Memory,
                NetRootDoc::Medium => NetRoot::Medium,
            },
            loader,
            before: self.before.clone(),
            variables: self.variables.clone().into_iter().collect(),
            files: self.files.iter().map(file).collect(),
            boot: self.boot.clone(),
        }
    }

    /// Its fields as they are written, each on its own.
    pub(crate) fn text(&self) -> Vec<String> {
        let mut fields = Vec::new();
        let mut put = |name: &str, text: String| fields.push(format!("{name}: {text}"));
        put("root", if self.root == NetRootDoc::Memory { "memory".into() } else { "medium".into() });
        if let Some(LoaderDoc { countdown, key, prompt }) = &self.loader {
            let [countdown, key, prompt] = [&countdown.0, key, &prompt.0].map(|text| scalar(text));
            put("loader", format!("{{ countdown: {countdown}, key: {key}, prompt: {prompt} }}"));
        }
        if !self.before.is_empty() {
            put("before", list(&self.before));
        }
        if !self.variables.is_empty() {
            let pairs = self.variables.iter().map(|(name, value)| format!("{name}: {}", scalar(value)));
            put("variables", format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", ")));
        }
        let file = |file: &NetFileDoc| {
            let size = file.size.as_ref().map(|name| format!(", size: {}", scalar(name)));
            let (from, to) = (scalar(&file.from), scalar(&file.to));
            format!("{{ from: {from}, to: {to}{} }}", size.unwrap_or_default())
        };
        put("files", format!("[{}]", self.files.iter().map(file).collect::<Vec<_>>().join(", ")));
        put("boot", scalar(&self.boot));
        fields
    }
}

impl NetFileDoc {
    fn split(&self) -> Option<(&str, &str)> {
        self.from.split_once(':')
    }
}

/// What is typed: one line that a terminal takes as it is.
fn line(field: String, text: &str) -> Result<(), Problem> {
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        return Err((field, "a boot loader is told one line of printable ASCII".into()));
    }
    match placeholders(text).into_iter().find(|word| !PLACEHOLDERS.contains(word)) {
        None => Ok(()),
        Some(word) => {
            let near = shakedown_conf::nearest(word, PLACEHOLDERS);
            let near = near.map(|near| format!("; did you mean `{{{near}}}`?")).unwrap_or_default();
            Err((field, format!("unknown placeholder `{{{word}}}`{near}")))
        }
    }
}

/// The name of a variable.
fn variable(field: String, name: &str) -> Result<(), Problem> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.is_empty() && name.chars().all(fits) {
        return Ok(());
    }
    Err((field, format!("`{name}` is no name of a variable: letters, digits and `_`")))
}
