//! A profile's document to a complete profile.

use std::collections::BTreeMap;
use std::sync::Arc;

use shakedown_conf::{Loaded, Place};
use shakedown_core::profile::{ConfigProfile, EngineProfile, LoginProfile, SshProfile, UpdateProfile};
use shakedown_core::{Capability, OsProfile, Seen};

use crate::board::check_word;
use crate::doc::{FamilyDoc, OsDoc};
use crate::error::BoardsError;
use crate::merge::{Boot, check_pattern};
use crate::origin::Origins;

/// Partition roles that a profile with a configuration document names: provisioning needs them.
const ROLES: [&str; 2] = ["boot", "data"];
/// Configuration keys without which the harness cannot get in.
const KEYS: [&str; 1] = ["ssh-keys"];

/// Checks the document, merges the families' stages below it and completes it.
pub(crate) fn resolve(
    own: &Loaded<OsDoc>,
    families: &[Arc<Loaded<FamilyDoc>>],
) -> Result<OsProfile, BoardsError> {
    let mut boot = Boot::default();
    for family in families {
        only_boot(own, family)?;
        boot.apply(family, &family.value.boot)?;
    }
    boot.apply(own, &own.value.boot)?;
    if boot.is_empty() {
        return Err(own.missing("", "boot").hint("a profile says by its stages when the OS is ready").into());
    }
    check(own)?;
    let mut origins = Origins::default();
    note_leaves(own, &mut origins);
    let (stages, bad) = boot.finish(&mut origins);
    if own.value.ssh.authorized_keys.is_some() && !stages.iter().any(|stage| stage.seen == Seen::Shell) {
        let what = "it is added at a stage with `seen: shell`, and there is none";
        return Err(own.invalid("ssh.authorized-keys", what).into());
    }
    let doc = &own.value;
    let profile = OsProfile {
        id: doc.os.clone(),
        name: doc.name.clone(),
        os_release_ids: doc.os_release_ids.clone(),
        offers: doc.offers.iter().map(Capability::new).collect(),
        ssh: SshProfile {
            port: doc.ssh.port,
            user: doc.ssh.user.clone(),
            fingerprint: doc.ssh.fingerprint.as_ref().map(|pattern| pattern.0.clone()),
            authorized_keys: doc.ssh.authorized_keys.clone(),
        },
        login: doc.login.as_ref().map(|login| LoginProfile {
            prompt: login.prompt.0.clone(),
            user: login.user.clone(),
            password: login
                .password
                .as_ref()
                .map(|password| (password.prompt.0.clone(), password.text.clone())),
            shell: login.shell.0.clone(),
        }),
        engine: doc.engine.as_ref().map(|engine| EngineProfile {
            command: engine.command.clone(),
            healthy: engine.healthy.clone(),
            unit: engine.unit.clone(),
            process: engine.process.clone(),
            tcp_port: engine.tcp_port,
        }),
        partitions: doc.partitions.clone(),
        config: doc.config.as_ref().map(|config| ConfigProfile {
            file: config.file.clone(),
            mounted: config.mounted.clone(),
            keys: config.keys.clone(),
        }),
        update: doc.update.as_ref().map(|update| UpdateProfile {
            file: update.file.clone(),
            command: update.command.clone(),
            slot: update.slot.clone(),
            markers: update.markers.clone(),
        }),
        facts: doc.facts.clone(),
        budgets: doc.budgets.clone(),
        stages,
        bad,
        evidence: doc.evidence.clone(),
        shutdown: doc.shutdown.get(),
        hash: origins.hash(),
    };
    Ok(profile)
}

