//! The pose of a head from its landmarks in space.

use nalgebra::{Matrix3, Vector3};

use crate::canonical::canonical_mm;
use crate::pose::Pose;

/// A pose with how badly the average face fits it, and the size of that face in the photo.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fit {
    pub(crate) pose: Pose,
    /// Root mean square distance as a share of the root mean square size.
    pub(crate) misfit: f64,
}

/// Turns, moves and scales the average face onto landmarks (x right, y down, z away from the camera, one unit for all)
/// with least squares: W. Kabsch, Acta Cryst. A32 (1976) 922; S. Umeyama, IEEE PAMI 13 (1991) 376.
pub(crate) fn fit(landmarks: &[[f64; 3]]) -> Option<Fit> {
    let seen: Vec<Vector3<f64>> = landmarks.iter().map(|[x, y, z]| Vector3::new(*x, -y, -z)).collect();
    let shape: Vec<Vector3<f64>> = canonical_mm().iter().map(|p| Vector3::from(*p)).collect();
    if seen.len() != shape.len() {
        return None;
    }
    let centred = |points: &[Vector3<f64>]| -> Vec<Vector3<f64>> {
        let mean = points.iter().sum::<Vector3<f64>>() / points.len() as f64;
        points.iter().map(|p| p - mean).collect()
    };
    let (seen, shape) = (centred(&seen), centred(&shape));
    let covariance: Matrix3<f64> = seen.iter().zip(&shape).map(|(a, b)| a * b.transpose()).sum();
    let svd = covariance.svd(true, true);
    let (u, v_t) = (svd.u?, svd.v_t?);
    let sign = (u * v_t).determinant().signum();
    let flip = Matrix3::from_diagonal(&Vector3::new(1.0, 1.0, sign));
    let turn = u * flip * v_t;
    let size = |points: &[Vector3<f64>]| points.iter().map(Vector3::norm_squared).sum::<f64>();
    let scale = (svd.singular_values[0] + svd.singular_values[1] + sign * svd.singular_values[2]) / size(&shape);
    let rest: f64 = seen.iter().zip(&shape).map(|(a, b)| (a - scale * (turn * b)).norm_squared()).sum();
    let misfit = (rest / size(&seen)).sqrt();
    // turn = roll about z · yaw about y · pitch about x
    (scale > 0.0 && misfit.is_finite()).then(|| Fit {
        pose: Pose {
            yaw_deg: (-turn[(2, 0)]).clamp(-1.0, 1.0).asin().to_degrees(),
            pitch_deg: (-turn[(2, 1)]).atan2(turn[(2, 2)]).to_degrees(),
            roll_deg: (-turn[(1, 0)]).atan2(turn[(0, 0)]).to_degrees(),
        },
        misfit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The average face turned by angles in the person's sense, as a camera has it.
    fn turned(yaw: f64, pitch: f64, roll: f64) -> Vec<[f64; 3]> {
        let pose = Pose { yaw_deg: yaw, pitch_deg: pitch, roll_deg: roll };
        let seen = |p: &[f64; 3]| {
            let [x, y, z] = pose.turn(*p).map(|mm| 2.0 * mm);
            [300.0 + x, 200.0 - y, -z]
        };
        canonical_mm().iter().map(seen).collect()
    }

    #[test]
    fn a_turned_face_tells_its_angles() {
        for (yaw, pitch, roll) in [(0.0, 0.0, 0.0), (45.0, 0.0, 0.0), (-30.0, 10.0, 0.0), (20.0, -12.0, 20.0)] {
            let found = fit(&turned(yaw, pitch, roll)).unwrap();
            let off = (found.pose.yaw_deg - yaw).abs() + (found.pose.pitch_deg - pitch).abs();
            assert!(off < 1e-6 && (found.pose.roll_deg - roll).abs() < 1e-6, "{found:?}");
            assert!(found.misfit < 1e-9);
        }
    }

    #[test]
    fn a_face_that_looks_right_shows_its_right_cheek() {
        let seen = turned(40.0, 0.0, 0.0);
        // 50 lies on the right cheek, 280 on the left one, 1 is the tip of the nose.
        let near = (seen[50][0] - seen[1][0]).abs();
        let far = (seen[280][0] - seen[1][0]).abs();
        assert!(near > far && seen[1][0] > 300.0, "{near} {far}");
    }

    #[test]
    fn a_mirrored_shape_fits_badly() {
        let mut seen = turned(0.0, 0.0, 0.0);
        seen.iter_mut().for_each(|p| p[2] = -p[2]);
        assert!(fit(&seen).unwrap().misfit > 0.15);
    }
}
