//! Spans for a collector, which here is a few lines that keep what they get.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;

use crate::clinic::Clinic;
use crate::program::Running;

type Sent = Arc<Mutex<Vec<u8>>>;

async fn take(State(sent): State<Sent>, body: Bytes) {
    sent.lock().unwrap().extend_from_slice(&body);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_steps_of_a_photo_reach_a_collector_and_name_no_patient() {
    let sent = Sent::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&sent));
    tokio::spawn(async move { axum::serve(listener, routes).await });

    let clinic = Clinic::regular();
    let mut command = clinic.command(&["run", "bucket", "--out", "none", "--no-progress"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &address);
    let run = tokio::task::spawn_blocking(move || Running::start(command).unwrap().end()).await.unwrap();
    assert_eq!(run.code, Some(0), "{run}");

    let sent = String::from_utf8_lossy(&sent.lock().unwrap()).into_owned();
    for name in ["photo", "start", "assess", "fetch", "pixels", "finish", "measured", "cicatrix"] {
        assert!(sent.contains(name), "no '{name}' was sent");
    }
    for secret in ["patient=", "pt-", ".jpg"] {
        assert!(!sent.contains(secret), "'{secret}' was sent");
    }
}

#[test]
fn a_collector_that_is_not_there_costs_nothing() {
    let clinic = Clinic::regular();
    let mut command = clinic.command(&["run", "bucket", "--out", "none", "--no-progress"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let run = Running::start(command).unwrap().end();
    assert_eq!(run.code, Some(0), "{run}");
}
