//! What is told while it works: logs on stderr and, where a collector is named, spans.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::args::Global;

/// Logs go to stderr: lines for people, JSON for machines. `CICATRIX_LOG` takes a filter. What is returned has to live as long
/// as the program works: with it the last spans are sent.
pub(crate) fn start(global: &Global) -> Spans {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (_, 0) => "cicatrix=warn,cicatrix_worker=warn,cicatrix_ledger=warn,cicatrix_store=warn,error",
        (_, 1) => "cicatrix=info,cicatrix_worker=info,cicatrix_ledger=info,cicatrix_store=info,warn",
        (_, _) => "debug,sqlx=info,hyper=info",
    };
    let asked = std::env::var("CICATRIX_LOG").ok().filter(|asked| !asked.is_empty());
    let read = asked.as_deref().map(EnvFilter::try_new).transpose();
    let is_bad = read.as_ref().err().map(ToString::to_string);
    let filter = read.ok().flatten().unwrap_or_else(|| EnvFilter::new(level));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if global.json {
        lines.json().boxed()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()).boxed()
    };
    let registry = tracing_subscriber::registry().with(lines.with_filter(filter));
    let spans = Spans::from_environment();
    #[cfg(feature = "otlp")]
    registry.with(spans.layer()).init();
    #[cfg(not(feature = "otlp"))]
    registry.init();
    if let Some(why) = is_bad {
        tracing::warn!(
            "CICATRIX_LOG is no filter ({why}) and is not used: write for example 'info' or 'cicatrix_store=debug'"
        );
    }
    spans
}

/// Where spans go.
#[derive(Debug)]
pub(crate) struct Spans {
    #[cfg(feature = "otlp")]
    provider: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

#[cfg(not(feature = "otlp"))]
impl Spans {
    fn from_environment() -> Self {
        Self {}
    }

    pub(crate) fn send_last(self) {}
}

#[cfg(feature = "otlp")]
impl Spans {
    /// To the collector that OpenTelemetry's own variables name; to nobody where they name none.
    fn from_environment() -> Self {
        use std::io::Write;

        let is_named = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
            .into_iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
        if !is_named {
            return Self { provider: None };
        }
        let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().build();
        match exporter {
            Ok(exporter) => {
                let named = opentelemetry_sdk::Resource::builder().with_service_name(env!("CARGO_PKG_NAME")).build();
                let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder()
                    .with_batch_exporter(exporter)
                    .with_resource(named)
                    .build();
                Self { provider: Some(provider) }
            }
            Err(error) => {
                // Work does not depend on who watches it.
                let _ = writeln!(std::io::stderr(), "no spans are sent: {error}");
                Self { provider: None }
            }
        }
    }

    /// Only this program's own spans: those of libraries would name keys.
    fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    {
        use opentelemetry::trace::TracerProvider;

        let ours = tracing_subscriber::filter::filter_fn(|metadata: &tracing::Metadata<'_>| {
            metadata.is_span() && metadata.target().starts_with("cicatrix") && *metadata.level() <= tracing::Level::INFO
        });
        self.provider.as_ref().map(|provider| {
            tracing_opentelemetry::layer().with_tracer(provider.tracer(env!("CARGO_PKG_NAME"))).with_filter(ours)
        })
    }

    /// Sends what is left; to be called outside of the runtime, which it would hold up.
    pub(crate) fn send_last(self) {
        if let Some(Err(error)) = self.provider.map(|provider| provider.shutdown()) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}
