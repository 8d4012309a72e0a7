//! Finds the marks of one command in the stream, and what stands between them.

use shakedown_console::clean;

/// The first byte of a mark.
const MARK: u8 = 0x1e;
/// No mark is longer.
const LONGEST: usize = 64;

/// What the loop says about a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was run and returned this.
    Ended(i32),
    /// It did not have the length that it should; it was not run.
    Mutilated,
}

/// The reader of one command's output. Bounded by its limit, whatever comes.
#[derive(Debug)]
pub(super) struct Frame {
    begin: Vec<u8>,
    end: Vec<u8>,
    mutilated: Vec<u8>,
    mark: Option<Vec<u8>>,
    kept: Vec<u8>,
    limit: usize,
    truncated: bool,
}

impl Frame {
    pub(super) fn new(id: &str, limit: usize) -> Self {
        Self {
            begin: format!("b{id}").into_bytes(),
            end: format!("e{id}:").into_bytes(),
            mutilated: format!("x{id}").into_bytes(),
            mark: None,
            kept: Vec::new(),
            limit,
            truncated: false,
        }
    }

    /// Bytes are missing here.
    pub(super) fn gap(&mut self) {
        self.truncated = true;
    }

    /// The next bytes; the answer when they complete it.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Option<Answer> {
        while !bytes.is_empty() {
            if let Some(mark) = &mut self.mark {
                let (byte, rest) = (bytes[0], &bytes[1..]);
                bytes = rest;
                if byte != b'\n' && byte != b'\r' && byte != MARK && mark.len() < LONGEST {
                    mark.push(byte);
                    continue;
                }
                let mark = std::mem::take(mark);
                self.mark = (byte == MARK).then(Vec::new);
                if let Some(answer) = self.settle(&mark, byte) {
                    return Some(answer);
                }
            } else {
                let at = bytes.iter().position(|byte| *byte == MARK);
                self.keep(&bytes[..at.unwrap_or(bytes.len())]);
                self.mark = at.map(|_| Vec::new());
                bytes = at.map_or(&[], |at| &bytes[at + 1..]);
            }
        }
        None
    }

    fn settle(&mut self, mark: &[u8], after: u8) -> Option<Answer> {
        if mark == self.begin {
            // All before it was the echo of what was typed.
            self.kept.clear();
            self.truncated = false;
            if after == b'\r' {
                self.kept.push(after);
            }
            return None;
        }
        if mark == self.mutilated {
            return Some(Answer::Mutilated);
        }
        let code = mark.strip_prefix(&*self.end).and_then(|rest| rest.strip_suffix(b":"));
        if let Some(code) = code.and_then(|code| std::str::from_utf8(code).ok()?.parse().ok()) {
            return Some(Answer::Ended(code));
        }
        self.keep(&[MARK]);
        self.keep(mark);
        if after != MARK {
            self.keep(&[after]);
        }
        None
    }

    fn keep(&mut self, bytes: &[u8]) {
        // Two line ends are ours.
        let room = (self.limit + 4).saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&bytes[..room.min(bytes.len())]);
        self.truncated |= bytes.len() > room;
    }

    /// What the command printed, without terminal codes and the terminal's carriage returns.
    pub(super) fn output(self) -> (Vec<u8>, bool) {
        let mut out = clean(&self.kept);
        if self.kept.first() == Some(&b'\r') && out.first() == Some(&b'\n') {
            out.remove(0);
        }
        if out.last() == Some(&b'\n') && !self.truncated {
            out.pop();
        }
        let truncated = self.truncated || out.len() > self.limit;
        out.truncate(self.limit);
        (out, truncated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: &[u8], size: usize, limit: usize) -> Option<(Answer, Vec<u8>, bool)> {
        let mut frame = Frame::new("n1", limit);
        let answer = stream.chunks(size).find_map(|chunk| frame.feed(chunk))?;
        let (out, truncated) = frame.output();
        Some((answer, out, truncated))
    }

    #[test]
    fn the_output_is_the_same_however_the_stream_is_cut() {
        let stream = b"n1:5:secho x\r\n\r\n\x1ebn1\r\n\x1b[1mone\x1b[0m\r\n\x1eno mark\r\ntwo\r\n\x1een1:7:\r\n\x1een1:7:\r\n";
        for size in 1..=stream.len() {
            let (answer, out, truncated) = read(stream, size, 100).unwrap();
            assert_eq!((answer, truncated), (Answer::Ended(7), false), "chunks of {size}");
            assert_eq!(out.escape_ascii().to_string(), "one\\n\\x1eno mark\\ntwo", "chunks of {size}");
        }
    }

    #[test]
    fn a_line_without_carriage_returns_and_an_empty_output_are_read_too() {
        assert_eq!(read(b"\n\x1ebn1\n\n\x1een1:0:\n", 3, 9), Some((Answer::Ended(0), vec![], false)));
        assert_eq!(
            read(b"\n\x1ebn1\na\n\n\x1een1:0:\n", 3, 9),
            Some((Answer::Ended(0), b"a\n".to_vec(), false))
        );
        assert_eq!(read(b"\r\n\x1exn1\r\n", 1, 9).map(|(answer, ..)| answer), Some(Answer::Mutilated));
        assert_eq!(read(b"\r\n\x1een2:0:\r\n", 1, 9), None, "the end of another command");
    }

    #[test]
    fn a_kernel_message_in_the_first_end_mark_spares_the_second() {
        let stream = b"\r\n\x1ebn1\r\nx\r\n\x1een1[ 3.1] usb 1-1: new\r\n:0:\r\n\x1een1:0:\r\n";
        let (answer, out, _) = read(stream, 5, 200).unwrap();
        assert_eq!(answer, Answer::Ended(0));
        assert!(out.starts_with(b"x\n"), "{}", out.escape_ascii());
    }

    #[test]
    fn a_flood_is_bounded() {
        let mut frame = Frame::new("n1", 1000);
        frame.feed(b"\n\x1ebn1\n");
        for _ in 0..1000 {
            frame.feed(&[b'x'; 10_000]);
        }
        assert!(frame.kept.capacity() < 10_000);
        assert_eq!(frame.feed(b"\n\x1een1:0:\n"), Some(Answer::Ended(0)));
        let (out, truncated) = frame.output();
        assert_eq!((out.len(), truncated), (1000, true));
    }
}
