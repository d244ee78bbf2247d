//! `demo`: a synthetic clinic, from the photos to the table.

mod mishap;
mod subject;

use std::path::Path;

use anyhow::Context;
use cicatrix_ledger::{Ledger, Table, without_password};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{ToSpan, civil::Date};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::subject::{Shot, Subject};
use crate::args::{DemoArgs, Global, RunArgs, ServeArgs, SourceArgs, WorkArgs, WorkerArgs};
use crate::command::align::write_png;
use crate::command::export::open_existing;
use crate::command::jobs::rows;
use crate::command::run::{night, stopped_by_signals};
use crate::command::truth::{PhotoTruth, Truth, VolumeTruth};
use crate::config::Config;
use crate::exit;
use crate::print::{TextTable, out, quoted};

const CLINIC: &str = "c-demo";

pub(crate) async fn demo(args: &DemoArgs, mut settings: Config, global: &Global) -> anyhow::Result<u8> {
    let bucket = args.dir.join("bucket");
    std::fs::create_dir_all(&args.dir).with_context(|| format!("cannot make {}", args.dir.display()))?;
    let made = make(args, &bucket, global).await?;
    if global.db.is_none() {
        settings.db = format!("sqlite://{}", args.dir.join("cicatrix.db").display());
    }
    let moved_from = moved_from(&settings.db, &bucket).await?;
    let run = RunArgs {
        source: SourceArgs {
            source: bucket.display().to_string(),
            layout: None,
            clinics: vec![],
            since: None,
            whole: false,
            moved_from,
        },
        work: WorkArgs { out: args.dir.join("out").display().to_string(), ..WorkArgs::without_pictures() },
        dry_run: false,
        rescore: false,
    };
    if args.serve {
        return show(&run, args, &settings, global).await;
    }
    let (code, summary) = night(&run, &settings, global, false, None).await?;
    let ledger = open_existing(&settings.db).await?;
    let wanted = [
        "patient_id",
        "session_date",
        "view",
        "region",
        "change_pct",
        "ci95_lo",
        "ci95_hi",
        "mdc95_pct",
        "verdict",
        "quality_tier",
    ];
    let changes = rows(&ledger, Table::Changes, &[("measure", "psi")], &wanted).await?;
    let truth = Truth::read(&args.dir.join("truth.json"))?;
    if global.json {
        out(&json!({"photos_made": made, "counts": summary.counts, "changes": changes}).to_string())?;
        return Ok(code);
    }
    out(&table(&changes, &truth))?;
    let db = quoted(&without_password(&settings.db));
    let file = |name: &str| quoted(&args.dir.join(name).display().to_string());
    if args.faces {
        out(
            "Units answer to a change by less than a close-up and less surely, so their intervals are wider: docs/faces.md.",
        )?;
    }
    out(&format!(
        "{} photos made, {} measured, {} to retake. Rendered skin: no claim about patients follows from it.\n\
         Everything is in {}. A negative change is less scar; the true change is known here because the skin is rendered.\n\
         An interval of 95 % misses about once in twenty, so now and then an unchanged patient is called changed.\n\
         Next: cicatrix export changes --db {db}        the same as a table for analysts\n      \
         cicatrix evaluate {} --truth {} --db {db}        how right it was",
        made,
        summary.counts.measured,
        summary.counts.not_measurable,
        args.dir.display(),
        file("bucket"),
        file("truth.json"),
    ))?;
    Ok(code)
}

/// Shows the night while it runs, and two more clinics where things go wrong; until Ctrl-C.
async fn show(run: &RunArgs, args: &DemoArgs, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let bucket = Path::new(&run.source.source);
    if args.faces {
        // Heads take long to render: the other clinics have those of the first.
        mishap::file(bucket, bucket)?;
    } else {
        let dir = args.dir.join("others");
        let own = DemoArgs { seed: args.seed.wrapping_add(1000), patients: 2 * args.patients, dir, ..args.clone() };
        make(&own, &own.dir.join("bucket"), global).await?;
        mishap::file(&own.dir.join("bucket"), bucket)?;
    }
    // The dashboard wants a ledger that is there.
    Ledger::open(&settings.db).await?.close().await;
    let serve = ServeArgs { bind: args.bind, out: run.work.out.clone(), password_file: None, read_only: false };
    let global = Global { no_progress: true, ..global.clone() };
    let worker = WorkerArgs { source: run.source.source.clone(), work: run.work.clone(), drain: false, listen: None };
    // Behind the night somebody is there for what is tried again from a page.
    let stop = stopped_by_signals();
    let work = async {
        night(run, settings, &global, false, Some(stop.clone())).await?;
        if stop.is_cancelled() {
            Ok(exit::DONE)
        } else {
            super::run::worker(&worker, settings, &global, stop.clone()).await
        }
    };
    let dashboard = super::serve::serve(&serve, settings, Some(stop.clone()));
    let (served, worked) = tokio::join!(or_stop(&stop, dashboard), or_stop(&stop, work));
    worked?;
    served
}

