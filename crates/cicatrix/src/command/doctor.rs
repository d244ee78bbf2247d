//! `doctor`: whether this machine can do the work.

use std::process::Stdio;

use anyhow::Context;
use cicatrix_ledger::Ledger;
use cicatrix_worker::pixel::confinement_of;

use crate::config::Config;
use crate::exit;
use crate::print::out;

pub(crate) async fn doctor(settings: &Config) -> anyhow::Result<u8> {
    out(&format!("cicatrix {}", env!("CARGO_PKG_VERSION")))?;
    let (protocol, calibration) = (settings.protocol()?, settings.calibration()?);
    out(&format!("settings      right; protocol {}, calibration {}", protocol.id, calibration.id))?;
    let scratch = std::env::temp_dir().join(format!("cicatrix-doctor-{}.db", std::process::id()));
    let ledger = Ledger::open(&format!("sqlite://{}", scratch.display())).await.context("a scratch database")?;
    ledger.close().await;
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", scratch.display()));
    }
    out("database      SQLite opens and migrates")?;
    let memory = settings.pixel_memory_mib << 20;
    let child = std::process::Command::new(std::env::current_exe()?)
        .args(["pixel", &memory.to_string()])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .output()
        .context("cannot start a pixel process")?;
    let confinement = confinement_of(&child.stdout).context("the pixel process did not answer")?;
    out(&format!("pixel process {confinement}"))?;
    out(&format!("CPUs          {}", settings.workers()))?;
    Ok(exit::DONE)
}
