//! Cards that are rendered on skin are found and measured; skin without a card has none.

mod camera;
mod photo;

use camera::camera;
use cicatrix_card::{Correction, Layout, PATCHES, cards};
use cicatrix_photo::Overview;
use photo::{Place, photograph, skin};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SIZE: (u32, u32) = (1600, 1200);

/// Widths from an eighth of the photo on, in any turn.
fn places() -> Vec<Place> {
    let mut random = ChaCha8Rng::seed_from_u64(2000);
    let mut place = |layout: Layout, share: f64| {
        let width = share * f64::from(SIZE.0);
        let room = (width * 0.62).min(f64::from(SIZE.1) / 2.0);
        let mut within = |side: u32| random.random_range(room..=(f64::from(side) - room).max(room + 1.0));
        let centre = [within(SIZE.0), within(SIZE.1)];
        let turn_deg = random.random_range(0.0..360.0);
        let tilt = random.random_range(-0.12..=0.12);
        Place { centre, width, turn_deg, tilt, layout }
    };
    let shares = [0.12, 0.12, 0.13, 0.14, 0.16, 0.18, 0.21, 0.25, 0.3, 0.36, 0.45, 0.55];
    let mut places: Vec<Place> = shares.iter().map(|share| place(Layout::Classic, *share)).collect();
    places.extend([0.25, 0.3, 0.45, 0.55].map(|share| place(Layout::Strip, share)));
    places
}

#[test]
fn every_card_of_an_eighth_of_the_width_and_more_is_found_where_it_lies() {
    let skins = [skin(3, SIZE.0, SIZE.1), skin(11, SIZE.0, SIZE.1)];
    let mut missed = Vec::new();
    for (seed, place) in places().into_iter().enumerate() {
        let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
        let frame = photograph(&skins[seed % 2], place, camera(&mut random, 0.12), seed as u64);
        let found = cards(&frame, &Overview::of(&frame));
        let Some(card) = found.first().filter(|card| found.len() == 1 && card.layout == place.layout) else {
            missed.push(place);
            continue;
        };
        let off = (0..PATCHES).map(|patch| {
            let (a, b) = (card.patches[patch].centre_px, place.patch(patch));
            (a[0] - b[0]).hypot(a[1] - b[1]) / card.pitch_px
        });
        let off = off.fold(0.0, f64::max);
        let correction = Correction::of(card).map(|found| format!("{:.2} over {}", found.residual, found.patches));
        println!(
            "{:?} {:3.0} % wide, {:3.0}°: {} patches seen, off by {off:.3} steps, residual {}",
            place.layout,
            100.0 * place.width / f64::from(SIZE.0),
            place.turn_deg,
            card.seen(),
            correction.as_deref().unwrap_or("none")
        );
        assert!(off < 0.1, "{place:?} is off by {off} steps");
        assert!(correction.is_some(), "{place:?} gives no correction");
    }
    assert!(missed.is_empty(), "missed {missed:?}");
}

#[test]
fn skin_alone_has_no_card() {
    for seed in 20..28 {
        let frame = skin(seed, SIZE.0, SIZE.1);
        let found = cards(&frame, &Overview::of(&frame));
        assert!(found.is_empty(), "skin {seed}: {found:?}");
    }
}
