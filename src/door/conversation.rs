//! A WebSocket's conversation about channels: one subscriber, whatever carries it.
//!
//! One cursor serves all channels it hears, so they are read together, in the order of the log. A
//! channel that is added with a cursor is replayed up to where the others are, while they wait;
//! from there on all are read together:
//!
//! ```text
//!             subscribe, after          all replayed
//!   together ───────────────▶ replaying ────────────▶ together
//!      └── hub closed, drain, or the token has expired ──▶ "close", farewell
//! ```
//!
//! Events are sent in frames that all who hear them share. What one peer does not take is not read
//! for it: it costs a page of events and the output of its session. Knows no sockets; read on in
//! [`words`] for what is said.

pub mod words;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep};

use self::words::{Request, Wish};
use super::channels::{Channels, Presence, topics};
use crate::answer::channels::subscribe::SELECTORS_MAX;
use crate::answer::channels::{Refusal, Subscribe};
use crate::hub::{After, Event, EventId, PageMax, Read, Reader, poll};
use crate::web_socket::echo::Echo;
use crate::web_socket::{
    Broadcast, Close, CloseCode, Deflate, End, Frame, Message, Options, Session, Socket, Transport,
};

/// Events that are read at once.
const PAGE: PageMax = PageMax {
    events: 64,
    bytes: 16 * 1024,
};
/// Things done in one go, before others on this thread have their turn.
const TURN_MAX: usize = 256;
/// Where a subscription begins that wants nothing of before.
const NOW: &str = "now";
/// Replays that may be owed to a peer before it is heard again.
const REPLAYS_MAX: usize = 8;
/// Soonest and latest that a peer is asked to come again.
const RETURN_MS: std::ops::Range<u64> = 100..900;

/// What a WebSocket is opened for.
#[derive(Debug)]
pub struct Opening {
    pub(super) subject: Subject,
    pub(super) deflate: Option<Deflate>,
}

/// What is spoken about.
#[derive(Debug)]
pub(super) enum Subject {
    Echo,
    Channels(Box<Hearing>),
}

/// One end of a WebSocket.
#[derive(Debug)]
pub enum Talk<T> {
    /// It says everything back.
    Echo(Box<Echo<T>>),
    /// It speaks about channels.
    Channels(Box<Conversation<T>>),
}

/// A conversation about channels.
#[derive(Debug)]
pub struct Conversation<T> {
    socket: Socket<T>,
    hearing: Hearing,
}

type Reaching = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is heard and said in a conversation, whatever carries it.
pub(super) struct Hearing {
    channels: Arc<Channels>,
    subscribe: Subscribe,
    from: IpAddr,
    presence: Presence,
    /// Reads all channels together.
    together: Option<Reader>,
    /// Read those that were added with a cursor, up to where the others are.
    replays: VecDeque<(Vec<String>, Reader)>,
    /// Read and not sent.
    events: VecDeque<Arc<Event>>,
    answers: VecDeque<Frame>,
    publishing: Option<Pin<Box<dyn Future<Output = Frame> + Send>>>,
    /// What was asked for from a place on that another node may have told: until it is here.
    reaching: Option<(Reaching, Request)>,
    /// What was asked for from a place on that the rest has not come to: until it has.
    put_off: Option<Request>,
    until: Option<Pin<Box<Sleep>>>,
    leaving: Option<Close>,
}

impl Opening {
    /// Begins to speak over a stream, once the opening has been answered. `input` is what the peer
    /// has said already.
    pub fn on<T: Transport>(self, transport: T, input: Bytes) -> Talk<T> {
        let options = Options {
            deflate: self.deflate,
            ..Options::default()
        };
        let session = Session::server(options, Instant::now());
        let socket = Socket::new(session, transport, input);
        match self.subject {
            Subject::Echo => Talk::Echo(Box::new(Echo::new(socket))),
            Subject::Channels(hearing) => {
                let hearing = *hearing;
                Talk::Channels(Box::new(Conversation { socket, hearing }))
            }
        }
    }
}

