use cicatrix_face::Face;
use cicatrix_model::{Region, RegionPolygon};
use cicatrix_photo::Bounds;

use crate::unit::units;

/// A region of the baseline: a polygon in pixels of its upright frame.
#[derive(Debug, Clone, PartialEq)]
pub struct LocatedRegion {
    pub name: Region,
    pub polygon_px: Vec<[f64; 2]>,
    /// Outlines of its scars, where somebody drew them.
    pub scars: Vec<Outline>,
    /// Outlines inside it that are not of it: lips, eyes, brows.
    pub holes: Vec<Outline>,
    /// It is the frame, since nobody drew regions and no face gave them.
    pub is_frame: bool,
}

/// A polygon with its box, so that most places are told to lie outside at a glance.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    points: Vec<[f64; 2]>,
    bounds: Bounds,
}

impl Outline {
    pub fn new(points: &[[f64; 2]]) -> Self {
        Self { points: points.to_vec(), bounds: Bounds::around(points.iter().copied()) }
    }

    pub fn points(&self) -> &[[f64; 2]] {
        &self.points
    }

    pub fn contains(&self, place: [f64; 2]) -> bool {
        self.bounds.contains(place) && is_inside(&self.points, place)
    }

    /// Every point moved away from the middle by a share of the mean distance, so that a narrow outline grows across too.
    pub(crate) fn grown(&self, share: f64) -> Self {
        let n = self.points.len().max(1) as f64;
        let middle = [0, 1].map(|k| self.points.iter().map(|p| p[k]).sum::<f64>() / n);
        let from = |p: &[f64; 2]| [p[0] - middle[0], p[1] - middle[1]];
        let mean = self.points.iter().map(|p| from(p)[0].hypot(from(p)[1])).sum::<f64>() / n;
        let moved = |p: &[f64; 2]| {
            let [x, y] = from(p);
            let grow = 1.0 + share * mean / x.hypot(y).max(1e-9);
            [middle[0] + grow * x, middle[1] + grow * y]
        };
        Self::new(&self.points.iter().map(moved).collect::<Vec<_>>())
    }

    /// Whether the boxes around this and a polygon overlap.
    pub(crate) fn meets(&self, polygon: &[[f64; 2]]) -> bool {
        self.bounds.meets(&Bounds::around(polygon.iter().copied()))
    }
}

/// Why a region cannot be scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionProblem {
    pub region: Region,
    pub detail: String,
}

/// Margin of the frame that the whole-frame region leaves out, as a share of the shorter side: lens and resampling
/// are at their worst there.
const FRAME_MARGIN: f64 = 0.03;
/// A region that shows less than this share of itself in the frame is refused.
const LEAST_IN_FRAME: f64 = 0.5;

/// The regions to score, one at least: the manifest's polygons, else the units of the face, else the whole frame.
pub fn regions(
    polygons: &[RegionPolygon],
    face: Option<&Face>,
    width: usize,
    height: usize,
) -> Vec<Result<LocatedRegion, RegionProblem>> {
    if !polygons.is_empty() {
        return polygons.iter().map(|p| located(p, width, height)).collect();
    }
    let units = face.map_or_else(Vec::new, |face| units(face, width, height));
    match units.is_empty() {
        true => vec![Ok(whole(width, height))],
        false => units.into_iter().map(Ok).collect(),
    }
}

/// All of the frame but a margin.
fn whole(width: usize, height: usize) -> LocatedRegion {
    let margin = FRAME_MARGIN * width.min(height) as f64;
    let frame = Bounds { left: 0.0, top: 0.0, right: width as f64 - 1.0, bottom: height as f64 - 1.0 };
    LocatedRegion::whole_within(&frame.grown(-margin))
}

fn located(polygon: &RegionPolygon, width: usize, height: usize) -> Result<LocatedRegion, RegionProblem> {
    let region = LocatedRegion {
        name: polygon.name.clone(),
        polygon_px: polygon.polygon_px.clone(),
        scars: polygon.scars.iter().map(|scar| Outline::new(scar)).collect(),
        holes: vec![],
        is_frame: false,
    };
    if region.share_in_frame(width, height) < LEAST_IN_FRAME || region.area() < 100.0 {
        return Err(RegionProblem {
            region: polygon.name.clone(),
            detail: format!("the polygon of region {} does not lie in the {width}x{height} frame", polygon.name),
        });
    }
    Ok(region)
}

