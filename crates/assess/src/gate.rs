//! The quality gate: each statistic with its value, what is made of it, and the reason a clinic acts upon.

use cicatrix_model::{GateReading, GateVerdict, QualityTier, Reason, Region};
use serde::{Deserialize, Serialize};

/// Where a statistic warns and where it fails. Starting values from published practice; a statistic that is "too high"
/// fails above, "too low" below.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GateSettings {
    /// Pixels per millimetre, below. Ice-picks begin at 0.3 mm across.
    pub px_per_mm: [f64; 2],
    /// Share of the region that is burnt out or black, above.
    pub clipped_share: [f64; 2],
    /// Share of the region in the bright end, where the tone curve takes contrast away, above.
    pub near_white_share: [f64; 2],
    /// Median green of the region as sRGB code, outside.
    pub dark_code: [f64; 2],
    pub bright_code: [f64; 2],
    /// Share of the region under highlights, above.
    pub glare_share: [f64; 2],
    /// Share of the region that is not skin (card, cloth, label), above.
    pub foreign_share: [f64; 2],
    /// Length of an edge of brightness that one photo has and the other has not, mm, above: a shadow or hair over the skin.
    pub shadow_edge_mm: [f64; 2],
    /// Quality of a JPEG's compression, below: what a messenger or an editor saved again has lost its fine relief.
    pub jpeg_quality: [f64; 2],
    /// ln of the ratio of finest detail to the baseline's, below (blurred against the baseline).
    pub ln_focus_ratio: [f64; 2],
    /// ln of the ratio of reference-skin energy to the baseline's, above in size.
    pub ln_ref_energy_ratio: [f64; 2],
    /// Correlation of the relief with the baseline's on reference skin, below: another light, or other skin.
    pub relief_correlation: [f64; 2],
    /// Turn of the light about the camera's axis against the baseline, degrees, above in size. Two photos in one light
    /// read up to some 20° apart.
    pub light_turn_deg: [f64; 2],
    /// Distance between what blocks measured and the smooth map, 95th percentile in mm, above.
    pub residual_p95_mm: [f64; 2],
    /// ln of the scale against the baseline, above in size.
    pub ln_scale: [f64; 2],
    /// Roll against the baseline, degrees, above in size.
    pub roll_deg: [f64; 2],
    /// Turn of the head against the baseline, yaw and nod together, degrees, where both photos show a face, above. Poses are
    /// known to some 3°.
    pub head_turn_deg: [f64; 2],
    /// Tilt of the skin against the baseline, degrees, by how much narrower it is seen in one direction, above.
    pub tilt_deg: [f64; 2],
    /// Share of the region that lies in the photo, below.
    pub covered_share: [f64; 2],
    /// Spread between the channels' gains against the baseline, ln, above.
    pub ln_colour_cast: [f64; 2],
    /// Deviations (in parts of their warning) up to which a photo is of tier locked and of tier clinic.
    pub tier_limits: [f64; 2],
}

impl Default for GateSettings {
    fn default() -> Self {
        Self {
            px_per_mm: [10.0, 6.0],
            clipped_share: [0.005, 0.02],
            near_white_share: [0.03, 0.1],
            dark_code: [0.2, 0.1],
            bright_code: [0.85, 0.95],
            glare_share: [0.02, 0.05],
            foreign_share: [0.05, 0.15],
            shadow_edge_mm: [9.0, 12.0],
            jpeg_quality: [75.0, 40.0],
            ln_focus_ratio: [-0.35, -0.9],
            ln_ref_energy_ratio: [0.35, 0.8],
            relief_correlation: [0.6, 0.25],
            light_turn_deg: [35.0, 80.0],
            residual_p95_mm: [0.3, 1.0],
            ln_scale: [0.12, 0.4],
            roll_deg: [12.0, 30.0],
            head_turn_deg: [10.0, 20.0],
            tilt_deg: [20.0, 35.0],
            covered_share: [0.95, 0.8],
            ln_colour_cast: [0.3, 0.9],
            tier_limits: [0.35, 0.8],
        }
    }
}

impl GateSettings {
    /// The same warnings, and nothing that refuses: for trials of what the gate is worth.
    pub fn never_failing(mut self) -> Self {
        let all = [
            &mut self.px_per_mm,
            &mut self.clipped_share,
            &mut self.near_white_share,
            &mut self.dark_code,
            &mut self.bright_code,
            &mut self.glare_share,
            &mut self.foreign_share,
            &mut self.shadow_edge_mm,
            &mut self.jpeg_quality,
            &mut self.ln_focus_ratio,
            &mut self.ln_ref_energy_ratio,
            &mut self.relief_correlation,
            &mut self.light_turn_deg,
            &mut self.residual_p95_mm,
            &mut self.ln_scale,
            &mut self.roll_deg,
            &mut self.head_turn_deg,
            &mut self.tilt_deg,
            &mut self.covered_share,
            &mut self.ln_colour_cast,
        ];
        for limits in all {
            limits[1] = if limits[1] >= limits[0] { f64::INFINITY } else { f64::NEG_INFINITY };
        }
        self
    }
}

