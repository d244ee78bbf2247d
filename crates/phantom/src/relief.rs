//! Healthy skin's relief: furrows, grain and pores on a gentle undulation.

use crate::field::{Field, PATCH_MM, PITCH_MM};
use crate::furrow::Cells;
use crate::noise::smooth;
use crate::stream::Stream;

/// Heights of healthy skin, mm, outwards positive.
#[derive(Debug)]
pub(crate) struct Relief {
    /// Furrows, grain and pores: what swells and dries from day to day.
    pub(crate) micro: Field,
    /// Lumps of some millimetres, the same every day.
    pub(crate) undulation: Field,
    /// Depth of the pores alone, already taken from `micro`.
    pub(crate) pores: Field,
}

impl Relief {
    /// Furrows and grain have a root mean square of 10 to 22 µm, pores come on top.
    pub(crate) fn draw(stream: &mut Stream) -> Self {
        let rms_mm = stream.between(0.010, 0.022);
        let mut micro = furrows(stream);
        micro.mix_in(&smooth(stream, 0.16), 0.30);
        micro.mix_in(&smooth(stream, 0.45), 0.30);
        let mut micro = micro.standardised().mapped(|height| rms_mm * height);
        let pores = pores(stream);
        micro.mix_in(&pores, -1.0);
        Self { micro, undulation: undulation(stream), pores }
    }
}

/// Two nets of lines, the finer one shallower, both bent a little; root mean square 1.
fn furrows(stream: &mut Stream) -> Field {
    const BEND_MM: f32 = 0.2;
    let bend = [smooth(stream, 3.0), smooth(stream, 3.0)];
    let cell_mm = stream.between(0.85, 1.25);
    let stretch = stream.between(1.0, 1.4);
    let coarse = Cells::draw(stream, [cell_mm * stretch, cell_mm]);
    let fine = Cells::draw(stream, [0.5 * cell_mm, 0.5 * cell_mm * stretch]);
    let mut field = Field::filled(0.0);
    for (y, row) in field.rows_mut().enumerate() {
        let (bend_u, bend_v) = (bend[0].row(y), bend[1].row(y));
        for (x, height) in row.iter_mut().enumerate() {
            let u = x as f32 * PITCH_MM + BEND_MM * bend_u[x];
            let v = y as f32 * PITCH_MM + BEND_MM * bend_v[x];
            *height = -coarse.furrow([u, v], 0.20) - 0.45 * fine.furrow([u, v], 0.13);
        }
    }
    field.standardised()
}

/// Depths of pores, 0.1 to 0.3 mm wide and 15 to 50 µm deep, about 0.7 to the square millimetre.
fn pores(stream: &mut Stream) -> Field {
    let density_per_mm2 = stream.between(0.45, 0.95);
    let count = (density_per_mm2 * PATCH_MM[0] * PATCH_MM[1]) as usize;
    let mut field = Field::filled(0.0);
    for _ in 0..count {
        let place = anywhere(stream);
        let sigma_mm = stream.between(0.05, 0.11);
        field.stamp_bump(place, sigma_mm, stream.between(0.015, 0.050));
    }
    field
}

fn undulation(stream: &mut Stream) -> Field {
    let mut field = smooth(stream, 2.5).mapped(|height| 0.008 * height);
    field.mix_in(&smooth(stream, 5.0), 0.022);
    field.mix_in(&smooth(stream, 12.0), 0.040);
    field
}

/// A place on the patch, mm from its centre.
pub(crate) fn anywhere(stream: &mut Stream) -> [f32; 2] {
    [stream.around_zero(PATCH_MM[0] / 2.0), stream.around_zero(PATCH_MM[1] / 2.0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Purpose;

    #[test]
    fn micro_relief_is_ten_to_thirty_micrometres() {
        let relief = Relief::draw(&mut Stream::of_patient(Purpose::Relief, 11));
        let squares = relief.micro.rows().flatten().map(|h| f64::from(h * h));
        let rms_um = 1e3 * (squares.sum::<f64>() / 995_328.0).sqrt();
        assert!((9.0..30.0).contains(&rms_um), "{rms_um} µm");
    }
}
