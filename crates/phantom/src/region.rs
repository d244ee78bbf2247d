//! The region of interest: the rectangle in the patch's centre that holds all scars.

/// Width and height of the region of interest, mm.
pub const ROI_MM: [f64; 2] = [40.0, 26.0];

/// The region's outline in 32 points, mm from the patch's centre, clockwise as seen from its upper left corner.
pub(crate) fn outline_mm() -> Vec<[f64; 2]> {
    let [right, bottom] = ROI_MM.map(|side| side / 2.0);
    let corners = [[-right, -bottom], [right, -bottom], [right, bottom], [-right, bottom]];
    let pieces = [10_u32, 6, 10, 6];
    let mut points = Vec::with_capacity(32);
    for (side, &count) in pieces.iter().enumerate() {
        let (from, to) = (corners[side], corners[(side + 1) % 4]);
        for piece in 0..count {
            let along = f64::from(piece) / f64::from(count);
            points.push([0, 1].map(|axis| from[axis] + along * (to[axis] - from[axis])));
        }
    }
    points
}
