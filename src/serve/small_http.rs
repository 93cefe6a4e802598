//! HTTP/1.1 in its smallest form: one request a connection, one answer without a body to read.
//!
//! For who comes without TLS and for operators. Everything has a limit: connections in all and of
//! an address, the header's bytes, and the time from a connection's start to its end. Knows nothing
//! of what is asked.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::listen::Bound;
use super::seats::Seats;

/// After the system could give no connection: it is short of something that time gives back.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Bytes read at once.
const PIECE_LENGTH: usize = 2048;
/// What a header ends with.
const END: &[u8] = b"\r\n\r\n";

/// What peers may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Connections at once; more wait to be accepted.
    pub(super) connections: usize,
    /// Connections at once from one address; more are closed unheard.
    pub(super) connections_per_address: usize,
    /// Bytes of a request's header, without the empty line at its end.
    pub(super) header_bytes: usize,
    /// From a connection's start to its end.
    pub(super) time: Duration,
}

/// What was heard of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard<'a> {
    /// Its header, without the empty line at its end.
    Header(&'a [u8]),
    /// A header that is too long.
    TooLong,
}

/// What answers a request: what goes out, as it stands.
pub(super) type Answer = dyn Fn(Heard<'_>) -> String + Send + Sync;

/// Answers everyone who comes, for ever. Connections end with it.
pub(super) async fn answer_all(bound: &Bound, bounds: Bounds, answer: Arc<Answer>) {
    let seats = Seats::new(bounds.connections_per_address);
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Some(ended) = open.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection failed unexpectedly");
                }
            }
            accepted = bound.accept(), if open.len() < bounds.connections => match accepted {
                Ok((stream, peer)) => {
                    let Some(seat) = seats.take(peer.ip()) else {
                        tracing::debug!(%peer, "too many connections from there: closed");
                        continue;
                    };
                    let answer = Arc::clone(&answer);
                    open.spawn(async move {
                        let conversing = converse(stream, bounds.header_bytes, &*answer);
                        // Whoever is slow is cut off, and whoever leaves is gone.
                        if !matches!(timeout(bounds.time, conversing).await, Ok(Ok(()))) {
                            tracing::debug!(%peer, "not answered");
                        }
                        drop(seat);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn converse<T: AsyncRead + AsyncWrite + Unpin>(
    mut stream: T,
    header_bytes_max: usize,
    answer: &Answer,
) -> io::Result<()> {
    let mut read = Vec::new();
    let mut searched = 0;
    let heard = loop {
        let found = read[searched..].windows(END.len()).position(|it| it == END);
        match found.map(|at| searched + at) {
            Some(end) if end <= header_bytes_max => break Heard::Header(&read[..end]),
            None if read.len() < header_bytes_max + END.len() => {}
            _ => break Heard::TooLong,
        }
        // The end may be cut in two; what lies before it is never looked at again.
        searched = (read.len() + 1).saturating_sub(END.len());
        let mut piece = [0; PIECE_LENGTH];
        match stream.read(&mut piece).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => read.extend_from_slice(&piece[..length]),
        }
    };
    stream.write_all(answer(heard).as_bytes()).await?;
    stream.shutdown().await?;
    // What it goes on to say is taken, so that closing does not take the answer from it.
    let mut rest = [0; PIECE_LENGTH];
    for _ in 0..header_bytes_max / rest.len() {
        if stream.read(&mut rest).await? == 0 {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpStream;
    use tokio::time::Instant;

    use super::*;
    use crate::serve::listen;

    const BOUNDS: Bounds = Bounds {
        connections: 3,
        connections_per_address: 2,
        header_bytes: 100,
        time: Duration::from_secs(5),
    };

    #[expect(
        clippy::needless_pass_by_value,
        reason = "every answer takes what was heard"
    )]
    fn told(heard: Heard<'_>) -> String {
        match heard {
            Heard::Header(header) => format!("{} bytes", header.len()),
            Heard::TooLong => "too long".to_owned(),
        }
    }

    /// Says a header of so many bytes in pieces, and returns what comes back.
    async fn say(length: usize, piece: usize) -> String {
        let text = "x".repeat(length) + "\r\n\r\n";
        let (near, far) = tokio::io::duplex(1024);
        let serving = tokio::spawn(converse_with(far));
        let (mut reader, mut writer) = tokio::io::split(near);
        for piece in text.as_bytes().chunks(piece) {
            // It may have been answered before all is said.
            let _ = writer.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        let _ = writer.shutdown().await;
        let mut said = String::new();
        reader.read_to_string(&mut said).await.unwrap();
        serving.await.unwrap();
        said
    }

    async fn converse_with(stream: tokio::io::DuplexStream) {
        let _ = converse(stream, BOUNDS.header_bytes, &told).await;
    }

    #[tokio::test]
    async fn a_byte_too_many_is_told_however_it_comes() {
        for piece in [1, 2, 3, 4, 7, 50, 1_000] {
            assert_eq!(say(100, piece).await, "100 bytes", "{piece}");
            assert_eq!(say(101, piece).await, "too long", "{piece}");
            assert_eq!(say(0, piece).await, "0 bytes", "{piece}");
        }
    }

    /// Connects, and waits until the server has accepted or closed.
    async fn connect(port: u16, from: Ipv4Addr) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let address = (Ipv4Addr::LOCALHOST, port).into();
        socket.connect(address).await.unwrap()
    }

    async fn ask(stream: &mut TcpStream) -> String {
        let mut said = String::new();
        // Who is closed unheard may be told by a reset.
        let _ = stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await;
        let _ = stream.read_to_string(&mut said).await;
        said
    }

    #[tokio::test]
    async fn connections_are_bounded_for_an_address_and_in_all() {
        let bound = listen::bind_at((Ipv4Addr::LOCALHOST, 0).into(), "--test").unwrap();
        let port = bound.port;
        let serving = tokio::spawn(async move {
            answer_all(&bound, BOUNDS, Arc::new(told)).await;
        });
        let one = Ipv4Addr::LOCALHOST;
        let other = Ipv4Addr::new(127, 0, 0, 2);
        let mut held = [connect(port, one).await, connect(port, one).await];
        let mut third = connect(port, one).await;
        assert_eq!(ask(&mut third).await, "", "closed unheard");
        let mut elsewhere = connect(port, other).await;
        let mut waiting = connect(port, other).await;
        let early = timeout(Duration::from_millis(300), ask(&mut waiting)).await;
        assert!(early.is_err(), "all seats are taken: {early:?}");
        assert_eq!(ask(&mut elsewhere).await, "14 bytes");
        drop(elsewhere);
        let mut said = String::new();
        waiting.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "14 bytes");
        assert_eq!(ask(&mut held[0]).await, "14 bytes");
        serving.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_let_go_when_its_time_is_over() {
        let bound = listen::bind_at((Ipv4Addr::LOCALHOST, 0).into(), "--test").unwrap();
        let mut silent = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, bound.port)).unwrap();
        let started = Instant::now();
        let serving = answer_all(&bound, BOUNDS, Arc::new(told));
        let _ = timeout(BOUNDS.time + Duration::from_millis(10), serving).await;
        assert!(started.elapsed() >= BOUNDS.time);
        silent
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        assert_eq!(io::Read::read(&mut silent, &mut [0]).unwrap(), 0);
    }
}
