use serde::{Deserialize, Serialize};

/// How fine the search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Stops one level earlier: what scoring needs (0.15 mm median) at about half of the cost.
    Scoring,
    Fine,
}

/// Settings of the registration; the constants of the method are at their functions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlignSettings {
    pub precision: Precision,
    /// Fewer homography inliers than this: not the same place. In the rendered pairs it was set on, true
    /// ones gave 22 and more, other patients' 7 and fewer.
    pub min_inliers: usize,
    /// Median block correlation under this: not the same skin. True pairs gave 0.7 and more, wrong ones 0.1.
    pub min_correlation: f32,
    /// Share of cells inside both photos that must match by themselves.
    pub min_matched_share: f32,
    /// Scale between the photos, in pixels and beyond what their sizes in pixels explain; when both are more than this
    /// factor (or less than its inverse), the pair is refused.
    pub max_scale: f64,
}

impl Default for AlignSettings {
    fn default() -> Self {
        Self {
            precision: Precision::Fine,
            min_inliers: 16,
            min_correlation: 0.35,
            min_matched_share: 0.6,
            max_scale: 2.0,
        }
    }
}
