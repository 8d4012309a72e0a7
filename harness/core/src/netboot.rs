//! A boot over the network: what the boot loader is told, which files it fetches, and who serves them.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Fut;
use crate::console::Cursor;
use crate::fault::Rig;
use crate::time::Deadline;

/// What is particular about a boot over the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Netboot {
    /// What the OS runs from once its kernel is up.
    pub root: NetRoot,
    /// How the boot loader is spoken with.
    pub loader: Loader,
    /// Commands before anything is fetched: each must succeed.
    pub before: Vec<String>,
    /// Variables that are set after them, by name; values with [`PLACEHOLDERS`].
    pub variables: Vec<(String, String)>,
    /// What is fetched, in order.
    pub files: Vec<NetFile>,
    /// The command that leaves the boot loader.
    pub boot: String,
}

/// What an OS runs from whose kernel came over the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetRoot {
    /// Its initial file system, in memory: the boot files are all that it gets.
    Memory,
    /// The slot's medium, which holds the whole image.
    Medium,
}

/// A file of the image that the boot loader fetches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetFile {
    /// The partition's role in the OS profile.
    pub role: String,
    /// Its path there.
    pub path: String,
    /// Where in memory, in the boot loader's words: `${kernel_addr_r}`.
    pub to: String,
    /// The boot loader's variable that gets its length, for the command that boots.
    pub size: Option<String>,
}

impl fmt::Display for NetFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.role, self.path)
    }
}

/// How a boot loader is spoken with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loader {
    /// A byte regex of its countdown.
    pub countdown: String,
    /// The keys that end it.
    pub key: String,
    /// A byte regex of its prompt, at the end of what it has said.
    pub prompt: String,
}

impl Loader {
    /// U-Boot as its own configuration has it.
    pub fn u_boot() -> Self {
        Self {
            countdown: "Hit any key to stop autoboot".to_owned(),
            key: " ".to_owned(),
            prompt: "=> $".to_owned(),
        }
    }
}

/// What a boot loader is told, one thing after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// A command that must succeed.
    Must(String),
    /// A variable, which is read again.
    Set {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// A file to memory, whose length is compared.
    Fetch {
        /// Its place in [`Netboot::files`].
        file: usize,
        /// The command.
        command: String,
        /// The variable that gets its length.
        size: Option<String>,
    },
    /// The command that leaves it.
    Leave(String),
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Must(line) | Self::Leave(line) => write!(f, "`{line}`"),
            Self::Set { name, value } => write!(f, "set {name}=`{value}`"),
            Self::Fetch { command, size: None, .. } => write!(f, "`{command}`"),
            Self::Fetch { command, size: Some(name), .. } => {
                write!(f, "`{command}`, its length in {name}")
            }
        }
    }
}

/// What stands for what is known only in the run: the server's address as the DUT sees it, the run's
/// names, and what the slot's own network gives the DUT, where it gives anything.
pub const PLACEHOLDERS: [&str; 6] = ["serverip", "hostname", "uuid", "ipaddr", "netmask", "gatewayip"];

/// Where a boot loader stands in its slot's network, where nobody hands out addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoaderNet {
    /// Its own address: `{ipaddr}`.
    pub address: Ipv4Addr,
    /// `{netmask}`.
    pub netmask: Ipv4Addr,
    /// The way to the server, where it is not on the same network: `{gatewayip}`.
    pub gateway: Option<Ipv4Addr>,
}

impl Netboot {
    /// The name under which a file is served. It has the run's own name in it: what an earlier run
    /// served is not what this one's boot loader asks for.
    pub fn name(&self, file: usize) -> String {
        let path = self.files.get(file).map_or("", |file| file.path.as_str());
        format!("{{hostname}}/{}-{}", file + 1, path.rsplit('/').next().unwrap_or_default())
    }

    /// The placeholders of all that the boot loader is told.
    pub fn words(&self) -> Vec<&str> {
        let values = self.variables.iter().map(|(_, value)| value);
        let texts = self.before.iter().chain(values).chain(self.files.iter().map(|file| &file.to));
        texts.chain([&self.boot]).flat_map(|text| placeholders(text)).collect()
    }

    /// The whole dialogue, with its placeholders.
    pub fn orders(&self) -> Vec<Order> {
        let before = self.before.iter().cloned().map(Order::Must);
        let set = |(name, value): &(String, String)| Order::Set { name: name.clone(), value: value.clone() };
        let fetch = |(index, file): (usize, &NetFile)| Order::Fetch {
            file: index,
            command: format!("tftpboot {} {{serverip}}:{}", file.to, self.name(index)),
            size: file.size.clone(),
        };
        before
            .chain(self.variables.iter().map(set))
            .chain(self.files.iter().enumerate().map(fetch))
            .chain([Order::Leave(self.boot.clone())])
            .collect()
    }
}

