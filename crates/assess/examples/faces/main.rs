//! How well faces, their pose, their scale and their skin are found: the figures of `docs/faces.md`.
//!
//! `cargo run --release -p cicatrix-assess --example faces -- [--real PHOTO] [--without-face FOLDER] [--heads N] [--walls N]`
//!
//! `--real` perturbs a photo of a frontal face and compares with what is found in it as it is. `--without-face` looks for
//! faces in all photos of a folder that shows none. `--heads` renders so many heads in five views, two sessions each.
//! `--walls` photographs so many heads that do not change before a grey wall and before one of the colour of skin.

mod perturbed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cicatrix_assess::{Assessment, Overlay, Part, Photo, Protocol, RegionScores, Survey, assess, prepare};
use cicatrix_locate::{Face, contradicts, find_face, view_of};
use cicatrix_model::{Measure, ScaleSource, View};
use cicatrix_phantom::{Course, Head, HeadPhoto, HeadStyle};
use cicatrix_photo::{Bounds, Frame, Limits, Overview, decode, to_linear};

use perturbed::{Move, Steadiness, clutter, extent, moved};

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--real" => real(Path::new(&value))?,
            "--without-face" => without_face(Path::new(&value))?,
            "--heads" => heads(value.parse()?)?,
            "--walls" => walls(value.parse()?)?,
            _ => bail!("{word} is not known: --real PHOTO, --without-face FOLDER, --heads N, --walls N"),
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<Frame> {
    let bytes = std::fs::read(path).with_context(|| format!("{}", path.display()))?;
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    decode(&bytes, extension, &Limits::default()).map(|(frame, _)| frame).map_err(|e| anyhow::anyhow!("{e}"))
}

fn real(path: &Path) -> Result<()> {
    let frame = open(path)?;
    let own = find_face(&Overview::of(&frame)).context("no face was found in the photo as it is")?;
    let (w, h) = (frame.width as f64, frame.height as f64);
    let middle = [0.5 * (w - 1.0), 0.5 * (h - 1.0)];
    let face_px = extent(&own);
    let centre = [0, 1].map(|k| own.landmarks_px.iter().map(|p| p[k]).sum::<f64>() / own.landmarks_px.len() as f64);
    println!("## One real face\n\n{} x {} px, face {face_px:.0} px, {}", frame.width, frame.height, view_of(&own.pose));
    println!(
        "\n| Perturbation | Found | Landmarks off, % of face: median | worst | Regions IoU: mean | least | View kept |"
    );
    println!("|---|---|---|---|---|---|---|");
    let still = Move { turn_deg: 0.0, scale: 1.0, mirrored: false, from: middle, to: middle };
    let size = (frame.width, frame.height);
    let black = |_: usize, _: usize| [0u16; 3];
    let tell = |name: &str, tried: Vec<(Frame, Move)>| row(name, &own, &tried);
    let turned = |degrees: f64| {
        let how = Move { turn_deg: degrees, from: centre, to: centre, ..still };
        (moved(&frame, &how, size, black), how)
    };
    tell("turned by ±10°", vec![turned(-10.0), turned(10.0)]);
    tell("turned by ±25°", vec![turned(-25.0), turned(25.0)]);
    tell("turned by ±90°", vec![turned(-90.0), turned(90.0)]);
    tell("turned by 180°", vec![turned(180.0)]);
    let scaled = |scale: f64| {
        let size = ((w * scale) as usize, (h * scale) as usize);
        let to = [0.5 * (size.0 as f64 - 1.0), 0.5 * (size.1 as f64 - 1.0)];
        let how = Move { scale, to, ..still };
        (moved(&frame, &how, size, black), how)
    };
    tell("scaled as a whole by 0.5, 0.7, 1.4, 2", [0.5, 0.7, 1.4, 2.0].map(scaled).to_vec());
    let nearer = |scale: f64| {
        let how = Move { scale, from: centre, to: middle, ..still };
        (moved(&frame, &how, size, clutter), how)
    };
    tell("in the same frame at 0.5, 0.7 of the size, on clutter", [0.5, 0.7].map(nearer).to_vec());
    tell("in the same frame at 1.4, 2, 3, 4 times the size", [1.4, 2.0, 3.0, 4.0].map(nearer).to_vec());
    let lit = |gain: f64| {
        let linear = frame.linear.iter().map(|v| (f64::from(*v) * gain).min(65535.0) as u16).collect();
        (Frame { linear, ..frame.clone() }, still)
    };
    tell("light by 0.35, 0.6, 1.6", [0.35, 0.6, 1.6].map(lit).to_vec());
    let blurred = |sigma: f32| {
        let planes = [0, 1, 2].map(|k| cicatrix_photo::gaussian(&frame.channel(k), sigma));
        let linear =
            (0..frame.pixels()).flat_map(|i| planes.each_ref().map(|p| (p.data[i] * 65535.0) as u16)).collect();
        (Frame { linear, ..frame.clone() }, still)
    };
    tell("blurred by 1, 2 px (1 %, 2 % of the face)", [1.0, 2.0].map(blurred).to_vec());
    let cropped = |room: f64| {
        let half = 0.5 * room * face_px;
        let side = (2.0 * half) as usize;
        let how = Move { from: centre, to: [half, half], ..still };
        (moved(&frame, &how, (side, side), black), how)
    };
    tell("cropped to 2, 1.4, 1.1 faces", [2.0, 1.4, 1.1].map(cropped).to_vec());
    let mirror = Move { mirrored: true, from: centre, to: [w - 1.0 - centre[0], centre[1]], ..still };
    tell("mirrored", vec![(moved(&frame, &mirror, size, black), mirror)]);
    let large = Move { scale: 3000.0 / w, from: middle, to: [1999.5, 1499.5], ..still };
    tell("12 MP, 5.9 times enlarged, on clutter", vec![(moved(&frame, &large, (4000, 3000), clutter), large)]);
    Ok(())
}

