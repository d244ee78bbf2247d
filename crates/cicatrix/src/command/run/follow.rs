//! `scan --events`: uploads are planned as the store tells of them.

use anyhow::Context;
use cicatrix_ledger::{Ledger, patiently};
use cicatrix_store::open;
use cicatrix_store::s3::EventQueue;
use cicatrix_worker::{Follow, Intake};

use super::{database, intake_settings, layout, plan_settings, stopped_by_signals};
use crate::args::{Global, SourceArgs};
use crate::config::Config;
use crate::exit;
use crate::print::{out, plain};

/// Until told to stop.
pub(super) async fn follow(args: &SourceArgs, queue: &str, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let queue = EventQueue::connect(queue, &args.source).await?;
    let store = open(&args.source).await?;
    store.check().await?;
    let ledger = patiently(|| Ledger::open(&settings.db)).await.with_context(|| database(settings))?;
    let follow = Follow {
        ledger,
        intake: Intake::new(store, layout(args)?, intake_settings(args, settings)?),
        queue,
        plan: plan_settings(settings)?,
    };
    let followed = follow
        .run(stopped_by_signals(), |followed, notices| {
            for notice in notices {
                // A name may be a person's.
                tracing::debug!("{}", plain(notice));
            }
            tracing::info!(
                events = followed.events,
                patients = followed.patients,
                planned = followed.planned,
                notices = notices.len(),
                "events followed"
            );
        })
        .await?;
    if global.json {
        let told = serde_json::json!({
            "events": followed.events, "patients": followed.patients, "planned": followed.planned,
        });
        out(&told.to_string())?;
    } else {
        out(&format!(
            "{} events followed, patients listed {} times, {} runs planned.",
            followed.events, followed.patients, followed.planned
        ))?;
    }
    Ok(exit::DONE)
}
