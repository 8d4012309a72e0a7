//! What a core was doing.

use ::probe_rs::{Core, CoreType, MemoryInterface as _};
use shakedown_core::{CoreState, PostMortem, Rig};

use super::cortex::At;

/// The most words of the stack that are kept.
const STACK: u64 = 64;

/// Registers of a Cortex-M's fault status (Arm's ARMv7-M manual, section B3.2): address, name, and what the
/// bits mean. ARMv6-M has none of them.
const STATUS: &[(u64, &str, &[(u32, &str)])] = &[
    (
        0xE000_ED28,
        "CFSR",
        &[
            (0, "instruction access violation"),
            (1, "data access violation"),
            (3, "memory fault on unstacking"),
            (4, "memory fault on stacking"),
            (7, "MMFAR is valid"),
            (8, "bus error on an instruction"),
            (9, "precise data bus error"),
            (10, "imprecise data bus error"),
            (11, "bus fault on unstacking"),
            (12, "bus fault on stacking"),
            (15, "BFAR is valid"),
            (16, "undefined instruction"),
            (17, "invalid state"),
            (18, "invalid return address"),
            (19, "no coprocessor"),
            (24, "unaligned access"),
            (25, "division by zero"),
        ],
    ),
    (0xE000_ED2C, "HFSR", &[(1, "a vector could not be read"), (30, "escalated"), (31, "a debug event")]),
    (0xE000_ED34, "MMFAR", &[]),
    (0xE000_ED38, "BFAR", &[]),
];

/// Reads the core; one that ran is halted for it and goes on afterwards.
pub(super) fn take(at: &At<'_>, core: &mut Core<'_>) -> Rig<PostMortem> {
    let before = at.state(core)?;
    let stood = matches!(before, CoreState::Halted { .. });
    if !stood {
        at.halt(core)?;
    }
    at.step.at("halted");
    let mut registers = Vec::new();
    for register in core.registers().all_registers() {
        let value = core.read_core_reg::<u64>(register.id()).map_err(|error| said(&error));
        registers.push((register.name().to_owned(), value));
    }
    at.step.at("halted, registers read");
    let status: u32 = at.ok(core.read_core_reg(::probe_rs::RegisterId(16)))?;
    let mut faults = Vec::new();
    if matches!(core.core_type(), CoreType::Armv7m | CoreType::Armv7em | CoreType::Armv8m) {
        for (address, name, bits) in STATUS {
            let value = at.word(core, *address)?;
            let means = bits.iter().filter(|(bit, _)| value >> bit & 1 == 1).map(|(_, means)| *means);
            faults.push(((*name).to_owned(), value.into(), means.collect::<Vec<_>>().join(", ")));
        }
    }
    let stack = stack(at, core)?;
    let after = if stood { at.state(core)? } else { at.resume(core)? };
    let of = at.held.endpoint();
    Ok(PostMortem { of, before, after, exception: exception(status & 0x1FF), registers, faults, stack })
}

/// From the stack pointer to the end of its memory, where that is not further than the most.
fn stack(at: &At<'_>, core: &mut Core<'_>) -> Rig<Result<(u64, Vec<u32>), String>> {
    let pointer: u32 = at.ok(core.read_core_reg(core.stack_pointer()))?;
    let pointer = u64::from(pointer & !3);
    let Some(region) = at.held.target().memory_region_by_address(pointer) else {
        return Ok(Err(format!("its pointer, {pointer:#010x}, is in no memory of the chip")));
    };
    let words = ((region.address_range().end - pointer) / 4).min(STACK);
    let mut read = vec![0; words as usize];
    Ok(core.read_32(pointer, &mut read).map(|()| (pointer, read)).map_err(|error| said(&error)))
}

fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

/// By its number (Arm's architecture manuals, section B1.5).
fn exception(number: u32) -> Option<String> {
    let name = match number {
        0 => return None,
        2 => "NMI",
        3 => "HardFault",
        4 => "MemManage",
        5 => "BusFault",
        6 => "UsageFault",
        7 => "SecureFault",
        11 => "SVCall",
        12 => "DebugMonitor",
        14 => "PendSV",
        15 => "SysTick",
        16.. => return Some(format!("{number}: interrupt {}", number - 16)),
        _ => "reserved",
    };
    Some(format!("{number}: {name}"))
}
