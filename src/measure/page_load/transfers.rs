//! Everything of a load that was wanted or promised, and how the two find each other.
//!
//! Pure: it keeps the record of each exchange and the bytes that came, and is told the time. Read
//! on in `fetch`, which makes it happen.
//!
//! ```text
//! wanted --client delay--> Waiting --request--> Coming --last byte--> Over
//!                             `---promised meanwhile--^
//! promised -----------------------------------> Coming (unclaimed until it is wanted)
//! found in the cache ---------------------------------------------> Over
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use url::{Position, Url};

use super::cache::{self, Stored};
use super::decode::Decoder;
use super::wants::{Want, WantId};
use crate::measure::timeline::{End, Exchange, Kind, Way};

/// One thing that was wanted or promised.
#[derive(Debug)]
pub(super) struct Transfer {
    /// What is recorded of it.
    pub(super) exchange: Exchange,
    /// Without fragment.
    pub(super) url: Url,
    /// What it was first wanted for; `None`: only promised so far.
    pub(super) want: Option<Want>,
    /// Who is told of it, in the order in which they came.
    pub(super) listeners: Vec<WantId>,
    /// Where it stands.
    pub(super) stage: Stage,
    /// Final response, once there.
    pub(super) head: Option<Head>,
    /// The body so far, decoded.
    pub(super) body: Vec<Bytes>,
    /// What decodes it.
    pub(super) decoder: Decoder,
    /// What a 304 would confirm.
    pub(super) stored: Option<Arc<Stored>>,
    /// URLs that redirected to it, the first first.
    pub(super) chain: Vec<Url>,
}

/// Where a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its request has not left.
    Waiting,
    /// Asked for or promised.
    Coming,
    /// Nothing more comes.
    Over,
}

/// A final response.
#[derive(Debug)]
pub(super) struct Head {
    /// 200 for what a 304 confirmed.
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) headers: HeaderMap,
}

impl Head {
    /// Returns where it redirects to (RFC 9110 section 15.4).
    pub(super) fn location(&self, base: &Url) -> Option<Url> {
        if !matches!(self.status, 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        let location = cache::text(&self.headers, &header::LOCATION);
        let mut to = base.join(location).ok().filter(|_| !location.is_empty())?;
        if to.fragment().is_none() {
            to.set_fragment(base.fragment());
        }
        Some(to)
    }

    /// Returns how the body is encoded, in one word or several; empty if it is not.
    fn encoding(&self) -> String {
        let fields = self.headers.get_all(header::CONTENT_ENCODING).iter();
        let fields: Vec<_> = fields.filter_map(|field| field.to_str().ok()).collect();
        fields.join(", ")
    }
}

impl Transfer {
    /// Whether it was promised and nobody has wanted it.
    pub(super) fn is_unclaimed(&self) -> bool {
        self.exchange.way == Way::Pushed && self.listeners.is_empty()
    }

    /// Takes its final response.
    ///
    /// # Errors
    /// Its body cannot be decoded, and why.
    pub(super) fn begin(&mut self, head: Head, bytes_max: u64) -> Result<(), String> {
        let decoder = Decoder::new(&head.encoding(), bytes_max);
        self.head = Some(head);
        self.decoder = decoder?;
        Ok(())
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.exchange.end, End::Failed(_))
    }

    /// Whether a want can take it: the same resource, requested in the same way (HTML, section
    /// 4.6.7.11: "consume a preloaded resource").
    fn serves(&self, want: &Want) -> bool {
        let Some(known) = &self.want else {
            return false;
        };
        // A module may be preloaded as what it is in Fetch: a script.
        let same = self.exchange.kind == want.kind
            || self.exchange.kind == Kind::Script && want.kind == Kind::Module;
        same && known.crossorigin == want.crossorigin
            && !self.listeners.is_empty()
            && !self.has_failed()
    }

    /// Notes the end of what came.
    pub(super) fn finish(&mut self, end: End, now: Duration) {
        self.exchange.last_byte = Some(now);
        self.exchange.end = end;
        self.stage = Stage::Over;
    }

    /// Notes bytes of the body, as they came.
    pub(super) fn add(&mut self, bytes: &Bytes, now: Duration) {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.exchange.bytes += u64::from(length);
        match self.exchange.pieces.last_mut() {
            Some((at, piece)) if *at == now => *piece = piece.saturating_add(length),
            _ => self.exchange.pieces.push((now, length)),
        }
    }
}

/// Every transfer of a load, in the order in which it was first heard of.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    rows: Vec<Transfer>,
    of_url: BTreeMap<Url, Vec<usize>>,
    of_want: BTreeMap<WantId, usize>,
}

impl Transfers {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn get(&self, row: usize) -> &Transfer {
        &self.rows[row]
    }

    pub(super) fn get_mut(&mut self, row: usize) -> &mut Transfer {
        &mut self.rows[row]
    }

