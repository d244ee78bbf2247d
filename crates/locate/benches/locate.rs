//! What is found in a photo of a head at 12 MP, beside its decoding: `cargo bench -p cicatrix-locate`.

use std::sync::OnceLock;

use cicatrix_locate::{
    Face, ForeignSettings, ScaleHints, SkinLimits, SkinMap, SkinSettings, find_face, regions, scale, units,
};
use cicatrix_phantom::{Course, Head, HeadStyle};
use cicatrix_photo::{Frame, Limits, decode};

fn main() {
    divan::main();
}

fn jpeg() -> &'static [u8] {
    static JPEG: OnceLock<Vec<u8>> = OnceLock::new();
    JPEG.get_or_init(|| {
        let head = Head::new(3, Course::UNCHANGED, HeadStyle::default());
        head.session(0, 2, 0.5).shoot(0.0, 1, (3000, 4000)).to_jpeg()
    })
}

fn frame() -> &'static Frame {
    static FRAME: OnceLock<Frame> = OnceLock::new();
    FRAME.get_or_init(|| decode(jpeg(), "jpg", &Limits::default()).map(|(frame, _)| frame).expect("a photo"))
}

fn face() -> Face {
    find_face(frame()).expect("a face")
}

#[divan::bench]
fn decoding(bencher: divan::Bencher<'_, '_>) {
    bencher.with_inputs(|| _ = jpeg()).bench_values(|()| decode(jpeg(), "jpg", &Limits::default()).is_ok());
}

#[divan::bench]
fn face_alone(bencher: divan::Bencher<'_, '_>) {
    let _ = face();
    bencher.bench_local(|| find_face(frame()));
}

#[divan::bench]
fn scale_by_the_eyes(bencher: divan::Bencher<'_, '_>) {
    let face = face();
    let hints = ScaleHints { card_px_per_mm: None, manifest_px_per_mm: None, face: Some(&face), view: None };
    bencher.bench_local(|| scale(frame(), &hints));
}

#[divan::bench]
fn units_and_skin(bencher: divan::Bencher<'_, '_>) {
    let face = face();
    let (width, height) = (frame().width, frame().height);
    let (foreign, skin) = (ForeignSettings::default(), SkinSettings::default());
    let known: Vec<[f64; 2]> = units(&face, width, height).iter().flat_map(|unit| unit.polygon_px.clone()).collect();
    let known: Vec<[f64; 2]> =
        known.iter().flat_map(|a| known.iter().map(|b| [0, 1].map(|k| 0.5 * (a[k] + b[k])))).collect();
    bencher.bench_local(|| {
        let limits = SkinLimits { foreign: &foreign, skin: &skin };
        (regions(&[], Some(&face), width, height), SkinMap::of(frame(), 14.0, &known, &limits))
    });
}