/// A profile takes a family's part of the boot; hardware is none of its business.
fn only_boot(own: &Loaded<OsDoc>, family: &Loaded<FamilyDoc>) -> Result<(), BoardsError> {
    let about = |field: &str| {
        ["family", "extends", "boot"].iter().any(|part| {
            field.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    };
    if let Some(leaf) = family.spots().leaves().find(|leaf| !about(&leaf.field)) {
        let what = format!("an OS profile (`{}`) extends this family: it may hold `boot` only", own.value.os);
        return Err(family.invalid(&leaf.field, what).into());
    }
    Ok(())
}

fn check(own: &Loaded<OsDoc>) -> Result<(), BoardsError> {
    let doc = &own.value;
    check_word(own, "os", &doc.os)?;
    for (index, word) in doc.offers.iter().enumerate() {
        check_word(own, &format!("offers[{index}]"), word)?;
    }
    if doc.os_release_ids.is_empty() {
        return Err(own.invalid("os-release-ids", "at least one `ID=` is needed to know the OS by").into());
    }
    if let Some(pattern) = &doc.ssh.fingerprint {
        check_pattern(own, "ssh.fingerprint", pattern.as_str())?;
        if !pattern.as_str().contains("(SHA256:") {
            let what = "its first group must be the fingerprint: `(SHA256:\\S+)`";
            return Err(own.invalid("ssh.fingerprint", what).into());
        }
    }
    if let Some(login) = &doc.login {
        check_pattern(own, "login.prompt", login.prompt.as_str())?;
        check_pattern(own, "login.shell", login.shell.as_str())?;
        if let Some(password) = &login.password {
            check_pattern(own, "login.password.prompt", password.prompt.as_str())?;
        }
    }
    if let Some(config) = &doc.config {
        need(own, "partitions", &doc.partitions, &ROLES)?;
        need(own, "config.keys", &config.keys, &KEYS)?;
    }
    way_in(own)?;
    if let (Some(index), None) = (doc.offers.iter().position(|word| word == "engine"), &doc.engine) {
        let what = "`engine` is offered, and the profile has no `engine:` that says which";
        return Err(own.invalid(&format!("offers[{index}]"), what).into());
    }
    if let Some(update) = &doc.update
        && !update.command.contains("{file}")
    {
        return Err(own.invalid("update.command", "`{file}` does not stand in it").into());
    }
    for (index, place) in doc.evidence.iter().enumerate() {
        let field = format!("evidence[{index}]");
        let Some((role, path)) = place.split_once(':') else {
            return Err(own.invalid(&field, "expected `role:path`, such as `state:/log`").into());
        };
        if !doc.partitions.contains_key(role) {
            return Err(own.unknown_name(&field, "partition role", role, doc.partitions.keys()).into());
        }
        if !path.starts_with('/') {
            return Err(own
                .invalid(&field, format!("`{path}` must begin with `/`, the partition's root"))
                .into());
        }
    }
    Ok(())
}

/// Without a configuration document that brings the run's key, the console's login is the way in.
fn way_in(own: &Loaded<OsDoc>) -> Result<(), BoardsError> {
    let doc = &own.value;
    let by_console = "it is added through the console's login";
    match (&doc.config, &doc.login, &doc.ssh.authorized_keys) {
        (Some(_), _, Some(_)) => {
            let what = "the run's key is in the configuration document (`config.keys.ssh-keys`)";
            Err(own.invalid("ssh.authorized-keys", what).into())
        }
        (None, None, _) => Err(own
            .missing("", "login")
            .hint("without `config` no image takes a key: only the console's login lets anybody in")
            .into()),
        (None, Some(_), Some(path)) if !path.starts_with('/') => Err(own
            .invalid("ssh.authorized-keys", format!("`{path}` is no absolute path; {by_console}"))
            .into()),
        _ => Ok(()),
    }
}

fn need(
    own: &Loaded<OsDoc>,
    field: &str,
    map: &BTreeMap<String, String>,
    names: &[&str],
) -> Result<(), BoardsError> {
    match names.iter().find(|name| !map.contains_key(**name)) {
        Some(name) => Err(own.missing(field, name).into()),
        None => Ok(()),
    }
}

/// All that the document itself says, except for the boot, which is merged.
fn note_leaves(own: &Loaded<OsDoc>, origins: &mut Origins) {
    for leaf in own.spots().leaves().filter(|leaf| !leaf.field.starts_with("boot.")) {
        if leaf.field != "extends" && !leaf.field.starts_with("extends[") {
            let place: Place = leaf.place;
            origins.note(leaf.field, leaf.value, Some(place));
        }
    }
}
