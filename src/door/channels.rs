//! Channels at the doors: what is decided about a request is done, over whichever protocol.
//!
//! A request becomes a [`Reply`]: an answer, a [`Listener`] that tells events for as long as
//! somebody stays, or the [`Opening`] of a WebSocket. Who may is decided in `answer::channels`, and
//! what is kept in `hub`; here the two meet. Read on in [`super::conversation`], `presence` (who
//! hears what) and [`rates`] (how much an address may publish).

mod listener;
mod presence;
pub mod rates;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode, Version};
use tokio::sync::mpsc;
use tokio::time::Instant;

pub use self::listener::Listener;
use self::presence::Presences;
pub use self::presence::{Presence, TOLD_WAITING_MAX};
use self::rates::{Rate, Rates};
use super::conversation::{Opening, Subject};
use crate::answer::channels::way::{Form, Way};
use crate::answer::channels::{
    self, Asked, Caller, ChannelOptions, Cursor, Grant, Publishing, Refusal, Selector, Start,
    Subscribe,
};
use crate::answer::live::Received;
use crate::answer::{Answer, Body, Moment};
use crate::hub::feed::{self, Feed};
use crate::hub::poll::{self, ANSWER_MAX, Gathered};
use crate::hub::store::{PublishError, Store};
use crate::hub::{After, EventId, Hub, Publication, Reader, SlowTest, Topics};
use crate::metrics::{Count, Heard, Metrics};
use crate::site::ContentHash;
use crate::web_socket::handshake::{self, Accepted, Compression, Terms};

/// Where everything is said back, in a demonstration.
pub const ECHO: &str = "/echo";
/// When to come again where that cannot be known.
const RETRY_SECONDS: u64 = 1;

/// Channels, as the doors need them.
#[derive(Debug)]
pub struct Channels {
    /// Where events are kept.
    pub store: Arc<Store>,
    /// What whoever runs the server says of them.
    pub options: ChannelOptions,
    is_demo: bool,
    /// How slow readers are served, if any otherwise than with all.
    slow: Option<SlowTest>,
    presences: Arc<Presences>,
    rates: Rates,
    metrics: Arc<Metrics>,
    now: fn() -> SystemTime,
}

/// What channels are made of.
#[derive(Debug)]
pub struct Setting {
    /// Where events are kept.
    pub store: Arc<Store>,
    /// What whoever runs the server says of them.
    pub options: ChannelOptions,
    /// Whether everything is said back at [`ECHO`].
    pub is_demo: bool,
    /// What an address may publish.
    pub rate: Rate,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The wall clock.
    pub now: fn() -> SystemTime,
}

/// Who asks, as far as the door knows.
#[derive(Debug, Clone, Copy)]
pub struct From<'a> {
    /// The address.
    pub address: IpAddr,
    /// `:protocol` of an extended CONNECT (RFC 8441).
    pub protocol: Option<&'a str>,
}

/// What comes of a request.
#[derive(Debug)]
pub enum Reply {
    /// An answer that ends.
    Answered(Box<Answer>),
    /// The head of an answer that goes on.
    Told(Box<Answer>, Box<Listener>),
    /// The head of an answer after which both sides speak.
    Spoken(Box<Answer>, Box<Opening>),
}

impl Channels {
    /// Returns channels, and the events that tell who hears what: for [`tell`].
    pub fn new(setting: Setting) -> (Self, mpsc::Receiver<Publication>) {
        let Setting {
            store,
            options,
            is_demo,
            rate,
            metrics,
            now,
        } = setting;
        let (presences, told) = Presences::new(Arc::clone(&metrics), now);
        let channels = Self {
            store,
            slow: options.slow.test(),
            options,
            is_demo,
            presences,
            rates: Rates::new(rate),
            metrics,
            now,
        };
        (channels, told)
    }

    /// Returns whether a path is theirs, whatever files there are.
    pub fn is_reserved(&self, path: &str) -> bool {
        channels::is_reserved(path) || self.is_demo && path == ECHO
    }

    /// Returns the `Link` by which pages find them.
    pub fn link(&self) -> HeaderValue {
        // Even before the first event: whoever begins here misses none.
        channels::link(&self.hub().cursor().to_string())
    }

    /// Ends all hearing: streams say when to come again, polls are answered. What is published
    /// after that is kept.
    pub fn close(&self) {
        self.hub().close();
    }