impl Subject {
    /// `start` is where what is heard at first begins.
    pub(super) fn channels(
        channels: &Arc<Channels>,
        subscribe: Subscribe,
        start: After,
        from: IpAddr,
    ) -> Self {
        let channels = Arc::clone(channels);
        Self::Channels(Box::new(Hearing::new(channels, subscribe, start, from)))
    }
}

impl<T: Transport> Talk<T> {
    /// Goes on, until it is over.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        match self {
            Self::Echo(echo) => echo.poll(cx),
            Self::Channels(conversation) => conversation.poll(cx),
        }
    }

    /// Closes it, as the server goes: the peer is told from where on, and comes again.
    pub fn close(&mut self) {
        match self {
            Self::Echo(echo) => echo.close(&away()),
            Self::Channels(conversation) => conversation.hearing.leave(away()),
        }
    }

    /// Returns its end of the socket.
    pub fn socket_mut(&mut self) -> &mut Socket<T> {
        match self {
            Self::Echo(echo) => echo.socket_mut(),
            Self::Channels(conversation) => &mut conversation.socket,
        }
    }
}

impl<T: Transport> Conversation<T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        for _ in 0..TURN_MAX {
            if !ready!(self.socket.poll_room(cx)) {
                return self.socket.poll_end(cx);
            }
            let hearing = &mut self.hearing;
            if let Some(frame) = hearing.poll_said(cx, self.socket.session().deflate()) {
                // There was room; if it has been closed meanwhile, the next poll says so.
                let _ = self.socket.send(&frame);
                continue;
            }
            if let Some(close) = hearing.leaving.take() {
                self.socket.close(&close);
                continue;
            }
            // What is owed comes before what else is asked; what was read before is sent by now.
            if hearing.poll_reached(cx) {
                continue;
            }
            if let Some(request) = hearing.put_off.take() {
                hearing.fulfil(request);
                if hearing.put_off.is_none() {
                    continue;
                }
            } else if hearing.heeds() {
                match self.socket.poll_next(cx) {
                    Poll::Ready(Some(Message::Text(text))) => {
                        hearing.heed(&text);
                        continue;
                    }
                    Poll::Ready(Some(Message::Binary(_))) => {
                        let close = Close::new(CloseCode::UNSUPPORTED, "say it as JSON, in text");
                        self.socket.close(&close);
                        continue;
                    }
                    Poll::Ready(None) => return self.socket.poll_end(cx),
                    Poll::Pending => {}
                }
            }
            let heard = hearing.poll_heard(cx);
            // Nobody is woken for what is only passed over, but the rest may have come so far.
            if heard.is_pending() && !hearing.is_put_off_due() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Hearing {
    fn new(channels: Arc<Channels>, subscribe: Subscribe, start: After, from: IpAddr) -> Self {
        let ends = [subscribe.grant.expires(), subscribe.speaker.expires()];
        let until = channels.until(ends.into_iter().flatten().min());
        let presence = channels.conversing(&subscribe);
        let mut hearing = Self {
            subscribe,
            from,
            presence,
            together: None,
            replays: VecDeque::new(),
            events: VecDeque::new(),
            answers: VecDeque::new(),
            publishing: None,
            reaching: None,
            put_off: None,
            until: until.map(|left| Box::pin(sleep(left))),
            leaving: None,
            channels,
        };
        hearing.read_together();
        let together = hearing.together.as_ref().map(Reader::cursor);
        let cursor = match together {
            None => hearing.channels.hub().cursor(),
            Some(cursor) if start == After::Now => cursor,
            Some(_) => hearing.replay(Vec::new(), start),
        };
        let now = (hearing.channels.clock())();
        hearing.answers.push_back(words::open(now, cursor));
        hearing
    }

    /// Returns what is to be sent next: answers first, then events.
    fn poll_said(&mut self, cx: &mut Context<'_>, agreed: Option<Deflate>) -> Option<Frame> {
        if let Some(frame) = self.answers.pop_front() {
            return Some(frame);
        }
        if let Some(publishing) = &mut self.publishing
            && let Poll::Ready(frame) = publishing.as_mut().poll(cx)
        {
            self.publishing = None;
            return Some(frame);
        }
        if let Some(until) = &mut self.until
            && until.as_mut().poll(cx).is_ready()
        {
            self.until = None;
            self.leave(Close::new(CloseCode::POLICY, "the token has expired"));
            return self.answers.pop_front();
        }
        let event = self.events.pop_front()?;
        let frame = event.frames.web_socket.get_or_init(|| {
            let text = String::from_utf8_lossy(poll::json(&event));
            Broadcast::text(&text)
        });
        Some(frame.frame(agreed).clone())
    }

    /// Reads on, once all that was read has been sent.
    fn poll_heard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(together) = &mut self.together else {
            return Poll::Pending;
        };
        if let Some((_, replay)) = self.replays.front_mut() {
            let limit = together.cursor();
            // What follows is read together with the rest.
            match ready!(replay.poll_now(cx, Some(limit), PAGE)) {
                Read::Gap(gap) => self.answers.push_back(words::gap(&gap)),
                Read::Events(events) => {
                    let passed = replay.passed_over(&events);
                    self.answers.extend(passed.map(|gap| words::gap(&gap)));
                    self.events.extend(events);
                }
                Read::Nothing => {
                    let passed = replay.passed_over(&[]);
                    self.answers.extend(passed.map(|gap| words::gap(&gap)));
                    self.replays.pop_front();
                }
                Read::TooSlow => self.leave(too_slow()),
            }
            return Poll::Ready(());
        }
        match ready!(together.poll_read(cx, PAGE)) {
            Some(Read::Events(events)) => {
                let passed = together.passed_over(&events);
                self.answers.extend(passed.map(|gap| words::gap(&gap)));
                self.events.extend(events);
            }
            Some(Read::Gap(gap)) => self.answers.push_back(words::gap(&gap)),
            Some(Read::Nothing) => {}
            // The hub is closed.
            None => self.leave(away()),
            Some(Read::TooSlow) => self.leave(too_slow()),
        }
        Poll::Ready(())
    }

