use serde::{Deserialize, Serialize};

/// What a file may cost before it is refused unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of the file.
    pub max_bytes: u64,
    /// Pixels of the frame; 60 MP holds every phone's full mode.
    pub max_pixels: u64,
    /// Pixels of the longer side.
    pub max_side: u32,
    /// Bytes of the colour profile after inflation; real ones have under 4 kB, press profiles under 600 kB.
    pub max_icc_bytes: u64,
    /// Bytes behind the end of the picture; some cameras leave a few kB of padding.
    pub max_trailing_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 50_000_000,
            max_pixels: 60_000_000,
            max_side: 12_000,
            max_icc_bytes: 1 << 20,
            max_trailing_bytes: 64 << 10,
        }
    }
}

impl Limits {
    /// Bytes that a decoder may allocate for a frame of this size: samples of 16 bits in four channels and a margin.
    pub fn allocation(width: u32, height: u32) -> u64 {
        u64::from(width) * u64::from(height) * 8 + (16 << 20)
    }
}
