//! Events of the store: a queue of our own that speaks as SQS does, and a real S3 server.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use serde_json::{Value, json};

use crate::clinic::{Clinic, UNDISTURBED};
use crate::program::Running;
use crate::s3::upload;
use crate::s3_server::{Server, prefix_of_this_run};

/// Messages that nobody has taken out yet; each is given again until then.
type Messages = Arc<Mutex<Vec<(String, String)>>>;

async fn answer(State(messages): State<Messages>, headers: HeaderMap, body: String) -> String {
    let body: Value = serde_json::from_str(&body).unwrap();
    let asked = headers["x-amz-target"].to_str().unwrap();
    let told = match asked.rsplit_once('.').unwrap().1 {
        "ReceiveMessage" => {
            let messages = messages.lock().unwrap().clone();
            if messages.is_empty() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let told = |(receipt, body): &(String, String)| json!({ "MessageId": receipt, "ReceiptHandle": receipt, "Body": body });
            json!({ "Messages": messages.iter().take(10).map(told).collect::<Vec<_>>() })
        }
        "DeleteMessageBatch" => {
            let entries = body["Entries"].as_array().unwrap();
            let mut messages = messages.lock().unwrap();
            messages.retain(|(receipt, _)| !entries.iter().any(|entry| entry["ReceiptHandle"] == *receipt));
            json!({ "Successful": entries.iter().map(|entry| json!({ "Id": entry["Id"] })).collect::<Vec<_>>(), "Failed": [] })
        }
        other => panic!("{other} is not asked for"),
    };
    told.to_string()
}

async fn queue() -> (String, Messages) {
    let messages = Messages::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().route("/", post(answer)).with_state(Arc::clone(&messages));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (address, messages)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_tells_of_is_planned_and_measured_as_in_a_sweep() {
    let Some(server) = Server::find() else { return };
    server.make_bucket().await;
    let photos = format!("{}/told", prefix_of_this_run());
    let keys = upload(&Clinic::regular(), &server.store(&photos)).await;

    let (address, messages) = queue().await;
    let told = |key: &str| {
        json!({ "Records": [{
        "s3": { "bucket": { "name": server.bucket }, "object": { "key": format!("{photos}/{key}").replace('=', "%3D") } },
    }] })
    };
    let manifests: Vec<&String> = keys.iter().filter(|key| key.ends_with("manifest.json")).collect();
    assert_eq!(manifests.len(), 3);
    {
        let mut messages = messages.lock().unwrap();
        messages.push(("test".to_owned(), json!({ "Event": "s3:TestEvent" }).to_string()));
        messages.push(("none".to_owned(), "this is no event".to_owned()));
        for (number, key) in manifests.iter().enumerate().rev() {
            messages.push((format!("m{number}"), told(key).to_string()));
        }
    }

    let clinic = Clinic::empty();
    let from = server.place(&photos);
    let queue = format!("{address}/1/photos");
    let mut command = server.command(&clinic, &["scan", &from, "--events", &queue], &server.secret);
    command.env("AWS_ENDPOINT_URL_SQS", &address);
    let following = Running::start(command).unwrap();
    for _ in 0..200 {
        if messages.lock().unwrap().len() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let left: Vec<String> = messages.lock().unwrap().iter().map(|(receipt, _)| receipt.clone()).collect();
    assert_eq!(left, ["none"], "what is no event stays in the queue, all else is taken out");
    following.signal(rustix::process::Signal::TERM);
    let ended = following.end();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(ended.stdout.contains("6 runs planned"), "{ended}");

    let worked =
        server.cicatrix(&clinic, &["worker", &from, "--out", "none", "--drain", "--no-progress"], &server.secret);
    assert_eq!(worked.code, Some(0), "{worked}");
    assert_eq!(clinic.changes(), UNDISTURBED.changes);
}

#[test]
fn events_of_a_folder_are_refused() {
    let run = Clinic::empty().cicatrix(&["scan", ".", "--events", "http://127.0.0.1:1/1/q"]);
    assert_eq!(run.code, Some(65), "{run}");
    assert!(run.stderr.contains("s3://bucket/prefix"), "{run}");
}
