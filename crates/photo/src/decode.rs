//! Bytes to a [`Frame`]: decode within the limits, colour profile to sRGB, orientation, linear light.

use std::io::Cursor;

use cicatrix_model::Reason;
use image::ImageDecoder;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::{Format, Frame, Limits, Metadata, Rejection, container::Container, frame::to_linear, inspect, profile};

/// Samples as stored, spread to RGB.
pub(crate) enum Samples {
    Eight(Vec<u8>),
    Sixteen(Vec<u16>),
}

pub(crate) struct Raw {
    pub width: usize,
    pub height: usize,
    pub samples: Samples,
    pub icc: Option<Vec<u8>>,
}

/// Decodes a photo. `extension` is what the file's name claims; limits are checked before a pixel is decoded.
pub fn decode(bytes: &[u8], extension: &str, limits: &Limits) -> Result<(Frame, Metadata), Rejection> {
    let container = inspect(bytes, extension, limits)?;
    let metadata = Metadata::read(bytes);
    let orientation = if container.format.decodes_upright() { 1 } else { metadata.orientation };
    let raw = match container.format {
        Format::Jpeg => jpeg(bytes, &container)?,
        Format::Png => {
            let decoder = image::codecs::png::PngDecoder::with_limits(Cursor::new(bytes), budget(&container));
            generic(decoder.map_err(rejection)?, &container)?
        }
        Format::WebP => {
            generic(image::codecs::webp::WebPDecoder::new(Cursor::new(bytes)).map_err(rejection)?, &container)?
        }
        Format::Tiff => {
            generic(image::codecs::tiff::TiffDecoder::new(Cursor::new(bytes)).map_err(rejection)?, &container)?
        }
        #[cfg(feature = "heic")]
        Format::Heic => crate::heic::decode(bytes, &container)?,
    };
    let (width, height) = (raw.width, raw.height);
    let linear = linearize(raw)?;
    Ok((upright(Frame { width, height, linear }, orientation), metadata))
}

fn budget(container: &Container) -> image::Limits {
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(Limits::allocation(container.width, container.height));
    limits
}

fn rejection(error: image::ImageError) -> Rejection {
    let reason = match &error {
        image::ImageError::Limits(_) => Reason::DecoderMemory,
        image::ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Reason::Truncated,
        image::ImageError::Unsupported(_) => Reason::FormatNotAllowed,
        _ => Reason::Corrupt,
    };
    Rejection::new(reason, error.to_string())
}

fn jpeg(bytes: &[u8], container: &Container) -> Result<Raw, Rejection> {
    let options = DecoderOptions::new_safe()
        .set_use_unsafe(true)
        .set_strict_mode(true)
        .set_max_width(container.width as usize)
        .set_max_height(container.height as usize)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let samples = decoder.decode().map_err(|e| Rejection::new(Reason::Corrupt, format!("{e:?}")))?;
    let (width, height) = (container.width as usize, container.height as usize);
    if samples.len() != width * height * 3 {
        return Err(Rejection::new(Reason::Corrupt, "the decoder gave another size than the header"));
    }
    Ok(Raw { width, height, samples: Samples::Eight(samples), icc: decoder.icc_profile() })
}

fn generic(mut decoder: impl ImageDecoder, container: &Container) -> Result<Raw, Rejection> {
    decoder.set_limits(budget(container)).map_err(rejection)?;
    let (width, height) = decoder.dimensions();
    let colour = decoder.color_type();
    let icc = decoder.icc_profile().map_err(rejection)?;
    let mut bytes = vec![0u8; decoder.total_bytes() as usize];
    decoder.read_image(&mut bytes).map_err(rejection)?;
    let channels = usize::from(colour.channel_count());
    let samples = match colour.bytes_per_pixel() as usize / channels {
        1 => Samples::Eight(to_rgb(&bytes, channels)),
        2 => {
            let wide: Vec<u16> = bytes.chunks_exact(2).map(|b| u16::from_ne_bytes([b[0], b[1]])).collect();
            Samples::Sixteen(to_rgb(&wide, channels))
        }
        _ => return Err(Rejection::new(Reason::FormatNotAllowed, "floating-point samples are not read")),
    };
    Ok(Raw { width: width as usize, height: height as usize, samples, icc })
}