    /// Returns the row that serves a want.
    pub(super) fn row_of(&self, want: WantId) -> Option<usize> {
        self.of_want.get(&want).copied()
    }

    /// Returns what is there or on its way that a want can share.
    pub(super) fn shared(&self, want: &Want) -> Option<usize> {
        self.find(&want.url, |transfer| transfer.serves(want))
    }

    /// Returns a promise for a URL that nobody has claimed.
    pub(super) fn unclaimed(&self, url: &Url) -> Option<usize> {
        self.find(url, |transfer| {
            transfer.is_unclaimed() && !transfer.has_failed()
        })
    }

    /// Returns whether something that nobody has claimed is still coming.
    pub(super) fn is_unclaimed_coming(&self) -> bool {
        let mut rows = self.rows.iter();
        rows.any(|transfer| transfer.is_unclaimed() && transfer.stage == Stage::Coming)
    }

    /// Returns what waits for its request to leave, and would take a promise instead.
    pub(super) fn waiting(&self, url: &Url) -> Option<usize> {
        self.find(url, |transfer| transfer.stage == Stage::Waiting)
    }

    /// Adds what is wanted, and returns its row.
    pub(super) fn want(&mut self, want: Want, way: Way, chain: Vec<Url>, now: Duration) -> usize {
        let mut exchange = exchange(&want.url, want.kind, way);
        exchange.initiator = want.initiator.and_then(|id| self.row_of(id));
        exchange.blocks_render = want.blocks_render;
        exchange.needed = Some(now);
        let url = cache::key(&want.url);
        let (listeners, id) = (vec![want.id], want.id);
        let row = self.add(url, exchange, Stage::Waiting);
        let transfer = &mut self.rows[row];
        transfer.listeners = listeners;
        transfer.want = Some(want);
        transfer.chain = chain;
        self.of_want.insert(id, row);
        row
    }

    /// Adds what is promised by a response, and returns its row.
    pub(super) fn promise(&mut self, url: &Url, by: usize, now: Duration) -> usize {
        let mut exchange = exchange(url, Kind::Other, Way::Pushed);
        exchange.initiator = Some(by);
        exchange.promised = Some(now);
        self.add(cache::key(url), exchange, Stage::Coming)
    }

    /// Lets a want take what serves it.
    pub(super) fn join(&mut self, row: usize, want: Want, now: Duration) {
        self.of_want.insert(want.id, row);
        let transfer = &mut self.rows[row];
        transfer.listeners.push(want.id);
        transfer.exchange.kind = want.kind;
        transfer.exchange.blocks_render |= want.blocks_render;
        transfer.exchange.needed.get_or_insert(now);
        transfer.want.get_or_insert(want);
    }

    /// Takes who is told of a transfer away from it, each as a want for `url`.
    pub(super) fn leave(&mut self, row: usize, url: &Url) -> Vec<Want> {
        let transfer = &mut self.rows[row];
        let listeners = std::mem::take(&mut transfer.listeners);
        let Some(template) = &transfer.want else {
            return Vec::new();
        };
        let wants = listeners.into_iter().map(|id| Want {
            id,
            url: url.clone(),
            kind: transfer.exchange.kind,
            blocks_render: transfer.exchange.blocks_render,
            ..template.clone()
        });
        wants.collect()
    }

    /// Notes what only the whole page could tell: which wants the first render waited for.
    pub(super) fn settle(&mut self, blocks_render: impl Fn(WantId) -> bool) {
        for transfer in &mut self.rows {
            transfer.exchange.blocks_render |=
                transfer.listeners.iter().any(|&id| blocks_render(id));
        }
    }

    /// Returns what is recorded of each.
    pub(super) fn into_exchanges(self) -> Vec<Exchange> {
        self.rows.into_iter().map(|row| row.exchange).collect()
    }

    fn find(&self, url: &Url, test: impl Fn(&Transfer) -> bool) -> Option<usize> {
        let rows = self.of_url.get(&cache::key(url))?;
        rows.iter().copied().find(|&row| test(&self.rows[row]))
    }

    fn add(&mut self, url: Url, exchange: Exchange, stage: Stage) -> usize {
        let row = self.rows.len();
        self.of_url.entry(url.clone()).or_default().push(row);
        self.rows.push(Transfer {
            exchange,
            url,
            want: None,
            listeners: Vec::new(),
            stage,
            head: None,
            body: Vec::new(),
            decoder: Decoder::Identity,
            stored: None,
            chain: Vec::new(),
        });
        row
    }
}

fn exchange(url: &Url, kind: Kind, way: Way) -> Exchange {
    Exchange {
        url: url[..Position::AfterQuery].to_owned(),
        kind,
        initiator: None,
        blocks_render: false,
        way,
        status: 0,
        content_type: String::new(),
        bytes: 0,
        needed: None,
        promised: None,
        asked: None,
        first_byte: None,
        last_byte: None,
        end: End::Open,
        pieces: Vec::new(),
    }
}
