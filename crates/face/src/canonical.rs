//! The average face: the vertices whose places the landmarks are.

use std::sync::OnceLock;

const OBJ: &str = include_str!("../models/canonical_face_model.obj");

/// The vertices in mm: x to the person's left, y up, z to the front.
pub fn canonical_mm() -> &'static [[f64; 3]] {
    static VERTICES: OnceLock<Vec<[f64; 3]>> = OnceLock::new();
    VERTICES.get_or_init(|| OBJ.lines().filter_map(|line| line.strip_prefix("v ")).filter_map(vertex_mm).collect())
}

/// Triangles between the vertices, by their indices; counter-clockwise from outside.
pub fn triangles() -> &'static [[usize; 3]] {
    static TRIANGLES: OnceLock<Vec<[usize; 3]>> = OnceLock::new();
    TRIANGLES.get_or_init(|| OBJ.lines().filter_map(|line| line.strip_prefix("f ")).filter_map(triangle).collect())
}

/// The vertex of the other half of the face; itself in the middle.
pub fn partner(vertex: usize) -> usize {
    let shape = canonical_mm();
    let [x, y, z] = shape[vertex];
    let off = |p: &[f64; 3]| (p[0] + x).powi(2) + (p[1] - y).powi(2) + (p[2] - z).powi(2);
    (0..shape.len()).min_by(|&a, &b| off(&shape[a]).total_cmp(&off(&shape[b]))).unwrap_or(vertex)
}

/// Normal of the surface at each vertex, length one: the mean of the triangles around it by their areas.
pub fn normals() -> &'static [[f64; 3]] {
    static NORMALS: OnceLock<Vec<[f64; 3]>> = OnceLock::new();
    NORMALS.get_or_init(|| {
        let shape = canonical_mm();
        let mut sums = vec![[0.0; 3]; shape.len()];
        for &[a, b, c] in triangles() {
            let edge = |to: usize| [0, 1, 2].map(|k| shape[to][k] - shape[a][k]);
            let (p, q) = (edge(b), edge(c));
            let normal = [p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]];
            for corner in [a, b, c] {
                (0..3).for_each(|k| sums[corner][k] += normal[k]);
            }
        }
        sums.into_iter().map(unit).collect()
    })
}

fn unit(v: [f64; 3]) -> [f64; 3] {
    let length = v.iter().map(|part| part * part).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    v.map(|part| part / length)
}

/// The file counts in centimetres.
fn vertex_mm(line: &str) -> Option<[f64; 3]> {
    let mut numbers = line.split_whitespace().map_while(|word| word.parse::<f64>().ok().map(|cm| 10.0 * cm));
    Some([numbers.next()?, numbers.next()?, numbers.next()?])
}

/// `174/43` is vertex 173 with a texture place that is not used.
fn triangle(line: &str) -> Option<[usize; 3]> {
    let index = |word: &str| word.split('/').next()?.parse::<usize>().ok()?.checked_sub(1);
    let mut indices = line.split_whitespace().map_while(index);
    Some([indices.next()?, indices.next()?, indices.next()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LANDMARKS;

    #[test]
    fn the_shape_is_whole_and_the_size_of_a_face() {
        assert_eq!((canonical_mm().len(), triangles().len()), (LANDMARKS, 898));
        assert!(triangles().iter().flatten().all(|&i| i < LANDMARKS));
        let (right_eye, left_eye) = (canonical_mm()[33], canonical_mm()[263]);
        assert!(right_eye[0] < 0.0 && left_eye[0] > 0.0);
        assert!(normals()[1][2] > 0.5 && normals()[50][0] < 0.0, "they point outwards");
        assert_eq!((partner(33), partner(263), partner(1)), (263, 33, 1));
        let width = canonical_mm()[454][0] - canonical_mm()[234][0];
        assert!((120.0..170.0).contains(&width), "{width}");
    }
}
