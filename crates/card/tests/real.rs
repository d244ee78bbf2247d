//! Photographs of real cards, which do not lie in this repository. `CICATRIX_CARDS` names a folder with them; without it
//! the test says that it is skipped. Where the patches lie was read off the pictures by eye.

use std::path::{Path, PathBuf};

use cicatrix_card::{Card, Layout, PATCHES, cards};
use cicatrix_photo::{Frame, Limits, Overview, decode};

/// File, and centres of the first patch (dark skin), the sixth (bluish green) and the last (black), px.
const CARDS: [(&str, [[f64; 2]; 3]); 7] = [
    ("plantcv_classic.png", [[230.0, 47.0], [225.0, 330.0], [63.0, 333.0]]),
    ("plantcv_calibrite-passport.png", [[94.0, 339.0], [99.0, 105.0], [237.0, 106.0]]),
    ("plantcv_camera-trax.png", [[237.0, 58.0], [236.0, 348.0], [63.0, 346.0]]),
    ("plantcv_colorchecker-classic-mini.jpg", [[69.0, 378.0], [69.0, 92.0], [240.0, 92.0]]),
    ("plantcv_multiple_color_card.jpg", [[152.0, 71.0], [143.0, 243.0], [40.0, 236.0]]),
    ("plantcv_tilted_color_card.jpg", [[81.0, 455.0], [91.0, 126.0], [279.0, 126.0]]),
    ("plantcv_partial_card_rgb.png", [[566.0, 375.0], [553.0, 820.0], [272.0, 816.0]]),
];

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("CICATRIX_CARDS").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: CICATRIX_CARDS names no folder with photographs of cards");
    }
    folder
}

fn frame(path: &Path) -> Frame {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    decode(&bytes, &extension, &Limits::default()).unwrap_or_else(|_| panic!("{}", path.display())).0
}

fn off(card: &Card, places: [[f64; 2]; 3]) -> f64 {
    let patches = [0, 5, PATCHES - 1].map(|patch| card.patches[patch].centre_px);
    let off = patches.iter().zip(places).map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]) / card.pitch_px);
    off.fold(0.0, f64::max)
}

#[test]
fn every_real_card_is_found_where_it_lies() {
    let Some(folder) = folder() else { return };
    for (name, places) in CARDS {
        let frame = frame(&folder.join(name));
        let found = cards(&frame, &Overview::of(&frame));
        assert_eq!(found.len(), 1, "{name}");
        let card = &found[0];
        assert_eq!(card.layout, Layout::Classic, "{name}");
        let off = off(card, places);
        println!("{name}: {} patches seen, agreement {:.2}, off by {off:.2} steps", card.seen(), card.agreement);
        assert!(off < 0.25, "{name} is off by {off:.2} steps");
    }
}