/// What fails stops what goes on beside it: nobody would see its error else.
async fn or_stop(stop: &CancellationToken, doing: impl Future<Output = anyhow::Result<u8>>) -> anyhow::Result<u8> {
    let done = doing.await;
    if done.is_err() {
        stop.cancel();
    }
    done
}

/// Where the demo's folder was when it was made: a demo is alone in its ledger, so it can only have moved.
async fn moved_from(db: &str, bucket: &Path) -> anyhow::Result<Option<String>> {
    let Ok(ledger) = open_existing(db).await else { return Ok(None) };
    let sources = ledger.sources().await?;
    let here = bucket.canonicalize().unwrap_or_else(|_| bucket.to_path_buf()).display().to_string();
    Ok(match &sources[..] {
        [only] if *only != here => Some(only.clone()),
        _ => None,
    })
}

fn table(changes: &[Vec<String>], truth: &Truth) -> String {
    let mut text = TextTable::new(&[
        "patient",
        "session",
        "view",
        "region",
        "scar change",
        "95 % interval",
        "detectable",
        "verdict",
        "tier",
        "true",
    ]);
    for row in changes {
        let percent = |i: usize| row[i].parse::<f64>().map_or("–".to_owned(), |v| format!("{v:+.0} %"));
        let interval = match (row[5].parse::<f64>(), row[6].parse::<f64>()) {
            (Ok(lo), Ok(hi)) => format!("[{lo:+.0}, {hi:+.0}]"),
            _ => "–".to_owned(),
        };
        let known = truth.change(&row[0], &row[1]).map_or("–".to_owned(), |t| format!("{:+.0} %", 100.0 * t));
        text.push(vec![
            row[0].clone(),
            row[1].clone(),
            row[2].clone(),
            row[3].clone(),
            percent(4),
            interval,
            percent(7).replace('+', ""),
            row[8].replace('_', " "),
            row[9].clone(),
            known,
        ]);
    }
    text.to_string()
}

/// Makes the bucket, patient by patient; what is there already is left. Returns the photos made.
async fn make(args: &DemoArgs, bucket: &Path, global: &Global) -> anyhow::Result<usize> {
    let path = args.dir.join("truth.json");
    let course = args.final_change.map_or("drawn".to_owned(), |change| format!("{change} %"));
    let subject = if args.faces { ", faces" } else { "" };
    let size = args.megapixels.map_or(String::new(), |megapixels| format!(", {megapixels} MP"));
    let made_from =
        format!("seed {}, {} sessions, level {}, change {course}{subject}{size}", args.seed, args.sessions, args.level);
    if path.exists() {
        let before = Truth::read(&path)?.made_from.unwrap_or_default();
        if before != made_from {
            let dir = args.dir.display();
            return Err(exit::bad_input(format!(
                "{dir} holds a demo of {before}, not of {made_from}: use another --dir"
            )));
        }
    }
    let (views, shots) = Subject::views(args.faces);
    let total = u64::from(args.patients * args.sessions * shots) * views.len() as u64;
    let target =
        if global.quiet || global.no_progress { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    bar.set_style(
        ProgressStyle::with_template("{bar:32} {pos}/{len} photos rendered")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let masks = args.dir.join("masks");
    std::fs::create_dir_all(&masks).with_context(|| format!("cannot make {}", masks.display()))?;
    let mut tasks = JoinSet::new();
    let room =
        std::sync::Arc::new(tokio::sync::Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)));
    let change = args.final_change;
    for number in 0..args.patients {
        let (bucket, masks, bar, room) = (bucket.to_owned(), masks.clone(), bar.clone(), room.clone());
        let seed = args.seed.wrapping_add(u64::from(number));
        let (is_head, megapixels) = (args.faces, args.megapixels);
        let (sessions, level) = (args.sessions, args.level);
        tasks.spawn(async move {
            let _room = room.acquire_owned().await?;
            let course = move || {
                let subject = Subject::new(seed, change, is_head, megapixels);
                let places = Places { bucket: &bucket, masks: &masks };
                patient(&places, number, &subject, sessions, level, &bar)
            };
            tokio::task::spawn_blocking(course).await?
        });
    }
    let mut photos = Vec::new();
    let mut made = 0;
    while let Some(result) = tasks.join_next().await {
        let (truth, new) = result??;
        photos.extend(truth);
        made += new;
    }
    bar.finish_and_clear();
    photos.sort_by(|a: &PhotoTruth, b| a.file.cmp(&b.file));
    let truth = Truth { map_step_px: None, made_from: Some(made_from), photos };
    std::fs::write(&path, serde_json::to_vec_pretty(&truth)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(made)
}

/// Where photos and masks go.
struct Places<'a> {
    bucket: &'a Path,
    masks: &'a Path,
}

