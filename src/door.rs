//! What the doors share: one service, behind HTTP/2 and HTTP/1.1 alike.
//!
//! Knows nothing of frames; the doors turn its answers into bytes.

pub mod body;

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use http::request::Parts;
use http::{Method, Uri};

use self::body::Source;
use crate::access_log::{AccessLog, Entry, Way};
use crate::answer::{self, Answer, Authority, Held, Moment, Options, Peer, Pushes};
use crate::site::{Asset, Site, SiteRoot, UrlPath};
use crate::tls::Tls;

/// Times a file may turn out to have changed between stat and open before the request fails.
const REOPEN_MAX: usize = 3;

/// Everything that answering needs.
#[derive(Debug)]
pub struct Service {
    /// The site.
    pub site: Arc<SiteRoot>,
    /// The certificate in force: which authorities are ours.
    pub tls: Arc<Tls>,
    /// What the server was told to do.
    pub options: Options,
    /// Where a line per answer goes.
    pub log: AccessLog,
    /// The wall clock.
    pub now: fn() -> SystemTime,
}

impl Service {
    /// Returns a snapshot that is fit to answer a request from, if none has to be waited for.
    pub fn ready(&self, request: &Parts) -> Option<Arc<Site>> {
        if request.method != Method::GET && request.method != Method::HEAD {
            return Some(self.site.snapshot());
        }
        let raw = request.uri.path();
        if !answer::route::needs_decoding(raw) {
            return self.site.ready(raw);
        }
        match UrlPath::parse(raw) {
            Ok(path) => self.site.ready(path.as_str()),
            Err(_) => None,
        }
    }

    /// Returns a snapshot that is fit to answer a request from.
    pub async fn prepare(&self, uri: &Uri) -> Arc<Site> {
        match UrlPath::parse(uri.path()) {
            Ok(path) => self.site.prepare(&path).await,
            // It is answered without a file, but for the page that says so.
            Err(_) => match UrlPath::parse(answer::route::NOT_FOUND_PAGE) {
                Ok(path) => self.site.prepare(&path).await,
                Err(_) => self.site.snapshot(),
            },
        }
    }

    /// Opens a streamed file on a blocking thread.
    ///
    /// # Errors
    /// It cannot be opened, or is no longer the file that `asset` describes.
    pub async fn open(self: Arc<Self>, asset: Arc<Asset>) -> io::Result<Source> {
        let length = asset.length;
        let file = tokio::task::spawn_blocking(move || self.site.reader(&asset))
            .await
            .map_err(io::Error::other)??;
        Ok(Source::file(file, length))
    }

    /// Returns whether the certificate speaks for the authority that a request names.
    pub fn authority(&self, request: &Parts) -> Authority {
        let host = match request.uri.host() {
            Some(host) => Some(host),
            None => request
                .headers
                .get(http::header::HOST)
                .and_then(|host| host.to_str().ok())
                .and_then(without_port),
        };
        match host {
            Some(host) if self.tls.covers(host) => Authority::Covered,
            Some(_) => Authority::Misdirected,
            None => Authority::Absent,
        }
    }

    /// Returns the present moment.
    pub fn moment(&self) -> Moment {
        Moment::new((self.now)())
    }
}

/// Returns the host of a `Host` field (RFC 9110 section 7.2).
fn without_port(field: &str) -> Option<&str> {
    let authority = http::uri::Authority::try_from(field).ok()?;
    let host = authority.host();
    // The host is a part of the field as it stands.
    let start = field.find(host)?;
    field
        .get(start..start + host.len())
        .filter(|host| !host.is_empty())
}

/// Answers a request whose connection takes no pushes and remembers nothing.
pub fn answer_plainly(service: &Service, request: &Parts, site: &Site, moment: &Moment) -> Answer {
    let held = Held::default();
    let peer = Peer {
        authority: service.authority(request),
        pushes: Pushes::Refused,
        held: &held,
        informed: false,
    };
    answer::answer(request, &peer, site, service.options, moment)
}

/// How often a door may try to open a file anew.
pub fn may_reopen(tries: usize) -> bool {
    tries < REOPEN_MAX
}

/// Returns the log's entry for an answer, without its bytes.
pub fn entry(
    service: &Service,
    peer: std::net::IpAddr,
    request: &Parts,
    answer: &Answer,
    moment: &Moment,
) -> Option<Box<Entry>> {
    service.log.is_on().then(|| {
        Box::new(Entry {
            peer,
            time: moment.now,
            way: Way::Asked(request.method.clone()),
            target: answer::target(request).to_owned(),
            version: request.version,
            status: answer.head.status(),
            bytes: 0,
            promised: answer
                .promises
                .iter()
                .map(|p| p.url.target().to_owned())
                .collect(),
            hinted: answer.hinted,
        })
    })
}
