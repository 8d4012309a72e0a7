//! A picture, and how unlike another one it looks.
//!
//! Hashes of pictures were measured and not taken: to each of the six of the crate `image_hasher` (dHash, pHash and
//! others) a black screen and a blue one are the same, and to most of them a login prompt on black is too.

use std::fmt;
use std::io;

/// Columns and rows of the cells that are compared: those of text on a screen.
const COLUMNS: usize = 80;
const ROWS: usize = 30;
/// A cell looks other when a colour of it is off by more than this, of 255. More than the 20 that are between the
/// full range of a computer's picture and the limited one of a television's, and than what JPEG does.
const VISIBLE: u64 = 24;
/// The longest side of a picture that is read.
const LARGEST: u32 = 16_384;

/// A picture in 8-bit RGB, from the upper left, without gaps. It has a pixel at least.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}

impl Picture {
    /// `None` when there are not as many bytes as the size says, or no pixels.
    pub fn new(width: usize, height: usize, rgb: Vec<u8>) -> Option<Self> {
        let bytes = width.checked_mul(height)?.checked_mul(3)?;
        (bytes > 0 && rgb.len() == bytes).then_some(Self { width, height, rgb })
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Reads a PNG of any kind; transparency is left out.
    ///
    /// # Errors
    /// It is no PNG, it is damaged, or it is far larger than a screen.
    pub fn from_png(bytes: &[u8]) -> io::Result<Self> {
        let mut decoder = png::Decoder::new(io::Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info()?;
        let (width, height) = reader.info().size();
        let odd = || io::Error::new(io::ErrorKind::InvalidData, format!("{width}x{height} is no screen"));
        if width.max(height) > LARGEST {
            return Err(odd());
        }
        let mut raw = vec![0; reader.output_buffer_size().ok_or_else(odd)?];
        let frame = reader.next_frame(&mut raw)?;
        raw.truncate(frame.buffer_size());
        let samples = frame.color_type.samples();
        // Gray has one sample, or two with transparency.
        let colours = if samples < 3 { [0, 0, 0] } else { [0, 1, 2] };
        let rgb = raw.chunks_exact(samples).flat_map(|pixel| colours.map(|colour| pixel[colour])).collect();
        Self::new(width as usize, height as usize, rgb).ok_or_else(odd)
    }

    /// As a PNG.
    ///
    /// # Errors
    /// It is larger than a PNG can be.
    pub fn to_png(&self) -> io::Result<Vec<u8>> {
        let side = |length: usize| u32::try_from(length).map_err(io::Error::other);
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, side(self.width)?, side(self.height)?);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.rgb)?;
        writer.finish()?;
        Ok(out)
    }

    /// How much of it looks other than that one: 0.0 is nothing, 100.0 all of it, in percent of 80 columns by 30 rows.
    /// The size does not count, and neither do small changes of brightness, noise, and what JPEG leaves out.
    pub fn unlike(&self, other: &Self) -> f64 {
        let cells = (0..ROWS).flat_map(|row| (0..COLUMNS).map(move |column| (column, row)));
        let other_looking = cells.filter(|cell| {
            let pairs = self.mean(*cell).into_iter().zip(other.mean(*cell));
            pairs.into_iter().any(|(mine, others)| mine.abs_diff(others) > VISIBLE)
        });
        other_looking.count() as f64 * 100.0 / (COLUMNS * ROWS) as f64
    }

    /// The mean colour of a cell.
    fn mean(&self, (column, row): (usize, usize)) -> [u64; 3] {
        let span = |index: usize, of: usize, length: usize| {
            let start = index * length / of;
            start..((index + 1) * length / of).max(start + 1)
        };
        let (across, down) = (span(column, COLUMNS, self.width), span(row, ROWS, self.height));
        let mut sum = [0; 3];
        for y in down.clone() {
            let from = (y * self.width + across.start) * 3;
            for pixel in self.rgb[from..from + across.len() * 3].chunks_exact(3) {
                for (sum, colour) in sum.iter_mut().zip(pixel) {
                    *sum += u64::from(*colour);
                }
            }
        }
        sum.map(|sum| sum / (across.len() * down.len()) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(width: usize, height: usize, colour: impl Fn(usize, usize) -> [u8; 3]) -> Picture {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        Picture::new(width, height, pixels.flat_map(|(x, y)| colour(x, y)).collect()).unwrap()
    }

    /// A line of text, a fifth of whose pixels are lit, in the first of 30 rows.
    fn prompt(x: usize, y: usize) -> [u8; 3] {
        if y < 16 && x < 96 && (x + 2 * y).is_multiple_of(5) { [170; 3] } else { [0; 3] }
    }

    #[test]
    fn what_looks_other_is_told_apart_and_what_looks_alike_is_not() {
        let black = drawn(640, 480, |_, _| [0; 3]);
        let near = |a: &Picture, b: &Picture, percent: f64| {
            assert!((a.unlike(b) - percent).abs() < 0.01, "{} and not {percent} %", a.unlike(b));
            assert!((b.unlike(a) - percent).abs() < 0.01, "the other way round");
        };
        near(&black, &drawn(640, 480, |_, _| [0, 0, 255]), 100.0);
        near(&black, &drawn(640, 480, |_, _| [255; 3]), 100.0);
        near(&black, &drawn(640, 480, prompt), 0.5);
        let half = |x: usize, width: usize| if x * 2 < width { [200, 40, 40] } else { [20, 20, 20] };
        let whole = drawn(640, 480, |x, _| half(x, 640));
        near(&whole, &drawn(640, 480, |x, _| half(640 - x, 640)), 100.0);
        // Larger, noisy, and in another range.
        near(&whole, &drawn(1920, 1080, |x, _| half(x, 1920)), 0.0);
        near(&whole, &drawn(640, 480, |x, y| half(x, 640).map(|c| c + ((x * 7 + y * 13) % 30) as u8)), 0.0);
        near(
            &whole,
            &drawn(640, 480, |x, _| half(x, 640).map(|c| (16 + u16::from(c) * 219 / 255) as u8)),
            0.0,
        );
        // Smaller than the cells are many.
        near(&drawn(1, 1, |_, _| [9; 3]), &black, 0.0);
    }

    #[test]
    fn a_png_is_read_back_and_what_is_none_is_an_error() {
        let picture = drawn(31, 7, |x, y| [x as u8, y as u8, 200]);
        let png = picture.to_png().unwrap();
        assert_eq!(Picture::from_png(&png).unwrap(), picture);
        for cut in 0..png.len() - 12 {
            assert!(Picture::from_png(&png[..cut]).is_err(), "cut at {cut}");
        }
        assert!(Picture::from_png(b"GIF89a").is_err());
        let mut huge = png.clone();
        huge[16..20].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(Picture::from_png(&huge).is_err());
        // Gray with transparency, as some programs write it.
        let mut gray = Vec::new();
        let mut encoder = png::Encoder::new(&mut gray, 2, 1);
        encoder.set_color(png::ColorType::GrayscaleAlpha);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header().unwrap().write_image_data(&[7, 255, 9, 0]).unwrap();
        assert_eq!(Picture::from_png(&gray).unwrap().rgb, [7, 7, 7, 9, 9, 9]);
    }
}
