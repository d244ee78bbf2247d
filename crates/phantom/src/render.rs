//! From the photo's pixels back to the skin: each pixel finds its place on the patch and asks the light.
//!
//! Where a pixel is wider than the patch's samples it is the mean of several looks, so that fine relief does not
//! alias in small photos; the work then follows the area of skin and not the number of pixels.

use crate::field::{Field, Spot};
use crate::light::Light;
use crate::projection::PatchGrid;
use crate::size::Size;
use crate::skin::Skin;

#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) skin: &'a Skin,
    pub(crate) shadow: &'a Field,
    pub(crate) light: &'a Light,
}

impl Scene<'_> {
    /// The picture in linear light, R, G, B interleaved, before the camera.
    pub(crate) fn seen_through(&self, grid: &PatchGrid, size: Size) -> Vec<f32> {
        let looks = (grid.samples_per_px - 0.25).ceil().max(1.0) as usize;
        let offsets: Vec<f32> = (0..looks).map(|k| (k as f32 + 0.5) / looks as f32 - 0.5).collect();
        let share = 1.0 / (looks * looks) as f32;
        let mut image = vec![0.0; 3 * size.width * size.height];
        for (y, row) in image.chunks_exact_mut(3 * size.width).enumerate() {
            for down in &offsets {
                self.look_along(row, grid, y as f32 + down, &offsets, share);
            }
        }
        image
    }

    /// Adds one line of looks to a row of pixels.
    fn look_along(&self, row: &mut [f32], grid: &PatchGrid, y: f32, offsets: &[f32], share: f32) {
        for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
            for across in offsets {
                let colour = self.radiance(grid.at(x as f32 + across, y));
                for (value, part) in pixel.iter_mut().zip(colour) {
                    *value += share * part;
                }
            }
        }
    }

    fn radiance(&self, place: [f32; 2]) -> [f32; 3] {
        let spot = Spot::at(place);
        self.light.radiance(place, &self.skin.sample(&spot), self.shadow.sample(&spot))
    }
}
