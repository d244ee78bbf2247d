//! What a photo of a head says beside its skin: which view it is, and how the head is turned.

use cicatrix_locate::{Face, Pose, contradicts, find_face, view_of};
use cicatrix_model::{Reason, View};
use cicatrix_photo::{Bounds, Overview, Rejection};

use crate::gate::{Gate, GateSettings};

/// The face of a photo, looked for where its view may show one.
pub(crate) fn face(overview: &Overview, view: Option<&View>) -> Option<Face> {
    if view.is_none_or(View::is_face) { find_face(overview) } else { None }
}

/// The box around a face.
pub(crate) fn bounds(face: &Face) -> Bounds {
    Bounds::around(face.landmarks_px.iter().map(|[x, y, _]| [*x, *y]))
}

/// A baseline that shows another view than its name claims is none.
pub(crate) fn check_view(face: &Face, view: Option<&View>) -> Result<(), Rejection> {
    match view.filter(|view| contradicts(&face.pose, view)) {
        Some(claimed) => Err(Rejection::new(Reason::ViewMismatch, mismatch(&face.pose, claimed))),
        None => Ok(()),
    }
}

fn mismatch(pose: &Pose, claimed: &View) -> String {
    format!("the head is turned by {:.0}°, which is {}, not {claimed}", pose.yaw_deg, view_of(pose))
}

/// Reads view and pose of a follow-up; says in words what is wrong with the view.
pub(crate) fn read(
    gate: &mut Gate,
    face: &Face,
    baseline: Option<&Pose>,
    view: Option<&View>,
    g: &GateSettings,
) -> Option<String> {
    gate.note("yaw_deg", face.pose.yaw_deg);
    gate.note("pitch_deg", face.pose.pitch_deg);
    let wrong = view.filter(|view| contradicts(&face.pose, view));
    if wrong.is_some() {
        gate.read("shows_its_view", 0.0, [0.5, 0.5], Reason::ViewMismatch);
    }
    if let Some(baseline) = baseline {
        gate.read("head_turn_deg", face.pose.turned_against(baseline), g.head_turn_deg, Reason::PoseOff);
    }
    wrong.map(|claimed| mismatch(&face.pose, claimed))
}
