//! Reads a file's structure without decoding a pixel: size of the frame, size of the colour profile, whether the
//! picture ends where it should and what lies behind. A pixel limit is no memory limit, so the profile is measured
//! here, inflated through a counter and never into memory beyond its limit.

use std::io::Read;

use cicatrix_model::Reason;
use image::ImageDecoder;

use crate::{Format, Limits, Rejection};

/// What a file's structure says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub format: Format,
    /// Pixels as stored, before the EXIF orientation.
    pub width: u32,
    pub height: u32,
    /// Bytes behind the end of the picture.
    pub trailing_bytes: u64,
}

/// Checks a file against the limits; `extension` is what its name claims.
pub fn inspect(bytes: &[u8], extension: &str, limits: &Limits) -> Result<Container, Rejection> {
    if bytes.len() as u64 > limits.max_bytes {
        return Err(Rejection::new(
            Reason::FileTooLarge,
            format!("{} bytes, the limit is {}", bytes.len(), limits.max_bytes),
        ));
    }
    let container = match Format::sniff_as(bytes, extension)? {
        Format::Jpeg => jpeg(bytes, limits)?,
        Format::Png => png(bytes, limits)?,
        Format::WebP => webp(bytes, limits)?,
        Format::Tiff => tiff(bytes, limits)?,
        #[cfg(feature = "heic")]
        Format::Heic => crate::heic::inspect(bytes, limits)?,
    };
    check_size(&container, limits)?;
    if container.trailing_bytes > limits.max_trailing_bytes {
        return Err(Rejection::new(
            Reason::PolyglotSuspected,
            format!("{} bytes lie behind the picture", container.trailing_bytes),
        ));
    }
    Ok(container)
}

fn check_size(container: &Container, limits: &Limits) -> Result<(), Rejection> {
    let Container { width, height, .. } = *container;
    if width == 0 || height == 0 {
        return Err(Rejection::new(Reason::Corrupt, "the frame has no pixels"));
    }
    if u64::from(width) * u64::from(height) > limits.max_pixels || width.max(height) > limits.max_side {
        return Err(Rejection::new(
            Reason::TooManyPixels,
            format!("{width}x{height}, the limit is {} pixels and {} a side", limits.max_pixels, limits.max_side),
        ));
    }
    Ok(())
}

pub(crate) fn corrupt(detail: impl Into<String>) -> Rejection {
    Rejection::new(Reason::Corrupt, detail)
}

pub(crate) fn truncated(what: &str) -> Rejection {
    Rejection::new(Reason::Truncated, format!("the file ends inside {what}"))
}

pub(crate) fn icc_limit(size: u64, limits: &Limits) -> Result<(), Rejection> {
    if size <= limits.max_icc_bytes {
        return Ok(());
    }
    Err(Rejection::new(Reason::IccTooLarge, format!("the colour profile has more than {} bytes", limits.max_icc_bytes)))
}

/// Walks the markers to the end of the picture. A scan that stops before EOI is truncated.
fn jpeg(bytes: &[u8], limits: &Limits) -> Result<Container, Rejection> {
    let mut at = 2;
    let mut size = None;
    let mut icc = 0u64;
    loop {
        let marker = next_marker(bytes, &mut at)?;
        match marker {
            0xd9 => break,
            0x01 | 0xd0..=0xd8 => continue,
            _ => {}
        }
        let length = bytes.get(at..at + 2).map(|b| usize::from(u16::from_be_bytes([b[0], b[1]])));
        let length = length.ok_or_else(|| truncated("its header"))?;
        let segment = bytes.get(at + 2..at + length.max(2)).ok_or_else(|| truncated("its header"))?;
        at += length.max(2);
        match marker {
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let [_, h1, h0, w1, w0, ..] = *segment else { return Err(corrupt("short frame header")) };
                size.get_or_insert((u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0])));
            }
            0xe2 if segment.starts_with(b"ICC_PROFILE\0") => {
                icc += segment.len() as u64;
                icc_limit(icc, limits)?;
            }
            0xda => skip_scan(bytes, &mut at)?,
            _ => {}
        }
    }
    let (width, height) = size.ok_or_else(|| corrupt("no frame header"))?;
    Ok(Container {
        format: Format::Jpeg,
        width: width.into(),
        height: height.into(),
        trailing_bytes: (bytes.len() - at) as u64,
    })
}

