use crate::Plane;

/// Distance of every pixel to the nearest one where `mask` is above 0.5, pixels; infinite where there is none. Exact, by
/// lower envelopes of parabolas, rows then columns (Felzenszwalb & Huttenlocher 2012, Theory Comput. 8:415).
pub fn distance(mask: &Plane) -> Plane {
    let (w, h) = (mask.width, mask.height);
    let mut squared = mask.map(|m| if m > 0.5 { 0.0 } else { f32::INFINITY });
    let mut envelope = Envelope::new(w.max(h));
    for y in 0..h {
        envelope.transform(squared.row_mut(y));
    }
    let mut column = vec![0.0; h];
    for x in 0..w {
        for (y, value) in column.iter_mut().enumerate() {
            *value = squared.data[y * w + x];
        }
        envelope.transform(&mut column);
        for (y, value) in column.iter().enumerate() {
            squared.data[y * w + x] = *value;
        }
    }
    squared.map(f32::sqrt)
}

/// Working space of one line.
struct Envelope {
    apex: Vec<usize>,
    /// Where each parabola begins to be the lowest.
    from: Vec<f32>,
    line: Vec<f32>,
}

impl Envelope {
    fn new(longest: usize) -> Self {
        Self { apex: vec![0; longest], from: vec![0.0; longest + 1], line: vec![0.0; longest] }
    }

    /// `d(p) = min_q (p − q)² + f(q)` in place.
    fn transform(&mut self, f: &mut [f32]) {
        let n = f.len();
        self.line[..n].copy_from_slice(f);
        let line = &self.line[..n];
        let mut count = 0;
        for (q, height) in line.iter().enumerate().filter(|(_, height)| height.is_finite()) {
            let crossing = |p: usize| {
                let (q, p) = (q as f32, p as f32);
                (height + q * q - line[p as usize] - p * p) / (2.0 * (q - p))
            };
            while count > 0 && crossing(self.apex[count - 1]) <= self.from[count - 1] {
                count -= 1;
            }
            self.from[count] = if count == 0 { f32::NEG_INFINITY } else { crossing(self.apex[count - 1]) };
            self.apex[count] = q;
            count += 1;
        }
        if count == 0 {
            return;
        }
        let mut k = 0;
        for (p, value) in f.iter_mut().enumerate() {
            while k + 1 < count && self.from[k + 1] < p as f32 {
                k += 1;
            }
            let off = p as f32 - self.apex[k] as f32;
            *value = off * off + line[self.apex[k]];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_distance_is_that_of_the_nearest_pixel() {
        let (w, h) = (37, 23);
        let mut mask = Plane::filled(w, h, 0.0);
        let seeds = [(3, 4), (30, 20), (31, 2), (17, 11)];
        for (x, y) in seeds {
            mask.row_mut(y)[x] = 1.0;
        }
        let found = distance(&mask);
        for y in 0..h {
            for x in 0..w {
                let to = |(a, b): (usize, usize)| (x as f32 - a as f32).hypot(y as f32 - b as f32);
                let nearest = seeds.into_iter().map(to).fold(f32::INFINITY, f32::min);
                assert!((found.row(y)[x] - nearest).abs() < 1e-3, "{x},{y}");
            }
        }
    }

    #[test]
    fn nothing_is_infinitely_far() {
        assert!(distance(&Plane::filled(5, 4, 0.0)).data.iter().all(|d| d.is_infinite()));
    }
}
