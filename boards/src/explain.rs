//! A board in words: what is known, how an image gets onto it, what a rig needs, how it boots.

use std::fmt::Write;
use std::time::Duration;

use shakedown_conf::Span;
use shakedown_core::{Board, Procedure, ProvStep, Seen};

use crate::catalogue::Resolved;
use crate::doc::{ImageKindDoc, MediumDoc, StateDoc, SupportDoc, TableDoc};
use crate::facts::Facts;
use crate::plan::{self, Wire};

const UNKNOWN: &str = "*unknown*";
/// What every board may have; one of which nothing is said is shown as unknown.
const COMMON: [&str; 4] = ["bluetooth", "hdmi", "led", "wifi"];

/// The whole explanation, a few dozen lines.
pub fn explain(of: &Resolved) -> String {
    let mut text = String::new();
    let plan = plan::ideal(&of.board);
    hardware(&mut text, &of.board, &of.facts);
    os(&mut text, &of.board, &of.facts);
    put(&mut text, &format!("\nProvisioning: {}", plan.procedure.kind));
    text.push_str(&procedure(&plan.procedure));
    put(&mut text, "\nWhat a rig needs");
    for wire in &plan.wires {
        put(&mut text, &needed(wire));
    }
    boot(&mut text, &of.board);
    disputed(&mut text, &of.facts);
    text
}

/// The steps of a procedure, two lines each, as `explain` and a dry run show them.
pub fn procedure(of: &Procedure) -> String {
    let mut text = String::new();
    for (index, step) in of.steps.iter().enumerate() {
        put(&mut text, &shown(index + 1, step));
    }
    for unknown in &of.unknown {
        put(&mut text, &format!("  {UNKNOWN}: {unknown}"));
    }
    text
}

fn put(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn time(span: Duration) -> Span {
    Span(span)
}

fn shown(number: usize, step: &ProvStep) -> String {
    let ProvStep { id, act, proof, within, undo, redo } = step;
    let undo = undo.as_ref().map_or(String::new(), |undo| format!("; undone by: {undo}"));
    format!(
        " {number:>2}. {id}: {act}\n     shown by: {proof}; at most {}; if it fails: {}{undo}",
        time(*within),
        redo.word()
    )
}

fn needed(wire: &Wire) -> String {
    let optional = if wire.optional { " (if the board needs it: that is *unknown*)" } else { "" };
    format!("  {:<22} {}{optional}", wire.part, wire.why)
}

fn row(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:<16} {value}");
}

fn or_unknown<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| value.to_string())
}

fn listed<S: AsRef<str>>(items: &[S]) -> Option<String> {
    let items: Vec<_> = items.iter().map(AsRef::as_ref).collect();
    (!items.is_empty()).then(|| items.join(", "))
}

fn hardware(text: &mut String, board: &Board, facts: &Facts) {
    put(text, &format!("{} ({})", board.name, board.slug));
    if let Some(aliases) = listed(&facts.aliases) {
        row(text, "also known as", &aliases);
    }
    if let Some(group) = &facts.group {
        row(text, "one of", group);
    }
    let life = &facts.lifecycle;
    let support = or_unknown(life.support.map(SupportDoc::word));
    let state = or_unknown(life.state.map(StateDoc::word));
    let esr = if life.esr == Some(true) { "; extended support releases" } else { "" };
    row(text, "support", &format!("{support}; state of its repository: {state}{esr}"));
    let cpu = or_unknown(facts.cpu.as_ref());
    row(text, "processor", &format!("{}, {}, cores: {cpu}", board.arch, or_unknown(board.soc.as_ref())));
    let has: Vec<_> = board.capabilities.iter().map(ToString::to_string).collect();
    row(text, "has", &listed(&has).unwrap_or_else(|| "nothing that is known".to_owned()));
    if let Some(without) = listed(&facts.without) {
        row(text, "has not", &without);
    }
    let said = |word: &&&str| {
        !has.iter().any(|has| has == **word) && !facts.without.iter().any(|without| without == **word)
    };
    let unknown: Vec<_> = COMMON.iter().filter(said).collect();
    if !unknown.is_empty() {
        let unknown: Vec<_> = unknown.into_iter().copied().collect();
        row(text, UNKNOWN, &unknown.join(", "));
    }
    if let Some(file) = &facts.led_file {
        row(text, "its LED", file);
    }
    let tty = or_unknown(listed(&facts.tty));
    let baud = if facts.baud_known { "" } else { " (assumed: the speed is *unknown*)" };
    row(text, "console", &format!("{tty} at {} baud{baud}", board.baud));
    row(text, "off for", &format!("at least {} before it is switched on again", time(board.min_off)));
    let media = &facts.media;
    let also: Vec<_> = media.also.iter().map(|medium| medium.word()).collect();
    let also = listed(&also).map_or(String::new(), |also| format!("; can from {also}, too"));
    row(text, "boots from", &format!("{}{also}", or_unknown(media.default.map(MediumDoc::word))));
    let storage = match media.storage {
        Some(true) => "yes",
        Some(false) => "none",
        None => UNKNOWN,
    };
    let disks = listed(&media.disks).map_or(String::new(), |disks| format!(", as {disks}"));
    row(text, "own storage", &format!("{storage}{disks}"));
    let recovery = &facts.recovery;
    if recovery.enter.is_some() || recovery.usb.is_some() || recovery.guide.is_some() {
        let (enter, usb) = (or_unknown(recovery.enter.as_ref()), or_unknown(recovery.usb.as_ref()));
        let guide = recovery.guide.as_ref().map_or(String::new(), |guide| format!("; {guide}"));
        row(text, "recovery mode", &format!("{enter}; USB {usb}{guide}"));
    }
}