fn row(name: &str, own: &Face, tried: &[(Frame, Move)]) {
    let told = Steadiness::of(own, tried);
    match told.found {
        0 => println!("| {name} | 0 of {} | | | | | |", tried.len()),
        found => println!(
            "| {name} | {found} of {} | {:.1} | {:.1} | {:.2} | {:.2} | {} of {found} |",
            tried.len(),
            told.off_at(0.5),
            told.off_at(1.0),
            told.mean_overlap(),
            told.least_overlap(),
            told.kept
        ),
    }
}

fn photos_in(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let path = entry?.path();
        match path.extension().and_then(|e| e.to_str()) {
            _ if path.is_dir() => photos_in(&path, found)?,
            Some("jpg" | "jpeg" | "png") => found.push(path),
            _ => {}
        }
    }
    found.sort();
    Ok(())
}

fn without_face(folder: &Path) -> Result<()> {
    let mut photos = vec![];
    photos_in(folder, &mut photos)?;
    let mut false_faces = 0;
    for path in &photos {
        if let Some(face) = open(path).ok().and_then(|frame| find_face(&Overview::of(&frame))) {
            false_faces += 1;
            println!("{}: confidence {:.3}, misfit {:.3}", path.display(), face.confidence, face.misfit);
        }
    }
    println!("\nfaces in {} photos that show none: {false_faces}", photos.len());
    Ok(())
}

const YAWS: [(f64, View); 5] = [
    (0.0, View::FaceFrontal),
    (45.0, View::FaceRight45),
    (-45.0, View::FaceLeft45),
    (90.0, View::FaceRight90),
    (-90.0, View::FaceLeft90),
];
const SIZE: (u32, u32) = (1800, 2400);

#[derive(Default)]
struct OfView {
    photos: usize,
    found: usize,
    named: usize,
    contradicted: usize,
    pose_off: Vec<f64>,
    landmarks_off: Vec<f64>,
    iris_off: Vec<f64>,
    pupils_off: Vec<f64>,
    laid: usize,
    laid_off: Vec<f64>,
}

