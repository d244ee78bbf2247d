//! What is taken for a scar: pits, whatever their colour; and not what only looks dark or red.

use cicatrix_photo::Plane;
use cicatrix_score::{ScarMask, ScoreSettings, Shot};

const W: usize = 360;
const H: usize = 280;
const PX_PER_MM: f64 = 10.0;
/// The light comes from the upper right.
const LIGHT: [f64; 2] = [0.6, -0.8];
const PIT: [f64; 2] = [120.0, 90.0];
const BUMP: [f64; 2] = [260.0, 90.0];
const SPOT: [f64; 2] = [120.0, 200.0];
const RED: [f64; 2] = [260.0, 200.0];
const NEW_PIT: [f64; 2] = [190.0, 145.0];

/// Waves that differ from place to place, so that nothing repeats: fine grain of skin.
fn grain(x: f64, y: f64) -> f64 {
    let waves = [(0.9, 0.3, 0.2), (0.5, -0.8, 1.7), (-0.35, 0.62, 4.0), (0.2, 0.27, 2.9), (1.3, 0.9, 0.7)];
    waves.iter().map(|(kx, ky, phase)| (kx * x + ky * y + phase + 0.002 * x * y).sin()).sum::<f64>() / 5.0
}

/// A soft spot of deviation `sigma` mm around a place, 0 to 1.
fn soft(x: f64, y: f64, centre: [f64; 2], sigma: f64) -> f64 {
    let d2 = ((x - centre[0]).powi(2) + (y - centre[1]).powi(2)) / (sigma * PX_PER_MM).powi(2);
    (-0.5 * d2).exp()
}

/// Height in mm: a pit and a bump of 0.2 mm on grain of a hundredth (root mean square), as skin has.
fn height(x: f64, y: f64) -> f64 {
    0.2 * (soft(x, y, BUMP, 0.9) - soft(x, y, PIT, 0.9)) + 0.03 * grain(x, y)
}

/// ln red, green and blue under light of strength 0.6, with a naevus and a red stain on flat skin.
fn photo() -> [Plane; 3] {
    let mut planes = [-0.9f32, -1.5, -1.9].map(|level| Plane::filled(W, H, level));
    for i in 0..W * H {
        let (x, y) = ((i % W) as f64, (i / W) as f64);
        let slope = |dx: f64, dy: f64| (height(x + dx, y + dy) - height(x - dx, y - dy)) * 0.5 * PX_PER_MM;
        // Skin that falls towards the light faces it.
        let shade = -0.6 * (slope(1.0, 0.0) * LIGHT[0] + slope(0.0, 1.0) * LIGHT[1]);
        let mottle = 0.15 * grain(0.15 * y, 0.16 * x);
        let melanin = 1.5 * soft(x, y, SPOT, 0.6) + mottle;
        let blood = 0.5 * soft(x, y, RED, 1.2) + 0.1 * grain(0.14 * x, 0.13 * y);
        for (plane, (m, h)) in planes.iter_mut().zip([(0.38, 0.22), (0.52, 0.70), (0.78, 0.62)]) {
            plane.data[i] += (shade - m * melanin - h * blood) as f32;
        }
    }
    planes
}

fn around(plane: &Plane, [x, y]: [f64; 2]) -> bool {
    let (x, y) = (x as usize, y as usize);
    (y - 6..y + 6).any(|row| plane.row(row)[x - 6..x + 6].iter().any(|v| *v > 0.5))
}

fn masks(light: Option<[f64; 2]>) -> ScarMask {
    let [r, g, b] = photo();
    let weight = Plane::filled(W, H, 1.0);
    let mut region = Plane::filled(W, H, 0.0);
    for y in 20..H - 20 {
        region.row_mut(y)[20..W - 20].fill(1.0);
    }
    let shot = Shot { ln: [&r, &g, &b], weight: &weight, light, px_per_mm: PX_PER_MM };
    ScarMask::find(&shot, &region, &ScoreSettings::default())
}

