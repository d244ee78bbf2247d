//! Measures per region: one documented function per measure.
//!
//! Everything is computed on logarithms of linear light, on a grid in millimetres, so exposure and white balance
//! cancel. Scar contrast is divided by that of healthy skin of the same photo and region: light, gloss and tone curve
//! then cancel for the most part. **All of it is about photographs**: an index of contrast, no depth, no volume.

mod colour;
mod mask;
mod pits;
mod psi;
mod relief;
mod settings;

pub use colour::{ColourNoise, a_star_ita, delta_ei, delta_mi};
pub use mask::{FoundAgain, Scar, ScarMask, SizeClass};
pub use pits::Shot;
pub use psi::{PSI_FLOOR, psi, ref_energy};
pub use relief::Relief;
pub use settings::ScoreSettings;
