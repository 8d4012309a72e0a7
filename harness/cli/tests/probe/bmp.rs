//! A model of ours of a Black Magic probe: its remote protocol, version 3, on TCP, as probe-rs speaks it.
//! The wires are modelled bit by bit only as far as connecting needs; then the probe's own commands for
//! debug port, access port and memory are used, as by the real one.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::chip::{Chip, Wrong};
use super::gdb::{hex, unhex};

/// What a Cortex-M0's debug port says it is (Arm's Cortex-M0 manual).
const DPIDR: u32 = 0x0BB1_1477;

/// A write that is longer than one word is one of a block.
const BLOCK: usize = "AM".len() + 30 + 2 * 4;

/// The probe, for as long as the test runs.
pub(super) struct Bmp {
    pub(super) port: u16,
    chip: Arc<Mutex<Chip>>,
}

impl Bmp {
    pub(super) fn start(chip: Chip) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let chip = Arc::new(Mutex::new(chip));
        let served = chip.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                client.set_nodelay(true).unwrap();
                if !serve(client, &served) {
                    // Pulled: the port goes with it.
                    return;
                }
            }
        });
        Self { port, chip }
    }

    pub(super) fn goes(&self, wrong: Wrong) {
        self.chip.lock().unwrap().wrong = wrong;
    }

    /// As a rig file names it.
    pub(super) fn id(&self) -> String {
        format!("1d50:6018:127.0.0.1:{}", self.port)
    }
}

/// Serves one connection; whether the probe is there afterwards.
fn serve(mut client: TcpStream, chip: &Mutex<Chip>) -> bool {
    let mut wires = Wires::default();
    let mut heard = Vec::new();
    let mut more = [0; 4096];
    loop {
        match client.read(&mut more) {
            Ok(0) | Err(_) => return true,
            Ok(count) => heard.extend(&more[..count]),
        }
        // A command begins with `!` and ends with `#`; what stands before it is for older probes.
        while let Some(start) = heard.iter().position(|byte| *byte == b'!')
            && let Some(len) = heard[start..].iter().position(|byte| *byte == b'#')
        {
            let command = String::from_utf8(heard[start + 1..start + len].to_vec()).unwrap();
            heard.drain(..=start + len);
            let mut chip = chip.lock().unwrap();
            if let Wrong::Pulled(left) = &mut chip.wrong
                && command.starts_with("AM")
                && command.len() > BLOCK
            {
                let Some(next) = left.checked_sub(1) else { return false };
                *left = next;
            }
            if chip.wrong == Wrong::Mute {
                continue;
            }
            let reply = wires.answer(&command, &mut chip).unwrap_or_else(|| "E1".to_owned());
            if client.write_all(format!("&{reply}#").as_bytes()).is_err() {
                return true;
            }
        }
    }
}

/// The debug port with its one access port, and the state of the wires.
struct Wires {
    control: u32,
    select: u32,
    status: u32,
    address: u32,
    out: Vec<bool>,
    reply: Vec<bool>,
    register: Option<u32>,
}

impl Default for Wires {
    fn default() -> Self {
        Self {
            control: 0,
            select: 0,
            status: 0x2300_0052,
            address: 0,
            out: Vec::new(),
            reply: Vec::new(),
            register: None,
        }
    }
}

fn number(text: &str, at: usize, digits: usize) -> Option<u32> {
    u32::from_str_radix(text.get(at..at + digits)?, 16).ok()
}

