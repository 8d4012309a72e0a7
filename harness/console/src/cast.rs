//! Bytes as the text of an asciicast, without loss.
//!
//! An asciicast holds JSON strings, a console any bytes. What is not UTF-8 is written
//! a byte a character, as U+EF80 to U+EFFF for 0x80 to 0xFF (the private use range
//! that MirBSD's OPTU encoding takes for this). A character of that range which the
//! console really said is written as its three bytes in the same way, so the way back
//! is unambiguous. A player shows such characters as boxes.

/// Where the range for single bytes begins: byte `b` is this plus `b`.
const BASE: u32 = 0xEF00;

fn is_byte(c: char) -> bool {
    (BASE + 0x80..=BASE + 0xFF).contains(&u32::from(c))
}

fn push_bytes(out: &mut String, bytes: &[u8]) {
    out.extend(bytes.iter().filter_map(|&byte| char::from_u32(BASE + u32::from(byte))));
}

/// Turns chunks into text; holds back a character that is cut by the end of a chunk.
#[derive(Debug, Default)]
pub(crate) struct ToText {
    held: Vec<u8>,
}

impl ToText {
    /// The text of these bytes, and of the ones held back.
    pub(crate) fn text(&mut self, bytes: &[u8]) -> String {
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        let mut out = String::with_capacity(all.len());
        let mut rest = &all[..];
        loop {
            let (valid, wrong) = match std::str::from_utf8(rest) {
                Ok(valid) => (valid, None),
                Err(why) => {
                    let (valid, after) = rest.split_at(why.valid_up_to());
                    // Checked just now, so this loses nothing.
                    (std::str::from_utf8(valid).unwrap_or_default(), Some((after, why.error_len())))
                }
            };
            for c in valid.chars() {
                if is_byte(c) {
                    push_bytes(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes());
                } else {
                    out.push(c);
                }
            }
            match wrong {
                None => return out,
                Some((after, Some(length))) => {
                    push_bytes(&mut out, &after[..length]);
                    rest = &after[length..];
                }
                Some((cut, None)) => {
                    self.held = cut.to_vec();
                    return out;
                }
            }
        }
    }

    /// What is held back, at the end of the recording.
    pub(crate) fn rest(&mut self) -> String {
        let mut out = String::new();
        push_bytes(&mut out, &std::mem::take(&mut self.held));
        out
    }
}

/// The bytes that were written as this text.
pub(crate) fn to_bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        if is_byte(c) {
            out.push((u32::from(c) - BASE) as u8);
        } else {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    out
}
