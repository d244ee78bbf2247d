use cicatrix_align::AlignSettings;
use cicatrix_locate::{ForeignSettings, SkinLimits, SkinSettings};
use cicatrix_normalize::NormalizeSettings;
use cicatrix_photo::Limits;
use cicatrix_score::ScoreSettings;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::gate::GateSettings;

/// Everything that decides what a number means. A versioned file, never changed once used: its digest stands in every
/// observation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// Name with version, `standard-3`.
    pub id: String,
    /// Photos sooner after a treatment session than this are no endpoints: swelling fakes improvement.
    #[serde(default = "Protocol::default_wait")]
    pub endpoint_wait_days: u32,
    /// Pitch of the grid on which scores are computed, mm.
    #[serde(default = "Protocol::default_pitch")]
    pub grid_pitch_mm: f64,
    /// Distance of neighbouring patches on the clinics' colour card, from middle to middle, mm; a card whose size is known
    /// tells the scale. 0 where it is not known.
    #[serde(default)]
    pub card_pitch_mm: f64,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub align: AlignSettings,
    #[serde(default)]
    pub foreign: ForeignSettings,
    #[serde(default)]
    pub skin: SkinSettings,
    #[serde(default)]
    pub normalize: NormalizeSettings,
    #[serde(default)]
    pub score: ScoreSettings,
    #[serde(default)]
    pub gate: GateSettings,
}

/// What the settings do not say: raised with each change of the formulas that moves a number.
const METHOD: u32 = 5;

/// Why a protocol file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    #[error("the protocol cannot be read: {0}")]
    Syntax(#[from] toml::de::Error),
    #[error("the protocol's '{field}' is {value}: {needed}")]
    Value { field: &'static str, value: String, needed: &'static str },
}

impl Protocol {
    fn default_wait() -> u32 {
        14
    }

    fn default_pitch() -> f64 {
        0.1
    }

    /// Reads and checks a protocol file.
    pub fn from_toml(text: &str) -> Result<Self, ProtocolError> {
        let protocol: Self = toml::from_str(text)?;
        protocol.validate()?;
        Ok(protocol)
    }

    fn validate(&self) -> Result<(), ProtocolError> {
        let wrong =
            |field, value: &dyn ToString, needed| Err(ProtocolError::Value { field, value: value.to_string(), needed });
        if self.id.is_empty() {
            return wrong("id", &"empty", "a protocol needs a name with a version");
        }
        if !(0.03..=0.5).contains(&self.grid_pitch_mm) {
            return wrong("grid_pitch_mm", &self.grid_pitch_mm, "0.03 to 0.5");
        }
        if !(0.0..=100.0).contains(&self.card_pitch_mm) {
            return wrong("card_pitch_mm", &self.card_pitch_mm, "0 (not known) to 100");
        }
        if self.score.band_sigma_mm.iter().any(|s| !(self.grid_pitch_mm..=10.0).contains(s)) {
            return wrong("score.band_sigma_mm", &"out of range", "between grid_pitch_mm and 10");
        }
        if self.score.band_weight.iter().sum::<f64>() <= 0.0 {
            return wrong("score.band_weight", &"zero", "some band must have a weight");
        }
        Ok(())
    }

    pub fn skin_limits(&self) -> SkinLimits<'_> {
        SkinLimits { foreign: &self.foreign, skin: &self.skin }
    }

    /// SHA-256 over the settings in a fixed notation and the number of the method: comments and layout of the file do not
    /// matter, and what another method measured under the same settings is never mixed with ours.
    pub fn digest(&self) -> String {
        let text = toml::to_string(self).expect("a protocol of plain values can be written");
        Sha256::digest(format!("method = {METHOD}\n{text}")).iter().map(|b| format!("{b:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_sees_settings_and_not_comments() {
        let plain = Protocol::from_toml("id = 'x-1'").unwrap();
        let commented = Protocol::from_toml("# hello\nid = 'x-1'\nendpoint_wait_days = 14").unwrap();
        let other = Protocol::from_toml("id = 'x-1'\nendpoint_wait_days = 15").unwrap();
        assert_eq!(plain.digest(), commented.digest());
        assert_ne!(plain.digest(), other.digest());
    }

    #[test]
    fn a_misspelt_setting_is_refused() {
        assert!(Protocol::from_toml("id = 'x-1'\nendpoint_wait_day = 3").is_err());
        assert!(Protocol::from_toml("id = 'x-1'\ngrid_pitch_mm = 7.0").is_err());
    }
}
