//! A TCP connection that carries a console: as it is, with telnet's commands, or with a port behind it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use shakedown_core::{Deadline, Fault, InfraKind, Rig};

use super::filter::{self, Filter, Told};
use crate::console::link::{Dial, Ends, TICK, Typing};
use crate::wire;

/// What is spoken on the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Bytes,
    Telnet,
    /// RFC 2217, with this speed.
    ComPort(u32),
}

pub(super) struct Server {
    pub(super) driver: &'static str,
    pub(super) address: String,
    pub(super) speaks: Speaks,
}

const SET_BAUDRATE: u8 = 1;
const SET_DATASIZE: u8 = 2;
const SET_PARITY: u8 = 3;
const SET_STOPSIZE: u8 = 4;
const SET_CONTROL: u8 = 5;
/// A server's answer has the code of the setting and this.
const ANSWER: u8 = 100;
const BREAK_ON: u8 = 5;
const BREAK_OFF: u8 = 6;

type Shared = Arc<Mutex<(TcpStream, Filter)>>;

impl Server {
    fn fault(&self, op: &str) -> Fault {
        Fault::new(InfraKind::Console, self.driver, op, &self.address)
    }

    /// Our greeting, and the port's settings, each confirmed or refused within the deadline.
    fn greet(&self, reader: &mut Reader, by: &Deadline) -> Rig<()> {
        let lost = |error: io::Error| self.fault("greet").expected("a connection", error.to_string());
        let com_port = match self.speaks {
            Speaks::Bytes => return Ok(()),
            Speaks::Telnet => None,
            Speaks::ComPort(baud) => Some(baud),
        };
        reader.say(Filter::hello).map_err(lost)?;
        let Some(baud) = com_port else { return Ok(()) };
        let wanted = "a server that lets us set its port (RFC 2217)";
        let agreed = |told: &Told| matches!(told, Told::ComPort | Told::NoComPort);
        if self.wait(reader, wanted, by, agreed)? == Told::NoComPort {
            let fault = self.fault("greet").expected(wanted, "one that refuses");
            return Err(fault.hint("use the driver `telnet`, and set the speed at the server"));
        }
        let settings = [
            (SET_DATASIZE, vec![8]),
            (SET_PARITY, vec![1]),
            (SET_STOPSIZE, vec![1]),
            (SET_BAUDRATE, baud.to_be_bytes().to_vec()),
        ];
        for (code, value) in settings {
            reader.say(|_| filter::setting(code, &value)).map_err(lost)?;
            let is_it = |told: &Told| matches!(told, Told::Setting(answer, _) if *answer == code + ANSWER);
            let Told::Setting(_, got) = self.wait(reader, "the port's answer to a setting", by, is_it)?
            else {
                continue;
            };
            if got != value {
                let (wanted, got) = (wire::show(&value), wire::show(&got));
                let what = format!("setting {code} to be {wanted}");
                return Err(self.fault("set").expected(what, format!("the server's {got}")));
            }
        }
        Ok(())
    }

    fn wait(
        &self,
        reader: &mut Reader,
        wanted: &str,
        by: &Deadline,
        is_it: impl Fn(&Told) -> bool,
    ) -> Rig<Told> {
        loop {
            if let Some(index) = reader.told.iter().position(&is_it) {
                return Ok(reader.told.remove(index));
            }
            let fault = || self.fault("greet");
            if by.is_over() {
                return Err(fault().expected(wanted, "none").stopped(by.stop(wire::show(&reader.data))));
            }
            match reader.fetch() {
                Ok(0) => return Err(fault().expected(wanted, "the end of the line")),
                Err(error)
                    if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
                {
                    return Err(fault().expected(wanted, error.to_string()));
                }
                _ => {}
            }
        }
    }
}

impl Dial for Server {
    fn dial(&self, by: &Deadline) -> Rig<Ends> {
        let stream = wire::connect(&self.address, || self.fault("connect to"), by)?;
        let lost = |error: io::Error| self.fault("open").expected("a connection", error.to_string());
        let writer = stream.try_clone().map_err(lost)?;
        stream.set_read_timeout(Some(TICK)).map_err(lost)?;
        let filter = Filter::new(matches!(self.speaks, Speaks::ComPort(_)));
        let shared = Arc::new(Mutex::new((writer, filter)));
        let plain = self.speaks == Speaks::Bytes;
        let mut reader = Reader { stream, plain, shared: shared.clone(), data: Vec::new(), told: Vec::new() };
        self.greet(&mut reader, by)?;
        Ok(Ends { reader: Box::new(reader), writer: Box::new(Writer { shared, speaks: self.speaks }) })
    }
}

struct Reader {
    stream: TcpStream,
    plain: bool,
    shared: Shared,
    /// Came and was not read yet.
    data: Vec<u8>,
    told: Vec<Told>,
}

impl Reader {
    fn say(&self, words: impl FnOnce(&mut Filter) -> Vec<u8>) -> io::Result<()> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let words = words(&mut shared.1);
        shared.0.write_all(&words)
    }

    /// Takes what has come; the count of its bytes, commands included.
    fn fetch(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 4096];
        let count = self.stream.read(&mut buffer)?;
        if self.plain {
            self.data.extend_from_slice(&buffer[..count]);
            return Ok(count);
        }
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let (stream, filter) = &mut *shared;
        let mut reply = Vec::new();
        self.told.extend(filter.take(&buffer[..count], &mut self.data, &mut reply));
        stream.write_all(&reply)?;
        Ok(count)
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.data.is_empty() {
            if self.fetch()? == 0 {
                return Ok(0);
            }
            // Nobody waits for what a server tells later on.
            self.told.clear();
        }
        if self.data.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = buffer.len().min(self.data.len());
        buffer[..count].copy_from_slice(&self.data[..count]);
        self.data.drain(..count);
        Ok(count)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

struct Writer {
    shared: Shared,
    speaks: Speaks,
}

impl Writer {
    fn put(&self, by: &Deadline, words: impl FnOnce(&Filter) -> Vec<u8>) -> io::Result<()> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let words = words(&shared.1);
        let stream = &mut shared.0;
        stream.set_write_timeout(Some(crate::worker::left(by)))?;
        stream.write_all(&words)
    }
}

impl Typing for Writer {
    fn write(&mut self, bytes: &[u8], by: &Deadline) -> io::Result<()> {
        let plain = self.speaks == Speaks::Bytes;
        self.put(by, |filter| if plain { bytes.to_vec() } else { filter.give(bytes) })
    }

    fn set_break(&mut self, on: bool, by: &Deadline) -> io::Result<()> {
        match self.speaks {
            Speaks::Bytes => Err(io::Error::other("a plain connection carries no break")),
            // Telnet's break has no length.
            Speaks::Telnet if on => self.put(by, |_| filter::BREAK.to_vec()),
            Speaks::Telnet => Ok(()),
            Speaks::ComPort(_) => {
                self.put(by, |_| filter::setting(SET_CONTROL, &[if on { BREAK_ON } else { BREAK_OFF }]))
            }
        }
    }
}
