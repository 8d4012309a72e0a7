//! Whether what came over a serial line was read at the right speed.

/// Fewer bytes than this tell nothing.
const ENOUGH: usize = 32;
/// Firmware and kernels print nearly only text; a line at the wrong speed gives a third at most.
const TEXT: u32 = 75;

/// `None` when the bytes are text, or too few; else the share of text in percent.
pub(super) fn garbled(bytes: &[u8]) -> Option<u32> {
    if bytes.len() < ENOUGH {
        return None;
    }
    let is_text = |byte: &&u8| matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t' | 0x08 | 0x1b);
    let text = (bytes.iter().filter(is_text).count() * 100 / bytes.len()) as u32;
    (text < TEXT).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BANNER: &[u8] = b"\r\nU-Boot 2023.01 (Jan 10 2023 - 15:58:32 +0000)\r\n\r\nDRAM:  948 MiB\r\n\
        RPI 4 Model B (0xb03115)\r\nCore:  211 devices, 16 uclasses, devicetree: board\r\nMMC:   mmcnr@7e300000: 1, \
        mmc@7e340000: 0\r\nLoading Environment from FAT... Unable to read \"uboot.env\" from mmc0:1...\r\n";

    /// What a receiver at one speed reads of a line that is sent at another: 8 data bits, no parity.
    fn received(sent: &[u8], sender: u32, receiver: u32) -> Vec<u8> {
        let (sender, receiver) = (f64::from(sender), f64::from(receiver));
        let mut line = Vec::new();
        for byte in sent {
            line.push(false);
            line.extend((0..8).map(|bit| byte >> bit & 1 == 1));
            line.push(true);
        }
        let level = |at: f64| line.get((at * sender) as usize).copied().unwrap_or(true);
        let (mut out, mut at, step) = (Vec::new(), 0.0, 1.0 / receiver);
        while at * sender < line.len() as f64 {
            if level(at) {
                at += step / 16.0;
                continue;
            }
            let sample = |bit: f64| level(at + step * (bit + 0.5));
            out.push((0..8).fold(0, |byte, bit| byte | u8::from(sample(f64::from(bit) + 1.0)) << bit));
            at += step * 9.5;
        }
        out
    }

    #[test]
    fn a_wrong_speed_is_seen_and_the_right_one_is_not() {
        assert_eq!(received(BANNER, 115_200, 115_200), BANNER);
        assert_eq!(garbled(BANNER), None);
        let speeds = [9600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600];
        for sender in speeds {
            for receiver in speeds {
                let got =
                    received(&BANNER.repeat((8 * sender / receiver).clamp(8, 64) as usize), sender, receiver);
                assert_eq!(
                    garbled(&got).is_some(),
                    sender != receiver,
                    "{sender} read at {receiver}: {got:02x?}"
                );
            }
        }
    }

    #[test]
    fn a_few_bytes_tell_nothing() {
        assert_eq!(garbled(&[0xff; 31]), None);
        assert_eq!(garbled(&[0xff; 32]), Some(0));
    }
}
