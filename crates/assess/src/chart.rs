//! Colour cards in a photo: no skin to be scored, and the measure of its colours.

use cicatrix_align::{Grid, Patch};
use cicatrix_card::{Card, Correction, cards};
use cicatrix_photo::{Frame, Overview, Plane};
use serde::{Deserialize, Serialize};

/// A card reaches so far beyond its patches, in steps between them: rim, shadow and blur.
const RIM: f64 = 1.0;

/// The cards of a photo.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chart {
    cards: Vec<Card>,
    correction: Option<Correction>,
}

/// How the colours of a photo were made comparable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ColourCalibration {
    /// A gain for each channel, on skin outside of scars.
    Skin,
    /// A card in this photo and one in the baseline.
    Card24 {
        /// Patches that could be used.
        patches: usize,
        /// Median CIEDE2000 of the patches after correction.
        residual: f64,
    },
}

impl Chart {
    pub(crate) fn of(frame: &Frame, overview: &Overview) -> Self {
        let cards = cards(frame, overview);
        let correction = cards.iter().find_map(Correction::of);
        Self { cards, correction }
    }

    pub(crate) fn cards(&self) -> &[Card] {
        &self.cards
    }

    /// 1 on the nodes of a grid on which no card lies.
    pub(crate) fn clear(&self, grid: &Grid, map: impl Fn([f64; 2]) -> [f64; 2]) -> Plane {
        let mut clear = Plane::filled(grid.width, grid.height, 1.0);
        if self.cards.is_empty() {
            return clear;
        }
        for row in 0..grid.height {
            for (column, value) in clear.row_mut(row).iter_mut().enumerate() {
                let place = map(grid.place(column, row));
                if self.cards.iter().any(|card| card.covers(place, RIM)) {
                    *value = 0.0;
                }
            }
        }
        clear
    }

    /// The colours as the card has them; none without a card that can be trusted.
    pub(crate) fn correct(&self, patch: &Patch) -> Option<Patch> {
        let correction = self.correction.as_ref()?;
        let mut corrected = patch.clone();
        for i in 0..patch.inside.data.len() {
            let seen = [&patch.red, &patch.green, &patch.blue].map(|plane| f64::from(plane.data[i]));
            let [r, g, b] = correction.apply(seen).map(|v| v as f32);
            (corrected.red.data[i], corrected.green.data[i], corrected.blue.data[i]) = (r, g, b);
        }
        Some(corrected)
    }

    /// A colour as the card has it; as it is without a card.
    pub(crate) fn corrected(&self, seen: [f64; 3]) -> [f64; 3] {
        self.correction.as_ref().map_or(seen, |correction| correction.apply(seen))
    }

    /// Pixels per millimetre, from a card whose patches lie `pitch_mm` apart; none without a card, or at 0.
    pub(crate) fn px_per_mm(&self, pitch_mm: f64) -> Option<f64> {
        let card = self.cards.first().filter(|_| pitch_mm > 0.0)?;
        Some(card.pitch_px / pitch_mm)
    }

    /// Whether a card tells the colours of this photo.
    pub(crate) fn is_trusted(&self) -> bool {
        self.correction.is_some()
    }

    /// How this photo's colours compare with those of a baseline that has a card, or has none.
    pub(crate) fn calibration(&self, baseline_has_one: bool) -> ColourCalibration {
        match &self.correction {
            Some(correction) if baseline_has_one => {
                ColourCalibration::Card24 { patches: correction.patches, residual: correction.residual }
            }
            _ => ColourCalibration::Skin,
        }
    }
}
