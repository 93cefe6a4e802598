//! One page load as a browser does it: the page says what it wants, and it is taken from the cache,
//! from what is pushed or was hinted, or asked for.
//!
//! One task, one connection, no clock but tokio's: on a simulated link the same load is the same to
//! the byte. Read on in [`wants`], what a page says; `fetch`, the order of things; `transfers`, how
//! promised and wanted meet; `decode`, what encoded bodies mean.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::timeline::Timeline;

pub mod cache;
mod decode;
mod fetch;
pub mod hints;
mod incoming;
pub mod page;
mod pieces;
mod request;
#[cfg(test)]
mod tests;
mod transfers;
pub mod wants;
mod wire;

pub(super) use self::request::greeting;
pub(super) use self::wire::sentence;

pub use cache::Cache;
use wants::Wants;

/// The client that a load behaves like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Client {
    /// The last that takes pushes: it never cancels one, and says no priorities.
    #[default]
    Chromium103,
    /// Takes no pushes and says priorities (RFC 9218), as browsers do today.
    Current,
}

/// How a page is loaded.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoadOptions {
    /// What the client takes and says.
    pub client: Client,
    /// It refuses pushes even if it is one that takes them.
    pub refuses_pushes: bool,
    /// It heeds neither 103 nor `Link`.
    pub ignores_hints: bool,
    /// Time from hearing that the page needs something, from whomever, to its request leaving. A
    /// redirect and the document itself do not wait.
    pub client_delay: Duration,
    /// What ends a load that does not.
    pub limits: Limits,
}

/// What ends a load that does not end, and what is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time from the navigation to the `load` event.
    pub duration: Duration,
    /// Time that a page waits for a promise it has claimed to be answered.
    pub push_wait: Duration,
    /// Time after the `load` event in which pushes that nobody claimed are counted.
    pub settling: Duration,
    /// Requests and promises.
    pub exchanges: usize,
    /// Redirects in a row.
    pub redirects: usize,
    /// Bytes of a response header, names and values (RFC 9113 section 6.5.2).
    pub head_bytes: u32,
    /// Bytes of one body.
    pub resource_bytes: u64,
    /// Bytes on the connection.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            duration: Duration::from_mins(2),
            push_wait: Duration::from_secs(30),
            settling: Duration::from_secs(30),
            exchanges: 2000,
            redirects: 20,
            // What Chromium says.
            head_bytes: 256 << 10,
            resource_bytes: 64 << 20,
            bytes: 256 << 20,
        }
    }
}

impl Client {
    /// Returns its name, as `--client` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chromium103 => "chromium-103",
            Self::Current => "current",
        }
    }

    /// Returns whether it says `ENABLE_PUSH` (RFC 9113 section 6.5.2).
    pub fn takes_pushes(self) -> bool {
        self == Self::Chromium103
    }

    /// Returns what it says as `Accept-Encoding`.
    pub(super) fn encodings(self) -> &'static str {
        match self {
            Self::Chromium103 => "gzip, deflate, br",
            Self::Current => "gzip, deflate, br, zstd",
        }
    }

    pub(super) fn user_agent(self) -> &'static str {
        match self {
            Self::Chromium103 => "forerun-measure (Chromium 103)",
            Self::Current => "forerun-measure",
        }
    }
}

/// Loads a page until its `load` event, and returns what happened. What cannot be loaded is told in
/// [`Timeline::failure`]. What was pushed and nobody claimed is still counted after it.
///
/// The navigation starts now; `connect` is called when the first request is to leave, and gives the
/// plaintext side of a connection on which HTTP/2 is agreed. Its error is passed on as it is. The
/// page names the document as its first want. What is whole and may be kept goes into `cache`.
pub async fn load<C, F, S, P>(
    connect: C,
    page: &mut P,
    cache: &mut Cache,
    options: &LoadOptions,
) -> Timeline
where
    C: FnOnce() -> F,
    F: Future<Output = io::Result<S>>,
    S: AsyncRead + AsyncWrite + Unpin,
    P: Wants,
{
    fetch::Load::new(connect, page, cache, options).run().await
}
