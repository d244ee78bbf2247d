//! What a registration costs, on rendered skin of 2 and 12 MP: `cargo bench -p cicatrix-align`.
//!
//! A name picks one group: `cargo bench -p cicatrix-align -- prepare`. Rendering takes some seconds, once for each size.

use std::sync::LazyLock;

use cicatrix_align::{AlignSettings, Grid, Precision, Prepared, Registration, identity};
use cicatrix_phantom::{Patient, Photo};
use cicatrix_photo::{Frame, Limits, decode};
use divan::Bencher;

/// What is scored: millimetres of skin, on a grid of this pitch.
const REGION_MM: [f64; 2] = [40.0, 26.0];
const PITCH_MM: f64 = 0.05;

#[derive(Debug, Clone, Copy)]
enum Size {
    Mp2,
    Mp12,
}

const SIZES: [Size; 2] = [Size::Mp2, Size::Mp12];
const CASES: [(Size, Precision); 4] = [
    (Size::Mp2, Precision::Fine),
    (Size::Mp2, Precision::Scoring),
    (Size::Mp12, Precision::Fine),
    (Size::Mp12, Precision::Scoring),
];

/// Baseline and last session of a patient at an ordinary clinic.
struct Pair {
    fixed: Frame,
    moving: Frame,
    px_per_mm: f64,
}

static SMALL: LazyLock<Pair> = LazyLock::new(|| shoot((1632, 1224)));
static LARGE: LazyLock<Pair> = LazyLock::new(|| shoot((4000, 3000)));

fn shoot(size: (u32, u32)) -> Pair {
    let patient = Patient::new(7);
    let [before, after] = [0, 1].map(|index| patient.session(index, 2, 1.0).shoot(1, size));
    Pair { fixed: decoded(&before), moving: decoded(&after), px_per_mm: before.truth.px_per_mm }
}

fn decoded(photo: &Photo) -> Frame {
    decode(&photo.to_jpeg(), "jpg", &Limits::default()).expect("the phantom writes photos that can be read").0
}

impl Size {
    fn pair(self) -> &'static Pair {
        match self {
            Self::Mp2 => &SMALL,
            Self::Mp12 => &LARGE,
        }
    }
}

impl Pair {
    fn prepared(&self, precision: Precision) -> [Prepared; 2] {
        [&self.fixed, &self.moving].map(|frame| Prepared::new(frame, precision))
    }

    fn registered(&self, precision: Precision) -> Registration {
        let [fixed, moving] = self.prepared(precision);
        cicatrix_align::register(&fixed, &moving, &settings(precision)).expect("it is the same skin")
    }

    /// The grid of the region, in the middle of the baseline.
    fn grid(&self) -> Grid {
        let pitch_px = PITCH_MM * self.px_per_mm;
        let [width, height] = REGION_MM.map(|side| (side / PITCH_MM).round() as usize);
        let begin = |photo: usize, nodes: usize| (photo as f64 - pitch_px * nodes as f64) / 2.0;
        Grid { origin_px: [begin(self.fixed.width, width), begin(self.fixed.height, height)], pitch_px, width, height }
    }
}

fn settings(precision: Precision) -> AlignSettings {
    AlignSettings { precision, ..AlignSettings::default() }
}

fn main() {
    divan::main();
}

#[divan::bench(args = CASES, sample_count = 20, sample_size = 1)]
fn prepare(bencher: Bencher, case: (Size, Precision)) {
    let frame = &case.0.pair().fixed;
    bencher.bench(|| Prepared::new(frame, case.1));
}

/// Without what [`prepare`] measures.
#[divan::bench(args = CASES, sample_count = 20, sample_size = 1)]
fn register(bencher: Bencher, case: (Size, Precision)) {
    let [fixed, moving] = case.0.pair().prepared(case.1);
    let settings = settings(case.1);
    bencher.bench(|| cicatrix_align::register(&fixed, &moving, &settings));
}

/// The follow-up on the region's grid, as it is scored.
#[divan::bench(args = SIZES, sample_count = 20, sample_size = 1)]
fn resample(bencher: Bencher, size: Size) {
    let pair = size.pair();
    let (grid, registration) = (pair.grid(), pair.registered(Precision::Scoring));
    bencher.bench(|| cicatrix_align::resample(&pair.moving, &grid, |place| registration.map(place)));
}

/// The baseline on the same grid.
#[divan::bench(args = SIZES, sample_count = 20, sample_size = 1)]
fn resample_baseline(bencher: Bencher, size: Size) {
    let pair = size.pair();
    let (grid, itself) = (pair.grid(), identity(&Prepared::new(&pair.fixed, Precision::Scoring)));
    bencher.bench(|| cicatrix_align::resample(&pair.fixed, &grid, |place| itself.map(place)));
}

/// The whole follow-up at the baseline's size, for the eye.
#[divan::bench(args = SIZES, sample_count = 20, sample_size = 1)]
fn lay_over(bencher: Bencher, size: Size) {
    let pair = size.pair();
    let registration = pair.registered(Precision::Fine);
    bencher.bench(|| cicatrix_align::lay_over(&pair.moving, &registration, pair.fixed.width, pair.fixed.height));
}
