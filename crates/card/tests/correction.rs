//! How near the truth skin comes by a card's correction, over cameras that mix, cast and curve; figures are printed with
//! `cargo test -p cicatrix-card --test correction -- --nocapture`.

#[path = "rendered/camera.rs"]
mod camera;

use camera::{Camera, camera};
use cicatrix_card::{Card, Correction, Layout, PATCHES, Patch, linear};
use palette::color_difference::Ciede2000;
use palette::{IntoColor, Lab, LinSrgb};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SESSIONS: u64 = 200;
/// No constant of the correction was chosen on these.
const FIRST_SEED: u64 = 5000;

/// Thirty-six skins in linear sRGB: six tones from very fair to very dark, each from pale to inflamed. Blood takes green,
/// less blue, hardly any red.
fn skins() -> Vec<[f64; 3]> {
    let tones = [[244, 208, 180], [230, 185, 150], [205, 155, 120], [165, 115, 85], [115, 78, 58], [70, 48, 38]];
    let tones = tones.map(|tone| tone.map(|code| cicatrix_photo::to_linear(f64::from(code) / 255.0)));
    let blood = |[r, g, b]: [f64; 3], k: f64| [r * (-0.08 * k).exp(), g * (-k).exp(), b * (-0.75 * k).exp()];
    tones.iter().flat_map(|tone| (0..6).map(|step| blood(*tone, 0.1 * f64::from(step)))).collect()
}

fn delta_e(a: [f64; 3], b: [f64; 3]) -> f64 {
    let lab = |[r, g, b]: [f64; 3]| -> Lab<palette::white_point::D65, f64> { LinSrgb::new(r, g, b).into_color() };
    lab(a).difference(lab(b))
}

/// By how much each channel of a colour is off by itself, up to: print, gloss, and what a camera sees unlike the eye, which
/// no correction takes away. On skin alone it makes some 0.8 CIEDE2000.
const OWN: f64 = 0.04;

fn own(colour: [f64; 3], random: &mut ChaCha8Rng) -> [f64; 3] {
    colour.map(|v| v * (1.0 + random.random_range(-OWN..OWN)))
}

/// A card as this camera measures it.
fn card(camera: Camera, random: &mut ChaCha8Rng) -> Card {
    let patches = std::array::from_fn(|patch| {
        let linear = own(camera.see(linear(patch).map(|v| 0.8 * v)), random);
        Patch { centre_px: [0.0; 2], linear, usable: linear.iter().all(|v| *v < 0.98), seen: true }
    });
    assert_eq!(patches.len(), PATCHES);
    Card { layout: Layout::Classic, corners_px: [[0.0; 2]; 4], patches, agreement: 1.0, pitch_px: 50.0 }
}

/// Median and 95th percentile of CIEDE2000 on skin, with and without correction.
fn errors(gamma: f64, lit: f64) -> [f64; 4] {
    let (mut raw, mut corrected) = (Vec::new(), Vec::new());
    for seed in FIRST_SEED..FIRST_SEED + SESSIONS {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let camera = camera(&mut random, gamma);
        let correction = Correction::of(&card(camera, &mut random)).expect("a clean card gives a correction");
        for skin in skins() {
            let truth = skin.map(|v| lit * v);
            let seen = own(camera.see(truth.map(|v| 0.8 * v)), &mut random);
            raw.push(delta_e(seen, truth));
            corrected.push(delta_e(correction.apply(seen), truth));
        }
    }
    raw.sort_by(f64::total_cmp);
    corrected.sort_by(f64::total_cmp);
    let at = |values: &[f64], share: f64| values[(share * values.len() as f64) as usize];
    [at(&raw, 0.5), at(&raw, 0.95), at(&corrected, 0.5), at(&corrected, 0.95)]
}

#[test]
fn skin_comes_out_within_its_target_with_a_linear_camera_and_with_an_unknown_tone_curve() {
    for (name, gamma, lit) in [
        ("linear", 0.0, 1.0),
        ("linear, skin lit at 0.7", 0.0, 0.7),
        ("gamma ± 12 %", 0.12, 1.0),
        ("gamma ± 12 %, skin lit at 0.7", 0.12, 0.7),
    ] {
        let [raw, raw95, corrected, corrected95] = errors(gamma, lit);
        println!(
            "{name}: CIEDE2000 {raw:.2} / {raw95:.2} as photographed, {corrected:.2} / {corrected95:.2} corrected"
        );
        assert!(corrected <= 1.2, "{name}: {corrected}");
    }
}

/// A card of other colours, or one in mixed light, must not bend the skin.
#[test]
fn patches_that_are_not_the_charts_give_no_correction() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let camera = camera(&mut random, 0.0);
    let mut wrong = card(camera, &mut random);
    for patch in &mut wrong.patches[..18] {
        patch.linear = [patch.linear[1], patch.linear[2], patch.linear[0]];
    }
    assert_eq!(Correction::of(&wrong), None);
    let mut dark = card(camera, &mut random);
    dark.patches[18..].iter_mut().for_each(|patch| patch.usable = false);
    assert_eq!(Correction::of(&dark), None);
}

/// A hand over a third of the card.
#[test]
fn covered_patches_are_left_out() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let camera = camera(&mut random, 0.1);
    let clean = card(camera, &mut random);
    let mut covered = clean.clone();
    for patch in [2, 3, 4, 8, 9, 15, 19] {
        covered.patches[patch].linear = camera.see([0.4, 0.25, 0.18]);
        covered.patches[patch].seen = false;
    }
    let (clean, covered) = (Correction::of(&clean).unwrap(), Correction::of(&covered).unwrap());
    assert_eq!(covered.patches, PATCHES - 7);
    for skin in skins() {
        let seen = camera.see(skin.map(|v| 0.8 * v));
        assert!(delta_e(clean.apply(seen), covered.apply(seen)) < 2.0);
    }
}
