//! A small clinic: rendered visits of one patient, written into a bucket as a clinic would, and the program at work
//! in the folder beside it.
//!
//! A clinic's home holds `bucket/`, and after a run `cicatrix.db` and `out/`; commands are typed in it. The patient is
//! seed 8 of the phantom, of whom every shot can be measured at the nuisance of a clinic that keeps its protocol.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::thread;
use std::time::Instant;

use cicatrix_phantom::{Patient, Photo};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::program::{CICATRIX, Ended, LOOK, PATIENCE, Running};

pub(crate) const CLINIC: &str = "c-014";
pub(crate) const PATIENT: &str = "pt-7k2m";
pub(crate) const VIEW: &str = "closeup.left_cheek";
/// The patient's visits; the first is the baseline.
pub(crate) const DAYS: [&str; 3] = ["2026-01-12", "2026-02-16", "2026-03-23"];
/// Shots of each visit.
pub(crate) const SHOTS: usize = 2;

const SEED: u64 = 8;
const STRANGER: u64 = 7;
const SIZE: (u32, u32) = (800, 600);
const LEVEL: f32 = 0.5;

/// A photo as a file, and what its manifest says of it.
#[derive(Debug)]
pub(crate) struct Shot {
    pub(crate) jpeg: Vec<u8>,
    pub(crate) px_per_mm: f64,
    pub(crate) region: Vec<[f64; 2]>,
}

/// Everything that the tests photograph.
#[derive(Debug)]
pub(crate) struct Rendered {
    /// The patient's shots by visit.
    pub(crate) visits: [[Shot; SHOTS]; 3],
    /// The second visit's first shot, left and right swapped.
    pub(crate) mirrored: Vec<u8>,
    /// The cheek of another patient.
    pub(crate) stranger: Vec<u8>,
}

pub(crate) static RENDERED: LazyLock<Rendered> = LazyLock::new(render);

fn render() -> Rendered {
    let patient = Patient::new(SEED);
    let shoot = |index: u32| {
        let session = patient.session(index, 3, LEVEL);
        [session.shoot(1, SIZE), session.shoot(2, SIZE)]
    };
    thread::scope(|scope| {
        let visits = [0_u32, 1, 2].map(|index| scope.spawn(move || shoot(index)));
        let stranger = scope.spawn(|| Patient::new(STRANGER).session(1, 3, LEVEL).shoot(1, SIZE).to_jpeg());
        let visits = visits.map(|visit| visit.join().unwrap());
        Rendered {
            mirrored: mirrored(&visits[1][0]),
            visits: visits.map(|shots| shots.map(|photo| Shot::of(&photo))),
            stranger: stranger.join().unwrap(),
        }
    })
}

fn mirrored(photo: &Photo) -> Vec<u8> {
    let rows = photo.srgb.chunks_exact(3 * photo.width as usize);
    let srgb: Vec<u8> = rows.flat_map(|row| row.rchunks_exact(3).flatten().copied()).collect();
    jpeg(&srgb, photo.width, photo.height)
}

