//! Whether a board's facts fit each other. Where they do not, the descriptor must say that they are disputed.

use shakedown_conf::{Loaded, nearest};
use shakedown_core::{Board, Provision};

use crate::doc::{BoardDoc, ImageKindDoc, MediumDoc};
use crate::error::BoardsError;
use crate::facts::Facts;

/// Fields that can be disputed besides those of [`Facts::fields`] and the board's own capabilities.
const FIELDS: [&str; 6] = ["name", "arch", "soc", "provision", "baud", "min-off"];

pub(crate) fn consistent(own: &Loaded<BoardDoc>, board: &Board, facts: &Facts) -> Result<(), BoardsError> {
    disputes(own, board, facts)?;
    let doc = &own.value;
    let disputed = |fields: &[&str]| fields.iter().any(|field| doc.disputed.contains_key(*field));
    if matches!(board.provision, Provision::Flasher(_))
        && facts.media.storage == Some(false)
        && !disputed(&["provision", "media.storage"])
    {
        let what =
            "a flasher needs storage of the board's own: settle it, or name both sources in `disputed`";
        return Err(own.invalid("media.storage", what).into());
    }
    if board.provision == Provision::SdCard
        && facts.image.kind == Some(ImageKindDoc::Flasher)
        && !disputed(&["provision", "image.kind"])
    {
        let what =
            "an installer is no OS to boot from the card: settle it, or name both sources in `disputed`";
        return Err(own.invalid("image.kind", what).into());
    }
    if facts.media.default.is_some_and(|medium| facts.media.also.contains(&medium)) {
        return Err(own.invalid("media.also", "the default stands here, too").into());
    }
    if facts.media.default == Some(MediumDoc::Internal)
        && facts.media.storage == Some(false)
        && !disputed(&["media.storage", "media.default"])
    {
        let what =
            "it boots from internal storage, and has none: settle it, or name both sources in `disputed`";
        return Err(own.invalid("media.storage", what).into());
    }
    if let Some(id) = &facts.recovery.usb {
        let hex = |part: &str| part.len() == 4 && part.chars().all(|c| c.is_ascii_hexdigit());
        if !id.split_once(':').is_some_and(|(vendor, product)| hex(vendor) && hex(product)) {
            return Err(own
                .invalid("recovery.usb", format!("`{id}` is no USB id such as `0955:7023`"))
                .into());
        }
    }
    Ok(())
}

fn disputes(own: &Loaded<BoardDoc>, board: &Board, facts: &Facts) -> Result<(), BoardsError> {
    if own.value.disputed.is_empty() {
        return Ok(());
    }
    let known = facts.fields();
    let mut known: Vec<&str> = known.iter().map(|(field, _)| *field).chain(FIELDS).collect();
    known.extend(board.capabilities.iter().map(|capability| capability.0.as_str()));
    known.extend(facts.without.iter().map(String::as_str));
    for (field, sides) in &own.value.disputed {
        let path = format!("disputed.{field}");
        if !known.contains(&field.as_str()) {
            let error = own.invalid(&path, format!("nothing is said here about `{field}`"));
            let meant = nearest(field, known.iter().copied());
            return Err(match meant {
                Some(meant) => error.hint(format!("did you mean `{meant}`?")),
                None => error,
            }
            .into());
        }
        let mut values: Vec<_> = sides.values().collect();
        values.dedup();
        if sides.len() < 2 || values.len() < 2 {
            let what = "a dispute has at least two sources that say different things";
            return Err(own.invalid(&path, what).into());
        }
    }
    Ok(())
}
