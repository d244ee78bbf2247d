//! `serve`: the dashboard.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use cicatrix_ledger::without_password;
use cicatrix_store::{PhotoStore, StoreError, open};
use cicatrix_web::{Access, Settings, serve as serve_pages};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::args::ServeArgs;
use crate::command::export::{open_existing, open_to_change};
use crate::command::run::{plan_settings, stopped_by_signals};
use crate::config::Config;
use crate::exit;
use crate::print::out;

/// Until it is told to stop: by signals, without a `stop` of the caller's.
pub(crate) async fn serve(args: &ServeArgs, settings: &Config, stop: Option<CancellationToken>) -> anyhow::Result<u8> {
    let password = args.password_file.as_deref().map(password).transpose()?;
    let (access, token) =
        Access::at(args.bind, password.as_deref()).map_err(|error| exit::bad_config(error.to_string()))?;
    let ledger = match args.read_only {
        true => open_existing(&settings.db).await?,
        false => open_to_change(&settings.db).await?,
    };
    let pictures = pictures(&args.out).await?;
    let schedule = settings.schedule(false)?;
    settings.ends(None, &schedule, Timestamp::now())?;
    let own = settings.clone();
    let shown = Settings {
        database: without_password(&settings.db),
        plan: plan_settings(settings)?,
        read_only: args.read_only,
        // Behind a password there may be several, so each says who it is.
        user: password.is_none().then(|| std::env::var("USER").ok()).flatten(),
        deadline: Box::new(move || own.ends(None, &schedule, Timestamp::now()).ok().flatten()),
    };
    let listener = TcpListener::bind(args.bind)
        .await
        .map_err(|error| exit::bad_config(format!("cannot listen on {}: {error}", args.bind)))?;
    let address = listener.local_addr()?;
    // Before the greeting: whoever reads it may stop it.
    let stop = stop.unwrap_or_else(stopped_by_signals);
    let token = token.map_or(String::new(), |token| format!("?token={token}"));
    out(&format!("The dashboard is at http://{address}/{token}\nCtrl-C stops it."))?;
    if !address.ip().is_loopback() {
        out("It speaks no TLS: put a proxy before it that does, or passwords and photos can be read on their way.")?;
    }
    serve_pages(listener, access, ledger, pictures, shown, stop).await?;
    Ok(exit::DONE)
}

fn password(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| exit::bad_config(format!("the password file {}: {error}", file.display())))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// Where pictures are; a folder that is not there has none.
async fn pictures(place: &str) -> anyhow::Result<Option<Arc<dyn PhotoStore>>> {
    if place == "none" {
        return Ok(None);
    }
    match open(place).await {
        Ok(store) => Ok(Some(store)),
        Err(StoreError::NoSuchFolder { .. }) => {
            tracing::warn!(place, "there is no such folder, so no pictures are shown: name it with --out");
            Ok(None)
        }
        Err(error) => Err(error).context("the place of derived pictures"),
    }
}