#[test]
fn a_pit_is_a_scar_and_a_naevus_a_stain_and_a_bump_are_not() {
    let mask = masks(Some(LIGHT));
    assert!(around(&mask.scar, PIT), "the pit is not found");
    for (name, place) in [("naevus", SPOT), ("red stain", RED), ("bump", BUMP)] {
        assert!(!around(&mask.scar, place), "the {name} is taken for a scar");
    }
    assert!(around(&mask.reference, [60.0, 150.0]) && !around(&mask.reference, PIT));
}

#[test]
fn a_bump_is_raised_and_a_pit_is_not() {
    let mask = masks(Some(LIGHT));
    let raised = mask.raised.expect("the light has a direction");
    assert!(around(&raised, BUMP) && !around(&raised, PIT));
    assert!(!around(&mask.reference, BUMP), "a bump is no reference skin");
}

#[test]
fn light_from_the_other_side_turns_pits_into_bumps() {
    let mask = masks(Some(LIGHT.map(|v| -v)));
    assert!(around(&mask.scar, BUMP) && !around(&mask.scar, PIT), "the sign does not hang on the light");
}

#[test]
fn without_a_direction_of_light_there_is_no_sign() {
    let mask = masks(None);
    assert!(mask.depressed.is_none() && mask.raised.is_none());
}

#[test]
fn drawn_scars_are_taken_as_they_are_and_signed_by_the_photo() {
    let [r, g, b] = photo();
    let weight = Plane::filled(W, H, 1.0);
    let region = Plane::filled(W, H, 1.0);
    let shot = Shot { ln: [&r, &g, &b], weight: &weight, light: Some(LIGHT), px_per_mm: PX_PER_MM };
    let disc = |x: f64, y: f64, c: [f64; 2]| (x - c[0]).hypot(y - c[1]) < 12.0;
    let drawn: Vec<f32> = (0..W * H)
        .map(|i| ((i % W) as f64, (i / W) as f64))
        .map(|(x, y)| f32::from(u8::from(disc(x, y, PIT) || disc(x, y, BUMP))))
        .collect();
    let mask =
        ScarMask::drawn(&shot, &region, &Plane { width: W, height: H, data: drawn.clone() }, &ScoreSettings::default());
    assert_eq!(mask.scar.data, drawn);
    assert!(
        around(mask.depressed.as_ref().expect("a sign"), PIT) && around(mask.raised.as_ref().expect("a sign"), BUMP)
    );
    let found = mask.found_again(&shot, &ScoreSettings::default());
    assert!(found.scars.iter().sum::<u64>() >= 1, "the pit is found again: {found:?}");
}

/// The same skin with one more pit, as deep as the other.
fn with_new_pit() -> [Plane; 3] {
    let mut planes = photo();
    let pit = |x: f64, y: f64| -0.2 * soft(x, y, NEW_PIT, 0.9);
    for i in 0..W * H {
        let (x, y) = ((i % W) as f64, (i / W) as f64);
        let slope = |dx: f64, dy: f64| (pit(x + dx, y + dy) - pit(x - dx, y - dy)) * 0.5 * PX_PER_MM;
        let shade = -0.6 * (slope(1.0, 0.0) * LIGHT[0] + slope(0.0, 1.0) * LIGHT[1]);
        planes.iter_mut().for_each(|plane| plane.data[i] += shade as f32);
    }
    planes
}

#[test]
fn a_new_scar_is_told_and_taken_out_of_the_skin_that_is_compared_with() {
    let mask = masks(Some(LIGHT));
    let weight = Plane::filled(W, H, 1.0);
    let again = |[r, g, b]: [Plane; 3]| {
        let shot = Shot { ln: [&r, &g, &b], weight: &weight, light: Some(LIGHT), px_per_mm: PX_PER_MM };
        mask.found_again(&shot, &ScoreSettings::default())
    };
    let (same, grown) = (again(photo()), again(with_new_pit()));
    assert!(same.new.data.iter().all(|v| *v < 0.5), "nothing is new in the baseline itself");
    assert_eq!(same.reference.data, mask.reference.data);
    assert!(around(&grown.new, NEW_PIT) && !around(&grown.new, PIT), "the new pit and no other");
    assert!(around(&mask.reference, NEW_PIT) && !around(&grown.reference, NEW_PIT));
}
