//! Settings: what was typed wins over the file, the file over the defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cicatrix_assess::Protocol;
use cicatrix_ledger::{ClinicRule, ClockTime, Schedule, Window};
use cicatrix_model::ClinicId;
use cicatrix_outcome::Calibration;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::args::WorkArgs;
use crate::exit::bad_config;

/// The protocol and the calibration that come with the program.
const PROTOCOL: &str = include_str!("../../../config/protocols/standard-3.toml");
const CALIBRATION: &str = include_str!("../../../config/calibrations/rendered-5.toml");

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
    /// Memory that all photos in work may take together, MiB; 0 means 60 % of what there is.
    pub(crate) max_memory_mib: u64,
    /// Protocol file; empty means the one that comes with the program.
    pub(crate) protocol: Option<PathBuf>,
    /// Calibration table; empty means the one that comes with the program.
    pub(crate) calibration: Option<PathBuf>,
    /// Time of day after which a run begins nothing; empty means when the last window closes.
    pub(crate) deadline: Option<String>,
    /// What holds for all clinics.
    pub(crate) clinic: ClinicConfig,
    /// What holds for some of them instead, each setting by itself.
    pub(crate) clinics: BTreeMap<ClinicId, ClinicConfig>,
}

/// `[clinic]`, and `[clinics.<id>]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ClinicConfig {
    /// When its photos may be read; empty means always.
    pub(crate) window: Option<String>,
    /// Its share of the work beside the others'.
    pub(crate) share: Option<f64>,
    /// Photos in work at once, over all workers; empty means as many as there is room for.
    pub(crate) most_at_once: Option<u32>,
}

impl ClinicConfig {
    /// This setting, else that of all clinics.
    fn over(&self, all: &Self) -> Self {
        Self {
            window: self.window.clone().or(all.window.clone()),
            share: self.share.or(all.share),
            most_at_once: self.most_at_once.or(all.most_at_once),
        }
    }

    fn rule(&self, place: &str) -> anyhow::Result<ClinicRule> {
        let wrong = |why: String| bad_config(format!("[{place}] is not right: {why}"));
        let window: Option<Window> = self.window.as_deref().map(str::parse).transpose().map_err(wrong)?;
        let share = self.share.unwrap_or(1.0);
        if !(0.001..=1000.0).contains(&share) {
            return Err(wrong(format!("share is {share}: it lies between 0.001 and 1000")));
        }
        if self.most_at_once == Some(0) {
            return Err(wrong("most_at_once is 0: 'cicatrix jobs pause' stops a clinic's photos".to_owned()));
        }
        Ok(ClinicRule { window, share, most_at_once: self.most_at_once })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            db: "sqlite://cicatrix.db".to_owned(),
            workers: 0,
            pixel_memory_mib: 3072,
            pixel_cpu_s: 20,
            max_memory_mib: 0,
            protocol: None,
            calibration: None,
            deadline: None,
            clinic: ClinicConfig::default(),
            clinics: BTreeMap::new(),
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
    pub(crate) fn with(&self, typed: &WorkArgs) -> anyhow::Result<Self> {
        let typed = Self {
            workers: typed.workers.unwrap_or(self.workers),
            pixel_memory_mib: typed.pixel_memory.unwrap_or(self.pixel_memory_mib),
            max_memory_mib: typed.max_memory.unwrap_or(self.max_memory_mib),
            ..self.clone()
        };
        typed.validate()?;
        Ok(typed)
    }

    /// Memory that all photos in work may take together, bytes.
    pub(crate) fn budget_bytes(&self) -> u64 {
        match self.max_memory_mib {
            0 => available_memory().map_or(u64::MAX, |bytes| bytes / 10 * 6),
            mib => mib << 20,
        }
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
        self.deadline()?;
        self.schedule(false)?;
        Ok(())
    }

    /// When the photos of each clinic may be read; `now` leaves the windows out.
    pub(crate) fn schedule(&self, now: bool) -> anyhow::Result<Schedule> {
        let mut clinics = BTreeMap::new();
        for (clinic, own) in &self.clinics {
            clinics.insert(clinic.clone(), own.over(&self.clinic).rule(&format!("clinics.{clinic}"))?);
        }
        Ok(Schedule { usual: self.clinic.rule("clinic")?, clinics, now })
    }

    fn deadline(&self) -> anyhow::Result<Option<ClockTime>> {
        self.deadline
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|why: String| bad_config(format!("deadline: {why}")))
    }

    /// When nothing more is begun tonight: as it was typed, else as it is configured, else when the last window closes.
    pub(crate) fn ends(
        &self,
        typed: Option<&ClockTime>,
        schedule: &Schedule,
        now: Timestamp,
    ) -> anyhow::Result<Option<Timestamp>> {
        let told = typed.cloned().or(self.deadline()?);
        Ok(told.map(|time| time.next(now)).or_else(|| schedule.end(now)))
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

/// Memory of this machine, or of the container that holds this program, bytes; where the system tells it as Linux does.
fn available_memory() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = limits.iter().filter_map(|path| read(path)?.trim().parse::<u64>().ok()).min();
    [limit, total_memory()].into_iter().flatten().min()
}

/// Asked of the system itself: /proc may be hidden from this program.
#[cfg(target_os = "linux")]
fn total_memory() -> Option<u64> {
    let told = rustix::system::sysinfo();
    told.totalram.checked_mul(u64::from(told.mem_unit))
}

#[cfg(not(target_os = "linux"))]
fn total_memory() -> Option<u64> {
    None
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
        let with = |workers, pixel_memory, max_memory| {
            config.with(&WorkArgs { workers, pixel_memory, max_memory, ..WorkArgs::without_pictures() })
        };
        assert!(with(None, Some(255), None).is_err());
        assert!(with(Some(1025), None, None).is_err());
        assert_eq!(with(None, None, None).unwrap(), config);
        let typed = with(Some(2), Some(256), Some(1024)).unwrap();
        assert_eq!((typed.workers(), typed.pixel_memory_mib, typed.budget_bytes()), (2, 256, 1 << 30));
    }

    #[test]
    fn a_clinic_has_what_it_says_and_else_what_all_have() {
        let text = "clinic = { window = '22:00-06:00 Europe/Berlin', most_at_once = 4 }
                    clinics.c-2 = { share = 2.0 }
                    clinics.c-3 = { window = '23:00-05:00 UTC' }";
        let config: Config = toml::from_str(text).unwrap();
        let schedule = config.schedule(false).unwrap();
        let told = |clinic| {
            let rule = schedule.rule(clinic);
            (rule.window.as_ref().unwrap().to_string(), rule.share, rule.most_at_once)
        };
        assert_eq!(told("c-1"), ("22:00-06:00 Europe/Berlin".to_owned(), 1.0, Some(4)));
        assert_eq!(told("c-2"), ("22:00-06:00 Europe/Berlin".to_owned(), 2.0, Some(4)));
        assert_eq!(told("c-3"), ("23:00-05:00 UTC".to_owned(), 1.0, Some(4)));
        for wrong in
            ["clinic.window = '22-6'", "clinics.c-1.share = 0.0", "clinic.most_at_once = 0", "deadline = 'soon'"]
        {
            assert!(toml::from_str::<Config>(wrong).unwrap().validate().is_err(), "{wrong}");
        }
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
