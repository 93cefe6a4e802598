//! One stream of a connection, from its request or promise to its end, as events.
//!
//! ```text
//! Asked    -> Promise* Hints* Promise* Head -> Body
//! Promised ->                          Head -> Body
//! Body     -> (Promise | Data)* -> Ended
//! ```
//!
//! Promises are looked for whenever anything comes, and once more at the end: `h2` does not wake
//! who waits for promises when a response ends without any. Dropping it cancels the stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use h2::RecvStream;
use h2::client::{PushPromises, PushedResponseFuture, ResponseFuture};
use http::{HeaderMap, Request, Response};

use super::wire;

/// What was heard on a stream.
#[derive(Debug)]
pub(super) enum Event {
    /// A PUSH_PROMISE: the request, and its response to come.
    Promise(Box<(Request<()>, PushedResponseFuture)>),
    /// Headers of a 103.
    Hints(HeaderMap),
    /// The final response.
    Head(Box<Response<()>>),
    /// Some of its body.
    Data(Bytes),
    /// It is over; else why it failed.
    Ended(Result<(), String>),
}

/// One stream. Ends after [`Event::Ended`].
#[derive(Debug)]
pub(super) struct Incoming {
    row: usize,
    promises: Option<PushPromises>,
    phase: Phase,
    bytes: u64,
    bytes_max: u64,
}

#[derive(Debug)]
enum Phase {
    Asked(ResponseFuture),
    Promised(PushedResponseFuture),
    Body(RecvStream),
    Over,
}

impl Incoming {
    /// Follows a request. At most `bytes_max` of the body are taken.
    pub(super) fn asked(row: usize, mut response: ResponseFuture, bytes_max: u64) -> Self {
        Self {
            row,
            promises: Some(response.push_promises()),
            phase: Phase::Asked(response),
            bytes: 0,
            bytes_max,
        }
    }

    /// Follows a promise.
    pub(super) fn promised(row: usize, response: PushedResponseFuture, bytes_max: u64) -> Self {
        Self {
            row,
            promises: None,
            phase: Phase::Promised(response),
            bytes: 0,
            bytes_max,
        }
    }

    fn poll_promise(&mut self, context: &mut Context<'_>) -> Option<Event> {
        let promises = self.promises.as_mut()?;
        match promises.poll_push_promise(context) {
            Poll::Ready(Some(Ok(promise))) => Some(Event::Promise(Box::new(promise.into_parts()))),
            Poll::Ready(_) => {
                self.promises = None;
                None
            }
            Poll::Pending => None,
        }
    }

    fn poll_phase(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        let response = match &mut self.phase {
            Phase::Asked(response) => {
                match ready!(response.poll_informational(context)) {
                    Some(Ok(hints)) => {
                        return Poll::Ready(Event::Hints(hints.into_parts().0.headers));
                    }
                    Some(Err(error)) => return Poll::Ready(self.over(Err(&error))),
                    None => {}
                }
                ready!(Pin::new(response).poll(context))
            }
            Phase::Promised(response) => ready!(Pin::new(response).poll(context)),
            Phase::Body(body) => {
                return Poll::Ready(match ready!(body.poll_data(context)) {
                    Some(Ok(bytes)) => self.data(bytes),
                    Some(Err(error)) => self.over(Err(&error)),
                    None => self.over(Ok(())),
                });
            }
            Phase::Over => return Poll::Pending,
        };
        Poll::Ready(match response {
            Ok(response) => {
                let (head, body) = response.into_parts();
                self.phase = Phase::Body(body);
                Event::Head(Box::new(Response::from_parts(head, ())))
            }
            Err(error) => self.over(Err(&error)),
        })
    }

    fn data(&mut self, bytes: Bytes) -> Event {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.bytes_max {
            self.phase = Phase::Over;
            let most = self.bytes_max >> 20;
            return Event::Ended(Err(format!("is larger than {most} MB: cancelled")));
        }
        if let Phase::Body(body) = &mut self.phase {
            // Fails only on a stream that is closed, which the next poll tells.
            let _ = body.flow_control().release_capacity(bytes.len());
        }
        Event::Data(bytes)
    }

    fn over(&mut self, result: Result<(), &h2::Error>) -> Event {
        self.phase = Phase::Over;
        Event::Ended(result.map_err(wire::sentence))
    }
}

impl Stream for Incoming {
    type Item = (usize, Event);

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<(usize, Event)>> {
        let this = &mut *self;
        if let Some(event) = this.poll_promise(context) {
            return Poll::Ready(Some((this.row, event)));
        }
        if matches!(this.phase, Phase::Over) {
            return Poll::Ready(None);
        }
        let event = ready!(this.poll_phase(context));
        Poll::Ready(Some((this.row, event)))
    }
}
