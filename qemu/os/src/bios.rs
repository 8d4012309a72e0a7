//! What grub-bios-setup does, on a file and without root.
//!
//! The first sector of the disk holds GRUB's `boot.img`, which loads one sector: the
//! first of `core.img`, which loads the rest. Both find what they load by numbers that
//! are patched into them here. `core.img` lies in the partition `bios-grub`.

use crate::BuildError;

const SECTOR: usize = 512;
/// The boot code ends where the disk's signature and partition table begin.
const BOOT_CODE: usize = 440;
/// Where `bios-grub` begins and how long it is, as `60-disk.sh` lays it out.
pub(crate) const CORE_SECTOR: u64 = 40;
const CORE_ROOM: usize = 2008;
/// Where in memory the second sector of `core.img` goes, as a segment.
const CORE_SEGMENT: u16 = 0x820;

/// The bytes for the beginning of the disk and for [`CORE_SECTOR`].
pub(crate) fn boot_code(boot: &[u8], core: &[u8]) -> Result<(Vec<u8>, Vec<u8>), BuildError> {
    let sectors = core.len().div_ceil(SECTOR);
    if boot.len() != SECTOR || !(2..=CORE_ROOM).contains(&sectors) {
        return Err(BuildError::BootCode { most: CORE_ROOM, got: sectors });
    }
    let mut boot = boot[..BOOT_CODE].to_vec();
    boot[0x5c..0x64].copy_from_slice(&CORE_SECTOR.to_le_bytes());
    // The drive is the one that the BIOS says, and its number is believed.
    boot[0x64] = 0xff;
    boot[0x66..0x68].copy_from_slice(&[0x90, 0x90]);

    let mut core = core.to_vec();
    core.resize(sectors * SECTOR, 0);
    // The list of blocks at the end of the first sector: start, count, segment.
    core[0x1f4..0x1fc].copy_from_slice(&(CORE_SECTOR + 1).to_le_bytes());
    core[0x1fc..0x1fe].copy_from_slice(&(sectors as u16 - 1).to_le_bytes());
    core[0x1fe..0x200].copy_from_slice(&CORE_SEGMENT.to_le_bytes());
    Ok((boot, core))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_patched_and_the_partition_table_is_spared() {
        let (boot, core) = boot_code(&[1; 512], &[2; 1100]).unwrap();
        assert_eq!(boot.len(), 440);
        assert_eq!(boot[0x5c..0x68], [40, 0, 0, 0, 0, 0, 0, 0, 0xff, 1, 0x90, 0x90]);
        assert_eq!(core.len(), 1536);
        assert_eq!(core[0x1f4..0x200], [41, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0x20, 0x08]);
        assert_eq!(core[1099..1101], [2, 0]);
    }

    #[test]
    fn a_core_image_that_does_not_fit_is_refused() {
        let error = boot_code(&[0; 512], &vec![0; 2009 * 512]).unwrap_err().to_string();
        assert_eq!(error, "GRUB's core image: expected at most 2008 sectors, got 2009");
        assert!(boot_code(&[0; 100], &[0; 1024]).is_err());
    }
}
