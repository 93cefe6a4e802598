//! Request and snapshot to answer: pure, without waiting, one snapshot.
//!
//! Everything HTTP means is decided here; the doors (`http2`, `http1`) only do it. Nothing here
//! knows of streams, sockets or the disk. Read on in [`route`], [`conditional`], [`encoding`],
//! `representation` (in which form a file is sent), [`range`], [`preload`], [`held`], `injected`
//! (pages while their site is edited), [`requested`] (who asks meanwhile) and, for what is not of
//! the site, [`live`] and [`channels`]. [`policy`] is what whoever runs the server says of all
//! answers, [`authorization`] who may read any; [`listing`] shows directories, and `instead`
//! answers where no file is sent.

pub mod authorization;
mod body;
pub mod channels;
pub mod conditional;
pub mod encoding;
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
use conditional::{Validators, Verdict};
use encoding::Accepted;
pub use held::Held;
use injected::Injected;
pub use injected::LivePage;
pub use policy::Policy;
use preload::Ahead;
use representation::{Representation, Representations, Unsent};
use route::{Asked, Route};

use crate::site::encodings::Coding;
use crate::site::graph::Need;
use crate::site::links::header::{self as link, HeaderLink};
use crate::site::plan::Skip;
use crate::site::{Asset, Kind, Page, Site, SiteUrl};

/// Smallest file whose parts are offered, in bytes: less is sent in one frame.
const PARTS_OFFERED_MIN: u64 = 16 * 1024;
const BYTES: HeaderValue = HeaderValue::from_static("bytes");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("Accept-Encoding");

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
            file(request, peer, site, asset, options, moment)
        }
        Route::Application(asset) => file(request, peer, site, asset, options, moment),
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
    is_content
        || [
            Is::NOT_FOUND,
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

/// Takes out of a page's header the links that its plan has: they are sent as that. Those to what a
/// rule answers stay: that cannot be promised, but a client that asks for it gets it, if need be
/// elsewhere.
fn without_planned_links(site: &Site, page: &SiteUrl, headers: &mut HeaderMap) {
    let is_planned = |link: &HeaderLink| {
        let ahead = link.ahead(page);
        ahead.is_some_and(|ahead| !route::is_answered_by_a_rule(site, &ahead.url))
    };
    let rest: Vec<_> = headers
        .get_all(header::LINK)
        .iter()
        .filter_map(|value| link::parse(value.to_str().ok()?))
        .flatten()
        .filter(|link| !is_planned(link))
        .filter_map(|link| HeaderValue::try_from(link.text).ok())
        .collect();
    headers.remove(header::LINK);
    for link in rest {
        headers.append(header::LINK, link);
    }
}

/// Answers with a file of the site.
fn file(
    request: &Parts,
    peer: &Peer<'_>,
    site: &Site,
    asset: &Arc<Asset>,
    options: Options,
    moment: &Moment,
) -> Answer {
    let page = match asset.kind {
        Kind::Page => site.page(asset.path.as_str()),
        _ => None,
    };
    let path = route::decoded(request.uri.path());
    let injected = options
        .live
        .filter(|_| injected::is_shown(&request.headers))
        .and_then(|live| injected::page(asset, page.map(Arc::as_ref), live, path.as_deref()));
    let accepted = Accepted::read(&request.headers);
    let (mut answer, part) = if let Some(injected) = &injected {
        let shown = show(request, asset, page, injected, accepted, options, moment);
        (shown, None)
    } else {
        let forms = Representations::new(asset, page, options, accepted);
        send(request, &forms, asset, page, options, moment)
    };
    let headers = answer.head.headers_mut();
    vary(headers, asset.kind, options.live);
    author(request, site, path.as_deref(), options, headers);
    vary_by_encoding(headers, asset);
    if let Some(part) = part {
        range::apply(&mut answer, part, asset.content_hash);
    }
    match answer.head.status() {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED => {
            answer.holds = holds(request, peer, asset, options);
            return answer;
        }
        // A part of a page, or none of it, shows nothing.
        _ => return answer,
    }
    if options.live.is_some() && injected::is_shown(&request.headers) {
        answer.action = injected::obstacle(asset, injected.as_ref())
            .map(|why| Action::Told(live::Heard::blocked(target(request), why)));
    }
    if let Some(page) = page.filter(|_| request.method == Method::GET) {
        if page.plan.is_linked {
            let page = SiteUrl::from(asset.path.clone());
            without_planned_links(site, &page, answer.head.headers_mut());
        }
        let ahead = preload::ahead(request, peer, site, page, options);
        spend(request, ahead, &mut answer, site, accepted, options, moment);
    } else {
        answer.holds = holds(request, peer, asset, options);
    }
    answer
}

/// Sends a file in the form that a request likes best, or says why not; with the part that is to be
/// cut out of it, if any.
fn send<'a>(
    request: &'a Parts,
    forms: &Representations<'_>,
    asset: &Arc<Asset>,
    page: Option<&Arc<Page>>,
    options: Options,
    moment: &Moment,
) -> (Answer, Option<&'a HeaderValue>) {
    let asked_for = match forms.evaluate(&request.headers) {
        Ok(form) => form,
        Err(Unsent::NotModified(tag)) => return (not_modified(asset, tag, options, moment), None),
        Err(Unsent::Failed) => return (plain(StatusCode::PRECONDITION_FAILED, moment), None),
    };
    let part = forms.select_for_range(request, asked_for.as_ref(), moment);
    let (form, field) = match part {
        Some((form, field)) => (Some(form), Some(field)),
        None => (asked_for.or_else(|| forms.select()), None),
    };
    let Some(form) = form else {
        return (plain(StatusCode::NOT_ACCEPTABLE, moment), None);
    };
    let mut answer = whole(asset, page, form, options, moment);
    offer_parts(answer.head.headers_mut(), asset);
    if field.is_none() {
        answer.unencoded.extend(forms.wanted());
    }
    (answer, field)
}