/// Readings of one photo, or of one region of it, as they come in.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Gate {
    pub(crate) readings: Vec<GateReading>,
    region: Option<Region>,
}

impl Gate {
    pub(crate) fn of_region(region: &Region) -> Self {
        Self { readings: vec![], region: Some(region.clone()) }
    }

    /// Reads a statistic that is bad when high (`limits` rising) or when low (`limits` falling).
    pub(crate) fn read(&mut self, name: &str, value: f64, limits: [f64; 2], reason: Reason) {
        let beyond = |limit: f64| if limits[1] >= limits[0] { value > limit } else { value < limit };
        let verdict = match (beyond(limits[1]) || !value.is_finite(), beyond(limits[0])) {
            (true, _) => GateVerdict::Fail,
            (false, true) => GateVerdict::Warn,
            (false, false) => GateVerdict::Ok,
        };
        let reason = (verdict != GateVerdict::Ok).then_some(reason);
        let region = self.region.clone();
        // Without a limit it cannot be told, and JSON has no word for it.
        let limits = limits.iter().all(|limit| limit.is_finite()).then_some(limits);
        self.readings.push(GateReading { name: name.to_owned(), value, verdict, reason, limits, region });
    }

    /// Reads a signed statistic that is bad when large in size; the value keeps its sign.
    pub(crate) fn read_size(&mut self, name: &str, value: f64, limits: [f64; 2], reason: Reason) {
        self.read(name, value.abs(), limits, reason);
        if let Some(last) = self.readings.last_mut() {
            last.value = value;
        }
    }

    /// Notes a statistic that decides nothing by itself.
    pub(crate) fn note(&mut self, name: &str, value: f64) {
        let region = self.region.clone();
        self.readings.push(GateReading {
            name: name.to_owned(),
            value,
            verdict: GateVerdict::Ok,
            reason: None,
            limits: None,
            region,
        });
    }

    /// Reasons of the readings with this verdict, each once, in order.
    pub(crate) fn reasons(&self, verdict: GateVerdict) -> Vec<Reason> {
        let mut found = Vec::new();
        for reading in &self.readings {
            if let Some(reason) = reading.reason.filter(|r| reading.verdict == verdict && !found.contains(r)) {
                found.push(reason);
            }
        }
        found
    }

    fn value(&self, name: &str) -> Option<f64> {
        self.readings.iter().find(|r| r.name == name).map(|r| r.value)
    }

    /// Tier by the worst deviation from the baseline's conditions, in parts of what warns.
    pub(crate) fn tier(&self, settings: &GateSettings) -> QualityTier {
        let part = |name: &str, limit: f64| self.value(name).map_or(0.0, |v| (v / limit).abs());
        let correlation = self.value("relief_correlation").unwrap_or(1.0);
        let worst = [
            part("ln_ref_energy_ratio", settings.ln_ref_energy_ratio[0]),
            part("ln_focus_ratio", settings.ln_focus_ratio[0]),
            (1.0 - correlation) / (1.0 - settings.relief_correlation[0]),
        ]
        .into_iter()
        .fold(0.0, f64::max);
        match worst {
            w if w <= settings.tier_limits[0] => QualityTier::Locked,
            w if w <= settings.tier_limits[1] => QualityTier::Clinic,
            _ => QualityTier::Casual,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_that_fails_tells_its_limit() {
        let mut gate = Gate::default();
        gate.read("dark_code", 0.0412, [0.2, 0.1], Reason::Exposure);
        gate.read("glare_share", 0.2, [0.02, 0.05], Reason::Specular);
        gate.read("roll_deg", 1.0, [12.0, 30.0], Reason::PoseOff);
        let told: Vec<String> = gate.readings.iter().map(ToString::to_string).collect();
        let [dark, glare, roll] = &told[..] else { panic!("{told:?}") };
        assert_eq!(dark, "dark_code is 0.041, below the limit of 0.1");
        assert_eq!(glare, "glare_share is 0.200, beyond the limit of 0.05");
        assert_eq!(roll, "roll_deg is 1.000");
        let json = serde_json::to_string(&gate.readings).unwrap();
        assert_eq!(serde_json::from_str::<Vec<GateReading>>(&json).unwrap(), gate.readings);
    }

    #[test]
    fn limits_work_in_both_directions() {
        let mut gate = Gate::default();
        gate.read("high", 0.03, [0.02, 0.05], Reason::Specular);
        gate.read("low", 5.0, [10.0, 6.0], Reason::ResolutionLow);
        gate.read("nan", f64::NAN, [10.0, 6.0], Reason::Blur);
        let verdicts: Vec<_> = gate.readings.iter().map(|r| r.verdict).collect();
        assert_eq!(verdicts, [GateVerdict::Warn, GateVerdict::Fail, GateVerdict::Fail]);
        assert_eq!(gate.reasons(GateVerdict::Fail), [Reason::ResolutionLow, Reason::Blur]);
    }
}
