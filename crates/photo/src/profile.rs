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
