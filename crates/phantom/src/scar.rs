//! One atrophic scar: a pit of known shape.
//!
//! Sizes follow the usual clinical classes (Jacob 2001: ice-pick, boxcar, rolling). The outline is an ellipse with
//! a few lobes, so that no scar is a perfect circle.

use serde::Serialize;

use crate::curve::exp;
use crate::region::ROI_MM;
use crate::stream::Stream;

/// The soft wall of a boxcar scar rises from 27 % to 73 % over twice this, mm.
const WALL_MM: f32 = 0.06;
/// Lobes push the outline out by less than this factor.
const BULGE: f32 = 1.22;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScarKind {
    /// Narrow, deep and steep: radius 0.3 to 0.8 mm, depth 0.25 to 0.8 mm.
    IcePick,
    /// A flat bottom with a steep edge: radius 0.8 to 2 mm, depth 0.12 to 0.45 mm.
    Boxcar,
    /// A wide smooth dip: radius 2 to 3.5 mm, depth 0.08 to 0.30 mm.
    Rolling,
}

impl ScarKind {
    /// In the order in which everything by kind is listed here.
    pub const ALL: [ScarKind; 3] = [ScarKind::IcePick, ScarKind::Boxcar, ScarKind::Rolling];

    pub fn name(self) -> &'static str {
        match self {
            ScarKind::IcePick => "ice-pick",
            ScarKind::Boxcar => "boxcar",
            ScarKind::Rolling => "rolling",
        }
    }

    fn draw(stream: &mut Stream) -> Self {
        let dice = stream.unit();
        if dice < 0.5 {
            ScarKind::IcePick
        } else if dice < 0.8 {
            ScarKind::Boxcar
        } else {
            ScarKind::Rolling
        }
    }

    /// Smallest and largest radius, then smallest and largest depth, mm.
    fn sizes_mm(self) -> [[f32; 2]; 2] {
        match self {
            ScarKind::IcePick => [[0.3, 0.8], [0.25, 0.8]],
            ScarKind::Boxcar => [[0.8, 2.0], [0.12, 0.45]],
            ScarKind::Rolling => [[2.0, 3.5], [0.08, 0.30]],
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Scar {
    pub(crate) kind: ScarKind,
    /// From the patch's centre.
    pub(crate) centre_mm: [f32; 2],
    /// Half the long axis of the outline.
    pub(crate) radius_mm: f32,
    /// Depth of the middle at the baseline.
    pub(crate) depth_mm: f32,
    /// Short axis over long axis.
    aspect: f32,
    /// Direction of the long axis, a unit vector.
    axis: [f32; 2],
    /// Cosine and sine parts of the outline's second to fourth harmonic.
    lobes: [[f32; 2]; 3],
}

impl Scar {
    /// A scar that lies within the region of interest with all its width.
    pub(crate) fn draw(stream: &mut Stream) -> Self {
        let kind = ScarKind::draw(stream);
        let [radius_mm, depth_mm] = kind.sizes_mm().map(|[low, high]| stream.between(low, high));
        let mut scar = Self {
            kind,
            centre_mm: [0.0; 2],
            radius_mm,
            depth_mm,
            aspect: stream.between(0.75, 1.0),
            axis: stream.direction(),
            lobes: [(); 3].map(|()| [stream.around_zero(0.05), stream.around_zero(0.05)]),
        };
        let room = ROI_MM.map(|side| side as f32 / 2.0 - scar.reach_mm());
        scar.centre_mm = room.map(|half| stream.around_zero(half));
        scar
    }

    /// Two scars with healthy skin between them.
    pub(crate) fn is_clear_of(&self, other: &Scar) -> bool {
        const BETWEEN_MM: f32 = 0.8;
        let apart = [0, 1].map(|axis| self.centre_mm[axis] - other.centre_mm[axis]);
        let near = self.radius_mm + other.radius_mm + BETWEEN_MM;
        apart[0] * apart[0] + apart[1] * apart[1] > near * near
    }

    /// Beyond this distance from the centre the skin is healthy.
    pub(crate) fn reach_mm(&self) -> f32 {
        self.radius_mm * self.cut() * BULGE
    }

    /// Depth at an offset from the scar's centre, mm.
    pub(crate) fn depth_at(&self, dx: f32, dy: f32) -> f32 {
        let along = dx * self.axis[0] + dy * self.axis[1];
        let across = (dy * self.axis[0] - dx * self.axis[1]) / self.aspect;
        let away = (along * along + across * across).sqrt().max(1e-6);
        let rim_mm = self.radius_mm * self.outline(along / away, across / away);
        self.depth_mm * self.profile(away / rim_mm)
    }

    /// The rim's distance in a direction (a unit vector in the scar's own axes), in radii.
    fn outline(&self, cos: f32, sin: f32) -> f32 {
        let (mut c, mut s) = (cos, sin);
        let mut rim = 1.0;
        for [even, odd] in self.lobes {
            (c, s) = (c * cos - s * sin, s * cos + c * sin);
            rim += even * c + odd * s;
        }
        rim
    }

    /// Depth at `t` rims from the centre, as a share of the deepest.
    fn profile(&self, t: f32) -> f32 {
        if t >= self.cut() {
            return 0.0;
        }
        match self.kind {
            ScarKind::IcePick => exp(-2.0 * t * t * t),
            ScarKind::Boxcar => 1.0 / (1.0 + exp((t - 0.88) * self.radius_mm / WALL_MM)),
            ScarKind::Rolling => (1.0 - t * t) * (1.0 - t * t),
        }
    }

    /// Where the profile has become nothing, in rims.
    fn cut(&self) -> f32 {
        match self.kind {
            ScarKind::IcePick => 1.7,
            ScarKind::Boxcar => 0.88 + 8.0 * WALL_MM / self.radius_mm,
            ScarKind::Rolling => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{Field, PITCH_MM};
    use crate::stream::Purpose;

    /// The volume from the formula of the shape, in polar coordinates and without the lattice.
    fn volume_by_formula(scar: &Scar) -> f64 {
        let (angles, radii) = (720_i32, 4_000_i32);
        let mean_square_rim = (0..angles)
            .map(|k| {
                let (sin, cos) = (k as f32 / angles as f32 * std::f32::consts::TAU).sin_cos();
                f64::from(scar.outline(cos, sin)).powi(2)
            })
            .sum::<f64>()
            / f64::from(angles);
        let step = scar.cut() / radii as f32;
        let moment =
            (0..radii).map(|k| (k as f32 + 0.5) * step).map(|t| f64::from(scar.profile(t) * t * step)).sum::<f64>();
        let area = f64::from(scar.radius_mm * scar.radius_mm * scar.aspect) * mean_square_rim;
        std::f64::consts::TAU * f64::from(scar.depth_mm) * area * moment
    }

    #[test]
    fn scar_volume_equals_the_integral_of_depth() {
        let mut stream = Stream::of_patient(Purpose::Scars, 8);
        for _ in 0..12 {
            let scar = Scar::draw(&mut stream);
            let mut field = Field::filled(0.0);
            field.stamp(scar.centre_mm, scar.reach_mm(), |dx, dy| scar.depth_at(dx, dy));
            let sum: f64 = field.rows().flatten().map(|&depth| f64::from(depth)).sum();
            let sampled = sum * f64::from(PITCH_MM * PITCH_MM);
            let formula = volume_by_formula(&scar);
            assert!((sampled / formula - 1.0).abs() < 0.02, "{scar:?}: {sampled} mm³, not {formula} mm³");
        }
    }

    #[test]
    fn a_scar_is_deepest_inside_and_nothing_beyond_its_reach() {
        let mut stream = Stream::of_patient(Purpose::Scars, 9);
        for _ in 0..12 {
            let scar = Scar::draw(&mut stream);
            assert!(scar.depth_at(0.0, 0.0) > 0.95 * scar.depth_mm);
            let reach = scar.reach_mm();
            for [x, y] in [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]] {
                assert!(scar.depth_at(reach * x, reach * y) < 1e-3);
            }
        }
    }
}
