//! Width and height of a photo.

/// Within the limits that the renderer and JPEG keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl Size {
    /// # Panics
    /// If a side is not 32 to 16384 px, or one side is more than three times the other.
    pub(crate) fn checked((width, height): (u32, u32)) -> Self {
        let allowed = 32..=16_384;
        assert!(
            allowed.contains(&width) && allowed.contains(&height),
            "a photo has 32 to 16384 px a side, not {width}x{height}"
        );
        assert!(
            width <= 3 * height && height <= 3 * width,
            "a photo is at most three times as long as wide, not {width}x{height}"
        );
        Self { width: width as usize, height: height as usize }
    }
}
