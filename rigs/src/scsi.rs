//! SCSI commands of a maker's own, through the kernel's generic driver.
//!
//! The only `unsafe` of this crate: `SG_IO` takes a structure with three pointers, no crate has a safe
//! wrapper for it, and the older interface of `write` and `read` cannot send 16 bytes of command.

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io;
use std::time::Duration;

/// Linux, scsi/sg.h: `SG_IO`.
const SG_IO: u32 = 0x2285;
/// Linux, scsi/sg.h: `SG_DXFER_TO_DEV`, `SG_DXFER_FROM_DEV`.
const TO_DEVICE: c_int = -2;
const FROM_DEVICE: c_int = -3;

/// Linux, scsi/sg.h: `struct sg_io_hdr`.
#[repr(C)]
struct Header {
    interface_id: c_int,
    direction: c_int,
    command_len: u8,
    sense_max: u8,
    iovec_count: u16,
    data_len: u32,
    data: *mut c_void,
    command: *mut c_void,
    sense: *mut c_void,
    timeout_ms: u32,
    flags: u32,
    pack_id: c_int,
    user: *mut c_void,
    status: u8,
    masked_status: u8,
    message_status: u8,
    sense_len: u8,
    host_status: u16,
    driver_status: u16,
    residue: c_int,
    duration_ms: u32,
    info: u32,
}

/// As the kernel's own, on both widths of pointers.
const _: () = assert!(size_of::<Header>() == if size_of::<usize>() == 8 { 88 } else { 64 });

/// The bytes of a command's data phase.
pub(crate) enum Data<'a> {
    To(&'a [u8]),
    From(&'a mut [u8]),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Good; so many bytes of data were moved.
    Done(usize),
    /// It never ended, and was given up.
    Silent,
    /// The way to the device broke, with the kernel's host and driver status.
    Broken(u16, u16),
    /// The device refused: SCSI status, and of the sense data its key and its additional code.
    Refused(u8, [u8; 3]),
}

/// Sends one command and waits for its end, at most so long (the kernel counts milliseconds, and takes a
/// little longer to clean up). `device` is a node `/dev/sg*`.
pub(crate) fn command(device: &File, command: [u8; 16], data: Data<'_>, within: Duration) -> io::Result<End> {
    let mut command = command;
    let mut sense = [0_u8; 32];
    let (direction, data, data_len) = match data {
        Data::To(bytes) => (TO_DEVICE, bytes.as_ptr().cast_mut().cast(), bytes.len()),
        Data::From(bytes) => (FROM_DEVICE, bytes.as_mut_ptr().cast(), bytes.len()),
    };
    let mut header = Header {
        interface_id: c_int::from(b'S'),
        direction,
        command_len: command.len() as u8,
        sense_max: sense.len() as u8,
        iovec_count: 0,
        data_len: data_len as u32,
        data,
        command: command.as_mut_ptr().cast(),
        sense: sense.as_mut_ptr().cast(),
        timeout_ms: u32::try_from(within.as_millis()).unwrap_or(u32::MAX).max(1),
        flags: 0,
        pack_id: 0,
        user: std::ptr::null_mut(),
        status: 0,
        masked_status: 0,
        message_status: 0,
        sense_len: 0,
        host_status: 0,
        driver_status: 0,
        residue: 0,
        duration_ms: 0,
        info: 0,
    };
    #[expect(unsafe_code, reason = "SG_IO has no safe wrapper")]
    // SAFETY: the opcode takes this structure and writes to nothing but it, and through its pointers to the data
    // (only when the direction says so) and to the sense, no more than the lengths beside them. All of that lives
    // until the call has returned, and without flags the kernel keeps no pointer after it.
    unsafe {
        rustix::ioctl::ioctl(device, rustix::ioctl::Updater::<SG_IO, Header>::new(&mut header))?;
    }
    Ok(end(&header, &sense, data_len))
}

/// Linux, scsi/scsi_status.h: `DID_TIME_OUT`, `DID_ABORT`.
const GIVEN_UP: [u16; 2] = [3, 5];
/// Linux, scsi/sg.h: sense data is there; says nothing more than the status does.
const DRIVER_SENSE: u16 = 8;

fn end(header: &Header, sense: &[u8; 32], asked: usize) -> End {
    if GIVEN_UP.contains(&header.host_status) {
        return End::Silent;
    }
    if header.status != 0 {
        // SPC-4 section 4.5.3: fixed format.
        let told = header.sense_len >= 14 && sense[0] & 0x7E == 0x70;
        let told = if told { [sense[2] & 0x0F, sense[12], sense[13]] } else { [0; 3] };
        return End::Refused(header.status, told);
    }
    if header.host_status != 0 || !matches!(header.driver_status, 0 | DRIVER_SENSE) {
        return End::Broken(header.host_status, header.driver_status);
    }
    End::Done(asked.saturating_sub(usize::try_from(header.residue).unwrap_or(0)))
}
