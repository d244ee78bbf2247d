//! The registration against true maps, computed anew.

use std::path::Path;

use anyhow::Context;
use cicatrix_align::{Prepared, Registration, register};
use cicatrix_assess::Protocol;
use serde::Serialize;

use super::quantile;
use crate::command::align::prepared;
use crate::command::truth::{PhotoTruth, Truth};
use crate::exit;

#[derive(Debug, Serialize)]
pub(super) struct RegistrationReport {
    pub(super) pairs: usize,
    pub(super) refused: usize,
    /// Median over pairs of each pair's median and 95th percentile; the worst pair. None when all were refused.
    pub(super) median_px: Option<f64>,
    pub(super) p95_px: Option<f64>,
    pub(super) worst_median_px: Option<f64>,
    pub(super) worst_p95_px: Option<f64>,
}

pub(super) fn registration(
    source: &Path,
    truth_path: &Path,
    truth: &Truth,
    protocol: &Protocol,
) -> anyhow::Result<Option<RegistrationReport>> {
    let Some(step) = truth.map_step_px else { return Ok(None) };
    let beside = truth_path.parent().unwrap_or(Path::new("."));
    let (mut medians, mut tails, mut refused) = (Vec::<f64>::new(), Vec::<f64>::new(), 0);
    let mut fixed: Option<(&PhotoTruth, Prepared)> = None;
    for photo in &truth.photos {
        let path = source.join(&photo.file);
        let ready = prepared(&path, protocol)?;
        let Some(map) = &photo.map_from_baseline else {
            fixed = Some((photo, ready));
            continue;
        };
        let Some((_, baseline)) = fixed.as_ref().filter(|(f, _)| f.patient == photo.patient) else { continue };
        match register(baseline, &ready, &protocol.align) {
            Ok(registration) => {
                let mut errors = errors(&registration, &beside.join(map), step, &ready)?;
                medians.extend(quantile(&mut errors, 0.5));
                tails.extend(quantile(&mut errors, 0.95));
            }
            Err(_) => refused += 1,
        }
    }
    Ok(Some(RegistrationReport {
        pairs: medians.len() + refused,
        refused,
        worst_median_px: quantile(&mut medians, 1.0),
        worst_p95_px: quantile(&mut tails, 1.0),
        median_px: quantile(&mut medians, 0.5),
        p95_px: quantile(&mut tails, 0.5),
    }))
}

/// Distances in px between the registration and the true map, at the nodes that both photos show.
fn errors(registration: &Registration, map: &Path, step: f64, moving: &Prepared) -> anyhow::Result<Vec<f64>> {
    let bytes = std::fs::read(map).with_context(|| format!("cannot read {}", map.display()))?;
    let file = npyz::NpyFile::new(&bytes[..]).with_context(|| format!("{} is no array", map.display()))?;
    let shape = file.shape().to_vec();
    let [rows, columns, 2] = shape[..] else {
        return Err(exit::bad_input(format!(
            "{} has the shape {shape:?}, [rows, columns, 2] is needed",
            map.display()
        )));
    };
    let places: Vec<f32> = file.into_vec().with_context(|| format!("{} is no float32 array", map.display()))?;
    let mut errors = Vec::new();
    for i in 0..(rows * columns) as usize {
        let [x, y] = [f64::from(places[2 * i]), f64::from(places[2 * i + 1])];
        let inside = x >= 0.0 && y >= 0.0 && x < moving.width as f64 && y < moving.height as f64;
        if inside {
            let node = |k: usize| (k as f64 + 0.5) * step;
            let [u, v] = registration.map([node(i % columns as usize), node(i / columns as usize)]);
            errors.push((u - x).hypot(v - y));
        }
    }
    Ok(errors)
}
