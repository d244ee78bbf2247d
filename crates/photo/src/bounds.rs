/// A box in a photo, px.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Bounds {
    /// Around no point: any that is added makes it a box of that point.
    const NOTHING: Self = Self { left: f64::MAX, top: f64::MAX, right: f64::MIN, bottom: f64::MIN };

    pub fn around(points: impl IntoIterator<Item = [f64; 2]>) -> Self {
        points.into_iter().fold(Self::NOTHING, |b, [x, y]| b.with(&Self { left: x, top: y, right: x, bottom: y }))
    }

    /// Around this and another one.
    pub fn with(&self, other: &Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    /// What this and another one have in common; without width or height where they are apart.
    pub fn within(&self, other: &Self) -> Self {
        let (left, top) = (self.left.max(other.left), self.top.max(other.top));
        Self { left, top, right: self.right.min(other.right).max(left), bottom: self.bottom.min(other.bottom).max(top) }
    }

    /// Larger by this much on each side.
    pub fn grown(&self, by: f64) -> Self {
        Self { left: self.left - by, top: self.top - by, right: self.right + by, bottom: self.bottom + by }
    }

    pub fn width(&self) -> f64 {
        self.right - self.left
    }

    pub fn height(&self) -> f64 {
        self.bottom - self.top
    }

    /// The corners clockwise, the upper left one first.
    pub fn corners(&self) -> [[f64; 2]; 4] {
        [[self.left, self.top], [self.right, self.top], [self.right, self.bottom], [self.left, self.bottom]]
    }

    pub fn contains(&self, [x, y]: [f64; 2]) -> bool {
        x >= self.left && x <= self.right && y >= self.top && y <= self.bottom
    }

    pub fn meets(&self, other: &Self) -> bool {
        self.left <= other.right && other.left <= self.right && self.top <= other.bottom && other.top <= self.bottom
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_hold_their_points_and_meet_where_they_overlap() {
        let b = Bounds::around([[3.0, 8.0], [1.0, 9.0], [2.0, 4.0]]);
        assert_eq!(b, Bounds { left: 1.0, top: 4.0, right: 3.0, bottom: 9.0 });
        assert!(b.contains([1.0, 9.0]) && !b.contains([0.9, 9.0]));
        let other = Bounds { left: 2.0, top: 0.0, right: 9.0, bottom: 5.0 };
        assert!(b.meets(&other) && !b.meets(&other.grown(-1.5)));
        assert_eq!(b.within(&other), Bounds { left: 2.0, top: 4.0, right: 3.0, bottom: 5.0 });
        assert_eq!(b.with(&other).height(), 9.0);
    }
}
