//! QEMU's debug server, by GDB's remote protocol: a core that is stopped, read and let go.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A connection; what QEMU does not answer in time is a failed test.
pub(super) struct Gdb {
    stream: UnixStream,
    heard: Vec<u8>,
    running: bool,
}

impl Gdb {
    pub(super) fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let mut gdb = Self { stream, heard: Vec::new(), running: false };
        // Who does not read this is not given single registers.
        gdb.ask("qXfer:features:read:target.xml:0,ffb");
        gdb.ask("?");
        gdb
    }

    /// The next packet's text. Acknowledgements are passed over.
    fn packet(&mut self) -> String {
        loop {
            if let Some(start) = self.heard.iter().position(|byte| *byte == b'$')
                && let Some(len) = self.heard[start..].iter().position(|byte| *byte == b'#')
                && self.heard.len() >= start + len + 3
            {
                let text = String::from_utf8_lossy(&self.heard[start + 1..start + len]).into_owned();
                self.heard.drain(..start + len + 3);
                self.stream.write_all(b"+").unwrap();
                return text;
            }
            let mut more = [0; 4096];
            let count = self.stream.read(&mut more).expect("QEMU answers");
            assert!(count > 0, "QEMU is gone");
            self.heard.extend(&more[..count]);
        }
    }

    fn say(&mut self, text: &str) {
        let sum = text.bytes().fold(0_u8, u8::wrapping_add);
        self.stream.write_all(format!("${text}#{sum:02x}").as_bytes()).unwrap();
    }

    pub(super) fn ask(&mut self, text: &str) -> String {
        assert!(!self.running, "{text} while the core runs");
        self.say(text);
        self.packet()
    }

    /// A command of QEMU's own monitor.
    pub(super) fn monitor(&mut self, command: &str) {
        let mut reply = self.ask(&format!("qRcmd,{}", hex(command.as_bytes())));
        while reply != "OK" {
            assert!(reply.starts_with('O'), "{command}: {reply}");
            reply = self.packet();
        }
    }

    pub(super) fn go(&mut self) {
        if !self.running {
            self.say("c");
            self.running = true;
        }
    }

    pub(super) fn stop(&mut self) {
        if self.running {
            self.stream.write_all(b"\x03").unwrap();
            self.packet();
            self.running = false;
        }
    }

    /// Whether it stands, and whether it came to that by itself just now.
    pub(super) fn stands(&mut self) -> (bool, bool) {
        if !self.running {
            return (true, false);
        }
        self.stream.set_nonblocking(true).unwrap();
        let mut more = [0; 4096];
        match self.stream.read(&mut more) {
            Ok(count) => self.heard.extend(&more[..count]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
        }
        self.stream.set_nonblocking(false).unwrap();
        if !self.heard.contains(&b'$') {
            return (false, false);
        }
        self.packet();
        self.running = false;
        (true, true)
    }

    /// With the core stopped for it, as a bus access beside the core would not need to.
    pub(super) fn beside<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let ran = !self.stands().0;
        self.stop();
        let done = work(self);
        if ran {
            self.go();
        }
        done
    }

    /// Memory; `None` where there is none.
    pub(super) fn read(&mut self, at: u32, len: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let part = (len - bytes.len()).min(1024);
            let reply = self.ask(&format!("m{:x},{part:x}", at as usize + bytes.len()));
            bytes.extend(unhex(&reply).filter(|bytes| bytes.len() == part)?);
        }
        Some(bytes)
    }

    /// Whether there is such memory.
    pub(super) fn write(&mut self, at: u32, bytes: &[u8]) -> bool {
        bytes.chunks(1024).enumerate().all(|(index, part)| {
            let text = hex(part);
            let at = at as usize + 1024 * index;
            self.ask(&format!("M{at:x},{:x}:{text}", part.len())) == "OK"
        })
    }
}

/// Bytes as hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xF])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Bytes of their hex digits.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()).collect()
}