    /// Does what a request asks for. `receive` reads its body, of which it is told how many bytes
    /// are wanted; it is not called for a request without one.
    pub async fn reply(
        self: &Arc<Self>,
        request: &Parts,
        from: From<'_>,
        moment: &Moment,
        receive: impl AsyncFnOnce(usize) -> Received,
    ) -> Reply {
        if self.is_demo && request.uri.path() == ECHO {
            return converse(request, from, Subject::Echo, moment);
        }
        let caller = Caller {
            is_loopback: from.address.to_canonical().is_loopback() && !is_forwarded(request),
            protocol: from.protocol,
        };
        match channels::ask(&self.options, request, caller, moment) {
            Asked::Answered(answer) => Reply::Answered(answer),
            Asked::Publish(publishing) => {
                let answer = self
                    .publish(request, *publishing, from, moment, receive)
                    .await;
                Reply::Answered(Box::new(answer))
            }
            Asked::Subscriptions(wanted) => {
                let all = self.presences.all();
                let mut answer = wanted.answer(&all, self.last().as_deref(), moment);
                if request.method == Method::HEAD {
                    answer.body = Body::Empty;
                }
                Reply::Answered(Box::new(answer))
            }
            Asked::Subscribe(subscribe) => match subscribe.way {
                Way::Poll(form) => self.poll(&subscribe, form, None, moment).await,
                Way::LongPoll(form, wait) => self.poll(&subscribe, form, Some(wait), moment).await,
                Way::Stream(form) => self.stream(&subscribe, form, moment).await,
                Way::WebSocket => {
                    let topics = topics(&subscribe.selectors, &subscribe.grant);
                    let start = self.start(&subscribe, &topics).await;
                    let subject = Subject::channels(self, *subscribe, start, from.address);
                    converse(request, from, subject, moment)
                }
            },
        }
    }

    /// Publishes what a request says, unless its address has published too much of late: that is
    /// known before the body is read.
    async fn publish(
        &self,
        request: &Parts,
        publishing: Publishing,
        from: From<'_>,
        moment: &Moment,
        receive: impl AsyncFnOnce(usize) -> Received,
    ) -> Answer {
        let most = publishing.body_bytes_max();
        let said = declared_bytes(request).min(most);
        let taken = self.rates.take(from.address, said, Instant::now());
        if let Err(wait) = taken {
            return publishing.published().refused(&too_many(wait), moment);
        }
        let received = receive(most).await;
        let more = match &received {
            Received::Whole(body) => body.len().saturating_sub(said),
            Received::TooLong => most.saturating_sub(said),
            Received::Cut(came) => came.saturating_sub(said),
            Received::Nothing | Received::Busy => 0,
        };
        self.rates.owe(from.address, more, Instant::now());
        let (said, published) = match publishing.read(&received, &self.options, moment) {
            Ok(read) => read,
            Err(answer) => return *answer,
        };
        match self.keep(said).await {
            Ok(id) => published.answer(&id.to_string(), moment),
            Err(refusal) => published.refused(&refusal, moment),
        }
    }

    /// Publishes what somebody said over a WebSocket who may.
    ///
    /// # Errors
    /// They have published too much of late, or it cannot be kept: what to tell them.
    pub(super) async fn keep_from(
        &self,
        said: channels::Publication,
        from: IpAddr,
    ) -> Result<EventId, Refusal> {
        let taken = self.rates.take(from, said.data.len(), Instant::now());
        taken.map_err(too_many)?;
        self.keep(said).await
    }

    async fn keep(&self, said: channels::Publication) -> Result<EventId, Refusal> {
        let event = publication(said, (self.now)());
        let published = self.store.publish(event).await;
        let published = published.map_err(|error| unkept(&error))?;
        if !published.is_repeated {
            self.metrics.count(Count::Published);
        }
        Ok(published.id)
    }

    async fn poll(
        &self,
        subscribe: &Subscribe,
        form: Form,
        wait: Option<Duration>,
        moment: &Moment,
    ) -> Reply {
        let topics = topics(&subscribe.selectors, &subscribe.grant);
        let start = self.start(subscribe, &topics).await;
        // Whoever polls asks for all, and is not slow.
        let mut reader = Reader::new(Arc::clone(self.hub()), topics, start);
        let gathered = match wait {
            None => {
                self.metrics.count(Count::Subscribed(Heard::Poll));
                self.metrics.count(Count::Unsubscribed(Heard::Poll));
                poll::gather(&mut reader, ANSWER_MAX).await
            }
            Some(wait) => {
                let here = self.presences.come(subscribe, Heard::LongPoll, false);
                let left = self.until(subscribe.grant.expires());
                let wait = left.map_or(wait, |left| wait.min(left));
                let gathered = poll::wait(&mut reader, ANSWER_MAX, wait).await;
                drop(here);
                gathered
            }
        };
        let answer = if gathered.is_empty() && subscribe.is_conditional {
            subscribe.unchanged(gathered.cursor, moment)
        } else {
            let mut answer = subscribe.answer(Some(gathered.cursor), moment);
            let body = body(&gathered, form);
            let headers = answer.head.headers_mut();
            headers.insert(header::CONTENT_LENGTH, body.len().into());
            answer.body = Body::Memory(body);
            answer
        };
        Reply::Answered(Box::new(answer))
    }

