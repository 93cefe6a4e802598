//! Request and snapshot to answer: pure, without waiting, one snapshot.
//!
//! Everything HTTP means is decided here; the doors (`http2`, `http1`) only do it. Nothing here
//! knows of streams, sockets or the disk. Read on in [`route`], `file`, [`conditional`],
//! [`encoding`], `representation` (in which form a file is sent), [`range`], [`preload`], [`held`],
//! `injected` (pages while their site is edited), [`requested`] (who asks meanwhile) and, for what
//! is not of the site, [`live`] and [`channels`]. [`policy`] is what whoever runs the server says
//! of all answers, [`authorization`] who may read any; [`listing`] shows directories, and `instead`
//! answers where no file is sent.

pub mod authorization;
mod body;
pub mod channels;
pub mod conditional;
pub mod encoding;
mod file;
pub mod held;
mod injected;
mod instead;
pub mod listing;
pub mod live;
pub mod policy;
pub mod preload;
pub mod range;
mod representation;
pub mod requested;
pub mod route;

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};

pub use body::{Body, Piece, Rank, Streamed};
pub use held::Held;
pub use injected::LivePage;
pub use policy::Policy;
use route::{Asked, Route};

use crate::site::encodings::Coding;
use crate::site::graph::Need;
use crate::site::plan::Skip;
use crate::site::{Asset, Site, SiteUrl};

/// How what a page needs is sent ahead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Deliver {
    /// Pushed to a peer that takes pushes, hinted to a navigation of one that does not, `Link`
    /// alone over HTTP/1.1.
    #[default]
    Auto,
    /// Pushed to a peer that takes pushes; nothing to others.
    Push,
    /// Hinted in a 103 and the 200, even where the 103 gains nothing.
    Hints,
    /// In the `Link` of the 200 alone.
    Link,
    /// Not at all.
    None,
}

impl Deliver {
    /// Returns whether anything may be pushed.
    fn may_push(self) -> bool {
        matches!(self, Self::Auto | Self::Push)
    }
}

/// What the server was told to do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// How what a page needs is sent ahead.
    pub deliver: Deliver,
    /// Whether responses say in `Server-Timing` what was sent ahead and why the rest was not.
    pub explain: bool,
    /// The site is being edited: pages hear of changes, and nothing is used without asking. A
    /// request's own: see [`LivePage::cursor`].
    pub live: Option<LivePage>,
    /// What whoever runs the server says of all answers.
    pub policy: &'static Policy,
}

/// The other side, as far as answers depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'a> {
    /// The certificate covers the authority that was asked for.
    pub authority: Authority,
    /// Whether it has signed in, where that is asked for.
    pub admission: Admission,
    /// Whether the peer takes pushes, and how many.
    pub pushes: Pushes,
    /// What it holds.
    pub held: &'a Held,
    /// Whether a 103 has gone out for this request already: then there is no second, and the 200
    /// repeats its links.
    pub informed: bool,
}

/// Whether the certificate speaks for the authority that was asked for (RFC 9110 section 7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// It does.
    Covered,
    /// It does not: 421.
    Misdirected,
    /// None was named, or it is malformed: 400.
    Absent,
}

/// Whether who asks may (RFC 7617).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Granted,
    /// It has to sign in: 401.
    Refused,
    /// Whether it may could not be found out yet, as too many sign in: 503.
    Busy,
}

/// Whether a peer takes pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushes {
    /// It does.
    Taken {
        /// Streams it still allows.
        promises_max: usize,
        /// Bytes of its connection window that nothing else will fill.
        bytes_max: u64,
    },
    /// It refuses, or its protocol has none.
    Refused,
}

/// Wall time, as a value.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Now.
    pub now: SystemTime,
    /// `Date`.
    pub date: HeaderValue,
}

impl Moment {
    /// Returns a moment with its `Date` written out.
    pub fn new(now: SystemTime) -> Self {
        Self {
            now,
            date: http_date(now),
        }
    }
}

