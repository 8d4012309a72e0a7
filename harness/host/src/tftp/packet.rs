//! The packets of TFTP: RFC 1350, and options as in RFC 2347 to 2349 and 7440.

/// Block size without an option, in bytes.
pub(super) const USUAL_BLOCK: u16 = 512;
/// RFC 2348.
const BLOCKS: std::ops::RangeInclusive<u64> = 8..=65464;
/// RFC 2349 has 1 to 255 s; a client that wants to wait longer than this gets our own interval.
const TIMEOUTS: std::ops::RangeInclusive<u64> = 1..=10;
/// RFC 7440 has up to 65535; more than this at once only overruns the buffers of a boot loader.
const MOST_WINDOW: u64 = 64;

/// A packet's first two bytes.
mod op {
    pub(super) const READ: u16 = 1;
    pub(super) const WRITE: u16 = 2;
    pub(super) const DATA: u16 = 3;
    pub(super) const ACK: u16 = 4;
    pub(super) const ERROR: u16 = 5;
    pub(super) const OPTIONS: u16 = 6;
}

/// Codes of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// See the text.
    Other = 0,
    NotFound = 1,
    Access = 2,
    Illegal = 4,
    UnknownTransfer = 5,
}

/// What a client sends to the server's own port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// A file, octet by octet.
    Read { name: String, options: Options },
    /// Something that is answered with an error: the name, as far as there is one.
    Refused { name: String, code: Code, why: &'static str },
}

/// What a client asked for and gets; `None` was not asked for, or is not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Bytes of a block.
    pub(super) block: Option<u16>,
    /// The length is asked for.
    pub(super) size: bool,
    /// Seconds until something is sent again.
    pub(super) timeout: Option<u8>,
    /// Blocks before an acknowledgement.
    pub(super) window: Option<u16>,
}

impl Request {
    /// `None`: no request at all, which nobody answers.
    pub(super) fn parse(packet: &[u8]) -> Option<Self> {
        let (op, rest) = number(packet)?;
        let mut words = rest.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
        let name = words.next().unwrap_or_default();
        let refused = |code, why| Some(Self::Refused { name: name.clone(), code, why });
        match op {
            op::READ if rest.last() != Some(&0) => refused(Code::Illegal, "the request is cut off"),
            op::READ => {
                let mode = words.next().unwrap_or_default();
                if !mode.eq_ignore_ascii_case("octet") {
                    return refused(Code::Other, "only mode octet is served");
                }
                let mut options = Options::default();
                while let (Some(option), Some(value)) = (words.next(), words.next()) {
                    options.take(&option.to_ascii_lowercase(), &value);
                }
                Some(Self::Read { name, options })
            }
            op::WRITE => refused(Code::Access, "nothing can be written here"),
            _ => None,
        }
    }
}

impl Options {
    /// An option that is unknown, or whose value is none that we can give, is left unanswered.
    fn take(&mut self, option: &str, value: &str) {
        let Ok(value) = value.parse::<u64>() else { return };
        match option {
            "blksize" if value >= *BLOCKS.start() => self.block = Some(value.min(*BLOCKS.end()) as u16),
            "tsize" => self.size = true,
            "timeout" if TIMEOUTS.contains(&value) => self.timeout = Some(value as u8),
            "windowsize" if value > 0 => self.window = Some(value.min(MOST_WINDOW) as u16),
            _ => {}
        }
    }

    /// The answer to them, where there is one.
    pub(super) fn answer(&self, length: u64) -> Option<Vec<u8>> {
        let given = [
            ("blksize", self.block.map(u64::from)),
            ("tsize", self.size.then_some(length)),
            ("timeout", self.timeout.map(u64::from)),
            ("windowsize", self.window.map(u64::from)),
        ];
        let mut packet = op::OPTIONS.to_be_bytes().to_vec();
        for (name, value) in given {
            if let Some(value) = value {
                packet.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
            }
        }
        (packet.len() > 2).then_some(packet)
    }
}

/// What a client says within a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// All blocks up to this one came.
    Ack(u16),
    /// It ends the transfer.
    Error(String),
}

impl Said {
    pub(super) fn parse(packet: &[u8]) -> Option<Self> {
        let (op, rest) = number(packet)?;
        let (number, text) = number(rest)?;
        match op {
            op::ACK => Some(Self::Ack(number)),
            op::ERROR => {
                let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
                Some(Self::Error(format!("{} ({number})", String::from_utf8_lossy(text))))
            }
            _ => None,
        }
    }
}

pub(super) fn data(block: u16, bytes: &[u8]) -> Vec<u8> {
    [&op::DATA.to_be_bytes()[..], &block.to_be_bytes(), bytes].concat()
}

pub(super) fn error(code: Code, text: &str) -> Vec<u8> {
    [&op::ERROR.to_be_bytes()[..], &(code as u16).to_be_bytes(), text.as_bytes(), &[0]].concat()
}

fn number(packet: &[u8]) -> Option<(u16, &[u8])> {
    let (number, rest) = packet.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_given_is_left_out_of_the_answer() {
        let read = |rest: &str| match Request::parse(format!("\0\x01a\0OcTeT\0{rest}").as_bytes()) {
            Some(Request::Read { name, options }) if name == "a" => options,
            other => panic!("{other:?}"),
        };
        assert_eq!(read("").answer(7), None);
        assert_eq!(read("multicast\0\0timeout\x00200\0blksize\x007\0").answer(7), None);
        let all = read("BLKSIZE\x0099999\0tsize\x000\0timeout\x005\0windowsize\x00500\0").answer(7).unwrap();
        assert_eq!(
            String::from_utf8(all).unwrap(),
            "\0\x06blksize\x0065464\0tsize\x007\0timeout\x005\0windowsize\x0064\0"
        );
    }

    #[test]
    fn nothing_that_comes_in_is_more_than_refused() {
        let refused = |packet: &[u8]| match Request::parse(packet) {
            Some(Request::Refused { code, .. }) => Some(code),
            None => None,
            Some(read) => panic!("{read:?}"),
        };
        assert_eq!(refused(b"\0\x02a\0octet\0"), Some(Code::Access));
        assert_eq!(refused(b"\0\x01a\0netascii\0"), Some(Code::Other));
        assert_eq!(refused(b"\0\x01a\0octet"), Some(Code::Illegal));
        assert_eq!(refused(b"\0\x01"), Some(Code::Illegal));
        assert_eq!(refused(b"\0\x04\0\x01"), None);
        assert_eq!(refused(b"\0"), None);
        assert_eq!(Said::parse(b"\0\x05\0\x03Disk full\0"), Some(Said::Error("Disk full (3)".into())));
        assert_eq!(Said::parse(b"\0\x04\x01"), None);
    }
}
