//! What passed on a connection, told in the protocol's words and in the order of the wire.
//!
//! Frames come from a tap; what they mean (paths, statuses, hints) the client has noted, because
//! the tap reads no HPACK.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;

use h2::Reason;
use http::response::Parts;
use http::{Method, Request, Response, StatusCode};

use crate::tap::{Frame, Log, Sender};

/// What is known of each stream of a connection besides its frames, by its id.
#[derive(Clone, Default)]
pub(crate) struct Streams(Rc<RefCell<BTreeMap<u32, Stream>>>);

#[derive(Default)]
struct Stream {
    method: String,
    target: String,
    promised: bool,
    hints: Vec<String>,
    head: Option<(StatusCode, String)>,
}

impl Streams {
    /// Notes a request.
    pub(crate) fn asked(&self, stream: u32, method: &Method, target: &str) {
        self.note(stream, |stream| {
            stream.method = method.to_string();
            target.clone_into(&mut stream.target);
        });
    }

    /// Notes a promised request.
    pub(crate) fn promised(&self, stream: u32, request: &Request<()>) {
        let target = request.uri().path_and_query().unwrap();
        self.asked(stream, request.method(), target.as_str());
        self.note(stream, |stream| stream.promised = true);
    }

    /// Notes an informational response.
    pub(crate) fn hinted(&self, stream: u32, hint: &Response<()>) {
        let mut told = hint.status().as_u16().to_string();
        for link in hint.headers().get_all("link") {
            write!(told, "\n    link: {}", link.to_str().unwrap()).unwrap();
        }
        self.note(stream, |stream| stream.hints.push(told));
    }

    /// Notes a final response.
    pub(crate) fn answered(&self, stream: u32, head: &Parts) {
        let media_type = head.headers.get("content-type");
        let media_type = media_type.map_or("", |value| value.to_str().unwrap());
        let essence = media_type.split(';').next().unwrap_or_default().to_owned();
        self.note(stream, |stream| stream.head = Some((head.status, essence)));
    }

    fn note(&self, stream: u32, change: impl FnOnce(&mut Stream)) {
        change(self.0.borrow_mut().entry(stream).or_default());
    }

    /// Returns the stream of a path that was asked for or promised last.
    #[track_caller]
    pub(crate) fn of(&self, target: &str) -> u32 {
        let streams = self.0.borrow();
        let found = streams
            .iter()
            .rev()
            .find(|(_, stream)| stream.target == target);
        *found
            .unwrap_or_else(|| panic!("nobody asked for or promised {target}"))
            .0
    }
}

/// Tells whose body's bytes passed, in the order of the wire, as runs of a target and a length.
pub(crate) fn bodies(frames: &[Frame], streams: &Streams) -> Vec<(String, usize)> {
    let mut runs: Vec<(u32, usize)> = Vec::new();
    let is_body = |frame: &&Frame| frame.kind == Frame::DATA && frame.sender == Sender::Server;
    for frame in frames.iter().filter(is_body) {
        match runs.last_mut() {
            Some((stream, bytes)) if *stream == frame.stream => *bytes += frame.payload.len(),
            _ => runs.push((frame.stream, frame.payload.len())),
        }
    }
    let streams = streams.0.borrow();
    let name = |id| {
        streams
            .get(&id)
            .map_or_else(String::new, |stream| stream.target.clone())
    };
    runs.into_iter()
        .map(|(id, bytes)| (name(id), bytes))
        .collect()
}

/// Tells what passed on a connection, a line each, in the order of the wire.
pub(crate) fn transcript(frames: &Log<Frame>, streams: &Streams) -> String {
    let frames = frames.all();
    let mut bodies: BTreeMap<u32, usize> = BTreeMap::new();
    for frame in frames.iter().filter(|frame| frame.kind == Frame::DATA) {
        *bodies.entry(frame.stream).or_default() += frame.payload.len();
    }
    let streams = streams.0.borrow();
    let name = |id: u32| {
        streams
            .get(&id)
            .map_or_else(|| format!("stream {id}"), |stream| stream.target.clone())
    };
    let mut heads: BTreeMap<u32, usize> = BTreeMap::new();
    let mut text = String::new();
    for frame in &frames {
        let arrow = if frame.sender == Sender::Client {
            '>'
        } else {
            '<'
        };
        let line = match (frame.kind, frame.sender) {
            (Frame::HEADERS, Sender::Client) => {
                let method = streams
                    .get(&frame.stream)
                    .map_or("?", |stream| &stream.method);
                format!("{method} {}", name(frame.stream))
            }
            (Frame::HEADERS, Sender::Server) => {
                let passed = heads.entry(frame.stream).or_default();
                *passed += 1;
                let body = bodies.get(&frame.stream).copied().unwrap_or(0);
                let stream = streams.get(&frame.stream);
                stream.map_or_else(|| name(frame.stream), |stream| stream.head(*passed, body))
            }
            (Frame::PUSH_PROMISE, _) => format!("PROMISE {}", name(frame.number(0))),
            (Frame::RST_STREAM, _) => {
                format!(
                    "RESET {} {:?}",
                    name(frame.stream),
                    Reason::from(frame.number(0))
                )
            }
            (Frame::GOAWAY, _) => {
                format!(
                    "GOAWAY {} {:?}",
                    frame.number(0),
                    Reason::from(frame.number(4))
                )
            }
            _ => continue,
        };
        writeln!(text, "{arrow} {line}").unwrap();
    }
    text
}

impl Stream {
    /// Tells a head: the informational ones first, then the final one.
    fn head(&self, count: usize, body_bytes: usize) -> String {
        if let Some(hint) = self.hints.get(count - 1) {
            return hint.clone();
        }
        let Some((status, media_type)) = &self.head else {
            return format!("? {}", self.target);
        };
        let mut line = format!("{} {}", status.as_u16(), self.target);
        if !media_type.is_empty() {
            write!(line, " {media_type}").unwrap();
        }
        if body_bytes > 0 {
            write!(line, " {body_bytes} B").unwrap();
        }
        if self.promised {
            line += ", promised";
        }
        line
    }
}
