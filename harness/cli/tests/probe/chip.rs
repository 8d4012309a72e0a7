//! The chip as a probe sees it: one access port to its memory, where the core's debug registers are
//! (Arm's ARMv6-M manual, part C). Memory, flash controller and core are QEMU's.

use super::gdb::Gdb;

const DHCSR: u32 = 0xE000_EDF0;
const DCRSR: u32 = 0xE000_EDF4;
const DCRDR: u32 = 0xE000_EDF8;
const DEMCR: u32 = 0xE000_EDFC;
const DFSR: u32 = 0xE000_ED30;
const AIRCR: u32 = 0xE000_ED0C;
const CPUID: u32 = 0xE000_ED00;
const BP_CTRL: u32 = 0xE000_2000;
const BP_COMP: std::ops::Range<u32> = 0xE000_2008..0xE000_2018;

const KEY: u32 = 0xA05F;
const RESET_KEY: u32 = 0x05FA;

/// What goes wrong with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wrong {
    #[default]
    Nothing,
    /// The probe takes commands and answers none.
    Mute,
    /// No chip on the wires.
    NoChip,
    /// Another core sits there.
    OtherCore,
    /// A bit of this byte reads inverted.
    Flipped(u32),
    /// It does not take resets.
    NoReset,
    /// The probe is pulled after so many more writes of blocks.
    Pulled(u32),
}

pub(super) struct Chip {
    gdb: Gdb,
    pub(super) wrong: Wrong,
    data: u32,
    catch: u32,
    cause: u32,
    debug: bool,
    was_reset: bool,
    points: [u32; 4],
    points_on: bool,
    planted: Vec<u32>,
}

impl Chip {
    /// With blank flash, which makes QEMU give up: a program that does nothing comes first.
    pub(super) fn new(mut gdb: Gdb) -> Self {
        let words = [0x2000_4000_u32, 9, 0xE7FE_E7FE];
        let bytes: Vec<_> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert!(gdb.write(0, &bytes));
        gdb.monitor("system_reset");
        gdb.go();
        Self {
            gdb,
            wrong: Wrong::Nothing,
            data: 0,
            catch: 0,
            cause: 0,
            debug: false,
            was_reset: true,
            points: [0; 4],
            points_on: false,
            planted: Vec::new(),
        }
    }

    fn stands(&mut self) -> bool {
        let (stands, by_itself) = self.gdb.stands();
        if by_itself {
            self.cause |= 2;
            self.unplant();
        }
        stands
    }

    fn unplant(&mut self) {
        for at in std::mem::take(&mut self.planted) {
            self.gdb.ask(&format!("z1,{at:x},2"));
        }
    }

    fn plant(&mut self, at: u32) {
        if self.gdb.ask(&format!("Z1,{at:x},2")) == "OK" {
            self.planted.push(at);
        }
    }

    fn go(&mut self) {
        if self.points_on {
            for point in self.points.into_iter().filter(|point| point & 1 == 1) {
                for (half, offset) in [(1, 0), (2, 2)] {
                    if point >> 30 & half == half {
                        self.plant((point & 0x1FFF_FFFC) + offset);
                    }
                }
            }
        }
        // QEMU's debug server does not stop at BKPT: where a routine returns to one, we do it.
        let back = self.register(14).unwrap_or_default() & !1;
        let is_bkpt = (0x2000_0000..0x2000_4000).contains(&back)
            && self.gdb.read(back, 2).is_some_and(|code| code[1] == 0xBE);
        if is_bkpt {
            self.plant(back);
        }
        self.gdb.go();
    }

    fn halt(&mut self) {
        if !self.stands() {
            self.gdb.stop();
            self.unplant();
            self.cause |= 1;
        }
    }

    /// GDB's number of a register that QEMU shows; the others cannot be told.
    fn shown(number: u32) -> Option<u32> {
        match number {
            0..16 => Some(number),
            16 => Some(25),
            _ => None,
        }
    }

    fn register(&mut self, number: u32) -> Option<u32> {
        let reply = self.gdb.ask(&format!("p{:x}", Self::shown(number)?));
        Some(u32::from_le_bytes(super::gdb::unhex(&reply)?.try_into().ok()?))
    }