fn jpeg(srgb: &[u8], width: u32, height: u32) -> Vec<u8> {
    let mut jpeg = Vec::new();
    jpeg_encoder::Encoder::new(&mut jpeg, 92)
        .encode(srgb, width as u16, height as u16, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    jpeg
}

/// A visit's first shot with every pixel repeated this many times in both directions: the same skin in more memory.
pub(crate) fn enlarged(index: u32, times: u32) -> Shot {
    let photo = Patient::new(SEED).session(index, 3, LEVEL).shoot(1, SIZE);
    let mut srgb = Vec::new();
    for row in photo.srgb.chunks_exact(3 * photo.width as usize) {
        let wide: Vec<u8> = row.chunks_exact(3).flat_map(|pixel| pixel.repeat(times as usize)).collect();
        srgb.extend(wide.repeat(times as usize));
    }
    let factor = f64::from(times);
    let region = photo.truth.roi_polygon_px.iter().map(|point| point.map(|c| (c + 0.5) * factor - 0.5));
    Shot {
        jpeg: jpeg(&srgb, times * photo.width, times * photo.height),
        px_per_mm: factor * photo.truth.px_per_mm,
        region: region.collect(),
    }
}

impl Shot {
    fn of(photo: &Photo) -> Self {
        let truth = &photo.truth;
        Self { jpeg: photo.to_jpeg(), px_per_mm: truth.px_per_mm, region: truth.roi_polygon_px.clone() }
    }
}

/// One visit as it is uploaded: photos, and the manifest that is written last.
#[derive(Debug)]
pub(crate) struct Visit {
    patient: String,
    day: String,
    files: Vec<(String, Vec<u8>)>,
    manifest: Value,
    /// Written in place of the manifest.
    scrawl: Option<String>,
}

impl Visit {
    /// A visit without photos.
    pub(crate) fn new(patient: &str, day: &str) -> Self {
        let manifest = json!({
            "schema": "cicatrix.session/1", "clinic_id": CLINIC, "patient_id": patient, "session_date": day,
            "consent": {"scope": ["treatment", "analytics"]}, "photos": [],
        });
        Self { patient: patient.to_owned(), day: day.to_owned(), files: Vec::new(), manifest, scrawl: None }
    }

    /// The patient's visit of this number, the baseline being 0, with its first shots.
    pub(crate) fn regular(index: usize, shots: usize) -> Self {
        let visit = Self::new(PATIENT, DAYS[index])
            .say("session_no", json!(index))
            .say("baseline", json!(index == 0))
            .say("treatment", json!({"modality": "microneedling", "sessions_before": index}));
        let taken = RENDERED.visits[index].iter().take(shots).enumerate();
        taken.fold(visit, |visit, (at, shot)| visit.shot(at as u16 + 1, shot))
    }

    /// Sets a field of the manifest.
    pub(crate) fn say(mut self, field: &str, value: Value) -> Self {
        self.manifest[field] = value;
        self
    }

    /// Adds a shot with all that a careful clinic says of it; only the baseline's regions count.
    pub(crate) fn shot(self, n: u16, shot: &Shot) -> Self {
        let regions = match self.manifest["baseline"] == json!(true) {
            true => json!([{"name": "cheek_l", "polygon_px": shot.region}]),
            false => json!([]),
        };
        let said = json!({"sha256": sha256(&shot.jpeg), "px_per_mm": shot.px_per_mm, "regions": regions});
        self.file(n, "jpg", &shot.jpeg, said)
    }

    /// Adds a file, and what the manifest says of it beside view, number and name.
    pub(crate) fn file(mut self, n: u16, extension: &str, bytes: &[u8], said: Value) -> Self {
        let name = format!("{VIEW}.{n}.{extension}");
        let mut entry = json!({"view": VIEW, "n": n, "file": name});
        for (field, value) in said.as_object().unwrap() {
            entry[field.as_str()] = value.clone();
        }
        self.manifest["photos"].as_array_mut().unwrap().push(entry);
        self.files.push((name, bytes.to_vec()));
        self
    }

    /// Puts another file in the place of one, and its digest into the manifest.
    pub(crate) fn with_file(mut self, at: usize, bytes: Vec<u8>) -> Self {
        self.manifest["photos"][at]["sha256"] = json!(sha256(&bytes));
        self.files[at].1 = bytes;
        self
    }

    /// Takes away what the manifest says of the scale.
    pub(crate) fn without_scale(mut self) -> Self {
        for photo in self.manifest["photos"].as_array_mut().unwrap() {
            photo.as_object_mut().unwrap().remove("px_per_mm");
        }
        self
    }

    /// Puts this text in place of the manifest.
    pub(crate) fn scrawled(mut self, text: &str) -> Self {
        self.scrawl = Some(text.to_owned());
        self
    }

    /// The session's folder under the bucket.
    pub(crate) fn folder(&self) -> String {
        format!("incoming/clinic={CLINIC}/patient={}/session={}-01", self.patient, self.day)
    }

    fn write(&self, bucket: &Path) {
        let folder = bucket.join(self.folder());
        fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in &self.files {
            fs::write(folder.join(name), bytes).unwrap();
        }
        let manifest = self.scrawl.clone().unwrap_or_else(|| self.manifest.to_string());
        fs::write(folder.join("manifest.json"), manifest).unwrap();
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Patient, day and shot of a photo, then its state and reason.
pub(crate) type States = BTreeMap<(String, String, u64), (String, Option<String>)>;

/// The folder in which commands are typed; gone when dropped.
#[derive(Debug)]
pub(crate) struct Clinic {
    home: TempDir,
}

impl Clinic {
    pub(crate) fn empty() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("bucket")).unwrap();
        Self { home }
    }

    pub(crate) fn of(visits: &[Visit]) -> Self {
        let clinic = Self::empty();
        for visit in visits {
            clinic.receive(visit);
        }
        clinic
    }

    /// All visits of the patient, all shots.
    pub(crate) fn regular() -> Self {
        Self::of(&[0, 1, 2].map(|index| Visit::regular(index, SHOTS)))
    }

    /// Without a bucket, with this database.
    pub(crate) fn with_ledger(database: &[u8]) -> Self {
        let clinic = Self::empty();
        fs::write(clinic.path("cicatrix.db"), database).unwrap();
        clinic
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.home.path().join(below)
    }

    pub(crate) fn receive(&self, visit: &Visit) {
        visit.write(&self.path("bucket"));
    }

    /// A command in the clinic's home. What this machine's user has set for logs does not count.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(CICATRIX);
        command.args(args).current_dir(self.home.path()).env_remove("CICATRIX_LOG");
        command
    }

    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running::start(self.command(args)).unwrap()
    }

    pub(crate) fn cicatrix(&self, args: &[&str]) -> Ended {
        self.start(args).end()
    }

    /// Starts a run over the bucket with one worker, so that photos come one after the other.
    pub(crate) fn start_run(&self, more: &[&str]) -> Running {
        let args = ["run", "bucket", "--out", "out", "--workers", "1", "--no-progress"];
        self.start(&[args.as_slice(), more].concat())
    }

    pub(crate) fn run(&self, more: &[&str]) -> Ended {
        self.start_run(more).end()
    }

    /// Rows of a table, in the order of the export.
    pub(crate) fn table(&self, table: &str) -> Vec<Value> {
        let export = self.cicatrix(&["export", table, "--format", "json"]);
        assert_eq!(export.code, Some(0), "export of {table}: {export}");
        export.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn csv(&self, table: &str) -> String {
        let export = self.cicatrix(&["export", table]);
        assert_eq!(export.code, Some(0), "export of {table}: {export}");
        export.stdout
    }

    /// The changes as sorted lines: what has to be the same however a run went.
    pub(crate) fn changes(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.csv("changes").lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// The observations without the moment in which they were made; doubled ones would show.
    pub(crate) fn observations(&self) -> Vec<Value> {
        let mut rows = self.table("observations");
        for row in &mut rows {
            row.as_object_mut().unwrap().remove("computed_at").unwrap();
        }
        rows
    }

    pub(crate) fn states(&self) -> States {
        states(&self.table("photos"))
    }

    /// Photos by state, once there is a ledger to ask.
    pub(crate) fn counts(&self) -> Option<Value> {
        // Before the lock is there the run may be about to make the database.
        if !self.path("cicatrix.db.lock").exists() {
            return None;
        }
        let status = self.cicatrix(&["status", "--json"]);
        (status.code == Some(0)).then(|| status.json()["counts"].clone())
    }

    /// Waits until so many photos are in a state, while the run goes on.
    pub(crate) fn wait_for(&self, running: &mut Running, state: &str, least: u64) {
        let until = Instant::now() + PATIENCE;
        loop {
            let counts = self.counts().unwrap_or_default();
            if counts[state].as_u64().is_some_and(|n| n >= least) {
                return;
            }
            assert!(!running.has_ended(), "it ended before {least} photos were {state}: {}", running.said());
            assert!(Instant::now() < until, "{counts} is not {least} {state}; it said:\n{}", running.said());
            thread::sleep(LOOK);
        }
    }
}

/// States of photos by patient, day and shot.
pub(crate) fn states(photos: &[Value]) -> States {
    let text = |row: &Value, column: &str| row[column].as_str().unwrap().to_owned();
    let photo = |row: &Value| (text(row, "patient_id"), text(row, "session_date"), row["shot"].as_u64().unwrap());
    let state = |row: &Value| (text(row, "state"), row["reason"].as_str().map(str::to_owned));
    let found: States = photos.iter().map(|row| (photo(row), state(row))).collect();
    assert_eq!(found.len(), photos.len(), "a photo has two rows");
    found
}

/// A night that several tests look at.
#[derive(Debug)]
pub(crate) struct Night {
    pub(crate) ended: Ended,
    database: Vec<u8>,
    pub(crate) changes: Vec<String>,
    pub(crate) observations: Vec<Value>,
    pub(crate) photos: Vec<Value>,
}

impl Night {
    pub(crate) fn over(clinic: &Clinic, more: &[&str]) -> Self {
        let ended = clinic.run(more);
        Self {
            database: fs::read(clinic.path("cicatrix.db"))
                .unwrap_or_else(|error| panic!("no ledger, {error}: {ended}")),
            changes: clinic.changes(),
            observations: clinic.observations(),
            photos: clinic.table("photos"),
            ended,
        }
    }

    /// A home with the night's ledger in it.
    pub(crate) fn ledger(&self) -> Clinic {
        Clinic::with_ledger(&self.database)
    }
}

/// All visits of the patient, run to the end without a disturbance, and with a word on everything it did.
pub(crate) static UNDISTURBED: LazyLock<Night> = LazyLock::new(|| {
    let night = Night::over(&Clinic::regular(), &["-v"]);
    assert_eq!(night.ended.code, Some(0), "{}", night.ended);
    assert!(night.changes.len() > DAYS.len() - 1, "no changes: {:?}", night.changes);
    let states = states(&night.photos);
    assert!(states.len() == 6 && states.values().all(|(state, _)| state == "measured"), "{states:?}");
    night
});
