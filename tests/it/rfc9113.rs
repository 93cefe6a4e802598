//! What RFC 9113 demands of a server, whatever its peer says: a row for each rule, in frames.
//!
//! All that `h2spec` 2.6 asks of a server is among them, and some that it leaves out; the rules of
//! header compression are in `rfc7541`, limits (section 5.1.2, floods) in `limits`. A row is what
//! is said, and exactly what is due: a stream error resets that stream and nothing else, a
//! connection error says GOAWAY with its code and closes, and others are served whatever it is.
//!
//! Where the standard leaves a choice, the row says which is taken: a stream error may be one of
//! the connection (section 5.4.1). Where it is not kept to the letter, the row says that, and fails
//! when it changes: [`Vague`] where `h2` says `PROTOCOL_ERROR` and there is a more specific code
//! (section 7), and the last table of [`messages`], on trailers.
//!
//! Read on in [`frames`] (sections 4 and 6), [`streams`] (section 5), [`messages`] (section 8).

/// Makes a table of rows: the rule, what is said, and what is due. A semicolon within what is said
/// waits for what comes.
macro_rules! rows {
    ($($rule:literal: $($($said:expr),+);+ => $due:expr;)+) => {
        vec![$($crate::rfc9113::Row {
            rule: $rule,
            said: vec![$([$(Vec::from($said)),+].concat()),+],
            due: $due,
        }),+]
    };
}

mod frames;
mod messages;
mod streams;

pub(crate) use rows;

use crate::raw::{
    CONTINUATION, GET, HEADED, Heard, POST, PREFACE, PRIORITY, PROTOCOL_ERROR, Raw, request, status,
};
use crate::tap::Frame;
use crate::world::World;

const SITE: &str = "
    //- /index.html
    <!doctype html><p>Hello
    //- /large.png size=200000
";

/// The flags of frames (RFC 9113 section 6).
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const PADDED: u8 = 8;
pub(crate) const PRIORITIZED: u8 = 0x20;

/// The identifiers of settings (RFC 9113 section 6.5.2).
pub(crate) const HEADER_TABLE_SIZE: u16 = 1;
pub(crate) const ENABLE_PUSH: u16 = 2;
pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;
pub(crate) const MAX_FRAME_SIZE: u16 = 5;
pub(crate) const MAX_HEADER_LIST_SIZE: u16 = 6;

/// What is due.
pub(crate) enum Due {
    /// This stream is answered: 200, or 405 to a POST.
    Answer(u32),
    /// So much of a body comes on this stream, and not its end.
    Body(u32, usize),
    /// One PING, which acknowledges this one.
    Pong([u8; 8]),
    /// SETTINGS are acknowledged.
    Settled,
    /// RST_STREAM on stream 1 with this code, and no more.
    Reset(u32),
    /// GOAWAY with this code, and the end.
    Goaway(u32),
    /// The same, with `PROTOCOL_ERROR` for this code.
    Vague(u32),
    /// The end, with or without a word.
    Closed,
}

use Due::{Answer, Body, Closed, Goaway, Pong, Reset, Settled, Vague};

/// A rule, what is said about it, and what is due.
pub(crate) struct Row {
    pub(crate) rule: &'static str,
    pub(crate) said: Vec<Vec<u8>>,
    pub(crate) due: Due,
}

