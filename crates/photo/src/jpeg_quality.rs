/// Sum of the standard's luminance table at quality 50 (ITU-T T.81, table K.1).
const STANDARD_SUM: f64 = 3687.0;

/// Quality of a JPEG file, 1 to 100, as libjpeg's scaling of the standard table would give its luminance table; `None` for
/// other files. Cameras with tables of their own come out within some points.
pub(crate) fn jpeg_quality(bytes: &[u8]) -> Option<f64> {
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return None;
    }
    let mut at = 2;
    while let [0xff, marker, high, low] = *bytes.get(at..at + 4)? {
        let length = usize::from(u16::from_be_bytes([high, low]));
        if marker == 0xdb {
            return luminance(bytes.get(at + 4..at + 2 + length)?);
        }
        if length < 2 || marker == 0xda {
            return None;
        }
        at += 2 + length;
    }
    None
}

/// The quality that the first table of a segment stands for.
fn luminance(segment: &[u8]) -> Option<f64> {
    let sum: u32 = match segment.first()? >> 4 {
        0 => segment.get(1..65)?.iter().map(|v| u32::from(*v)).sum(),
        _ => segment.get(1..129)?.chunks_exact(2).map(|v| u32::from(u16::from_be_bytes([v[0], v[1]]))).sum(),
    };
    let scale = 100.0 * f64::from(sum) / STANDARD_SUM;
    let quality = if scale <= 100.0 { (200.0 - scale) / 2.0 } else { 5000.0 / scale };
    Some(quality.clamp(1.0, 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_encoder_was_told_is_read_back() {
        for quality in [40, 60, 75, 90, 96] {
            let mut bytes = Vec::new();
            let pixels = [128u8; 3 * 16 * 16];
            jpeg_encoder::Encoder::new(&mut bytes, quality)
                .encode(&pixels, 16, 16, jpeg_encoder::ColorType::Rgb)
                .unwrap();
            let found = jpeg_quality(&bytes).unwrap();
            assert!((found - f64::from(quality)).abs() < 2.0, "{quality}: {found}");
        }
        assert_eq!(jpeg_quality(b"\x89PNG"), None);
        assert_eq!(jpeg_quality(&[0xff, 0xd8, 0xff, 0xdb, 0, 200, 1]), None);
    }
}
