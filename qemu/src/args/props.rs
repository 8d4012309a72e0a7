//! `key=value,…` as QEMU parses it: a comma in a value is doubled.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// One option's value: a list of properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Props(Vec<u8>);

impl Props {
    /// A list whose first property is called `key`; its value follows by [`Self::first`].
    pub fn new(key: &str) -> Self {
        Self(format!("{key}=").into_bytes())
    }

    /// The value of a list made by [`Self::new`].
    #[must_use]
    pub fn first(mut self, value: &str) -> Self {
        self.value(value.as_bytes());
        self
    }

    /// A list that begins with a bare word: the kind of a device.
    pub fn word(word: &str) -> Self {
        let mut props = Self(Vec::new());
        props.value(word.as_bytes());
        props
    }

    /// A list that begins with a property.
    pub fn word_kv(key: &str, value: &str) -> Self {
        Self::new(key).first(value)
    }

    /// One more property.
    #[must_use]
    pub fn kv(mut self, key: &str, value: &str) -> Self {
        self.key(key);
        self.value(value.as_bytes());
        self
    }

    /// One more property that is a path; any bytes.
    #[must_use]
    pub fn path(mut self, key: &str, path: &Path) -> Self {
        self.key(key);
        self.value(path.as_os_str().as_bytes());
        self
    }

    fn key(&mut self, key: &str) {
        self.0.push(b',');
        self.0.extend_from_slice(key.as_bytes());
        self.0.push(b'=');
    }

    fn value(&mut self, value: &[u8]) {
        for byte in value {
            self.0.push(*byte);
            if *byte == b',' {
                self.0.push(b',');
            }
        }
    }
}

impl From<Props> for OsString {
    fn from(props: Props) -> Self {
        OsStr::from_bytes(&props.0).to_owned()
    }
}

impl From<&Props> for OsString {
    fn from(props: &Props) -> Self {
        OsString::from_vec(props.0.clone())
    }
}
