//! What a photo of a head says beside its skin: which view it is, and how the head is turned.

use cicatrix_locate::{CAN_FIND, Face, Pose, contradicts, find_face, view_of};
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

/// A baseline that shows another view than its name claims is none. Where somebody drew its regions, a face that is not found is
/// no sign of that.
pub(crate) fn check_view(face: Option<&Face>, view: Option<&View>, is_drawn: bool) -> Result<(), Rejection> {
    let detail = match (face, view) {
        (Some(face), Some(view)) if contradicts(&face.pose, view) => mismatch(&face.pose, view),
        (None, Some(view)) if CAN_FIND && !is_drawn && must_show_a_face(view) => without_face(view),
        _ => return Ok(()),
    };
    Err(Rejection::new(Reason::ViewMismatch, detail))
}

/// Views in which the networks find a face: in profiles they do not.
fn must_show_a_face(view: &View) -> bool {
    matches!(view, View::FaceFrontal | View::FaceLeft45 | View::FaceRight45)
}

fn without_face(view: &View) -> String {
    format!(
        "no face is found, where {view} shows one: is it another view, a hand or mask before the face, or too dark?"
    )
}

fn mismatch(pose: &Pose, claimed: &View) -> String {
    format!("the head is turned by {:.0}°, which is {}, not {claimed}", pose.yaw_deg, view_of(pose))
}

/// Reads view and pose of a follow-up; says in words what is wrong with the view. Where the baseline shows a face, it has to.
pub(crate) fn read(
    gate: &mut Gate,
    face: Option<&Face>,
    baseline: Option<&Pose>,
    view: Option<&View>,
    g: &GateSettings,
) -> Option<String> {
    let Some(face) = face else {
        let claimed = view.filter(|view| baseline.is_some() && must_show_a_face(view))?;
        gate.read("shows_its_view", 0.0, [0.5, 0.5], Reason::ViewMismatch);
        return Some(without_face(claimed));
    };
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