    /// Says from where on the peer goes on elsewhere, and farewell.
    fn leave(&mut self, close: Close) {
        if self.leaving.is_some() {
            return;
        }
        let cursor = (self.unheard())
            .or_else(|| self.together.as_mut().map(latest))
            .unwrap_or_else(|| self.channels.hub().cursor());
        self.events.clear();
        self.together = None;
        self.replays.clear();
        self.reaching = None;
        self.put_off = None;
        self.answers
            .push_back(words::close(cursor, self.return_ms()));
        self.leaving = Some(close);
    }

    /// Returns the place before what was read and not sent, or is still to be replayed.
    fn unheard(&self) -> Option<EventId> {
        let unsent = self.events.front().map(|event| EventId {
            offset: event.id.offset - 1,
            ..event.id
        });
        let replayed = self.replays.iter().map(|(_, replay)| replay.cursor());
        unsent.into_iter().chain(replayed).min()
    }

    /// When this peer comes again: all together come evenly spread, as multiples of the golden
    /// ratio are.
    fn return_ms(&self) -> u64 {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let fraction = self.presence.number().wrapping_mul(GOLDEN) >> 32;
        RETURN_MS.start + (((RETURN_MS.end - RETURN_MS.start) * fraction) >> 32)
    }

    /// Does what the peer says.
    fn heed(&mut self, text: &str) {
        let request = match words::read(text) {
            Ok(request) => request,
            Err(why) => {
                self.answers.push_back(words::error(&why, None));
                return;
            }
        };
        if let Wish::Subscribe {
            after: Some(cursor),
            ..
        } = &request.wish
            && cursor != NOW
        {
            let after = self.channels.hub().after(cursor);
            let store = Arc::clone(&self.channels.store);
            let reach = Box::pin(async move { store.reach(after).await });
            self.reaching = Some((reach, request));
            return;
        }
        self.fulfil(request);
    }

