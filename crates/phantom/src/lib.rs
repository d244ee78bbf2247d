//! Synthetic patients with known truth: a *digital reference object* for the demo, tests and benches.
//!
//! A [`Patient`] is drawn from a seed: relief, pigment, scars of known volume and the course they take. A
//! [`Session`] is that skin on one day, a [`Photo`] one shot of it with all that a clinic gets wrong: pose,
//! light, gloss, exposure, colour, focus, noise, compression. The truth comes from other random streams than
//! the nuisance, so no nuisance level moves it.
//!
//! ```no_run
//! use cicatrix_phantom::Patient;
//!
//! let patient = Patient::new(7);
//! let baseline = patient.session(0, 4, 1.0).shoot(1, (1200, 900));
//! let last = patient.session(3, 4, 1.0).shoot(1, (1200, 900));
//! println!("volume {:+.0} %", 100.0 * last.truth.session.true_volume_change);
//! println!("pixel (600, 450) went to {:?}", baseline.map_to(&last, [600.0, 450.0]));
//! std::fs::write("last.jpg", last.to_jpeg()).unwrap();
//! ```
//!
//! Everything follows from (seed, session, shot, level, size) alone: no clock, no threads, no input or output.
//! The same program on the same kind of machine gives the same bytes; another mathematics library or a
//! processor without AVX2 (in the JPEG encoder) may change single bits.
//!
//! What it is not: skin. Light is direct plus fill on a height map, scattering is a blur of that map by colour
//! channel, shadows are those of relief only. Numbers reached on it are numbers on rendered skin.

mod blur;
mod camera;
mod course;
mod curve;
mod field;
mod furrow;
mod head;
mod light;
mod noise;
mod nuisance;
mod patient;
mod photo;
mod pigment;
mod projection;
mod region;
mod relief;
mod render;
mod scar;
mod scars;
mod session;
mod shadow;
mod size;
mod skin;
mod stream;
mod truth;

pub use course::Course;
pub use head::{Head, HeadPhoto, HeadSession, HeadStyle};
pub use nuisance::{DayNuisance, ExpressionWave, Nuisance, Papule, ShotNuisance};
pub use patient::Patient;
pub use photo::{Photo, jpeg};
pub use region::ROI_MM;
pub use scar::ScarKind;
pub use session::Session;
pub use truth::{PhotoTruth, ScarTruth, ScarVolumes, SessionTruth};
