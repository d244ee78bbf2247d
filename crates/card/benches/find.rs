//! What looking for a card costs on a photo of a megapixel, with and without one: `cargo bench -p cicatrix-card`.

#[path = "../tests/rendered/camera.rs"]
mod camera;
#[path = "../tests/rendered/photo.rs"]
mod photo;

use cicatrix_card::{Layout, cards};
use cicatrix_photo::Overview;
use divan::Bencher;
use photo::{Place, photograph, skin};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn with_a_card(bencher: Bencher) {
    let centre = [600.0, 430.0];
    let place = Place { centre, width: 300.0, turn_deg: 20.0, tilt: 0.05, layout: Layout::Classic };
    let camera = camera::camera(&mut ChaCha8Rng::seed_from_u64(1), 0.0);
    let frame = photograph(&skin(3, 1156, 867), place, camera, 1);
    bencher.bench(|| cards(&frame, &Overview::of(&frame)));
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn without(bencher: Bencher) {
    let frame = skin(3, 1156, 867);
    bencher.bench(|| cards(&frame, &Overview::of(&frame)));
}