fn heads(count: u64) -> Result<()> {
    let protocol = Protocol::from_toml(include_str!("../../../../config/protocols/standard-3.toml"))?;
    let mut views: Vec<OfView> = YAWS.iter().map(|_| OfView::default()).collect();
    for seed in 0..count {
        let head = Head::new(40_000 + seed, Course::of_final_loss(0.2), HeadStyle::default());
        let (first, second) = (head.session(0, 2, 0.5), head.session(1, 2, 0.5));
        for ((yaw, view), told) in YAWS.iter().zip(&mut views) {
            let (before, after) = (first.shoot(*yaw, 1, SIZE), second.shoot(*yaw, 1, SIZE));
            let frames = [&before, &after].map(frame);
            for (photo, frame) in [&before, &after].into_iter().zip(&frames) {
                told.look(photo, frame, view, &protocol);
            }
            told.lay(&before, &after, &frames, &protocol);
        }
    }
    println!(
        "\n## Rendered heads\n\n| View | Faces found | View told right | contradicted | Pose off: median, worst | Landmarks off, mm: median, 95th | Scale off, %: iris | pupils | Laid over | Registration off, mm: median, 95th |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for ((_, view), told) in YAWS.iter().zip(views) {
        told.print(view);
    }
    Ok(())
}

/// What the wall does to the change of a head that does not change.
fn walls(count: u64) -> Result<()> {
    let protocol = Protocol::from_toml(include_str!("../../../../config/protocols/standard-3.toml"))?;
    println!(
        "\n## Walls\n\n| View | Wall | Photos | Not measurable | Region | ln change of psi × 100: mean, rms, worst |\n|---|---|---|---|---|---|"
    );
    for (yaw, view) in &YAWS {
        for beige_wall in [false, true] {
            let mut refused = Vec::new();
            let mut changes: BTreeMap<String, Vec<f64>> = BTreeMap::new();
            for seed in 0..count {
                let style = HeadStyle { beige_wall, ..HeadStyle::default() };
                let head = Head::new(50_000 + seed, Course::UNCHANGED, style);
                let [before, after] = [0, 1].map(|visit| head.session(visit, 2, 0.5).shoot(*yaw, 1, SIZE).to_jpeg());
                let photo = |bytes| Photo { bytes, extension: "jpg", px_per_mm: None, view: Some(view), regions: &[] };
                match change(&photo(&before), &photo(&after), &protocol) {
                    Ok(found) => found.into_iter().for_each(|(region, ln)| changes.entry(region).or_default().push(ln)),
                    Err(why) => refused.push(why),
                }
            }
            let wall = if beige_wall { "beige" } else { "grey" };
            for (region, found) in &changes {
                let n = found.len() as f64;
                let mean = found.iter().sum::<f64>() / n;
                let rms = (found.iter().map(|v| v * v).sum::<f64>() / n).sqrt();
                let worst = found.iter().fold(0.0_f64, |worst, v| if v.abs() > worst.abs() { *v } else { worst });
                let told = [mean, rms, worst].map(|v| format!("{:+.1}", 100.0 * v)).join(", ");
                println!("| `{view}` | {wall} | {count} | {} | {region} ({n}) | {told} |", refused.len());
            }
            if changes.is_empty() {
                println!("| `{view}` | {wall} | {count} | {} | | {} |", refused.len(), refused.join("; "));
            }
        }
    }
    Ok(())
}

/// ln ratio of the primary measure in each region; else why the pair gives none.
fn change(before: &Photo<'_>, after: &Photo<'_>, protocol: &Protocol) -> Result<Vec<(String, f64)>, String> {
    let reference = prepare(before, protocol).map_err(|error| error.to_string())?;
    let measured = |photo, itself| match assess(&reference, photo, itself, false, protocol) {
        Assessment::Measured(measured) => Ok(measured.regions),
        Assessment::NotMeasurable { detail, .. } => Err(detail),
    };
    let (before, after) = (measured(before, true)?, measured(after, false)?);
    let psi = |scores: &RegionScores| {
        scores.values.iter().find(|value| value.measure == Measure::Psi).map(|value| value.value.ln())
    };
    let pair = |own: &RegionScores| {
        let later = after.iter().find(|later| later.region == own.region)?;
        Some((own.region.to_string(), psi(later)? - psi(own)?))
    };
    Ok(before.iter().filter_map(pair).collect())
}

