//! The two networks, made ready once.

use std::io::Cursor;
use std::sync::{Arc, OnceLock};

use tract_onnx::prelude::*;

use crate::{detector, mesh};

const DETECTOR: &[u8] = include_bytes!("../models/blazeface_short_range.onnx");
const MESH: &[u8] = include_bytes!("../models/face_mesh_468.onnx");

/// A network with planes red, green, blue of `side` × `side` pixels for input.
pub(crate) struct Network {
    plan: Arc<TypedRunnableModel>,
    side: usize,
}

pub(crate) struct Networks {
    pub(crate) detector: Network,
    pub(crate) mesh: Network,
}

/// Both networks; none if they cannot be made ready, which the tests rule out for what is embedded.
pub(crate) fn networks() -> Option<&'static Networks> {
    static NETWORKS: OnceLock<Option<Networks>> = OnceLock::new();
    let both = || {
        Some(Networks {
            detector: Network::of(DETECTOR, detector::SIDE).ok()?,
            mesh: Network::of(MESH, mesh::SIDE).ok()?,
        })
    };
    NETWORKS.get_or_init(both).as_ref()
}

impl Network {
    fn of(onnx: &[u8], side: usize) -> TractResult<Self> {
        let plan = tract_onnx::onnx().model_for_read(&mut Cursor::new(onnx))?.into_optimized()?.into_runnable()?;
        Ok(Self { plan, side })
    }

    /// Its two outputs, in the order of the file.
    pub(crate) fn run(&self, planes: Vec<f32>) -> Option<[Vec<f32>; 2]> {
        let input = Tensor::from_shape(&[1, 3, self.side, self.side], &planes).ok()?;
        let outputs = self.plan.run(tvec!(input.into())).ok()?;
        let values = |i: usize| -> Option<Vec<f32>> {
            Some(outputs.get(i)?.to_plain_array_view::<f32>().ok()?.iter().copied().collect())
        };
        Some([values(0)?, values(1)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_networks_run_and_give_what_is_read() {
        let both = networks().expect("the embedded networks can be made ready");
        let [regressors, scores] = both.detector.run(vec![0.0; 3 * 128 * 128]).unwrap();
        assert_eq!((regressors.len(), scores.len()), (896 * detector::NUMBERS, 896));
        let [points, flag] = both.mesh.run(vec![0.0; 3 * 192 * 192]).unwrap();
        assert_eq!((points.len(), flag.len()), (3 * crate::LANDMARKS, 1));
    }
}
