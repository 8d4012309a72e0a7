//! Telnet's commands, taken out of what comes and put into what goes. RFC 854, 855, 856 and 2217.

/// The byte before every command.
const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const BRK: u8 = 243;
const SE: u8 = 240;

const BINARY: u8 = 0;
const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;
const COM_PORT: u8 = 44;

/// No answer of a server is longer; what is, is thrown away.
const LONGEST: usize = 256;

/// What a server told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It lets us set its port.
    ComPort,
    /// It does not.
    NoComPort,
    /// It answers a setting: the code, and the value.
    Setting(u8, Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Data,
    /// After a carriage return, where a NUL means nothing.
    Return,
    Command,
    Option(u8),
    Inside,
    InsideCommand,
}

/// One side of a telnet line: bytes in, bytes out.
#[derive(Debug)]
pub(super) struct Filter {
    state: State,
    inside: Vec<u8>,
    com_port: bool,
    /// Options that we do, and that the server does.
    ours: [bool; 256],
    theirs: [bool; 256],
}

impl Filter {
    /// With `com_port`, the port's settings are ours to make.
    pub(super) fn new(com_port: bool) -> Self {
        Self { state: State::Data, inside: Vec::new(), com_port, ours: [false; 256], theirs: [false; 256] }
    }

    /// What is said first: we want all bytes as they are.
    pub(super) fn hello(&mut self) -> Vec<u8> {
        let mut hello = vec![];
        for option in [BINARY, SUPPRESS_GO_AHEAD].into_iter().chain(self.com_port.then_some(COM_PORT)) {
            self.ours[usize::from(option)] = true;
            hello.extend([IAC, WILL, option]);
        }
        for option in [BINARY, SUPPRESS_GO_AHEAD] {
            self.theirs[usize::from(option)] = true;
            hello.extend([IAC, DO, option]);
        }
        hello
    }

    /// Takes what came: the DUT's bytes, what must be answered, what was told.
    pub(super) fn take(&mut self, bytes: &[u8], data: &mut Vec<u8>, reply: &mut Vec<u8>) -> Vec<Told> {
        let mut told = Vec::new();
        for &byte in bytes {
            self.state = match (self.state, byte) {
                (State::Data | State::Return, IAC) => State::Command,
                (State::Return, 0) => State::Data,
                (State::Data | State::Return, byte) => {
                    data.push(byte);
                    let plain = byte == b'\r' && !self.theirs[usize::from(BINARY)];
                    if plain { State::Return } else { State::Data }
                }
                (State::Command, IAC) => {
                    data.push(IAC);
                    State::Data
                }
                (State::Command, SB) => {
                    self.inside.clear();
                    State::Inside
                }
                (State::Command, verb @ WILL..=DONT) => State::Option(verb),
                (State::Command, _) => State::Data,
                (State::Option(verb), option) => {
                    told.extend(self.negotiate(verb, option, reply));
                    State::Data
                }
                (State::Inside, IAC) => State::InsideCommand,
                (State::InsideCommand, SE) => {
                    if let [COM_PORT, code, value @ ..] = self.inside.as_slice() {
                        told.push(Told::Setting(*code, value.to_vec()));
                    }
                    State::Data
                }
                (State::Inside | State::InsideCommand, byte) => {
                    if self.inside.len() < LONGEST {
                        self.inside.push(byte);
                    }
                    State::Inside
                }
            };
        }
        told
    }

    /// Answers only what changes something, or two sides would answer each other for ever.
    fn negotiate(&mut self, verb: u8, option: u8, reply: &mut Vec<u8>) -> Option<Told> {
        let index = usize::from(option);
        let wanted = match verb {
            WILL | WONT => matches!(option, BINARY | ECHO | SUPPRESS_GO_AHEAD),
            _ => matches!(option, BINARY | SUPPRESS_GO_AHEAD) || (option == COM_PORT && self.com_port),
        };
        let (side, yes, no) = if matches!(verb, WILL | WONT) {
            (&mut self.theirs, DO, DONT)
        } else {
            (&mut self.ours, WILL, WONT)
        };
        let on = matches!(verb, WILL | DO);
        if on && !wanted {
            reply.extend([IAC, no, option]);
        } else if side[index] != on {
            side[index] = on;
            reply.extend([IAC, if on { yes } else { no }, option]);
        }
        match verb {
            DO if option == COM_PORT && wanted => Some(Told::ComPort),
            DONT if option == COM_PORT => Some(Told::NoComPort),
            _ => None,
        }
    }

    /// The bytes to type, as they go over the line.
    pub(super) fn give(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let plain = !self.ours[usize::from(BINARY)];
        let mut rest = bytes.iter().peekable();
        while let Some(&byte) = rest.next() {
            out.push(byte);
            match byte {
                IAC => out.push(IAC),
                b'\r' if plain && rest.peek() != Some(&&b'\n') => out.push(0),
                _ => {}
            }
        }
        out
    }
}

/// A break, in plain telnet.
pub(super) const BREAK: [u8; 2] = [IAC, BRK];

/// A setting of the port.
pub(super) fn setting(code: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![IAC, SB, COM_PORT, code];
    for &byte in value {
        out.push(byte);
        if byte == IAC {
            out.push(IAC);
        }
    }
    out.extend([IAC, SE]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(filter: &mut Filter, bytes: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<Told>) {
        let (mut data, mut reply, mut told) = (Vec::new(), Vec::new(), Vec::new());
        // Byte by byte: a command may be cut anywhere.
        for byte in bytes {
            told.extend(filter.take(&[*byte], &mut data, &mut reply));
        }
        (data, reply, told)
    }

    /// The greeting that ser2net 4.3 sends; reference/virtual-lab.md 1.
    #[test]
    fn a_greeting_is_answered_once() {
        let greeting =
            [0xff, 0xfb, 3, 0xff, 0xfd, 3, 0xff, 0xfb, 1, 0xff, 0xfe, 1, 0xff, 0xfd, 0, 0xff, 0xfb, 0];
        let mut filter = Filter::new(false);
        assert_eq!(filter.hello(), [255, 251, 0, 255, 251, 3, 255, 253, 0, 255, 253, 3]);
        let (data, reply, _) = all(&mut filter, &greeting);
        assert_eq!(
            (data.as_slice(), reply.as_slice()),
            (&[][..], &[255, 253, 1][..]),
            "only its echo is new"
        );
        assert!(all(&mut filter, &greeting).1.is_empty(), "answered once");
    }

    #[test]
    fn the_duts_bytes_come_through_and_commands_do_not() {
        let mut filter = Filter::new(true);
        let (data, reply, told) = all(
            &mut filter,
            b"a\xff\xff\r\0b\xff\xf1\xff\xfd\x2cc\xff\xfa\x2c\x65\0\x01\xc2\xff\xff\xff\xf0d\xff\xfd\x18",
        );
        assert_eq!(data, b"a\xff\rbcd");
        assert_eq!(reply, [255, 251, 44, 255, 252, 24]);
        assert_eq!(told, [Told::ComPort, Told::Setting(0x65, vec![0, 1, 0xc2, 0xff])]);
        assert_eq!(filter.give(b"x\r\xff\r\n"), b"x\r\0\xff\xff\r\n");
        assert_eq!(setting(1, &[0, 0, 0xff, 1]), [255, 250, 44, 1, 0, 0, 255, 255, 1, 255, 240]);
        assert!(all(&mut filter, &[b"\xff\xfa\x2c".as_slice(), &[7; 999]].concat()).0.is_empty());
        assert!(filter.inside.len() <= LONGEST);
    }
}