/// Sends a page with the script in it, or says why not. What is injected changes without the file,
/// so it has no date, and a part of it would be of no use to anybody.
fn show(
    request: &Parts,
    asset: &Arc<Asset>,
    page: Option<&Arc<Page>>,
    injected: &Injected,
    accepted: Accepted,
    options: Options,
    moment: &Moment,
) -> Answer {
    let validators = Validators {
        is_current: |tag: &[u8]| injected.is_current(tag, accepted),
        weak: false,
        modified: None,
    };
    match conditional::evaluate(&request.headers, &validators) {
        Verdict::Proceed => {}
        Verdict::NotModified(held) => {
            let tag = held.and_then(|tag| HeaderValue::from_bytes(tag).ok());
            let tag = tag.unwrap_or_else(|| injected.tag.clone());
            return not_modified(asset, tag, options, moment);
        }
        Verdict::Failed => return plain(StatusCode::PRECONDITION_FAILED, moment),
    }
    let form = injected.form(accepted, asset.is_negotiated());
    let asked_for = conditional::if_match(&request.headers);
    if asked_for.is_some_and(|tags| tags.iter().all(|&tag| form.tag != *tag)) {
        return plain(StatusCode::PRECONDITION_FAILED, moment);
    }
    let mut answer = whole(asset, page, form, options, moment);
    answer.head.headers_mut().remove(header::LAST_MODIFIED);
    if let Rank::Document { opening_length } = &mut answer.rank {
        *opening_length += injected.added;
    }
    answer
}

/// Returns the answer with all of one form of a file.
fn whole(
    asset: &Arc<Asset>,
    page: Option<&Arc<Page>>,
    form: Representation,
    options: Options,
    moment: &Moment,
) -> Answer {
    Answer {
        promises: Vec::new(),
        hints: None,
        head: head(asset, &form, options.policy, moment),
        rank: rank(asset.kind, page).scaled(asset.length, form.body.length()),
        body: form.body,
        holds: None,
        hinted: 0,
        unencoded: Vec::new(),
        skips: Vec::new(),
        action: None,
    }
}

fn not_modified(asset: &Asset, tag: HeaderValue, options: Options, moment: &Moment) -> Answer {
    let mut answer = plain(StatusCode::NOT_MODIFIED, moment);
    let headers = answer.head.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::ETAG, tag);
    headers.insert(header::CACHE_CONTROL, options.policy.cache_control(asset));
    answer
}

