//! The conversation that says everything back, to try the others with.
//!
//! Read on in [`super::socket`].

use std::task::{Context, Poll, ready};

use super::deflate::Deflate;
use super::socket::{Socket, Transport};
use super::{Broadcast, Close, End, Frame, Message};

/// Returns a message as it is said back.
pub fn echo(message: &Message, agreed: Option<Deflate>) -> Frame {
    let back = match message {
        Message::Text(text) => Broadcast::text(text),
        Message::Binary(bytes) => Broadcast::binary(bytes),
    };
    back.frame(agreed).clone()
}

/// Says everything back, one message at a time: the next is read when the last has found room.
#[derive(Debug)]
pub struct Echo<T> {
    socket: Socket<T>,
}

impl<T: Transport> Echo<T> {
    /// Returns the echo at one end of a socket.
    pub const fn new(socket: Socket<T>) -> Self {
        Self { socket }
    }

    /// Goes on, until the conversation is over.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            if !ready!(self.socket.poll_room(cx)) {
                return self.socket.poll_end(cx);
            }
            let Some(message) = ready!(self.socket.poll_next(cx)) else {
                return self.socket.poll_end(cx);
            };
            let frame = echo(&message, self.socket.session().deflate());
            // There was room; if it has been closed meanwhile, nobody listens.
            let _ = self.socket.send(&frame);
        }
    }

    /// Returns its end of the socket.
    pub const fn socket_mut(&mut self) -> &mut Socket<T> {
        &mut self.socket
    }

    /// Closes it from this side.
    pub fn close(&mut self, close: &Close) {
        self.socket.close(close);
    }
}
