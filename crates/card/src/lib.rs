//! Finds a 24-patch colour card in a photo, and the colour correction that it gives.
//!
//! A card is found by its shape and told by its colours: flat pieces of a square's shape that lie on a lattice, whose
//! colours rank as those of the card do, channel by channel. Ranks bear any exposure, cast and tone curve, so a photo
//! need not be near the truth for its card to be found, and no other pattern ranks so.
//!
//! The correction is a tone curve from the neutral patches, then a root-polynomial. It needs a card because skin alone
//! cannot bear it: on skin a full matrix explains the disease away.

mod chart;
mod correction;
mod find;
mod flat;
mod lattice;

pub use chart::{FIRST_NEUTRAL, Layout, PATCHES, SRGB, linear};
pub use correction::Correction;
pub use find::{Card, Patch, cards};