fn frame(photo: &HeadPhoto) -> Frame {
    let table: Vec<u16> = (0..=255u8).map(|c| (to_linear(f64::from(c) / 255.0) * 65535.0).round() as u16).collect();
    let linear = photo.srgb.iter().map(|&code| table[usize::from(code)]).collect();
    Frame { width: photo.width as usize, height: photo.height as usize, linear }
}

/// Landmarks that the pose turns towards the camera.
fn seen_landmarks(photo: &HeadPhoto) -> Vec<usize> {
    let facing = |normal: &[f64; 3]| photo.pose.turn(*normal)[2];
    cicatrix_face::normals().iter().enumerate().filter(|(_, n)| facing(n) > 0.5).map(|(i, _)| i).collect()
}

impl OfView {
    fn look(&mut self, photo: &HeadPhoto, frame: &Frame, view: &View, protocol: &Protocol) {
        self.photos += 1;
        let described = Photo { bytes: &[], extension: "jpg", px_per_mm: None, view: Some(view), regions: &[] };
        let survey = Survey::of(frame, &described, protocol);
        let Some(face) = survey.face else { return };
        self.found += 1;
        self.named += usize::from(view_of(&face.pose) == *view);
        self.contradicted += usize::from(contradicts(&face.pose, view));
        self.pose_off.push(face.pose.turned_against(&photo.pose));
        for i in seen_landmarks(photo) {
            let (seen, is) = (face.landmarks_px[i], photo.landmarks_px[i]);
            self.landmarks_off.push((seen[0] - is[0]).hypot(seen[1] - is[1]) / photo.px_per_mm);
        }
        let off = 100.0 * (survey.scale.px_per_mm / photo.px_per_mm - 1.0);
        match survey.scale.source {
            ScaleSource::Iris => self.iris_off.push(off),
            ScaleSource::Pupils => self.pupils_off.push(off),
            _ => {}
        }
    }

    fn lay(&mut self, before: &HeadPhoto, after: &HeadPhoto, frames: &[Frame; 2], protocol: &Protocol) {
        let part = |photo: &HeadPhoto, frame| {
            Part::of(frame, Some(Bounds::around(photo.landmarks_px.iter().copied())), protocol.align.precision)
        };
        let Ok(overlay) = Overlay::of(&part(before, &frames[0]), &part(after, &frames[1]), &protocol.align) else {
            return;
        };
        self.laid += 1;
        for i in seen_landmarks(before) {
            let (at, is) = (overlay.map(before.landmarks_px[i]), after.landmarks_px[i]);
            self.laid_off.push((at[0] - is[0]).hypot(at[1] - is[1]) / after.px_per_mm);
        }
    }

    fn print(mut self, view: &View) {
        let at = |values: &mut Vec<f64>, share: f64| {
            values.sort_by(f64::total_cmp);
            values
                .get(((values.len() as f64 - 1.0) * share).max(0.0) as usize)
                .map_or("–".to_owned(), |v| format!("{v:.2}"))
        };
        let spread = |values: &[f64]| match values.len() {
            0 => "–".to_owned(),
            n => {
                let mean = values.iter().sum::<f64>() / n as f64;
                let rms = (values.iter().map(|v| v * v).sum::<f64>() / n as f64).sqrt();
                format!("{mean:+.1}, rms {rms:.1} ({n})")
            }
        };
        println!(
            "| {view} | {} of {} | {} | {} | {}°, {}° | {}, {} | {} | {} | {} of {} | {}, {} |",
            self.found,
            self.photos,
            self.named,
            self.contradicted,
            at(&mut self.pose_off, 0.5),
            at(&mut self.pose_off, 1.0),
            at(&mut self.landmarks_off, 0.5),
            at(&mut self.landmarks_off, 0.95),
            spread(&self.iris_off),
            spread(&self.pupils_off),
            self.laid,
            self.photos / 2,
            at(&mut self.laid_off, 0.5),
            at(&mut self.laid_off, 0.95),
        );
    }
}