    async fn stream(&self, subscribe: &Subscribe, form: Form, moment: &Moment) -> Reply {
        let topics = topics(&subscribe.selectors, &subscribe.grant);
        let start = self.start(subscribe, &topics).await;
        let reader = self.reads(topics, start);
        let cursor = Some(reader.cursor()).filter(|&cursor| cursor != EventId::UNKNOWN);
        let answer = subscribe.answer(cursor, moment);
        let (way, heard) = match form {
            Form::EventStream => (feed::Way::EventStream, Heard::EventStream),
            // A stream is never a document.
            Form::Lines | Form::Document => (feed::Way::Lines(self.now), Heard::Lines),
            Form::Raw => (feed::Way::Raw, Heard::Lines),
        };
        let listener = Listener::new(
            Feed::of(reader, way),
            self.until(subscribe.grant.expires()),
            self.presences
                .come(subscribe, heard, self.is_told_of(subscribe)),
        );
        Reply::Told(Box::new(answer), Box::new(listener))
    }

    /// Notes that somebody converses.
    pub(super) fn conversing(&self, subscribe: &Subscribe) -> Presence {
        let is_told = self.is_told_of(subscribe);
        self.presences.come(subscribe, Heard::WebSocket, is_told)
    }

    /// Returns whether those who may know are told of somebody who hears: only of who has shown a
    /// token, as each who comes and goes is an event that pushes others out.
    fn is_told_of(&self, subscribe: &Subscribe) -> bool {
        self.options.subscriptions && subscribe.grant.is_of_token()
    }

    /// Returns how long it is until a time.
    pub(super) fn until(&self, time: Option<SystemTime>) -> Option<Duration> {
        let left = |time: SystemTime| time.duration_since((self.now)()).unwrap_or_default();
        time.map(left)
    }

    /// The wall clock.
    pub(super) fn clock(&self) -> fn() -> SystemTime {
        self.now
    }

    pub(super) fn hub(&self) -> &Arc<Hub> {
        self.store.hub()
    }

    /// Returns where somebody begins, once that is found.
    async fn start(&self, subscribe: &Subscribe, topics: &Topics) -> After {
        let hub = self.hub();
        self.store.reach(after(hub, &subscribe.start)).await;
        hub.seek(after(hub, &subscribe.start), topics).await
    }

    /// Returns a reader for somebody who stays: how it is served if it is slow is each channel's.
    pub(super) fn reads(&self, topics: Arc<Topics>, start: After) -> Reader {
        let reader = Reader::new(Arc::clone(self.hub()), topics, start);
        match &self.slow {
            Some(slow) => reader.when_slow_on(slow.clone()),
            None => reader,
        }
    }

    /// Returns the id of the last event, if there is one.
    fn last(&self) -> Option<String> {
        let cursor = self.hub().cursor();
        (cursor.offset > 0).then(|| cursor.to_string())
    }
}

fn converse(request: &Parts, from: From<'_>, subject: Subject, moment: &Moment) -> Reply {
    let terms = Terms {
        subprotocols: &[],
        compression: Compression::Offered,
    };
    let is_connect = request.method == Method::CONNECT && from.protocol == Some("websocket");
    let opened = if is_connect {
        handshake::over_http2(request, &terms)
    } else {
        handshake::over_http1(request, &terms)
    };
    match opened {
        Ok(Accepted {
            response, deflate, ..
        }) => {
            let mut answer = refusal(response.status(), String::new(), None).answer(moment);
            answer.head = response;
            answer.body = Body::Empty;
            Reply::Spoken(Box::new(answer), Box::new(Opening { subject, deflate }))
        }
        Err(why) => {
            // What is about a connection has no place in HTTP/2 (RFC 9113 section 8.2.2).
            if request.version == Version::HTTP_2 && !is_connect {
                let text = "this is a WebSocket's address: connect by extended CONNECT (RFC 8441)";
                let refused = refusal(StatusCode::BAD_REQUEST, text.to_owned(), None);
                return Reply::Answered(Box::new(refused.answer(moment)));
            }
            let head = why.response(request.version);
            let mut answer = refusal(head.status(), why.to_string(), None).answer(moment);
            answer.head.headers_mut().extend(head.headers().clone());
            Reply::Answered(Box::new(answer))
        }
    }
}

/// Tells who hears what, to those who may know, for ever.
pub async fn tell(store: &Store, mut told: mpsc::Receiver<Publication>) {
    while let Some(event) = told.recv().await {
        if let Err(error) = store.publish(event).await {
            tracing::debug!(%error, "nobody is told of a subscription");
        }
    }
    std::future::pending::<()>().await;
}

