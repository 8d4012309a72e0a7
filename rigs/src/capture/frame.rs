//! From the bytes of a frame to a picture.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::picture::Picture;

/// How a device writes a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "V4l2Format")]
pub enum Format {
    /// Luma for each pixel, colour for each two (BT.601, limited range, whatever the device says of it).
    Yuyv,
    /// Red, green, blue.
    Rgb24,
    /// Blue, green, red.
    Bgr24,
    /// A JPEG each.
    Mjpeg,
}

impl Format {
    /// All that can be read.
    pub(super) const ALL: [Self; 4] = [Self::Yuyv, Self::Rgb24, Self::Bgr24, Self::Mjpeg];

    /// Linux, videodev2.h: `V4L2_PIX_FMT_…`.
    pub(super) fn fourcc(self) -> [u8; 4] {
        match self {
            Self::Yuyv => *b"YUYV",
            Self::Rgb24 => *b"RGB3",
            Self::Bgr24 => *b"BGR3",
            Self::Mjpeg => *b"MJPG",
        }
    }
}

/// What the device says of its frames.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) format: Format,
    pub(super) width: usize,
    pub(super) height: usize,
    /// From one line to the next, in bytes; 0 for JPEG.
    pub(super) stride: usize,
}

/// What is wrong with a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) expected: String,
    pub(super) got: String,
}

/// The picture in a frame.
pub(super) fn picture(shape: Shape, bytes: &[u8]) -> Result<Picture, Wrong> {
    let Shape { format, width, height, stride } = shape;
    if format == Format::Mjpeg {
        return jpeg(shape, bytes);
    }
    // Two pixels of YUYV are never parted.
    let line = if format == Format::Yuyv { width.div_ceil(2) * 4 } else { width * 3 };
    let stride = stride.max(line);
    let whole = stride * height.saturating_sub(1) + line;
    let wrong = |got: String| Wrong { expected: format!("a frame of {width}x{height}, {whole} bytes"), got };
    if bytes.len() < whole {
        return Err(wrong(format!("{} bytes", bytes.len())));
    }
    let mut rgb = Vec::with_capacity(width * height * 3);
    for line in bytes.chunks(stride.max(1)).take(height).map(|row| &row[..line]) {
        let end = rgb.len() + width * 3;
        match format {
            Format::Yuyv => line.as_chunks().0.iter().for_each(|pair| rgb.extend(yuyv(*pair).as_flattened())),
            Format::Bgr24 => line.as_chunks().0.iter().for_each(|[b, g, r]| rgb.extend([r, g, b])),
            Format::Rgb24 | Format::Mjpeg => rgb.extend(line),
        }
        rgb.truncate(end);
    }
    Picture::new(width, height, rgb).ok_or_else(|| wrong("no pixel".to_owned()))
}

/// Two pixels. ITU-R BT.601 section 2.5, in 1/1024.
fn yuyv([left, u, right, v]: [u8; 4]) -> [[u8; 3]; 2] {
    let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
    let pixel = |luma: u8| {
        let luma = (i32::from(luma) - 16) * 1192;
        let colours = [luma + 1634 * v, luma - 401 * u - 832 * v, luma + 2066 * u];
        colours.map(|colour| ((colour + 512) >> 10).clamp(0, 255) as u8)
    };
    [pixel(left), pixel(right)]
}

