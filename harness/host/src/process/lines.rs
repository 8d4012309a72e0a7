//! Bytes that come in pieces, as lines.

/// A longer line comes in parts.
const LONGEST: usize = 64 << 10;

/// Cuts what one stream says into lines.
#[derive(Debug, Default)]
pub struct LineCutter {
    open: Vec<u8>,
}

impl LineCutter {
    /// Takes what came. `line` gets each line with its end, which is one of these bytes.
    pub fn cut(&mut self, bytes: &[u8], ends: &[u8], mut line: impl FnMut(&[u8])) {
        for part in bytes.split_inclusive(|byte| ends.contains(byte)) {
            self.open.extend_from_slice(part);
            let ended = part.last().is_some_and(|last| ends.contains(last));
            if ended || self.open.len() >= LONGEST {
                line(&self.open);
                self.open.clear();
            }
        }
    }

    /// The line that nothing ended; empty when there is none.
    pub fn end(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.open)
    }
}
