//! What S3 tells of its objects through a queue of SQS.
//!
//! A message is a hint and no truth: it names keys at which something happened, and whoever gets it lists there again. So
//! messages may come twice, late, or in any order. One is taken out of the queue when what it led to is recorded; one that is
//! not understood is left, for the queue's own rules on messages that nobody takes.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use serde_json::Value;
use tracing::warn;

use super::client::{behaviour, region};
use super::explain::{Asked, explain};
use super::listing::decoded;
use crate::StoreError;

/// How long a request waits for a message: the longest that SQS allows.
const WAIT_SECONDS: i32 = 20;
/// Messages of one request: the most that SQS gives.
const AT_ONCE: i32 = 10;

/// A queue that S3 writes events of one bucket to.
#[derive(Debug, Clone)]
pub struct EventQueue {
    client: Client,
    url: String,
    bucket: String,
    /// Empty, or with '/' at its end.
    prefix: String,
}

/// A message, with the keys that it names, relative to the place that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub keys: Vec<String>,
    receipt: String,
}

impl EventQueue {
    /// A queue by its URL, as the usual AWS variables, profiles and roles give access to it. `place` is `s3://bucket/prefix`;
    /// what is told of other places is passed over. Nothing is asked yet.
    pub async fn connect(url: &str, place: &str) -> Result<Self, StoreError> {
        let invalid = |why: &str| StoreError::Invalid { place: url.to_owned(), action: "open", why: why.to_owned() };
        if !url.contains("://") {
            return Err(invalid(
                "an event queue is named by its URL, https://sqs.<region>.amazonaws.com/<account>/<name>",
            ));
        }
        let Some(rest) = place.strip_prefix("s3://") else {
            return Err(invalid("events are told of buckets: the source has to be s3://bucket/prefix"));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        let sdk = aws_config::defaults(behaviour()).region(region()).load().await;
        Ok(Self {
            client: Client::new(&sdk),
            url: url.to_owned(),
            bucket: bucket.to_owned(),
            prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") },
        })
    }

    /// Messages, as soon as there are some; none when none comes for 20 s, or at once where `wait` is false.
    pub async fn receive(&self, wait: bool) -> Result<Vec<Event>, StoreError> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(AT_ONCE)
            .wait_time_seconds(if wait { WAIT_SECONDS } else { 0 })
            .send()
            .await
            .map_err(|error| explain(self.asked("receive from"), &error))?;
        let mut events = Vec::new();
        for message in received.messages() {
            let (Some(receipt), Some(body)) = (message.receipt_handle(), message.body()) else { continue };
            match self.keys(body) {
                Some(keys) => events.push(Event { keys, receipt: receipt.to_owned() }),
                None => warn!(message = message.message_id(), "a message that is no event of S3 is left in the queue"),
            }
        }
        Ok(events)
    }

    /// Takes messages out of the queue.
    pub async fn done(&self, events: &[Event]) -> Result<(), StoreError> {
        for some in events.chunks(usize::try_from(AT_ONCE).unwrap_or(1)) {
            let entry = |(number, event): (usize, &Event)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(number.to_string());
                // Only a missing id or receipt is an error.
                entry.receipt_handle(&event.receipt).build().ok()
            };
            let entries = some.iter().enumerate().filter_map(entry).collect();
            let request = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries));
            let answer = request.send().await.map_err(|error| explain(self.asked("delete from"), &error))?;
            if !answer.failed().is_empty() {
                let why = answer.failed().first().map_or("", |failed| failed.code());
                let n = answer.failed().len();
                warn!(n, why, "messages could not be taken out of the queue, they come again");
            }
        }
        Ok(())
    }

    fn asked(&self, action: &'static str) -> Asked<'_> {
        Asked { place: &self.url, action, key: None }
    }

    /// The keys of this place that a message names; `None` when it is no event.
    fn keys(&self, body: &str) -> Option<Vec<String>> {
        let here = told(&serde_json::from_str(body).ok()?)?.into_iter().filter_map(|(bucket, key)| {
            if bucket != self.bucket {
                return None;
            }
            key.strip_prefix(&self.prefix).map(str::to_owned)
        });
        Some(here.collect())
    }
}

/// Buckets and keys of an event: S3's own, the same in SNS's envelope, or EventBridge's.
fn told(event: &Value) -> Option<Vec<(String, String)>> {
    if let Some(records) = event["Records"].as_array() {
        let read = |record: &Value| {
            let (bucket, key) = (&record["s3"]["bucket"]["name"], &record["s3"]["object"]["key"]);
            Some((bucket.as_str()?.to_owned(), decoded(&key.as_str()?.replace('+', " "))))
        };
        return records.iter().map(read).collect();
    }
    if let Some(message) = event["Message"].as_str() {
        return told(&serde_json::from_str(message).ok()?);
    }
    if event["Event"] == "s3:TestEvent" {
        return Some(Vec::new());
    }
    let (bucket, key) = (&event["detail"]["bucket"]["name"], &event["detail"]["object"]["key"]);
    Some(vec![(bucket.as_str()?.to_owned(), key.as_str()?.to_owned())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn queue(place: &str) -> EventQueue {
        EventQueue::connect("https://sqs.eu-central-1.amazonaws.com/1/photos", place).await.unwrap()
    }

    #[tokio::test]
    async fn keys_are_read_from_every_shape_of_an_event() {
        let own = json!({ "Records": [
            { "s3": { "bucket": { "name": "photos" }, "object": { "key": "north/clinic%3Dc-1/a+b.jpg" } } },
            { "s3": { "bucket": { "name": "other" }, "object": { "key": "north/x.jpg" } } },
            { "s3": { "bucket": { "name": "photos" }, "object": { "key": "northern/x.jpg" } } },
        ] });
        let bridge =
            json!({ "detail": { "bucket": { "name": "photos" }, "object": { "key": "north/clinic=c-1/a b.jpg" } } });
        let envelope = json!({ "Type": "Notification", "Message": own.to_string() });
        let queue = queue("s3://photos/north").await;
        for event in [&own, &bridge, &envelope] {
            assert_eq!(queue.keys(&event.to_string()), Some(vec!["clinic=c-1/a b.jpg".to_owned()]), "{event}");
        }
        assert_eq!(queue.keys(&json!({ "Event": "s3:TestEvent" }).to_string()), Some(vec![]));
        for other in ["", "{}", "[1]", r#"{"Records":[{"s3":{}}]}"#, r#"{"Message":"hello"}"#] {
            assert_eq!(queue.keys(other), None, "{other:?}");
        }
    }

    #[tokio::test]
    async fn a_queue_and_a_place_that_are_none_are_refused() {
        for (url, place) in [("photos", "s3://photos"), ("https://sqs/1/photos", "./folder")] {
            assert!(EventQueue::connect(url, place).await.is_err(), "{url} {place}");
        }
    }
}
