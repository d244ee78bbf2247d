use std::io::Cursor;

use exif::{In, Tag, Value};
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::jpeg_quality::jpeg_quality;

/// What EXIF and the file's tables say and the pipeline uses; everything else is left behind with the original.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// EXIF orientation, 1 to 8.
    pub orientation: u8,
    /// Local time of the camera's clock.
    pub captured_at: Option<DateTime>,
    pub camera: Option<String>,
    pub exposure_s: Option<f64>,
    pub f_number: Option<f64>,
    pub iso: Option<u32>,
    pub focal_length_mm: Option<f64>,
    /// Of the file's compression, 1 to 100, where it is a JPEG.
    #[serde(default)]
    pub jpeg_quality: Option<f64>,
}

impl Metadata {
    /// Reads EXIF; a file without, or with a broken one, gives the defaults.
    pub fn read(bytes: &[u8]) -> Self {
        let parsed = exif::Reader::new().read_from_container(&mut Cursor::new(bytes));
        let jpeg_quality = jpeg_quality(bytes);
        let Ok(fields) = parsed else { return Self { orientation: 1, jpeg_quality, ..Self::default() } };
        let get = |tag| fields.get_field(tag, In::PRIMARY).map(|f| &f.value);
        let number = |tag| get(tag).and_then(first_number);
        let orientation = get(Tag::Orientation).and_then(|v| v.get_uint(0)).unwrap_or(1);
        Self {
            orientation: if (1..=8).contains(&orientation) { orientation as u8 } else { 1 },
            captured_at: get(Tag::DateTimeOriginal).and_then(ascii).and_then(|t| exif_time(&t)),
            camera: get(Tag::Model).and_then(ascii).map(|t| t.chars().take(64).collect()),
            exposure_s: number(Tag::ExposureTime),
            f_number: number(Tag::FNumber),
            iso: get(Tag::PhotographicSensitivity).and_then(|v| v.get_uint(0)),
            focal_length_mm: number(Tag::FocalLength),
            jpeg_quality,
        }
    }
}

fn first_number(value: &Value) -> Option<f64> {
    match value {
        Value::Rational(v) => v.first().map(exif::Rational::to_f64).filter(|x| x.is_finite()),
        _ => None,
    }
}

fn ascii(value: &Value) -> Option<String> {
    let Value::Ascii(parts) = value else { return None };
    let text = String::from_utf8_lossy(parts.first()?).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// `2026:11:21 18:04:31`
fn exif_time(text: &str) -> Option<DateTime> {
    DateTime::strptime("%Y:%m:%d %H:%M:%S", text).ok()
}
