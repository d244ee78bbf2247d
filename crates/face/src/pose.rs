//! How the head is turned.

use nalgebra::{Rotation3, Vector3};

/// Turn of the head against the camera, degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pose {
    /// About the vertical axis; positive looks towards the right edge of the photo and shows the person's right cheek.
    pub yaw_deg: f64,
    /// About the horizontal axis; positive looks up.
    pub pitch_deg: f64,
    /// In the plane of the photo; positive is clockwise as seen.
    pub roll_deg: f64,
}

impl Pose {
    /// A direction of the average face (x to the person's left, y up, z to the front), as the camera has it: x right, y up,
    /// z towards the camera.
    pub fn turn(&self, direction: [f64; 3]) -> [f64; 3] {
        let turn = Rotation3::from_axis_angle(&-Vector3::z_axis(), self.roll_deg.to_radians())
            * Rotation3::from_axis_angle(&Vector3::y_axis(), self.yaw_deg.to_radians())
            * Rotation3::from_axis_angle(&-Vector3::x_axis(), self.pitch_deg.to_radians());
        (turn * Vector3::from(direction)).into()
    }

    /// Angle between two poses, roll left out, degrees.
    pub fn turned_against(&self, other: &Pose) -> f64 {
        let front = |pose: &Pose| Vector3::from(Pose { roll_deg: 0.0, ..*pose }.turn([0.0, 0.0, 1.0]));
        front(self).dot(&front(other)).clamp(-1.0, 1.0).acos().to_degrees()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poses_tell_how_far_apart_they_are() {
        let pose = |yaw_deg, pitch_deg, roll_deg| Pose { yaw_deg, pitch_deg, roll_deg };
        assert!((pose(10.0, 0.0, 5.0).turned_against(&pose(-15.0, 0.0, -20.0)) - 25.0).abs() < 1e-9);
        assert!((pose(0.0, 8.0, 0.0).turned_against(&pose(0.0, 0.0, 0.0)) - 8.0).abs() < 1e-9);
    }
}
