//! What a registration promises whatever the photo shows, held to on small rendered skin.

use std::sync::LazyLock;
use std::thread;

use cicatrix_align::{AlignSettings, Precision, Prepared, Refusal, Registration, identity, lay_over, register};
use cicatrix_phantom::Patient;
use cicatrix_photo::{Frame, Limits, decode};
use nalgebra::{Matrix3, Vector3};
use proptest::prelude::*;

const SIZE: (u32, u32) = (880, 660);
/// Sides of a window into a photo of that size, and where the middle one begins.
const WINDOW: (usize, usize) = (720, 540);
const CORNER: [f64; 2] = [80.0, 60.0];
/// Places nearer to an edge than this are not asked about, px: two cells.
const RIM: f64 = 32.0;
const BOTH: [Precision; 2] = [Precision::Fine, Precision::Scoring];

/// Two sessions of one patient, decoded: other pose, other light, a breakout, healed scars.
struct Pair {
    baseline: Frame,
    follow_up: Frame,
    truth: Box<dyn Fn([f64; 2]) -> [f64; 2] + Send + Sync>,
}

static PAIR: LazyLock<Pair> = LazyLock::new(|| {
    let patient = Patient::new(7);
    let (before, after) = (patient.session(0, 2, 1.0).shoot(1, SIZE), patient.session(1, 2, 1.0).shoot(1, SIZE));
    let [baseline, follow_up] = [&before, &after].map(|photo| decoded(&photo.to_jpeg()));
    Pair { baseline, follow_up, truth: Box::new(move |place| before.map_to(&after, place)) }
});

/// The middle of the baseline, prepared for both precisions.
static MIDDLE: LazyLock<[Prepared; 2]> = LazyLock::new(|| {
    let middle = window(CORNER);
    BOTH.map(|precision| Prepared::new(&middle, precision))
});

fn decoded(jpeg: &[u8]) -> Frame {
    decode(jpeg, "jpg", &Limits::default()).expect("the phantom writes photos that can be read").0
}

/// The photo that shows at each place what `frame` shows where `map` leads from there; black beyond it.
fn seen_through(frame: &Frame, (width, height): (usize, usize), map: impl Fn([f64; 2]) -> [f64; 2]) -> Frame {
    let channels = [0, 1, 2].map(|channel| frame.channel(channel));
    let look = |i: usize| {
        let [x, y] = map([(i % width) as f64, (i / width) as f64]).map(|v| v as f32);
        channels.each_ref().map(|plane| (plane.sample(x, y).unwrap_or(0.0) * 65535.0).round() as u16)
    };
    Frame { width, height, linear: (0..width * height).flat_map(look).collect() }
}

/// What the baseline shows from a corner on.
fn window(corner: [f64; 2]) -> Frame {
    seen_through(&PAIR.baseline, WINDOW, |[x, y]| [x + corner[0], y + corner[1]])
}

fn settings(precision: Precision) -> AlignSettings {
    AlignSettings { precision, ..AlignSettings::default() }
}

fn lay(fixed: &Frame, moving: &Frame, precision: Precision) -> Result<Registration, Refusal> {
    register(&Prepared::new(fixed, precision), &Prepared::new(moving, precision), &settings(precision))
}

/// Over the middle of the baseline.
fn lay_over_middle(moving: &Frame, precision: Precision) -> Result<Registration, Refusal> {
    let fixed = &MIDDLE[usize::from(precision == Precision::Scoring)];
    register(fixed, &Prepared::new(moving, precision), &settings(precision))
}

/// Sorted distances, px.
#[derive(Debug)]
struct Distances(Vec<f64>);

impl Distances {
    /// Between two maps at places of a photo of size `from` that the first leads into one of size `to`.
    fn between(
        a: impl Fn([f64; 2]) -> [f64; 2],
        b: impl Fn([f64; 2]) -> [f64; 2],
        from: (usize, usize),
        to: (usize, usize),
    ) -> Self {
        let within = |[x, y]: [f64; 2], (width, height): (usize, usize)| {
            x >= RIM && y >= RIM && x <= width as f64 - 1.0 - RIM && y <= height as f64 - 1.0 - RIM
        };
        let places = (0..from.1).step_by(7).flat_map(|y| (0..from.0).step_by(7).map(move |x| [x as f64, y as f64]));
        let seen = places.filter(|place| within(*place, from) && within(a(*place), to));
        let mut distances: Vec<f64> = seen.map(|place| distance(a(place), b(place))).collect();
        assert!(distances.len() > 1000, "only {} places lie in both photos", distances.len());
        distances.sort_by(f64::total_cmp);
        Self(distances)
    }

    fn quantile(&self, q: f64) -> f64 {
        self.0[((self.0.len() - 1) as f64 * q) as usize]
    }

    fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    fn p95(&self) -> f64 {
        self.quantile(0.95)
    }

