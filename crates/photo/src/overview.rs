use crate::{Frame, Plane};

/// Nodes on the longer side, at most: a card of an eighth of the width then has patches of 15 nodes.
const NODES: usize = 1200;

/// A whole photo at a glance, averaged over square blocks: what cards, faces and skin are looked for in. It is made once, for
/// reading all of a frame takes as long as looking.
#[derive(Debug, Clone)]
pub struct Overview {
    /// Size of the photo, px.
    pub width: usize,
    pub height: usize,
    /// Side of a block, px. Pixel centres lie at integers, so the first block's middle lies at (block − 1) / 2.
    pub block: usize,
    /// Red, green and blue in linear light, 0 to 1.
    pub linear: [Plane; 3],
}

impl Overview {
    pub fn of(frame: &Frame) -> Self {
        let block = frame.width.max(frame.height).div_ceil(NODES).max(1);
        Self { width: frame.width, height: frame.height, block, linear: frame.means(block) }
    }

    /// Blocks of twice the side; a last row or column that does not fill one is left out.
    pub fn half(&self) -> Self {
        Self {
            block: 2 * self.block,
            linear: self.linear.each_ref().map(Plane::half),
            width: self.width,
            height: self.height,
        }
    }
}
