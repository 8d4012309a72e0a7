//! Where runs, caches and runtime files go, and whether there is room.
//!
//! | what | variable | else |
//! |---|---|---|
//! | runs | `SHAKEDOWN_OUT` | `./shakedown-out` |
//! | cache | `SHAKEDOWN_CACHE` | `$XDG_CACHE_HOME/shakedown`, `~/.cache/shakedown` |
//! | runtime | `SHAKEDOWN_RUNTIME` | `$XDG_RUNTIME_DIR/shakedown`, `/tmp/shakedown-<uid>` |
//! | locks of slots | `$SHAKEDOWN_RUNTIME/slots` | `/var/tmp/shakedown-locks`, for all users ([`crate::lock::folder`]) |

use std::ffi::OsString;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use shakedown_core::{Fault, InfraKind, Rig};

/// Where run folders are made. Not created here.
pub fn out() -> PathBuf {
    named("SHAKEDOWN_OUT").unwrap_or_else(|| PathBuf::from("shakedown-out"))
}

/// The cache for images and built artefacts; created when missing.
pub fn cache() -> Rig<PathBuf> {
    made(cache_path(&named)?, 0o755).map_err(|fault| fault.hint("name another with SHAKEDOWN_CACHE"))
}

/// Sockets and other files that need not outlive a boot of the host; created when
/// missing, for this user alone.
pub fn runtime() -> Rig<PathBuf> {
    let path = made(runtime_path(&named), 0o700)?;
    // In /tmp anybody could have made it first.
    let mine = rustix::process::getuid().as_raw();
    match std::fs::metadata(&path) {
        Ok(meta) if meta.uid() == mine => Ok(path),
        Ok(meta) => Err(fault("use", &path)
            .expected(format!("a directory of user {mine}"), format!("one of user {}", meta.uid()))
            .hint("name another with SHAKEDOWN_RUNTIME")),
        Err(error) => Err(fault("look at", &path).because(&error)),
    }
}

fn named(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from)
}

fn cache_path(named: &dyn Fn(&str) -> Option<PathBuf>) -> Rig<PathBuf> {
    let own = named("SHAKEDOWN_CACHE");
    let xdg = || named("XDG_CACHE_HOME").filter(|path| path.is_absolute()).map(|path| path.join("shakedown"));
    let home = || named("HOME").map(|home| home.join(".cache/shakedown"));
    own.or_else(xdg).or_else(home).ok_or_else(|| {
        let fault = Fault::new(InfraKind::Host, "host", "find", "the cache directory");
        fault.expected("HOME, XDG_CACHE_HOME or SHAKEDOWN_CACHE", "none of them is set")
    })
}

fn runtime_path(named: &dyn Fn(&str) -> Option<PathBuf>) -> PathBuf {
    let own = named("SHAKEDOWN_RUNTIME");
    let xdg = || {
        let path = named("XDG_RUNTIME_DIR").filter(|path| path.is_absolute() && path.is_dir());
        path.map(|path| path.join("shakedown"))
    };
    let user = rustix::process::getuid().as_raw();
    own.or_else(xdg).unwrap_or_else(|| PathBuf::from(format!("/tmp/shakedown-{user}")))
}

fn fault(op: &str, path: &Path) -> Fault {
    Fault::new(InfraKind::Host, "host", op, path.display().to_string())
}

fn made(path: PathBuf, mode: u32) -> Rig<PathBuf> {
    let built = std::fs::DirBuilder::new().recursive(true).mode(mode).create(&path);
    built.map_err(|error| fault("create", &path).because(&error))?;
    Ok(path)
}

/// Bytes that this user may still write below `path`, which must exist.
pub fn free(path: &Path) -> Rig<u64> {
    let stat =
        rustix::fs::statvfs(path).map_err(|error| fault("ask for free space in", path).because(&error))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Fails when fewer than `bytes` are free below `path`, which must exist.
pub fn need_space(path: &Path, bytes: u64) -> Rig<()> {
    let free = free(path)?;
    if free >= bytes {
        return Ok(());
    }
    let mib = |bytes: u64| format!("{} MiB free", bytes >> 20);
    let fault = fault("write to", path).expected(mib(bytes.next_multiple_of(1 << 20)), mib(free));
    Err(fault.hint("make room, or name another place with SHAKEDOWN_CACHE or SHAKEDOWN_OUT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(name: &'static str, value: &'static str) -> impl Fn(&str) -> Option<PathBuf> {
        move |asked| (asked == name).then(|| PathBuf::from(value))
    }

    #[test]
    fn our_own_variables_win_and_relative_xdg_paths_are_ignored() {
        let both = |asked: &str| match asked {
            "SHAKEDOWN_CACHE" => Some("/a".into()),
            "XDG_CACHE_HOME" => Some("/b".into()),
            _ => None,
        };
        assert_eq!(cache_path(&both).unwrap(), Path::new("/a"));
        assert_eq!(cache_path(&only("XDG_CACHE_HOME", "/b")).unwrap(), Path::new("/b/shakedown"));
        assert_eq!(cache_path(&only("HOME", "/h")).unwrap(), Path::new("/h/.cache/shakedown"));
        let none = cache_path(&only("XDG_CACHE_HOME", "b")).unwrap_err();
        assert!(none.to_string().contains("SHAKEDOWN_CACHE"), "{none}");
    }

    #[test]
    fn too_little_space_is_said_before_anything_is_written() {
        let folder = std::env::temp_dir();
        need_space(&folder, 1).unwrap();
        let fault = need_space(&folder, u64::MAX / 2).unwrap_err();
        assert!(fault.to_string().contains("MiB free, got"), "{fault}");
    }
}