/// Renders one patient's course into the bucket.
fn patient(
    places: &Places<'_>,
    number: u32,
    subject: &Subject,
    sessions: u32,
    level: f32,
    bar: &ProgressBar,
) -> anyhow::Result<(Vec<PhotoTruth>, usize)> {
    let name = format!("pt-{:04}", number + 1);
    let (views, shots) = Subject::views(subject.is_head());
    let mut truths = Vec::new();
    let mut made = 0;
    let first: Date = jiff::civil::date(2026, 1, 12);
    for index in 0..sessions {
        let date = first.checked_add((i64::from(number) + 35 * i64::from(index)).days())?;
        let folder = format!("incoming/clinic={CLINIC}/patient={name}/session={date}-01");
        let path = places.bucket.join(&folder);
        let done = path.join("manifest.json").exists();
        for (view, shot) in views.iter().flat_map(|view| (1..=shots).map(move |shot| (view, shot))) {
            truths.push(PhotoTruth {
                patient: name.clone(),
                session_date: date.to_string(),
                shot: shot as u16,
                file: format!("{folder}/{view}.{shot}.jpg"),
                map_from_baseline: None,
                melanin_tone: Some(f64::from(subject.melanin_tone())),
                truth: VolumeTruth {
                    true_volume_change: subject.true_volume_change(index, sessions),
                    unchanged: subject.is_unchanged(),
                },
            });
        }
        if done {
            bar.inc(u64::from(shots) * views.len() as u64);
            continue;
        }
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let mut entries = Vec::new();
        subject.photograph((index, sessions), level, |shot| {
            entries.push(save(&shot, &path)?);
            if let Some((depths, width, height)) = &shot.depths {
                save_mask(depths, (*width, *height), &places.masks.join(format!("{name}.png")))?;
            }
            made += 1;
            bar.inc(1);
            Ok(())
        })?;
        let manifest = manifest(&name, (number, index), subject.tone_class(), &date, entries);
        std::fs::write(path.join("manifest.json"), serde_json::to_vec_pretty(&manifest)?)?;
    }
    Ok((truths, made))
}

/// Writes a photo; gives its entry in the manifest.
fn save(shot: &Shot, folder: &Path) -> anyhow::Result<serde_json::Value> {
    let Shot { view, number, jpeg, px_per_mm, regions, .. } = shot;
    let file = format!("{view}.{number}.jpg");
    std::fs::write(folder.join(&file), jpeg).with_context(|| format!("cannot write in {}", folder.display()))?;
    let sha256: String = Sha256::digest(jpeg).iter().map(|b| format!("{b:02x}")).collect();
    Ok(json!({
        "view": view, "n": number, "file": file, "sha256": sha256, "bytes": jpeg.len(),
        "px_per_mm": px_per_mm, "regions": regions,
    }))
}

/// Writes the true depth of the scars as the photo shows them, 5 µm a grey step.
fn save_mask(depths: &[f32], (width, height): (usize, usize), path: &Path) -> anyhow::Result<()> {
    let grey = |depth_mm: &f32| (depth_mm / 0.005).round().clamp(0.0, 255.0) as u8;
    write_png(path, &depths.iter().map(grey).collect::<Vec<u8>>(), width, height)
}

/// Of a patient, by its number and that of the session. Devices and depths take turns, so that there is something to group by.
fn manifest(
    patient: &str,
    (number, index): (u32, u32),
    tone_class: u8,
    date: &Date,
    photos: Vec<serde_json::Value>,
) -> serde_json::Value {
    let (device, depth_mm) = if number % 2 == 0 { ("pen", 1.0) } else { ("roller", 1.5) };
    let skin = ["I", "II", "III", "IV", "V", "VI"][usize::from(tone_class.clamp(1, 6) - 1)];
    json!({
        "schema": cicatrix_model::SCHEMA, "clinic_id": CLINIC, "patient_id": patient, "session_date": date.to_string(),
        "session_no": index, "baseline": index == 0,
        "treatment": {"modality": "microneedling", "sessions_before": index,
                      "days_since_last": if index == 0 { None } else { Some(35) },
                      "device": device, "needle_depth_mm": depth_mm},
        "subject": {"fitzpatrick": skin},
        "consent": {"scope": ["treatment", "analytics"]},
        "photos": photos,
    })
}