/// Returns the diary key of a file that was asked for, if a diary is kept.
fn holds(request: &Parts, peer: &Peer<'_>, asset: &Asset, options: Options) -> Option<u64> {
    if peer.pushes == Pushes::Refused || !options.deliver.may_push() {
        return None;
    }
    let url = SiteUrl::parse(target(request)).ok()?;
    Some(Held::key(&url, asset.content_hash))
}

/// Says that parts of a file may be asked for, where that can be worth a request (RFC 9110 section
/// 14.3): who asks without being told is answered all the same.
fn offer_parts(headers: &mut HeaderMap, asset: &Asset) {
    if asset.length >= PARTS_OFFERED_MIN {
        headers.insert(header::ACCEPT_RANGES, BYTES);
    }
}

/// Whether a page is injected depends on what the request is for.
fn vary(headers: &mut HeaderMap, kind: Kind, live: Option<LivePage>) {
    if live.is_some() && kind == Kind::Page {
        let fields = HeaderValue::from_static("Sec-Fetch-Dest, Accept");
        headers.insert(header::VARY, fields);
    }
}

/// Which form of a file is sent depends on what the request takes: also where that is the file as
/// it is, and where none is sent.
fn vary_by_encoding(headers: &mut HeaderMap, asset: &Asset) {
    if asset.is_negotiated() {
        headers.append(header::VARY, ACCEPT_ENCODING);
    }
}

/// Puts what is sent ahead into an answer.
fn spend(
    request: &Parts,
    ahead: Ahead,
    answer: &mut Answer,
    site: &Site,
    accepted: Accepted,
    options: Options,
    moment: &Moment,
) {
    if options.explain
        && let Some(explanation) = ahead.explanation()
    {
        answer
            .head
            .headers_mut()
            .insert("server-timing", explanation);
    }
    for planned in ahead.promises {
        let Some(asset) = route::asset(site, &planned.url) else {
            continue;
        };
        // Whether a page is injected is known only when it is asked for.
        if options.live.is_some() && asset.kind == Kind::Page {
            continue;
        }
        let forms = Representations::new(asset, site.page(asset.path.as_str()), options, accepted);
        let Some(form) = forms.select_in_memory() else {
            continue;
        };
        answer.unencoded.extend(forms.wanted());
        let mut head = head(asset, &form, options.policy, moment);
        let headers = head.headers_mut();
        offer_parts(headers, asset);
        let path = Some(planned.url.path().as_str());
        author(request, site, path, options, headers);
        vary_by_encoding(headers, asset);
        answer.promises.push(Promise {
            head,
            body: form.body,
            url: planned.url,
            need: planned.need,
            key: planned.key,
        });
    }
    answer.hinted = ahead.links.len();
    answer.skips = ahead.skips;
    for link in &ahead.links {
        answer.head.headers_mut().append(header::LINK, link.clone());
    }
    if ahead.early && !ahead.links.is_empty() {
        answer.hints = Some(
            ahead
                .links
                .into_iter()
                .map(|link| (header::LINK, link))
                .collect(),
        );
    }
}

fn rank(kind: Kind, page: Option<&Arc<Page>>) -> Rank {
    match kind {
        Kind::Page => Rank::Document {
            opening_length: page.map_or(0, |page| page.plan.opening_length),
        },
        Kind::StyleSheet | Kind::Script => Rank::Blocking,
        Kind::Font => Rank::Font,
        Kind::Image => Rank::Image,
        Kind::Other => Rank::Other,
    }
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

/// Returns the header of a form of a file.
fn head(asset: &Asset, form: &Representation, policy: &Policy, moment: &Moment) -> Response<()> {
    let mut head = Response::new(());
    let headers = head.headers_mut();
    headers.reserve(10);
    headers.insert(header::CONTENT_TYPE, asset.media_type.clone());
    form.describe(headers);
    // What is to come cannot have happened (RFC 9110 section 8.8.2.1).
    let last_modified = if asset.modified > moment.now {
        &moment.date
    } else {
        &asset.last_modified
    };
    headers.insert(header::LAST_MODIFIED, last_modified.clone());
    headers.insert(header::CACHE_CONTROL, policy.cache_control(asset));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(header::DATE, moment.date.clone());
    head
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
