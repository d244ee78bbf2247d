//! HEIC by libheif and libde265, linked into the program, behind the feature `heic`. The decoder turns and mirrors as
//! the file says, so EXIF's orientation does not count here.

use cicatrix_model::Reason;
use libheif_rs::{
    ColorPrimaries, ColorSpace, DecodingOptions, HeifContext, HeifError, HeifErrorCode, HeifErrorSubCode, ImageHandle,
    LibHeif, RgbChroma, SecurityLimits, TransferCharacteristics,
};
use moxcms::ColorProfile;

use crate::container::{Container, corrupt, icc_limit, truncated};
use crate::decode::{Raw, Samples};
use crate::{Format, Limits, Rejection};

/// Brands of a still picture in HEVC (ISO/IEC 23008-12, annex B).
const BRANDS: [&[u8; 4]; 4] = [b"heic", b"heix", b"heim", b"heis"];

/// Whether the file says that it holds such a picture, as its major or as a compatible brand.
pub(crate) fn is_heic(bytes: &[u8]) -> bool {
    let Some((size, _)) = head(bytes) else { return false };
    let brands = bytes.get(8..size.min(bytes.len() as u64) as usize).unwrap_or_default();
    bytes[4..8] == *b"ftyp" && brands.chunks_exact(4).any(|brand| BRANDS.iter().any(|b| brand == *b))
}

pub(crate) fn inspect(bytes: &[u8], limits: &Limits) -> Result<Container, Rejection> {
    let trailing_bytes = behind_last_box(bytes)?;
    let context = open(bytes, 64 << 20)?;
    let handle = context.primary_image_handle().map_err(rejection)?;
    icc_limit(handle.color_profile_raw().map_or(0, |p| p.data.len() as u64), limits)?;
    Ok(Container { format: Format::Heic, width: handle.width(), height: handle.height(), trailing_bytes })
}

pub(crate) fn decode(bytes: &[u8], container: &Container) -> Result<Raw, Rejection> {
    let context = open(bytes, Limits::allocation(container.width, container.height))?;
    let handle = context.primary_image_handle().map_err(rejection)?;
    let icc = profile(&handle)?;
    let wide = handle.luma_bits_per_pixel() > 8;
    let chroma = if wide { RgbChroma::HdrRgbLe } else { RgbChroma::Rgb };
    let mut options = DecodingOptions::new().ok_or_else(|| corrupt("libheif gave no decoding options"))?;
    options.set_strict_decoding(true);
    options.set_num_library_threads(1);
    options.set_num_codec_threads(1);
    let image = LibHeif::new().decode(&handle, ColorSpace::Rgb(chroma), Some(options)).map_err(rejection)?;
    let plane = image.planes().interleaved.ok_or_else(|| corrupt("the decoder gave no picture"))?;
    if (plane.width, plane.height) != (container.width, container.height) {
        return Err(corrupt("the decoder gave another size than the header"));
    }
    let (width, height) = (plane.width as usize, plane.height as usize);
    let row_bytes = width * if wide { 6 } else { 3 };
    let rows = plane.data.chunks(plane.stride).take(height).map(|row| &row[..row_bytes]);
    let samples = if wide {
        let white = (1u32 << plane.bits_per_pixel) - 1;
        let spread = |b: &[u8]| (u32::from(u16::from_le_bytes([b[0], b[1]])).min(white) * 65535 / white) as u16;
        Samples::Sixteen(rows.flat_map(|row| row.chunks_exact(2).map(spread)).collect())
    } else {
        Samples::Eight(rows.flatten().copied().collect())
    };
    Ok(Raw { width, height, samples, icc })
}

fn open(bytes: &[u8], memory: u64) -> Result<HeifContext<'_>, Rejection> {
    let mut limits = SecurityLimits::new();
    limits.set_max_total_memory(memory);
    limits.set_max_memory_block_size(memory);
    let mut context = HeifContext::new().map_err(rejection)?;
    context.set_security_limits(&limits).map_err(rejection)?;
    context.set_max_decoding_threads(1);
    let mut context: HeifContext<'_> = context;
    context.read_bytes(bytes).map_err(rejection)?;
    Ok(context)
}

/// The colour profile as ICC; without one, the coded primaries count.
fn profile(handle: &ImageHandle) -> Result<Option<Vec<u8>>, Rejection> {
    let refused = |what: &str| Rejection::new(Reason::FormatNotAllowed, format!("{what} is not read"));
    if let Some(coded) = handle.color_profile_nclx() {
        match coded.transfer_characteristics() {
            TransferCharacteristics::ITU_R_BT_2100_0_PQ => return Err(refused("HDR with the PQ curve")),
            TransferCharacteristics::ITU_R_BT_2100_0_HLG => return Err(refused("HDR with the HLG curve")),
            _ => {}
        }
        if handle.color_profile_raw().is_none() && coded.color_primaries() == ColorPrimaries::SMPTE_EG_432_1 {
            return ColorProfile::new_display_p3().encode().map(Some).map_err(|e| corrupt(e.to_string()));
        }
    }
    Ok(handle.color_profile_raw().map(|p| p.data))
}

