//! The same night from a bucket, against a real S3 server, see `s3_server.rs`. What a test puts there stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cicatrix_store::{ObjectKey, PhotoStore, S3Store};

use crate::clinic::{Clinic, UNDISTURBED};
use crate::program::{Ended, Running};
use crate::s3_server::{Server, prefix_of_this_run};

impl Server {
    /// `s3://bucket/prefix`
    pub(crate) fn place(&self, prefix: &str) -> String {
        format!("s3://{}/{prefix}", self.bucket)
    }

    /// Runs the program with what it needs to know of this server, and with this secret.
    pub(crate) fn cicatrix(&self, clinic: &Clinic, args: &[&str], secret: &str) -> Ended {
        Running::start(self.command(clinic, args, secret)).unwrap().end()
    }

    pub(crate) fn command(&self, clinic: &Clinic, args: &[&str], secret: &str) -> Command {
        let mut command = clinic.command(args);
        for other in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"] {
            command.env_remove(other);
        }
        command.env("AWS_ENDPOINT_URL_S3", &self.endpoint).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", &self.key).env("AWS_SECRET_ACCESS_KEY", secret);
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }
}

/// All files of a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

/// Puts a clinic's files; gives their keys.
pub(crate) async fn upload(clinic: &Clinic, store: &S3Store) -> Vec<String> {
    let bucket = clinic.path("bucket");
    let files = files(&bucket);
    assert_eq!(files.len(), 9, "6 photos and 3 manifests: {files:?}");
    let mut keys = Vec::new();
    for path in files {
        let key = ObjectKey::parse(path.strip_prefix(&bucket).unwrap().to_str().unwrap()).unwrap();
        store.put(&key, fs::read(&path).unwrap().into(), "application/octet-stream").await.unwrap();
        keys.push(key.to_string());
    }
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_gives_the_same_changes_as_a_folder() {
    let Some(server) = Server::find() else { return };
    server.make_bucket().await;
    let prefix = prefix_of_this_run();
    let (photos, results) = (format!("{prefix}/photos"), format!("{prefix}/results"));
    upload(&Clinic::regular(), &server.store(&photos)).await;

    let clinic = Clinic::empty();
    let (from, to) = (server.place(&photos), server.place(&results));
    let args = ["run", &from, "--out", &to, "--workers", "1", "--no-progress"];
    let run = server.cicatrix(&clinic, &args, &server.secret);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(clinic.changes(), UNDISTURBED.changes);
    assert_eq!(clinic.observations(), UNDISTURBED.observations);

    let listed = server.store(&results).list(None).await.unwrap();
    let names: Vec<&str> = listed.objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(names.len(), 6 * 4, "four pictures of each photo: {names:?}");
    assert!(names.iter().all(|name| name.starts_with("derived/clinic=c-014/")), "{names:?}");

    let again = server.cicatrix(&clinic, &[&args[..], &["--json"][..]].concat(), &server.secret);
    assert_eq!(again.code, Some(0), "{again}");
    assert_eq!(again.json()["planned"], 0, "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_not_permitted() {
    let Some(server) = Server::find() else { return };
    server.make_bucket().await;
    let clinic = Clinic::empty();
    let from = server.place("photos");
    let run = server.cicatrix(&clinic, &["run", &from, "--out", "none"], "wrong");
    assert_eq!(run.code, Some(77), "{run}");
    assert!(run.stderr.contains("AWS_SECRET_ACCESS_KEY"), "{run}");
    assert!(!run.stderr.contains(&server.secret), "the secret is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_is_bad_input() {
    let Some(server) = Server::find() else { return };
    let clinic = Clinic::empty();
    let run = server.cicatrix(&clinic, &["run", "s3://cicatrix-nothing-here/x", "--out", "none"], &server.secret);
    assert_eq!(run.code, Some(65), "{run}");
    assert!(run.stderr.contains("s3://cicatrix-nothing-here"), "{run}");
}

/// Nothing listens on port 1, so this needs no server.
#[test]
fn a_server_that_does_not_answer_is_unavailable() {
    let server = Server {
        endpoint: "http://127.0.0.1:1".to_owned(),
        bucket: "photos".to_owned(),
        key: "test".to_owned(),
        secret: "testsecret".to_owned(),
    };
    let run = server.cicatrix(&Clinic::empty(), &["run", "s3://photos/x", "--out", "none"], &server.secret);
    assert_eq!(run.code, Some(69), "{run}");
    assert!(run.stderr.contains("127.0.0.1:1"), "{run}");
}