fn next_marker(bytes: &[u8], at: &mut usize) -> Result<u8, Rejection> {
    if bytes.get(*at) != Some(&0xff) {
        return Err(if *at >= bytes.len() { truncated("the picture") } else { corrupt("bytes between segments") });
    }
    while bytes.get(*at) == Some(&0xff) {
        *at += 1;
    }
    let marker = *bytes.get(*at).ok_or_else(|| truncated("the picture"))?;
    *at += 1;
    Ok(marker)
}

/// Moves to the marker behind entropy-coded data.
fn skip_scan(bytes: &[u8], at: &mut usize) -> Result<(), Rejection> {
    loop {
        let rest = bytes.get(*at..).unwrap_or_default();
        let offset = rest.iter().position(|&b| b == 0xff).ok_or_else(|| truncated("the picture"))?;
        *at += offset;
        match bytes.get(*at + 1) {
            Some(0 | 0xd0..=0xd7) => *at += 2,
            Some(0xff) => *at += 1,
            Some(_) => return Ok(()),
            None => return Err(truncated("the picture")),
        }
    }
}

fn png(bytes: &[u8], limits: &Limits) -> Result<Container, Rejection> {
    let mut at = 8;
    let mut size = None;
    loop {
        let head = bytes.get(at..at + 8).ok_or_else(|| truncated("the picture"))?;
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let kind = &head[4..8];
        let data = bytes.get(at + 8..at + 8 + length).ok_or_else(|| truncated("the picture"))?;
        at += 12 + length;
        match kind {
            b"IHDR" => {
                let [w3, w2, w1, w0, h3, h2, h1, h0, ..] = *data else { return Err(corrupt("short IHDR")) };
                let frame = (u32::from_be_bytes([w3, w2, w1, w0]), u32::from_be_bytes([h3, h2, h1, h0]));
                size = Some(frame);
            }
            b"iCCP" => icc_limit(inflated_size(data, limits.max_icc_bytes), limits)?,
            b"IEND" => break,
            _ => {}
        }
    }
    let (width, height) = size.ok_or_else(|| corrupt("no IHDR chunk"))?;
    let trailing_bytes = bytes.len().saturating_sub(at) as u64;
    Ok(Container { format: Format::Png, width, height, trailing_bytes })
}

/// Counts what an iCCP chunk inflates to, and stops one byte above the limit.
fn inflated_size(chunk: &[u8], limit: u64) -> u64 {
    let Some(name_end) = chunk.iter().position(|&b| b == 0) else { return 0 };
    let data = chunk.get(name_end + 2..).unwrap_or_default();
    let mut counted = flate2::read::ZlibDecoder::new(data).take(limit + 1);
    let mut buffer = [0u8; 8192];
    let mut size = 0;
    while let Ok(n @ 1..) = counted.read(&mut buffer) {
        size += n as u64;
    }
    size
}

fn webp(bytes: &[u8], limits: &Limits) -> Result<Container, Rejection> {
    let claimed = u64::from(u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]])) + 8;
    if claimed > bytes.len() as u64 {
        return Err(truncated("the picture"));
    }
    icc_limit(riff_chunk_size(bytes, b"ICCP"), limits)?;
    let decoder = image::codecs::webp::WebPDecoder::new(std::io::Cursor::new(bytes));
    let (width, height) = decoder.map_err(|e| corrupt(e.to_string()))?.dimensions();
    Ok(Container { format: Format::WebP, width, height, trailing_bytes: bytes.len() as u64 - claimed })
}

fn riff_chunk_size(bytes: &[u8], kind: &[u8; 4]) -> u64 {
    let mut at = 12;
    while let Some(head) = bytes.get(at..at + 8) {
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if &head[..4] == kind {
            return size as u64;
        }
        at += 8 + size + (size & 1);
    }
    0
}

fn tiff(bytes: &[u8], limits: &Limits) -> Result<Container, Rejection> {
    let decoder = image::codecs::tiff::TiffDecoder::new(std::io::Cursor::new(bytes));
    let mut decoder = decoder.map_err(|e| corrupt(e.to_string()))?;
    let (width, height) = decoder.dimensions();
    let profile = decoder.icc_profile().ok().flatten().map_or(0, |p| p.len() as u64);
    icc_limit(profile, limits)?;
    Ok(Container { format: Format::Tiff, width, height, trailing_bytes: 0 })
}
