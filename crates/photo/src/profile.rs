//! Colour: embedded ICC profile to sRGB primaries. Phones write Display P3; taken for sRGB, red skin comes out
//! 5–8 % less red.

use cicatrix_model::Reason;
use moxcms::{ColorProfile, Layout, TransformOptions};

use crate::Rejection;

/// Turns RGB samples of the profile's space into sRGB, in place. Samples are encoded (not linear), 16 bits.
pub(crate) fn to_srgb(samples: &mut [u16], icc: &[u8]) -> Result<(), Rejection> {
    let unusable = |what: &str| Rejection::new(Reason::Corrupt, format!("the colour profile {what}"));
    let source = ColorProfile::new_from_slice(icc).map_err(|_| unusable("cannot be read"))?;
    if source.color_space != moxcms::DataColorSpace::Rgb {
        return Ok(()); // a grey profile on samples that were spread to RGB: its curve is close to sRGB's
    }
    let target = ColorProfile::new_srgb();
    let transform = source
        .create_transform_16bit(Layout::Rgb, &target, Layout::Rgb, TransformOptions::default())
        .map_err(|_| unusable("cannot be used"))?;
    const ROWS: usize = 3 * 16_384;
    let mut out = vec![0u16; ROWS.min(samples.len())];
    for chunk in samples.chunks_mut(ROWS) {
        let out = &mut out[..chunk.len()];
        transform.transform(chunk, out).map_err(|_| unusable("cannot be used"))?;
        chunk.copy_from_slice(out);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (180, 140, 120)/255 in Display P3 is (187.5, 138.0, 116.6)/255 in sRGB, by the matrices of SMPTE EG 432-1 and
    /// IEC 61966-2-1.
    #[test]
    fn skin_in_display_p3_becomes_redder_in_srgb() {
        let p3 = ColorProfile::new_display_p3().encode().unwrap();
        let mut samples = [180u16, 140, 120].map(|code| code * 257);
        to_srgb(&mut samples, &p3).unwrap();
        for (sample, expected) in samples.iter().zip([187.5, 138.0, 116.6]) {
            let code = f64::from(*sample) / 257.0;
            assert!((code - expected).abs() < 0.6, "{samples:?}: {code} and not {expected}");
        }
    }

    #[test]
    fn a_profile_that_is_none_is_refused() {
        assert_eq!(to_srgb(&mut [1, 2, 3], b"no profile").unwrap_err().reason, Reason::Corrupt);
    }
}
