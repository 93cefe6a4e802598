//! The main door: HTTP/2 over TLS.
//!
//! One task a connection, on one thread: [`connection`] drives h2 and keeps the diary, [`receive`]
//! reads what comes with a request, [`stream`] spends an answer, [`promises`] keeps promised ids in
//! order, [`schedule`] gives turns to bodies ([`priority`] says whose is first), [`subscribers`]
//! are told of events, by [`feeds`] and by [`tunnels`], each of them a [`tunnel`] with a WebSocket
//! in it, [`outbox`] gathers bytes and cuts TLS records, [`wire`] listens to frames for what h2
//! does not tell, [`wake`] keeps h2 from waking the task that polls it, and [`pending`] keeps
//! nothing for what is seldom waited for.

pub mod connection;
mod feeds;
mod outbox;
mod pending;
mod priority;
mod promises;
mod receive;
mod schedule;
mod stream;
mod subscribers;
pub mod tunnel;
mod tunnels;
mod wake;
mod wire;

pub use outbox::HELD_MAX;
pub use receive::{UNWANTED_WAIT_MAX, WANTED_WAIT_MAX};