    fn worst(&self) -> f64 {
        self.quantile(1.0)
    }
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

fn size(frame: &Frame) -> (usize, usize) {
    (frame.width, frame.height)
}

/// A few cases; each one takes a registration.
fn few(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, max_shrink_iters: 8, failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn a_photo_lies_on_itself() {
    for precision in BOTH {
        let registration = lay_over_middle(&window(CORNER), precision).unwrap();
        let off = Distances::between(|place| place, |place| registration.map(place), WINDOW, WINDOW);
        assert!(off.median() < 0.01 && off.worst() < 0.05, "{precision:?}: {} {}", off.median(), off.worst());
        eprintln!("self {precision:?} {} {} {:?}", off.median(), off.worst(), registration.quality);
    }
}

#[test]
fn a_photo_laid_over_itself_by_the_identity_is_itself() {
    let photo = window(CORNER);
    let laid = lay_over(&photo, &identity(&MIDDLE[0]), photo.width, photo.height);
    assert_eq!(size(&laid), size(&photo));
    let inner = 3..photo.width - 3;
    for y in 3..photo.height - 3 {
        let row = 3 * (y * photo.width + inner.start)..3 * (y * photo.width + inner.end);
        let worst = laid.linear[row.clone()].iter().zip(&photo.linear[row]).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(1), "{worst:?} in row {y}");
    }
}

proptest! {
    #![proptest_config(few(6))]

    #[test]
    fn a_whole_shift_is_found(x in -60i32..=60, y in -50i32..=50) {
        shift_is_found([f64::from(x), f64::from(y)])?;
    }

    #[test]
    fn a_part_of_a_pixel_is_found(x in -2.0f64..2.0, y in -2.0f64..2.0) {
        shift_is_found([x, y])?;
    }
}

fn shift_is_found(shift: [f64; 2]) -> Result<(), TestCaseError> {
    let moving = window([CORNER[0] - shift[0], CORNER[1] - shift[1]]);
    for precision in BOTH {
        let registration = lay_over_middle(&moving, precision).unwrap();
        let truth = |[x, y]: [f64; 2]| [x + shift[0], y + shift[1]];
        let off = Distances::between(truth, |place| registration.map(place), WINDOW, WINDOW);
        eprintln!("shift {shift:?} {precision:?} {} {} {}", off.median(), off.p95(), off.worst());
        prop_assert!(off.median() < 0.05 && off.p95() < 0.15, "{precision:?}: {} {}", off.median(), off.p95());
    }
    Ok(())
}

proptest! {
    #![proptest_config(few(4))]

    #[test]
    fn a_turn_a_scale_and_a_tilt_are_found(
        degrees in -12.0f64..12.0, scale in 0.85f64..1.15, tilt in prop::array::uniform2(-4e-5f64..4e-5)
    ) {
        let centre = [(WINDOW.0 as f64 - 1.0) / 2.0, (WINDOW.1 as f64 - 1.0) / 2.0];
        let (sin, cos) = degrees.to_radians().sin_cos();
        let about = Matrix3::new(
            scale * cos, -scale * sin, centre[0], scale * sin, scale * cos, centre[1], tilt[0], tilt[1], 1.0,
        );
        let there = about * Matrix3::new_translation(&[-centre[0], -centre[1]].into());
        let back = there.try_inverse().expect("a turn can be undone");
        let moving = seen_through(&PAIR.baseline, WINDOW, |place| {
            let [x, y] = projected(&back, place);
            [x + CORNER[0], y + CORNER[1]]
        });
        for precision in BOTH {
            let registration = lay_over_middle(&moving, precision).unwrap();
            let off = Distances::between(|place| projected(&there, place), |p| registration.map(p), WINDOW, WINDOW);
            eprintln!("turn {degrees} {scale} {tilt:?} {precision:?} {} {} {}", off.median(), off.p95(), off.worst());
            prop_assert!(off.median() < 0.1 && off.p95() < 0.3, "{precision:?}: {} {}", off.median(), off.p95());
        }
    }
}

fn projected(matrix: &Matrix3<f64>, [x, y]: [f64; 2]) -> [f64; 2] {
    let v = matrix * Vector3::new(x, y, 1.0);
    [v[0] / v[2], v[1] / v[2]]
}

#[test]
fn there_and_back_again_leads_to_the_start() {
    let Pair { baseline, follow_up, truth } = &*PAIR;
    for precision in BOTH {
        let [before, after] = [baseline, follow_up].map(|frame| Prepared::new(frame, precision));
        let there = register(&before, &after, &settings(precision)).unwrap();
        let back = register(&after, &before, &settings(precision)).unwrap();
        let off = Distances::between(|p| there.map(p), |p| there.map(back.map(there.map(p))), size(baseline), size(follow_up));
        eprintln!("back {precision:?} {} {} {}", off.median(), off.p95(), off.worst());
        assert!(off.median() < 0.2, "{precision:?}: {}", off.median());
        let off = Distances::between(truth, |place| there.map(place), size(baseline), size(follow_up));
        eprintln!("truth {precision:?} {} {} {} {:?}", off.median(), off.p95(), off.worst(), there.quality);
    }
}

proptest! {
    #![proptest_config(few(4))]

    #[test]
    fn exposure_tone_and_shade_move_nothing(
        gain in 0.4f32..1.1, gamma in 0.8f32..1.25, shade in prop::array::uniform2(-0.4f32..0.4)
    ) {
        let Pair { baseline, follow_up, .. } = &*PAIR;
        let mut other = follow_up.clone();
        let (width, height) = (other.width as f32, other.height as f32);
        for (i, sample) in other.linear.iter_mut().enumerate() {
            let (x, y) = ((i / 3 % follow_up.width) as f32 / width - 0.5, (i / 3 / follow_up.width) as f32 / height - 0.5);
            let light = gain * (f32::from(*sample) / 65535.0).powf(gamma) * (1.0 + shade[0] * x + shade[1] * y);
            *sample = (65535.0 * light).round() as u16;
        }
        for precision in BOTH {
            let (one, two) = (lay(baseline, follow_up, precision).unwrap(), lay(baseline, &other, precision).unwrap());
            let off = Distances::between(|place| one.map(place), |place| two.map(place), size(baseline), size(&other));
            eprintln!("light {gain} {gamma} {shade:?} {precision:?} {} {} {}", off.median(), off.p95(), off.worst());
            prop_assert!(off.median() < 0.1, "{precision:?}: {}", off.median());
        }
    }
}

#[test]
fn many_threads_give_the_same_bits_as_one() {
    let Pair { baseline, follow_up, .. } = &*PAIR;
    // Debug writes every number in full.
    let run = || format!("{:?}", lay(baseline, follow_up, Precision::Fine));
    let alone = run();
    let together = thread::scope(|scope| [(); 4].map(|()| scope.spawn(run)).map(|thread| thread.join().unwrap()));
    assert!(together.iter().all(|one| *one == alone), "a thread gave other bits");
}

#[test]
fn grey_photos_are_registered() {
    let Pair { baseline, follow_up, truth } = &*PAIR;
    let [grey_baseline, grey] = [baseline, follow_up].map(grey);
    for precision in BOTH {
        for fixed in [baseline, &grey_baseline] {
            let registration = lay(fixed, &grey, precision).unwrap();
            let off = Distances::between(truth, |place| registration.map(place), size(fixed), size(&grey));
            eprintln!("grey {precision:?} {} {} {}", off.median(), off.p95(), off.worst());
            assert!(off.median() < 0.5 && off.p95() < 2.0, "{precision:?}: {} {}", off.median(), off.p95());
        }
    }
}

/// All channels the luminance.
fn grey(frame: &Frame) -> Frame {
    let luminance = |p: &[u16]| 0.2126 * f32::from(p[0]) + 0.7152 * f32::from(p[1]) + 0.0722 * f32::from(p[2]);
    let linear = frame.linear.chunks_exact(3).flat_map(|pixel| [luminance(pixel).round() as u16; 3]).collect();
    Frame { linear, ..*frame }
}

#[test]
fn a_photo_of_half_the_size_is_registered() {
    let Pair { baseline, follow_up, truth } = &*PAIR;
    let small = half(follow_up);
    for precision in BOTH {
        let r = lay(baseline, &small, precision);
        eprintln!("half {precision:?} {:?}", r.as_ref().map(|r| r.quality));
        let r = lay(&small, baseline, precision);
        eprintln!("half' {precision:?} {:?}", r.as_ref().map(|r| r.quality));
        let Ok(registration) = lay(baseline, &small, precision) else { continue };
        let there = |place| truth(place).map(|v| (v + 0.5) / 2.0 - 0.5);
        let off = Distances::between(there, |place| registration.map(place), size(baseline), size(&small));
        eprintln!("half {precision:?} {} {} {}", off.median(), off.p95(), off.worst());
    }
}

/// Means of 2 × 2 pixels.
fn half(frame: &Frame) -> Frame {
    let [red, green, blue] = [0, 1, 2].map(|channel| frame.channel(channel).half());
    let pixel = |i: usize| [&red, &green, &blue].map(|plane| (plane.data[i] * 65535.0).round() as u16);
    Frame { width: red.width, height: red.height, linear: (0..red.data.len()).flat_map(pixel).collect() }
}

#[test]
fn other_skin_and_mirrored_skin_are_refused() {
    let Pair { baseline, follow_up, .. } = &*PAIR;
    let stranger = decoded(&Patient::new(8).session(1, 2, 1.0).shoot(1, SIZE).to_jpeg());
    let wrong = [("another patient", stranger), ("mirrored", mirrored(baseline)), ("follow-up mirrored", mirrored(follow_up))];
    for precision in BOTH {
        for (name, moving) in &wrong {
            let said = lay(baseline, moving, precision).map(|registration| registration.quality);
            eprintln!("{name} {said:?}");
            assert!(said.is_err(), "{name}, {precision:?}: {said:?}");
        }
    }
}

fn mirrored(frame: &Frame) -> Frame {
    let rows = frame.linear.chunks_exact(3 * frame.width);
    let linear = rows.flat_map(|row| row.chunks_exact(3).rev().flatten().copied()).collect();
    Frame { linear, ..*frame }
}
