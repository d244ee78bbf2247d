//! Pixel processes: the one role that parses image bytes, and the pool of them in the parent.

mod child;
mod message;
mod pool;
mod sandbox;

pub use child::serve;
pub use message::{PhotoFacts, PixelReply, confinement_of};
pub use pool::{PixelError, PixelJob, PixelOutcome, PixelPool, PixelSettings};
pub use sandbox::Confinement;
