//! Images for simulated slots: made when they are needed, kept in the cache.

use std::path::PathBuf;

use shakedown_core::{OsProfile, Sha};

use crate::CliError;

/// A small image of this OS and version. Another `mark` is another image.
pub fn image(profile: &OsProfile, version: &str, mark: &str) -> Result<PathBuf, CliError> {
    let name = Sha::of(format!("{}\n{version}\n{mark}", profile.hash).as_bytes()).short();
    let folder = shakedown_host::dirs::cache()?.join("simulated");
    let path = folder.join(format!("{}-{}-{name}.img", profile.id, file_name(version)));
    if path.exists() {
        return Ok(path);
    }
    std::fs::create_dir_all(&folder)?;
    let bytes = shakedown_simulated::image(profile, version, mark)?;
    // Whole, or not there. Another process may have made the same meanwhile, and a run may have looked
    // into that one: it is not replaced.
    let new = folder.join(format!(".{name}-{}-{:?}", std::process::id(), std::thread::current().id()));
    std::fs::write(&new, bytes)?;
    let linked = std::fs::hard_link(&new, &path);
    std::fs::remove_file(&new)?;
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(path),
    }
}

fn file_name(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || ".-_+".contains(c) { c } else { '-' }).collect()
}
