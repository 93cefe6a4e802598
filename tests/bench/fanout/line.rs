//! A connection, and those who listen on its streams.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::board::Board;
use crate::trust;
use crate::wire::{self, Frames};

const READ_BYTES: usize = 64 * 1024;
/// What a socket holds that nobody reads, as small as the system has it.
const UNREAD_BYTES: usize = 4096;

thread_local! {
    /// Bytes just read, of whichever connection.
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// A way to hear events as they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    EventStream,
    WebSocket,
}

impl Way {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::EventStream => "Server-Sent Events",
            Self::WebSocket => "WebSocket",
        }
    }

    /// After this comes the number that an event says. Its first letter is in it but once.
    const fn mark(self) -> &'static [u8] {
        match self {
            Self::EventStream => b"\ndata: ",
            Self::WebSocket => b"message\":\"",
        }
    }

    /// Returns the header block of who asks for a channel, and the flags of its frame.
    fn request(self, channel: &str, after: Option<&str>) -> (Vec<u8>, u8) {
        let path = format!("/channels/{channel}");
        let common = [
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", &path),
        ];
        let mut pairs = match self {
            Self::EventStream => vec![(":method", "GET")],
            // RFC 8441 section 4.
            Self::WebSocket => vec![(":method", "CONNECT"), (":protocol", "websocket")],
        };
        pairs.extend(common);
        let flags = match self {
            Self::EventStream => {
                pairs.push(("accept", "text/event-stream"));
                wire::END_HEADERS | wire::END_STREAM
            }
            Self::WebSocket => {
                pairs.push(("sec-websocket-version", "13"));
                wire::END_HEADERS
            }
        };
        if let Some(after) = after {
            pairs.push(("last-event-id", after));
        }
        (wire::fields(&pairs), flags)
    }
}

/// Who listens on a connection.
#[derive(Debug, Clone)]
pub(crate) struct Listeners {
    pub(crate) way: Way,
    pub(crate) channel: &'static str,
    /// How many.
    pub(crate) count: usize,
    /// How many of these never open the window of their stream.
    pub(crate) shut: usize,
    /// Whether anybody reads the socket once all are answered.
    pub(crate) are_reading: bool,
    /// The cursor they come with.
    pub(crate) after: Option<String>,
    /// The number they have to hear next.
    pub(crate) next: usize,
}

impl Listeners {
    /// Returns some who hear by Server-Sent Events what is said from now on.
    pub(crate) fn new(channel: &'static str, count: usize, board: &Board) -> Self {
        Self {
            way: Way::EventStream,
            channel,
            count,
            shut: 0,
            are_reading: true,
            after: None,
            next: board.said(),
        }
    }

    /// Connects, listens, and notes what is heard until it is dropped.
    pub(crate) async fn listen(self, port: u16, board: Rc<Board>) {
        let listening = async {
            let mut line = Line::connect(port, self.window_bytes(), self.are_reading).await?;
            line.greeted().await.context("no HTTP/2 connection")?;
            line.write(&self.requests()).await?;
            let mut ears: Vec<_> = (0..self.count).map(|_| Ear::new(self.next)).collect();
            let mut unanswered = self.count;
            loop {
                let hear = |head, piece: &[u8], at| self.hear(head, piece, at, &mut ears, &board);
                unanswered -= line.read(hear).await?;
                if unanswered == 0 && !self.are_reading {
                    std::future::pending::<()>().await;
                }
            }
        };
        let failed: anyhow::Result<()> = listening.await;
        if let Err(error) = failed {
            board.fail(error.context("a listener has failed"));
        }
    }

    fn window_bytes(&self) -> u32 {
        if self.shut == 0 {
            wire::open_window()
        } else {
            0
        }
    }

    fn requests(&self) -> Vec<u8> {
        let (block, flags) = self.way.request(self.channel, self.after.as_deref());
        let mut bytes = Vec::new();
        wire::frame(&mut bytes, wire::SETTINGS, wire::ACK, 0, &[]);
        for index in 0..self.count {
            let stream = u32::try_from(2 * index + 1).expect("a connection has few streams");
            wire::frame(&mut bytes, wire::HEADERS, flags, stream, &block);
            if self.shut > 0 && index >= self.shut {
                let window = wire::open_window().to_be_bytes();
                wire::frame(&mut bytes, wire::WINDOW_UPDATE, 0, stream, &window);
            }
        }
        bytes
    }

