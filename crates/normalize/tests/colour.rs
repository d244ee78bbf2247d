//! What the normalization without a card leaves of a camera's colours, and what it keeps of a true change: rendered skin
//! that is reddened or bleached in places, seen by another camera in another light. Figures are printed with
//! `cargo test -p cicatrix-normalize --test colour -- --nocapture`.

#[path = "../../card/tests/rendered/camera.rs"]
mod camera;

use camera::camera;
use cicatrix_align::{Grid, Patch, resample};
use cicatrix_normalize::{NormalizeSettings, Normalized, Pair, normalize};
use cicatrix_phantom::Patient;
use cicatrix_photo::{Limits, Plane, decode, from_linear, gaussian, to_linear};
use palette::color_difference::Ciede2000;
use palette::{IntoColor, Lab, LinSrgb};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// No constant of the normalization was chosen on these.
const FIRST_SEED: u64 = 6000;
const CAMERAS: u64 = 40;
const PATIENTS: [u64; 3] = [31, 32, 33];
const PX_PER_MM: f64 = 10.0;

/// How strongly blood and pigment change where they do, ln of green and of all channels.
const REDDER: f64 = 0.12;
const DARKER: f64 = 0.10;

/// Baseline skin on a grid of 40 × 26 mm.
fn skin(patient: u64) -> Patch {
    let photo = Patient::new(patient).session(0, 2, 0.5).shoot(1, (1632, 1224));
    let frame =
        decode(&photo.to_jpeg(), "jpg", &Limits::default()).expect("the phantom writes photos that can be read").0;
    let pitch_px = photo.truth.px_per_mm / PX_PER_MM;
    let (width, height) = (400, 260);
    let begin = |pixels: usize, nodes: usize| (pixels as f64 - pitch_px * nodes as f64) / 2.0;
    let origin_px = [begin(frame.width, width), begin(frame.height, height)];
    resample(&frame, &Grid { origin_px, pitch_px, width, height }, |place| place)
}

/// 1 in discs of 1.5 to 4 mm that take up about this share.
fn spots(share: f64, random: &mut ChaCha8Rng) -> Plane {
    let mut spots = Plane::filled(400, 260, 0.0);
    let mut covered = 0.0;
    while covered < share * spots.data.len() as f64 {
        let (x, y) = (random.random_range(0.0..400.0), random.random_range(0.0..260.0));
        let radius: f64 = random.random_range(7.5..20.0);
        for (i, value) in spots.data.iter_mut().enumerate() {
            let (dx, dy) = ((i % 400) as f64 - x, (i / 400) as f64 - y);
            if dx.hypot(dy) < radius && *value == 0.0 {
                *value = 1.0;
                covered += 1.0;
            }
        }
    }
    spots
}

/// The skin of another day: fine relief, which is shade without colour, is up to 15 % flatter or deeper.
fn another_day(skin: &Patch, random: &mut ChaCha8Rng) -> Patch {
    let deeper: f64 = random.random_range(-0.15..0.15);
    let shade = skin.green.map(f32::ln);
    let detail = shade.zip(&gaussian(&shade, 12.0), |fine, coarse| fine - coarse);
    patch_of(skin, |i, colour| colour.map(|v| v * (deeper * f64::from(detail.data[i])).exp()))
}

fn colours(patch: &Patch) -> impl Iterator<Item = [f64; 3]> + '_ {
    let planes = patch.red.data.iter().zip(&patch.green.data).zip(&patch.blue.data);
    planes.map(|((r, g), b)| [r, g, b].map(|v| f64::from(*v)))
}

fn patch_of(like: &Patch, colour: impl Fn(usize, [f64; 3]) -> [f64; 3]) -> Patch {
    let mut made = like.clone();
    for (i, seen) in colours(like).enumerate() {
        let [r, g, b] = colour(i, seen).map(|v| v as f32);
        (made.red.data[i], made.green.data[i], made.blue.data[i]) = (r, g, b);
    }
    made
}

/// Another camera and light: a gradient of up to 15 % to each side, noise of one 8-bit code.
fn photographed(truth: &Patch, gamma: f64, random: &mut ChaCha8Rng) -> Patch {
    let camera = camera(random, gamma);
    let mut within = |range: f64| random.random_range(-range..=range);
    let slope = [within(0.15), within(0.15)];
    let noise: Vec<f64> = (0..3 * truth.red.data.len()).map(|_| (0..3).map(|_| within(1.0)).sum()).collect();
    patch_of(truth, |i, light| {
        let (x, y) = ((i % 400) as f64 / 200.0 - 1.0, (i / 400) as f64 / 130.0 - 1.0);
        let fall = 1.0 + slope[0] * x + slope[1] * y;
        let seen = camera.see(light.map(|v| fall * v));
        std::array::from_fn(|k| {
            let code = from_linear(seen[k]) * 255.0 + noise[3 * i + k];
            to_linear(code.round().clamp(1.0, 255.0) / 255.0)
        })
    })
}

