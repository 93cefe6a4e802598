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
            Frame::GOAWAY if is_servers => goes_away = true,
            Frame::SETTINGS if !is_servers => refuses_pushes |= disables_push(&frame.payload),
            Frame::HEADERS if !is_servers => {
                streams.entry(frame.stream).or_default();
            }
            Frame::PUSH_PROMISE => {
                let id = frame.number(0);
                may_promise(&streams, frame.stream)
                    .map_err(|why| format!("stream {id} promised {why}"))?;
                if goes_away || refuses_pushes {
                    return Err(format!(
                        "stream {id} promised after GOAWAY, or to a refuser"
                    ));
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

mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::tap::Unit as _;

    const END_HEADERS: u8 = 4;
    const END: u8 = 5;

    fn frame(sender: Sender, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Frame {
        let bytes = Frame::bytes(kind, flags, stream, payload);
        Frame::new(Instant::now(), sender, &bytes[..9], payload.to_vec())
    }

    fn asked(stream: u32) -> Frame {
        frame(Sender::Client, Frame::HEADERS, END, stream, &[])
    }

    fn head(stream: u32) -> Frame {
        frame(Sender::Server, Frame::HEADERS, END_HEADERS, stream, &[])
    }

    fn whole(stream: u32) -> Frame {
        frame(Sender::Server, Frame::HEADERS, END, stream, &[])
    }

    fn body(stream: u32, flags: u8) -> Frame {
        frame(Sender::Server, Frame::DATA, flags, stream, b"x")
    }

    fn promise(stream: u32, id: u32) -> Frame {
        frame(
            Sender::Server,
            Frame::PUSH_PROMISE,
            END_HEADERS,
            stream,
            &id.to_be_bytes(),
        )
    }

    #[track_caller]
    fn breaks(frames: &[Frame], expected: &str) {
        let wrong = check(frames).expect_err("these frames are against the law");
        assert!(wrong.contains(expected), "{wrong}");
    }

    #[test]
    fn a_page_with_promises_is_within_the_law() {
        let frames = [
            asked(1),
            promise(1, 2),
            promise(1, 4),
            head(1),
            head(1),
            head(2),
            body(1, 0),
            asked(3),
            promise(3, 6),
            body(2, 1),
            body(1, 1),
            whole(4),
            whole(6),
            whole(3),
        ];
        assert_eq!(check(&frames), Ok(()));
    }

    #[test]
    fn each_law_can_be_broken() {
        let goaway = frame(Sender::Server, Frame::GOAWAY, 0, 0, &[0; 8]);
        let refusal = frame(Sender::Client, Frame::SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 0]);
        let reset = frame(Sender::Server, Frame::RST_STREAM, 0, 1, &[0; 4]);
        let large = frame(Sender::Server, Frame::DATA, 0, 1, &vec![0; 16_385]);
        breaks(
            &[asked(1), asked(3), promise(1, 4), promise(3, 2)],
            "after Some(4)",
        );
        breaks(&[asked(1), promise(1, 3)], "after None");
        breaks(&[promise(1, 2)], "idle");
        breaks(&[asked(1), promise(1, 2), promise(2, 4)], "was promised");
        breaks(&[asked(1), whole(1), promise(1, 2)], "has ended");
        breaks(&[asked(1), head(1), promise(1, 2)], "after its head");
        breaks(&[asked(1), reset.clone(), promise(1, 2)], "has ended");
        breaks(&[asked(1), goaway, promise(1, 2)], "GOAWAY");
        breaks(&[refusal, asked(1), promise(1, 2)], "refuser");
        breaks(&[head(1)], "idle");
        breaks(&[asked(1), whole(1), body(1, 0)], "after its end");
        breaks(&[asked(1), reset, head(1)], "after its end");
        breaks(&[asked(1), body(1, 0)], "before its head");
        breaks(&[asked(1), head(1), body(1, 0), head(1)], "head after data");
        breaks(&[asked(1), head(1), head(1), head(1)], "third head");
        breaks(&[asked(1), head(1), large], "16385 bytes");
    }
}
