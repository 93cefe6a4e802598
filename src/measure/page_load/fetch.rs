//! The order of things in a load: wants are matched, requests leave, what comes is recorded and
//! handed to the page, until the page has loaded or something ends it.
//!
//! Everything happens in one task and in a fixed order: the connection takes in frames, then each
//! stream that was woken tells what it heard, then timers. Nothing is spawned. Read on in `hear`.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::SelectAll;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};
use url::Url;

use super::cache::{Cache, Held};
use super::incoming::Incoming;
use super::transfers::{Stage, Transfers};
use super::wants::{Want, WantId, Wants};
use super::wire::Wire;
use super::{LoadOptions, request};
use crate::measure::timeline::{End, Kind, Marks, Timeline, Way};

mod hear;
mod settle;

/// The document's want.
const DOCUMENT: WantId = WantId(0);

/// Why something is needed.
enum Cause {
    /// The page names it.
    Named,
    /// The server hints at it.
    Hinted,
    /// It stands for what was needed before: a redirect or a promise that was not kept led to it.
    /// With the URLs that redirected to it.
    Sent(Vec<Url>),
}

/// A load under way.
pub(super) struct Load<'a, P> {
    page: &'a mut P,
    cache: &'a mut Cache,
    options: &'a LoadOptions,
    started: Instant,
    wire: Wire<'a>,
    transfers: Transfers,
    arriving: SelectAll<Incoming>,
    /// Rows whose requests wait for the client, and until when.
    delayed: VecDeque<(Instant, usize)>,
    /// Rows whose requests leave as soon as the connection takes them.
    leaving: VecDeque<usize>,
    /// Requests whose responses have not ended.
    requests_open: usize,
    /// Claimed promises, and until when they are waited for.
    awaited: VecDeque<(Instant, usize)>,
    alarm: Pin<Box<Sleep>>,
    /// A 103 has come: others are ignored.
    hinted: bool,
    left_out: usize,
    failure: Option<String>,
}

impl<'a, P: Wants> Load<'a, P> {
    pub(super) fn new<C, F, S>(
        connect: C,
        page: &'a mut P,
        cache: &'a mut Cache,
        options: &'a LoadOptions,
    ) -> Self
    where
        C: FnOnce() -> F + 'a,
        F: Future<Output = io::Result<S>> + 'a,
        S: AsyncRead + AsyncWrite + Unpin + 'a,
    {
        let started = Instant::now();
        let greeting = request::greeting(options);
        Self {
            page,
            cache,
            options,
            started,
            wire: Wire::new(connect, greeting, started),
            transfers: Transfers::default(),
            arriving: SelectAll::new(),
            delayed: VecDeque::new(),
            leaving: VecDeque::new(),
            requests_open: 0,
            awaited: VecDeque::new(),
            alarm: Box::pin(sleep_until(started + options.limits.duration)),
            hinted: false,
            left_out: 0,
            failure: None,
        }
    }

    /// Loads the page to its end, whichever it is.
    pub(super) async fn run(mut self) -> Timeline {
        poll_fn(|context| self.poll(context)).await;
        if self.failure.is_none() {
            self.settle().await;
        }
        self.into_timeline()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            self.take_wants();
            self.send_requests(context);
            self.check_limits();
            if self.failure.is_some() || self.page.is_loaded() {
                return Poll::Ready(());
            }
            let mut moved = self.wire.poll(context);
            // The server may have said how many requests it takes.
            self.send_requests(context);
            while let Poll::Ready(Some((row, event))) = self.arriving.poll_next_unpin(context) {
                self.hear(row, event);
                moved = true;
            }
            moved |= self.pass_time(context);
            if moved {
                continue;
            }
            let Some(why) = self.stranded() else {
                return Poll::Pending;
            };
            self.fail(why);
        }
    }

    /// Returns why nothing will ever move again, if so.
    fn stranded(&self) -> Option<String> {
        if let Some(why) = self.wire.end() {
            return Some(format!("{why}, before the page had loaded"));
        }
        let rests = self.arriving.is_empty() && self.leaving.is_empty() && self.delayed.is_empty();
        rests.then(|| "the page has not loaded, though nothing more is to come".to_owned())
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// The first failure is the one that counts.
    fn fail(&mut self, why: String) {
        let why = if self.wire.is_http1() {
            "the server speaks HTTP/1.1, not HTTP/2".to_owned()
        } else {
            why
        };
        self.failure.get_or_insert(why);
    }

    fn is_document(&self, row: usize) -> bool {
        self.transfers.row_of(DOCUMENT) == Some(row)
    }
}

