//! Programs of the rig host that bring an image, or a loader, onto a board over USB: the vendors' tools.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::Fut;
use crate::fault::Rig;
use crate::time::Deadline;

/// What a tool is run for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolJob {
    /// The image with this run's names and keys, where the procedure made one.
    pub image: Option<PathBuf>,
    /// A folder of this run.
    pub folder: PathBuf,
    /// Takes everything that the tool prints, as bytes, in the order in which it came.
    pub log: PathBuf,
}

/// Told how far a tool is, in percent, by its own words.
pub type OnPercent = Arc<dyn Fn(u64) + Send + Sync>;

/// A program that a slot's rig file names for a procedure's tool.
pub trait RigTool: Send + Sync {
    /// As procedures call it: `rpiboot`, `tegra`, `uuu`.
    fn name(&self) -> &str;

    /// Whether it is there, in the version that the rig file demands; returns what it says it is.
    fn check<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<String>>;

    /// Runs it to its end; returns the words by which it says that it did its work. Whatever it
    /// started is gone afterwards, however it ended. Success is its own word and no more: who called it
    /// proves what it did.
    fn run<'a>(&'a self, job: ToolJob, far: OnPercent, by: &'a Deadline) -> Fut<'a, Rig<String>>;

    /// The USB devices of the rig host among which the board shows up: in its own port, where the rig
    /// file names one.
    fn usb<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Vec<UsbDevice>>>;
}

/// A USB device of the rig host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsbDevice {
    /// Of its vendor, by USB-IF.
    pub vendor: u16,
    /// Of its product, by its vendor.
    pub product: u16,
    /// Bus and chain of ports: `1-1.4`.
    pub place: String,
    /// The bus's number for it. Each time that it is plugged in it gets another one.
    pub number: u8,
}

impl UsbDevice {
    /// Whether it is this one: `vendor:product` in hex, the product `*` for any.
    pub fn is(&self, id: &str) -> bool {
        let (vendor, product) = id.split_once(':').unwrap_or((id, "*"));
        let same = |text: &str, number| u16::from_str_radix(text, 16) == Ok(number);
        same(vendor, self.vendor) && (product == "*" || same(product, self.product))
    }
}

impl fmt::Display for UsbDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x} in port {} (device {})", self.vendor, self.product, self.place, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_by_vendor_and_product_or_by_vendor_alone() {
        let device = UsbDevice { vendor: 0x0955, product: 0x7023, place: "1-1".into(), number: 4 };
        let table = [("0955:7023", true), ("0955:*", true), ("0955:7223", false), ("0a5c:7023", false)];
        for (id, want) in table.into_iter().chain([("", false), ("0955", true), (":", false), ("x:y", false)])
        {
            assert_eq!(device.is(id), want, "{id}");
        }
        assert_eq!(device.to_string(), "0955:7023 in port 1-1 (device 4)");
    }
}