/// Returns the topics that selectors select, as far as a grant goes.
///
/// What is public needs no second look: nobody comes this far whose selectors select more of it
/// than they may hear.
pub(super) fn topics(selectors: &[Selector], grant: &Arc<Grant>) -> Arc<Topics> {
    let exact = selectors.iter().filter_map(Selector::exact);
    let mut topics = Topics::named(exact);
    let mut others = selectors.iter().filter(|one| one.exact().is_none());
    let others: Vec<Selector> = others.by_ref().cloned().collect();
    if !others.is_empty() {
        topics = topics.matching(Arc::new(move |topic| {
            others.iter().any(|selector| selector.matches(topic))
        }));
    }
    // Whoever may hear nothing private misses nothing private.
    if grant.may_hear_any_private() {
        let grant = Arc::clone(grant);
        topics = topics.seeing_private(Arc::new(move |topic| grant.may_hear_private(topic)));
    }
    Arc::new(topics)
}

/// Returns where in a hub somebody begins.
fn after(hub: &Hub, start: &Start) -> After {
    match start {
        Start::Now => After::Now,
        Start::Earliest => After::Earliest,
        Start::Latest => After::Latest,
        Start::Since(time) => After::Time(milliseconds(*time)),
        Start::After(Cursor::Event(id)) => After::Id(*id),
        Start::After(Cursor::Named(name)) => hub.after(name),
    }
}

/// Returns what somebody said as the hub takes it.
fn publication(said: channels::Publication, now: SystemTime) -> Publication {
    let canonical = said.topics.first().map_or("", String::as_str);
    // Of each topic its own: nobody can use up the keys of a topic that they may not speak about.
    let scoped = |key: String| ContentHash::of(format!("{canonical}\n{key}").as_bytes());
    Publication {
        idempotency_key: said.idempotency_key.map(|key| scoped(key).to_string()),
        kind: said.kind.unwrap_or_default(),
        data: said.data,
        retry: said.retry,
        publisher_id: said.id,
        is_private: said.is_private,
        time_ms: milliseconds(now),
        topics: said.topics,
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or_default().as_millis();
    u64::try_from(since).unwrap_or(u64::MAX)
}

fn body(gathered: &Gathered, form: Form) -> Bytes {
    match form {
        Form::Document => gathered.object(),
        Form::Lines => gathered.lines(),
        Form::Raw => gathered.raw(),
        Form::EventStream => gathered.blocks(),
    }
}

/// Returns how many bytes a request says that its body has.
fn declared_bytes(request: &Parts) -> usize {
    let length = request.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    length.unwrap_or(0)
}

/// Returns whether a request was passed on by somebody on this machine, for somebody elsewhere.
fn is_forwarded(request: &Parts) -> bool {
    const FIELDS: [&str; 3] = ["forwarded", "via", "x-forwarded-for"];
    let has = |name: &&str| request.headers.contains_key(*name);
    FIELDS.iter().any(has)
}

fn refusal(status: StatusCode, text: String, retry: Option<u64>) -> Refusal {
    Refusal {
        status,
        text: text.into(),
        challenge: None,
        field: retry.map(|seconds| (header::RETRY_AFTER, seconds.into())),
    }
}

fn too_many(wait: Duration) -> Refusal {
    let seconds = (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1);
    let text = format!("your address publishes too much: wait {seconds} s");
    refusal(StatusCode::TOO_MANY_REQUESTS, text, Some(seconds))
}

fn unkept(error: &PublishError) -> Refusal {
    let text = error.to_string();
    match error {
        PublishError::Bad(_) => refusal(StatusCode::BAD_REQUEST, text, None),
        PublishError::TooLarge { .. } => refusal(StatusCode::PAYLOAD_TOO_LARGE, text, None),
        PublishError::Failed(_) | PublishError::Full(_) => {
            refusal(StatusCode::INSUFFICIENT_STORAGE, text, None)
        }
        PublishError::Unavailable(_) => {
            refusal(StatusCode::SERVICE_UNAVAILABLE, text, Some(RETRY_SECONDS))
        }
        PublishError::Unknown(_) => {
            let text = format!("{text}: send it again with an `Idempotency-Key`");
            refusal(StatusCode::SERVICE_UNAVAILABLE, text, Some(RETRY_SECONDS))
        }
    }
}

/// Adds to the head of a page how channels are found.
pub fn dress(channels: &Channels, headers: &mut HeaderMap) {
    let is_page = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|media_type| media_type.as_bytes().starts_with(b"text/html"));
    if is_page {
        headers.append(header::LINK, channels.link());
    }
}
