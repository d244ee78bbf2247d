//! Each region of a photo stands by itself: light, gate, tier and number.

use cicatrix_assess::{Assessment, Measurement, Photo, Protocol, assess, prepare};
use cicatrix_model::{GateReading, Measure, Reason, Region, RegionPolygon};
use cicatrix_phantom::{Course, Patient, Photo as Rendered};

const SIZE: (u32, u32) = (1000, 750);

fn region(name: &str, [x0, y0, x1, y1]: [f64; 4]) -> RegionPolygon {
    let polygon_px = vec![[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
    RegionPolygon { name: Region::new(name).expect("a name"), polygon_px, scars: vec![] }
}

/// The phantom's region, left and right of its middle.
fn halves(photo: &Rendered) -> [RegionPolygon; 2] {
    let points = &photo.truth.roi_polygon_px;
    let low = |k: usize| points.iter().map(|p| p[k]).fold(f64::MAX, f64::min);
    let high = |k: usize| points.iter().map(|p| p[k]).fold(f64::MIN, f64::max);
    let middle = 0.5 * (low(0) + high(0));
    [
        region("left", [low(0), low(1), middle - 20.0, high(1)]),
        region("right", [middle + 20.0, low(1), high(0), high(1)]),
    ]
}

fn measured(baseline: &Rendered, follow_up: &Rendered, regions: &[RegionPolygon]) -> Measurement {
    let protocol = Protocol::from_toml("id = 'test-1'").expect("a protocol");
    let (before, after) = (baseline.to_jpeg(), follow_up.to_jpeg());
    let photo = |bytes, regions| Photo { bytes, extension: "jpg", px_per_mm: Some(baseline.truth.px_per_mm), regions };
    let reference = prepare(&photo(&before, regions), &protocol).expect("a baseline");
    match assess(&reference, &photo(&after, &[]), false, true, &protocol) {
        Assessment::Measured(measurement) => *measurement,
        Assessment::NotMeasurable { detail, .. } => panic!("{detail}"),
    }
}

fn photos() -> [Rendered; 2] {
    let session = Patient::with_course(41, Course::UNCHANGED).session(0, 2, 0.25);
    [1, 2].map(|shot| session.shoot(shot, SIZE))
}

#[test]
fn a_region_in_the_dark_is_refused_and_the_other_is_measured() {
    let [baseline, mut follow_up] = photos();
    let width = 3 * follow_up.width as usize;
    for row in follow_up.srgb.chunks_exact_mut(width) {
        row[width / 2..].iter_mut().for_each(|v| *v /= 12);
    }
    let found = measured(&baseline, &follow_up, &halves(&baseline));
    let [left, right] = &found.regions[..] else { panic!("two regions") };
    assert!(left.problem.is_none() && left.values.iter().any(|v| v.measure == Measure::Psi));
    assert_eq!((right.problem, right.values.len()), (Some(Reason::Exposure), 0));
    assert_eq!(found.pictures.len(), 4);
}

/// A region's number hangs on its own skin alone: drawn with or without a neighbour it is the same, bit for bit.
#[test]
fn a_neighbour_changes_nothing() {
    let [baseline, follow_up] = photos();
    let [left, right] = halves(&baseline);
    let alone = measured(&baseline, &follow_up, std::slice::from_ref(&left));
    let beside = measured(&baseline, &follow_up, &[left, right]);
    assert_eq!(alone.regions[0], beside.regions[0]);
    let name = &alone.regions[0].region;
    assert_eq!(GateReading::of_region(&alone.readings, name), GateReading::of_region(&beside.readings, name));
}
