//! What the doors share: one service, behind HTTP/2 and HTTP/1.1 alike.
//!
//! Knows nothing of frames; the doors turn its answers into bytes.

pub mod body;
pub mod channels;
pub mod conversation;
pub mod limits;
pub mod live;
pub mod sign_in;

use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Version, header, uri};

use self::body::Source;
use self::channels::{Channels, From, Reply};
use self::limits::{Buffers, Limits};
use self::live::Live;
use self::sign_in::SignIns;
use crate::access_log::{AccessLog, Entry, Way};
use crate::answer::authorization::Credentials;
use crate::answer::listing;
use crate::answer::live::Received;
use crate::answer::route::{self, Asked, Wanted};
use crate::answer::{
    self, Action, Admission, Answer, Authority, Handler, Held, LivePage, Moment, Options, Peer,
    Piece, Pushes, Streamed, Unencoded,
};
use crate::metrics::{Count, Metrics, REASONS_MAX};
use crate::site::plan::Skip;
use crate::site::{Site, SiteRoot, UrlPath};
use crate::tls::Tls;

/// Times a file may turn out to have changed between stat and open before the request fails.
const REOPEN_MAX: usize = 3;

/// What is looked up for a request, after what it names: where a rule leads, that directory's page,
/// and what stands in for it.
const LOOKS_MAX: usize = 4;

/// Everything that answering needs.
#[derive(Debug)]
pub struct Service {
    /// The site.
    pub site: Arc<SiteRoot>,
    /// What answers requests for what is in it.
    pub handler: Handler,
    /// The certificate in force: which authorities are ours.
    pub tls: Arc<Tls>,
    /// What the server was told to do.
    pub options: Options,
    /// Live reload, where it is on: without it, its URLs are like any other.
    pub live: Option<Live>,
    /// Channels, where they are on: without them, their URLs are like any other.
    pub channels: Option<Arc<Channels>>,
    /// Where a line per answer goes.
    pub log: AccessLog,
    /// What peers may take.
    pub limits: Limits,
    /// The bytes that are held for all peers.
    pub buffers: Arc<Buffers>,
    /// The turns at verifying credentials.
    pub sign_ins: Arc<SignIns>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The wall clock.
    pub now: fn() -> SystemTime,
    /// How long each page takes to be made, before its final response: zero but for measuring what
    /// that makes of hints and pushes.
    pub think: Duration,
}

/// The authority that the requests of a connection name, once it was found to be one to answer for:
/// nearly all name the same, and a wildcard takes a parse of the certificate.
#[derive(Debug, Default)]
pub struct Covered {
    authority: String,
    /// [`Tls::replaced`] at that time.
    replaced: u64,
}

/// What an answer is made from.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The snapshot.
    pub site: &'a Site,
    /// What a page is told, as it was before the snapshot was taken.
    pub live: Option<LivePage>,
}

impl Service {
    /// Returns a snapshot that is fit to answer a request from, if none has to be waited for.
    pub fn ready(&self, request: &Parts) -> Option<Arc<Site>> {
        guarded(|| self.at_hand(request)).flatten()
    }

    fn at_hand(&self, request: &Parts) -> Option<Arc<Site>> {
        if self.unverified(request).is_some() {
            return None;
        }
        let is_read = request.method == Method::GET || request.method == Method::HEAD;
        if self.admission(request) == Admission::Refused
            || !is_read
            || self.reserved(request).is_some()
        {
            return Some(self.site.snapshot());
        }
        if self.thinks_of(request.uri.path()) {
            return None;
        }
        let options = self.present_options();
        let asked = Asked::by(request, options);
        let path = route::decoded(request.uri.path())?;
        if let Some(ready) = self.site.ready(&path) {
            let is_ready = route::is_direct(&ready, asked)
                && answer::needs_encoding(request, &ready, options).is_none();
            return is_ready.then_some(ready);
        }
        let site = self.site.instructed()?;
        route::is_sent_elsewhere(&site, asked).then_some(site)
    }

