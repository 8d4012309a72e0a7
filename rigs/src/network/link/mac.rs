//! A hardware address.

use std::fmt;

/// Six bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Mac([u8; 6]);

impl Mac {
    /// `dc:a6:32:01:02:03`, also in capitals and with `-`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut bytes = text.split([':', '-']).map(|byte| {
            let two = byte.len() == 2 && byte.bytes().all(|digit| digit.is_ascii_hexdigit());
            two.then(|| u8::from_str_radix(byte, 16).ok()).flatten()
        });
        let mut mac = [0; 6];
        for byte in &mut mac {
            *byte = bytes.next()??;
        }
        bytes.next().is_none().then_some(Self(mac))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.map(|byte| format!("{byte:02x}"));
        f.write_str(&bytes.join(":"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_bytes_and_nothing_else() {
        for text in ["dc:a6:32:01:02:0f", "DC-A6-32-01-02-0F"] {
            assert_eq!(Mac::parse(text).unwrap().to_string(), "dc:a6:32:01:02:0f");
        }
        for text in [
            "",
            "dc:a6:32:01:02",
            "dc:a6:32:01:02:0f:00",
            "dc:a6:32:01:02:+f",
            "dca632010203",
            "dc:a6:32:01:02:f",
        ] {
            assert!(Mac::parse(text).is_none(), "{text}");
        }
    }
}
