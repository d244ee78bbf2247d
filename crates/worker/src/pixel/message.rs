//! What goes through the pipe: a JSON header with the lengths of the binary parts, then the parts.

use cicatrix_assess::{Assessment, Protocol};
use cicatrix_model::{Reason, RegionPolygon, View};
use serde::{Deserialize, Serialize};

/// What the manifest and the name say of a photo; travels beside its bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhotoFacts {
    pub extension: String,
    pub px_per_mm: Option<f64>,
    pub view: View,
    pub regions: Vec<RegionPolygon>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// First message: how to assess.
    Protocol(Box<Protocol>),
    /// Say how large a frame is, from its header. One part: the file.
    Look { extension: String },
    /// Prepare a baseline and keep it under this name; if it cannot be one, `thumb` asks for a picture of it. One part: the
    /// file.
    Prepare { reference: String, facts: PhotoFacts, thumb: bool },
    /// Assess a photo against a kept baseline. One part: the file.
    Assess { reference: String, facts: PhotoFacts, itself: bool, pictures: bool },
}

/// What a pixel process says.
#[derive(Debug, Serialize, Deserialize)]
pub enum PixelReply {
    /// It is ready; says how it is confined.
    Ready {
        confinement: String,
    },
    /// Pixels of a frame; 0 of a file that is none.
    Size {
        pixels: u64,
    },
    Prepared,
    /// The baseline cannot be one. One part for each picture, by name.
    Unusable {
        reason: Reason,
        detail: String,
        pictures: Vec<String>,
    },
    /// One part for each picture, by name.
    Assessed {
        assessment: Assessment,
        pictures: Vec<String>,
    },
    /// A bug of ours, with its text.
    Broken(String),
}

/// Parts above this are refused before they are allocated.
pub(crate) const MOST_PART_BYTES: u64 = 256 << 20;
const MOST_HEADER_BYTES: u32 = 16 << 20;

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    message: T,
    parts: Vec<u64>,
}

/// Header bytes of a message whose parts have these lengths: length, then JSON.
pub(crate) fn header<T: Serialize>(message: &T, parts: &[u64]) -> std::io::Result<Vec<u8>> {
    let json = serde_json::to_vec(&Envelope { message, parts: parts.to_vec() })?;
    let mut out = (json.len() as u32).to_le_bytes().to_vec();
    out.extend(json);
    Ok(out)
}

/// Checks the length that precedes a header.
pub(crate) fn header_length(bytes: [u8; 4]) -> std::io::Result<usize> {
    let length = u32::from_le_bytes(bytes);
    if length > MOST_HEADER_BYTES {
        return Err(std::io::Error::other("a message header is too long"));
    }
    Ok(length as usize)
}

/// Reads a header; gives the message and the lengths of its parts.
pub(crate) fn parse<T: for<'a> Deserialize<'a>>(json: &[u8]) -> std::io::Result<(T, Vec<u64>)> {
    let envelope: Envelope<T> = serde_json::from_slice(json)?;
    let total = envelope.parts.iter().try_fold(0u64, |sum, part| sum.checked_add(*part));
    if total.is_none_or(|bytes| bytes > MOST_PART_BYTES) {
        return Err(std::io::Error::other("a message part is too long"));
    }
    Ok((envelope.message, envelope.parts))
}

/// What a fresh pixel process says of its confinement in its first words.
pub fn confinement_of(output: &[u8]) -> std::io::Result<String> {
    let cut = || std::io::Error::other("the first message is incomplete");
    let length = header_length(output.get(..4).and_then(|b| b.try_into().ok()).ok_or_else(cut)?)?;
    match parse(output.get(4..4 + length).ok_or_else(cut)?)?.0 {
        PixelReply::Ready { confinement } => Ok(confinement),
        _ => Err(std::io::Error::other("it said something else")),
    }
}