fn os(text: &mut String, board: &Board, facts: &Facts) {
    row(text, "boot loader", &or_unknown(facts.bootloader.as_ref()));
    let image = &facts.image;
    let kind = or_unknown(image.kind.map(ImageKindDoc::word));
    row(text, "image", &format!("{} ({kind})", or_unknown(image.file.as_ref())));
    for (what, file) in [("the OS itself", &image.raw), ("its installer", &image.installer)] {
        if let Some(file) = file {
            row(text, "", &format!("{what}: {file}"));
        }
    }
    let built =
        format!("MACHINE={}, from {}", or_unknown(image.machine.as_ref()), or_unknown(image.repo.as_ref()));
    row(text, "", &built);
    let layout = &facts.layout;
    let sizes =
        [("space", layout.space), ("boot", layout.boot), ("root", layout.root), ("state", layout.state)];
    let sizes = sizes.map(|(name, size)| format!("{name} {}", or_unknown(size))).join(", ");
    let table = or_unknown(layout.table.map(TableDoc::word));
    let partition = or_unknown(layout.boot_partition);
    row(text, "partitions", &format!("table {table}; {sizes}; its configuration on number {partition}"));
    for line in &board.config_txt {
        row(text, "config.txt", line);
    }
    let ci = &facts.ci;
    let with = if ci.secure_boot == Some(true) { ", with secure boot, too" } else { "" };
    let tested = match (listed(&ci.suites), listed(&ci.workers)) {
        (Some(suites), Some(workers)) => format!("{suites} on {workers}{with}"),
        (Some(suites), None) => format!("{suites}{with}"),
        (None, workers) => workers.map_or_else(|| format!("*unknown*{with}"), |on| format!("on {on}{with}")),
    };
    let class = ci.class.as_ref().map_or(String::new(), |class| format!("; its class {class}"));
    let workflow = ci.workflow.as_ref().map_or(String::new(), |file| format!("; {file}"));
    row(text, "vendor's tests", &format!("{tested}{class}{workflow}"));
}

fn boot(text: &mut String, board: &Board) {
    put(text, "\nBoot, up to the kernel; the OS profile says what follows");
    for (index, stage) in board.stages.iter().enumerate() {
        let seen = match &stage.seen {
            Seen::Console(patterns) => format!("the console shows {}", patterns.join(" | ")),
            Seen::Shell => "SSH answers".to_owned(),
            Seen::Engine => "the engine is healthy".to_owned(),
        };
        let mut notes = vec![format!("within {}", time(stage.within))];
        notes.extend(stage.typical.map(|typical| format!("usually {}", time(typical))));
        if stage.optional {
            notes.push("may be silent".to_owned());
        }
        if stage.once {
            notes.push("a second time is an unexpected reset".to_owned());
        }
        let _ = writeln!(text, "  {}. {}: {seen}; {}", index + 1, stage.name, notes.join("; "));
    }
    put(text, "\nLines that end a boot at once");
    for bad in &board.bad {
        let _ = writeln!(
            text,
            "  {:<24} {} ({}; read on for {}): {}",
            bad.id,
            bad.says,
            bad.blame.word(),
            time(bad.drain),
            bad.pattern
        );
    }
}

fn disputed(text: &mut String, facts: &Facts) {
    if facts.disputed.is_empty() {
        return;
    }
    put(text, "\nDisputed: sources disagree, and the descriptor goes by one of them");
    for (field, sides) in &facts.disputed {
        let sides: Vec<_> = sides.iter().map(|(source, says)| format!("{source} says {says}")).collect();
        let _ = writeln!(text, "  {field}: {}", sides.join("; "));
    }
}
