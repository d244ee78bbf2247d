//! What finding all that `locate` tells of a photo of a head at 12 MP costs beside decoding it, and its steps:
//! `cargo bench -p cicatrix-assess`.

use std::sync::OnceLock;

use cicatrix_assess::{Photo, Protocol, Survey};
use cicatrix_card::cards;
use cicatrix_locate::{Face, ScaleHints, SkinMap, find_face, scale, units};
use cicatrix_model::View;
use cicatrix_phantom::{Course, Head, HeadStyle};
use cicatrix_photo::{Frame, Limits, Overview, decode};

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

fn overview() -> &'static Overview {
    static OVERVIEW: OnceLock<Overview> = OnceLock::new();
    OVERVIEW.get_or_init(|| Overview::of(frame()))
}

fn face() -> Face {
    find_face(overview()).expect("a face")
}

fn protocol() -> Protocol {
    Protocol::from_toml(include_str!("../../../config/protocols/standard-3.toml")).expect("the protocol")
}

#[divan::bench]
fn decoding(bencher: divan::Bencher<'_, '_>) {
    bencher.with_inputs(|| _ = jpeg()).bench_values(|()| decode(jpeg(), "jpg", &Limits::default()).is_ok());
}

/// All of them together.
#[divan::bench]
fn survey(bencher: divan::Bencher<'_, '_>) {
    let _ = frame();
    let view = View::FaceFrontal;
    let photo = Photo { bytes: &[], extension: "jpg", px_per_mm: None, view: Some(&view), regions: &[] };
    let protocol = protocol();
    bencher.bench_local(|| Survey::of(frame(), &photo, &protocol));
}

#[divan::bench]
fn survey_averages_the_frame(bencher: divan::Bencher<'_, '_>) {
    let _ = frame();
    bencher.bench_local(|| Overview::of(frame()));
}

#[divan::bench]
fn survey_finds_the_face(bencher: divan::Bencher<'_, '_>) {
    let _ = face();
    bencher.bench_local(|| find_face(overview()));
}

#[divan::bench]
fn survey_looks_for_cards(bencher: divan::Bencher<'_, '_>) {
    let _ = overview();
    bencher.bench_local(|| cards(frame(), overview()));
}

#[divan::bench]
fn survey_measures_the_eyes(bencher: divan::Bencher<'_, '_>) {
    let face = face();
    let hints = ScaleHints { card_px_per_mm: None, manifest_px_per_mm: None, face: Some(&face), view: None };
    bencher.bench_local(|| scale(frame(), &hints));
}

#[divan::bench]
fn survey_maps_the_skin(bencher: divan::Bencher<'_, '_>) {
    let face = face();
    let protocol = protocol();
    let (width, height) = (frame().width, frame().height);
    let known: Vec<[f64; 2]> = units(&face, width, height).iter().flat_map(|unit| unit.polygon_px.clone()).collect();
    let known: Vec<[f64; 2]> =
        known.iter().flat_map(|a| known.iter().map(|b| [0, 1].map(|k| 0.5 * (a[k] + b[k])))).collect();
    bencher.bench_local(|| SkinMap::of(overview(), 14.0, &known, &protocol.skin_limits()));
}