fn delta_e(a: [f64; 3], b: [f64; 3]) -> f64 {
    let lab = |[r, g, b]: [f64; 3]| -> Lab<palette::white_point::D65, f64> { LinSrgb::new(r, g, b).into_color() };
    lab(a).difference(lab(b))
}

fn at(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(share * values.len() as f64) as usize]
}

/// Change of an index where the skin has changed, beside where it has not.
fn change(index: impl Fn(usize) -> f64, changed: &Plane, other: &Plane) -> f64 {
    let mean = |wanted: bool| {
        let picked = (0..changed.data.len())
            .filter(|&i| if wanted { changed.data[i] > 0.5 } else { changed.data[i] < 0.5 && other.data[i] < 0.5 });
        let (sum, n) = picked.fold((0.0, 0.0), |(sum, n), i| (sum + index(i), n + 1.0));
        sum / n
    };
    mean(true) - mean(false)
}

/// Medians: CIEDE2000 of unchanged skin as photographed and normalized, share kept of redness and of pigment.
fn figures(gamma: f64) -> [f64; 4] {
    let (mut raw, mut left, mut redness, mut pigment) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for patient in PATIENTS {
        let baseline = skin(patient);
        for seed in FIRST_SEED..FIRST_SEED + CAMERAS {
            let mut random = ChaCha8Rng::seed_from_u64(1000 * patient + seed);
            let (red, dark) = (spots(0.1, &mut random), spots(0.05, &mut random));
            let truth = patch_of(&another_day(&baseline, &mut random), |i, [r, g, b]| {
                let (k, m) = (f64::from(red.data[i]) * REDDER, f64::from(dark.data[i]) * DARKER);
                [r * (-0.08 * k - m).exp(), g * (-k - 1.3 * m).exp(), b * (-0.75 * k - 1.6 * m).exp()]
            });
            let seen = photographed(&truth, gamma, &mut random);
            // The clinic's mask holds most of what changes, not all.
            let skin = red.zip(&spots(0.05, &mut random), |a, b| 1.0 - a.max(b));
            let everywhere = Plane::filled(400, 260, 1.0);
            let settings = NormalizeSettings::default();
            let Normalized { ln_red, ln_green, ln_blue, .. } =
                normalize(Pair::Photographed([&baseline, &seen]), &skin, &everywhere, PX_PER_MM, &settings);
            let normalized = |i: usize| [&ln_red, &ln_green, &ln_blue].map(|plane| f64::from(plane.data[i]).exp());
            let (truths, seens): (Vec<_>, Vec<_>) = (colours(&truth).collect(), colours(&seen).collect());
            let unchanged = (0..truths.len()).step_by(7).filter(|&i| red.data[i] + dark.data[i] < 0.5);
            let (mut here, mut before): (Vec<f64>, Vec<f64>) =
                unchanged.map(|i| (delta_e(normalized(i), truths[i]), delta_e(seens[i], truths[i]))).unzip();
            left.push(at(&mut here, 0.5));
            raw.push(at(&mut before, 0.5));
            let base: Vec<_> = colours(&baseline).collect();
            let ei = |c: [f64; 3]| (c[0] / c[1]).ln();
            let mi = |c: [f64; 3]| -c[0].ln();
            let kept = |index: &dyn Fn([f64; 3]) -> f64, changed: &Plane, other: &Plane| {
                change(|i| index(normalized(i)) - index(base[i]), changed, other)
                    / change(|i| index(truths[i]) - index(base[i]), changed, other)
            };
            redness.push(kept(&ei, &red, &dark));
            pigment.push(kept(&mi, &dark, &red));
        }
    }
    println!(
        "gamma ± {:.0} %: kept redness {:.3} to {:.3} (5 to 95 % of cameras), pigment {:.3} to {:.3}",
        100.0 * gamma,
        at(&mut redness, 0.05),
        at(&mut redness, 0.95),
        at(&mut pigment, 0.05),
        at(&mut pigment, 0.95)
    );
    [raw, left, redness, pigment].map(|mut values| at(&mut values, 0.5))
}

#[test]
fn unchanged_skin_comes_out_alike_and_a_true_change_is_kept() {
    for gamma in [0.0, 0.12] {
        let [raw, left, redness, pigment] = figures(gamma);
        println!(
            "gamma ± {:.0} %: CIEDE2000 of unchanged skin {raw:.2} as photographed, {left:.2} normalized; kept {:.1} % of \
             the redness, {:.1} % of the pigment",
            100.0 * gamma,
            100.0 * redness,
            100.0 * pigment
        );
        assert!(left <= 1.7, "{left}");
        assert!((0.97..=1.03).contains(&redness), "{redness}");
        assert!((0.97..=1.03).contains(&pigment), "{pigment}");
    }
}
