//! One conversation, without a socket and without a clock: bytes and moments in, messages and
//! bytes out. It answers pings, says farewell, tells the quiet from the dead, and bounds all that.
//!
//! Knows nothing of what carries it; [`super::socket`] does. Between messages a session is nothing
//! but itself: a few hundred bytes.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::time::Instant;

use super::decoder::{Decoder, Received};
use super::deflate::Deflate;
use super::mask::Keys;
use super::{Close, Error, Frame, MESSAGE_BYTES_MAX, Message, Role};

/// Bytes that may wait for a peer before it is sent no more. A frame is taken whole or not at all,
/// so one large one may exceed it.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// Silence after which a peer is asked whether it is there.
pub const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long it has to show that it is.
pub const PONG_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long a peer that was said farewell to has to answer, and to take what is left.
pub const CLOSE_WAIT_MAX: Duration = Duration::from_secs(5);
/// With bytes waiting for it, and not one of them taken.
pub const STALL_MAX: Duration = Duration::from_mins(1);
/// Between two pieces of one message.
pub const PIECE_WAIT_MAX: Duration = Duration::from_mins(1);
/// Pings and pongs that a peer may send in one second, which it may have been collecting.
pub const CONTROLS_A_SECOND_MAX: u32 = 1_000;
/// Pongs that may wait for a peer.
pub const PONGS_WAITING_MAX: usize = 16;
/// Frames for which room is kept when all have been sent.
const OUTPUT_FRAMES_KEPT: usize = 8;

/// What a conversation is held to.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Bytes of one message received, compressed or not: [`MESSAGE_BYTES_MAX`], or any number.
    pub message_bytes_max: usize,
    /// Bytes that may wait for the peer: [`OUTPUT_BYTES_MAX`].
    pub output_bytes_max: usize,
    /// [`PING_INTERVAL`].
    pub ping_interval: Duration,
    /// What was agreed on at the opening.
    pub deflate: Option<Deflate>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            message_bytes_max: MESSAGE_BYTES_MAX,
            output_bytes_max: OUTPUT_BYTES_MAX,
            ping_interval: PING_INTERVAL,
            deflate: None,
        }
    }
}

/// How a conversation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The peer said farewell: unasked, or in answer to ours.
    Closed(Option<Close>),
    /// The peer broke a rule, and was told with which code.
    Failed(Error),
    /// The stream ended without a farewell, or failed.
    Cut,
    /// The peer did not answer our farewell in time.
    Unanswered,
    /// The peer gave no sign of life.
    Silent,
    /// The peer took nothing of what was waiting for it.
    Stalled,
}

/// Why a frame was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// Too much waits already: ask again when there is room.
    #[error("the peer has not taken what was sent before")]
    Full,
    /// Farewell has been said.
    #[error("the conversation is closed")]
    Closed,
}

/// One conversation.
///
/// ```text
///            close()                 their farewell
///   Open ─────────────▶ Closing ───────────────────────▶ Leaving ──all sent, stream ended──▶ Over
///    │ │  their farewell, answered                          ▲                                 ▲
///    │ ├────────────────────────────────────────────────────┘                                 │
///    │ │  a broken rule, answered                    they end the stream                      │
///    │ └──────────────────────────────▶ Failing ──────────────────────────────────────────────┤
///    └──── the stream ends, silence, stall; in the other states CLOSE_WAIT_MAX ───────────────┘
/// ```
///
/// A peer that broke a rule is read on from, to no purpose but this: a socket closed with bytes
/// unread takes back what was sent (RFC 9293 section 3.10.7.1), and it would not learn why.
#[derive(Debug)]
pub struct Session {
    role: Role,
    options: Options,
    decoder: Decoder,
    keys: Keys,
    output: VecDeque<Bytes>,
    output_bytes: usize,
    /// The first frame of the output has been sent in part.
    is_amid_frame: bool,
    /// Pongs that come next: they go before all that has not begun.
    pongs: usize,
    state: State,
    end: Option<End>,
    /// The last sign of life.
    alive_at: Instant,
    /// When the peer was asked for one, since then.
    asked_at: Option<Instant>,
    /// When bytes began to wait, or some of them last left.
    moved_at: Instant,
    /// When a message was last gone on with.
    piece_at: Instant,
    /// Control frames since when.
    controls: (u32, Instant),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closing { since: Instant },
    Leaving { since: Instant },
    Failing { since: Instant },
    Over,
}

impl Session {
    /// Returns the server's end of a conversation that has just been opened.
    pub fn server(options: Options, now: Instant) -> Self {
        Self::new(Role::Server, options, Keys(0), now)
    }