/// An answer: plain data, in the order in which it is spent.
#[derive(Debug)]
pub struct Answer {
    /// Requests promised with it, each with its own answer.
    pub promises: Vec<Promise>,
    /// Header of the 103 that precedes it, if any.
    pub hints: Option<HeaderMap>,
    /// Status and header.
    pub head: Response<()>,
    /// The body.
    pub body: Body,
    /// What the body is to the order of sending.
    pub rank: Rank,
    /// The diary key of what the peer holds after this answer.
    pub holds: Option<u64>,
    /// How many links its `Link` hints at.
    pub hinted: usize,
    /// Files that would have been sent in another form, had there been one: to be made for those
    /// who ask later.
    pub unencoded: Vec<Unencoded>,
    /// Why what it could have sent ahead was not, each time.
    pub skips: Vec<Skip>,
    /// What the door does besides.
    pub action: Option<Action>,
}

/// A file that is to be had in an encoding.
#[derive(Debug, Clone)]
pub struct Unencoded {
    /// The file.
    pub asset: Arc<Asset>,
    /// The encoding.
    pub coding: Coding,
}

/// What a door does besides answering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It passes on what a page has told.
    Told(live::Heard),
    /// It notes who uses what.
    Used(requested::Use),
}

/// A promised request and its response.
#[derive(Debug)]
pub struct Promise {
    /// What is promised.
    pub url: SiteUrl,
    /// Header of the response.
    pub head: Response<()>,
    /// Body of the response.
    pub body: Body,
    /// Why the page needs it.
    pub need: Need,
    /// Its diary key.
    pub key: u64,
}

/// What answers a request: [`answer`], or a double of it.
pub type Handler = fn(&Parts, &Peer<'_>, &Site, Options, &Moment) -> Answer;

/// Returns the answer to a request.
pub fn answer(
    request: &Parts,
    peer: &Peer<'_>,
    site: &Site,
    options: Options,
    moment: &Moment,
) -> Answer {
    match peer.authority {
        Authority::Covered => {}
        Authority::Misdirected => return plain(StatusCode::MISDIRECTED_REQUEST, moment),
        Authority::Absent => return plain(StatusCode::BAD_REQUEST, moment),
    }
    let mut answer = match peer.admission {
        Admission::Granted => from_site(request, peer, site, options, moment),
        // A browser asks without signing in whether a script may make a request.
        Admission::Refused if request.method == Method::OPTIONS => {
            from_site(request, peer, site, options, moment)
        }
        Admission::Refused => instead::sign_in(request, moment),
        Admission::Busy => instead::busy(request, moment),
    };
    if !stands_for_path(answer.head.status()) {
        dress(request, options.policy, answer.head.headers_mut());
    }
    if is_of_one_request(answer.head.status()) {
        policy::let_nobody_keep(answer.head.headers_mut());
    }
    if options.live.is_some() {
        let promised = answer.promises.iter_mut().map(|promise| &mut promise.head);
        for head in promised.chain([&mut answer.head]) {
            let ask_first = HeaderValue::from_static("no-cache");
            head.headers_mut().insert(header::CACHE_CONTROL, ask_first);
        }
        injected::open_policies(answer.head.headers_mut());
        // What is told of a page is told of one that is shown: nobody uses that.
        let is_known = peer.admission == Admission::Granted;
        let used = || requested::used(request, site, options).map(Action::Used);
        answer.action = answer.action.or_else(|| is_known.then(used).flatten());
    }
    answer
}

/// Answers with what the site has at a target.
fn from_site(
    request: &Parts,
    peer: &Peer<'_>,
    site: &Site,
    options: Options,
    moment: &Moment,
) -> Answer {
    if request.method == Method::OPTIONS {
        let mut answer = allow(plain(StatusCode::NO_CONTENT, moment));
        options.policy.preflight(request, answer.head.headers_mut());
        return answer;
    }
    if request.method != Method::GET && request.method != Method::HEAD {
        return allow(plain(StatusCode::METHOD_NOT_ALLOWED, moment));
    }
    let asked = Asked::by(request, options);
    let route = route::route(site, asked);
    let varies = match &route {
        Route::Application(_) => true,
        // A navigation would have been shown the application.
        Route::NotFound(_) | Route::Unknown(_) => asked.may_be_application(),
        _ => false,
    };
    let mut answer = match route {
        Route::File(asset) | Route::Instead(StatusCode::OK, asset) => {
            file::answer(request, peer, site, asset, options, moment)
        }
        Route::Application(asset) => file::answer(request, peer, site, asset, options, moment),
        Route::Instead(_, page) => instead::not_found(request, site, Some(page), options, moment),
        Route::Redirect(status, location) => instead::redirect(status, location, moment),
        Route::Listing(listing) => listing::answer(request, site, listing, options, moment),
        Route::Malformed => plain(StatusCode::BAD_REQUEST, moment),
        Route::NotFound(page) => instead::not_found(request, site, page, options, moment),
        Route::Unknown(_) => instead::not_found(request, site, None, options, moment),
    };
    if varies {
        let fields = HeaderValue::from_static("Sec-Fetch-Mode, Accept");
        answer.head.headers_mut().append(header::VARY, fields);
    }
    if request.method == Method::HEAD {
        answer.body = Body::Empty;
        answer.holds = None;
    }
    answer
}

/// Returns whether an answer says what is at a path, rather than that it is elsewhere or wrong.
fn stands_for_path(status: StatusCode) -> bool {
    use StatusCode as Is;
    let is_content = [Is::OK, Is::PARTIAL_CONTENT, Is::NOT_MODIFIED].contains(&status);
    is_content || status == Is::NOT_FOUND || is_of_one_request(status)
}

/// Returns whether an answer is due to what one request wants, so that it answers no other, though
/// a cache would keep it if it said for how long (RFC 9111 section 3).
fn is_of_one_request(status: StatusCode) -> bool {
    use StatusCode as Is;
    [
        Is::NOT_ACCEPTABLE,
        Is::PRECONDITION_FAILED,
        Is::RANGE_NOT_SATISFIABLE,
    ]
    .contains(&status)
}

/// Adds to a header what whoever runs the server says of all answers.
fn dress(request: &Parts, policy: &Policy, headers: &mut HeaderMap) {
    policy.secure(request, headers);
    if request.method != Method::OPTIONS {
        policy.share(request, headers);
    }
}

/// Adds to the header of what is at a path what is said of all answers, and then changes it as the
/// author of the site says in `_headers`.
fn author(
    request: &Parts,
    site: &Site,
    path: Option<&str>,
    options: Options,
    headers: &mut HeaderMap,
) {
    dress(request, options.policy, headers);
    if let Some(path) = path.filter(|_| !site.headers().is_empty()) {
        site.headers().apply(path, headers);
    }
    options.policy.protect(headers);
}

/// Returns what has to be encoded before a request can be answered: it refuses the file as it is.
pub fn needs_encoding(request: &Parts, site: &Site, options: Options) -> Option<Unencoded> {
    representation::refuses_identity(&request.headers).then_some(())?;
    let asset = route::route(site, Asked::by(request, options)).served()?;
    let coding = representation::needed(&request.headers, asset)?;
    Some(Unencoded {
        asset: Arc::clone(asset),
        coding,
    })
}

/// Returns path and query of a request.
pub fn target(request: &Parts) -> &str {
    request
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str())
}

