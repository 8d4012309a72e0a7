//! Block maps (`.bmap`, version 2) beside images.
//!
//! The map is used as a check: each mapped range must have its checksum. What the map
//! leaves out is written as it is in the image; it is zeros in any sound image, and costs nothing then.
//! Parsed here, since the `bmap-parser` crate panics on a range that is no number.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use shakedown_core::Sha;

use crate::digest::CHUNK;
use crate::error::{Container, ImageError, ImageProblem};

/// A real map has some thousand ranges; 64 MiB is none.
const MAX_BYTES: u64 = 64 << 20;

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "@version")]
    version: String,
    #[serde(rename = "ImageSize")]
    image_size: String,
    #[serde(rename = "BlockSize")]
    block_size: String,
    #[serde(rename = "ChecksumType")]
    checksum_type: Option<String>,
    #[serde(rename = "BmapFileChecksum")]
    file_checksum: Option<String>,
    #[serde(rename = "BlockMap")]
    map: Ranges,
}

#[derive(Deserialize)]
struct Ranges {
    #[serde(rename = "Range", default)]
    ranges: Vec<Range>,
}

#[derive(Deserialize)]
struct Range {
    #[serde(rename = "@chksum")]
    checksum: Option<String>,
    #[serde(rename = "$text")]
    blocks: String,
}

/// A bmap that was parsed and whose own checksum is right.
#[derive(Debug)]
pub(crate) struct Bmap {
    pub(crate) path: PathBuf,
    pub(crate) image_size: u64,
    ranges: Vec<(u64, u64, Sha)>,
}

impl Bmap {
    /// The map beside an image: `X.img.bmap`, `X.img.zst.bmap`, `X.bmap` for `X.img.zst` or `X.img`.
    pub(crate) fn beside(image: &Path, container: Container) -> Result<Option<Self>, ImageError> {
        let mut places = vec![appended(image)];
        if container != Container::Raw {
            places.push(appended(&image.with_extension("")));
            places.push(image.with_extension("").with_extension("bmap"));
        }
        places.push(image.with_extension("bmap"));
        for path in places.into_iter().filter(|path| path != image) {
            match read(&path) {
                Ok(Some(text)) => {
                    return match parse(&path, &text) {
                        Ok(bmap) => Ok(Some(bmap)),
                        Err(problem) => Err(ImageError::new(image, problem)),
                    };
                }
                Ok(None) => {}
                Err(problem) => return Err(ImageError::new(image, problem)),
            }
        }
        Ok(None)
    }
}

fn appended(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".bmap");
    PathBuf::from(name)
}

fn read(path: &Path) -> Result<Option<String>, ImageProblem> {
    let about = match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        about => about.map_err(|error| ImageProblem::io("examine the bmap beside it", &error))?,
    };
    if !about.is_file() {
        return Ok(None);
    }
    if about.len() > MAX_BYTES {
        let (expected, got) = (format!("at most {MAX_BYTES} bytes"), format!("{} bytes", about.len()));
        return Err(wrong(path, "its size", expected, got));
    }
    let text = std::fs::read_to_string(path);
    text.map(Some).map_err(|error| ImageProblem::io("read the bmap beside it", &error))
}

fn wrong(
    bmap: &Path,
    what: impl Into<String>,
    expected: impl Into<String>,
    got: impl Into<String>,
) -> ImageProblem {
    let (what, expected, got) = (what.into(), expected.into(), got.into());
    ImageProblem::Bmap { bmap: bmap.to_owned(), what, expected, got }
}