/// Size and kind of the box at the start; size 0 in the file means "to its end".
fn head(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let size = u64::from(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?));
    let kind = bytes.get(4..8)?;
    match size {
        0 => Some((bytes.len() as u64, kind)),
        1 => Some((u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?), kind)),
        size => Some((size, kind)),
    }
}

/// Walks the outer boxes; what no picture file has at its end lies behind it.
fn behind_last_box(bytes: &[u8]) -> Result<u64, Rejection> {
    const KINDS: [&[u8]; 7] = [b"ftyp", b"meta", b"mdat", b"free", b"skip", b"moov", b"uuid"];
    let mut rest = bytes;
    while let Some((size, kind)) = head(rest) {
        if !KINDS.contains(&kind) || size < 8 {
            break;
        }
        rest = rest.get(size as usize..).ok_or_else(|| truncated("the picture"))?;
    }
    Ok(rest.len() as u64)
}

fn rejection(error: HeifError) -> Rejection {
    let reason = match (error.code, error.sub_code) {
        (HeifErrorCode::MemoryAllocationError, _) | (_, HeifErrorSubCode::SecurityLimitExceeded) => {
            Reason::DecoderMemory
        }
        (HeifErrorCode::UnsupportedFeature | HeifErrorCode::UnsupportedFileType, _) => Reason::FormatNotAllowed,
        (_, HeifErrorSubCode::EndOfData) => Reason::Truncated,
        _ => Reason::Corrupt,
    };
    Rejection::new(reason, error.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;

    /// 96×128 px seen upright: red, green, blue, skin in the quadrants; stored turned by 90° as phones do, with EXIF
    /// orientation 6 beside it, and Display P3 as coded primaries. Made with pillow-heif 1.8.
    const TURNED: &[u8] = include_bytes!("../tests/fixtures/turned_p3.heic");
    /// The same quadrants, ten bits, not turned, sRGB.
    const TEN_BIT: &[u8] = include_bytes!("../tests/fixtures/ten_bit.heic");

    /// Linear R, G, B in the middle of a quadrant.
    fn seen(bytes: &[u8], x: usize, y: usize) -> [f64; 3] {
        let (frame, _) = decode(bytes, "heic", &Limits::default()).unwrap();
        assert_eq!((frame.width, frame.height), (96, 128));
        let at = 3 * (y * frame.width + x);
        [0, 1, 2].map(|c| f64::from(frame.linear[at + c]) / 65535.0)
    }

    fn near(seen: [f64; 3], code: [f64; 3]) {
        for c in 0..3 {
            let truth = crate::to_linear(code[c] / 255.0);
            assert!((seen[c] - truth).abs() < 0.02, "channel {c}: {} against {truth}", seen[c]);
        }
    }

    #[test]
    fn ten_bits_give_the_coded_colours() {
        near(seen(TEN_BIT, 24, 32), [200.0, 40.0, 40.0]);
        near(seen(TEN_BIT, 72, 32), [40.0, 200.0, 40.0]);
        near(seen(TEN_BIT, 24, 96), [40.0, 40.0, 200.0]);
        near(seen(TEN_BIT, 72, 96), [180.0, 140.0, 120.0]);
    }

    #[test]
    fn a_turned_photo_is_turned_once_and_display_p3_becomes_srgb() {
        // P3 to sRGB of (180, 140, 120)/255 by the matrices of SMPTE EG 432-1 and IEC 61966-2-1.
        near(seen(TURNED, 72, 96), [187.5, 138.0, 116.6]);
        let [r, g, b] = seen(TURNED, 24, 32);
        assert!(r > 0.68 && g < 0.02 && b < 0.02, "P3's red is redder than sRGB's: {r} {g} {b}");
        let (_, metadata) = decode(TURNED, "heic", &Limits::default()).unwrap();
        assert_eq!((metadata.camera.as_deref(), metadata.captured_at.is_some()), (Some("Phone 1"), true));
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        for cut in 12..TURNED.len() - 1 {
            let reason = decode(&TURNED[..cut], "heic", &Limits::default()).unwrap_err().reason;
            assert!(matches!(reason, Reason::Truncated | Reason::Corrupt | Reason::TypeMismatch), "{cut}: {reason}");
        }
    }

    #[test]
    fn limits_names_and_appendices_count_as_for_other_formats() {
        let reason = |bytes: &[u8], name: &str, limits: Limits| decode(bytes, name, &limits).unwrap_err().reason;
        let small = Limits { max_pixels: 96 * 128 - 1, ..Limits::default() };
        assert_eq!(reason(TURNED, "heic", small), Reason::TooManyPixels);
        assert_eq!(reason(TURNED, "jpg", Limits::default()), Reason::TypeMismatch);
        let longer = [TURNED, &vec![7; 100_000]].concat();
        assert_eq!(reason(&longer, "heic", Limits::default()), Reason::PolyglotSuspected);
    }

    proptest::proptest! {
        #[test]
        fn damaged_bytes_never_panic(position in 0usize..843, value: u8) {
            let mut file = TURNED.to_vec();
            file[position] = value;
            let _ = decode(&file, "heic", &Limits::default());
        }
    }
}
