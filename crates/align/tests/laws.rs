//! What a registration promises whatever the photo shows, held to on small rendered skin.

use std::sync::LazyLock;
use std::thread;

use cicatrix_align::{AlignSettings, Precision, Prepared, Refusal, Registration, identity, lay_over, register};
use cicatrix_phantom::{Patient, Photo};
use cicatrix_photo::{Frame, Limits, decode};
use nalgebra::{Matrix3, Vector3};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

type Place = [f64; 2];
/// Width and height.
type Size = (usize, usize);

const PHOTO: (u32, u32) = (880, 660);
/// A part of a photo, small enough to be moved around in it, and where it begins when it is in the middle.
const WINDOW: Size = (640, 480);
const CORNER: Place = [120.0, 90.0];
/// Places nearer to an edge than this are not asked about, px: two cells.
const RIM: f64 = 32.0;
/// Each with a pixel of its finest level in pixels of photos this small: its bounds are that much wider.
const BOTH: [(Precision, f64); 2] = [(Precision::Fine, 1.0), (Precision::Scoring, 2.0)];

/// Two sessions of one patient at an ordinary clinic: another pose, other light, healed scars.
#[derive(Debug)]
struct Pair {
    before: Photo,
    after: Photo,
    baseline: Frame,
    follow_up: Frame,
}

impl Pair {
    fn truth(&self, place: Place) -> Place {
        self.before.map_to(&self.after, place)
    }
}

static PATIENT: LazyLock<Patient> = LazyLock::new(|| Patient::new(7));

static PAIR: LazyLock<Pair> = LazyLock::new(|| {
    let [before, after] = [0, 1].map(|index| PATIENT.session(index, 2, 1.0).shoot(1, PHOTO));
    Pair { baseline: decoded(&before), follow_up: decoded(&after), before, after }
});

/// The middle of the baseline, prepared for each precision.
static MIDDLE: LazyLock<[Prepared; 2]> = LazyLock::new(|| {
    let middle = window(CORNER);
    BOTH.map(|(precision, _)| Prepared::new(&middle, precision))
});

fn decoded(photo: &Photo) -> Frame {
    decode(&photo.to_jpeg(), "jpg", &Limits::default()).expect("the phantom writes photos that can be read").0
}

/// The photo that shows at each place what `frame` shows where `map` leads from there; black beyond it.
fn seen_through(frame: &Frame, (width, height): Size, map: impl Fn(Place) -> Place) -> Frame {
    let channels = [0, 1, 2].map(|channel| frame.channel(channel));
    let look = |i: usize| {
        let [x, y] = map([(i % width) as f64, (i / width) as f64]).map(|v| v as f32);
        channels.each_ref().map(|plane| (plane.sample(x, y).unwrap_or(0.0) * 65535.0).round() as u16)
    };
    Frame { width, height, linear: (0..width * height).flat_map(look).collect() }
}

/// What the baseline shows from a corner on.
fn window([left, top]: Place) -> Frame {
    seen_through(&PAIR.baseline, WINDOW, |[x, y]| [x + left, y + top])
}

fn lay(fixed: &Frame, moving: &Frame, precision: Precision) -> Result<Registration, Refusal> {
    lay_on(&Prepared::new(fixed, precision), moving, precision)
}

fn lay_on(fixed: &Prepared, moving: &Frame, precision: Precision) -> Result<Registration, Refusal> {
    register(fixed, &Prepared::new(moving, precision), &settings(precision))
}

fn settings(precision: Precision) -> AlignSettings {
    AlignSettings { precision, ..AlignSettings::default() }
}

fn size(frame: &Frame) -> Size {
    (frame.width, frame.height)
}

/// Places all over a photo of size `from` that `there` leads into one of size `to`, without the rims of both.
fn shared(from: Size, to: Size, there: impl Fn(Place) -> Place) -> Vec<Place> {
    let within = |[x, y]: Place, (width, height): Size| {
        x >= RIM && y >= RIM && x <= width as f64 - 1.0 - RIM && y <= height as f64 - 1.0 - RIM
    };
    let all = (0..from.1).step_by(7).flat_map(|y| (0..from.0).step_by(7).map(move |x| [x as f64, y as f64]));
    let places: Vec<Place> = all.filter(|place| within(*place, from) && within(there(*place), to)).collect();
    assert!(places.len() > 1000, "only {} places lie in both photos", places.len());
    places
}

