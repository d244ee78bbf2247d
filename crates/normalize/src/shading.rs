//! The large-scale shading of a region: what a cheek's own roundness shows of the light.
//!
//! To first order, shade is `ln I = const + s · (slope of the skin towards the light)`, with `s = (1 − a) tan θ / …` the
//! strength of the light: θ its angle from above, `a` the share that comes from everywhere. Relief and roundness are shaded
//! by the same `s`. Relief changes with the scars and from day to day; roundness does not. So the gradient of the region's
//! shade, beside that of the baseline, tells a change of light from a change of skin, which the contrast of the skin alone
//! cannot.
//!
//! Gloss adds a gradient of its own, which goes with the camera and not with relief. It is white: on a channel of level
//! `I_c` it weighs as `1/I_c`, most in blue. Over the three channels the gradient is therefore `matte + gloss · u_c`,
//! `u_c` the levels' inverses over their mean (the dichromatic model, Shafer 1985, Color Res. Appl. 10:210), solved by
//! least squares with a ridge on the gloss, since on pale skin the channels differ little.
//!
//! Known limits: fall-off of a near lamp and vignetting add to the gradient; a flat region has none; redness or tan that
//! grows across a whole region is taken for gloss or shade in part.

use cicatrix_photo::Plane;
use nalgebra::{Matrix2, SMatrix, SVector, Vector2};

/// Terms of the quadratic: 1, x, y, x², xy, y².
const TERMS: usize = 6;
/// Nodes between two that are looked at, each way.
const STEP: usize = 3;
const ROUNDS: usize = 4;
/// Beyond this many robust standard deviations a node is a scar, a spot or a hair.
const CUT: f64 = 3.0;
const LEAST: usize = 100;
/// Weight of the gloss's own square: 0 trusts the channels' difference, large takes all for matte.
const RIDGE: f64 = 0.1;
/// A gradient below this, per mm, tells no direction; cheeks of the practice photos have 0.005 to 0.02.
const LEAST_GRADIENT: f64 = 0.002;

/// Gradients of the shade at the middle of a region, ln per mm, x to the right and y down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shading {
    /// Of the skin's matte reflection.
    pub matte: [f64; 2],
    /// Of the gloss on it, as it stands in a channel of mean level.
    pub gloss: [f64; 2],
}

impl Shading {
    /// Reads the shade of the skin in ln red, green and blue; `None` where there is too little skin.
    pub fn of(ln: [&Plane; 3], skin: &Plane, px_per_mm: f64) -> Option<Self> {
        let places = places(skin, px_per_mm);
        let fits = ln.map(|channel| fit(&samples(channel, &places)));
        let [Some(r), Some(g), Some(b)] = fits else { return None };
        let inverse = [r, g, b].map(|fit| (-fit[0]).exp());
        let mean = inverse.iter().sum::<f64>() / 3.0;
        let u = inverse.map(|v| v / mean);
        let normal = Matrix2::new(3.0, 3.0, 3.0, u.iter().map(|v| v * v).sum::<f64>() + RIDGE);
        let solver = normal.cholesky()?;
        let along = |axis: usize| {
            let gradients = [r, g, b].map(|fit| fit[axis]);
            let weighted: f64 = gradients.iter().zip(&u).map(|(g, u)| g * u).sum();
            solver.solve(&Vector2::new(gradients.iter().sum(), weighted))
        };
        let (x, y) = (along(1), along(2));
        Some(Self { matte: [x[0], y[0]], gloss: [x[1], y[1]] })
    }

    /// Unit vector in the photo towards the light, since skin is round and bright where it faces it; `None` where the
    /// shade is too even to tell.
    pub fn towards_light(&self) -> Option<[f64; 2]> {
        let length = self.strength();
        (length >= LEAST_GRADIENT).then(|| self.matte.map(|part| part / length))
    }

    /// Length of the matte gradient, ln per mm.
    pub fn strength(&self) -> f64 {
        self.matte[0].hypot(self.matte[1])
    }

    /// ln of the strength against another's. The floor keeps a flat region, which tells nothing, near 0.
    pub fn ln_ratio(&self, other: &Self) -> f64 {
        ((self.strength() + LEAST_GRADIENT) / (other.strength() + LEAST_GRADIENT)).ln()
    }

    /// Angle in the photo from the other's light to this one's, degrees, −180 to 180, clockwise as seen; `None` where one
    /// of them has no direction.
    pub fn turn_deg(&self, other: &Self) -> Option<f64> {
        let (a, b) = (self.towards_light()?, other.towards_light()?);
        Some((b[0] * a[1] - b[1] * a[0]).atan2(a[0] * b[0] + a[1] * b[1]).to_degrees())
    }
}

/// A node of the skin: its index, and its terms, places in mm from the middle of the skin.
type Place = (usize, SVector<f64, TERMS>);

