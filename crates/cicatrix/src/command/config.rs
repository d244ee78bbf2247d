//! `config`: what is in force, and whether it is right.

use cicatrix_model::SessionManifest;

use crate::args::ConfigAction;
use crate::config::Config;
use crate::exit;
use crate::print::out;

pub(crate) fn config(action: &ConfigAction, settings: &Config) -> anyhow::Result<u8> {
    match action {
        ConfigAction::Show => {
            let protocol = settings.protocol()?;
            out(&format!("# settings\n{}", toml::to_string(settings)?))?;
            out(&format!("# protocol, digest {}\n{}", protocol.digest(), toml::to_string(&protocol)?))?;
            out(&format!("# calibration\n{}", settings.calibration()?.to_toml()))?;
        }
        ConfigAction::Check => {
            let (protocol, calibration) = (settings.protocol()?, settings.calibration()?);
            out(&format!("Right: protocol {}, calibration {}.", protocol.id, calibration.id))?;
        }
        ConfigAction::Schema => out(&serde_json::to_string_pretty(&schemars::schema_for!(SessionManifest))?)?,
    }
    Ok(exit::DONE)
}
