//! `align`: one photo laid over another, without a database.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use cicatrix_align::{AlignSettings, Precision, Prepared, Registration, register};
use cicatrix_photo::{Limits, decode};
use serde_json::json;

use crate::args::{AlignArgs, Global, PrecisionArg};
use crate::config::Config;
use crate::exit;
use crate::print::out;

pub(crate) fn align(args: &AlignArgs, settings: &Config, global: &Global) -> anyhow::Result<u8> {
    let protocol = settings.protocol()?;
    let precision = match args.precision {
        PrecisionArg::Fine => Precision::Fine,
        PrecisionArg::Scoring => Precision::Scoring,
    };
    let how = AlignSettings { precision, ..protocol.align };
    let (fixed, moving) = (prepared(&args.fixed, &protocol.limits)?, prepared(&args.moving, &protocol.limits)?);
    let registration = match register(&fixed, &moving, &how) {
        Ok(registration) => registration,
        Err(refusal) => {
            if global.json {
                out(&json!({"verdict": "refused", "reason": "not_alignable", "detail": refusal.to_string()})
                    .to_string())?;
            }
            return Err(exit::bad_input(format!("not_alignable: {refusal}")));
        }
    };
    let points = match &args.points {
        Some(path) => read_points(path)?,
        None => vec![],
    };
    let mapped: Vec<[f64; 3]> = points.iter().map(|p| map(&registration, *p)).collect();
    if global.json {
        out(&json!({"verdict": "aligned", "quality": registration.quality, "points": mapped}).to_string())?;
    } else if args.points.is_some() {
        out("x,y,confidence")?;
        for [x, y, confidence] in mapped {
            out(&format!("{x:.3},{y:.3},{confidence:.3}"))?;
        }
    } else {
        out(&serde_json::to_string_pretty(&registration.quality)?)?;
    }
    Ok(exit::DONE)
}

/// Place in the moving photo, and the correlation of the block it lies in.
fn map(registration: &Registration, place: [f64; 2]) -> [f64; 3] {
    let [x, y] = registration.map(place);
    [x, y, f64::from(registration.correlation_at(place))]
}

/// Decodes a photo named on the command line; its faults are told with its name.
pub(crate) fn prepared(path: &Path, limits: &Limits) -> anyhow::Result<Prepared> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let (frame, _) =
        decode(&bytes, extension, limits).map_err(|e| exit::bad_input(format!("{}: {e}", path.display())))?;
    Ok(Prepared::new(&frame))
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
