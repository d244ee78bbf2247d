//! `align`: one photo laid over another, without a database.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use cicatrix_align::{AlignSettings, Precision, Prepared, Registration, lay_over, register};
use cicatrix_assess::Protocol;
use cicatrix_photo::{Frame, Limits, decode, encode_png};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

use crate::args::{AlignArgs, Global, PrecisionArg};
use crate::config::Config;
use crate::exit;
use crate::print::out;

/// Below this mean confidence the result is flagged.
const CERTAIN: f32 = 0.9;

pub(crate) fn align(args: &AlignArgs, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let protocol = settings.protocol()?;
    let precision = match args.precision {
        PrecisionArg::Fine => Precision::Fine,
        PrecisionArg::Scoring => Precision::Scoring,
    };
    let how = AlignSettings { precision, ..protocol.align };
    let points = match &args.points {
        Some(path) => read_points(path)?,
        None => vec![],
    };
    let mut clock = CpuClock::start();
    let fixed = read(&args.fixed, &protocol.limits)?;
    let moving = read(&args.moving, &protocol.limits)?;
    let decode = clock.lap();
    let prepared = (Prepared::new(&fixed, precision), clock.lap(), Prepared::new(&moving, precision), clock.lap());
    let registered = register(&prepared.0, &prepared.2, &how);
    let cpu =
        json!({"decode": decode, "prepare_fixed": prepared.1, "prepare_moving": prepared.3, "register": clock.lap()});
    let registration = match registered {
        Ok(registration) => registration,
        Err(refusal) => {
            if global.json {
                let detail = refusal.to_string();
                let said = json!({"verdict": "refused", "reason": "not_alignable", "detail": detail, "cpu_s": cpu});
                out(&said.to_string())?;
            }
            return Err(exit::bad_input(format!("not_alignable: {refusal}")));
        }
    };
    if let Some(path) = &args.out {
        let laid = lay_over(&moving, &registration, fixed.width, fixed.height);
        write_png(path, &laid.to_srgb8(), laid.width, laid.height)?;
    }
    if let Some(path) = &args.confidence {
        write_png(path, &confidence_plane(&registration, &fixed), fixed.width, fixed.height)?;
    }
    let verdict = if registration.quality.confidence < CERTAIN { "uncertain" } else { "aligned" };
    let mapped: Vec<[f64; 3]> = points.iter().map(|p| map(&registration, *p)).collect();
    if global.json {
        let quality = registration.quality;
        out(&json!({"verdict": verdict, "quality": quality, "points": mapped, "cpu_s": cpu}).to_string())?;
    } else if args.points.is_some() {
        if verdict == "uncertain" {
            tracing::warn!("uncertain: the mean confidence is {:.2}", registration.quality.confidence);
        }
        out("x,y,confidence")?;
        for [x, y, confidence] in mapped {
            out(&format!("{x:.3},{y:.3},{confidence:.3}"))?;
        }
    } else {
        out(&serde_json::to_string_pretty(&json!({"verdict": verdict, "quality": registration.quality}))?)?;
    }
    Ok(exit::DONE)
}

/// Place in the moving photo, and the probability that it is right to 1 px of the fixed one.
fn map(registration: &Registration, place: [f64; 2]) -> [f64; 3] {
    let [x, y] = registration.map(place);
    [x, y, f64::from(registration.confidence_at(place))]
}

fn confidence_plane(registration: &Registration, fixed: &Frame) -> Vec<u8> {
    let places = (0..fixed.height).flat_map(|y| (0..fixed.width).map(move |x| [x as f64, y as f64]));
    places.map(|place| (255.0 * registration.confidence_at(place)).round() as u8).collect()
}

pub(crate) fn write_png(path: &Path, samples: &[u8], width: usize, height: usize) -> anyhow::Result<()> {
    if path.extension().is_some_and(|extension| !extension.eq_ignore_ascii_case("png")) {
        return Err(exit::bad_input(format!("{}: pictures are written as PNG, name it so", path.display())));
    }
    let png = encode_png(samples, width, height)?;
    std::fs::write(path, png).with_context(|| format!("cannot write {}", path.display()))
}

/// CPU seconds of all threads of this process.
struct CpuClock(Duration);

impl CpuClock {
    fn start() -> Self {
        Self(Self::now())
    }

    fn now() -> Duration {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    /// Seconds since the start or the last lap.
    fn lap(&mut self) -> f64 {
        let now = Self::now();
        let lap = now - self.0;
        self.0 = now;
        (lap.as_secs_f64() * 1e4).round() / 1e4
    }
}

/// Decodes a photo named on the command line; its faults are told with its name.
pub(crate) fn read(path: &Path, limits: &Limits) -> anyhow::Result<Frame> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let decoded = decode(&bytes, extension, limits);
    Ok(decoded.map_err(|e| exit::bad_input(format!("{}: {e}", path.display())))?.0)
}

/// A photo made ready for registration as the protocol says.
pub(crate) fn prepared(path: &Path, protocol: &Protocol) -> anyhow::Result<Prepared> {
    Ok(Prepared::new(&read(path, &protocol.limits)?, protocol.align.precision))
}

fn read_points(path: &Path) -> anyhow::Result<Vec<[f64; 2]>> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers()?.clone();
    let column = |name: &str| {
        let found = header.iter().position(|h| h == name);
        found.ok_or_else(|| {
            exit::bad_input(format!("{} has no column '{name}': its header must be x,y", path.display()))
        })
    };
    let (x, y) = (column("x")?, column("y")?);
    let mut points = Vec::new();
    for (line, record) in reader.records().enumerate() {
        let record = record?;
        let number = |i: usize| record.get(i).and_then(|t| t.parse::<f64>().ok()).filter(|v| v.is_finite());
        match (number(x), number(y)) {
            (Some(x), Some(y)) => points.push([x, y]),
            _ => return Err(exit::bad_input(format!("{} line {}: no two numbers", path.display(), line + 2))),
        }
    }
    Ok(points)
}
