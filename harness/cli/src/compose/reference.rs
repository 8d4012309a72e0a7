//! The reference OS: the image that a run takes when none is named.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{Clock, Deadline, ExitCode, Pace, RealClock, Stop};
use shakedown_os::{BuildError, BuildRequest, Built, Os, Step, Target, Variant};
use tokio_util::sync::CancellationToken;

use crate::CliError;
use crate::say::err;

/// The slowest build that was seen, arm64 on two busy cores, took 4 minutes.
const BUILD: Duration = Duration::from_secs(1800);
/// The version of the update files: another one than the image's 1.0.0.
const NEXT: &str = "2.0.0";

/// Its OS profile.
pub const PROFILE: &str = "reference";

/// The update files by the role that cases ask for.
const UPDATES: [(&str, Variant); 3] = [
    ("update", Variant::Standard),
    ("update-broken-init", Variant::NoInit),
    ("update-unhealthy", Variant::Unhealthy),
];

/// An image and the files that belong to it, by role.
pub type WithCompanions = (PathBuf, BTreeMap<String, PathBuf>);

/// A wait for a build, which an interrupt ends.
pub fn deadline(cancel: &CancellationToken) -> Deadline {
    let clock: Arc<dyn Clock> = RealClock::start();
    Deadline::new("build of the reference OS", BUILD, Pace::Rig, clock, cancel.clone())
}

/// The OS that executes this profile, if we build one and there is one for the board.
pub fn os(profile: &str, board: Target) -> Result<Os, CliError> {
    let known = Os::ALL.map(Os::profile).join(", ");
    let os = Os::of_profile(profile).ok_or_else(|| {
        CliError::refused(format!("we build no OS that executes the profile {profile}"))
            .hint(format!("there is one for {known}"))
    })?;
    if !os.is_for(board) {
        let what = format!("there is no {} for the board {board}", os.name());
        let known: Vec<_> =
            Target::ALL.into_iter().filter(|board| os.is_for(*board)).map(Target::slug).collect();
        return Err(CliError::refused(what).hint(format!("there is one for {}", known.join(", "))));
    }
    Ok(os)
}

/// The board of this slug, if there is a reference OS for it.
pub fn target(board: &str) -> Result<Target, CliError> {
    Target::of_slug(board).ok_or_else(|| {
        let known = Target::ALL.map(Target::slug).join(", ");
        CliError::refused(format!("there is no reference OS for the board {board}"))
            .hint(format!("name an image with --image FILE; there is one for {known}"))
    })
}

/// The image for this board, built when it is not in the cache, and the companion files of these roles.
pub async fn image(board: &str, roles: &BTreeSet<String>, by: &Deadline) -> Result<WithCompanions, CliError> {
    let target = target(board)?;
    let built = build(Os::Reference, target, false, by).await?;
    Ok((built.image, updates(Os::Reference, target, roles, by).await?))
}

/// Builds the image, telling the steps on standard error.
pub async fn build(os: Os, board: Target, rebuild: bool, by: &Deadline) -> Result<Built, CliError> {
    let request = BuildRequest { os, rebuild, ..request(board)? };
    let built = shakedown_os::build(&request, by, &tell).await.map_err(refused)?;
    Ok(told(os.name(), board, built))
}

/// Builds its installer, telling the steps on standard error.
pub async fn flasher(os: Os, board: Target, rebuild: bool, by: &Deadline) -> Result<Built, CliError> {
    if !board.has_slots() {
        let why =
            format!("there is no installer of the reference OS for {board}: its firmware starts no GRUB");
        return Err(CliError::refused(why));
    }
    let request = BuildRequest { os, rebuild, ..request(board)? };
    let built = shakedown_os::build_flasher(&request, by, &tell).await.map_err(refused)?;
    Ok(told(&format!("installer of the {}", os.name()), board, built))
}

fn told(what: &str, board: Target, built: Built) -> Built {
    let from = if built.cached { "in the cache" } else { "built" };
    err!("   {what} {board} {from}: {} ({} MiB)", built.image.display(), built.packed_bytes >> 20);
    built
}

/// Builds the update files of these roles; none for a board that cannot be updated.
pub async fn updates(
    os: Os,
    board: Target,
    roles: &BTreeSet<String>,
    by: &Deadline,
) -> Result<BTreeMap<String, PathBuf>, CliError> {
    let mut files = BTreeMap::new();
    for (role, variant) in UPDATES.into_iter().filter(|(role, _)| board.has_slots() && roles.contains(*role))
    {
        let request = BuildRequest { os, version: NEXT.to_owned(), variant, ..request(board)? };
        let update = shakedown_os::build_update(&request, by, &tell).await.map_err(refused)?;
        files.insert(role.to_owned(), update.file);
    }
    Ok(files)
}

/// All roles that there are.
pub fn all_roles() -> BTreeSet<String> {
    UPDATES.iter().map(|(role, _)| (*role).to_owned()).collect()
}

fn request(board: Target) -> Result<BuildRequest, CliError> {
    Ok(BuildRequest::new(board, shakedown_host::dirs::cache()?.join("os")))
}

#[expect(clippy::needless_pass_by_value, reason = "the builder's callback takes it so")]
fn tell(step: Step) {
    if let Some(took) = step.took {
        err!("   {:<28} {:>6.1} s", step.name, took.as_secs_f64());
    }
}

fn refused(error: BuildError) -> CliError {
    let interrupted = matches!(&error, BuildError::Step { fault, .. } if fault.stop.as_ref().is_some_and(|stop| matches!(stop, Stop::Cancelled(_))));
    let exit = if interrupted { ExitCode::Interrupted } else { ExitCode::Infra };
    CliError { exit, ..CliError::infra(error) }
}

#[cfg(test)]
mod tests {
    use shakedown_core::time::Waited;
    use shakedown_core::{Fault, InfraKind};

    use super::*;

    #[test]
    fn an_interrupted_build_is_an_interrupt_and_no_fault_of_the_rig() {
        let waited =
            Waited { name: "build".into(), waited: Duration::from_secs(9), last_seen: "unpacking".into() };
        let stopped = |stop| {
            let fault = Fault::new(InfraKind::Host, "fakeroot", "run", "30-slot.sh").stopped(stop);
            refused(BuildError::Step { step: "slot image".into(), fault: Box::new(fault) }).exit
        };
        assert_eq!(stopped(Stop::Cancelled(waited.clone())), ExitCode::Interrupted);
        assert_eq!(stopped(Stop::Late(waited)), ExitCode::Infra);
    }
}
