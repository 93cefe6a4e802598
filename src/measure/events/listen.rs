//! Four clients of one channel, as small as a page's script would be: what a browser sends with it,
//! and what arrives when.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use h2::ext::Protocol;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode, Version, request, response};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::found::Way;
use super::scene::CHANNEL;
use super::{WAIT, schedule};
use crate::http2::tunnel::Tunnel;
use crate::measure::link::Meter;
use crate::measure::page_load::{self, Client, LoadOptions};
use crate::web_socket::{Message, Options, Session, Socket};

const ORIGIN: &str = "https://localhost";
/// A browser's script cannot ask whether its peer is there, so a client does not either.
const NEVER: Duration = Duration::from_hours(24);
/// Where masks start; any would do.
const MASKS: u64 = 6;

/// What a listener has noted.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// From here on nothing that is published is missed.
    pub(super) begun: Notify,
    /// More was heard.
    pub(super) news: Notify,
    /// When each request was sent.
    pub(super) asked: RefCell<Vec<Instant>>,
    /// The number of each event, and when its last byte arrived.
    pub(super) heard: RefCell<Vec<(usize, Instant)>>,
}

/// A connection to listen on. It has to be polled in the task that polls its `h2` connection, since
/// what moves the one may move the other.
pub(super) struct Line<'a> {
    pub(super) sender: SendRequest<Bytes>,
    pub(super) arriving: &'a Meter,
    pub(super) record: &'a Record,
}

/// What a poll is answered with.
#[derive(Deserialize)]
struct Page {
    events: Vec<Told>,
}

/// An event, or a word about the conversation.
#[derive(Deserialize)]
struct Told {
    event: String,
    #[serde(default)]
    message: String,
}

/// Returns the settings with which the client greets.
pub(super) fn greeting() -> h2::client::Builder {
    page_load::greeting(&LoadOptions {
        client: Client::Current,
        ..LoadOptions::default()
    })
}