/// Grey, grey+alpha, RGB or RGBA to RGB; alpha is dropped.
fn to_rgb<T: Copy>(samples: &[T], channels: usize) -> Vec<T> {
    let pick = if channels >= 3 { [0, 1, 2] } else { [0, 0, 0] };
    samples.chunks_exact(channels).flat_map(|p| pick.map(|c| p[c])).collect()
}

fn linearize(raw: Raw) -> Result<Vec<u16>, Rejection> {
    let linear16 = |code: f64| (to_linear(code) * 65535.0).round() as u16;
    match (raw.samples, raw.icc) {
        (Samples::Eight(samples), None) => {
            let table: Vec<u16> = (0..=255u8).map(|c| linear16(f64::from(c) / 255.0)).collect();
            Ok(samples.iter().map(|&c| table[usize::from(c)]).collect())
        }
        (samples, icc) => {
            let mut wide = match samples {
                Samples::Eight(s) => s.into_iter().map(|c| u16::from(c) * 257).collect(),
                Samples::Sixteen(s) => s,
            };
            if let Some(icc) = icc {
                profile::to_srgb(&mut wide, &icc)?;
            }
            let table: Vec<u16> = (0..=u16::MAX).map(|c| linear16(f64::from(c) / 65535.0)).collect();
            for sample in &mut wide {
                *sample = table[usize::from(*sample)];
            }
            Ok(wide)
        }
    }
}

