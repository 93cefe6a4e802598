//! The codec and the session, held against RFC 6455, RFC 7692 and a kept implementation.

mod conformance;
mod frames;
mod inflated;
mod opening;
mod oracle;
mod sessions;
mod sockets;

use bytes::Bytes;

use super::decoder::{Decoder, Received};
use super::{Error, MESSAGE_BYTES_MAX, Message, Role};

/// What a test masks with: no byte of it leaves another as it is.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Returns a client's frame with any first byte, however wrong.
fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        length @ 126..65536 => {
            bytes.push(0x80 + 126);
            bytes.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(0x80 + 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&KEY);
    bytes.extend(
        payload
            .iter()
            .zip(KEY.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    bytes
}

/// Reads all that a peer sent, in pieces of at most `step` bytes.
fn read_all(decoder: &mut Decoder, bytes: &[u8], step: usize) -> (Vec<Received>, Option<Error>) {
    let mut received = Vec::new();
    for mut piece in bytes.chunks(step) {
        loop {
            match decoder.read(&mut piece) {
                Ok(Some(next)) => received.push(next),
                Ok(None) => break,
                Err(error) => return (received, Some(error)),
            }
        }
        assert!(piece.is_empty(), "all is read, or something is returned");
    }
    (received, None)
}

fn of_client() -> Decoder {
    Decoder::new(Role::Client, MESSAGE_BYTES_MAX, false)
}

fn of_server() -> Decoder {
    Decoder::new(Role::Server, MESSAGE_BYTES_MAX, true)
}

fn text(text: &str) -> Received {
    Received::Message(Message::Text(text.to_owned()))
}

/// Puts what a server has sent into words.
fn told(bytes: &[u8]) -> Vec<String> {
    let (received, error) = read_all(&mut of_server(), bytes, usize::MAX);
    assert_eq!(error, None, "a server sends nothing malformed");
    received.iter().map(in_words).collect()
}

fn in_words(received: &Received) -> String {
    let shown = |bytes: &Bytes| match bytes.len() {
        0..40 => format!("{:?}", String::from_utf8_lossy(bytes)),
        length => format!("{length} bytes"),
    };
    match received {
        Received::Message(Message::Text(text)) => {
            format!("text {}", shown(&Bytes::copy_from_slice(text.as_bytes())))
        }
        Received::Message(Message::Binary(bytes)) => format!("binary {}", shown(bytes)),
        Received::Ping(payload) => format!("ping {}", shown(payload)),
        Received::Pong(payload) => format!("pong {}", shown(payload)),
        Received::Close(None) => "close".to_owned(),
        Received::Close(Some(close)) => format!("close {}", close.code()),
    }
}