fn jpeg(shape: Shape, bytes: &[u8]) -> Result<Picture, Wrong> {
    let wrong = |got: String| Wrong { expected: format!("a JPEG of {}x{}", shape.width, shape.height), got };
    // ITU-T T.81 table B.1: it ends with EOI. Devices fill up what is behind it; the decoder takes a JPEG without
    // its end, and makes the rest grey.
    let end = bytes.windows(2).rposition(|marker| marker == [0xff, 0xd9]);
    let end = end.ok_or_else(|| wrong(format!("{} bytes without an end", bytes.len())))?;
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&bytes[..end + 2]), options);
    let rgb = decoder.decode().map_err(|error| wrong(error.to_string()))?;
    let size = decoder.info().map(|info| (usize::from(info.width), usize::from(info.height)));
    let (width, height) = size.unwrap_or_default();
    if (width, height) != (shape.width, shape.height) {
        return Err(wrong(format!("one of {width}x{height}")));
    }
    Picture::new(width, height, rgb).ok_or_else(|| wrong("one in other colours".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(format: Format, width: usize, height: usize, stride: usize) -> Shape {
        Shape { format, width, height, stride }
    }

    fn rgb(width: usize, height: usize, bytes: &[u8]) -> Picture {
        Picture::new(width, height, bytes.to_vec()).unwrap()
    }

    #[test]
    fn raw_frames_are_read_line_by_line() {
        // BT.601's 100 % red, and white.
        let red = picture(shape(Format::Yuyv, 2, 1, 4), &[81, 90, 81, 240]).unwrap();
        assert_eq!(red, rgb(2, 1, &[254, 0, 0, 254, 0, 0]));
        // Three pixels, of two pairs, and lines that are longer than they need be.
        let white = [235, 128, 235, 128, 235, 128, 16, 128, 9, 9];
        let grey = [126, 128, 126, 128, 126, 128, 16, 128, 9, 9];
        let both = picture(shape(Format::Yuyv, 3, 2, 10), &[white, grey].concat()).unwrap();
        assert_eq!(both, rgb(3, 2, &[[255; 9], [128; 9]].concat()));
        let lines = [1, 2, 3, 0, 4, 5, 6];
        assert_eq!(picture(shape(Format::Rgb24, 1, 2, 4), &lines), Ok(rgb(1, 2, &[1, 2, 3, 4, 5, 6])));
        assert_eq!(picture(shape(Format::Bgr24, 1, 2, 4), &lines), Ok(rgb(1, 2, &[3, 2, 1, 6, 5, 4])));
        let short = picture(shape(Format::Rgb24, 1, 2, 4), &lines[..6]).unwrap_err();
        assert_eq!((&*short.expected, &*short.got), ("a frame of 1x2, 7 bytes", "6 bytes"));
        assert!(picture(shape(Format::Rgb24, 0, 0, 0), &[]).is_err());
    }

    /// 32x16, red left and blue right, made by cjpeg of libjpeg-turbo 2.1.
    const JPEG: &[u8] = include_bytes!("../../tests/red-blue.jpg");

    #[test]
    fn jpegs_are_read_also_as_grabbers_write_them() {
        let of = |bytes: &[u8]| picture(shape(Format::Mjpeg, 32, 16, 0), bytes);
        let mut colours = [255, 0, 0].repeat(16);
        colours.extend([0, 0, 255].repeat(16));
        let wanted = rgb(32, 16, &colours.repeat(16));
        // The two columns where they meet have a colour between them, for colours are told for pairs.
        let near = |picture: &Picture| assert!(picture.unlike(&wanted) < 7.0, "{}", picture.unlike(&wanted));
        near(&of(JPEG).unwrap());
        near(&of(&[JPEG, &[0; 512]].concat()).unwrap());
        // Without its tables, which are the standard's, and named as a frame of an AVI.
        let mut bare = vec![0xff, 0xd8, 0xff, 0xe0, 0, 16];
        bare.extend(b"AVI1\0\0\0\0\0\0\0\0\0\0");
        let mut at = 2;
        while JPEG[at + 1] != 0xda {
            let end = at + 2 + usize::from(u16::from_be_bytes([JPEG[at + 2], JPEG[at + 3]]));
            if !matches!(JPEG[at + 1], 0xc4 | 0xe0) {
                bare.extend(&JPEG[at..end]);
            }
            at = end;
        }
        bare.extend(&JPEG[at..]);
        near(&of(&bare).unwrap());
        let cut = of(&JPEG[..JPEG.len() - 40]).unwrap_err();
        assert_eq!(cut.got, format!("{} bytes without an end", JPEG.len() - 40));
        assert_eq!(picture(shape(Format::Mjpeg, 16, 16, 0), JPEG).unwrap_err().got, "one of 32x16");
        assert!(of(&[0; 64]).is_err() && of(&[]).is_err());
        assert!(of(&[&[0xff, 0xd8][..], &[0x5a; 64], &[0xff, 0xd9]].concat()).is_err(), "noise");
    }
}
