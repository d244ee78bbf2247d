//! Derived pictures: shrunk and encoded afresh from pixels, so that nothing of the original's metadata can follow.

use fast_image_resize as fir;
use image::{ExtendedColorType, ImageEncoder};

/// Of pictures for people, of 100.
const QUALITY: f32 = 85.0;

/// Why a picture was not made; a bug of ours, not the photo's fault.
#[derive(Debug, thiserror::Error)]
#[error("failed to make a preview: {0}")]
pub struct PreviewError(String);

fn error(e: impl std::fmt::Display) -> PreviewError {
    PreviewError(e.to_string())
}

/// Shrinks 8-bit RGB so that its longer side has at most `max_side` pixels. Returns pixels, width and height.
pub fn shrink(
    rgb: Vec<u8>,
    width: usize,
    height: usize,
    max_side: usize,
) -> Result<(Vec<u8>, usize, usize), PreviewError> {
    let longer = width.max(height);
    if longer <= max_side {
        return Ok((rgb, width, height));
    }
    let scaled = |side: usize| (side * max_side).div_ceil(longer).max(1);
    let (w, h) = (scaled(width), scaled(height));
    let source =
        fir::images::Image::from_vec_u8(width as u32, height as u32, rgb, fir::PixelType::U8x3).map_err(error)?;
    let mut target = fir::images::Image::new(w as u32, h as u32, fir::PixelType::U8x3);
    let how = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::Lanczos3));
    fir::Resizer::new().resize(&source, &mut target, &how).map_err(error)?;
    Ok((target.into_vec(), w, h))
}

/// WebP of 8-bit RGB, of a quality at which skin looks as it was (libwebp's 85 of 100): a twelfth of what lossless takes.
pub fn encode_webp(rgb: &[u8], width: usize, height: usize) -> Result<Vec<u8>, PreviewError> {
    if rgb.len() != 3 * width * height {
        return Err(error(format!("{} bytes for {width} x {height} pixels", rgb.len())));
    }
    let encoder = webp::Encoder::from_rgb(rgb, width as u32, height as u32);
    let encoded = encoder.encode_simple(false, QUALITY).map_err(|e| error(format!("{e:?}")))?;
    Ok(encoded.to_vec())
}

/// PNG of 8-bit samples: 1 (grey), 3 (RGB) or 4 (RGBA) channels, told by the length.
pub fn encode_png(samples: &[u8], width: usize, height: usize) -> Result<Vec<u8>, PreviewError> {
    let colour = match samples.len() / (width * height).max(1) {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        4 => ExtendedColorType::Rgba8,
        n => return Err(error(format!("{n} channels"))),
    };
    let mut out = Vec::new();
    image::codecs::png::PngEncoder::new(&mut out)
        .write_image(samples, width as u32, height as u32, colour)
        .map_err(error)?;
    Ok(out)
}
