//! The shape of the light: a smooth log-gain field between two aligned photos, common to the channels.

use cicatrix_photo::{Plane, masked_gaussian, masked_median};

/// Differences beyond this (ln) from the photos' own are a lesion or a highlight, not light.
const LARGEST: f32 = 0.5;

/// Field to add to the moving photo; its weighted mean is 0, so that it moves no level of the region.
pub(crate) fn field(channels: &[(&Plane, &Plane); 3], skin: &Plane, sigma: f32) -> Plane {
    let mut difference = Plane::filled(skin.width, skin.height, 0.0);
    for (fixed, moving) in channels {
        for ((d, f), m) in difference.data.iter_mut().zip(&fixed.data).zip(&moving.data) {
            *d += (f - m) / 3.0;
        }
    }
    let level = masked_median(&difference, skin);
    let difference = difference.map(|d| (d - level).clamp(-LARGEST, LARGEST));
    let smooth = coarse_blur(&difference, skin, sigma);
    let mean = weighted(&smooth, skin, |v| v);
    smooth.map(|v| v - mean as f32)
}

/// A wide blur done on a grid that is 8 times coarser.
fn coarse_blur(plane: &Plane, weight: &Plane, sigma: f32) -> Plane {
    let product = plane.zip(weight, |v, w| v * w);
    let shrink = |p: &Plane| p.half().half().half();
    let (sum, norm) = (shrink(&product), shrink(weight));
    let mean = sum.zip(&norm, |s, n| if n > 0.0 { s / n } else { 0.0 });
    let blurred = masked_gaussian(&mean, &norm, sigma / 8.0);
    let mut out = Plane::filled(plane.width, plane.height, 0.0);
    for y in 0..plane.height {
        for (x, v) in out.row_mut(y).iter_mut().enumerate() {
            *v = bilinear(&blurred, (x as f32 - 3.5) / 8.0, (y as f32 - 3.5) / 8.0);
        }
    }
    out
}

fn bilinear(plane: &Plane, x: f32, y: f32) -> f32 {
    let (x, y) = (x.clamp(0.0, plane.width as f32 - 1.0), y.clamp(0.0, plane.height as f32 - 1.0));
    let (x0, y0) = (x as usize, y as usize);
    let (x1, y1) = ((x0 + 1).min(plane.width - 1), (y0 + 1).min(plane.height - 1));
    let (fx, fy) = (x - x0 as f32, y - y0 as f32);
    let top = plane.row(y0)[x0] + fx * (plane.row(y0)[x1] - plane.row(y0)[x0]);
    let bottom = plane.row(y1)[x0] + fx * (plane.row(y1)[x1] - plane.row(y1)[x0]);
    top + fy * (bottom - top)
}

fn weighted(plane: &Plane, weight: &Plane, f: impl Fn(f64) -> f64) -> f64 {
    let (mut sum, mut n) = (0.0, 0.0);
    for (v, w) in plane.data.iter().zip(&weight.data) {
        sum += f(f64::from(*v)) * f64::from(*w);
        n += f64::from(*w);
    }
    if n > 0.0 { sum / n } else { 0.0 }
}

pub(crate) fn rms(field: &Plane, weight: &Plane) -> f64 {
    weighted(field, weight, |v| v * v).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gradient_is_taken_and_a_lesion_is_left() {
        let (w, h) = (256, 192);
        let ramp = |i: usize| 0.3 * ((i % w) as f32 / w as f32 - 0.5);
        let lesion = |i: usize| {
            let (dx, dy) = ((i % w) as f32 - 128.0, (i / w) as f32 - 96.0);
            if dx.hypot(dy) < 8.0 { -0.3 } else { 0.0 }
        };
        let fixed = Plane::filled(w, h, -1.0);
        let moving = Plane { width: w, height: h, data: (0..w * h).map(|i| -1.0 + ramp(i) + lesion(i)).collect() };
        let skin = Plane::filled(w, h, 1.0);
        let field = field(&[(&fixed, &moving); 3], &skin, 40.0);
        let flat = moving.zip(&field, |m, f| m + f);
        let at = |x: usize, y: usize| flat.row(y)[x] + 1.0;
        assert!((at(128, 96) - at(128, 30) + 0.3).abs() < 0.03, "the lesion changed");
        assert!((at(60, 96) - at(196, 96)).abs() < 0.04, "the gradient stayed: {}", at(60, 96) - at(196, 96));
    }
}
