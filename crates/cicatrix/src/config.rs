//! Settings: what was typed wins over the file, the file over the defaults.

use std::path::{Path, PathBuf};

use cicatrix_assess::Protocol;
use cicatrix_outcome::Calibration;
use serde::{Deserialize, Serialize};

use crate::exit::bad_config;

/// The protocol and the calibration that come with the program.
const PROTOCOL: &str = include_str!("../../../config/protocols/standard-3.toml");
const CALIBRATION: &str = include_str!("../../../config/calibrations/rendered-4.toml");

/// `cicatrix.toml`. Every setting is explained in `config/cicatrix.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Database of the ledger.
    pub(crate) db: String,
    /// Photos in work at once; 0 means one for each CPU.
    pub(crate) workers: usize,
    /// Address space of a pixel process, MiB.
    pub(crate) pixel_memory_mib: u64,
    /// CPU seconds that one photo may take.
    pub(crate) pixel_cpu_s: u64,
    /// Protocol file; empty means the one that comes with the program.
    pub(crate) protocol: Option<PathBuf>,
    /// Calibration table; empty means the one that comes with the program.
    pub(crate) calibration: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            db: "sqlite://cicatrix.db".to_owned(),
            workers: 0,
            pixel_memory_mib: 3072,
            pixel_cpu_s: 20,
            protocol: None,
            calibration: None,
        }
    }
}

impl Config {
    /// Reads the file that was named, else `cicatrix.toml` in the working folder if there is one, else the defaults.
    pub(crate) fn load(named: Option<&Path>) -> anyhow::Result<Self> {
        let path = named.unwrap_or(Path::new("cicatrix.toml"));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if named.is_none() && e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(bad_config(format!("cannot read the configuration {}: {e}", path.display()))),
        };
        let config: Self =
            toml::from_str(&text).map_err(|e| bad_config(format!("{} is not right: {e}", path.display())))?;
        config.validate()?;
        Ok(config)
    }

    /// With what was typed in place of what was configured.
    pub(crate) fn with(&self, workers: Option<usize>, pixel_memory_mib: Option<u64>) -> anyhow::Result<Self> {
        let typed = Self {
            workers: workers.unwrap_or(self.workers),
            pixel_memory_mib: pixel_memory_mib.unwrap_or(self.pixel_memory_mib),
            ..self.clone()
        };
        typed.validate()?;
        Ok(typed)
    }

    fn validate(&self) -> anyhow::Result<()> {
        if self.pixel_memory_mib < 256 {
            return Err(bad_config(format!(
                "pixel_memory_mib (--pixel-memory) is {}: a pixel process needs 256 or more",
                self.pixel_memory_mib
            )));
        }
        if self.pixel_cpu_s == 0 || self.workers > 1024 {
            return Err(bad_config("pixel_cpu_s must be above 0 and workers at most 1024"));
        }
        Ok(())
    }

    pub(crate) fn workers(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }

    pub(crate) fn protocol(&self) -> anyhow::Result<Protocol> {
        let text = read_or(self.protocol.as_deref(), PROTOCOL)?;
        Ok(Protocol::from_toml(&text)?)
    }

    pub(crate) fn calibration(&self) -> anyhow::Result<Calibration> {
        let text = read_or(self.calibration.as_deref(), CALIBRATION)?;
        Ok(Calibration::from_toml(&text)?)
    }
}

fn read_or(path: Option<&Path>, built_in: &str) -> anyhow::Result<String> {
    match path {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|e| bad_config(format!("cannot read {}, named in the configuration: {e}", path.display()))),
        None => Ok(built_in.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_protocol_and_calibration_are_right() {
        let config = Config::default();
        assert_eq!(config.protocol().unwrap().id, "standard-3");
        assert!(config.calibration().unwrap().measure(cicatrix_model::Measure::Psi).is_some());
    }

    #[test]
    fn what_is_typed_has_the_limits_of_what_is_configured() {
        let config = Config::default();
        assert!(config.with(None, Some(255)).is_err());
        assert!(config.with(Some(1025), None).is_err());
        assert_eq!(config.with(None, None).unwrap(), config);
        let typed = config.with(Some(2), Some(256)).unwrap();
        assert_eq!((typed.workers(), typed.pixel_memory_mib), (2, 256));
    }

    #[test]
    fn the_explained_configuration_says_the_defaults() {
        let text = include_str!("../../../config/cicatrix.toml");
        let uncommented: String = text
            .lines()
            .filter_map(|line| {
                line.strip_prefix("# ").filter(|l| l.contains(" = ")).or(Some(line).filter(|l| !l.starts_with('#')))
            })
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(toml::from_str::<Config>(&uncommented).unwrap(), Config::default());
    }
}