    /// Returns a snapshot that is fit to answer a request from, and whether that may be done; none
    /// if a defect of ours is in the way.
    pub async fn prepare(&self, request: &Parts, peer: IpAddr) -> Option<(Arc<Site>, Admission)> {
        guarded_while(self.make_ready(request, peer)).await
    }

    async fn make_ready(&self, request: &Parts, peer: IpAddr) -> (Arc<Site>, Admission) {
        let admission = self.verify(request, peer).await;
        if admission != Admission::Granted {
            return (self.site.snapshot(), admission);
        }
        let raw = request.uri.path();
        if self.thinks_of(raw) {
            tokio::time::sleep(self.think).await;
        }
        let site = self.look_up(request).await;
        let unencoded = answer::needs_encoding(request, &site, self.present_options());
        if let Some(Unencoded { asset, coding }) = unencoded {
            self.site.encode_now(&asset, coding).await;
        }
        (site, admission)
    }

    async fn look_up(&self, request: &Parts) -> Arc<Site> {
        // What names no path is answered without a file, but for the page that says so.
        let path =
            UrlPath::parse(request.uri.path()).or_else(|_| UrlPath::parse(route::NOT_FOUND_PAGE));
        let Ok(path) = path else {
            return self.site.snapshot();
        };
        let mut site = self.site.prepare(&path).await;
        let mut known = vec![path];
        let asked = Asked::by(request, self.present_options());
        for _ in 0..LOOKS_MAX {
            site = match route::wanted(&site, asked, &known) {
                Some(Wanted::Entry(path)) if !known.contains(&path) => {
                    known.push(path);
                    let (path, before) = (&known[known.len() - 1], &known[..known.len() - 1]);
                    self.site.prepare_also(path, &site, before).await
                }
                Some(Wanted::Listing(path)) => {
                    let form = listing::form(request);
                    self.site.list(&path, &site, form, listing::render).await
                }
                Some(Wanted::Entry(_)) | None => break,
            };
        }
        site
    }

    /// Returns what a page is told while its site is edited. To be asked before the snapshot is
    /// taken that answers: what is published between the two is then told twice, and never lost.
    pub fn live_page(&self) -> Option<LivePage> {
        self.live.as_ref().map(Live::page).or(self.options.live)
    }

    /// Returns the options by which requests are answered now, so that what is looked up for one is
    /// what its answer takes.
    fn present_options(&self) -> Options {
        Options {
            live: self.live_page(),
            ..self.options
        }
    }

    /// Returns the answer to a request: 500 if a defect of ours is in the way.
    pub fn answer(
        &self,
        request: &Parts,
        received: &Received,
        peer: &Peer<'_>,
        seen: Seen<'_>,
        moment: &Moment,
    ) -> Answer {
        guarded(|| self.answered(request, received, peer, seen, moment))
            .unwrap_or_else(|| answer::failed(moment))
    }

    fn answered(
        &self,
        request: &Parts,
        received: &Received,
        peer: &Peer<'_>,
        seen: Seen<'_>,
        moment: &Moment,
    ) -> Answer {
        match self.reserved(request) {
            Some(live)
                if peer.authority == Authority::Covered && peer.admission == Admission::Granted =>
            {
                answer::live::answer(&live.pages, request, received, moment)
            }
            _ => {
                let options = Options {
                    live: seen.live,
                    ..self.options
                };
                let mut answer = (self.handler)(request, peer, seen.site, options, moment);
                for Unencoded { asset, coding } in answer.unencoded.drain(..) {
                    self.site.encode(&asset, coding);
                }
                if let Some(channels) = &self.channels {
                    channels::dress(channels, answer.head.headers_mut());
                }
                answer
            }
        }
    }

    /// Returns channels, if a request is theirs to answer.
    pub fn channels(&self, request: &Parts) -> Option<&Arc<Channels>> {
        let channels = self.channels.as_ref();
        channels.filter(|channels| channels.is_reserved(request.uri.path()))
    }

