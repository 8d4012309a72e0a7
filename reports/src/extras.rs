//! What a run's folder holds beside the journal, as bytes. All of it is optional.

/// A file of the run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraFile {
    /// Relative to the run's folder, as in the journal's `saved` events: `console.cast`.
    pub path: String,
    /// The whole file.
    pub bytes: Vec<u8>,
}

/// Files that make the HTML report richer; a report without them says less and is still whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Console recordings: asciicast v2 (`*.cast`, has times and marks) is preferred over raw
    /// bytes (`*.log`). The first of the preferred kind is shown.
    pub consoles: Vec<ExtraFile>,
    /// Screenshots as PNG, embedded up to [`Extras::IMAGE_LIMIT`] bytes each.
    pub images: Vec<ExtraFile>,
}

impl Extras {
    /// A larger image is linked and not embedded.
    pub const IMAGE_LIMIT: usize = 1 << 20;
}