/// Applies the EXIF orientation, so that rows run down and columns right as the photographer saw them.
fn upright(frame: Frame, orientation: u8) -> Frame {
    if orientation <= 1 {
        return frame;
    }
    let (w, h) = (frame.width, frame.height);
    let (width, height) = if orientation >= 5 { (h, w) } else { (w, h) };
    let mut linear = Vec::with_capacity(frame.linear.len());
    for y in 0..height {
        for x in 0..width {
            let (sx, sy) = match orientation {
                2 => (w - 1 - x, y),
                3 => (w - 1 - x, h - 1 - y),
                4 => (x, h - 1 - y),
                5 => (y, x),
                6 => (y, h - 1 - x),
                7 => (w - 1 - y, h - 1 - x),
                _ => (w - 1 - y, x),
            };
            let at = 3 * (sy * w + sx);
            linear.extend_from_slice(&frame.linear[at..at + 3]);
        }
    }
    Frame { width, height, linear }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(width: usize, height: usize) -> Frame {
        let linear = (0..width * height).flat_map(|i| [i as u16; 3]).collect();
        Frame { width, height, linear }
    }

    fn first(frame: &Frame) -> Vec<u16> {
        frame.linear.iter().step_by(3).copied().collect()
    }

    #[test]
    fn every_orientation_turns_as_exif_says() {
        // A 3×2 frame  0 1 2 / 3 4 5; the expected upright rows follow TIFF 6.0, tag 274.
        let expected: [(u8, usize, [u16; 6]); 8] = [
            (1, 3, [0, 1, 2, 3, 4, 5]),
            (2, 3, [2, 1, 0, 5, 4, 3]),
            (3, 3, [5, 4, 3, 2, 1, 0]),
            (4, 3, [3, 4, 5, 0, 1, 2]),
            (5, 2, [0, 3, 1, 4, 2, 5]),
            (6, 2, [3, 0, 4, 1, 5, 2]),
            (7, 2, [5, 2, 4, 1, 3, 0]),
            (8, 2, [2, 5, 1, 4, 0, 3]),
        ];
        for (orientation, width, rows) in expected {
            let turned = upright(numbered(3, 2), orientation);
            assert_eq!((turned.width, first(&turned)), (width, rows.to_vec()), "orientation {orientation}");
        }
    }

    fn jpeg_file() -> Vec<u8> {
        let pixels: Vec<u8> = (0..64 * 48 * 3).map(|i| ((i * 31) % 251) as u8).collect();
        let mut out = Vec::new();
        jpeg_encoder::Encoder::new(&mut out, 90).encode(&pixels, 64, 48, jpeg_encoder::ColorType::Rgb).unwrap();
        out
    }

    fn reason(bytes: &[u8], extension: &str) -> Reason {
        decode(bytes, extension, &Limits::default()).unwrap_err().reason
    }

    #[test]
    fn a_good_jpeg_decodes() {
        let (frame, metadata) = decode(&jpeg_file(), "jpg", &Limits::default()).unwrap();
        assert_eq!((frame.width, frame.height, metadata.orientation), (64, 48, 1));
    }

    #[test]
    fn a_jpeg_cut_anywhere_is_truncated_or_corrupt() {
        let file = jpeg_file();
        for cut in (4..file.len() - 1).step_by(7) {
            let reason = reason(&file[..cut], "jpg");
            assert!(matches!(reason, Reason::Truncated | Reason::Corrupt), "cut at {cut}: {reason}");
        }
        assert_eq!(reason(&file[..file.len() / 2], "jpg"), Reason::Truncated);
    }

    #[test]
    fn text_an_empty_file_and_a_wrong_name_are_told_apart() {
        assert_eq!(reason(b"hello, I am a text file", "jpg"), Reason::TypeMismatch);
        assert_eq!(reason(b"", "jpg"), Reason::Truncated);
        assert_eq!(reason(&jpeg_file(), "png"), Reason::TypeMismatch);
        assert_eq!(reason(b"\0\0\0\x18ftypavif\0\0\0\0avifmif1", "avif"), Reason::FormatNotAllowed);
    }

    #[test]
    fn data_behind_the_picture_is_suspected() {
        let mut file = jpeg_file();
        file.extend(std::iter::repeat_n(7u8, 100_000));
        assert_eq!(reason(&file, "jpg"), Reason::PolyglotSuspected);
    }

    fn png(width: u32, height: u32, icc: Option<&[u8]>) -> Vec<u8> {
        let mut file = vec![0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];
        let mut chunk = |kind: &[u8; 4], data: &[u8]| {
            file.extend((data.len() as u32).to_be_bytes());
            file.extend(kind);
            file.extend(data);
            let mut crc = flate2::Crc::new();
            crc.update(kind);
            crc.update(data);
            file.extend(crc.sum().to_be_bytes());
        };
        let mut head = [width.to_be_bytes(), height.to_be_bytes()].concat();
        head.extend([8, 2, 0, 0, 0]);
        chunk(b"IHDR", &head);
        if let Some(profile) = icc {
            chunk(b"iCCP", &[b"x\0\0".as_slice(), profile].concat());
        }
        chunk(b"IDAT", &[]);
        chunk(b"IEND", &[]);
        file
    }

    #[test]
    fn a_pixel_bomb_is_refused_by_its_header() {
        assert_eq!(reason(&png(20_000, 20_000, None), "png"), Reason::TooManyPixels);
    }

    #[test]
    fn a_profile_bomb_is_refused_while_it_inflates() {
        use std::io::Write;
        let mut deflated = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        for _ in 0..64 {
            deflated.write_all(&[0u8; 1 << 20]).unwrap();
        }
        let profile = deflated.finish().unwrap();
        assert!(profile.len() < 100_000);
        assert_eq!(reason(&png(4, 4, Some(&profile)), "png"), Reason::IccTooLarge);
    }

    proptest::proptest! {
        #[test]
        fn damaged_bytes_never_panic(position in 0usize..2000, value: u8) {
            let mut file = jpeg_file();
            let at = position % file.len();
            file[at] = value;
            let _ = decode(&file, "jpg", &Limits::default());
        }
    }
}
