//! What is measured in a photo, with unit, and what the gate read on the way.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Region;

macro_rules! measures {
    ($(#[doc = $about:literal] $variant:ident $name:literal $unit:literal $log:literal;)*) => {
        /// A number per region. How each is computed is written at its function in `cicatrix-score`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum Measure { $(#[doc = $about] #[serde(rename = $name)] $variant,)* }

        impl Measure {
            pub const ALL: &'static [Measure] = &[$(Measure::$variant,)*];
            pub fn name(self) -> &'static str {
                match self { $(Measure::$variant => $name,)* }
            }
            pub fn unit(self) -> &'static str {
                match self { $(Measure::$variant => $unit,)* }
            }
            /// What it is, in a sentence.
            pub fn about(self) -> &'static str {
                match self { $(Measure::$variant => $about.trim_ascii(),)* }
            }
            /// Whether a change is a ratio (compared on logarithms, told in %) or a difference in the unit.
            pub fn is_ratio(self) -> bool {
                match self { $(Measure::$variant => $log,)* }
            }
        }

        impl FromStr for Measure {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($name => Ok(Measure::$variant),)*
                    other => Err(format!("'{other}' is no measure")),
                }
            }
        }
    };
}

measures! {
    /// The photographic scar index, primary: scar contrast over that of healthy skin in the same photo.
    Psi "psi" "1" true;
    /// The scar index over scars under 2 mm.
    PsiSmall "psi_small" "1" true;
    /// The scar index over scars of 2 to 4 mm.
    PsiMedium "psi_medium" "1" true;
    /// The scar index over scars above 4 mm.
    PsiLarge "psi_large" "1" true;
    /// The scar index over sunken scars, where the light's direction tells the sign.
    PsiDepressed "psi_depressed" "1" true;
    /// The scar index over raised scars. Exploratory: a papule is a bump too.
    PsiRaised "psi_raised" "1" true;
    /// Contrast energy of reference skin: the drift channel.
    RefEnergy "ref_energy" "ln²" true;
    /// Area whose contrast is above that of reference skin.
    ScarAreaMm2 "scar_area_mm2" "mm²" true;
    /// Area whose contrast is above that of reference skin, as a share of the region, 0 to 1.
    ScarAreaFrac "scar_area_frac" "1" true;
    /// Area of scars where the baseline has ordinary skin.
    NewScarAreaMm2 "new_scar_area_mm2" "mm²" false;
    /// Scars of the baseline under 2 mm that are found again within 3 mm. Exploratory.
    ScarCountSmall "scar_count_small" "1" false;
    /// Scars of the baseline of 2 to 4 mm that are found again within 3 mm. Exploratory.
    ScarCountMedium "scar_count_medium" "1" false;
    /// Scars of the baseline above 4 mm that are found again within 3 mm. Exploratory.
    ScarCountLarge "scar_count_large" "1" false;
    /// Erythema of scars minus that of the skin around them, 100·log10.
    DeltaEi "delta_ei" "100·log10" false;
    /// Melanin of scars minus that of the skin around them, 100·log10.
    DeltaMi "delta_mi" "100·log10" false;
    /// Area redder than the skin around it by twice the baseline's noise.
    RednessAreaMm2 "redness_area_mm2" "mm²" false;
    /// Area browner than the skin around it by twice the baseline's noise.
    PigmentAreaMm2 "pigment_area_mm2" "mm²" false;
    /// CIELAB a* of ordinary skin; only with a colour card in the photo and in the baseline.
    AStar "a_star" "CIELAB" false;
    /// Individual typology angle of ordinary skin; only with a card, as `a_star`.
    ItaDeg "ita_deg" "°" false;
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One value of one region in one photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    pub measure: Measure,
    pub value: f64,
    /// Pixels of the scoring grid that the value rests on.
    pub n_pixels: u64,
}

/// Where the scale of a photo comes from, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScaleSource {
    /// A colour card whose size the protocol knows.
    Card,
    /// `px_per_mm` of the baseline's manifest.
    Manifest,
    /// Diameter of the iris, 11.7 ± 0.5 mm in adults.
    Iris,
    /// Distance of the pupils, 63 ± 3.7 mm in adults.
    Pupils,
    /// Nothing says it: bands are in nominal millimetres, size classes and areas in mm² are not given.
    Unknown,
}

impl ScaleSource {
    pub fn name(self) -> &'static str {
        match self {
            ScaleSource::Card => "card",
            ScaleSource::Manifest => "manifest",
            ScaleSource::Iris => "iris",
            ScaleSource::Pupils => "pupils",
            ScaleSource::Unknown => "unknown",
        }
    }
}

/// Pixels per millimetre on the skin, and how we know.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    pub px_per_mm: f64,
    #[serde(rename = "scale_source")]
    pub source: ScaleSource,
    /// Standard deviation as a share of the scale: 0.02 is 2 %. Areas have twice that.
    #[serde(rename = "scale_relative_sd")]
    pub relative_sd: f64,
}

/// How good the conditions of a photo were, from its gate readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QualityTier {
    Locked,
    Clinic,
    Casual,
}

impl QualityTier {
    pub fn name(self) -> &'static str {
        match self {
            QualityTier::Locked => "locked",
            QualityTier::Clinic => "clinic",
            QualityTier::Casual => "casual",
        }
    }
}

impl Measure {
    /// In mm², so that an error of the scale is twice in it.
    pub fn is_area(self) -> bool {
        self.unit() == "mm²"
    }
}

/// What the gate made of one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateVerdict {
    Ok,
    Warn,
    Fail,
}

impl GateVerdict {
    pub fn name(self) -> &'static str {
        match self {
            GateVerdict::Ok => "ok",
            GateVerdict::Warn => "warn",
            GateVerdict::Fail => "fail",
        }
    }
}

/// One statistic of the quality gate; `name` carries the unit as its suffix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateReading {
    pub name: String,
    /// Not a number where nothing was there to be read, as in a region that is wholly covered; null in JSON.
    #[serde(deserialize_with = "or_nan")]
    pub value: f64,
    pub verdict: GateVerdict,
    pub reason: Option<crate::Reason>,
    /// What it was held against: the value from which it warns, and the one from which it fails. They are upper limits where the
    /// second is the larger one. None for what decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<[f64; 2]>,
    /// The region that it was read in; none for what holds for the whole photo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
}

fn or_nan<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// `dark_code is 0.041, below the limit of 0.1`
impl std::fmt::Display for GateReading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is {:.3}", self.name, self.value)?;
        match self.limits {
            Some([warns, fails]) if self.verdict == GateVerdict::Fail => {
                let side = if fails >= warns { "beyond" } else { "below" };
                write!(f, ", {side} the limit of {fails}")
            }
            _ => Ok(()),
        }
    }
}

impl GateReading {
    /// What was read for a region: of itself, and of the whole photo.
    pub fn of_region(readings: &[GateReading], region: &Region) -> Vec<(String, f64)> {
        let its = readings.iter().filter(|r| r.region.as_ref().is_none_or(|name| name == region));
        its.map(|r| (r.name.clone(), r.value)).collect()
    }
}