    /// Returns the client's end. The seed gives the masks.
    pub fn client(options: Options, seed: u64, now: Instant) -> Self {
        Self::new(Role::Client, options, Keys(seed), now)
    }

    fn new(role: Role, options: Options, keys: Keys, now: Instant) -> Self {
        let from = match role {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        };
        let decoder = Decoder::new(from, options.message_bytes_max, options.deflate.is_some());
        Self {
            role,
            options,
            decoder,
            keys,
            output: VecDeque::new(),
            output_bytes: 0,
            is_amid_frame: false,
            pongs: 0,
            state: State::Open,
            end: None,
            alive_at: now,
            asked_at: None,
            moved_at: now,
            piece_at: now,
            controls: (0, now),
        }
    }

    /// Returns what was agreed on: which form of a frame this peer takes.
    pub const fn deflate(&self) -> Option<Deflate> {
        self.options.deflate
    }

    /// Returns whether a frame would be taken now.
    pub const fn has_room(&self) -> bool {
        self.output_bytes < self.options.output_bytes_max
    }

    /// Returns whether no farewell has been said from either side.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Returns how it ended, once nothing more can come of it.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref().filter(|_| self.state == State::Over)
    }

    /// Returns how many bytes wait for the peer, or for the rest of its message.
    pub fn held_bytes(&self) -> usize {
        self.output_bytes + self.decoder.room()
    }

    /// Queues a message. Over a conversation with masks it is copied, else shared.
    ///
    /// # Errors
    /// It was not queued, and never will be by itself.
    pub fn send(&mut self, frame: &Frame, now: Instant) -> Result<(), NotSent> {
        if !self.is_open() {
            return Err(NotSent::Closed);
        }
        if !self.has_room() {
            return Err(NotSent::Full);
        }
        self.push(frame, now);
        Ok(())
    }

    /// Says farewell, after what is queued. Messages that the peer has sent before it hears of it
    /// are still received. Once is enough: later calls do nothing.
    pub fn close(&mut self, close: &Close, now: Instant) {
        if self.is_open() {
            self.push(&Frame::close(Some(close)), now);
            self.state = State::Closing { since: now };
        }
    }

    /// Takes bytes from the front of `input` until they make a message, or `input` is empty.
    pub fn receive(&mut self, input: &mut Bytes, now: Instant) -> Option<Message> {
        if !input.is_empty() {
            self.is_alive(now);
        }
        while matches!(self.state, State::Open | State::Closing { .. }) {
            let gathered = self.decoder.gathered();
            let mut rest: &[u8] = input;
            let read = self.decoder.read(&mut rest);
            let taken = input.len() - rest.len();
            input.advance(taken);
            if self.decoder.gathered() != gathered {
                self.piece_at = now;
            }
            match read {
                Ok(None) => return None,
                Ok(Some(Received::Message(message))) => return Some(message),
                Ok(Some(Received::Ping(payload))) => self.pinged(&payload, now),
                Ok(Some(Received::Pong(_))) => self.count_control(now),
                Ok(Some(Received::Close(close))) => self.farewell(close, now),
                Err(error) => self.fail(error, now),
            }
        }
        input.clear();
        None
    }

    /// Learns that the peer will send nothing more.
    pub fn receive_end(&mut self) {
        // Whoever is leaving has been told all, and may still be sent it.
        if !matches!(self.state, State::Leaving { .. }) {
            self.over(End::Cut);
        }
    }

    /// Learns that the stream has failed.
    pub fn cut(&mut self) {
        self.over(End::Cut);
    }

    /// Returns what is to be sent, in this order.
    pub const fn output(&self) -> &VecDeque<Bytes> {
        &self.output
    }

    /// Learns how many bytes of the output have been sent.
    pub fn sent(&mut self, mut bytes: usize, now: Instant) {
        if bytes == 0 {
            return;
        }
        self.moved_at = now;
        let had_room = self.has_room();
        self.output_bytes -= bytes;
        if !had_room && self.has_room() {
            // Who had no room for answers did not read either, and could see no sign of life.
            self.is_alive(now);
            self.piece_at = now;
        }
        while bytes > 0
            && let Some(front) = self.output.front_mut()
        {
            if !self.is_amid_frame {
                self.pongs = self.pongs.saturating_sub(1);
            }
            let taken = bytes.min(front.len());
            front.advance(taken);
            bytes -= taken;
            self.is_amid_frame = !front.is_empty();
            if front.is_empty() {
                self.output.pop_front();
            }
        }
        self.output.shrink_to(OUTPUT_FRAMES_KEPT);
    }

    /// Returns whether the stream is to be ended from this side, once the output is sent.
    pub const fn ends_stream(&self) -> bool {
        matches!(self.state, State::Leaving { .. } | State::Failing { .. })
    }

    /// Learns that the stream has been ended from this side.
    pub fn ended_stream(&mut self) {
        if matches!(self.state, State::Leaving { .. }) {
            self.state = State::Over;
        }
    }

    /// Returns when [`Session::tick`] is due; `None`: it is over. It may move with all that is
    /// learnt; a tick too early does nothing.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Over => return None,
            State::Closing { since } | State::Leaving { since } | State::Failing { since } => {
                return Some(since + CLOSE_WAIT_MAX);
            }
            State::Open => {}
        }
        let stalled_at = self.stalled_at();
        if !self.has_room() {
            return stalled_at;
        }
        let silent_at = match self.asked_at {
            Some(asked_at) => asked_at + PONG_WAIT_MAX,
            None => self.alive_at + self.options.ping_interval,
        };
        let others = stalled_at.into_iter().chain(self.unfinished_at());
        Some(others.fold(silent_at, Instant::min))
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if !self.is_open() {
            self.over(End::Unanswered);
        } else if is_due(self.stalled_at()) {
            self.over(End::Stalled);
        } else if is_due(self.unfinished_at()) {
            self.fail(Error::Unfinished, now);
        } else if self.asked_at.is_some() {
            self.over(End::Silent);
        } else {
            self.asked_at = Some(now);
            self.push(&Frame::ping(&[]), now);
        }
    }

    fn stalled_at(&self) -> Option<Instant> {
        (self.output_bytes > 0).then(|| self.moved_at + STALL_MAX)
    }

    fn unfinished_at(&self) -> Option<Instant> {
        self.decoder
            .gathered()
            .map(|_| self.piece_at + PIECE_WAIT_MAX)
    }

    fn is_alive(&mut self, now: Instant) {
        self.alive_at = now;
        self.asked_at = None;
    }

    /// Answers a ping at once, but for one large frame that has begun. Of more pings than may wait
    /// only the last is answered, as is allowed (RFC 6455 section 5.5.3): they cannot pile up.
    fn pinged(&mut self, payload: &[u8], now: Instant) {
        self.count_control(now);
        if !self.is_open() {
            return;
        }
        let begun = usize::from(self.is_amid_frame);
        if self.pongs == PONGS_WAITING_MAX {
            self.pongs -= 1;
            if let Some(pong) = self.output.remove(begun + self.pongs) {
                self.output_bytes -= pong.len();
            }
        }
        self.insert(begun + self.pongs, &Frame::pong(payload), now);
        self.pongs += 1;
    }

    fn count_control(&mut self, now: Instant) {
        let (count, since) = &mut self.controls;
        if now.duration_since(*since) >= Duration::from_secs(1) {
            (*count, *since) = (0, now);
        }
        *count += 1;
        if *count > CONTROLS_A_SECOND_MAX {
            self.fail(Error::ControlFlood, now);
        }
    }

    fn farewell(&mut self, close: Option<Close>, now: Instant) {
        if self.is_open() {
            // The code is said back (RFC 6455 section 5.5.1).
            let same = close.as_ref().map(|close| Close::new(close.code(), ""));
            self.push(&Frame::close(same.as_ref()), now);
        }
        self.end = Some(End::Closed(close));
        self.state = State::Leaving { since: now };
    }

    fn fail(&mut self, error: Error, now: Instant) {
        if self.is_open() {
            let close = Close::new(error.close_code(), &error.to_string());
            self.push(&Frame::close(Some(&close)), now);
        }
        self.decoder.forget();
        self.end = Some(End::Failed(error));
        self.state = State::Failing { since: now };
    }

    /// Ends it; how it began to end stays what is told.
    fn over(&mut self, end: End) {
        self.end.get_or_insert(end);
        self.state = State::Over;
        self.output = VecDeque::new();
        self.output_bytes = 0;
        self.decoder.forget();
    }

    fn push(&mut self, frame: &Frame, now: Instant) {
        self.insert(self.output.len(), frame, now);
    }

    fn insert(&mut self, at: usize, frame: &Frame, now: Instant) {
        let bytes = match self.role {
            Role::Client => frame.masked(self.keys.next()).bytes().clone(),
            Role::Server => frame.bytes().clone(),
        };
        if self.output.is_empty() {
            self.moved_at = now;
        }
        self.output_bytes += bytes.len();
        self.output.insert(at, bytes);
    }
}