/// From wants to requests.
impl<P: Wants> Load<'_, P> {
    fn take_wants(&mut self) {
        while self.failure.is_none()
            && let Some(want) = self.page.next_want()
        {
            self.need(want, Cause::Named);
            self.check_limits();
        }
    }

    /// Finds a want what serves it: what this load has or awaits, then what the cache holds fresh,
    /// then what was promised; else it is asked for, with a condition if it is held and stale.
    fn need(&mut self, want: Want, cause: Cause) {
        if self.is_elsewhere(&want.url) {
            self.left_out += usize::from(matches!(want.url.scheme(), "http" | "https"));
            self.page.end(want.id, false, self.now());
            return;
        }
        if let Some(row) = self.transfers.shared(&want) {
            let id = want.id;
            self.transfers.join(row, want, self.now());
            self.tell_all(row, id);
            return;
        }
        let waits = !matches!(cause, Cause::Sent(_)) && want.kind != Kind::Document;
        let (way, chain) = match cause {
            Cause::Named => (Way::Asked, Vec::new()),
            Cause::Hinted => (Way::Hinted, Vec::new()),
            Cause::Sent(chain) => (Way::Asked, chain),
        };
        let stored = match self.cache.find(&want.url) {
            Held::Fresh(stored) => {
                let row = self.transfers.want(want, Way::Cached, chain, self.now());
                self.serve(row, &stored);
                return;
            }
            Held::Stale(stored) => Some(stored),
            Held::Nothing => None,
        };
        if let Some(row) = self.transfers.unclaimed(&want.url) {
            self.claim(row, want, chain);
            return;
        }
        let row = self.transfers.want(want, way, chain, self.now());
        self.transfers.get_mut(row).stored = stored;
        if waits && !self.options.client_delay.is_zero() {
            let until = Instant::now() + self.options.client_delay;
            self.delayed.push_back((until, row));
        } else {
            self.leaving.push_back(row);
        }
    }

    /// Tells what is of another origin than the document, to which there is no connection.
    fn is_elsewhere(&self, url: &Url) -> bool {
        let document = self.transfers.row_of(DOCUMENT);
        document.is_some_and(|row| self.transfers.get(row).url.origin() != url.origin())
    }

    /// Gives a want what was promised.
    fn claim(&mut self, row: usize, want: Want, chain: Vec<Url>) {
        let id = want.id;
        self.transfers.join(row, want, self.now());
        let transfer = self.transfers.get_mut(row);
        transfer.chain = chain;
        if transfer.head.is_none() {
            self.await_promise(row);
            return;
        }
        self.tell_all(row, id);
        self.keep(row);
    }

    fn await_promise(&mut self, row: usize) {
        let until = Instant::now() + self.options.limits.push_wait;
        self.awaited.push_back((until, row));
    }

    fn send_requests(&mut self, context: &mut Context<'_>) {
        while let Some(&row) = self.leaving.front() {
            if self.transfers.get(row).stage != Stage::Waiting {
                self.leaving.pop_front();
                continue;
            }
            match self.wire.poll_ready(self.requests_open, context) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => self.send_request(row),
                Poll::Ready(Err(why)) => {
                    self.fail(self.unsent(row, &why));
                    return;
                }
            }
            self.leaving.pop_front();
        }
    }

    fn unsent(&self, row: usize, why: &str) -> String {
        if self.wire.connected().is_none() {
            return why.to_owned();
        }
        let url = &self.transfers.get(row).exchange.url;
        format!("{why}, before {url} was asked for")
    }

    fn send_request(&mut self, row: usize) {
        let now = self.now();
        let document = self.transfers.row_of(DOCUMENT);
        let referrer = document.filter(|&document| document != row);
        let referrer = referrer.map(|document| &self.transfers.get(document).url);
        let transfer = self.transfers.get(row);
        let request = transfer.want.as_ref().and_then(|want| {
            request::request(
                self.options.client,
                want,
                referrer,
                transfer.stored.as_deref(),
            )
        });
        let sent = match request {
            Some(request) => self.wire.send(request),
            None => Err("is no URL that can be asked for".to_owned()),
        };
        let transfer = self.transfers.get_mut(row);
        transfer.exchange.asked = Some(now);
        transfer.stage = Stage::Coming;
        match sent {
            Ok(response) => {
                self.requests_open += 1;
                let bytes_max = self.options.limits.resource_bytes;
                self.arriving
                    .push(Incoming::asked(row, response, bytes_max));
            }
            Err(why) => self.ended(row, Err(why)),
        }
    }
}

