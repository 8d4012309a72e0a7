//! The embedded recipe: its files, its hash, its copy on disk.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use include_dir::{Dir, File, include_dir};
use sha2::{Digest, Sha256};

use crate::{Arch, BuildError, Os};

static PARTS: [Part; 6] = [
    ("assemble", include_dir!("$CARGO_MANIFEST_DIR/assemble")),
    ("boot", include_dir!("$CARGO_MANIFEST_DIR/boot")),
    ("initramfs", include_dir!("$CARGO_MANIFEST_DIR/initramfs")),
    ("packages", include_dir!("$CARGO_MANIFEST_DIR/packages")),
    ("tree", include_dir!("$CARGO_MANIFEST_DIR/tree")),
    ("tree-web", include_dir!("$CARGO_MANIFEST_DIR/tree-web")),
];

/// What makes the stand-in for balenaOS of the reference OS, with a hash of its own as well.
static BALENA: Part = ("balena", include_dir!("$CARGO_MANIFEST_DIR/balena"));

/// What makes an installer of a finished image. It has a hash of its own: another installer is no
/// reason to build the OS anew.
static FLASHER: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/flasher");

/// A hash of the installer's files, with their names.
pub(crate) fn flasher_hash() -> String {
    let mut hasher = Sha256::new();
    for file in FLASHER.files() {
        hasher.update(format!("{} {}\n", file.path().display(), file.contents().len()));
        hasher.update(file.contents());
    }
    hex(&hasher.finalize())
}

/// Writes the installer's files into the folder `to`.
pub(crate) fn write_flasher(to: &Path) -> Result<(), BuildError> {
    fs::create_dir_all(to).map_err(BuildError::file("create", to))?;
    for file in FLASHER.files() {
        let path = to.join(file.path());
        fs::write(&path, file.contents()).map_err(BuildError::file("write", &path))?;
    }
    Ok(())
}

/// A part's name and its folder.
type Part = (&'static str, Dir<'static>);

/// Every file of these parts with its path in the recipe, sorted.
fn files(parts: &'static [Part]) -> Vec<(String, &'static File<'static>)> {
    fn below(part: &str, dir: &'static Dir<'static>, found: &mut Vec<(String, &'static File<'static>)>) {
        found.extend(dir.files().map(|file| (format!("{part}/{}", file.path().display()), file)));
        dir.dirs().for_each(|dir| below(part, dir, found));
    }
    let mut found = Vec::new();
    for (part, dir) in parts {
        below(part, dir, &mut found);
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

/// A hash of what every OS is made of: the files, with their names.
pub(crate) fn hash() -> String {
    hash_of(&PARTS)
}

/// A hash of what makes an OS of that; empty for the reference OS, which needs nothing more.
pub(crate) fn own_hash(os: Os) -> String {
    match os {
        Os::Reference => String::new(),
        Os::BalenaOs => hash_of(std::slice::from_ref(&BALENA)),
    }
}

fn hash_of(parts: &'static [Part]) -> String {
    let mut hasher = Sha256::new();
    for (path, file) in files(parts) {
        hasher.update(format!("{path} {}\n", file.contents().len()));
        hasher.update(file.contents());
    }
    hex(&hasher.finalize())
}

/// Writes all files below `to`. What starts with `#!` is executable.
pub(crate) fn write(to: &Path) -> Result<(), BuildError> {
    for (name, file) in files(&PARTS).into_iter().chain(files(std::slice::from_ref(&BALENA))) {
        let path = to.join(&name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(BuildError::file("create", parent))?;
        }
        fs::write(&path, file.contents()).map_err(BuildError::file("write", &path))?;
        let mode = if file.contents().starts_with(b"#!") { 0o755 } else { 0o644 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(BuildError::file("chmod", &path))?;
    }
    Ok(())
}

/// The words of a list in `packages/`, without comments.
fn words(name: &str) -> Vec<&'static str> {
    let dir = PARTS.iter().find(|(part, _)| *part == "packages").map(|(_, dir)| dir);
    let text = dir.and_then(|dir| dir.get_file(name)).and_then(File::contents_utf8).unwrap_or_default();
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).collect()
}

/// The packages that are asked for.
pub(crate) fn packages(arch: Arch) -> Vec<&'static str> {
    let own = words(if arch == Arch::Amd64 { "amd64.txt" } else { "arm64.txt" });
    [words("common.txt"), own].concat()
}

/// Their dependencies that are left out.
pub(crate) fn skipped() -> Vec<&'static str> {
    words("skip.txt")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_is_embedded_whole() {
        let names: Vec<_> = files(&PARTS).into_iter().map(|(name, _)| name).collect();
        for expected in
            ["assemble/10-root.sh", "boot/grub.cfg", "initramfs/init", "tree/usr/bin/reference-update"]
        {
            assert!(names.iter().any(|name| name == expected), "{expected} is not in {names:?}");
        }
        assert!(packages(Arch::Amd64).contains(&"grub-pc-bin"));
        assert!(!packages(Arch::Arm64).contains(&"grub-pc-bin"));
        assert!(skipped().contains(&"perl-base"));
    }
}