    /// Returns whether what the peer says is heeded now: one thing after another.
    fn heeds(&self) -> bool {
        self.publishing.is_none() && self.reaching.is_none() && self.replays.len() < REPLAYS_MAX
    }

    /// Does what another node may have told of, once it is here. Returns whether it was.
    fn poll_reached(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some((reach, _)) = &mut self.reaching
            && reach.as_mut().poll(cx).is_ready()
            && let Some((_, request)) = self.reaching.take()
        {
            self.fulfil(request);
            return true;
        }
        false
    }

    /// Returns whether what was put off can be done now.
    fn is_put_off_due(&self) -> bool {
        let put_off = self.put_off.as_ref();
        put_off.is_some_and(|request| !self.is_ahead(&request.wish))
    }

    fn fulfil(&mut self, request: Request) {
        if self.is_ahead(&request.wish) {
            self.put_off = Some(request);
            return;
        }
        let Request { wish, reference } = request;
        let done = match wish {
            Wish::Subscribe { topics, after } => {
                self.subscribe(&topics, after.as_deref(), reference.as_ref())
            }
            Wish::Unsubscribe { topics } => self.unsubscribe(&topics, reference.as_ref()),
            Wish::Publish(event) => self.publish(*event, reference.clone()),
        };
        if let Err(refusal) = done {
            self.answers
                .push_back(words::error(&refusal.text, reference.as_ref()));
        }
    }

    /// Returns whether a channel is to be heard from a place that the rest has not come to: read
    /// together with the rest, it would be heard from before that place.
    fn is_ahead(&self, wish: &Wish) -> bool {
        let (
            Wish::Subscribe {
                after: Some(cursor),
                ..
            },
            Some(together),
        ) = (wish, &self.together)
        else {
            return false;
        };
        let hub = self.channels.hub();
        let (at, last) = (together.cursor(), hub.cursor());
        let is_between = |id: EventId| id.epoch == at.epoch && at < id && id <= last;
        cursor != NOW
            && together.has_more()
            && matches!(hub.after(cursor), After::Id(id) if is_between(id))
    }

    fn subscribe(
        &mut self,
        names: &[String],
        start: Option<&str>,
        reference: Option<&words::Reference>,
    ) -> Result<(), Refusal> {
        if names.len() > SELECTORS_MAX {
            return Err(words::too_many());
        }
        self.catch_up();
        let known = |name: &&String| {
            let mut selectors = self.subscribe.selectors.iter();
            !selectors.any(|selector| selector.text() == name.as_str())
        };
        // Whoever has it already has it from there on, too, if they say from where.
        let new: Vec<String> = names.iter().filter(known).cloned().collect();
        let new = self.subscribe.more(&new, &self.channels.options)?;
        let hub = Arc::clone(self.channels.hub());
        let start = match start {
            None | Some(NOW) => After::Now,
            Some(cursor) => hub.after(cursor),
        };
        if !new.is_empty() {
            self.subscribe.selectors.extend(new);
            self.read_together();
        }
        if start != After::Now {
            self.replay(names.to_vec(), start);
        }
        let cursor = (self.unheard())
            .or_else(|| self.together.as_ref().map(Reader::cursor))
            .unwrap_or_else(|| hub.cursor());
        for name in names {
            let said = words::subscribed(name, cursor, reference);
            self.answers.push_back(said);
        }
        Ok(())
    }