impl Wires {
    /// `None` where the probe says that it failed.
    fn answer(&mut self, command: &str, chip: &mut Chip) -> Option<String> {
        let at = |start, digits| number(command, start, digits);
        let done = |()| "K0".to_owned();
        let value = |value: u32| format!("K{:08x}", value.swap_bytes());
        let there = (chip.wrong != Wrong::NoChip).then_some(());
        match command.get(..2)? {
            "GA" => Some("KModel of a Black Magic Probe".into()),
            "HC" => Some("K3".into()),
            "So" | "SO" => {
                self.drive(at(2, 2)?, number(command, 4, command.len() - 4)?);
                Some("K0".into())
            }
            "Si" | "SI" => Some(format!("K{:x}", self.sense(at(2, 2)?, there.is_some()))),
            "Ad" => there.and_then(|()| Some(value(self.port(at(6, 4)?)))),
            "Aa" => there.and_then(|()| Some(value(self.access(at(4, 2)?, at(6, 4)?, chip)?))),
            "AA" => there.and_then(|()| {
                self.set_access(at(4, 2)?, at(6, 4)?, at(10, 8)?.swap_bytes(), chip).map(done)
            }),
            "AR" => there.and_then(|()| {
                self.set_port(at(6, 4)?, at(10, 8)?);
                Some("K0".to_owned())
            }),
            "Am" => there.and_then(|()| {
                let bytes = chip.read(at(14, 8)?, at(22, 8)? as usize)?;
                Some(format!("K{}", hex(&bytes)))
            }),
            "AM" => there.and_then(|()| {
                let bytes =
                    unhex(command.get(32..)?).filter(|bytes| Some(bytes.len() as u32) == at(24, 8))?;
                chip.write(at(16, 8)?, &bytes).map(done)
            }),
            // Its pins, its clock, its supply.
            _ if command.starts_with('G') || command == "SS" => Some("K0".into()),
            _ => Some("N0".into()),
        }
    }

    fn port(&self, register: u32) -> u32 {
        match register & 0xF {
            0 => DPIDR,
            // What was asked to be powered is.
            4 if self.select.is_multiple_of(16) => self.control | (self.control & 0x5000_0000) << 1,
            4 => 0x40,
            8 => self.select,
            _ => 0,
        }
    }

    fn set_port(&mut self, register: u32, value: u32) {
        match register & 0xF {
            4 => self.control = value & !0xA000_0000,
            8 => self.select = value,
            _ => {}
        }
    }

    fn access(&mut self, port: u32, register: u32, chip: &mut Chip) -> Option<u32> {
        if port != 0 {
            return Some(0);
        }
        Some(match register & 0xFF {
            0x00 => self.status,
            0x04 => self.address,
            0x0C => u32::from_le_bytes(chip.read(self.address, 4)?.try_into().ok()?),
            // Where its table of parts is, and that it is an AHB access port.
            0xF8 => 0xE00F_F003,
            0xFC => 0x0477_0021,
            _ => 0,
        })
    }

    fn set_access(&mut self, port: u32, register: u32, value: u32, chip: &mut Chip) -> Option<()> {
        match (port, register & 0xFF) {
            // Its lower bits are as set, and the port is enabled.
            (0, 0x00) => self.status = value & 0xFF00_003F | 0x40,
            (0, 0x04) => self.address = value,
            (0, 0x0C) => chip.write(self.address, &value.to_le_bytes())?,
            _ => {}
        }
        Some(())
    }

    /// Bits onto the wires, lowest first.
    fn drive(&mut self, count: u32, bits: u32) {
        self.reply.clear();
        self.out.extend((0..count).map(|bit| bits >> bit & 1 == 1));
        if self.out.len() < 33 {
            return;
        }
        if let Some(register) = self.register.take() {
            let value = (0..32).fold(0, |value, bit| value | u32::from(self.out[bit]) << bit);
            self.set_port(register, value);
            // With its parity; what follows may be the next request.
            self.out.drain(..33);
        }
    }

    /// Bits off the wires: the answer to the request that was the last 8 bits, else the idle level.
    fn sense(&mut self, count: u32, there: bool) -> u64 {
        if self.reply.is_empty() {
            let asked = self.out.split_off(self.out.len().saturating_sub(8));
            self.out.clear();
            let is_request = asked.len() == 8
                && (asked[0], asked[6], asked[7]) == (true, false, true)
                && asked[1] ^ asked[2] ^ asked[3] ^ asked[4] == asked[5];
            if !is_request || !there {
                return (1 << count) - 1;
            }
            let register = u32::from(asked[3]) << 2 | u32::from(asked[4]) << 3;
            self.reply = vec![true, false, false];
            if asked[2] {
                let value = self.port(register);
                self.reply.extend((0..32).map(|bit| value >> bit & 1 == 1));
                self.reply.push(value.count_ones() % 2 == 1);
            } else {
                self.register = Some(register);
            }
        }
        let taken = self.reply.drain(..self.reply.len().min(count as usize));
        taken.zip(0..).fold(0, |bits, (bit, at)| bits | u64::from(bit) << at)
    }
}
