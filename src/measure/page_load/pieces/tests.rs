//! How frames are cut, whatever they are and however their bytes come.

use std::collections::VecDeque;

use futures_util::FutureExt as _;
use proptest::prelude::*;
use tokio::io::AsyncReadExt as _;

use super::*;

/// A stream that is there in pieces, which may end in an error.
struct Cut(VecDeque<io::Result<Vec<u8>>>);

impl AsyncRead for Cut {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(piece) = self.0.pop_front() else {
            return Poll::Ready(Ok(()));
        };
        let mut piece = piece?;
        let rest = piece.split_off(piece.len().min(buffer.remaining()));
        buffer.put_slice(&piece);
        if !rest.is_empty() {
            self.0.push_front(Ok(rest));
        }
        Poll::Ready(Ok(()))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    fn write(&self, into: &mut Vec<u8>) {
        let length = u32::try_from(self.payload.len()).unwrap().to_be_bytes();
        into.extend(&length[1..]);
        into.extend([self.kind, self.flags]);
        into.extend(self.stream.to_be_bytes());
        into.extend(&self.payload);
    }
}

fn parse(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LENGTH>() {
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        frames.push(Frame {
            kind: header[3],
            flags: header[4],
            stream: u32::from_be_bytes([header[5], header[6], header[7], header[8]]),
            payload: rest[..length].to_vec(),
        });
        bytes = &rest[length..];
    }
    assert_eq!(bytes, b"", "the last frame is cut");
    frames
}

/// Joins consecutive DATA frames of a stream up to where each ended before.
fn joined(frames: Vec<Frame>, originals: &[Frame]) -> Vec<Frame> {
    let mut pieces = frames.into_iter();
    let mut joined = Vec::new();
    for original in originals {
        let Some(mut frame) = pieces.next() else {
            break;
        };
        while frame.kind == DATA && frame.payload.len() < original.payload.len() {
            assert_eq!(frame.flags & END_STREAM, 0, "the stream goes on");
            assert!(!frame.payload.is_empty(), "a piece carries something");
            let Some(next) = pieces.next() else { break };
            assert_eq!((next.kind, next.stream), (frame.kind, frame.stream));
            frame.flags = next.flags;
            frame.payload.extend(next.payload);
        }
        joined.push(frame);
    }
    joined.extend(pieces);
    joined
}

/// Reads everything, into buffers whose lengths go round.
fn read(pieces: Vec<Vec<u8>>, buffers: &[usize]) -> Vec<u8> {
    let (read, error) = read_on(pieces.into_iter().map(Ok).collect(), buffers);
    assert!(error.is_none());
    read
}

/// Reads to the end or the first error.
fn read_on(
    pieces: VecDeque<io::Result<Vec<u8>>>,
    buffers: &[usize],
) -> (Vec<u8>, Option<io::Error>) {
    let mut stream = Pieces::new(Cut(pieces));
    let mut all = Vec::new();
    for &length in buffers.iter().cycle() {
        let mut buffer = vec![0; length];
        match stream.read(&mut buffer).now_or_never().unwrap() {
            Ok(0) => break,
            Ok(read) => all.extend(&buffer[..read]),
            Err(error) => return (all, Some(error)),
        }
    }
    (all, None)
}

fn cut(bytes: &[u8], lengths: &[usize]) -> Vec<Vec<u8>> {
    let mut rest = bytes;
    let mut pieces = Vec::new();
    for &length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(length.min(rest.len()));
        pieces.push(piece.to_vec());
        rest = after;
    }
    pieces
}

fn frames() -> impl Strategy<Value = Vec<Frame>> {
    let kind = prop_oneof![3 => Just(DATA), 1 => 0..=12_u8];
    let payload = prop::collection::vec(any::<u8>(), 0..300);
    let frame = (kind, any::<u8>(), any::<u32>(), payload);
    let frame = frame.prop_map(|(kind, flags, stream, payload)| Frame {
        kind,
        flags,
        stream,
        payload,
    });
    prop::collection::vec(frame, 0..12)
}

proptest! {
    #[test]
    fn nothing_changes_but_where_data_is_cut(
        frames in frames(),
        lengths in prop::collection::vec(1..200_usize, 1..8),
        buffers in prop::collection::vec(1..100_usize, 1..8),
    ) {
        let mut bytes = Vec::new();
        for frame in &frames {
            frame.write(&mut bytes);
        }
        let read = parse(&read(cut(&bytes, &lengths), &buffers));
        for padded in frames.iter().filter(|frame| frame.flags & PADDED != 0) {
            prop_assert!(read.contains(padded), "a padded frame stays whole");
        }
        prop_assert_eq!(joined(read, &frames), frames);
    }

    #[test]
    fn any_bytes_are_read_to_their_end(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        lengths in prop::collection::vec(1..100_usize, 1..8),
        buffers in prop::collection::vec(1..100_usize, 1..8),
    ) {
        let read = read(cut(&bytes, &lengths), &buffers);
        // At most a header before each byte.
        prop_assert!(read.len() <= bytes.len() * (1 + HEADER_LENGTH));
    }
}

#[test]
fn a_piece_is_handed_over_as_soon_as_it_is_there() {
    let mut bytes = Vec::new();
    let frame = Frame {
        kind: DATA,
        flags: END_STREAM,
        stream: 1,
        payload: b"<link rel=stylesheet>".to_vec(),
    };
    frame.write(&mut bytes);
    let lengths = |read: &[u8]| -> Vec<_> {
        let frames = parse(read);
        let seen = frames.iter();
        seen.map(|frame| (frame.payload.len(), frame.flags))
            .collect()
    };
    // Without what is still to come.
    let first = read(vec![bytes[..19].to_vec()], &[4096]);
    assert_eq!(lengths(&first), [(10, 0)]);
    let both = read(vec![bytes[..19].to_vec(), bytes[19..].to_vec()], &[4096]);
    assert_eq!(lengths(&both), [(10, 0), (11, END_STREAM)]);
}

#[test]
fn a_frame_that_is_too_long_stays_for_h2_to_refuse() {
    let mut bytes = Vec::new();
    let frame = Frame {
        kind: DATA,
        flags: 0,
        stream: 1,
        payload: vec![0; PAYLOAD_MAX + 1],
    };
    frame.write(&mut bytes);
    assert!(read(cut(&bytes, &[1000]), &[512]) == bytes);
}

#[test]
fn an_error_of_the_stream_comes_after_what_came_before() {
    let broken = io::Error::from(io::ErrorKind::ConnectionReset);
    let pieces = [Ok(b"\0\0\x05\0\x01\0\0\0\x01ab".to_vec()), Err(broken)];
    let (read, error) = read_on(pieces.into(), &[4096]);
    assert_eq!(read, b"\0\0\x02\0\0\0\0\0\x01ab");
    assert_eq!(error.unwrap().kind(), io::ErrorKind::ConnectionReset);
}
