//! What must hold of every connection, whatever a test is about.
//!
//! A `World` checks these laws of the wire after each step.

use std::collections::{BTreeMap, BTreeSet};

use crate::tap::{Frame, Sender};

/// Largest frame that anybody allowed (RFC 9113 section 4.2).
const FRAME_BYTES_MAX: usize = 16_384;
/// The setting that refuses pushes (RFC 9113 section 6.5.2).
const ENABLE_PUSH: u16 = 2;

/// What the server has said on a stream.
#[derive(Debug, Default)]
struct Stream {
    heads: u8,
    has_data: bool,
    has_ended: bool,
}

/// Checks the frames of a connection, in the order of the wire; returns the first that is wrong.
pub(crate) fn check(frames: &[Frame]) -> Result<(), String> {
    let mut streams: BTreeMap<u32, Stream> = BTreeMap::new();
    let mut promised = BTreeSet::new();
    let mut goes_away = false;
    let mut refuses_pushes = false;
    for frame in frames {
        let is_servers = frame.sender == Sender::Server;
        if is_servers && frame.payload.len() > FRAME_BYTES_MAX {
            return Err(format!("a frame of {} bytes", frame.payload.len()));
        }
        match frame.kind {
            Frame::GOAWAY => goes_away = true,
            Frame::SETTINGS if !is_servers => refuses_pushes |= disables_push(&frame.payload),
            Frame::HEADERS if !is_servers => {
                streams.entry(frame.stream).or_default();
            }
            Frame::PUSH_PROMISE => {
                let id = frame.number(0);
                may_promise(&streams, frame.stream)
                    .map_err(|why| format!("stream {id} promised {why}"))?;
                if goes_away || refuses_pushes {
                    return Err(format!("stream {id} promised to a peer that takes none"));
                }
                if !id.is_multiple_of(2) || promised.last().is_some_and(|&last| last >= id) {
                    return Err(format!("stream {id} promised after {:?}", promised.last()));
                }
                promised.insert(id);
                streams.insert(id, Stream::default());
            }
            Frame::HEADERS | Frame::DATA | Frame::RST_STREAM if is_servers => {
                let stream = streams.get_mut(&frame.stream);
                let stream = stream.ok_or_else(|| format!("stream {} is idle", frame.stream))?;
                stream
                    .take(frame)
                    .map_err(|why| format!("stream {}: {why}", frame.stream))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Promises come before anything of the page (RFC 9113 section 8.4.1).
fn may_promise(streams: &BTreeMap<u32, Stream>, parent: u32) -> Result<(), String> {
    match streams.get(&parent) {
        None => Err(format!("on stream {parent}, which is idle")),
        Some(_) if parent.is_multiple_of(2) => {
            Err(format!("on stream {parent}, which was promised"))
        }
        Some(page) if page.has_ended => Err(format!("on stream {parent}, which has ended")),
        Some(page) if page.heads > 0 => Err(format!("on stream {parent}, after its head")),
        Some(_) => Ok(()),
    }
}

fn disables_push(settings: &[u8]) -> bool {
    let is_refusal = |setting: &[u8]| {
        setting[..2] == ENABLE_PUSH.to_be_bytes() && setting[2..] == 0_u32.to_be_bytes()
    };
    settings.chunks_exact(6).any(is_refusal)
}

impl Stream {
    fn take(&mut self, frame: &Frame) -> Result<(), String> {
        if self.has_ended {
            return Err("goes on after its end".to_owned());
        }
        match frame.kind {
            Frame::HEADERS if self.has_data => return Err("head after data".to_owned()),
            Frame::HEADERS if self.heads == 2 => return Err("a third head".to_owned()),
            Frame::HEADERS => self.heads += 1,
            Frame::DATA if self.heads == 0 => return Err("data before its head".to_owned()),
            Frame::DATA => self.has_data = true,
            _ => {}
        }
        self.has_ended = frame.kind == Frame::RST_STREAM || frame.ends_stream();
        Ok(())
    }
}
