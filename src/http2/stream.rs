//! Spends an answer on a stream: promises, 103, header, then the bodies wait for their turns.
//!
//! The only caller of `push_request`. What is written on the page's stream stands in this order, so
//! a promise never follows the bytes that mention what it promises, nor a 103 that does, nor the
//! end of the stream (RFC 9113 section 8.4.1).

use std::net::IpAddr;
use std::task::Context;

use bytes::Bytes;
use h2::server::{SendPushedResponse, SendResponse};
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme};
use http::{Request, Response, StatusCode, Uri, Version, header};

use super::priority;
use super::promises::Promises;
use super::schedule::{Job, Schedule};
use crate::access_log::{Entry, Way};
use crate::answer::{Answer, Body, Moment, Promise};
use crate::door::body::Source;
use crate::door::{self, Service};
use crate::metrics::Count;
use crate::site::SiteUrl;

/// Request header that a promised request takes over from the page's: what a response may vary by,
/// never what tells users apart.
const PROMISED_HEADERS: [header::HeaderName; 4] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::USER_AGENT,
];

/// The request that an answer is for, and what the answer goes through.
pub(super) struct Spending<'a> {
    pub(super) service: &'a Service,
    pub(super) peer: IpAddr,
    pub(super) request: &'a Parts,
    pub(super) moment: &'a Moment,
    pub(super) schedule: &'a mut Schedule,
    pub(super) promises: &'a mut Promises,
}

/// Stream id and diary key of a promise that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) id: u32,
    pub(super) key: u64,
}

/// Writes an answer, or as much of it as its stream still takes. `source` is its body, if it has
/// one. Returns the promises that were made.
pub(super) fn write(
    cx: &mut Context<'_>,
    mut respond: SendResponse<Bytes>,
    answer: Answer,
    source: Option<Source>,
    spending: Spending<'_>,
) -> Vec<Made> {
    let Spending {
        service,
        peer,
        request,
        moment,
        schedule,
        promises,
    } = spending;
    let mut entry = door::entry(service, peer, request, &answer, moment);
    door::count(service, request, &answer);
    // h2 would promise even on a stream that is gone; an answer alone it refuses.
    if !answer.promises.is_empty() && respond.poll_reset(cx).is_ready() {
        if let Some(mut entry) = entry {
            entry.promised.clear();
            service.log.write(*entry);
        }
        return Vec::new();
    }
    let pushed = promise(&mut respond, request, answer.promises);
    if let Some(entry) = &mut entry {
        // The peer may have taken fewer.
        entry.promised.truncate(pushed.len());
    }
    if let Some(hints) = answer.hints {
        inform(&mut respond, hints);
        service.metrics.count(Count::Informed);
    }
    if !pushed.is_empty() {
        service.metrics.add(Count::Promised, pushed.len() as u64);
    }
    let user = entry.as_ref().and_then(|entry| entry.user.clone());
    let turn = priority::asked(&request.headers, answer.rank);
    match respond.send_response(answer.head, source.is_none()) {
        Ok(stream) => {
            if let Some(source) = source {
                let job = Job {
                    stream,
                    source,
                    turn,
                    pushed: false,
                    entry: entry.take(),
                };
                if pushed.is_empty() {
                    schedule.add(cx, job);
                } else {
                    schedule.queue(job);
                }
            }
        }
        Err(error) => tracing::debug!(%error, "the peer takes no answer"),
    }
    if let Some(entry) = entry {
        service.log.write(*entry);
    }
    let mut made = Vec::with_capacity(pushed.len());
    for (mut response, promise) in pushed {
        made.push(Made {
            id: response.stream_id().as_u32(),
            key: promise.key,
        });
        let Body::Memory(bytes) = promise.body else {
            continue;
        };
        let entry = service.log.is_on().then(|| {
            let entry = pushed_entry(peer, user.clone(), moment, &promise.url);
            Box::new(entry)
        });
        match response.send_response(promise.head, false) {
            Ok(stream) => {
                let turn = priority::promised(turn, promise.need);
                let source = Source::Memory(bytes);
                schedule.queue(Job {
                    stream,
                    source,
                    turn,
                    pushed: true,
                    entry,
                });
            }
            Err(error) => tracing::debug!(%error, "the peer takes no promised answer"),
        }
    }
    promises.hold(respond, &made);
    made
}

/// Sends a 103 (RFC 8297).
pub(super) fn inform(respond: &mut SendResponse<Bytes>, hints: http::HeaderMap) {
    let mut early = Response::new(());
    *early.status_mut() = StatusCode::EARLY_HINTS;
    *early.headers_mut() = hints;
    if let Err(error) = respond.send_informational(early) {
        tracing::debug!(%error, "no 103 was sent");
    }
}

/// Queues the promises of a page, until the peer takes no more.
fn promise(
    respond: &mut SendResponse<Bytes>,
    request: &Parts,
    promises: Vec<Promise>,
) -> Vec<(SendPushedResponse<Bytes>, Promise)> {
    let mut pushed = Vec::with_capacity(promises.len());
    for promise in promises {
        let Some(ahead) = promised_request(request, promise.url.target()) else {
            continue;
        };
        match respond.push_request(ahead) {
            Ok(response) => pushed.push((response, promise)),
            Err(error) => {
                tracing::debug!(%error, "the peer takes no promise");
                break;
            }
        }
    }
    pushed
}

/// Returns the request that is promised: complete, safe and without a body (RFC 9113 section 8.4).
fn promised_request(page: &Parts, target: &str) -> Option<Request<()>> {
    let uri = Uri::builder()
        .scheme(page.uri.scheme().cloned().unwrap_or(Scheme::HTTPS))
        .authority(page.uri.authority()?.clone())
        .path_and_query(PathAndQuery::try_from(target).ok()?)
        .build()
        .ok()?;
    let mut request = Request::new(());
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    for name in PROMISED_HEADERS {
        for value in page.headers.get_all(&name) {
            request.headers_mut().append(&name, value.clone());
        }
    }
    Some(request)
}

fn pushed_entry(peer: IpAddr, user: Option<String>, moment: &Moment, url: &SiteUrl) -> Entry {
    Entry {
        peer,
        user,
        time: moment.now,
        way: Way::Pushed,
        target: url.target().to_owned(),
        version: Version::HTTP_2,
        status: StatusCode::OK,
        bytes: 0,
        promised: Vec::new(),
        hinted: 0,
    }
}
