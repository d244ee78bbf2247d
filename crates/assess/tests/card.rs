//! A colour card in the baseline, in the follow-up, in both or in neither: unchanged skin comes out unchanged.

#[path = "../../card/tests/rendered/camera.rs"]
#[allow(dead_code, reason = "this camera is not drawn at random")]
mod camera;
#[path = "../../card/tests/rendered/photo.rs"]
mod photo;

use camera::Camera;
use cicatrix_assess::{Assessment, ColourCalibration, Photo, Protocol, assess, prepare};
use cicatrix_card::Layout;
use cicatrix_model::{Measure, Region, RegionPolygon};
use cicatrix_photo::Frame;
use photo::{Place, photograph, skin};

const SIZE: (u32, u32) = (1400, 1050);

fn jpeg(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut bytes, 95);
    encoder
        .encode(&frame.to_srgb8(), frame.width as u16, frame.height as u16, jpeg_encoder::ColorType::Rgb)
        .expect("the photo fits a JPEG");
    bytes
}

/// Redness and pigment of the scars, and how the colours were made comparable.
fn colours(baseline: &[u8], follow_up: &[u8], itself: bool) -> ([f64; 2], ColourCalibration) {
    let name = Region::new("cheek_l").expect("a name");
    let regions = [RegionPolygon {
        name,
        polygon_px: vec![[150.0, 120.0], [1250.0, 120.0], [1250.0, 700.0], [150.0, 700.0]],
        scars: vec![],
    }];
    let photo = |bytes| Photo { bytes, extension: "jpg", px_per_mm: Some(20.0), view: None, regions: &regions };
    let protocol = Protocol::from_toml("id = 'test-1'").expect("a protocol");
    let reference = prepare(&photo(baseline), &protocol).expect("a baseline");
    match assess(&reference, &photo(follow_up), itself, false, &protocol) {
        Assessment::Measured(measured) => {
            let value = |measure| {
                let found = measured.regions[0].values.iter().find(|v| v.measure == measure);
                found.expect("a measured value").value
            };
            ([value(Measure::DeltaEi), value(Measure::DeltaMi)], measured.colour.clone())
        }
        Assessment::NotMeasurable { detail, .. } => panic!("not measurable: {detail}"),
    }
}

#[test]
fn a_card_in_only_one_photo_changes_no_skin() {
    let on = skin(3, SIZE.0, SIZE.1);
    // Far from the chart's colours, so that a photo in the one and a photo in the others differ.
    let camera = Camera { matrix: [[0.9, 0.12, 0.0], [0.05, 0.85, 0.08], [0.0, 0.1, 0.7]], gamma: 1.4 };
    let beside = [700.0, 890.0];
    let shoot = |centre, seed| {
        let place = Place { centre, width: 300.0, turn_deg: 3.0, tilt: 0.0, layout: Layout::Classic };
        jpeg(&photograph(&on, place, camera, seed))
    };
    let (with, with_again, without) = (shoot(beside, 1), shoot(beside, 2), shoot([-9e3, -9e3], 3));

    let (own, _) = colours(&with, &with, true);
    for (follow_up, card) in [(&with_again, true), (&without, false)] {
        let (seen, how) = colours(&with, follow_up, false);
        assert_eq!(matches!(how, ColourCalibration::Card24 { .. }), card, "{how:?}");
        assert!(
            (seen[0] - own[0]).abs() < 0.15 && (seen[1] - own[1]).abs() < 0.15,
            "{seen:?}, the baseline has {own:?}"
        );
    }
    let (own, _) = colours(&without, &without, true);
    let (seen, how) = colours(&without, &with, false);
    assert_eq!(how, ColourCalibration::Skin);
    assert!((seen[0] - own[0]).abs() < 0.15 && (seen[1] - own[1]).abs() < 0.15, "{seen:?}, the baseline has {own:?}");
}
