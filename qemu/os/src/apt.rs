//! An apt root of our own: the host's mirrors, nothing of its state.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use shakedown_core::Deadline;
use shakedown_host::Tool;

use crate::recipe::{self, hex};
use crate::{Arch, BuildError, Manifest, tools};

/// Lists younger than this are not asked for again.
const FRESH: Duration = Duration::from_secs(24 * 3600);
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// How new the package lists are.
pub(crate) enum Lists {
    /// Of today.
    Fresh,
    /// So old, for no mirror answers.
    Old(Duration),
}

/// The folder of one architecture's lists and package files.
pub(crate) struct AptRoot {
    arch: Arch,
    dir: PathBuf,
}

impl AptRoot {
    pub(crate) fn arch(&self) -> Arch {
        self.arch
    }

    /// Lays the folder out and points it at the host's mirrors.
    pub(crate) async fn prepare(arch: Arch, dir: &Path, by: &Deadline) -> Result<Self, BuildError> {
        let root = Self { arch, dir: dir.to_owned() };
        for folder in ["state/lists/partial", "cache/archives/partial", "none/partial"] {
            let folder = dir.join(folder);
            fs::create_dir_all(&folder).map_err(BuildError::file("create", &folder))?;
        }
        let dump = apt("apt-config")
            .arg("dump")
            .run_ok(by)
            .await
            .map_err(BuildError::step("apt's configuration"))?;
        root.put("status", "")?;
        root.put("apt.conf", &configuration(arch, dir, &dump.text()))?;
        let sources = mirrors(by).await?;
        // Other mirrors than last time: the lists are not theirs.
        if fs::read_to_string(dir.join("sources.list")).is_ok_and(|old| old != sources) {
            let _ = fs::remove_file(dir.join("updated"));
        }
        root.put("sources.list", &sources)?;
        Ok(root)
    }

    fn put(&self, name: &str, text: &str) -> Result<(), BuildError> {
        let path = self.dir.join(name);
        fs::write(&path, text).map_err(BuildError::file("write", path))
    }

    fn apt_get(&self) -> Tool {
        apt("apt-get").env("APT_CONFIG", self.dir.join("apt.conf")).arg("-qq")
    }

    /// Fetches the package lists unless they are fresh. Old ones of the same mirrors serve
    /// where these do not answer: an image that was built once can be used without a network.
    pub(crate) async fn update(&self, refresh: bool, by: &Deadline) -> Result<Lists, BuildError> {
        let stamp = self.dir.join("updated");
        let age = fs::metadata(&stamp).and_then(|meta| meta.modified()).ok().and_then(|at| at.elapsed().ok());
        if !refresh && age.is_some_and(|age| age < FRESH) {
            return Ok(Lists::Fresh);
        }
        // Without this, a mirror that does not answer is only a warning.
        let tool = self.apt_get().args(["-o", "APT::Update::Error-Mode=any", "update"]);
        match (tool.run_ok(by).await, age) {
            (Ok(_), _) => self.put("updated", "").map(|()| Lists::Fresh),
            (Err(_), Some(age)) if !refresh => Ok(Lists::Old(age)),
            (Err(error), _) => Err(BuildError::step("package lists")(error)),
        }
    }

    /// Which packages it takes.
    pub(crate) async fn resolve(&self, by: &Deadline) -> Result<Manifest, BuildError> {
        // Against an empty archive folder: packages that are there are not listed.
        let archives = format!("Dir::Cache::archives={}", self.dir.join("none").display());
        let tool = self.apt_get().args(["-o", "Acquire::ForceHash=SHA256", "-o", &archives]);
        let tool = tool.args(["--print-uris", "install"]).args(recipe::packages(self.arch));
        let output = tool.run_ok(by).await.map_err(BuildError::step("package manifest"))?;
        Manifest::parse(&output.text(), &recipe::skipped())
    }

    /// The files of the packages, each compared with the manifest.
    pub(crate) async fn download(
        &self,
        manifest: &Manifest,
        by: &Deadline,
    ) -> Result<Vec<PathBuf>, BuildError> {
        let archives = self.dir.join("cache/archives");
        let files: Vec<_> = manifest.0.iter().map(|package| archives.join(&package.file)).collect();
        if !files.iter().all(|file| file.exists()) {
            let tool = self.apt_get().args(["--download-only", "--yes", "install"]);
            let tool = tool.args(recipe::packages(self.arch));
            tool.run_ok(by).await.map_err(BuildError::step("packages"))?;
        }
        let wanted: Vec<_> = manifest.0.iter().map(|package| package.sha256.clone()).collect();
        let pairs: Vec<_> = files.iter().cloned().zip(wanted).collect();
        let compared = tokio::task::spawn_blocking(move || {
            pairs.iter().try_for_each(|(file, hash)| compare(file, hash))
        });
        // Only a panic of the closure could be lost here.
        compared.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        Ok(files)
    }
}

