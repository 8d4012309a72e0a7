//! A first descriptor of a board that nobody knows yet, from what its console said. It proposes and
//! cites; a person decides.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use shakedown_core::Arch;

use crate::catalogue::Catalogue;
use crate::doc::{ArchDoc, SeenDoc};
use crate::error::BoardsError;
use crate::layers;
use crate::text::{list, scalar};

/// A line of a log, from 1, without what a terminal would not show.
struct Line {
    number: usize,
    text: String,
}

/// What a log shows of a family's stages.
struct Fit {
    family: String,
    /// Stage and line.
    seen: Vec<(String, usize)>,
    stages: usize,
}

/// A commented descriptor. `log` is a console's text and the name by which it is cited; `families`
/// are extended as they are, else one is proposed by the boot stages that the log shows.
pub fn sketch(
    slug: &str,
    families: &[String],
    log: Option<(&str, &[u8])>,
    catalogue: &Catalogue,
) -> Result<String, BoardsError> {
    let (name, lines) = log.map_or(("", Vec::new()), |(name, bytes)| (name, lines(bytes)));
    let mut text = String::from("# yaml-language-server: $schema=../schema/board.json\n");
    let mut put = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    put(if lines.is_empty() {
        "# Fill in what you know and leave out what you do not: that is unknown, and shown so."
    } else {
        "# Proposed from a log; each comment cites its line. Check them, then delete the comments."
    });
    put(&format!("board: {}", scalar(slug)));
    let proposed = propose(families, &lines, catalogue)?;
    match proposed.as_slice() {
        [] => put("extends: linux-board"),
        [one] => put(&format!("extends: {}", one.family)),
        many => put(&format!("extends: {}", list(many.iter().map(|fit| &fit.family)))),
    }
    for fit in &proposed {
        for (stage, number) in &fit.seen {
            put(&format!("#   {stage}: {name}:{number}: {}", cite(&lines, *number)));
        }
    }
    let found = |field: &str, said: Option<(usize, String)>, otherwise: &str| match said {
        Some((number, value)) => {
            format!("{field}: {}  # {name}:{number}: {}", scalar(&value), cite(&lines, number))
        }
        None => format!("# {field}: {otherwise}"),
    };
    put(&found("name", after(&lines, &["Machine model: ", "DMI: "]), "for people (must be there)"));
    put(&found("arch", arch(&lines), "aarch64, amd64, armv7hf … (must be there, here or in a family)"));
    put(&found("soc", after(&lines, &["SoC: ", "SoC:   ", "CPU:   "]), "the system on chip"));
    put("# capabilities: [wifi, bluetooth, hdmi, led]  # what it has; what it surely has not: `without`");
    put("# provision: { sd-card: {} }  # no log tells: sd-card, flasher, usb-boot … (must be there)");
    match console(&lines) {
        Some((number, tty, baud)) => {
            put(&format!("tty: {}  # {name}:{number}", list([tty])));
            if let Some(baud) = baud {
                put(&format!("baud: {baud}  # {name}:{number}"));
            }
        }
        None => put("# baud: 115200  # the kernel's `console=` tells it"),
    }
    if let Some((number, memory)) = after(&lines, &["Memory: ", "DRAM:  "]) {
        put(&format!("# memory, {name}:{number}: {memory}"));
    }
    if let Some(line) = lines.iter().rev().find(|line| line.text.trim_end().ends_with("login:")) {
        put(&format!("# login, which is the OS profile's, {name}:{}: {}", line.number, line.text.trim()));
    }
    Ok(text)
}

fn lines(bytes: &[u8]) -> Vec<Line> {
    let text = String::from_utf8_lossy(bytes);
    let shown = |line: &str| line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
    let numbered = text.split('\n').enumerate();
    numbered.map(|(index, line)| Line { number: index + 1, text: shown(line) }).collect()
}

fn cite(lines: &[Line], number: usize) -> String {
    let line = lines.get(number - 1).map_or("", |line| line.text.trim());
    line.chars().take(80).collect()
}

/// What stands behind the first of these words that the log has.
fn after(lines: &[Line], words: &[&str]) -> Option<(usize, String)> {
    words.iter().find_map(|word| {
        lines.iter().find_map(|line| {
            let (_, value) = line.text.split_once(word)?;
            (!value.trim().is_empty()).then(|| (line.number, value.trim().to_owned()))
        })
    })
}

/// By words that only this architecture's kernel says.
fn arch(lines: &[Line]) -> Option<(usize, String)> {
    lines.iter().find_map(|line| {
        let has = |word: &str| line.text.contains(word);
        let kernel = has("Linux version ");
        let arch = if kernel && has("aarch64") || has("Booting Linux on physical CPU 0x0000000000") {
            "aarch64"
        } else if kernel && (has("x86_64") || has("-amd64")) || has("BIOS-e820: ") {
            "amd64"
        } else if has("CPU: ARMv7 Processor") {
            "armv7hf"
        } else if has("CPU: ARMv6-compatible") {
            "rpi"
        } else {
            return None;
        };
        Some((line.number, arch.to_owned()))
    })
}