impl Line<'_> {
    /// Listens for ever.
    ///
    /// # Errors
    /// The server does not answer as it should.
    pub(super) async fn listen(self, way: Way, poll_every: Duration) -> anyhow::Result<Infallible> {
        match way {
            Way::Poll => self.poll(poll_every).await,
            Way::LongPoll => self.long_poll().await,
            Way::EventStream => self.stream().await,
            Way::WebSocket => self.converse().await,
        }
    }

    /// Asks at even times, whenever the answer comes, as `setInterval` does.
    async fn poll(&self, every: Duration) -> anyhow::Result<Infallible> {
        let (mut tag, mut next) = (None, Instant::now());
        loop {
            tag = self.ask_for_news(tag, None).await?;
            self.record.begun.notify_one();
            while next <= Instant::now() {
                next += every;
            }
            sleep_until(next).await;
        }
    }

    /// Asks again as soon as it is answered.
    async fn long_poll(&self) -> anyhow::Result<Infallible> {
        let mut tag = self.ask_for_news(None, None).await?;
        self.record.begun.notify_one();
        loop {
            tag = self.ask_for_news(tag, Some(WAIT)).await?;
        }
    }

    /// Asks for what has happened since an answer with this tag; returns the tag of the next.
    async fn ask_for_news(
        &self,
        tag: Option<HeaderValue>,
        wait: Option<Duration>,
    ) -> anyhow::Result<Option<HeaderValue>> {
        let mut request = get("application/json")?;
        if let Some(wait) = wait {
            let wait = HeaderValue::try_from(format!("wait={}", wait.as_secs()))?;
            request.headers_mut().insert("prefer", wait);
        }
        if let Some(tag) = tag {
            request.headers_mut().insert(header::IF_NONE_MATCH, tag);
        }
        let (mut head, mut body) = self.ask(request).await?;
        let mut text = Vec::new();
        while let Some(piece) = next_piece(&mut body).await? {
            text.extend_from_slice(&piece);
        }
        match head.status {
            StatusCode::OK => {
                let page: Page = serde_json::from_slice(&text).context("no page of events")?;
                for told in &page.events {
                    self.hear(&told.message)?;
                }
            }
            StatusCode::NOT_MODIFIED => {}
            status => bail!("the server answers {status}"),
        }
        Ok(head.headers.remove(header::ETAG))
    }

    async fn stream(&self) -> anyhow::Result<Infallible> {
        let (head, mut body) = self.ask(get("text/event-stream")?).await?;
        if head.status != StatusCode::OK {
            bail!("the server answers {}", head.status);
        }
        self.record.begun.notify_one();
        let mut text = String::new();
        while let Some(piece) = next_piece(&mut body).await? {
            text.push_str(std::str::from_utf8(&piece)?);
            while let Some((block, rest)) = text.split_once("\n\n") {
                let data = block.lines().find_map(|line| line.strip_prefix("data: "));
                if let Some(data) = data {
                    self.hear(data)?;
                }
                text = rest.to_owned();
            }
        }
        bail!("the server has ended the stream")
    }

    async fn converse(&self) -> anyhow::Result<Infallible> {
        // The server's SETTINGS tell that it may be asked (RFC 8441 section 3). Reading them wakes
        // this task.
        poll_fn(|_| {
            if self.sender.is_extended_connect_protocol_enabled() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        let mut socket = self.open().await?;
        while let Some(message) = socket.next().await {
            let Message::Text(text) = message else {
                bail!("the server does not speak text");
            };
            let told: Told = serde_json::from_str(&text).context("no word of a conversation")?;
            match told.event.as_str() {
                "open" => self.record.begun.notify_one(),
                "message" => self.hear(&told.message)?,
                _ => {}
            }
        }
        bail!("the server has ended the conversation")
    }

    /// Opens a WebSocket (RFC 8441 section 5).
    async fn open(&self) -> anyhow::Result<Socket<Tunnel>> {
        let mut request = request(Method::CONNECT)?;
        let headers = request.headers_mut();
        headers.insert(header::ORIGIN, HeaderValue::from_static(ORIGIN));
        headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
        request
            .extensions_mut()
            .insert(Protocol::from_static("websocket"));
        let (response, send) = self.send(request, false).await?;
        let (head, body) = response.await?.into_parts();
        if head.status != StatusCode::OK {
            bail!("the server answers {}", head.status);
        }
        let options = Options {
            ping_interval: NEVER,
            ..Options::default()
        };
        let session = Session::client(options, MASKS, Instant::now());
        let tunnel = Tunnel::new(body, send);
        Ok(Socket::new(session, tunnel, Bytes::new()))
    }

    async fn ask(&self, request: Request<()>) -> anyhow::Result<(response::Parts, RecvStream)> {
        let (response, _) = self.send(request, true).await?;
        Ok(response.await?.into_parts())
    }

    async fn send(
        &self,
        request: Request<()>,
        is_all: bool,
    ) -> Result<(h2::client::ResponseFuture, h2::SendStream<Bytes>), h2::Error> {
        let mut sender = self.sender.clone().ready().await?;
        self.record.asked.borrow_mut().push(Instant::now());
        sender.send_request(request, is_all)
    }

    /// Notes an event. Its last byte arrived with the last that has arrived: a clock that has
    /// nothing below a millisecond may wake this end a little later.
    fn hear(&self, data: &str) -> anyhow::Result<()> {
        let number = schedule::number(data).context("the server tells what nobody published")?;
        let arrived = self.arriving.delivered().steps().last().map(|step| step.0);
        let heard = (number, arrived.unwrap_or_else(Instant::now));
        self.record.heard.borrow_mut().push(heard);
        self.record.news.notify_one();
        Ok(())
    }
}

/// Returns the next piece of a body, and makes room for another.
async fn next_piece(body: &mut RecvStream) -> Result<Option<Bytes>, h2::Error> {
    let Some(piece) = body.data().await.transpose()? else {
        return Ok(None);
    };
    body.flow_control().release_capacity(piece.len())?;
    Ok(Some(piece))
}

/// Returns a request of a page's script (Fetch, section 4.6; Fetch Metadata).
fn get(accept: &'static str) -> anyhow::Result<Request<()>> {
    let mut request = request(Method::GET)?;
    let headers = request.headers_mut();
    headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    for (name, value) in [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-dest", "empty"),
        ("referer", "https://localhost/"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(request)
}

fn request(method: Method) -> anyhow::Result<Request<()>> {
    let mut headers = HeaderMap::new();
    let client = Client::Current;
    for (name, value) in [
        ("user-agent", client.user_agent()),
        ("accept-encoding", client.encodings()),
        ("accept-language", "en"),
        ("cache-control", "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let mut builder: request::Builder = Request::builder()
        .method(method)
        .uri(format!("{ORIGIN}/channels/{CHANNEL}"))
        .version(Version::HTTP_2);
    if let Some(own) = builder.headers_mut() {
        *own = headers;
    }
    Ok(builder.body(())?)
}
