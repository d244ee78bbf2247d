//! Following a bucket's events: the patients that something happened to are listed and planned again.
//!
//! A hint is all that an event is, so nothing is lost when one comes twice or not at all: a whole sweep, once a night, shows
//! what no event told of, and what is gone. Nothing is locked, for nothing is taken over from the dead; workers work beside it.

use std::collections::BTreeSet;
use std::time::Duration;

use cicatrix_ledger::{Ledger, LedgerError, PlanSettings, SourceId, patiently};
use cicatrix_store::StoreError;
use cicatrix_store::s3::{Event, EventQueue};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::intake::{Found, Intake};

/// Messages that are taken together, so that a session of ten photos is listed once and not ten times.
const TOGETHER: usize = 200;
/// Before an outage is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// What was followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Followed {
    pub events: u64,
    /// Patients that were listed again, each as often as it was.
    pub patients: u64,
    /// Runs that were planned.
    pub planned: u64,
}

/// One who follows.
#[derive(Debug)]
pub struct Follow {
    pub ledger: Ledger,
    pub intake: Intake,
    pub queue: EventQueue,
    pub plan: PlanSettings,
}

impl Follow {
    /// Until `stop` is cancelled. An outage of queue, bucket or database is waited for; the messages come again.
    pub async fn run(self, stop: CancellationToken, tell: impl Fn(Followed, &[String])) -> anyhow::Result<Followed> {
        let place = self.intake.place();
        let source = patiently(|| self.ledger.source(&place)).await?;
        let mut followed = Followed::default();
        while !stop.is_cancelled() {
            let events = tokio::select! {
                events = self.receive() => events,
                () = stop.cancelled() => break,
            };
            let round = match events {
                Ok(events) => self.take_up(source, &events, &stop, &mut followed).await,
                Err(error) => Err(error.into()),
            };
            match round {
                Ok(notices) => tell(followed, &notices),
                Err(error) if is_outage(&error) => {
                    tracing::warn!(error = format!("{error:#}"), "events could not be followed, trying again");
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = stop.cancelled() => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
        self.ledger.close().await;
        Ok(followed)
    }

    /// What there is, once there is something.
    async fn receive(&self) -> Result<Vec<Event>, StoreError> {
        let mut events = self.queue.receive(true).await?;
        while !events.is_empty() && events.len() < TOGETHER {
            let more = self.queue.receive(false).await?;
            if more.is_empty() {
                break;
            }
            events.extend(more);
        }
        Ok(events)
    }

    /// Lists, records and plans the patients of these events, then takes the events out of the queue. Gives what there is to
    /// tell of their files. At a stop the events are left where they are, and come again.
    async fn take_up(
        &self,
        source: SourceId,
        events: &[Event],
        stop: &CancellationToken,
        followed: &mut Followed,
    ) -> anyhow::Result<Vec<String>> {
        let folders: BTreeSet<String> =
            events.iter().flat_map(|event| &event.keys).filter_map(|key| self.intake.patient_folder(key)).collect();
        let mut notices = Vec::new();
        for folder in &folders {
            let (sink, found) = mpsc::channel(64);
            let listing = async {
                let listed = self.intake.sweep_patient(folder, &sink).await;
                drop(sink);
                listed
            };
            let (listed, planned) = tokio::select! {
                both = async { tokio::join!(listing, self.record(source, found, &mut notices)) } => both,
                () = stop.cancelled() => return Ok(Vec::new()),
            };
            listed?;
            followed.planned += planned?;
            followed.patients += 1;
        }
        self.queue.done(events).await?;
        followed.events += events.len() as u64;
        Ok(notices)
    }

    async fn record(
        &self,
        source: SourceId,
        mut found: mpsc::Receiver<Found>,
        notices: &mut Vec<String>,
    ) -> Result<u64, LedgerError> {
        let mut planned = 0;
        while let Some(item) = found.recv().await {
            match item {
                Found::Session(upload) => match self.ledger.record_session(source, &upload).await {
                    Ok(_) => {}
                    Err(error @ LedgerError::OtherSource { .. }) => {
                        notices.push(error.to_string());
                        break;
                    }
                    Err(error) => return Err(error),
                },
                Found::PatientEnd { clinic, patient } => {
                    planned += self.ledger.plan_patient(&clinic, &patient, &self.plan).await?.runs();
                }
                other => notices.extend(other.told().map(|(place, detail)| format!("{place}: {detail}"))),
            }
        }
        Ok(planned)
    }
}

fn is_outage(error: &anyhow::Error) -> bool {
    let store = error.downcast_ref::<StoreError>().is_some_and(StoreError::is_transient);
    store || error.downcast_ref::<LedgerError>().is_some_and(LedgerError::is_transient)
}
