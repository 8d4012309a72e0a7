//! What is known about a board besides how it boots, merged.

use std::collections::BTreeMap;

use crate::doc::{BoardDoc, CiDoc, FamilyDoc, ImageDoc, LayoutDoc, LifecycleDoc, MediaDoc, RecoveryDoc};
use crate::text::{list, scalar};

/// What is known about a board besides what a run needs. What is `None` or empty is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Other slugs by which it is known.
    pub aliases: Vec<String>,
    /// The CPU cores.
    pub cpu: Option<String>,
    /// What boots the kernel, in words.
    pub bootloader: Option<String>,
    /// The kernel's names of the serial consoles.
    pub tty: Vec<String>,
    /// The file of sysfs that switches its user LED.
    pub led_file: Option<String>,
    /// A vendor's name for several boards that are alike.
    pub group: Option<String>,
    /// Where it boots from, and what storage it has.
    pub media: MediaDoc,
    /// The image that its OS is published as.
    pub image: ImageDoc,
    /// The partitions of that image.
    pub layout: LayoutDoc,
    /// Its recovery mode, for a vendor's tool.
    pub recovery: RecoveryDoc,
    /// Whether its vendor still stands behind it.
    pub lifecycle: LifecycleDoc,
    /// How its vendor tests it.
    pub ci: CiDoc,
    /// Capabilities that it surely has not.
    pub without: Vec<String>,
    /// Fields on which sources disagree, with what each of them says.
    pub disputed: BTreeMap<String, BTreeMap<String, String>>,
    /// The families that it takes values from, the weakest first.
    pub families: Vec<String>,
    /// The main console's speed was given, and is not the default.
    pub baud_known: bool,
}

impl From<&FamilyDoc> for Facts {
    fn from(doc: &FamilyDoc) -> Self {
        Self {
            cpu: doc.cpu.clone(),
            bootloader: doc.bootloader.clone(),
            tty: doc.tty.clone(),
            led_file: doc.led_file.clone(),
            group: doc.group.clone(),
            media: doc.media.clone(),
            image: doc.image.clone(),
            layout: doc.layout.clone(),
            recovery: doc.recovery.clone(),
            ..Self::default()
        }
    }
}

impl From<&BoardDoc> for Facts {
    fn from(doc: &BoardDoc) -> Self {
        Self {
            aliases: doc.aliases.clone(),
            cpu: doc.cpu.clone(),
            bootloader: doc.bootloader.clone(),
            tty: doc.tty.clone(),
            led_file: doc.led_file.clone(),
            group: doc.group.clone(),
            media: doc.media.clone(),
            image: doc.image.clone(),
            layout: doc.layout.clone(),
            recovery: doc.recovery.clone(),
            lifecycle: doc.lifecycle.clone(),
            ci: doc.ci.clone(),
            disputed: doc.disputed.clone(),
            ..Self::default()
        }
    }
}

/// What a later layer says wins; a list is replaced as a whole.
macro_rules! take {
    ($to:expr, $from:expr, one: $($one:ident)* ; many: $($many:ident)*) => {
        $(if $from.$one.is_some() { $to.$one = $from.$one; })*
        $(if !$from.$many.is_empty() { $to.$many = $from.$many; })*
    };
}

impl Facts {
    /// Puts a later layer over this one.
    pub(crate) fn apply(&mut self, later: Self) {
        take!(self, later, one: cpu bootloader led_file group; many: aliases tty disputed);
        take!(self.media, later.media, one: default storage; many: also disks);
        take!(self.image, later.image, one: machine kind file raw installer repo; many:);
        take!(self.layout, later.layout, one: table boot_partition space boot root state; many:);
        take!(self.recovery, later.recovery, one: enter usb guide; many:);
        take!(self.lifecycle, later.lifecycle, one: support state esr; many:);
        take!(self.ci, later.ci, one: workflow class secure_boot; many: suites workers);
    }

    /// Every fact that is known: its field, and its value as it is written on one line.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut all = Vec::new();
        let mut put =
            |field: &'static str, value: Option<String>| all.extend(value.map(|value| (field, value)));
        let text = |value: &Option<String>| value.as_deref().map(scalar);
        let many = |items: &[String]| (!items.is_empty()).then(|| list(items));
        put("aliases", many(&self.aliases));
        put("cpu", text(&self.cpu));
        put("bootloader", text(&self.bootloader));
        put("tty", many(&self.tty));
        put("led-file", text(&self.led_file));
        put("group", text(&self.group));
        put("media.default", self.media.default.map(|medium| medium.word().to_owned()));
        let also = &self.media.also;
        put("media.also", (!also.is_empty()).then(|| list(also.iter().map(|medium| medium.word()))));
        put("media.storage", self.media.storage.map(|storage| storage.to_string()));
        put("media.disks", many(&self.media.disks));
        put("image.machine", text(&self.image.machine));
        put("image.kind", self.image.kind.map(|kind| kind.word().to_owned()));
        put("image.file", text(&self.image.file));
        put("image.raw", text(&self.image.raw));
        put("image.installer", text(&self.image.installer));
        put("image.repo", text(&self.image.repo));
        put("layout.table", self.layout.table.map(|table| table.word().to_owned()));
        put("layout.boot-partition", self.layout.boot_partition.map(|number| number.to_string()));
        put("layout.space", self.layout.space.map(|size| size.to_string()));
        put("layout.boot", self.layout.boot.map(|size| size.to_string()));
        put("layout.root", self.layout.root.map(|size| size.to_string()));
        put("layout.state", self.layout.state.map(|size| size.to_string()));
        put("recovery.enter", text(&self.recovery.enter));
        put("recovery.usb", text(&self.recovery.usb));
        put("recovery.guide", text(&self.recovery.guide));
        put("lifecycle.support", self.lifecycle.support.map(|support| support.word().to_owned()));
        put("lifecycle.state", self.lifecycle.state.map(|state| state.word().to_owned()));
        put("lifecycle.esr", self.lifecycle.esr.map(|esr| esr.to_string()));
        put("ci.workflow", text(&self.ci.workflow));
        put("ci.suites", many(&self.ci.suites));
        put("ci.workers", many(&self.ci.workers));
        put("ci.class", text(&self.ci.class));
        put("ci.secure-boot", self.ci.secure_boot.map(|with| with.to_string()));
        all
    }
}