fn entity_tag(tag: &str) -> HeaderValue {
    HeaderValue::from_str(tag).expect("base64, a dot and quotes are visible ASCII")
}

/// Returns the answer to a request that cannot be answered for reasons of ours: 500.
pub fn failed(moment: &Moment) -> Answer {
    let mut answer = plain(StatusCode::INTERNAL_SERVER_ERROR, moment);
    let headers = answer.head.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// Returns an answer with a status and no body.
fn plain(status: StatusCode, moment: &Moment) -> Answer {
    let mut head = Response::new(());
    *head.status_mut() = status;
    let headers = head.headers_mut();
    headers.insert(header::DATE, moment.date.clone());
    if status != StatusCode::NO_CONTENT {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    Answer {
        promises: Vec::new(),
        hints: None,
        head,
        body: Body::Empty,
        rank: Rank::Other,
        holds: None,
        hinted: 0,
        unencoded: Vec::new(),
        skips: Vec::new(),
        action: None,
    }
}

fn allow(mut answer: Answer) -> Answer {
    let methods = HeaderValue::from_static("GET, HEAD, OPTIONS");
    answer.head.headers_mut().insert(header::ALLOW, methods);
    answer
}

fn http_date(time: SystemTime) -> HeaderValue {
    HeaderValue::try_from(httpdate::fmt_http_date(time)).expect("a date is visible ASCII")
}
