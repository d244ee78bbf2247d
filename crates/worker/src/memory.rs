//! How much memory photos in work may take together, and how much one of them needs: known from the size of its frame before it
//! is decoded.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::meter::Meter;

const MIB: u64 = 1 << 20;
/// What a pixel process takes for a photo and its baseline: so much at any size, and so much for each megapixel. Measured at
/// 2, 12 and 24 MP, see docs/sizing.md; rounded up.
const BASE_MIB: u64 = 90;
const MIB_PER_MEGAPIXEL: u64 = 24;

/// Memory that a photo of so many pixels needs in work, bytes.
pub fn need(pixels: u64) -> u64 {
    (BASE_MIB + (pixels * MIB_PER_MEGAPIXEL).div_ceil(1_000_000)) * MIB
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

    /// Whether so many photos of so many pixels fit at once, so that nobody has to ask.
    pub(crate) fn holds(&self, photos: usize, pixels: u64) -> bool {
        need(pixels).saturating_mul(photos as u64) <= u64::from(self.all_mib) * MIB
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
    fn a_photo_needs_more_the_larger_it_is() {
        assert!(need(24_000_000) > need(12_000_000));
        let budget = Budget::new(4 << 30, Meter::default());
        assert!(budget.holds(4, 24_000_000) && !budget.holds(4, 60_000_000));
    }
}