/// Says what each row says, on a connection of its own, and holds what comes against what is due.
pub(crate) async fn check(rows: Vec<Row>) {
    let mut world = World::new(SITE);
    let mut complaints = Vec::new();
    for Row { rule, said, due } in rows {
        let mut raw = Raw::open(&mut world, &[]).await;
        raw.answer(&world).await;
        let mut heard = Vec::new();
        for bytes in said {
            raw.say(&world, &bytes).await;
            heard.extend(raw.answer(&world).await);
        }
        let mut wrong = judge(&heard, raw.is_closed(), &due).err();
        if !matches!(due, Goaway(_) | Vague(_) | Closed) && wrong.is_none() {
            raw.say(&world, &request(1_001, GET)).await;
            let answered = status(&raw.answer(&world).await, 1_001) == Some(200);
            wrong = (!answered).then(|| "other streams are to be answered".to_owned());
        }
        if let Some(wrong) = wrong {
            let told: Vec<_> = heard.iter().map(|f| (f.kind, f.flags, f.stream)).collect();
            complaints.push(format!("{rule}: {wrong}; came: {told:?}"));
        }
        let other = world.get("/").await.status();
        assert_eq!(other, 200, "{rule}: others are served");
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn judge(heard: &[Heard], is_closed: bool, due: &Due) -> Result<(), String> {
    let of = |kind: u8| heard.iter().filter(move |frame| frame.kind == kind);
    let goaway = of(Frame::GOAWAY).next().map(Heard::code);
    let resets: Vec<_> = of(Frame::RST_STREAM)
        .map(|f| (f.stream, f.code()))
        .collect();
    let ends = |code: u32| goaway == Some(code) && is_closed;
    let data = |stream| of(Frame::DATA).filter(move |frame| frame.stream == stream);
    let (is_kept, expected) = match *due {
        Goaway(code) => (ends(code), format!("GOAWAY {code}")),
        Vague(code) => (ends(PROTOCOL_ERROR), format!("GOAWAY 1 for {code}")),
        Closed => (is_closed, "the end".to_owned()),
        _ if is_closed || goaway.is_some() => (false, "no GOAWAY".to_owned()),
        Reset(code) => (resets == [(1, code)], format!("RST_STREAM {code}")),
        _ if !resets.is_empty() => (false, "no RST_STREAM".to_owned()),
        Answer(stream) => (
            matches!(status(heard, stream), Some(200 | 405)),
            format!("an answer on {stream}, not {:?}", status(heard, stream)),
        ),
        Body(stream, bytes) => (
            data(stream).map(|frame| frame.payload.len()).sum::<usize>() == bytes
                && data(stream).all(|frame| frame.flags & END_STREAM == 0),
            format!("{bytes} bytes on {stream}"),
        ),
        Pong(payload) => {
            let pongs: Vec<_> = of(Frame::PING).map(|f| (f.flags, &f.payload[..])).collect();
            (pongs == [(1, &payload[..])], format!("PING {payload:?}"))
        }
        Settled => (
            of(Frame::SETTINGS).any(|frame| frame.flags == 1),
            "SETTINGS".to_owned(),
        ),
    };
    is_kept.then_some(()).ok_or_else(|| {
        format!("{expected} is due; GOAWAY {goaway:?}, closed: {is_closed}, resets: {resets:?}")
    })
}

pub(crate) fn data(flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    Frame::bytes(Frame::DATA, flags, stream, payload)
}

pub(crate) fn headers(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    Frame::bytes(Frame::HEADERS, flags, stream, block)
}

pub(crate) fn continuation(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    Frame::bytes(CONTINUATION, flags, stream, block)
}

/// PRIORITY as RFC 7540 had it: what a stream depends on, and how much it weighs.
pub(crate) fn priority(stream: u32, on: u32, weight: u8) -> Vec<u8> {
    Frame::bytes(PRIORITY, 0, stream, &dependency(on, weight))
}

pub(crate) fn dependency(on: u32, weight: u8) -> [u8; 5] {
    let [a, b, c, d] = on.to_be_bytes();
    [a, b, c, d, weight]
}

/// RST_STREAM with CANCEL.
pub(crate) fn reset(stream: u32) -> Vec<u8> {
    Frame::bytes(Frame::RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

pub(crate) fn settings(all: &[(u16, u32)]) -> Vec<u8> {
    let entry = |&(id, value): &(u16, u32)| {
        let value: [u8; 4] = value.to_be_bytes();
        [&id.to_be_bytes()[..], &value].concat()
    };
    let payload: Vec<u8> = all.iter().flat_map(entry).collect();
    Frame::bytes(Frame::SETTINGS, 0, 0, &payload)
}

pub(crate) fn ping(payload: [u8; 8]) -> Vec<u8> {
    Frame::bytes(Frame::PING, 0, 0, &payload)
}

/// GOAWAY that has seen no stream.
pub(crate) fn goaway(code: u32) -> Vec<u8> {
    let payload = [&[0; 4][..], &code.to_be_bytes()].concat();
    Frame::bytes(Frame::GOAWAY, 0, 0, &payload)
}

pub(crate) fn grow(stream: u32, by: u32) -> Vec<u8> {
    Frame::bytes(Frame::WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

/// A POST whose body is yet to come.
pub(crate) fn open_post(stream: u32) -> Vec<u8> {
    headers(HEADED, stream, POST)
}

#[tokio::test(start_paused = true)]
async fn a_connection_begins_with_the_preface() {
    let mut world = World::new(SITE);
    let mut raw = Raw::open(&mut world, &[(INITIAL_WINDOW_SIZE, 65_535)]).await;
    let first = &raw.answer(&world).await[0];
    assert_eq!(
        (first.kind, first.flags, first.stream),
        (Frame::SETTINGS, 0, 0),
        "section 3.4: SETTINGS are the first that a server says"
    );
    for bytes in [
        &b"INVALID CONNECTION PREFACE\r\n\r\n"[..],
        &[PREFACE, b"\0\0\0\x03\0\0\0\0\x01"].concat(),
    ] {
        let mut raw = Raw::silent(&mut world).await;
        raw.say(&world, bytes).await;
        raw.answer(&world).await;
        assert!(raw.is_closed(), "section 3.4: {bytes:?}");
    }
}
