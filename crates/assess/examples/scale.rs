//! What a scale that is wrong does to a change: the figures of `docs/faces.md`.
//!
//! `cargo run --release -p cicatrix-assess --example scale -- [--patients 8] [--seed 9901]`
//!
//! Rendered cheeks, first and last visit, measured with the true scale and with others. Photos and registration are the same, so
//! what differs comes from the bands, which are in millimetres, alone.

use anyhow::{Context, Result, bail};
use cicatrix_assess::{Assessment, Photo, Protocol, assess, prepare};
use cicatrix_model::{Measure, Region, RegionPolygon, View};
use cicatrix_phantom::Patient;

/// Scales that pupils (7 %) and an iris (4 %) may give, over the true one.
const FACTORS: [f64; 4] = [0.93, 0.96, 1.04, 1.07];
const SIZE: (u32, u32) = (1200, 900);
/// A clinic that keeps its protocol.
const LEVEL: f32 = 0.5;
const VISITS: u32 = 4;

fn main() -> Result<()> {
    let (mut patients, mut seed) = (8, 9901);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--patients" => patients = value.parse()?,
            "--seed" => seed = value.parse()?,
            _ => bail!("{word} is not known: --patients N, --seed N"),
        }
    }
    let protocol = Protocol::from_toml(include_str!("../../../config/protocols/standard-3.toml"))?;
    let ratios: Vec<Measure> = Measure::ALL.iter().copied().filter(|measure| measure.is_ratio()).collect();
    // By factor and measure: by how much the ln change differs from that with the true scale.
    let mut off: Vec<Vec<Vec<f64>>> = vec![vec![Vec::new(); ratios.len()]; FACTORS.len()];
    let mut changes: Vec<Vec<f64>> = vec![Vec::new(); ratios.len()];
    for number in 0..patients {
        let course = Course::of(seed + number);
        let truth = course.changes(1.0, &ratios, &protocol)?;
        for (at, change) in truth.iter().enumerate() {
            changes[at].extend(change);
        }
        for (own, factor) in off.iter_mut().zip(FACTORS) {
            let found = course.changes(factor, &ratios, &protocol)?;
            for (own, (found, truth)) in own.iter_mut().zip(found.iter().zip(&truth)) {
                own.extend(found.zip(*truth).map(|(found, truth)| found - truth));
            }
        }
    }
    println!(
        "| Measure | Patients | Mean change, % | {} |",
        FACTORS.map(|f| format!("scale × {f}: rms, worst, points of ln × 100")).join(" | ")
    );
    println!("|---|---|---|{}", "---|".repeat(FACTORS.len()));
    for (at, measure) in ratios.iter().enumerate().filter(|(at, _)| !changes[*at].is_empty()) {
        let mean = changes[at].iter().sum::<f64>() / changes[at].len() as f64;
        let told = |own: &Vec<Vec<f64>>| {
            let own = &own[at];
            let rms = (own.iter().map(|v| v * v).sum::<f64>() / own.len().max(1) as f64).sqrt();
            let worst = own.iter().fold(0.0_f64, |worst, v| worst.max(v.abs()));
            format!("{:.1}, {:.1}", 100.0 * rms, 100.0 * worst)
        };
        let cells: Vec<String> = off.iter().map(told).collect();
        println!("| `{measure}` | {} | {:+.1} | {} |", changes[at].len(), 100.0 * mean.exp_m1(), cells.join(" | "));
    }
    Ok(())
}

/// A patient's first and last photo.
struct Course {
    photos: [Vec<u8>; 2],
    px_per_mm: f64,
    region: RegionPolygon,
}

impl Course {
    fn of(seed: u64) -> Self {
        let patient = Patient::new(seed);
        let [first, last] = [0, VISITS - 1].map(|visit| patient.session(visit, VISITS, LEVEL).shoot(1, SIZE));
        Self {
            px_per_mm: first.truth.px_per_mm,
            region: RegionPolygon {
                name: Region::whole(),
                polygon_px: first.truth.roi_polygon_px.clone(),
                scars: vec![],
            },
            photos: [first.to_jpeg(), last.to_jpeg()],
        }
    }

    /// The ln change of each measure, when the scale is taken for so much of the true one.
    fn changes(&self, factor: f64, measures: &[Measure], protocol: &Protocol) -> Result<Vec<Option<f64>>> {
        let view: View = "closeup.left_cheek".parse().map_err(|error| anyhow::anyhow!("{error}"))?;
        let regions = std::slice::from_ref(&self.region);
        let photo = |at: usize| Photo {
            bytes: &self.photos[at],
            extension: "jpg",
            // A follow-up's scale comes from the registration.
            px_per_mm: (at == 0).then_some(factor * self.px_per_mm),
            view: Some(&view),
            regions: if at == 0 { regions } else { &[] },
        };
        let reference = prepare(&photo(0), protocol).map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut logs = Vec::new();
        for at in 0..2 {
            let Assessment::Measured(measured) = assess(&reference, &photo(at), at == 0, false, protocol) else {
                return Ok(vec![None; measures.len()]);
            };
            let values = measured.regions.into_iter().next().map(|region| region.values).unwrap_or_default();
            let value = |measure: &Measure| values.iter().find(|v| v.measure == *measure).map(|v| v.value);
            logs.push(measures.iter().map(|m| value(m).filter(|v| *v > 0.0).map(f64::ln)).collect::<Vec<_>>());
        }
        Ok(logs[0].iter().zip(&logs[1]).map(|(before, after)| Some(after.as_ref()? - before.as_ref()?)).collect())
    }
}
