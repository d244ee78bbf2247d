/// The 95 % interval of a share of which k of n were seen (Clopper & Pearson 1934, Biometrika 26:404), exact.
pub fn proportion_interval(k: usize, n: usize) -> (f64, f64) {
    const TAIL: f64 = 0.025;
    if n == 0 {
        return (0.0, 1.0);
    }
    let low = if k == 0 { 0.0 } else { bisected(|p| at_most(n - k, n, 1.0 - p) < TAIL) };
    let high = if k == n { 1.0 } else { bisected(|p| at_most(k, n, p) > TAIL) };
    (low, high)
}

/// The share up to which `holds`, which changes once from true to false.
fn bisected(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if holds(middle) { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// Probability of k or fewer of n.
fn at_most(k: usize, n: usize, p: f64) -> f64 {
    let mut ln_choose = 0.0;
    let mut sum = 0.0;
    for i in 0..=k {
        if i > 0 {
            ln_choose += ((n - i + 1) as f64).ln() - (i as f64).ln();
        }
        sum += (ln_choose + i as f64 * p.max(1e-300).ln() + (n - i) as f64 * (1.0 - p).max(1e-300).ln()).exp();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_r() {
        // R: binom.test(k, n)$conf.int
        for (k, n, low, high) in
            [(0, 16, 0.0, 0.2059), (3, 48, 0.0131, 0.1720), (35, 700, 0.0351, 0.0688), (5, 5, 0.4782, 1.0)]
        {
            let found = proportion_interval(k, n);
            assert!((found.0 - low).abs() < 1e-4 && (found.1 - high).abs() < 1e-4, "{k} of {n}: {found:?}");
        }
    }
}
