//! From frames to the page: what is heard on each stream is recorded, kept, and told to those who
//! want it; redirects are followed, and what was promised in vain is asked for.

use bytes::Bytes;
use h2::client::PushedResponseFuture;
use http::header::{self, HeaderMap};
use http::{Method, Request, Response};
use url::Url;

use super::{Cause, Load};
use crate::measure::page_load::cache::{self, Stored};
use crate::measure::page_load::hints;
use crate::measure::page_load::incoming::{Event, Incoming};
use crate::measure::page_load::transfers::{Head, Stage};
use crate::measure::page_load::wants::{WantId, Wants};
use crate::measure::timeline::{End, Way};

impl<P: Wants> Load<'_, P> {
    /// Takes in what was heard on a stream.
    pub(super) fn hear(&mut self, row: usize, event: Event) {
        if let Event::Promise(promise) = event {
            let (request, response) = *promise;
            self.promised(row, &request, response);
            return;
        }
        let transfer = self.transfers.get(row);
        if matches!(event, Event::Ended(_)) && transfer.exchange.asked.is_some() {
            self.requests_open -= 1;
        }
        if transfer.stage == Stage::Over {
            return;
        }
        match event {
            Event::Hints(headers) if self.is_document(row) && !self.hinted => {
                self.hinted = true;
                self.hint(row, &headers);
            }
            Event::Head(head) => self.head(row, *head),
            Event::Data(bytes) => self.data(row, &bytes),
            Event::Ended(result) => {
                if result.is_ok() {
                    let rest = self.transfers.get_mut(row).decoder.finish();
                    self.decoded(row, rest);
                }
                if self.transfers.get(row).stage != Stage::Over {
                    self.ended(row, result);
                }
            }
            Event::Hints(_) | Event::Promise(_) => {}
        }
    }

    /// Takes a promise: for what waits for its request to leave, else until it is wanted.
    pub(super) fn promised(
        &mut self,
        by: usize,
        request: &Request<()>,
        response: PushedResponseFuture,
    ) {
        let now = self.now();
        let url = request.uri().to_string().parse::<Url>();
        // What answers no request of a page is refused, by dropping it.
        let (Ok(url), &Method::GET) = (url, request.method()) else {
            return;
        };
        let row = match self.transfers.waiting(&url) {
            Some(row) => {
                let transfer = self.transfers.get_mut(row);
                transfer.stage = Stage::Coming;
                transfer.stored = None;
                transfer.exchange.way = Way::Pushed;
                transfer.exchange.promised = Some(now);
                self.await_promise(row);
                row
            }
            None => self.transfers.promise(&url, by, now),
        };
        let bytes_max = self.options.limits.resource_bytes;
        self.arriving
            .push(Incoming::promised(row, response, bytes_max));
    }

    /// Fetches what a 103 or a response names.
    fn hint(&mut self, row: usize, headers: &HeaderMap) {
        if self.options.ignores_hints {
            return;
        }
        for preload in hints::preloads(headers, &self.transfers.get(row).url) {
            if let Some(want) = self.page.preload(&preload) {
                self.need(want, Cause::Hinted);
            }
        }
    }

    fn head(&mut self, row: usize, response: Response<()>) {
        let now = self.now();
        let headers = response.into_parts().0;
        let (status, headers) = (headers.status.as_u16(), headers.headers);
        let transfer = self.transfers.get_mut(row);
        let content_type = cache::text(&headers, &header::CONTENT_TYPE).to_owned();
        transfer.exchange.status = status;
        transfer.exchange.content_type.clone_from(&content_type);
        transfer.exchange.first_byte = Some(now);
        if status == 304 {
            self.validated(row, &headers);
            return;
        }
        let head = Head {
            status,
            content_type,
            headers,
        };
        let begun = transfer.begin(head, self.options.limits.resource_bytes);
        match begun {
            Ok(()) => self.tell_head(row),
            Err(why) => self.ended(row, Err(why)),
        }
    }

    /// Serves what a 304 confirms.
    fn validated(&mut self, row: usize, headers: &HeaderMap) {
        let transfer = self.transfers.get_mut(row);
        let Some(stored) = transfer.stored.take() else {
            self.ended(row, Err("is answered 304, but was not held".to_owned()));
            return;
        };
        self.cache.validated(&transfer.url, headers);
        transfer.exchange.way = Way::Validated;
        if self.is_document(row) {
            self.hint(row, headers);
        }
        self.serve(row, &stored);
        self.transfers.get_mut(row).exchange.status = 304;
    }

    /// Serves what is held.
    pub(super) fn serve(&mut self, row: usize, stored: &Stored) {
        let now = self.now();
        let transfer = self.transfers.get_mut(row);
        transfer.head = Some(Head {
            status: 200,
            content_type: stored.content_type.clone(),
            headers: HeaderMap::new(),
        });
        transfer.exchange.status = 200;
        transfer
            .exchange
            .content_type
            .clone_from(&stored.content_type);
        transfer.exchange.first_byte.get_or_insert(now);
        transfer.body = vec![stored.body.clone()];
        transfer.finish(End::Whole, now);
        for listener in transfer.listeners.clone() {
            self.tell_all(row, listener);
        }
    }

    fn data(&mut self, row: usize, bytes: &Bytes) {
        let now = self.now();
        let transfer = self.transfers.get_mut(row);
        transfer.add(bytes, now);
        let decoded = transfer.decoder.decode(bytes);
        self.decoded(row, decoded);
    }

    /// Tells the page of bytes that have been decoded.
    fn decoded(&mut self, row: usize, decoded: Result<Bytes, String>) {
        let now = self.now();
        let bytes = match decoded {
            Ok(bytes) if bytes.is_empty() => return,
            Ok(bytes) => bytes,
            Err(why) => return self.ended(row, Err(why)),
        };
        let transfer = self.transfers.get_mut(row);
        transfer.body.push(bytes.clone());
        for &listener in &transfer.listeners {
            self.page.data(listener, &bytes, now);
        }
    }

    pub(super) fn ended(&mut self, row: usize, result: Result<(), String>) {
        let now = self.now();
        let transfer = self.transfers.get_mut(row);
        let Err(why) = result else {
            transfer.finish(End::Whole, now);
            for &listener in &transfer.listeners {
                self.page.end(listener, true, now);
            }
            self.keep(row);
            return;
        };
        transfer.finish(End::Failed(why.clone()), now);
        if transfer.exchange.way == Way::Pushed && transfer.head.is_none() {
            self.ask_instead(row);
        } else {
            self.give_up(row, &why);
        }
    }

    /// Asks for what was promised and then reset, as Chromium does.
    fn ask_instead(&mut self, row: usize) {
        let transfer = self.transfers.get_mut(row);
        // It saved nothing: what came of it was wasted.
        transfer.exchange.needed = None;
        let chain = transfer.chain.clone();
        let url = transfer.url.clone();
        for want in self.transfers.leave(row, &url) {
            self.need(want, Cause::Sent(chain.clone()));
        }
    }

    /// Goes on without it; without the document there is nothing to go on with.
    pub(super) fn give_up(&mut self, row: usize, why: &str) {
        if self.is_document(row) {
            let url = &self.transfers.get(row).exchange.url;
            self.fail(format!("{url}: {why}"));
            return;
        }
        for &listener in &self.transfers.get(row).listeners {
            self.page.end(listener, false, self.started.elapsed());
        }
    }

    /// Tells the page of a head that has come; follows it where it redirects.
    fn tell_head(&mut self, row: usize) {
        let now = self.now();
        let transfer = self.transfers.get(row);
        let (Some(head), false) = (&transfer.head, transfer.listeners.is_empty()) else {
            return;
        };
        if let Some(to) = head.location(&transfer.url) {
            self.follow(row, &to);
            return;
        }
        if self.is_document(row) {
            let headers = head.headers.clone();
            self.hint(row, &headers);
        }
        let transfer = self.transfers.get(row);
        let Some(head) = &transfer.head else {
            return;
        };
        for &listener in &transfer.listeners {
            self.page
                .head(listener, &head.content_type, head.status, now);
        }
    }

    /// Tells a listener that came late everything so far.
    pub(super) fn tell_all(&mut self, row: usize, listener: WantId) {
        let now = self.now();
        let transfer = self.transfers.get(row);
        let Some(head) = &transfer.head else {
            return;
        };
        if let Some(to) = head.location(&transfer.url) {
            self.follow(row, &to);
            return;
        }
        self.page
            .head(listener, &head.content_type, head.status, now);
        for bytes in &transfer.body {
            self.page.data(listener, bytes, now);
        }
        if transfer.stage == Stage::Over {
            let whole = transfer.exchange.end == End::Whole;
            self.page.end(listener, whole, now);
        }
    }

    fn follow(&mut self, row: usize, to: &Url) {
        let transfer = self.transfers.get(row);
        let is_document = self.is_document(row);
        let mut chain = transfer.chain.clone();
        chain.push(transfer.url.clone());
        let problem = if is_document && self.is_elsewhere(to) {
            Some(format!(
                "redirects to {to}, another origin: measure that instead"
            ))
        } else if chain.contains(&cache::key(to)) {
            Some(format!(
                "redirects to {to}, from where it came: a loop without end"
            ))
        } else if chain.len() > self.options.limits.redirects {
            Some(format!(
                "is redirected more than {} times",
                self.options.limits.redirects
            ))
        } else {
            None
        };
        if let Some(why) = problem {
            self.ended(row, Err(why));
            return;
        }
        for want in self.transfers.leave(row, to) {
            self.page.redirected(want.id, to);
            self.need(want, Cause::Sent(chain.clone()));
        }
    }

    /// Keeps what is whole and was wanted for the next visit.
    pub(super) fn keep(&mut self, row: usize) {
        let transfer = self.transfers.get(row);
        let whole = transfer.exchange.end == End::Whole;
        if let (true, false, Some(head)) = (whole, transfer.listeners.is_empty(), &transfer.head) {
            self.cache
                .store(&transfer.url, head.status, &head.headers, &transfer.body);
        }
    }
}
