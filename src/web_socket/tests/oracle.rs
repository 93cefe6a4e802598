//! The same bytes through tungstenite, a kept implementation: what one writes the other reads, and
//! what one refuses the other refuses.

use std::io::{self, Read, Write};

use proptest::prelude::*;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::frame::coding::{CloseCode as TheirCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame as TheirFrame};
use tungstenite::protocol::{Role as TheirRole, WebSocket, WebSocketConfig};
use tungstenite::{Error as TheirError, Message as TheirMessage};

use super::super::close::{Close, CloseCode};
use super::super::frame::Frame;
use super::*;

/// What tungstenite reads from and writes to.
#[derive(Debug, Default)]
struct Wire {
    incoming: io::Cursor<Vec<u8>>,
    outgoing: Vec<u8>,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.incoming.read(buffer) {
            Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
            read => read,
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn theirs(role: TheirRole, incoming: Vec<u8>) -> WebSocket<Wire> {
    let wire = Wire {
        incoming: io::Cursor::new(incoming),
        outgoing: Vec::new(),
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    WebSocket::from_raw_socket(wire, role, Some(config))
}

/// Returns what they read in our words, and their complaint.
fn read_by_them(role: TheirRole, wire: &[u8]) -> (Vec<Received>, Option<TheirError>) {
    let mut socket = theirs(role, wire.to_vec());
    let mut received = Vec::new();
    loop {
        received.push(match socket.read() {
            Ok(TheirMessage::Text(read)) => text(&read),
            Ok(TheirMessage::Binary(bytes)) => Received::Message(Message::Binary(bytes)),
            Ok(TheirMessage::Ping(payload)) => Received::Ping(payload),
            Ok(TheirMessage::Pong(payload)) => Received::Pong(payload),
            Ok(TheirMessage::Close(close)) => {
                let close = close.map(|close| {
                    let code = CloseCode::received(close.code.into()).unwrap();
                    Close::new(code, &close.reason)
                });
                // They read nothing after it.
                received.push(Received::Close(close));
                return (received, None);
            }
            Ok(TheirMessage::Frame(_)) => unreachable!("only messages are read"),
            Err(TheirError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return (received, None);
            }
            Err(error) => return (received, Some(error)),
        });
    }
}

/// A word of a conversation.
#[derive(Debug, Clone)]
enum Word {
    Message(Message, Vec<prop::sample::Index>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn words() -> impl Strategy<Value = Vec<Word>> {
    let payload = || prop::collection::vec(any::<u8>(), 0..126);
    let long = prop::collection::vec(any::<u8>(), 65_000..66_000);
    let message = prop_oneof![
        5 => ".{0,80}".prop_map(Message::Text),
        5 => prop::collection::vec(any::<u8>(), 0..300).prop_map(|b| Message::Binary(b.into())),
        1 => long.prop_map(|bytes| Message::Binary(bytes.into())),
    ];
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
    let word = prop_oneof![
        3 => (message, cuts).prop_map(|(message, cuts)| Word::Message(message, cuts)),
        1 => payload().prop_map(Word::Ping),
        1 => payload().prop_map(Word::Pong),
    ];
    prop::collection::vec(word, 0..6)
}

fn heard(words: &[Word]) -> Vec<Received> {
    let heard = |word: &Word| match word.clone() {
        Word::Message(message, _) => Received::Message(message),
        Word::Ping(payload) => Received::Ping(payload.into()),
        Word::Pong(payload) => Received::Pong(payload.into()),
    };
    words.iter().map(heard).collect()
}

/// Says it through them, fragmented where it is to be.
fn said_by_them(role: TheirRole, words: &[Word], close: Option<&Close>) -> Vec<u8> {
    let mut socket = theirs(role, Vec::new());
    for word in words {
        match word.clone() {
            Word::Ping(payload) => socket.send(TheirMessage::Ping(payload.into())).unwrap(),
            Word::Pong(payload) => {
                // As a frame: of pongs as messages they send the last.
                let mut pong = TheirFrame::pong(payload);
                if role == TheirRole::Client {
                    pong.header_mut().mask = Some(KEY);
                }
                let mut bytes = Vec::new();
                socket.flush().unwrap();
                pong.format(&mut bytes).unwrap();
                socket.get_mut().outgoing.extend(bytes);
            }
            Word::Message(message, cuts) => {
                let payload = message.bytes();
                let mut ends: Vec<_> = cuts.iter().map(|c| c.index(payload.len() + 1)).collect();
                ends.push(payload.len());
                ends.sort_unstable();
                let mut kind = match message {
                    Message::Text(_) => Data::Text,
                    Message::Binary(_) => Data::Binary,
                };
                let (mut start, last) = (0, ends.len() - 1);
                for (index, end) in ends.into_iter().enumerate() {
                    let piece = payload[start..end].to_vec();
                    let frame = TheirFrame::message(piece, OpCode::Data(kind), index == last);
                    socket.send(TheirMessage::Frame(frame)).unwrap();
                    (start, kind) = (end, Data::Continue);
                }
            }
        }
    }
    if let Some(close) = close {
        let code = TheirCode::from(close.code().number());
        let close = CloseFrame {
            code,
            reason: close.reason().into(),
        };
        socket.close(Some(close)).unwrap();
    }
    socket.flush().unwrap();
    std::mem::take(&mut socket.get_mut().outgoing)
}

fn closes() -> impl Strategy<Value = Option<Close>> {
    // Theirs knows no 1014.
    let codes = prop_oneof![1000_u16..=1003, 1007_u16..=1013, 3000_u16..5000];
    let close = (codes, ".{0,30}")
        .prop_map(|(number, reason)| Close::new(CloseCode::received(number).unwrap(), &reason));
    prop::option::of(close)
}

/// The first byte of a header, most of them wrong, and a payload.
fn any_frame() -> impl Strategy<Value = (u8, Vec<u8>)> {
    (any::<u8>(), prop::collection::vec(any::<u8>(), 0..130))
}

proptest! {
    #[test]
    fn what_they_write_we_read(words in words(), close in closes(), step in 1_usize..5000) {
        let mut expected = heard(&words);
        expected.extend(close.clone().map(|close| Received::Close(Some(close))));
        for (role, mut decoder) in [
            (TheirRole::Client, of_client()),
            (TheirRole::Server, of_server()),
        ] {
            let wire = said_by_them(role, &words, close.as_ref());
            prop_assert_eq!(read_all(&mut decoder, &wire, step), (expected.clone(), None));
        }
    }

    #[test]
    fn what_we_write_they_read(words in words(), close in closes(), key: [u8; 4]) {
        let mut expected = heard(&words);
        expected.extend(close.clone().map(|close| Received::Close(Some(close))));
        let frames: Vec<Frame> = words.iter().map(|word| match word {
            Word::Message(Message::Text(text), _) => Frame::text(text),
            Word::Message(Message::Binary(bytes), _) => Frame::binary(bytes),
            Word::Ping(payload) => Frame::ping(payload),
            Word::Pong(payload) => Frame::pong(payload),
        }).chain(close.as_ref().map(|close| Frame::close(Some(close)))).collect();
        let bytes = |frame: &Frame| frame.bytes().to_vec();
        let plain: Vec<u8> = frames.iter().flat_map(bytes).collect();
        let (read, error) = read_by_them(TheirRole::Client, &plain);
        prop_assert!(error.is_none(), "{error:?}");
        prop_assert_eq!(read, &expected[..]);
        let masked: Vec<u8> = frames.iter().flat_map(|frame| bytes(&frame.masked(key))).collect();
        let (read, error) = read_by_them(TheirRole::Server, &masked);
        prop_assert!(error.is_none(), "{error:?}");
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn what_we_refuse_they_refuse(
        frames in prop::collection::vec(any_frame(), 1..4),
    ) {
        let wire: Vec<u8> =
            frames.iter().flat_map(|(first, payload)| client_frame(*first, payload)).collect();
        let (ours, our_error) = read_all(&mut of_client(), &wire, usize::MAX);
        let (their_words, their_error) = read_by_them(TheirRole::Server, &wire);
        // After a farewell they refuse all, and we leave that to the session.
        let has_closed = ours.iter().any(|word| matches!(word, Received::Close(_)));
        let is_lenient = is_lenience(our_error.as_ref());
        if !has_closed && !is_lenient {
            let both = format!("{our_error:?} {their_error:?}");
            prop_assert_eq!(our_error.is_some(), their_error.is_some(), "{}", both);
            prop_assert_eq!(ours, their_words);
        }
    }
}

/// Tells where they take what the standard does not allow, or judge it later.
fn is_lenience(ours: Option<&Error>) -> bool {
    matches!(
        ours,
        Some(Error::CloseCode(_) | Error::LongLength | Error::Text)
    )
}

#[test]
fn where_they_are_lenient_is_known() {
    let long = [&b"\x82\xfe\x00\x05"[..], &KEY, b"hello"].concat();
    assert!(
        read_by_them(TheirRole::Server, &long).1.is_none(),
        "they take any length"
    );
    assert_eq!(
        read_all(&mut of_client(), &long, 1).1,
        Some(Error::LongLength)
    );
    let unmasked = Frame::text("a").bytes().to_vec();
    let refused = read_by_them(TheirRole::Server, &unmasked).1;
    let expected = TheirError::Protocol(ProtocolError::UnmaskedFrameFromClient);
    assert_eq!(refused.unwrap().to_string(), expected.to_string());
}
