//! Modbus: what is asked, and whether an answer is the answer to it. Bytes only.

use crc::{CRC_16_MODBUS, Crc};

/// A coil, or all of a board's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Function 5.
    Write { coil: u16, on: bool },
    /// Function 1; the coil at `from + at` is the wanted one.
    Read { from: u16, count: u16, at: u16 },
}

const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_MODBUS);
/// Set in the function of an answer that is an exception.
const EXCEPTION: u8 = 0x80;
/// Transaction, protocol and length, before the unit.
pub(super) const HEAD: usize = 6;

impl Ask {
    fn function(self) -> u8 {
        match self {
            Self::Write { .. } => 5,
            Self::Read { .. } => 1,
        }
    }

    fn pdu(self) -> Vec<u8> {
        let (first, second) = match self {
            Self::Write { coil, on } => (coil, if on { 0xFF00 } else { 0 }),
            Self::Read { from, count, .. } => (from, count),
        };
        [&[self.function()][..], &first.to_be_bytes(), &second.to_be_bytes()].concat()
    }

    /// The frame on TCP.
    pub(super) fn tcp(self, transaction: u16, unit: u8) -> Vec<u8> {
        let pdu = self.pdu();
        let length = (pdu.len() as u16 + 1).to_be_bytes();
        [&transaction.to_be_bytes()[..], &[0, 0], &length, &[unit], &pdu].concat()
    }

    /// The frame on a serial line.
    pub(super) fn rtu(self, unit: u8) -> Vec<u8> {
        let frame = [&[unit][..], &self.pdu()].concat();
        [&frame[..], &CRC.checksum(&frame).to_le_bytes()].concat()
    }

    /// How long the answer on a serial line is, once its beginning tells.
    pub(super) fn rtu_length(self, got: &[u8]) -> Option<usize> {
        let function = *got.get(1)?;
        match self {
            _ if function & EXCEPTION != 0 => Some(5),
            Self::Write { .. } => Some(8),
            Self::Read { .. } => got.get(2).map(|count| 5 + usize::from(*count)),
        }
    }

    /// The level that an answer on TCP tells, or what is wrong with it.
    pub(super) fn read_tcp(self, transaction: u16, unit: u8, got: &[u8]) -> Result<Option<bool>, String> {
        let (head, rest) = got.split_at_checked(HEAD).ok_or("too short")?;
        if head[..2] != transaction.to_be_bytes() {
            return Err("the answer to another question".into());
        }
        if head[2..4] != [0, 0] {
            return Err("another protocol than Modbus".into());
        }
        self.read(unit, rest)
    }

    /// The level that an answer on a serial line tells, or what is wrong with it.
    pub(super) fn read_rtu(self, unit: u8, got: &[u8]) -> Result<Option<bool>, String> {
        let (frame, sum) = got.split_at_checked(got.len().wrapping_sub(2)).ok_or("too short")?;
        if CRC.checksum(frame).to_le_bytes() != sum {
            return Err("a frame with a wrong checksum".into());
        }
        self.read(unit, frame)
    }

    fn read(self, unit: u8, frame: &[u8]) -> Result<Option<bool>, String> {
        let [from, function, data @ ..] = frame else { return Err("too short".into()) };
        if *from != unit {
            return Err(format!("the answer of unit {from}"));
        }
        if *function == self.function() | EXCEPTION {
            let code = data.first().copied().unwrap_or_default();
            return Err(format!("exception {code} ({})", exception(code)));
        }
        match self {
            Self::Write { .. } if frame[1..] == self.pdu() => Ok(None),
            Self::Read { count, at, .. }
                if *function == 1
                    && data.len() == 1 + usize::from(count.div_ceil(8))
                    && usize::from(data[0]) == data.len() - 1 =>
            {
                Ok(Some(data[1 + usize::from(at / 8)] >> (at % 8) & 1 == 1))
            }
            _ => Err("an answer that does not fit the question".into()),
        }
    }
}

fn exception(code: u8) -> &'static str {
    match code {
        1 => "illegal function",
        2 => "illegal data address",
        3 => "illegal data value",
        4 => "server device failure",
        6 => "busy",
        10 | 11 => "the gateway cannot reach it",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        text.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
    }

    /// reference/peers.md 1.4, the relays of Waveshare.
    #[test]
    fn the_bytes_on_a_serial_line() {
        assert_eq!(Ask::Write { coil: 0, on: true }.rtu(1), hex("01 05 00 00 FF 00 8C 3A"));
        assert_eq!(Ask::Write { coil: 0, on: false }.rtu(1), hex("01 05 00 00 00 00 CD CA"));
        assert_eq!(Ask::Read { from: 0, count: 8, at: 0 }.rtu(1), hex("01 01 00 00 00 08 3D CC"));
        assert_eq!(Ask::Write { coil: 3, on: true }.tcp(7, 1), hex("00 07 00 00 00 06 01 05 00 03 FF 00"));
    }

    #[test]
    fn only_the_answer_to_the_question_is_taken() {
        let read = Ask::Read { from: 0, count: 8, at: 2 };
        let write = Ask::Write { coil: 3, on: true };
        let good = "00 07 00 00 00 04 01 01 01 04";
        assert_eq!(read.read_tcp(7, 1, &hex(good)), Ok(Some(true)));
        assert_eq!(Ask::Read { from: 0, count: 8, at: 1 }.read_tcp(7, 1, &hex(good)), Ok(Some(false)));
        assert_eq!(write.read_tcp(7, 1, &hex("00 07 00 00 00 06 01 05 00 03 FF 00")), Ok(None));
        for (ask, got, why) in [
            (read, "00 08 00 00 00 04 01 01 01 04", "the answer to another question"),
            (read, "00 07 00 01 00 04 01 01 01 04", "another protocol than Modbus"),
            (read, "00 07 00 00 00 04 02 01 01 04", "the answer of unit 2"),
            (read, "00 07 00 00 00 03 01 81 02", "exception 2 (illegal data address)"),
            (read, "00 07 00 00 00 04 01 01 02 04", "an answer that does not fit the question"),
            (read, "00 07 00 00 00 03 01 01 00", "an answer that does not fit the question"),
            (write, "00 07 00 00 00 06 01 05 00 03 00 00", "an answer that does not fit the question"),
            (write, "00 07 00 00 00 06 01 05 00 02 FF 00", "an answer that does not fit the question"),
            (write, "00 07", "too short"),
        ] {
            assert_eq!(ask.read_tcp(7, 1, &hex(got)), Err(why.to_owned()), "{got}");
        }
        assert_eq!(
            write.read_rtu(1, &hex("01 05 00 00 FF 00 8C 3B")),
            Err("a frame with a wrong checksum".into())
        );
        assert_eq!(write.read_rtu(1, &hex("01")), Err("too short".into()));
        assert_eq!(read.rtu_length(&hex("01 01 02")), Some(7));
        assert_eq!(read.rtu_length(&hex("01 81")), Some(5));
        assert_eq!(read.rtu_length(&hex("01 01")), None);
    }
}
