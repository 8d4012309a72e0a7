//! A console recording as lines with times and marks, long ones cut in the middle.

use std::collections::VecDeque;

use crate::extras::{ExtraFile, Extras};
use crate::text;

/// Lines kept from the start of a recording.
const HEAD: usize = 400;
/// Lines kept from its end, where things break.
const TAIL: usize = 1_600;
/// Bytes kept of one line.
const WIDE: usize = 2_000;

/// One line of a viewer.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Seconds on the recording's clock, when its first byte came; `None` where the recording has no times.
    pub at: Option<f64>,
    /// A mark of the recorder (power on, reset, sent) instead of something the DUT said.
    pub mark: bool,
    /// Safe to show, on one line.
    pub text: String,
}

/// A recording, as far as it is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// The file it came from.
    pub path: String,
    /// From the start.
    pub head: Vec<Line>,
    /// Lines between `head` and `tail` that are not shown.
    pub left_out: usize,
    /// From the end.
    pub tail: Vec<Line>,
    /// Lines of the file that are not asciicast.
    pub unreadable: usize,
}

/// The recording to show: one with times rather than one without.
pub fn of(extras: &Extras) -> Option<Recording> {
    let is = |file: &&ExtraFile, extension: &str| file.path.ends_with(extension);
    let timed = extras.consoles.iter().find(|file| is(file, ".cast"));
    let file = timed.or_else(|| extras.consoles.iter().find(|file| is(file, ".log")))?;
    Some(if is(&file, ".cast") { cast(file) } else { raw(file) })
}

#[derive(Default)]
struct Gather {
    head: Vec<Line>,
    left_out: usize,
    tail: VecDeque<Line>,
    open: Vec<u8>,
    open_at: Option<f64>,
}

impl Gather {
    fn said(&mut self, at: Option<f64>, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.open.is_empty() {
                self.open_at = at;
            }
            // A flood without line breaks must not grow without bound.
            let room = WIDE.saturating_sub(self.open.len());
            self.open.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let bytes = std::mem::take(&mut self.open);
        let at = self.open_at.take();
        let shown = text::bytes(&bytes);
        for part in shown.trim_end_matches('\n').split('\n') {
            self.push(Line { at, mark: false, text: part.trim_end().to_owned() });
        }
    }

    fn mark(&mut self, at: f64, what: &str) {
        if !self.open.is_empty() {
            self.end_line();
        }
        self.push(Line { at: Some(at), mark: true, text: text::cut(&text::line(what), 200) });
    }

    fn push(&mut self, line: Line) {
        if self.head.len() < HEAD {
            self.head.push(line);
            return;
        }
        self.tail.push_back(line);
        if self.tail.len() > TAIL {
            self.tail.pop_front();
            self.left_out += 1;
        }
    }

    fn finish(mut self, path: &str, unreadable: usize) -> Recording {
        if !self.open.is_empty() {
            self.end_line();
        }
        let (path, tail) = (text::line(path), self.tail.into());
        Recording { path, head: self.head, left_out: self.left_out, tail, unreadable }
    }
}

fn raw(file: &ExtraFile) -> Recording {
    let mut gather = Gather::default();
    gather.said(None, &file.bytes);
    gather.finish(&file.path, 0)
}

/// asciicast v2: a header line, then `[seconds, code, data]` a line.
fn cast(file: &ExtraFile) -> Recording {
    let (mut gather, mut unreadable) = (Gather::default(), 0);
    for line in file.bytes.split(|byte| *byte == b'\n').skip(1).filter(|line| !line.is_empty()) {
        let Ok((at, code, data)) = serde_json::from_slice::<(f64, String, String)>(line) else {
            unreadable += 1;
            continue;
        };
        match code.as_str() {
            "o" => gather.said(Some(at), data.as_bytes()),
            "i" => gather.mark(at, &format!("sent {}", shown_keys(&data))),
            "m" => gather.mark(at, &data),
            // Resizes and what later versions may add say nothing about the DUT.
            _ => {}
        }
    }
    gather.finish(&file.path, unreadable)
}

/// Typed bytes with their control characters visible.
fn shown_keys(data: &str) -> String {
    data.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> ExtraFile {
        ExtraFile { path: path.into(), bytes: text.as_bytes().to_vec() }
    }

    fn shown(recording: &Recording) -> Vec<(Option<f64>, bool, &str)> {
        recording.head.iter().map(|line| (line.at, line.mark, line.text.as_str())).collect()
    }

    #[test]
    fn a_cast_becomes_lines_with_times_and_marks_wherever_its_chunks_are_cut() {
        let text = "{\"version\":2,\"width\":80,\"height\":24}\n[0.1,\"m\",\"power on\"]\n[0.5,\"o\",\"U-Bo\"]\n\
                    [0.6,\"o\",\"ot \\u001b[3\"]\n[0.7,\"o\",\"1mred\\u001b[0m\\r\\nlogin: \"]\n[0.8,\"i\",\"root\\r\"]\nnonsense\n[0.9,\"r\",\"80x24\"]\n";
        let extras = Extras { consoles: vec![file("a.log", "never"), file("a.cast", text)], images: vec![] };
        let recording = of(&extras).unwrap();
        assert_eq!(
            shown(&recording),
            [
                (Some(0.1), true, "power on"),
                (Some(0.5), false, "U-Boot red"),
                (Some(0.7), false, "login:"),
                (Some(0.8), true, "sent root\\r"),
            ]
        );
        assert_eq!(recording.unreadable, 1);
    }

    #[test]
    fn a_flood_is_cut_in_the_middle_and_within_a_line() {
        let flood = (0..5_000).map(|n| format!("line {n}\r\n")).collect::<Vec<_>>().concat();
        let recording = of(&Extras { consoles: vec![file("c.log", &flood)], images: vec![] }).unwrap();
        assert_eq!((recording.head.len(), recording.left_out, recording.tail.len()), (HEAD, 3_000, TAIL));
        assert_eq!(recording.tail.last().unwrap().text, "line 4999");
        let endless = "x".repeat(1 << 20);
        let recording = of(&Extras { consoles: vec![file("c.log", &endless)], images: vec![] }).unwrap();
        assert_eq!((recording.head.len(), recording.head[0].text.len()), (1, WIDE));
        assert_eq!(of(&Extras::default()), None);
    }
}