fn parse(path: &Path, text: &str) -> Result<Bmap, ImageProblem> {
    let document: Document = quick_xml::de::from_str(text)
        .map_err(|error| wrong(path, "its form", "a bmap document", error.to_string()))?;
    let number = |what: &str, text: &str| -> Result<u64, ImageProblem> {
        text.trim().parse().map_err(|_| wrong(path, what, "a number", text.trim()))
    };
    if !document.version.trim().starts_with("2.") {
        return Err(wrong(path, "its version", "2.x", document.version));
    }
    let kind = document.checksum_type.as_deref().map_or("none", str::trim);
    if kind != "sha256" {
        return Err(wrong(path, "its checksum type", "sha256", kind));
    }
    if let Some(own) = &document.file_checksum {
        check_own(path, text, own.trim())?;
    }
    let image_size = number("ImageSize", &document.image_size)?;
    let block = number("BlockSize", &document.block_size)?;
    let mut ranges = Vec::with_capacity(document.map.ranges.len());
    let mut behind = 0;
    for range in &document.map.ranges {
        let (first, last) = range.blocks.trim().split_once('-').unwrap_or((&range.blocks, &range.blocks));
        let (first, last) = (number("a range", first)?, number("a range", last)?);
        let start = first.checked_mul(block).filter(|start| *start >= behind && *start < image_size);
        let end = last.checked_add(1).and_then(|end| end.checked_mul(block)).map(|end| end.min(image_size));
        let Some((start, end)) = start.zip(end).filter(|(start, end)| start < end) else {
            return Err(wrong(path, "a range", "ascending blocks within the image", range.blocks.trim()));
        };
        let sum = range.checksum.as_deref().map(str::trim);
        let Some(sha) = sum.and_then(Sha::from_hex) else {
            return Err(wrong(path, "a range's checksum", "64 hex digits", sum.unwrap_or("none")));
        };
        ranges.push((start, end - start, sha));
        behind = end;
    }
    Ok(Bmap { path: path.to_owned(), image_size, ranges })
}

/// The file's own checksum was made with zeros in its place.
fn check_own(path: &Path, text: &str, own: &str) -> Result<(), ImageProblem> {
    let got = Sha::of(text.replacen(own, &"0".repeat(own.len()), 1).as_bytes());
    if Sha::from_hex(own) == Some(got) {
        return Ok(());
    }
    Err(wrong(path, "its own checksum", own, got.to_string()))
}

/// Verifies a payload that is fed in order against a map.
pub(crate) struct BmapCheck {
    bmap: Bmap,
    index: usize,
    at: u64,
    hash: Sha256,
    problem: Option<ImageProblem>,
}

impl BmapCheck {
    pub(crate) fn new(bmap: Bmap) -> Self {
        Self { bmap, index: 0, at: 0, hash: Sha256::new(), problem: None }
    }

    pub(crate) fn data(&mut self, bytes: &[u8]) {
        self.feed(bytes.len() as u64, |hash, from, to| hash.update(&bytes[from as usize..to as usize]));
    }

    pub(crate) fn hole(&mut self, len: u64) {
        let zeros = [0; 4096];
        self.feed(len, |hash, mut from, to| {
            while from < to {
                let part = (to - from).min(zeros.len() as u64).min(CHUNK);
                hash.update(&zeros[..part as usize]);
                from += part;
            }
        });
    }

    fn feed(&mut self, len: u64, mut update: impl FnMut(&mut Sha256, u64, u64)) {
        let end = self.at + len;
        while let Some((start, size, expected)) = self.bmap.ranges.get(self.index).copied() {
            let (from, to) = (start.max(self.at), (start + size).min(end));
            if from < to {
                update(&mut self.hash, from - self.at, to - self.at);
            }
            if start + size > end {
                break;
            }
            let got = Sha(std::mem::take(&mut self.hash).finalize().into());
            if got != expected && self.problem.is_none() {
                let what = format!("checksum of bytes {start} to {}", start + size);
                self.problem = Some(wrong(&self.bmap.path, what, expected.to_string(), got.to_string()));
            }
            self.index += 1;
        }
        self.at = end;
    }

    pub(crate) fn finish(self) -> Result<(), ImageProblem> {
        if self.at != self.bmap.image_size {
            let (expected, got) = (format!("{} bytes", self.bmap.image_size), format!("{} bytes", self.at));
            return Err(wrong(&self.bmap.path, "the image's size", expected, got));
        }
        self.problem.map_or(Ok(()), Err)
    }
}