fn apt(program: &str) -> Tool {
    Tool::new(program)
        .env("PATH", tools::path())
        .env("LC_ALL", "C")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .package("apt")
}

fn compare(file: &Path, expected: &str) -> Result<(), BuildError> {
    let bytes = fs::read(file).map_err(BuildError::file("read", file))?;
    let got = hex(&Sha256::digest(&bytes));
    if got == expected {
        return Ok(());
    }
    Err(BuildError::Corrupt { file: file.to_owned(), expected: expected.to_owned(), got })
}

/// Our own settings; of the host's only how it reaches its mirrors (proxies, retries).
fn configuration(arch: Arch, dir: &Path, dump: &str) -> String {
    let network = ["Acquire::http", "Acquire::https", "Acquire::Retries"];
    let hosts: Vec<_> = dump.lines().filter(|line| network.iter().any(|key| line.starts_with(key))).collect();
    let dir = dir.display();
    format!(
        "Dir::Etc::main \"/dev/null\";\nDir::Etc::parts \"/dev/null\";\n\
         Dir::Etc::sourcelist \"{dir}/sources.list\";\nDir::Etc::sourceparts \"/dev/null\";\n\
         Dir::State \"{dir}/state\";\nDir::State::status \"{dir}/status\";\nDir::Cache \"{dir}/cache\";\n\
         APT::Architecture \"{arch}\";\nAPT::Architectures {{ \"{arch}\"; }};\n\
         APT::Install-Recommends \"false\";\nAPT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\n{}\n",
        hosts.join("\n")
    )
}

/// The host's Debian mirrors as a sources.list.
async fn mirrors(by: &Deadline) -> Result<String, BuildError> {
    let format = "$(CREATED_BY)|$(ORIGIN)|$(COMPONENT)|$(RELEASE)|$(REPO_URI)";
    let tool = apt("apt-get").args(["indextargets", "--format", format]);
    let output = tool.run_ok(by).await.map_err(BuildError::step("mirrors"))?;
    sources(&output.text(), Path::new(KEYRING).exists())
}

fn sources(targets: &str, keyring: bool) -> Result<String, BuildError> {
    let signed = if keyring { format!("[signed-by={KEYRING}] ") } else { String::new() };
    let mut lines = Vec::new();
    for target in targets.lines() {
        if let ["Packages", "Debian", "main", release, uri] = target.split('|').collect::<Vec<_>>()[..] {
            lines.push(format!("deb {signed}{uri} {release} main\n"));
        }
    }
    lines.sort();
    lines.dedup();
    // A host with backports still gets a plain release.
    lines.retain(|line| !line.contains("-backports"));
    if lines.is_empty() {
        let got = targets.lines().next().unwrap_or("no package lists");
        return Err(BuildError::NoMirror { got: got.to_owned() });
    }
    Ok(lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_debian_itself_is_taken_from_the_host() {
        let targets = "Packages|Debian|main|bookworm|http://m/debian/\n\
                       Packages|Debian|main|bookworm|http://m/debian/\n\
                       Packages|Debian Backports|main|bookworm-backports|http://m/debian/\n\
                       Packages|Debian|main|bookworm-backports|http://m/debian/\n\
                       Packages|Debian|contrib|bookworm|http://m/debian/\n\
                       Packages|google|main|x|https://g/\nSources|Debian|main|bookworm|http://m/debian/";
        assert_eq!(sources(targets, false).unwrap(), "deb http://m/debian/ bookworm main\n");
    }

    #[test]
    fn a_host_without_debian_is_told_what_to_do() {
        let error = sources("Packages|Ubuntu|main|noble|http://u/", true).unwrap_err().to_string();
        assert!(error.contains("got Packages|Ubuntu|main") && error.contains("apt-get update"), "{error}");
    }

    #[test]
    fn proxies_are_taken_over_and_hooks_are_not() {
        let dump = "Acquire::http::Proxy \"http://p:3128\";\nAPT::Update::Post-Invoke:: \"rm -f /x\";";
        let text = configuration(Arch::Arm64, Path::new("/c"), dump);
        assert!(text.contains("http://p:3128") && !text.contains("Post-Invoke"), "{text}");
        assert!(text.contains("APT::Architecture \"arm64\""), "{text}");
    }
}
