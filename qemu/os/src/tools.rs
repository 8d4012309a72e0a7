//! The programs of the distribution that a build runs.

use std::fmt::Write;
use std::path::Path;

use shakedown_core::Deadline;
use shakedown_host::Tool;

use crate::BuildError;

/// Program, package, and the argument that prints its version when its version can change
/// the image.
const TOOLS: [(&str, &str, Option<&str>); 17] = [
    ("apt-get", "apt", None),
    ("bash", "bash", None),
    ("cpio", "cpio", Some("--version")),
    ("depmod", "kmod", Some("--version")),
    ("dpkg-deb", "dpkg", None),
    ("faketime", "faketime", None),
    ("fakeroot", "fakeroot", None),
    ("find", "findutils", None),
    ("grub-editenv", "grub-common", None),
    ("grub-mkimage", "grub-common", Some("--version")),
    ("gzip", "gzip", Some("--version")),
    ("mcopy", "mtools", Some("--version")),
    ("mke2fs", "e2fsprogs", Some("-V")),
    ("mkfs.fat", "dosfstools", Some("--help")),
    ("sfdisk", "fdisk", Some("--version")),
    ("tar", "tar", Some("--version")),
    ("zstd", "zstd", Some("--version")),
];

/// The packages that bring everything a build needs, on any architecture.
pub const PACKAGES: [&str; 10] = [
    "cpio",
    "kmod",
    "fakeroot",
    "faketime",
    "grub-common",
    "mtools",
    "e2fsprogs",
    "dosfstools",
    "fdisk",
    "zstd",
];

/// `PATH` with the folders that an ordinary user's lacks.
pub(crate) fn path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    format!("{own}:/usr/sbin:/sbin:/usr/bin:/bin")
}

fn is_there(program: &str) -> bool {
    path().split(':').any(|dir| Path::new(dir).join(program).is_file())
}

/// The packages whose programs a build would not find.
pub fn missing_packages() -> Vec<String> {
    let mut packages: Vec<_> =
        TOOLS.iter().filter(|tool| !is_there(tool.0)).map(|tool| tool.1.to_owned()).collect();
    packages.dedup();
    packages
}

/// Fails with the line to type when a program is missing.
pub(crate) fn check() -> Result<(), BuildError> {
    let packages = missing_packages();
    if packages.is_empty() {
        return Ok(());
    }
    let programs = TOOLS.iter().filter(|tool| !is_there(tool.0)).map(|tool| tool.0.to_owned()).collect();
    Err(BuildError::Missing { programs, packages })
}

/// A line a program whose version can change the image.
pub(crate) async fn versions(by: &Deadline) -> Result<String, BuildError> {
    let mut text = String::new();
    for (program, package, asks) in TOOLS {
        let Some(asks) = asks else { continue };
        let tool = Tool::new(program).arg(asks).env("PATH", path()).env("LC_ALL", "C").package(package);
        let output = tool.run(by).await.map_err(BuildError::step("tool versions"))?;
        // mke2fs says its version on standard error.
        let out = String::from_utf8_lossy(if output.out.is_empty() { &output.err } else { &output.out })
            .into_owned();
        let _ = writeln!(text, "{program}: {}", out.lines().next().unwrap_or_default());
    }
    Ok(text)
}