    /// Returns what channels have to say to a request that is theirs, if it may be answered: 500 if
    /// a defect of ours is in the way. `receive` reads its body.
    pub async fn reply(
        &self,
        channels: &Arc<Channels>,
        request: &Parts,
        from: From<'_>,
        receive: impl AsyncFnOnce(usize) -> Received,
    ) -> Reply {
        guarded_while(self.replied(channels, request, from, receive))
            .await
            .unwrap_or_else(|| Reply::Answered(Box::new(answer::failed(&self.moment()))))
    }

    async fn replied(
        &self,
        channels: &Arc<Channels>,
        request: &Parts,
        from: From<'_>,
        receive: impl AsyncFnOnce(usize) -> Received,
    ) -> Reply {
        let admission = self.verify(request, from.address).await;
        let moment = self.moment();
        if self.authority(request) != Authority::Covered || admission != Admission::Granted {
            let site = self.site.snapshot();
            let seen = Seen {
                site: &site,
                live: None,
            };
            let answer =
                answer_plainly(self, request, &Received::Nothing, admission, seen, &moment);
            return Reply::Answered(Box::new(answer));
        }
        channels.reply(request, from, &moment, receive).await
    }

    /// Returns whether the body of a request is wanted, and how many bytes of it.
    pub fn wanted_bytes_max(&self, request: &Parts) -> Option<usize> {
        let reserved = self.reserved(request);
        reserved.and_then(|_| answer::live::wanted_bytes_max(request))
    }

    /// Does what an answer asks for besides being sent.
    pub fn act(&self, action: Action) {
        let Some(live) = &self.live else { return };
        match action {
            Action::Told(heard) => live.told(heard),
            Action::Used(used) => live.note(used),
        }
    }

    /// Returns whether a path is a page's, and takes time.
    fn thinks_of(&self, path: &str) -> bool {
        !self.think.is_zero() && self.site.snapshot().page(path).is_some()
    }

    fn reserved(&self, request: &Parts) -> Option<&Live> {
        let live = self.live.as_ref();
        live.filter(|_| answer::live::is_reserved(request.uri.path()))
    }

    /// Opens a streamed file on a blocking thread; `tries` is how often it was for this request.
    ///
    /// # Errors
    /// It cannot be opened, or is no longer the file that was described.
    pub async fn open(self: Arc<Self>, streamed: Streamed, tries: usize) -> io::Result<Source> {
        let Streamed { asset, pieces } = streamed;
        let buffers = Arc::clone(&self.buffers);
        let opening = tokio::task::spawn_blocking(move || match tries {
            0 => self.site.reader(&asset),
            _ => self.site.reader_of_log(&asset),
        });
        let file = opening.await.map_err(io::Error::other)??;
        let file = Arc::new(file);
        Ok(Source::joined(pieces.into_iter().map(
            |piece| match piece {
                Piece::Bytes(bytes) => Source::Memory(bytes),
                Piece::File(range) => Source::file(Arc::clone(&file), range, buffers.part()),
            },
        )))
    }

    /// Returns whether the authority that a request names is one to answer for: the certificate
    /// speaks for it, or it was allowed by name. Whoever owns another name may make it lead here
    /// (DNS rebinding), and reads nothing.
    pub fn authority(&self, request: &Parts) -> Authority {
        match named_host(request) {
            Named::Host(host) if self.tls.covers(host) || self.is_allowed(host) => {
                Authority::Covered
            }
            Named::Host(_) => Authority::Misdirected,
            // It cannot name one, and whatever it meant, it came here.
            Named::Nothing if request.version == Version::HTTP_10 => Authority::Covered,
            Named::Nothing | Named::Nonsense => Authority::Absent,
        }
    }

    /// Returns the same for one of many requests of a connection over HTTP/2.
    pub fn authority_among(&self, request: &Parts, covered: &mut Covered) -> Authority {
        let replaced = self.tls.replaced();
        let named = request.uri.authority().map_or("", uri::Authority::as_str);
        // A field beside it may contradict it.
        let is_alone = !named.is_empty() && !request.headers.contains_key(header::HOST);
        if is_alone && replaced == covered.replaced && named == covered.authority {
            return Authority::Covered;
        }
        let authority = self.authority(request);
        if is_alone && authority == Authority::Covered {
            named.clone_into(&mut covered.authority);
            covered.replaced = replaced;
        }
        authority
    }

