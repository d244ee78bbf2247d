//! What the normalization costs, on rendered skin of 40 × 26 mm: `cargo bench -p cicatrix-normalize`.

use cicatrix_align::{Grid, Patch, resample};
use cicatrix_normalize::{NormalizeSettings, Pair};
use cicatrix_phantom::Patient;
use cicatrix_photo::{Frame, Limits, decode};
use divan::Bencher;

const REGION_MM: [f64; 2] = [40.0, 26.0];
const PITCH_MM: f64 = 0.05;

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn normalize(bencher: Bencher) {
    let [fixed, moving] = patches();
    let skin = fixed.inside.zip(&moving.inside, |a, b| a * b);
    let settings = NormalizeSettings::default();
    bencher.bench(|| {
        let pair = Pair::Photographed([&fixed, &moving]);
        cicatrix_normalize::normalize(pair, &skin, &skin, 1.0 / PITCH_MM, &settings)
    });
}

/// Two sessions of a patient on the same grid, laid over each other by the truth.
fn patches() -> [Patch; 2] {
    let patient = Patient::new(7);
    let photos = [0, 1].map(|index| patient.session(index, 2, 1.0).shoot(1, (1632, 1224)));
    let frames = photos.each_ref().map(|photo| decoded(&photo.to_jpeg()));
    let pitch_px = PITCH_MM * photos[0].truth.px_per_mm;
    let [width, height] = REGION_MM.map(|side| (side / PITCH_MM).round() as usize);
    let begin = |photo: usize, nodes: usize| (photo as f64 - pitch_px * nodes as f64) / 2.0;
    let origin_px = [begin(frames[0].width, width), begin(frames[0].height, height)];
    let grid = Grid { origin_px, pitch_px, width, height };
    [0, 1].map(|i| resample(&frames[i], &grid, |place| photos[0].map_to(&photos[i], place)))
}

fn decoded(jpeg: &[u8]) -> Frame {
    decode(jpeg, "jpg", &Limits::default()).expect("the phantom writes photos that can be read").0
}