/// The words in braces of a text; those of the boot loader's own variables, `${name}`, are none.
pub fn placeholders(text: &str) -> Vec<&str> {
    let opens = text.match_indices('{').filter(|(at, _)| !text[..*at].ends_with('$'));
    opens.filter_map(|(at, _)| text[at + 1..].split_once('}').map(|(word, _)| word)).collect()
}

/// The text with what is known of its placeholders.
pub fn fill(text: &str, known: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let word = after.split_once('}').filter(|_| !before.ends_with('$'));
        let value = word.and_then(|(word, _)| known.iter().find(|(name, _)| *name == word));
        if let (Some((_, behind)), Some((_, value))) = (word, value) {
            filled.push_str(value);
            rest = behind;
        } else {
            filled.push('{');
            rest = after;
        }
    }
    filled + rest
}

/// A file as boot loaders get it.
#[derive(Clone, PartialEq, Eq)]
pub struct BootFile {
    /// The name that they ask for.
    pub name: String,
    /// All of it.
    pub bytes: Arc<[u8]>,
}

impl fmt::Debug for BootFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BootFile({}, {} bytes)", self.name, self.bytes.len())
    }
}

/// A request for a file, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The name that was asked for, as it was asked.
    pub name: String,
    /// Who asked.
    pub client: SocketAddr,
    /// What became of it.
    pub came: Came,
}

/// What became of a request for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// So many of its blocks were acknowledged up to now.
    UnderWay {
        /// Acknowledged.
        acked: u64,
        /// All of them.
        blocks: u64,
    },
    /// The client acknowledged the last block.
    Whole {
        /// The file's length.
        bytes: u64,
        /// All of them.
        blocks: u64,
    },
    /// Refused, given up or broken off: why.
    Failed(String),
}

impl fmt::Display for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, client, came } = self;
        match came {
            Came::UnderWay { acked, blocks } => {
                write!(f, "{client} has {acked} of {blocks} blocks of `{name}`")
            }
            Came::Whole { bytes, blocks } => {
                write!(f, "{client} took `{name}` to its last block ({bytes} bytes, {blocks} blocks)")
            }
            Came::Failed(why) => write!(f, "{client} did not get `{name}`: {why}"),
        }
    }
}

/// Files that are served; it ends when this is dropped.
pub trait Serving: Send + Sync {
    /// Where, as the DUT sees it.
    fn addr(&self) -> SocketAddr;
    /// Who asked for what so far, in order; `None`: a server of somebody else's does not say.
    fn fetches(&self) -> Option<Vec<Fetch>>;
}

/// Gives boot files to a slot's DUT over TFTP.
pub trait Tftp: Send + Sync {
    /// The boot loader's place in the slot's network; `None`: it asks there.
    fn loader(&self) -> Option<LoaderNet>;
    /// Serves these files, and no others.
    fn serve<'a>(&'a self, files: Vec<BootFile>, by: &'a Deadline) -> Fut<'a, Rig<Box<dyn Serving>>>;
}

/// A boot loader that waits for a line.
pub trait Prompt: Send {
    /// Has a command run that must say itself that it did what it should; returns what it said.
    fn must<'a>(&'a mut self, command: &'a str, by: &'a Deadline) -> Fut<'a, Rig<String>>;
    /// Sets a variable, and reads it again.
    fn set<'a>(&'a mut self, name: &'a str, value: &'a str, by: &'a Deadline) -> Fut<'a, Rig<()>>;
    /// Reads a variable; empty when there is none.
    fn get<'a>(&'a mut self, name: &'a str, by: &'a Deadline) -> Fut<'a, Rig<String>>;
    /// Types the line that leaves it: what the console says from the returned place on is another's.
    fn leave<'a>(self: Box<Self>, line: &'a str, by: &'a Deadline) -> Fut<'a, Rig<Cursor>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_and_the_boot_loader_s_own_variables_are_not() {
        let text = "run ${serverip} {serverip} {none} {hostname}} ${a}{uuid";
        assert_eq!(placeholders(text), ["serverip", "none", "hostname"]);
        assert_eq!(
            fill(text, &[("serverip", "10.0.0.1"), ("hostname", "abc")]),
            "run ${serverip} 10.0.0.1 {none} abc} ${a}{uuid"
        );
    }
}
