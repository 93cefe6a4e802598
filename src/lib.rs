//! forerun: a static file server that speaks first.
//!
//! It reads a site's HTML, style sheets and modules, works out what each page needs, and sends it
//! ahead of the asking: with PUSH_PROMISE to an HTTP/2 peer that takes pushes, with 103 Early Hints
//! and `Link` to one that does not.
//!
//! # Floors
//!
//! ```text
//! cli          argv, environment -> options
//! serve        root of serve: opens listeners, TLS and the site; joins every task
//! measure      root of measure: what sending ahead is worth, page by page, link by link
//! plan         root of plan: what would be sent ahead, and why the rest would not
//! certificate  root of certificate: the local authority, and how to trust it
//! publish      root of publish: something said on a channel of a server that runs
//! hash         root of hash: a password in, what --auth takes out
//! http2        one peer: promises, 103, turns, bytes
//! http1        the same answers over HTTP/1.1
//! live         changes on disk -> the next snapshot -> what open pages are told
//! door         what both doors share: the service, bodies, channels, conversations
//! answer       pure: request + what the peer holds + one snapshot -> Answer
//! hub          publish, read after a cursor, wait: a log of events, and feeds of it
//! site         immutable snapshot of a directory: assets, their encodings, links, graph, plans
//! tls          certificates: read, minted, reloaded
//! web_socket   RFC 6455: bytes <-> messages, frames shared by all who are sent them
//! access_log   a line per answer
//! metrics      counts of what is done
//! terminal     how words look
//! ```
//!
//! Imports go down only; `tests/it/tidy.rs` checks that, and which floor may name the outside.
//!
//! # The walk of a request
//!
//! ```text
//! serve::listen -> least loaded runtime -> tls -> http2::connection
//!   -> SiteRoot::prepare(path).await     stat, load, hash, read links; derive the next snapshot
//!   -> answer::answer(request, peer, site)   pure, one snapshot
//!   -> http2::stream                     PUSH_PROMISE* -> 103? -> HEADERS, then http2::schedule
//!                                        gives turns to every body, promised ones among them
//! ```
//!
//! # The walk of a change on disk
//!
//! ```text
//! serve: SiteRoot::prepare -> stat differs -> load, hash, links -> Site derived -> swapped whole
//!        (the page, its validator and what it promises come from one snapshot, so they match)
//! dev:   the system -> live::watch: hints -> live::settle: batches -> SiteRoot::refresh: swap
//!        -> hub::Hub::publish -> hub::sse -> http2::feeds or http1 -> live/client.js, which swaps
//!        a style sheet or an image in place, or reloads, or does nothing, and says what it painted
//! ```
//!
//! # The walk of an event
//!
//! ```text
//! POST, WebSocket, Redis -> door -> answer::channels: who may -> hub::store: kept, in one order
//!   -> hub::Hub: wakes whoever waits for the channel -> hub::feed (event streams, lines),
//!      hub::poll (polls that wait), door::conversation (WebSockets): each from its cursor
//! ```
//!
//! # The walk of a measurement
//!
//! ```text
//! measure::work -> a worker a core -> cell: a page, a visit, a link; its deliveries side by side
//!   -> stage: http2::connection at one end of a measure::link, page_load at the other, on a
//!      paused clock; or remote: a socket     -> Timeline: every exchange with its moments
//!   -> sample: numbers to verdict            -> Findings -> report: table, JSON, HAR, HTML
//! measure::events: a channel heard in four ways, on the same stage and links -> EventFindings
//! ```

pub mod access_log;
pub mod answer;
pub mod certificate;
pub mod cli;
pub mod door;
pub mod hash;
pub mod http1;
pub mod http2;
pub mod hub;
pub mod live;
pub mod measure;
pub mod metrics;
pub mod plan;
pub mod publish;
pub mod serve;
pub mod site;
pub mod terminal;
pub mod tls;
pub mod web_socket;