impl LocatedRegion {
    /// The region `whole` within a box.
    fn whole_within(bounds: &Bounds) -> Self {
        Self {
            name: Region::whole(),
            polygon_px: bounds.corners().to_vec(),
            scars: vec![],
            holes: vec![],
            is_frame: true,
        }
    }

    /// The part of a region `whole` that lies in a box.
    pub fn cut_to(&self, other: &Bounds) -> Self {
        Self::whole_within(&self.bounds().within(other))
    }

    /// Area in px², by the shoelace formula.
    pub fn area(&self) -> f64 {
        let p = &self.polygon_px;
        let edges = (0..p.len()).map(|i| (p[i], p[(i + 1) % p.len()]));
        0.5 * edges.map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f64>().abs()
    }

    pub fn bounds(&self) -> Bounds {
        Bounds::around(self.polygon_px.iter().copied())
    }

    /// Whether a place lies inside.
    pub fn contains(&self, place: [f64; 2]) -> bool {
        is_inside(&self.polygon_px, place) && !self.holes.iter().any(|hole| hole.contains(place))
    }

    /// Share of the polygon's points that lie in a frame.
    pub(crate) fn share_in_frame(&self, width: usize, height: usize) -> f64 {
        let is_in = |p: &&[f64; 2]| p[0] >= 0.0 && p[1] >= 0.0 && p[0] < width as f64 && p[1] < height as f64;
        self.polygon_px.iter().filter(is_in).count() as f64 / self.polygon_px.len() as f64
    }

    /// Whether a place lies in one of the drawn scars.
    pub fn is_scar(&self, place: [f64; 2]) -> bool {
        self.scars.iter().any(|scar| scar.contains(place))
    }
}

/// By crossing number.
fn is_inside(p: &[[f64; 2]], [x, y]: [f64; 2]) -> bool {
    let mut inside = false;
    for i in 0..p.len() {
        let ([ax, ay], [bx, by]) = (p[i], p[(i + 1) % p.len()]);
        if (ay > y) != (by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax {
            inside = !inside;
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polygon(points: &[[f64; 2]]) -> RegionPolygon {
        RegionPolygon { name: Region::new("cheek_l").unwrap(), polygon_px: points.to_vec(), scars: vec![] }
    }

    #[test]
    fn without_polygons_the_frame_is_the_region() {
        let found = regions(&[], None, 400, 300).swap_remove(0).unwrap();
        assert_eq!(found.name, Region::whole());
        assert!(found.contains([200.0, 150.0]) && !found.contains([1.0, 1.0]));
    }

    #[test]
    fn a_region_that_somebody_drew_is_no_frame_whatever_its_name() {
        let drawn = RegionPolygon { name: Region::whole(), ..polygon(&[[0.0, 0.0], [80.0, 0.0], [0.0, 80.0]]) };
        let found = regions(&[drawn], None, 100, 100).swap_remove(0).unwrap();
        assert!(!found.is_frame && found.polygon_px.len() == 3);
        assert!(regions(&[], None, 100, 100).swap_remove(0).unwrap().is_frame);
    }

    #[test]
    fn a_concave_polygon_knows_its_inside_and_area() {
        let l = polygon(&[[0.0, 0.0], [40.0, 0.0], [40.0, 20.0], [20.0, 20.0], [20.0, 40.0], [0.0, 40.0]]);
        let found = regions(&[l], None, 100, 100).swap_remove(0).unwrap();
        assert_eq!(found.area(), 1200.0);
        assert!(found.contains([10.0, 30.0]) && !found.contains([30.0, 30.0]));
    }

    #[test]
    fn a_polygon_of_another_photo_is_refused() {
        let far = polygon(&[[500.0, 500.0], [600.0, 500.0], [600.0, 600.0]]);
        assert!(regions(&[far], None, 100, 100).swap_remove(0).unwrap_err().detail.contains("100x100"));
    }
}
