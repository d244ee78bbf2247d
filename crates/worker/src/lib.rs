//! The shell around the pixel science: sweeps the bucket, fetches photos, hands them to pixel processes, writes what
//! comes back, and stops when it should.
//!
//! The parent holds the secrets and never parses image bytes; a pixel process parses them and holds nothing. A photo
//! that aborts, hangs or eats memory costs one child and gets its reason; the night goes on.

mod breaker;
mod desk;
#[cfg(feature = "events")]
mod follow;
mod intake;
mod memory;
mod meter;
mod metered;
mod night;
pub mod pixel;
mod shift;

pub use desk::{Desk, DeskSettings};
#[cfg(feature = "events")]
pub use follow::{Follow, Followed};
pub use intake::{Found, Intake, IntakeSettings, SweepCounts};
pub use meter::Meter;
pub use metered::Metered;
pub use night::{Ending, Night, NightSettings, Progress, Summary, look};
pub use shift::{Crew, Shift};