fn places(skin: &Plane, px_per_mm: f64) -> Vec<Place> {
    let nodes = (0..skin.height).step_by(STEP).flat_map(|y| (0..skin.width).step_by(STEP).map(move |x| (x, y)));
    let nodes: Vec<(usize, usize)> = nodes.filter(|&(x, y)| skin.row(y)[x] > 0.5).collect();
    let n = nodes.len().max(1) as f64;
    let (mx, my) = nodes.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + *x as f64 / n, b + *y as f64 / n));
    let place = |(x, y): (usize, usize)| {
        let (u, v) = ((x as f64 - mx) / px_per_mm, (y as f64 - my) / px_per_mm);
        (y * skin.width + x, SVector::from([1.0, u, v, u * u, u * v, v * v]))
    };
    nodes.into_iter().map(place).collect()
}

fn samples<'a>(ln: &Plane, places: &'a [Place]) -> Vec<(&'a SVector<f64, TERMS>, f64)> {
    places.iter().map(|(at, terms)| (terms, f64::from(ln.data[*at]))).collect()
}

/// A robust quadratic.
fn fit(samples: &[(&SVector<f64, TERMS>, f64)]) -> Option<SVector<f64, TERMS>> {
    if samples.len() < LEAST {
        return None;
    }
    let mut cut = f64::INFINITY;
    let mut fit = SVector::<f64, TERMS>::zeros();
    for _ in 0..ROUNDS {
        fit = least_squares(samples, &fit, cut)?;
        let mut distances: Vec<f64> = samples.iter().map(|(t, v)| (v - t.dot(&fit)).abs()).collect();
        let middle = distances.len() / 2;
        cut = CUT * 1.4826 * *distances.select_nth_unstable_by(middle, f64::total_cmp).1;
    }
    Some(fit)
}

fn least_squares(
    samples: &[(&SVector<f64, TERMS>, f64)],
    before: &SVector<f64, TERMS>,
    cut: f64,
) -> Option<SVector<f64, TERMS>> {
    let mut normal = SMatrix::<f64, TERMS, TERMS>::zeros();
    let mut right = SVector::<f64, TERMS>::zeros();
    for (terms, value) in samples.iter().filter(|(t, v)| (v - t.dot(before)).abs() <= cut) {
        normal += *terms * terms.transpose();
        right += *terms * *value;
    }
    normal.cholesky().map(|factor| factor.solve(&right))
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: usize = 300;
    const H: usize = 200;

    /// A round cheek with scars, in ln of `level · shade + gloss`.
    fn cheek(level: f64, gloss: f64) -> Plane {
        let value = |i: usize| {
            let (x, y) = ((i % W) as f64 / 10.0 - 14.95, (i / W) as f64 / 10.0 - 9.95);
            let scar = if i.is_multiple_of(37) { -0.8 } else { 0.0 };
            let matte = level * (0.012 * x - 0.004 * y - 0.0003 * x * x + scar).exp();
            (matte + gloss * (1.0 + 0.05 * y)).ln() as f32
        };
        Plane { width: W, height: H, data: (0..W * H).map(value).collect() }
    }

    fn read(levels: [f64; 3], gloss: f64) -> Shading {
        let [r, g, b] = levels.map(|level| cheek(level, gloss));
        Shading::of([&r, &g, &b], &Plane::filled(W, H, 1.0), 10.0).unwrap()
    }

    #[test]
    fn the_gradient_of_a_round_cheek_is_found_under_scars_and_spots() {
        let [x, y] = read([0.4, 0.25, 0.18], 0.0).matte;
        assert!((x - 0.012).abs() < 3e-4 && (y + 0.004).abs() < 3e-4, "{x} {y}");
    }

    #[test]
    fn gloss_is_told_from_shade() {
        let levels = [0.4, 0.25, 0.12];
        let glossy = read(levels, 0.012);
        assert!((glossy.matte[1] + 0.004).abs() < 1.5e-3, "{glossy:?}");
        let blue = cheek(levels[2], 0.012);
        let places = places(&Plane::filled(W, H, 1.0), 10.0);
        let apparent = fit(&samples(&blue, &places)).unwrap()[2];
        assert!((apparent + 0.004).abs() > 3e-3, "the test's gloss does nothing: {apparent}");
    }

    #[test]
    fn without_skin_there_is_none_and_even_skin_has_no_direction() {
        let even = Plane::filled(60, 60, -1.0);
        assert_eq!(Shading::of([&even; 3], &Plane::filled(60, 60, 0.0), 10.0), None);
        assert_eq!(Shading::of([&even; 3], &Plane::filled(60, 60, 1.0), 10.0).unwrap().towards_light(), None);
    }

    #[test]
    fn a_turn_is_signed() {
        let shading =
            |deg: f64| Shading { matte: [deg, deg + 90.0].map(|d| 0.01 * d.to_radians().cos()), gloss: [0.0; 2] };
        let turn = shading(-50.0).turn_deg(&shading(-80.0)).unwrap();
        assert!((turn.abs() - 30.0).abs() < 1e-9, "{turn}");
        assert_eq!(shading(-80.0).turn_deg(&shading(-50.0)).unwrap(), -turn);
    }
}
