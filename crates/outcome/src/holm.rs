/// P-values adjusted for their number by Holm's step-down (1979, Scand. J. Stat. 6:65): calling those below α keeps the
/// chance of one false call among all of them under α, however they depend on each other.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let n = p_values.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![1.0; n];
    let mut largest = 0.0f64;
    for (rank, &i) in order.iter().enumerate() {
        largest = largest.max((n - rank) as f64 * p_values[i]).min(1.0);
        adjusted[i] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_r() {
        // R: p.adjust(c(0.01, 0.02, 0.03, 0.005, 0.9), "holm")
        let adjusted = holm(&[0.01, 0.02, 0.03, 0.005, 0.9]);
        for (found, expected) in adjusted.iter().zip([0.04, 0.06, 0.06, 0.025, 0.9]) {
            assert!((found - expected).abs() < 1e-12, "{adjusted:?}");
        }
        assert!(holm(&[]).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn it_never_makes_a_value_smaller_and_keeps_their_order(p in proptest::collection::vec(0.0f64..1.0, 0..40)) {
            let adjusted = holm(&p);
            for i in 0..p.len() {
                proptest::prop_assert!(adjusted[i] >= p[i] && adjusted[i] <= 1.0);
                for j in 0..p.len() {
                    proptest::prop_assert!(p[i] > p[j] || adjusted[i] <= adjusted[j]);
                }
            }
        }
    }
}