    /// Takes a piece of a frame. Returns whether it answers a request.
    fn hear(
        &self,
        head: wire::Head,
        piece: &[u8],
        at: Instant,
        ears: &mut [Ear],
        board: &Board,
    ) -> anyhow::Result<bool> {
        match head.kind {
            wire::DATA if head.flags & wire::END_STREAM == 0 => {
                let ear = ears.get_mut(head.stream as usize / 2);
                let ear = ear.context("a stream that nobody has opened")?;
                ear.listen(piece, self.way.mark(), |number, next| {
                    board.hear(number, next, at);
                });
                Ok(false)
            }
            wire::HEADERS if head.begins() => {
                if piece.first() != Some(&wire::STATUS_OK) {
                    bail!("the server does not answer 200");
                }
                board.to_open.down();
                Ok(true)
            }
            wire::DATA | wire::RST_STREAM | wire::GOAWAY => bail!("the server ends a stream"),
            _ => Ok(false),
        }
    }
}

/// Finds the numbers in what one listener is sent, and nothing else, however it is cut.
#[derive(Debug)]
struct Ear {
    /// Bytes of the mark just seen.
    matched: usize,
    number: usize,
    next: usize,
}

impl Ear {
    fn new(next: usize) -> Self {
        Self {
            matched: 0,
            number: 0,
            next,
        }
    }

    fn listen(&mut self, piece: &[u8], mark: &[u8], mut heard: impl FnMut(usize, usize)) {
        for &byte in piece {
            if self.matched < mark.len() {
                self.step(byte, mark);
            } else if byte.is_ascii_digit() {
                self.number = 10 * self.number + usize::from(byte - b'0');
            } else {
                heard(self.number, self.next);
                self.next = self.next.max(self.number + 1);
                (self.matched, self.number) = (0, 0);
                self.step(byte, mark);
            }
        }
    }

    fn step(&mut self, byte: u8, mark: &[u8]) {
        self.matched = if byte == mark[self.matched] {
            self.matched + 1
        } else {
            usize::from(byte == mark[0])
        };
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Line {
    tls: TlsStream<TcpStream>,
    frames: Frames,
}

impl Line {
    /// Connects, and says what a client says first.
    pub(crate) async fn connect(
        port: u16,
        window_bytes: u32,
        is_reading: bool,
    ) -> anyhow::Result<Self> {
        let socket = tokio::net::TcpSocket::new_v4()?;
        if !is_reading {
            socket.set_recv_buffer_size(u32::try_from(UNREAD_BYTES)?)?;
        }
        let stream = socket.connect(([127, 0, 0, 1], port).into()).await;
        let stream = stream.context("no TCP connection")?;
        stream.set_nodelay(true)?;
        let connector = TlsConnector::from(Arc::clone(&trust::CONFIG));
        let name = "localhost".try_into().context("no name")?;
        let tls = connector.connect(name, stream).await;
        let mut line = Self {
            tls: tls.context("no TLS connection")?,
            frames: Frames::default(),
        };
        let mut greeting = Vec::new();
        wire::greet(&mut greeting, window_bytes);
        line.write(&greeting).await?;
        Ok(line)
    }

    /// Waits for the server's SETTINGS.
    pub(crate) async fn greeted(&mut self) -> anyhow::Result<()> {
        while self
            .read(|head, _, _| Ok(head.kind == wire::SETTINGS))
            .await?
            == 0
        {}
        Ok(())
    }

    /// Sends.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tls.write_all(bytes).await?;
        self.tls.flush().await
    }

    /// Shows what comes next, and when it came. Returns of how many pieces that was said to matter.
    pub(crate) async fn read(
        &mut self,
        mut see: impl FnMut(wire::Head, &[u8], Instant) -> anyhow::Result<bool>,
    ) -> anyhow::Result<usize> {
        poll_fn(|cx| READ.with_borrow_mut(|buffer| self.poll_read(cx, buffer, &mut see))).await
    }

    /// As [`Self::read`].
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
        mut see: impl FnMut(wire::Head, &[u8], Instant) -> anyhow::Result<bool>,
    ) -> Poll<anyhow::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.tls).poll_read(cx, &mut buffer))?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Err(anyhow::anyhow!("the server has closed the connection")));
        }
        let (at, mut mattered, mut failure) = (Instant::now(), 0, None);
        self.frames
            .read(buffer.filled(), |head, piece| match see(head, piece, at) {
                Ok(matters) => mattered += usize::from(matters),
                Err(error) => failure = failure.take().or(Some(error)),
            });
        Poll::Ready(failure.map_or(Ok(mattered), Err))
    }
}