/// How far apart two maps are over some places, px.
#[derive(Debug)]
struct Apart {
    median: f64,
    p95: f64,
    most: f64,
}

fn apart(places: &[Place], a: impl Fn(Place) -> Place, b: impl Fn(Place) -> Place) -> Apart {
    let distance = |place: &Place| {
        let (a, b) = (a(*place), b(*place));
        (a[0] - b[0]).hypot(a[1] - b[1])
    };
    let mut distances: Vec<f64> = places.iter().map(distance).collect();
    distances.sort_by(f64::total_cmp);
    let quantile = |q: f64| distances[((distances.len() - 1) as f64 * q) as usize];
    Apart { median: quantile(0.5), p95: quantile(0.95), most: quantile(1.0) }
}

/// A few cases, as each takes several registrations.
fn few(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, max_shrink_iters: 8, failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn a_photo_lies_on_itself() {
    let places = shared(WINDOW, WINDOW, |place| place);
    for ((precision, unit), photo) in BOTH.into_iter().zip(&*MIDDLE) {
        let registration = register(photo, photo, &settings(precision)).unwrap();
        let off = apart(&places, |place| place, |place| registration.map(place));
        assert!(off.median < 0.02 * unit && off.most < 0.06 * unit, "{precision:?}: {off:?}");
    }
}

#[test]
fn the_identity_lays_a_photo_over_itself_unchanged() {
    let photo = window(CORNER);
    let laid = lay_over(&photo, &identity(&MIDDLE[0]), photo.width, photo.height);
    assert_eq!(size(&laid), size(&photo));
    for y in 3..photo.height - 3 {
        let inner = 3 * (y * photo.width + 3)..3 * ((y + 1) * photo.width - 3);
        let pairs = laid.linear[inner.clone()].iter().zip(&photo.linear[inner]);
        let most = pairs.map(|(a, b)| a.abs_diff(*b)).max();
        assert!(most <= Some(1), "row {y} differs by {most:?}");
    }
}

proptest! {
    #![proptest_config(few(4))]

    #[test]
    fn a_shift_by_whole_pixels_is_found(x in -60i32..=60, y in -50i32..=50) {
        is_found(&Matrix3::new_translation(&[f64::from(x), f64::from(y)].into()))?;
    }

    #[test]
    fn a_shift_by_parts_of_a_pixel_is_found(x in -3.0f64..3.0, y in -3.0f64..3.0) {
        is_found(&Matrix3::new_translation(&[x, y].into()))?;
    }

    #[test]
    fn a_turn_a_scale_and_a_tilt_are_found(
        degrees in -15.0f64..15.0,
        scale in 0.85f64..1.2,
        tilt in prop::array::uniform2(-5e-5f64..5e-5),
    ) {
        let centre = [(WINDOW.0 as f64 - 1.0) / 2.0, (WINDOW.1 as f64 - 1.0) / 2.0];
        let (sin, cos) = degrees.to_radians().sin_cos();
        let turn = Matrix3::new(scale * cos, -scale * sin, 0.0, scale * sin, scale * cos, 0.0, tilt[0], tilt[1], 1.0);
        let [to, from] = [centre, centre.map(|v| -v)].map(|by| Matrix3::new_translation(&by.into()));
        is_found(&(to * turn * from))?;
    }
}

/// The middle of the baseline, seen after this homography: is it found?
fn is_found(there: &Matrix3<f64>) -> Result<(), TestCaseError> {
    let back = there.try_inverse().expect("what the tests draw can be undone");
    let moving = seen_through(&PAIR.baseline, WINDOW, |place| {
        let [x, y] = projected(&back, place);
        [x + CORNER[0], y + CORNER[1]]
    });
    let places = shared(WINDOW, WINDOW, |place| projected(there, place));
    for ((precision, unit), fixed) in BOTH.into_iter().zip(&*MIDDLE) {
        let found = lay_on(fixed, &moving, precision);
        let registration = found.map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
        let off = apart(&places, |place| projected(there, place), |place| registration.map(place));
        prop_assert!(off.median < 0.05 * unit && off.p95 < 0.15 * unit, "{precision:?}: {off:?}");
    }
    Ok(())
}

fn projected(matrix: &Matrix3<f64>, [x, y]: Place) -> Place {
    let v = matrix * Vector3::new(x, y, 1.0);
    [v[0] / v[2], v[1] / v[2]]
}

#[test]
fn a_follow_up_in_another_pose_and_light_is_found_and_leads_back() {
    let (baseline, follow_up) = (&PAIR.baseline, &PAIR.follow_up);
    let places = shared(size(baseline), size(follow_up), |place| PAIR.truth(place));
    for (precision, _) in BOTH {
        let [before, after] = [baseline, follow_up].map(|frame| Prepared::new(frame, precision));
        let there = register(&before, &after, &settings(precision)).unwrap();
        let back = register(&after, &before, &settings(precision)).unwrap();
        let off = apart(&places, |place| PAIR.truth(place), |place| there.map(place));
        assert!(off.median < 0.5 && off.p95 < 2.0, "{precision:?}: {off:?}");
        let off = apart(&places, |place| place, |place| back.map(there.map(place)));
        assert!(off.median < 0.2, "{precision:?}, there and back: {off:?}");
    }
}

#[test]
fn exposure_tone_and_a_gradient_move_nothing() {
    let (baseline, follow_up) = (&PAIR.baseline, &PAIR.follow_up);
    let places = shared(size(baseline), size(follow_up), |place| PAIR.truth(place));
    let gradient = prop::array::uniform2(-0.4f32..0.4);
    for (precision, _) in BOTH {
        let fixed = Prepared::new(baseline, precision);
        let before = lay_on(&fixed, follow_up, precision).unwrap();
        let drawn = (0.3f32..1.1, 0.8f32..1.25, &gradient);
        let held = TestRunner::new(few(2)).run(&drawn, |(gain, gamma, gradient)| {
            let after = lay_on(&fixed, &relit(follow_up, gain, gamma, gradient), precision);
            let after = after.map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
            let off = apart(&places, |place| before.map(place), |place| after.map(place));
            prop_assert!(off.median < 0.1, "{precision:?}: {off:?}");
            Ok(())
        });
        held.unwrap();
    }
}

/// In light that rises across the photo and down it, through another tone curve.
fn relit(frame: &Frame, gain: f32, gamma: f32, [across, down]: [f32; 2]) -> Frame {
    let (width, height) = size(frame);
    let relight = |(i, sample): (usize, &u16)| {
        let x = (i / 3 % width) as f32 / width as f32 - 0.5;
        let y = (i / 3 / width) as f32 / height as f32 - 0.5;
        let light = gain * (1.0 + across * x + down * y) * (f32::from(*sample) / 65535.0).powf(gamma);
        (65535.0 * light).round() as u16
    };
    Frame { linear: frame.linear.iter().enumerate().map(relight).collect(), ..*frame }
}

#[test]
fn several_threads_give_the_same_bits_as_one() {
    // Debug writes numbers in full: the same text, the same bits.
    let run = || format!("{:?}", lay(&PAIR.baseline, &PAIR.follow_up, Precision::Fine));
    let alone = run();
    let together = thread::scope(|scope| [(); 4].map(|()| scope.spawn(run)).map(|thread| thread.join().unwrap()));
    assert!(together.iter().all(|one| *one == alone), "a thread gave other bits");
}

#[test]
fn grey_photos_are_found() {
    let (baseline, follow_up) = (&PAIR.baseline, &PAIR.follow_up);
    let places = shared(size(baseline), size(follow_up), |place| PAIR.truth(place));
    let [grey_baseline, moving] = [baseline, follow_up].map(grey);
    for (precision, _) in BOTH {
        for fixed in [baseline, &grey_baseline] {
            let registration = lay(fixed, &moving, precision).unwrap();
            let off = apart(&places, |place| PAIR.truth(place), |place| registration.map(place));
            assert!(off.median < 0.5 && off.p95 < 2.0, "{precision:?}: {off:?}");
        }
    }
}

/// Luminance in all channels.
fn grey(frame: &Frame) -> Frame {
    let luminance = |p: &[u16]| 0.2126 * f32::from(p[0]) + 0.7152 * f32::from(p[1]) + 0.0722 * f32::from(p[2]);
    let linear = frame.linear.chunks_exact(3).flat_map(|pixel| [luminance(pixel).round() as u16; 3]).collect();
    Frame { linear, ..*frame }
}

#[test]
fn a_photo_of_another_size_is_found() {
    let baseline = &PAIR.baseline;
    let fixed = BOTH.map(|(precision, _)| Prepared::new(baseline, precision));
    let session = PATIENT.session(1, 2, 1.0);
    for part in [0.5, 0.75, 1.25] {
        let side = |pixels: u32| (f64::from(pixels) * part) as u32;
        let after = session.shoot(1, (side(PHOTO.0), side(PHOTO.1)));
        let (moving, truth) = (decoded(&after), |place| PAIR.before.map_to(&after, place));
        let (places, unit) = (shared(size(baseline), size(&moving), truth), f64::max(part, 1.0));
        for ((precision, _), fixed) in BOTH.into_iter().zip(&fixed) {
            // A photo of half the size that was taken from farther away, too, is beyond what is allowed by default.
            let settings = AlignSettings { max_scale: 2.5, ..settings(precision) };
            let registration = register(fixed, &Prepared::new(&moving, precision), &settings).unwrap();
            let off = apart(&places, truth, |place| registration.map(place));
            assert!(off.median < 0.5 * unit && off.p95 < 2.0 * unit, "{part} of the size, {precision:?}: {off:?}");
        }
    }
}

#[test]
fn another_patient_and_mirrored_photos_are_refused() {
    let (baseline, follow_up) = (&PAIR.baseline, &PAIR.follow_up);
    let stranger = decoded(&Patient::new(8).session(1, 2, 1.0).shoot(1, PHOTO));
    let wrong = [stranger, mirrored(baseline), mirrored(follow_up)];
    for (precision, _) in BOTH {
        let fixed = Prepared::new(baseline, precision);
        for (name, moving) in ["another patient", "the photo mirrored", "the follow-up mirrored"].iter().zip(&wrong) {
            let quality = lay_on(&fixed, moving, precision).map(|registration| registration.quality);
            assert!(quality.is_err(), "{name}, {precision:?}: {quality:?}");
        }
    }
}

fn mirrored(frame: &Frame) -> Frame {
    let rows = frame.linear.chunks_exact(3 * frame.width);
    let linear = rows.flat_map(|row| row.chunks_exact(3).rev().flatten().copied()).collect();
    Frame { linear, ..*frame }
}

/// Skin of another patient in the middle of the moving photo: nobody knows where the fixed photo's skin is there.
#[test]
fn confidence_is_low_where_the_skin_is_covered_and_zero_outside() {
    let other = decoded(&Patient::new(8).session(1, 2, 1.0).shoot(1, PHOTO));
    let mut covered = PAIR.follow_up.clone();
    let (w, h) = size(&covered);
    for y in h / 4..3 * h / 4 {
        let row = 3 * (y * w + w / 4)..3 * (y * w + 3 * w / 4);
        covered.linear[row.clone()].copy_from_slice(&other.linear[row]);
    }
    for (precision, _) in BOTH {
        // A quarter of the photo is not the same skin, so that fewer blocks match than are asked for by default.
        let how = AlignSettings { min_matched_share: 0.3, ..settings(precision) };
        let prepared = [&PAIR.baseline, &covered].map(|frame| Prepared::new(frame, precision));
        let registration = register(&prepared[0], &prepared[1], &how).unwrap();
        let middle = registration.confidence_at([w as f64 / 2.0, h as f64 / 2.0]);
        assert!(middle < 0.3, "{precision:?}: {middle}");
        assert_eq!(registration.confidence_at([1e9, 1e9]), 0.0);
        assert_eq!(registration.confidence_at([-5.0, 10.0]), 0.0);
    }
}

#[test]
fn a_photo_of_a_few_pixels_is_refused() {
    for (width, height) in [(1, 1), (3, 3), (4000, 1), (1, 3000), (17, 17)] {
        let tiny = Frame { width, height, linear: vec![20_000; 3 * width * height] };
        assert!(lay(&PAIR.baseline, &tiny, Precision::Fine).is_err());
        assert!(lay(&tiny, &PAIR.baseline, Precision::Fine).is_err());
    }
}

/// Its scale in pixels is 1, though it shows less than half of the view each way.
#[test]
fn a_part_that_was_cut_out_is_no_enlargement() {
    let cut = seen_through(&PAIR.baseline, (400, 300), |[x, y]| [x + 240.0, y + 180.0]);
    let registration = lay(&PAIR.baseline, &cut, Precision::Fine).unwrap();
    let [x, y] = registration.map([440.0, 330.0]);
    assert!((x - 200.0).hypot(y - 150.0) < 0.5, "{x}, {y}");
}