    fn reset(&mut self) {
        if self.wrong == Wrong::NoReset {
            return;
        }
        self.halt();
        self.gdb.monitor("system_reset");
        self.was_reset = true;
        if self.catch & 1 == 1 {
            self.cause |= 8;
        } else {
            self.gdb.go();
        }
    }

    fn word(&mut self, at: u32) -> Option<u32> {
        Some(match at {
            DHCSR => {
                let halted = if self.stands() { 1 << 17 | 2 } else { 0 };
                let reset = u32::from(std::mem::take(&mut self.was_reset)) << 25;
                1 << 16 | u32::from(self.debug) | halted | reset
            }
            DCRSR => 0,
            DCRDR => self.data,
            DEMCR => self.catch,
            DFSR => {
                self.stands();
                self.cause
            }
            CPUID if self.wrong == Wrong::OtherCore => 0x410F_C241,
            BP_CTRL => 4 << 4 | u32::from(self.points_on),
            at if BP_COMP.contains(&at) => self.points[((at - BP_COMP.start) / 4) as usize],
            _ => {
                let bytes = self.gdb.beside(|gdb| gdb.read(at, 4))?;
                u32::from_le_bytes(bytes.try_into().ok()?)
            }
        })
    }

    fn set_word(&mut self, at: u32, value: u32) -> Option<()> {
        match at {
            DHCSR if value >> 16 == KEY => {
                self.debug = value & 1 == 1;
                let stands = self.stands();
                if value & 2 == 2 {
                    self.halt();
                } else if value & 4 == 4 && stands {
                    self.gdb.ask("s");
                    self.cause |= 1;
                } else if stands {
                    self.go();
                }
            }
            DHCSR => {}
            DCRSR if value >> 16 & 1 == 1 => {
                let number = Self::shown(value & 0x7F)?;
                let hex = format!("{:08x}", self.data.swap_bytes());
                (self.gdb.ask(&format!("P{number:x}={hex}")) == "OK").then_some(())?;
            }
            DCRSR => self.data = self.register(value & 0x7F)?,
            DCRDR => self.data = value,
            DEMCR => self.catch = value,
            DFSR => self.cause &= !value,
            BP_CTRL => self.points_on = value & 1 == 1,
            at if BP_COMP.contains(&at) => self.points[((at - BP_COMP.start) / 4) as usize] = value,
            AIRCR if value >> 16 == RESET_KEY && value & 4 == 4 => self.reset(),
            _ => {
                let done = self.gdb.beside(|gdb| gdb.write(at, &value.to_le_bytes()));
                done.then_some(())?;
            }
        }
        Some(())
    }

    fn is_core(at: u32, len: usize) -> bool {
        (0xE000_0000..0xE001_0000).contains(&at) && at.is_multiple_of(4) && len.is_multiple_of(4)
    }

    /// `None` where there is nothing to read.
    pub(super) fn read(&mut self, at: u32, len: usize) -> Option<Vec<u8>> {
        if Self::is_core(at, len) {
            let words = (0..len as u32 / 4).map(|index| self.word(at + 4 * index));
            return Some(words.collect::<Option<Vec<_>>>()?.into_iter().flat_map(u32::to_le_bytes).collect());
        }
        let mut bytes = self.gdb.beside(|gdb| gdb.read(at, len))?;
        if let Wrong::Flipped(byte) = self.wrong
            && let Some(byte) = bytes.get_mut(byte.wrapping_sub(at) as usize)
        {
            *byte ^= 0x10;
        }
        Some(bytes)
    }

    /// `None` where nothing can be written.
    pub(super) fn write(&mut self, at: u32, bytes: &[u8]) -> Option<()> {
        if Self::is_core(at, bytes.len()) {
            let mut words = bytes.chunks_exact(4).zip(0..);
            return words.try_for_each(|(word, index)| {
                let word = word.try_into().map(u32::from_le_bytes).ok()?;
                self.set_word(at + 4 * index, word)
            });
        }
        self.gdb.beside(|gdb| gdb.write(at, bytes)).then_some(())
    }
}
