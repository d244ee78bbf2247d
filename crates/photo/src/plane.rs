//! One channel as `f32`, with the sampling that alignment and scoring share.

/// A row-major plane; pixel centres lie at integers.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    pub width: usize,
    pub height: usize,
    pub data: Vec<f32>,
}

impl Plane {
    pub fn filled(width: usize, height: usize, value: f32) -> Self {
        Self { width, height, data: vec![value; width * height] }
    }

    pub fn row(&self, y: usize) -> &[f32] {
        &self.data[y * self.width..(y + 1) * self.width]
    }

    pub fn row_mut(&mut self, y: usize) -> &mut [f32] {
        &mut self.data[y * self.width..(y + 1) * self.width]
    }

    /// Half the size by the mean of 2×2 pixels; an odd last row or column is left out.
    pub fn half(&self) -> Plane {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut data = Vec::with_capacity(width * height);
        for y in 0..height {
            let (a, b) = (self.row(2 * y), self.row(2 * y + 1));
            data.extend((0..width).map(|x| 0.25 * (a[2 * x] + a[2 * x + 1] + b[2 * x] + b[2 * x + 1])));
        }
        Plane { width, height, data }
    }

    pub fn map(&self, f: impl Fn(f32) -> f32) -> Plane {
        Plane { width: self.width, height: self.height, data: self.data.iter().map(|&v| f(v)).collect() }
    }

    /// Pixel-wise combination of two planes of one size.
    pub fn zip(&self, other: &Plane, f: impl Fn(f32, f32) -> f32) -> Plane {
        debug_assert_eq!((self.width, self.height), (other.width, other.height));
        let data = self.data.iter().zip(&other.data).map(|(&a, &b)| f(a, b)).collect();
        Plane { width: self.width, height: self.height, data }
    }

    /// Catmull-Rom interpolation at a place; `None` where the 4×4 support leaves the plane.
    #[inline(always)]
    pub fn sample(&self, x: f32, y: f32) -> Option<f32> {
        if !(x >= 1.0 && y >= 1.0 && x < self.width as f32 - 2.0 && y < self.height as f32 - 2.0) {
            return None;
        }
        let (x0, y0) = (x as usize, y as usize);
        let (wx, wy) = (catmull_rom(x - x0 as f32), catmull_rom(y - y0 as f32));
        let first = (y0 - 1) * self.width + x0 - 1;
        let support = &self.data[first..first + 3 * self.width + 4];
        // Down first, four columns side by side, then across.
        let mut columns = [0.0f32; 4];
        for (j, wy) in wy.iter().enumerate() {
            let row = &support[j * self.width..j * self.width + 4];
            for (column, v) in columns.iter_mut().zip(row) {
                *column += wy * v;
            }
        }
        Some(columns[0] * wx[0] + columns[1] * wx[1] + columns[2] * wx[2] + columns[3] * wx[3])
    }
}

/// Weights of the four neighbours at a fraction 0 to 1 between the middle two.
#[inline(always)]
pub fn catmull_rom(t: f32) -> [f32; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [0.5 * (-t + 2.0 * t2 - t3), 0.5 * (2.0 - 5.0 * t2 + 3.0 * t3), 0.5 * (t + 4.0 * t2 - 3.0 * t3), 0.5 * (t3 - t2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampling_a_ramp_is_exact() {
        let data = (0..20 * 20).map(|i| (i % 20) as f32 * 2.0 + (i / 20) as f32).collect();
        let plane = Plane { width: 20, height: 20, data };
        let value = plane.sample(7.3, 9.6).unwrap();
        assert!((value - (14.6 + 9.6)).abs() < 1e-4);
        assert_eq!(plane.sample(0.2, 5.0), None);
        assert_eq!(plane.sample(f32::NAN, 5.0), None);
    }
}
