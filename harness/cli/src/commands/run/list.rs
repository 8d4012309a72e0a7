//! `shakedown run --list`: what would run, and why what would not. Nothing is opened or built.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use shakedown_boards::Catalogue;
use shakedown_core::{Capability, ExitCode, OsProfile};
use shakedown_suites::{Plan, Suites};

use super::{Args, Place};
use crate::compose::{image, reference};
use crate::say::out;
use crate::{CliError, CliResult};

pub(super) fn list(paths: &[PathBuf], suites: &Suites, plan: &Plan, args: &Args) -> CliResult {
    let width = plan.entries.iter().map(|entry| entry.spec().id.0.len()).max().unwrap_or(0);
    let catalogue = Catalogue::with_paths(paths)?;
    let skips = if Place::is_open(args)? {
        None
    } else {
        Some(skips(&catalogue, suites, plan, args, &Place::find(&catalogue, args)?)?)
    };
    for (index, entry) in plan.entries.iter().enumerate() {
        let spec = entry.spec();
        let needs: Vec<_> = spec.needs.iter().map(ToString::to_string).collect();
        let needs = if needs.is_empty() { String::new() } else { format!("  [needs {}]", needs.join(", ")) };
        let skip = skips.as_ref().and_then(|skips| skips[index].as_ref());
        let skip = skip.map_or(needs, |reason| format!("  skip: {reason}"));
        out!("{:<width$}  {}{skip}", spec.id.0, spec.title);
    }
    let skipped = skips.iter().flatten().flatten().count();
    let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} of them skipped") };
    out!("{} cases in `{}`{skipped}", plan.entries.len(), plan.name);
    if skips.is_none() && !plan.entries.is_empty() {
        out!("(what would be skipped depends on the slot: say which with --board or --slot)");
    }
    Ok(if plan.entries.is_empty() { ExitCode::NothingRan } else { ExitCode::Ok })
}

/// The reason of each skip, in the plan's order.
fn skips(
    catalogue: &Catalogue,
    suites: &Suites,
    plan: &Plan,
    args: &Args,
    place: &Place,
) -> Result<Vec<Option<String>>, CliError> {
    let own = super::companions(suites, args)?;
    let (profile, found) = profile(catalogue, plan, args)?;
    let roles = own.into_keys().chain(found).map(|role| format!("companion-{role}")).map(Capability::new);
    let doc = place.rig.doc.value.slots.get(&place.slot);
    let mut offers: BTreeSet<Capability> = doc.map(crate::compose::slot::offers).unwrap_or_default();
    offers.extend(place.board.capabilities.iter().chain(&profile.offers).cloned());
    offers.extend(roles);
    Ok(plan.planned(&offers, &profile).into_iter().map(|planned| planned.skip).collect())
}

/// The OS profile that the run would have, and the roles of the companion files that it would find.
fn profile(
    catalogue: &Catalogue,
    plan: &Plan,
    args: &Args,
) -> Result<(Arc<OsProfile>, Vec<String>), CliError> {
    let Some(file) = &args.image else {
        let id = args.os.as_deref().unwrap_or(reference::PROFILE);
        return Ok((catalogue.profile(id)?, super::roles(&plan.entries).into_iter().collect()));
    };
    let found = shakedown_runner::companions(file).into_iter().map(|(role, _)| role).collect();
    if let Some(os) = &args.os {
        return Ok((catalogue.profile(os)?, found));
    }
    let scratch = shakedown_host::dirs::cache()?;
    let chosen = image::choose(catalogue, file, None, std::collections::BTreeMap::new(), &scratch)?;
    Ok((chosen.profile, found))
}