    fn is_allowed(&self, host: &str) -> bool {
        let live = self.live.as_ref();
        live.is_some_and(|live| live.answers_to(host))
    }

    /// Returns whether a request may be answered.
    pub fn admission(&self, request: &Parts) -> Admission {
        let Some(users) = &self.options.policy.users else {
            return Admission::Granted;
        };
        match Credentials::of(&request.headers) {
            Some(credentials) if users.know(&credentials) => Admission::Granted,
            _ => Admission::Refused,
        }
    }

    /// Returns as whom a request is sent, if its peer has signed in.
    fn user(&self, request: &Parts) -> Option<String> {
        let users = self.options.policy.users.as_ref()?;
        users.name_in(&request.headers)
    }

    /// Returns the credentials of a request that have to be verified before it is answered.
    fn unverified(&self, request: &Parts) -> Option<Credentials> {
        let users = self.options.policy.users.as_ref()?;
        Credentials::of(&request.headers).filter(|credentials| !users.know(credentials))
    }

    /// Verifies the credentials of a request, if that has to be done, and returns whether it may
    /// be answered. Takes long, and few do it at a time.
    async fn verify(&self, request: &Parts, peer: IpAddr) -> Admission {
        let Some(users) = &self.options.policy.users else {
            return Admission::Granted;
        };
        if self.unverified(request).is_none() {
            return self.admission(request);
        }
        let turn = self.sign_ins.turn(peer).await;
        // Whoever had the turn before may have come with the same.
        let Some(credentials) = self.unverified(request) else {
            return self.admission(request);
        };
        let Some(turn) = turn else {
            return Admission::Busy;
        };
        let verifying = tokio::task::spawn_blocking(move || {
            // It ends with the verifying, even if the peer has left by then.
            let _turn = turn;
            users.verify(&credentials)
        });
        // An error is a panic there, which has been reported: nobody is admitted.
        let _ = verifying.await;
        self.admission(request)
    }

    /// Returns the present moment.
    pub fn moment(&self) -> Moment {
        Moment::new((self.now)())
    }
}

/// The host that a request is for.
#[derive(Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// This one, as it is written, without a port.
    Host(&'a str),
    /// None is named.
    Nothing,
    /// What names none, or two.
    Nonsense,
}

/// Returns the host that a request names: in its target, or else in its one `Host` (RFC 9112
/// section 3.2). Over HTTP/2 the two may not contradict each other (RFC 9113 section 8.3.1).
pub fn named_host(request: &Parts) -> Named<'_> {
    let mut fields = request.headers.get_all(header::HOST).iter();
    let (field, second) = (fields.next(), fields.next());
    let field = match field.map(HeaderValue::to_str) {
        Some(Err(_)) => return Named::Nonsense,
        Some(Ok(text)) => Some(text),
        None => None,
    };
    if second.is_some() {
        return Named::Nonsense;
    }
    let target = request.uri.authority().map(host_of);
    match (target, field.map(host_in), request.version) {
        (None, None, _) => Named::Nothing,
        // It has the field whatever its target says.
        (Some(_), None, Version::HTTP_11) => Named::Nonsense,
        (Some(Some(host)), Some(Some(other)), Version::HTTP_2)
            if !host.eq_ignore_ascii_case(other) =>
        {
            Named::Nonsense
        }
        (Some(Some(host)), None | Some(Some(_)), _) | (None, Some(Some(host)), _) => {
            Named::Host(host)
        }
        _ => Named::Nonsense,
    }
}

/// Returns the host of an authority without user information (RFC 9110 section 7.2).
fn host_of(authority: &uri::Authority) -> Option<&str> {
    let host = authority.host();
    // The parser takes what is not allowed here.
    (!host.is_empty() && !authority.as_str().contains('@')).then_some(host)
}

/// The same of one that is only text yet.
fn host_in(text: &str) -> Option<&str> {
    let authority = text.parse().ok()?;
    // The host stands first.
    text.get(..host_of(&authority)?.len())
}

