use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::args::Global;

/// Logs go to stderr: lines for people, JSON for machines. `CICATRIX_LOG` takes a filter.
pub(crate) fn start(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (_, 0) => "cicatrix=warn,cicatrix_worker=warn,cicatrix_ledger=warn,cicatrix_store=warn,error",
        (_, 1) => "cicatrix=info,cicatrix_worker=info,cicatrix_ledger=info,cicatrix_store=info,warn",
        (_, _) => "debug,sqlx=info,hyper=info",
    };
    let filter = EnvFilter::try_from_env("CICATRIX_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if global.json {
        builder.json().init();
    } else {
        builder.with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()).init();
    }
}
