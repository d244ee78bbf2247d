//! The pixel process: reads requests from its input, answers on its output, and has no other business.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;

use cicatrix_assess::{Assessment, Photo, Picture, Protocol, Reference, assess, frame_pixels, prepare, thumbnail};

use crate::pixel::message::{PhotoFacts, PixelReply, Request, header, header_length, parse};
use crate::pixel::sandbox::{Confinement, allow_cpu_time};

/// Baselines kept ready. The parent keeps the same count and order, so both know what is there.
pub(crate) const KEPT: usize = 2;

/// Runs until the input ends. Returns an error only when a pipe breaks.
pub fn serve(memory_bytes: u64, mut input: impl Read, mut output: impl Write) -> io::Result<()> {
    ignore_stop_signals()?;
    let confinement = Confinement::enter(memory_bytes);
    reply(&mut output, &PixelReply::Ready { confinement: confinement.to_string() }, &[])?;
    let mut bench = Bench::default();
    while let Some((request, part)) = read(&mut input)? {
        if let Request::Protocol(protocol) = request {
            bench = Bench { protocol: Some(*protocol), kept: VecDeque::new() };
            continue;
        }
        // Only a backstop: the parent's limit is the one that counts.
        let _ = allow_cpu_time();
        let (answer, pictures) = bench.answer(request, &part);
        let pictures: Vec<&[u8]> = pictures.iter().map(Vec::as_slice).collect();
        reply(&mut output, &answer, &pictures)?;
    }
    Ok(())
}

/// A supervisor may signal the whole group: the photo in work is still finished, and the parent, which was signalled
/// too, ends this process by closing its input.
fn ignore_stop_signals() -> io::Result<()> {
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::default())?;
    }
    Ok(())
}

fn read(input: &mut impl Read) -> io::Result<Option<(Request, Vec<u8>)>> {
    let mut length = [0u8; 4];
    match input.read_exact(&mut length) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut json = vec![0u8; header_length(length)?];
    input.read_exact(&mut json)?;
    let (request, parts) = parse(&json)?;
    let mut part = vec![0u8; parts.iter().sum::<u64>() as usize];
    input.read_exact(&mut part)?;
    Ok(Some((request, part)))
}

fn reply(output: &mut impl Write, reply: &PixelReply, parts: &[&[u8]]) -> io::Result<()> {
    let lengths: Vec<u64> = parts.iter().map(|p| p.len() as u64).collect();
    output.write_all(&header(reply, &lengths)?)?;
    for part in parts {
        output.write_all(part)?;
    }
    output.flush()
}

/// What the process knows between requests.
#[derive(Default)]
struct Bench {
    protocol: Option<Protocol>,
    kept: VecDeque<(String, Reference)>,
}

impl Bench {
    fn answer(&mut self, request: Request, bytes: &[u8]) -> (PixelReply, Vec<Vec<u8>>) {
        let Some(protocol) = self.protocol.clone() else {
            return (PixelReply::Broken("no protocol was given".to_owned()), vec![]);
        };
        match request {
            Request::Look { extension } => {
                let pixels = frame_pixels(bytes, &extension, &protocol).unwrap_or(0);
                (PixelReply::Size { pixels }, vec![])
            }
            Request::Prepare { reference, facts, thumb } => {
                self.prepare(reference, &photo(&facts, bytes), thumb, &protocol)
            }
            Request::Assess { reference, facts, itself, pictures } => {
                let Some((_, kept)) = self.kept.iter().find(|(name, _)| *name == reference) else {
                    return (PixelReply::Broken("the baseline was not prepared".to_owned()), vec![]);
                };
                assessed(assess(kept, &photo(&facts, bytes), itself, pictures, &protocol))
            }
            Request::Protocol(_) => (PixelReply::Broken("a protocol comes first".to_owned()), vec![]),
        }
    }

    fn prepare(
        &mut self,
        name: String,
        photo: &Photo<'_>,
        thumb: bool,
        protocol: &Protocol,
    ) -> (PixelReply, Vec<Vec<u8>>) {
        while self.kept.len() >= KEPT {
            self.kept.pop_front();
        }
        match prepare(photo, protocol) {
            Ok(reference) => {
                self.kept.push_back((name, reference));
                (PixelReply::Prepared, vec![])
            }
            Err(rejection) => {
                let (reason, detail) = (rejection.reason, rejection.detail);
                let (pictures, parts) = told(if thumb { thumbnail(photo, protocol) } else { vec![] });
                (PixelReply::Unusable { reason, detail, pictures }, parts)
            }
        }
    }
}

fn photo<'a>(facts: &'a PhotoFacts, bytes: &'a [u8]) -> Photo<'a> {
    Photo {
        bytes,
        extension: &facts.extension,
        px_per_mm: facts.px_per_mm,
        view: Some(&facts.view),
        regions: &facts.regions,
    }
}

fn assessed(mut assessment: Assessment) -> (PixelReply, Vec<Vec<u8>>) {
    let pictures = match &mut assessment {
        Assessment::Measured(measurement) => std::mem::take(&mut measurement.pictures),
        Assessment::NotMeasurable { pictures, .. } => std::mem::take(pictures),
    };
    let (pictures, parts) = told(pictures);
    (PixelReply::Assessed { assessment, pictures }, parts)
}

/// Names and contents.
fn told(pictures: Vec<Picture>) -> (Vec<String>, Vec<Vec<u8>>) {
    pictures.into_iter().map(|picture| (picture.name.to_owned(), picture.bytes)).unzip()
}