/// Time and limits.
impl<P: Wants> Load<'_, P> {
    /// Lets pass what was waited for until now; true if something came of it.
    fn pass_time(&mut self, context: &mut Context<'_>) -> bool {
        let deadline = self.started + self.options.limits.duration;
        let delayed = self.delayed.front().map(|&(until, _)| until);
        let awaited = self.awaited.front().map(|&(until, _)| until);
        let next = delayed
            .into_iter()
            .chain(awaited)
            .fold(deadline, Instant::min);
        if self.alarm.deadline() != next {
            self.alarm.as_mut().reset(next);
        }
        if self.alarm.as_mut().poll(context).is_pending() {
            return false;
        }
        let now = Instant::now();
        while let Some((_, row)) = self.delayed.pop_front_if(|(until, _)| *until <= now) {
            self.leaving.push_back(row);
        }
        while let Some((_, row)) = self.awaited.pop_front_if(|(until, _)| *until <= now) {
            self.stop_waiting(row);
        }
        true
    }

    fn stop_waiting(&mut self, row: usize) {
        let transfer = self.transfers.get(row);
        if transfer.stage == Stage::Coming && transfer.head.is_none() {
            let now = self.now();
            let wait = self.options.limits.push_wait.as_secs();
            let why = format!("was promised, and did not come within {wait} s");
            self.transfers
                .get_mut(row)
                .finish(End::Failed(why.clone()), now);
            self.give_up(row, &why);
        }
    }

    fn check_limits(&mut self) {
        if let Some(why) = self.exceeded() {
            self.fail(why);
        }
    }

    /// Returns which limit is exceeded, as a sentence.
    fn exceeded(&self) -> Option<String> {
        let limits = &self.options.limits;
        let why = if self.started.elapsed() >= limits.duration {
            format!(
                "the page had not loaded after {} s: given up",
                limits.duration.as_secs_f64()
            )
        } else if self.wire.bytes() > limits.bytes {
            format!("the page is larger than {} MB: stopped", limits.bytes >> 20)
        } else if self.transfers.len() > limits.exchanges {
            format!(
                "the page takes more than {} requests: stopped",
                limits.exchanges
            )
        } else {
            return None;
        };
        Some(why)
    }

    fn into_timeline(mut self) -> Timeline {
        self.transfers.settle(|id| self.page.blocks_render(id));
        let document = self.transfers.row_of(DOCUMENT);
        let exchange = document.map(|row| &self.transfers.get(row).exchange);
        let page = self.page.marks();
        let progress = self.page.progress();
        Timeline {
            url: exchange.map_or_else(String::new, |exchange| exchange.url.clone()),
            marks: Marks {
                connected: self.wire.connected().unwrap_or_default(),
                first_byte: exchange.and_then(|it| it.first_byte).unwrap_or_default(),
                first_render: page.first_render,
                largest_content: page.largest_content,
                load: page.load,
                speed_index: speed_index(&progress),
            },
            arrivals: self.wire.arrivals(),
            exchanges: self.transfers.into_exchanges(),
            progress,
            left_out: self.left_out + self.page.left_out(),
            complaint: self.page.complaint().map(str::to_owned),
            failure: self.failure,
        }
    }
}

/// Returns the integral of what is not drawn, over time.
fn speed_index(progress: &[(Duration, f64)]) -> Duration {
    let (mut before, mut drawn, mut sum) = (Duration::ZERO, 0.0, 0.0);
    for &(at, fraction) in progress {
        sum += at.saturating_sub(before).as_secs_f64() * (1.0 - drawn);
        (before, drawn) = (at, fraction.clamp(0.0, 1.0));
    }
    Duration::from_secs_f64(sum)
}
