//! The packages of a build: name, version, SHA-256.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::BuildError;

/// One package file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, epoch included.
    pub version: String,
    /// SHA-256 of its file, from the signed package list.
    pub sha256: String,
    /// The file's name in apt's archive folder.
    pub file: String,
}

/// The packages of a build, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Manifest(pub Vec<Package>);

impl Manifest {
    /// Reads what `apt-get --print-uris install` prints, without the packages named in `skip`.
    pub(crate) fn parse(text: &str, skip: &[&str]) -> Result<Self, BuildError> {
        let mut packages = Vec::new();
        for line in text.lines().filter(|line| line.starts_with('\'')) {
            let package = package(line).ok_or_else(|| BuildError::Manifest { line: line.to_owned() })?;
            if !skip.contains(&package.name.as_str()) {
                packages.push(package);
            }
        }
        if packages.is_empty() {
            return Err(BuildError::Manifest { line: text.lines().next().unwrap_or_default().to_owned() });
        }
        packages.sort();
        Ok(Self(packages))
    }
}

fn package(line: &str) -> Option<Package> {
    let mut words = line.split_ascii_whitespace();
    let (_uri, file, _size, hash) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let sha256 = hash.strip_prefix("SHA256:").filter(|hex| hex.len() == 64)?;
    let mut parts = file.strip_suffix(".deb")?.split('_');
    let (name, version) = (parts.next()?, parts.next()?);
    // A file name becomes a path: nothing may lead out of the archive folder.
    let plain = file.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._~%".contains(&byte));
    plain.then(|| Package {
        name: name.to_owned(),
        version: version.replace("%3a", ":"),
        sha256: sha256.to_owned(),
        file: file.to_owned(),
    })
}

/// One line a package: name, version, SHA-256.
impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|package| writeln!(f, "{} {} {}", package.name, package.version, package.sha256))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(file: &str) -> String {
        format!("'http://mirror/{file}' {file} 10 SHA256:{}", "a".repeat(64))
    }

    #[test]
    fn skipped_packages_are_left_out_and_the_rest_is_sorted() {
        let text =
            [line("zstd_1_amd64.deb"), line("perl_2_all.deb"), line("bash_1%3a5-2_amd64.deb")].join("\n");
        let manifest = Manifest::parse(&text, &["perl"]).unwrap();
        let aaa = "a".repeat(64);
        assert_eq!(manifest.to_string(), format!("bash 1:5-2 {aaa}\nzstd 1 {aaa}\n"));
    }

    #[test]
    fn lines_that_are_no_packages_are_refused() {
        let hash = "a".repeat(64);
        for bad in [
            "'x' a_1_amd64.deb 3 MD5Sum:00".to_owned(),
            format!("'x' ../a_1_amd64.deb 3 SHA256:{hash}"),
            format!("'x' a.deb 3 SHA256:{hash}"),
            "'x' a_1_all.deb".to_owned(),
        ] {
            let error = Manifest::parse(&bad, &[]).unwrap_err().to_string();
            assert!(error.contains("SHA256:HASH"), "{error}");
        }
        assert!(Manifest::parse("E: nothing", &[]).is_err());
    }
}
