//! The kernel's complaints, made comparable between boots.

use std::collections::BTreeMap;

/// Words that make a line of the kernel log a complaint, in lower case.
const WORDS: [&str; 16] = [
    "warning",
    "bug:",
    "oops",
    "error",
    "fail",
    "timed out",
    "timeout",
    "unable to",
    "cannot",
    "corrupt",
    "invalid",
    "deprecated",
    "soft lockup",
    "hung task",
    "taint",
    "under-voltage",
];

/// The complaints in a kernel log (`dmesg`, or a console): the line with its numbers taken out, one
/// of the lines as it stood, and how often it came.
pub fn complaints(log: &[u8]) -> BTreeMap<String, (String, u64)> {
    let mut found: BTreeMap<String, (String, u64)> = BTreeMap::new();
    for line in String::from_utf8_lossy(log).lines() {
        let line = line.trim();
        let Some(said) = stamp_off(line) else { continue };
        let lower = said.to_lowercase();
        if WORDS.iter().any(|word| lower.contains(word)) {
            found.entry(without_numbers(said)).or_insert_with(|| (line.to_owned(), 0)).1 += 1;
        }
    }
    found
}

/// What comes after `[   12.345678] `; `None` for a line that the kernel did not write.
fn stamp_off(line: &str) -> Option<&str> {
    let (stamp, said) = line.strip_prefix('[')?.split_once("] ")?;
    let is_time = stamp.trim().chars().all(|c| c.is_ascii_digit() || c == '.');
    // systemd writes into the same log.
    (is_time && !said.starts_with("systemd")).then_some(said)
}

/// Numbers, addresses and hexadecimal words become `#`: they differ from boot to boot.
fn without_numbers(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c: char| is_part(c) != is_part(first)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let plain = word.trim_start_matches("0x");
        let has_digit = word.chars().any(|c| c.is_ascii_digit());
        if is_part(first) && has_digit && plain.chars().all(|c| c.is_ascii_hexdigit()) {
            out.push('#');
        } else if is_part(first) && has_digit {
            // `sda1`, `usb3`: the letters tell more than the digits.
            let mut in_number = false;
            for c in word.chars() {
                if !c.is_ascii_digit() {
                    out.push(c);
                } else if !in_number {
                    out.push('#');
                }
                in_number = c.is_ascii_digit();
            }
        } else {
            out.push_str(word);
        }
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_the_same_at_the_next_boot() {
        let first =
            b"[    1.204000] ata3: failed to resume link (SControl 300)\n[ 2.0] usb 1-1: new device\n";
        let second = b"[    9.117003] ata4: failed to resume link (SControl 301)\r\n";
        let (a, b) = (complaints(first), complaints(second));
        assert_eq!(a.keys().collect::<Vec<_>>(), ["ata#: failed to resume link (SControl #)"]);
        assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
        let address = complaints(b"[ 1.0] BUG: unable to handle page fault for address: ffffe3a0deadbee0\n");
        assert!(address.contains_key("BUG: unable to handle page fault for address: #"), "{address:?}");
    }

    #[test]
    fn what_the_kernel_did_not_write_is_no_complaint() {
        let text =
            b"error: from some program\n[ 3.1] systemd[1]: Failed to start x\n[  OK  ] failed\n\xff\xfe\n";
        assert!(complaints(text).is_empty());
    }
}
