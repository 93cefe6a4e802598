//! From a request to its answer: what has to be waited for first, and what is made of it.
//!
//! What is said is decided in [`answer`]; how it goes onto its stream, in [`stream`].

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::Request;
use http::request::Parts;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Connection;
use crate::answer::live::Received;
use crate::answer::{self, Admission, Answer, Body, LivePage, Peer, preload};
use crate::door::body::Source;
use crate::door::channels::Listener;
use crate::door::{self, Seen};
use crate::http2::receive::{discard, receive};
use crate::http2::stream::{self, Spending};
use crate::hub::sse::Feed;
use crate::metrics::Count;
use crate::site::Site;

/// What is waited for, so that a request can be answered.
pub(super) type Preparing = Pin<Box<dyn Future<Output = Prepared>>>;

/// A request with a snapshot that is fit to answer it.
pub(super) struct Asked {
    request: Parts,
    received: Received,
    respond: SendResponse<Bytes>,
    /// What a page is told while its site is edited, as it was before `site` was.
    live: Option<LivePage>,
    site: Arc<Site>,
    admission: Admission,
    /// A 103 has gone out.
    informed: bool,
    reopened: usize,
}

/// What had to be waited for.
pub(super) enum Prepared {
    Site(Asked),
    File(Asked, Box<Answer>, io::Result<Source>),
    /// It cannot be answered, for reasons of ours.
    Failed(Parts, SendResponse<Bytes>),
}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection<T> {
    /// Answers a request, or sets about what its answer has to wait for.
    pub(super) fn asked(
        &mut self,
        cx: &mut Context<'_>,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
    ) {
        let (request, body) = request.into_parts();
        let waiting = self.preparing.len() + self.waiting.len() + self.replying.len();
        if waiting >= self.service.limits.streams as usize {
            // More than may be open: the peer resets what it asks for faster than it is looked up.
            respond.send_reset(h2::Reason::ENHANCE_YOUR_CALM);
            return;
        }
        if self.service.channels(&request).is_some() {
            return self.asked_of_channels(request, body, respond);
        }
        let wanted_bytes_max = self.service.wanted_bytes_max(&request);
        let live = self.service.live_page();
        if body.is_end_stream()
            && wanted_bytes_max.is_none()
            && let Some(site) = self.service.ready(&request)
        {
            let admission = self.service.admission(&request);
            return self.answer(
                cx,
                Asked {
                    request,
                    admission,
                    received: Received::Nothing,
                    respond,
                    live,
                    site,
                    informed: false,
                    reopened: 0,
                },
            );
        }
        // A hinted response would be used without asking while it is fresh, edited or not.
        let hints = live.is_none().then(|| self.early_hints(&request)).flatten();
        let informed = hints.is_some();
        if let Some(hints) = hints {
            stream::inform(&mut respond, hints);
            self.service.metrics.count(Count::Informed);
        }
        let (service, peer) = (Arc::clone(&self.service), self.peer);
        let mut incoming = self.incoming.body();
        self.preparing.push(Box::pin(async move {
            let received = if let Some(most) = wanted_bytes_max {
                let open = || service.metrics.open();
                receive(body, most, |bytes| incoming.add(bytes, open)).await
            } else {
                discard(body).await;
                Received::Nothing
            };
            let Some((site, admission)) = service.prepare(&request, peer).await else {
                return Prepared::Failed(request, respond);
            };
            Prepared::Site(Asked {
                admission,
                request,
                received,
                respond,
                live,
                site,
                informed,
                reopened: 0,
            })
        }));
    }

    /// The 200 is not ready, so what the last snapshot knew of the page is worth a 103.
    fn early_hints(&mut self, request: &Parts) -> Option<http::HeaderMap> {
        // Even what a page needs is nobody else's business.
        if self.service.admission(request) == Admission::Refused {
            return None;
        }
        let site = self.service.site.snapshot();
        let peer = Peer {
            authority: self.service.authority_among(request, &mut self.covered),
            admission: self.service.admission(request),
            pushes: self.pushes(),
            held: &self.held,
            informed: false,
        };
        let options = self.service.options;
        door::guarded(|| preload::early(request, &peer, &site, options)).flatten()
    }

    /// Goes on with what is waited for. Returns whether any of it has come.
    pub(super) fn poll_prepared(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        while let Poll::Ready(prepared) = self.preparing.poll_next(cx) {
            progress = true;
            match prepared {
                Prepared::Site(asked) => self.answer(cx, asked),
                Prepared::File(asked, mut answer, Ok(source)) => {
                    if !self.promises.is_free() {
                        // Another page has taken the permit meanwhile.
                        answer.promises.clear();
                    }
                    self.write(cx, &asked.request, asked.respond, *answer, Some(source));
                }
                Prepared::File(asked, _, Err(error)) => self.reopen(cx, asked, &error),
                Prepared::Failed(request, respond) => self.fail(cx, &request, respond),
            }
        }
        progress
    }

    /// A file changed between stat and open: the snapshot that described it is stale.
    fn reopen(&mut self, cx: &mut Context<'_>, mut asked: Asked, error: &io::Error) {
        asked.reopened += 1;
        if !door::may_reopen(asked.reopened) {
            tracing::warn!(target = answer::target(&asked.request), %error, "cannot open a file");
            return self.fail(cx, &asked.request, asked.respond);
        }
        let (service, peer) = (Arc::clone(&self.service), self.peer);
        self.preparing.push(Box::pin(async move {
            let Some(prepared) = service.prepare(&asked.request, peer).await else {
                return Prepared::Failed(asked.request, asked.respond);
            };
            (asked.site, asked.admission) = prepared;
            Prepared::Site(asked)
        }));
    }

    /// Answers a request from a snapshot, unless its promises have to wait for the permit.
    pub(super) fn answer(&mut self, cx: &mut Context<'_>, asked: Asked) {
        let peer = Peer {
            authority: self
                .service
                .authority_among(&asked.request, &mut self.covered),
            admission: asked.admission,
            pushes: self.pushes(),
            held: &self.held,
            informed: asked.informed,
        };
        let mut answer = self.service.answer(
            &asked.request,
            &asked.received,
            &peer,
            Seen {
                site: &asked.site,
                live: asked.live,
            },
            &self.moment,
        );
        if !answer.promises.is_empty() && !self.promises.is_free() {
            // It is answered anew when its turn comes: the diary will know more then.
            self.waiting.push_back(asked);
            return;
        }
        if let Some(action) = answer.action.take() {
            self.service.act(action);
        }
        match &answer.body {
            Body::Feed { hub, after } => {
                let feed = Feed::new(Arc::clone(hub), *after);
                self.tell(&asked.request, asked.respond, answer, Box::new(feed.into()));
            }
            Body::Empty => self.write(cx, &asked.request, asked.respond, answer, None),
            Body::Memory(bytes) => {
                let source = Source::Memory(bytes.clone());
                self.write(cx, &asked.request, asked.respond, answer, Some(source));
            }
            Body::Pieces(pieces) => {
                let source = Source::joined(pieces.iter().cloned().map(Source::Memory));
                self.write(cx, &asked.request, asked.respond, answer, Some(source));
            }
            Body::Streamed(streamed) => {
                let service = Arc::clone(&self.service);
                let opening = service.open(streamed.clone(), asked.reopened);
                self.preparing.push(Box::pin(async move {
                    let source = opening.await;
                    Prepared::File(asked, Box::new(answer), source)
                }));
            }
        }
    }

    fn fail(&mut self, cx: &mut Context<'_>, request: &Parts, respond: SendResponse<Bytes>) {
        let failed = answer::failed(&self.moment);
        self.write(cx, request, respond, failed, None);
    }

    /// Writes an answer, and notes what the peer then holds.
    pub(super) fn write(
        &mut self,
        cx: &mut Context<'_>,
        request: &Parts,
        respond: SendResponse<Bytes>,
        answer: Answer,
        body: Option<Source>,
    ) {
        let holds = answer.holds;
        let spending = Spending {
            service: &self.service,
            peer: self.peer,
            request,
            moment: &self.moment,
            schedule: &mut self.schedule,
            promises: &mut self.promises,
        };
        let made = stream::write(cx, respond, answer, body, spending);
        for key in made.iter().map(|made| made.key).chain(holds) {
            self.held.add(key);
        }
    }

    /// Answers with a stream of events.
    pub(super) fn tell(
        &mut self,
        request: &Parts,
        mut respond: SendResponse<Bytes>,
        answer: Answer,
        feed: Box<Listener>,
    ) {
        let entry = door::entry(&self.service, self.peer, request, &answer, &self.moment);
        door::count(&self.service, request, &answer);
        match respond.send_response(answer.head, false) {
            Ok(stream) => self.subscribers.feed(stream, feed, entry),
            Err(error) => tracing::debug!(%error, "the peer takes no answer"),
        }
    }
}
