//! How much memory photos in work may take together, and how much one of them needs: known from the size of its frame before it
//! is decoded.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::meter::Meter;

const MIB: u64 = 1 << 20;
/// What a pixel process takes for a photo and its baseline: so much in any case, for each megapixel of the frame, and for each
/// million nodes of the grids on which skin is measured. Measured from 1 to 24 MP and on faces, see docs/sizing.md; rounded up.
const BASE_MIB: f64 = 100.0;
const MIB_PER_MEGAPIXEL: f64 = 9.0;
const MIB_PER_MEGANODE: f64 = 200.0;

/// Memory that a photo of so many pixels needs in work, with so many nodes of skin, bytes.
pub(crate) fn need(pixels: f64, nodes: f64) -> u64 {
    let mib = BASE_MIB + 1e-6 * (pixels * MIB_PER_MEGAPIXEL + nodes * MIB_PER_MEGANODE);
    mib.ceil() as u64 * MIB
}

/// A budget that photos in work share.
#[derive(Debug)]
pub(crate) struct Budget {
    permits: Arc<Semaphore>,
    all_mib: u32,
    meter: Meter,
}

/// Memory that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    permit: Option<OwnedSemaphorePermit>,
    budget: &'a Budget,
}

impl Budget {
    pub(crate) fn new(bytes: u64, meter: Meter) -> Self {
        let all_mib = u32::try_from(bytes / MIB).unwrap_or(u32::MAX).clamp(1, 1 << 28);
        meter.memory("budget", u64::from(all_mib) * MIB);
        meter.memory("used", 0);
        Self { permits: Arc::new(Semaphore::new(all_mib as usize)), all_mib, meter }
    }

    /// Whether so many photos that need so much fit at once, so that nobody has to ask.
    pub(crate) fn holds(&self, photos: usize, bytes: u64) -> bool {
        bytes.saturating_mul(photos as u64) <= u64::from(self.all_mib) * MIB
    }

    /// Waits for the memory that a photo needs. One that needs more than there is gets all of it, alone.
    pub(crate) async fn hold(&self, bytes: u64) -> Held<'_> {
        let mib = u32::try_from(bytes.div_ceil(MIB)).unwrap_or(u32::MAX).clamp(1, self.all_mib);
        // It is never closed.
        let permit = Arc::clone(&self.permits).acquire_many_owned(mib).await.ok();
        self.tell();
        Held { permit, budget: self }
    }

    /// Bytes that are not held.
    pub(crate) fn free(&self) -> u64 {
        self.permits.available_permits() as u64 * MIB
    }

    fn tell(&self) {
        self.meter.memory("used", u64::from(self.all_mib) * MIB - self.free());
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.budget.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_waits_and_what_never_fits_goes_alone() {
        let budget = Budget::new(1 << 30, Meter::default());
        let first = budget.hold(700 << 20).await;
        let second = tokio::time::timeout(std::time::Duration::from_millis(20), budget.hold(400 << 20)).await;
        assert!(second.is_err());
        drop(first);
        let huge = budget.hold(9 << 30).await;
        assert_eq!(budget.free(), 0);
        drop(huge);
        assert_eq!(budget.free(), 1 << 30);
    }

    #[test]
    fn a_photo_needs_more_the_larger_it_is_and_the_more_skin_it_shows() {
        assert!(need(24e6, 0.3e6) > need(12e6, 0.3e6) && need(12e6, 4e6) > 2 * need(12e6, 0.3e6));
        let budget = Budget::new(2 << 30, Meter::default());
        assert!(budget.holds(4, need(24e6, 0.3e6)) && !budget.holds(4, need(24e6, 4e6)));
    }
}
