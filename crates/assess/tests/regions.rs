//! Each region of a photo stands by itself: light, gate, tier and number.

use cicatrix_assess::{Assessment, Measurement, Photo, Protocol, assess, prepare};
use cicatrix_model::{GateReading, Measure, Reason, Region, RegionPolygon};
use cicatrix_phantom::{Course, Patient, Photo as Rendered};
use cicatrix_photo::{from_linear, to_linear};

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
    match assessed(baseline, follow_up, regions) {
        Assessment::Measured(measurement) => *measurement,
        Assessment::NotMeasurable { detail, .. } => panic!("{detail}"),
    }
}

fn assessed(baseline: &Rendered, follow_up: &Rendered, regions: &[RegionPolygon]) -> Assessment {
    let protocol = Protocol::from_toml("id = 'test-1'").expect("a protocol");
    let (before, after) = (baseline.to_jpeg(), follow_up.to_jpeg());
    let photo = |bytes, regions| Photo {
        bytes,
        extension: "jpg",
        px_per_mm: Some(baseline.truth.px_per_mm),
        view: None,
        regions,
    };
    let reference = prepare(&photo(&before, regions), &protocol).expect("a baseline");
    assess(&reference, &photo(&after, &[]), false, true, &protocol)
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

/// Hair, a collar or a backdrop begins where the region ends.
#[test]
fn what_lies_outside_of_a_region_moves_nothing() {
    let [baseline, mut follow_up] = photos();
    let [left, right] = halves(&baseline);
    let alone = std::slice::from_ref(&left);
    let plain = measured(&baseline, &follow_up, alone);
    // All that is more than 1.5 mm to the right of the region goes dark.
    let edge = right.polygon_px[0][0] - 40.0 + 1.5 * baseline.truth.px_per_mm;
    darken(&mut follow_up, |x| if x > edge + 20.0 { 0.02 } else { 1.0 });
    let beside = measured(&baseline, &follow_up, alone);
    let psi = |m: &Measurement| value(m, Measure::Psi);
    assert!((psi(&beside) / psi(&plain)).ln().abs() < 0.02, "{} and {}", psi(&beside), psi(&plain));
}

#[test]
fn a_cast_shadow_gives_no_number_or_the_same() {
    for taken in [0.15, 0.3, 0.6] {
        let [baseline, mut follow_up] = photos();
        let middle = 0.5 * f64::from(follow_up.width);
        darken(&mut follow_up, |x| 1.0 - taken / (1.0 + ((middle - x) / 8.0).exp()));
        let [left, right] = halves(&baseline);
        let across = region(
            "across",
            [left.polygon_px[0][0], left.polygon_px[0][1], right.polygon_px[2][0], right.polygon_px[2][1]],
        );
        match assessed(&baseline, &follow_up, &[across]) {
            Assessment::NotMeasurable { reasons, .. } => assert_eq!(reasons[0], Reason::LightingShift),
            Assessment::Measured(_) => panic!("a shadow that takes {taken} of the light is measured"),
        }
    }
}

fn value(measurement: &Measurement, measure: Measure) -> f64 {
    let found = measurement.regions[0].values.iter().find(|v| v.measure == measure);
    found.expect("a value").value
}

/// Multiplies the light of each column.
fn darken(photo: &mut Rendered, light: impl Fn(f64) -> f64) {
    let width = photo.width as usize;
    for (i, v) in photo.srgb.iter_mut().enumerate() {
        let linear = to_linear(f64::from(*v) / 255.0) * light((i / 3 % width) as f64);
        *v = (255.0 * from_linear(linear)).round() as u8;
    }
}

#[test]
fn a_region_outside_of_the_photo_is_refused_by_itself() {
    let [baseline, follow_up] = photos();
    let [left, _] = halves(&baseline);
    let far = region("far", [5000.0, 5000.0, 6000.0, 6000.0]);
    let found = measured(&baseline, &follow_up, &[left, far]);
    assert_eq!(found.regions[0].problem, None);
    assert_eq!((found.regions[1].problem, found.regions[1].tier), (Some(Reason::BaselineNotMeasurable), None));
}