/// The last serial console of the kernel's command line: the one that is /dev/console, unless a screen stands behind it.
fn console(lines: &[Line]) -> Option<(usize, String, Option<u32>)> {
    lines.iter().find_map(|line| {
        let (_, given) = line.text.split_once("ommand line: ")?;
        let value = given
            .split_whitespace()
            .rev()
            .filter_map(|word| word.strip_prefix("console="))
            .find(is_serial)?;
        let (tty, speed) = value.split_once(',').unwrap_or((value, ""));
        let digits: String = speed.chars().take_while(char::is_ascii_digit).collect();
        Some((line.number, tty.to_owned(), digits.parse().ok()))
    })
}

/// Not a screen: `tty1`, `tty0`.
fn is_serial(console: &&str) -> bool {
    !console.strip_prefix("tty").is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
}

/// The families that were named, or those that together have the stages that the log shows.
fn propose(named: &[String], lines: &[Line], catalogue: &Catalogue) -> Result<Vec<Fit>, BoardsError> {
    let shelf = catalogue.families();
    if !named.is_empty() {
        return named
            .iter()
            .map(|name| {
                if shelf.contains_key(name) {
                    return fit(name, lines, catalogue);
                }
                let known = shelf.keys().cloned().collect();
                Err(BoardsError::Unknown { kind: "family", got: name.clone(), known })
            })
            .collect();
    }
    let arch = arch(lines).map(|(_, arch)| arch);
    let mut fits = Vec::new();
    for (name, family) in shelf {
        let own = family.load()?;
        let other = |own: ArchDoc| arch.as_ref().is_none_or(|arch| Arch::from(own).to_string() != *arch);
        // Families of facts are for boards of which those facts are known.
        if !lines.is_empty() && own.value.sources.is_empty() && !own.value.arch.is_some_and(other) {
            fits.push(fit(name, lines, catalogue)?);
        }
    }
    // Those that show most of what is not shown yet, the ones with fewest stages beside that first.
    let (mut chosen, mut shown) = (Vec::<Fit>::new(), BTreeSet::new());
    loop {
        let new = |fit: &Fit| fit.seen.iter().filter(|(stage, _)| !shown.contains(stage)).count();
        let Some(best) = fits
            .iter()
            .enumerate()
            .max_by_key(|(index, fit)| (new(fit), Reverse(fit.stages), Reverse(*index)))
        else {
            break;
        };
        if new(best.1) == 0 {
            break;
        }
        let fit = fits.swap_remove(best.0);
        shown.extend(fit.seen.iter().map(|(stage, _)| stage.clone()));
        chosen.push(fit);
    }
    chosen.sort_by_key(|fit| fit.seen.iter().map(|(_, line)| *line).min());
    Ok(chosen)
}

/// Which of a family's stages, its own and those that it takes from others, the log shows.
fn fit(name: &str, lines: &[Line], catalogue: &Catalogue) -> Result<Fit, BoardsError> {
    let shelf = catalogue.families();
    let Some(family) = shelf.get(name) else {
        return Ok(Fit { family: name.to_owned(), seen: Vec::new(), stages: 0 });
    };
    let own = family.load()?;
    let below = layers::families(shelf, own.as_ref(), &own.value.extends)?;
    let mut stages: Vec<(String, Vec<String>)> = Vec::new();
    for layer in below.iter().map(|layer| &layer.value).chain([&own.value]) {
        for stage in &layer.boot.stages {
            let Some(SeenDoc::Console(patterns)) = &stage.seen else { continue };
            let patterns: Vec<_> = patterns.iter().map(|pattern| pattern.0.clone()).collect();
            match stages.iter_mut().find(|(known, _)| *known == stage.name) {
                Some((_, old)) => *old = patterns,
                None => stages.push((stage.name.clone(), patterns)),
            }
        }
    }
    let seen = stages.iter().filter_map(|(stage, patterns)| {
        let patterns: Vec<_> = patterns.iter().filter_map(|pattern| compile(pattern)).collect();
        let shows = |line: &&Line| patterns.iter().any(|pattern| pattern.is_match(line.text.as_bytes()));
        lines.iter().find(shows).map(|line| (stage.clone(), line.number))
    });
    Ok(Fit { family: name.to_owned(), seen: seen.collect(), stages: stages.len() })
}

/// As the console compiles it; the catalogue's check has refused what is no pattern.
fn compile(pattern: &str) -> Option<Regex> {
    let bytes = syntax::Config::new().utf8(false).unicode(false).multi_line(true).crlf(true);
    Regex::builder().syntax(bytes).build(pattern).ok()
}