    fn unsubscribe(
        &mut self,
        names: &[String],
        reference: Option<&words::Reference>,
    ) -> Result<(), Refusal> {
        for name in names {
            let selectors = &mut self.subscribe.selectors;
            let Some(at) = selectors.iter().position(|one| one.text() == name) else {
                return Err(words::not_heard(name));
            };
            selectors.remove(at);
            self.answers.push_back(words::unsubscribed(name, reference));
        }
        self.read_together();
        let replays = std::mem::take(&mut self.replays);
        for (mut replayed, mut reader) in replays {
            let left = self.selected(&replayed);
            replayed.retain(|name| !names.contains(name));
            if !left.is_empty() {
                reader.select(topics(&left, &self.subscribe.grant));
                self.replays.push_back((replayed, reader));
            }
        }
        let subscribe = &self.subscribe;
        self.events
            .retain(|event| subscribe.hears(&event.topics, event.is_private));
        Ok(())
    }

    fn publish(
        &mut self,
        event: crate::answer::channels::Publication,
        reference: Option<words::Reference>,
    ) -> Result<(), Refusal> {
        let channels = Arc::clone(&self.channels);
        (self.subscribe.speaker).check_event(&event, &channels.options)?;
        let from = self.from;
        self.publishing = Some(Box::pin(async move {
            let shown = event.id.clone();
            match channels.keep_from(event, from).await {
                Ok(cursor) => words::published(shown.as_deref(), cursor, reference.as_ref()),
                Err(refusal) => words::error(&refusal.text, reference.as_ref()),
            }
        }));
        Ok(())
    }

    /// Goes on to the present, as far as one page does: what is heard from now on begins there.
    fn catch_up(&mut self) {
        let Some(together) = &mut self.together else {
            return;
        };
        if !self.replays.is_empty() {
            return;
        }
        match together.read_some(PAGE) {
            Some(Read::Events(events)) => {
                let passed = together.passed_over(&events);
                self.answers.extend(passed.map(|gap| words::gap(&gap)));
                self.events.extend(events);
            }
            Some(Read::Gap(gap)) => self.answers.push_back(words::gap(&gap)),
            Some(Read::Nothing | Read::TooSlow) | None => {}
        }
    }

    /// Reads all that is heard together, from where that was.
    fn read_together(&mut self) {
        let topics = topics(&self.subscribe.selectors, &self.subscribe.grant);
        match &mut self.together {
            _ if self.subscribe.selectors.is_empty() => self.together = None,
            Some(together) => together.select(topics),
            None => self.together = Some(self.channels.reads(topics, After::Now)),
        }
    }

    /// Reads channels, or all of them if none is named, from a place up to where the rest is.
    /// Returns the place, if it is one that can be named.
    fn replay(&mut self, names: Vec<String>, start: After) -> EventId {
        let topics = topics(&self.selected(&names), &self.subscribe.grant);
        let reader = self.channels.reads(topics, start);
        let cursor = reader.cursor();
        self.replays.push_back((names, reader));
        cursor
    }

    /// Returns what selects these, or all if none is named.
    fn selected(&self, names: &[String]) -> Vec<crate::answer::channels::Selector> {
        let selectors = self.subscribe.selectors.iter();
        let is_meant = |text: &str| names.is_empty() || names.iter().any(|name| name == text);
        selectors
            .filter(|selector| is_meant(selector.text()))
            .cloned()
            .collect()
    }
}

/// Returns the last place from which a reader misses nothing.
fn latest(reader: &mut Reader) -> EventId {
    let place = reader.cursor();
    match reader.read_some(PAGE) {
        // What was looked at is none of the reader's.
        Some(Read::Nothing) | None => reader.cursor(),
        Some(Read::Events(_) | Read::Gap(_) | Read::TooSlow) => place,
    }
}

fn too_slow() -> Close {
    Close::new(
        CloseCode::TRY_LATER,
        "too much has gathered: go on from the cursor",
    )
}

fn away() -> Close {
    Close::new(CloseCode::GOING_AWAY, "the server goes: come again")
}

impl std::fmt::Debug for Hearing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hearing")
            .field("subscribe", &self.subscribe)
            .field("together", &self.together)
            .field("replays", &self.replays)
            .finish_non_exhaustive()
    }
}
