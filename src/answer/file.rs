//! A file of the site as an answer: in the form that a request likes best, and with what its page
//! needs ahead.

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use super::conditional::{self, Validators, Verdict};
use super::encoding::Accepted;
use super::injected::{self, Injected};
use super::preload::{self, Ahead};
use super::representation::{Representation, Representations, Unsent};
use super::{
    Action, Answer, Held, LivePage, Moment, Options, Peer, Policy, Promise, Pushes, Rank, author,
    live, plain, range, route, target,
};
use crate::site::links::header::{self as link, HeaderLink};
use crate::site::plan::Plan;
use crate::site::{Asset, Kind, Page, Site, SiteUrl};

/// Smallest file whose parts are offered, in bytes: less is sent in one frame.
const PARTS_OFFERED_MIN: u64 = 16 * 1024;
const BYTES: HeaderValue = HeaderValue::from_static("bytes");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("Accept-Encoding");

/// Answers with a file of the site.
pub(super) fn answer(
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
            let base = SiteUrl::parse(target(request));
            let base = base.unwrap_or_else(|_| SiteUrl::from(asset.path.clone()));
            without_planned_links(site, &page.plan, &base, answer.head.headers_mut());
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
pub(super) fn vary(headers: &mut HeaderMap, kind: Kind, live: Option<LivePage>) {
    if live.is_some() && kind == Kind::Page {
        let fields = HeaderValue::from_static("Sec-Fetch-Dest, Accept");
        headers.insert(header::VARY, fields);
    }
}

/// Which form of a file is sent depends on what the request takes: also where that is the file as
/// it is, and where none is sent.
pub(super) fn vary_by_encoding(headers: &mut HeaderMap, asset: &Asset) {
    if asset.is_negotiated() {
        headers.append(header::VARY, ACCEPT_ENCODING);
    }
}

/// Takes out of a page's header the links that its plan has: they are sent as that. Those to what a
/// rule answers stay: that cannot be promised, but a client that asks for it gets it, if need be
/// elsewhere.
fn without_planned_links(site: &Site, plan: &Plan, base: &SiteUrl, headers: &mut HeaderMap) {
    let is_planned = |link: &HeaderLink| {
        let ahead = link.ahead(base);
        ahead.is_some_and(|it| plan.names(&it.url) && !route::is_answered_by_a_rule(site, &it.url))
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
