//! Requests about channels: waited for apart, as some of them wait for an event.
//!
//! What is said in reply is decided in `door::channels`; here it goes onto its stream.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::request::Parts;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Connection;
use crate::answer::Body;
use crate::answer::live::Received;
use crate::door;
use crate::door::body::Source;
use crate::door::channels::{From, Reply};
use crate::http2::receive::{discard, receive};
use crate::http2::tunnel::Tunnel;

/// Replies that are spent before other connections have their turn: each takes as long as telling a
/// dozen listeners something, and a client that comes back asks for all its channels at once.
pub(super) const REPLIES_AT_ONCE: usize = 16;

/// A reply that is waited for; nothing comes of it if the peer has gone.
pub(super) type Replying = Pin<Box<dyn Future<Output = Option<Replied>>>>;

/// A request about channels, and what comes of it.
pub(super) struct Replied {
    request: Parts,
    respond: SendResponse<Bytes>,
    /// The rest of the request, if nobody has read it.
    body: Option<RecvStream>,
    reply: Reply,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection<T> {
    pub(super) fn asked_of_channels(
        &mut self,
        request: Parts,
        body: RecvStream,
        mut respond: SendResponse<Bytes>,
    ) {
        let (service, peer) = (Arc::clone(&self.service), self.peer);
        // Held until there is a reply.
        let mut incoming = self.incoming.body();
        self.replying.push(Box::pin(async move {
            let channels = service.channels(&request)?;
            let protocol = request.extensions.get::<h2::ext::Protocol>();
            let from = From {
                address: peer,
                protocol: protocol.map(h2::ext::Protocol::as_str),
            };
            let mut body = Some(body);
            let unread = &mut body;
            let open = || service.metrics.open();
            let incoming = &mut incoming;
            let replying =
                service.reply(channels, &request, from, async |most| match unread.take() {
                    Some(body) => receive(body, most, |bytes| incoming.add(bytes, open)).await,
                    None => Received::Nothing,
                });
            let reply = tokio::select! {
                reply = replying => reply,
                // Whoever is gone is not waited for.
                _ = poll_fn(|cx| respond.poll_reset(cx)) => return None,
            };
            let is_left = matches!(reply, Reply::Answered(_));
            if let Some(body) = body.take_if(|body| is_left && !body.is_end_stream()) {
                discard(body).await;
            }
            Some(Replied {
                request,
                respond,
                body,
                reply,
            })
        }));
    }

    /// Goes on with the replies, and spends those that are there. Returns whether there was any.
    pub(super) fn poll_replied(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        while self.replies_left > 0
            && let Poll::Ready(replied) = self.replying.poll_next(cx)
        {
            progress = true;
            self.replies_left -= 1;
            if let Some(replied) = replied {
                self.replied(cx, replied);
            }
        }
        if self.replies_left == 0 {
            cx.waker().wake_by_ref();
        }
        progress
    }

    fn replied(&mut self, cx: &mut Context<'_>, replied: Replied) {
        let Replied {
            request,
            respond,
            body,
            reply,
        } = replied;
        self.refresh_moment();
        match reply {
            Reply::Answered(answer) => {
                let source = match &answer.body {
                    Body::Memory(bytes) => Some(Source::Memory(bytes.clone())),
                    _ => None,
                };
                self.write(cx, &request, respond, *answer, source);
            }
            Reply::Told(answer, listener) => self.tell(&request, respond, *answer, listener),
            Reply::Spoken(answer, opening) => {
                let service = &self.service;
                let entry = door::entry(service, self.peer, &request, &answer, &self.moment);
                door::count(service, &request, &answer);
                let mut respond = respond;
                match (body, respond.send_response(answer.head, false)) {
                    (Some(body), Ok(stream)) => {
                        let tunnel = Tunnel::new(body, stream);
                        self.subscribers.speak(tunnel, *opening, entry);
                    }
                    (_, Err(error)) => tracing::debug!(%error, "the peer takes no answer"),
                    // A WebSocket's body is read by nobody else.
                    (None, Ok(_)) => {}
                }
            }
        }
    }
}
