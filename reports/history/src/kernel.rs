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
/// of the lines as it stood, and how often it came. `None` when no line has the kernel's stamp: then
/// nothing is known of what it said.
pub fn complaints(log: &[u8]) -> Option<BTreeMap<String, (String, u64)>> {
    let mut found: BTreeMap<String, (String, u64)> = BTreeMap::new();
    let mut heard = false;
    for line in String::from_utf8_lossy(log).lines() {
        let line = line.trim();
        let Some(said) = stamp_off(line) else { continue };
        heard = true;
        // systemd writes into the same log.
        if said.starts_with("systemd") {
            continue;
        }
        let lower = said.to_lowercase();
        if WORDS.iter().any(|word| lower.contains(word)) {
            found.entry(without_numbers(said)).or_insert_with(|| (line.to_owned(), 0)).1 += 1;
        }
    }
    heard.then_some(found)
}

/// What comes after `[   12.345678] `, or after `[   12.345678][    T1] ` as kernels with
/// CONFIG_PRINTK_CALLER have it (a task's or a processor's number); `None` for a line without stamp.
fn stamp_off(line: &str) -> Option<&str> {
    let (stamp, mut said) = line.strip_prefix('[')?.split_once(']')?;
    let stamp = stamp.trim();
    if !stamp.contains('.') || !stamp.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if let Some((caller, rest)) = said.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let number = caller.trim().strip_prefix(['T', 'C'])?;
        if number.is_empty() || !number.chars().all(|c| c.is_ascii_digit()) {
            return None;
        }
        said = rest;
    }
    said.strip_prefix(' ')
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
        let (a, b) = (complaints(first).unwrap(), complaints(second).unwrap());
        assert_eq!(a.keys().collect::<Vec<_>>(), ["ata#: failed to resume link (SControl #)"]);
        assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
        let address =
            complaints(b"[ 1.0] BUG: unable to handle page fault for address: ffffe3a0deadbee0\n").unwrap();
        assert!(address.contains_key("BUG: unable to handle page fault for address: #"), "{address:?}");
    }

    #[test]
    fn what_the_kernel_did_not_write_is_no_complaint() {
        let text =
            b"error: from some program\n[ 3.1] systemd[1]: Failed to start x\n[  OK  ] failed\n\xff\xfe\n";
        assert_eq!(complaints(text), Some(BTreeMap::new()));
    }

    #[test]
    fn lines_with_their_caller_are_the_same_complaints() {
        let plain = b"[    1.000000] BUG: scheduling while atomic\n";
        for caller in ["[    T1]", "[   C12]", "[T31337]"] {
            let log =
                format!("[    1.000000]{caller} BUG: scheduling while atomic\n[    2.0]{caller} fine\n");
            let found = complaints(log.as_bytes()).unwrap();
            assert_eq!(found.keys().collect::<Vec<_>>(), ["BUG: scheduling while atomic"], "{log}");
            assert!(complaints(plain).unwrap().keys().eq(found.keys()));
        }
    }

    #[test]
    fn a_log_without_any_stamp_is_not_a_clean_one() {
        for log in [&b""[..], b"BUG: scheduling while atomic\n", b"[  OK  ] Started x\n", b"[ ] BUG: x\n"] {
            assert_eq!(complaints(log), None, "{}", String::from_utf8_lossy(log));
        }
    }
}