/// Answers a request whose connection takes no pushes and remembers nothing.
pub fn answer_plainly(
    service: &Service,
    request: &Parts,
    received: &Received,
    admission: Admission,
    seen: Seen<'_>,
    moment: &Moment,
) -> Answer {
    let held = Held::default();
    let peer = Peer {
        authority: service.authority(request),
        admission,
        pushes: Pushes::Refused,
        held: &held,
        informed: false,
    };
    service.answer(request, received, &peer, seen, moment)
}

/// Returns what something returns, or nothing if it panics, which has been reported by then. A
/// defect of ours that one request meets must not take the others along on its connection.
///
/// What is shared stands behind locks that a panic does not close, and is never left half done.
pub fn guarded<T>(act: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(act)).ok()
}

/// The same of what has to be waited for.
async fn guarded_while<T>(act: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(act).catch_unwind().await.ok()
}

/// How often a door may try to open a file anew.
pub fn may_reopen(tries: usize) -> bool {
    tries < REOPEN_MAX
}

// Each reason is counted by itself.
const _: () = assert!(Skip::ALL.len() <= REASONS_MAX);

/// Counts an answer.
pub fn count(service: &Service, request: &Parts, answer: &Answer) {
    let metrics = &service.metrics;
    metrics.count(Count::Answered(request.version, answer.head.status()));
    if answer.hinted > 0 {
        metrics.add(Count::Hinted, answer.hinted as u64);
    }
    for skip in &answer.skips {
        metrics.count(Count::Skipped(skip.number()));
    }
}

/// Returns the log's entry for an answer, without its bytes; `None` if nobody logs, or if it is not
/// of the site: who edits one looks for what it is asked for.
pub fn entry(
    service: &Service,
    peer: IpAddr,
    request: &Parts,
    answer: &Answer,
    moment: &Moment,
) -> Option<Box<Entry>> {
    let is_logged = service.log.is_on() && service.reserved(request).is_none();
    is_logged.then(|| {
        Box::new(Entry {
            peer,
            user: service.user(request),
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

/// Counts and logs an answer to what could not be read as a request, and so was never ours to
/// answer.
pub fn note_unread(service: &Service, peer: IpAddr, version: Version, status: StatusCode) {
    service.metrics.count(Count::Answered(version, status));
    service.log.write(Entry {
        peer,
        user: None,
        time: (service.now)(),
        way: Way::Unread,
        target: "-".to_owned(),
        version,
        status,
        bytes: 0,
        promised: Vec::new(),
        hinted: 0,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(version: Version, target: &str, hosts: &[&str], expected: &Named<'_>) {
        let mut request = http::Request::get(target).version(version);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        let (request, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(named_host(&request), *expected, "{target} {hosts:?}");
    }

    #[test]
    fn a_host_is_named_once_and_without_contradiction() {
        use Named::{Host, Nonsense, Nothing};
        let (one, two) = (Version::HTTP_11, Version::HTTP_2);
        check(one, "/", &["localhost:8443"], &Host("localhost"));
        check(one, "/", &["[::1]:8443"], &Host("[::1]"));
        check(one, "/", &["a", "a"], &Nonsense);
        check(one, "/", &["user@localhost"], &Nonsense);
        check(one, "/", &["a b"], &Nonsense);
        check(one, "/", &[""], &Nonsense);
        check(one, "/", &[], &Nothing);
        // A proxy's form of target overrules the field.
        check(one, "https://localhost/", &["other"], &Host("localhost"));
        check(one, "https://localhost/", &[], &Nonsense);
        check(one, "https://localhost/", &["a b"], &Nonsense);
        check(
            Version::HTTP_10,
            "https://localhost/",
            &[],
            &Host("localhost"),
        );
        check(two, "https://localhost:1/", &[], &Host("localhost"));
        check(
            two,
            "https://localhost:1/",
            &["LOCALHOST"],
            &Host("localhost"),
        );
        check(two, "https://localhost/", &["other"], &Nonsense);
        check(two, "https://user@localhost/", &[], &Nonsense);
    }
}
