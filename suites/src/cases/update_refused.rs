//! A file that is not a whole update for this board is refused and arms nothing; where the OS looks at it
//! before it writes, the other slot stays as it was.

use shakedown_core::{Capability, Cut, Deadline, Dut, Failure};

use super::Plot;
use super::host::Host;
use super::update::{FACTS, Update};
use crate::expect::printed;

/// The other slot's head, its middle and its end: enough to see that something wrote there.
const OTHER_SLOT: &str = "size=$(blockdev --getsize64 {partition-links}/inactive) && for at in 0 $((size / 2097152)) \
     $((size / 1048576 - 4)); do dd if={partition-links}/inactive iflag=direct bs=1M skip=$at count=4 status=none; done | sha256sum";
const NO_UPDATE: &[&str] = FACTS;
const OTHER: &[&str] = &[
    "update-file",
    "update-slot",
    "marker-health-breadcrumb",
    "partition-links",
    "update-for-another-board",
];

const GARBAGE_LINE: &str = "head -c 1000000 /dev/urandom > {update-file}.bad";
const TRUNCATED_LINE: &str = "head -c $(($(stat -c %s {update-file}) / 2)) {update-file} > {update-file}.bad";
const BIT_FLIPPED_LINE: &str = "cp {update-file} {update-file}.bad && at=$(($(stat -c %s {update-file}) / 2)) \
     && old=$(od -An -tu1 -j $at -N 1 {update-file}.bad) \
     && printf \"\\\\$(printf %o $((old ^ 1)))\" | dd of={update-file}.bad bs=1 seek=$at conv=notrunc status=none \
     && [ \"$(od -An -tu1 -j $at -N 1 {update-file}.bad)\" != \"$old\" ]";
const ANOTHER_BOARD_LINE: &str = "make() { {update-for-another-board}; }; make {update-file} {update-file}.bad && test -s {update-file}.bad";

pub(super) const GARBAGE: Plot = Plot {
    name: "refuses-garbage",
    facts: NO_UPDATE,
    config_keys: &[],
    run: |dut, by| Box::pin(refused(dut, NO_UPDATE, None, GARBAGE_LINE, by)),
};
pub(super) const TRUNCATED: Plot = Plot {
    name: "refuses-truncated",
    facts: NO_UPDATE,
    config_keys: &[],
    run: |dut, by| Box::pin(refused(dut, NO_UPDATE, Some("update"), TRUNCATED_LINE, by)),
};
pub(super) const BIT_FLIPPED: Plot = Plot {
    name: "refuses-bit-flipped",
    facts: NO_UPDATE,
    config_keys: &[],
    run: |dut, by| Box::pin(refused(dut, NO_UPDATE, Some("update"), BIT_FLIPPED_LINE, by)),
};
pub(super) const ANOTHER_BOARD: Plot = Plot {
    name: "refuses-another-board",
    facts: OTHER,
    config_keys: &[],
    run: |dut, by| Box::pin(refused(dut, OTHER, Some("update"), ANOTHER_BOARD_LINE, by)),
};

/// Makes a bad file with the line of shell, out of the companion file where one is named.
async fn refused(
    dut: &dyn Dut,
    facts: &[&str],
    from: Option<&str>,
    spoil: &str,
    by: &Deadline,
) -> Result<(), Cut> {
    let update = Update::new(dut, facts, by).await?;
    let host = &update.host;
    if let Some(role) = from
        && !host.ask("test -s {update-file}", by).await?.exit.is_ok()
    {
        update.put(role, by).await?;
    }
    update.folder(by).await?;
    host.must("the bad update file cannot be made", spoil, by).await?;
    let kept = dut.offers(&Capability::new("update-checked-first"));
    let before = if kept { Some(other_slot(host, by).await?) } else { None };
    let ran = update.install(&format!("{}.bad", host.fact("update-file")?), by).await?;
    if ran.exit.is_ok() {
        let what = "a bad update file was not refused";
        return Err(Failure::new(what, "an exit code other than 0", printed(&ran)).into());
    }
    if ran.out.trim_ascii().is_empty() {
        let what = "a bad update file was refused without a reason";
        return Err(Failure::new(what, "a line that says why", "nothing").into());
    }
    if let Some(before) = before {
        let after = other_slot(host, by).await?;
        if before != after {
            let what = "a bad update file was refused, but the other slot was written";
            return Err(Failure::new(what, before, after).into());
        }
    }
    host.must("a bad update file was refused, but is armed", "test ! -e {marker-health-breadcrumb}", by)
        .await?;
    Ok(())
}

async fn other_slot(host: &Host<'_>, by: &Deadline) -> Result<String, Cut> {
    host.must("the other slot cannot be read", OTHER_SLOT, by).await
}
