//! One shot: its pixels, its truth, and the exact map between its pixels and the skin.

use std::fmt;

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::projection::Projection;
use crate::truth::PhotoTruth;

#[derive(Clone)]
pub struct Photo {
    pub width: u32,
    pub height: u32,
    /// 8-bit sRGB, R, G, B interleaved, row by row.
    pub srgb: Vec<u8>,
    pub truth: PhotoTruth,
    pub(crate) projection: Projection,
}

impl fmt::Debug for Photo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Photo")
            .field("width", &self.width)
            .field("height", &self.height)
            .field("truth", &self.truth)
            .finish_non_exhaustive()
    }
}

impl Photo {
    /// The photo as a JPEG file with 4:2:0 chroma at the quality that the nuisance drew, without metadata.
    pub fn to_jpeg(&self) -> Vec<u8> {
        jpeg(&self.srgb, (self.width, self.height), self.truth.nuisance.shot.jpeg_quality)
    }

    /// The pixel that shows a point of the skin (mm from the patch's centre, skin at rest); pixel centres lie at
    /// integers. The pixel may lie outside the photo.
    pub fn project(&self, patch_mm: [f64; 2]) -> [f64; 2] {
        self.projection.project(patch_mm)
    }

    /// The point of the skin that a pixel shows, mm from the patch's centre.
    pub fn unproject(&self, pixel: [f64; 2]) -> [f64; 2] {
        self.projection.unproject(pixel)
    }

    /// Where another photo of the same patient shows the skin that this photo shows at `pixel`.
    pub fn map_to(&self, other: &Photo, pixel: [f64; 2]) -> [f64; 2] {
        other.project(self.unproject(pixel))
    }
}

/// 8-bit sRGB, row by row, as a JPEG file with 4:2:0 chroma.
pub fn jpeg(srgb: &[u8], (width, height): (u32, u32), quality: u8) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder
        .encode(srgb, width as u16, height as u16, ColorType::Rgb)
        .expect("sizes are kept within a JPEG's, and a vector takes every byte");
    bytes
}
