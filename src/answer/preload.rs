//! Each subresource of a page to promise, hint or skip, with the reason.
//!
//! The plan says what is worth sending ahead to a stranger; here it meets one peer: what it takes,
//! what it holds, and what it allows.

use std::fmt::Write as _;
use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Uri, Version};

use super::encoding::Accepted;
use super::representation::Representations;
use super::route::{self, Asked, is_navigation};
use super::{Authority, Deliver, Held, Options, Peer, Pushes, range, representation, requested};
use crate::site::digest::Digest;
use crate::site::graph::{Destination, Need, Obstacle, Subresource};
use crate::site::links::html::Crossorigin;
use crate::site::plan::{File, Plan, Skip};
use crate::site::{Asset, Page, Site, SiteUrl};

/// Promises of a page.
pub const PROMISES_MAX: usize = 32;
/// Links hinted for a page.
pub const HINTS_MAX: usize = 10;
/// Links hinted for a page whose author wrote them.
const LINKED_MAX: usize = 64;
/// Bytes that leave before the first acknowledgement (RFC 6928: ten segments of 1,460 bytes).
const FIRST_FLIGHT: usize = 14_600;
/// What of the first flight goes to TLS and header.
const FIRST_FLIGHT_OVERHEAD: usize = 1_500;
/// Bytes of an explanation.
const EXPLANATION_MAX: usize = 4_000;

/// What is sent ahead with one answer.
#[derive(Debug, Default)]
pub struct Ahead {
    /// What is promised, in order.
    pub promises: Vec<Planned>,
    /// `Link` values, in order.
    pub links: Vec<HeaderValue>,
    /// Whether the links go out in a 103 too.
    pub early: bool,
    /// What is not sent ahead, and why; filled only where somebody asked for it.
    pub skipped: Vec<(String, Skip)>,
    /// Why this peer was not sent what a stranger would be, each time.
    pub skips: Vec<Skip>,
}

/// One promise to make.
#[derive(Debug)]
pub struct Planned {
    /// What.
    pub url: SiteUrl,
    /// Why the page needs it.
    pub need: Need,
    /// Its diary key.
    pub key: u64,
}

impl Ahead {
    /// Returns the reasons as a `Server-Timing` value, which developer tools show beside a
    /// response; `None` if there is nothing to say.
    pub fn explanation(&self) -> Option<HeaderValue> {
        let quoted = |text: &str| text.replace(['"', '\\'], "");
        let pushed = self
            .promises
            .iter()
            .map(|p| format!("push;desc=\"{}\"", quoted(p.url.target())));
        let hinted = self.links.iter().map(|link| {
            let link = link.to_str().unwrap_or_default();
            let url = link.split(['<', '>']).nth(1).unwrap_or_default();
            format!("hint;desc=\"{}\"", quoted(url))
        });
        let skipped = self
            .skipped
            .iter()
            .map(|(target, skip)| format!("skip;desc=\"{}: {skip}\"", quoted(target)));
        let mut text = String::new();
        for metric in pushed.chain(hinted).chain(skipped) {
            if text.len() + metric.len() > EXPLANATION_MAX {
                break;
            }
            if !text.is_empty() {
                text.push_str(", ");
            }
            text.push_str(&metric);
        }
        HeaderValue::try_from(text)
            .ok()
            .filter(|value| !value.is_empty())
    }
}

/// How one answer sends ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    Push { promises_max: usize, bytes_max: u64 },
    Hints { early: bool },
    Nothing(Skip),
}

/// Returns what is sent ahead with a page.
pub fn ahead(
    request: &Parts,
    peer: &Peer<'_>,
    site: &Site,
    page: &Page,
    options: Options,
) -> Ahead {
    let explain = options.explain || tracing::enabled!(tracing::Level::DEBUG);
    let mut ahead = Ahead::default();
    if page.plan.sent().next().is_none() && !explain {
        return ahead;
    }
    let known = Known::of(request, site, options);
    let delivery = match delivery(request, peer, options) {
        // What the author writes as a field is one, whoever reads it.
        Delivery::Nothing(Skip::PeerRefused) if page.plan.is_linked => {
            Delivery::Hints { early: false }
        }
        delivery => delivery,
    };
    match delivery {
        Delivery::Hints { .. } if peer.informed => {
            hint(&mut ahead, &page.plan, &known, site, options, true);
        }
        Delivery::Push {
            promises_max,
            bytes_max,
        } => {
            push(
                &mut ahead,
                &page.plan,
                site,
                &known,
                peer.held,
                promises_max,
                bytes_max,
            );
        }
        Delivery::Hints { early } => {
            ahead.early = early;
            hint(&mut ahead, &page.plan, &known, site, options, early);
        }
        Delivery::Nothing(reason) if explain => {
            let unsent = page
                .plan
                .sent()
                .map(|(_, url, _)| (url.target().to_owned(), reason));
            ahead.skipped.extend(unsent);
        }
        Delivery::Nothing(reason) => {
            ahead.skips = page.plan.sent().map(|_| reason).collect();
            return ahead;
        }
    }
    ahead.skips = ahead.skipped.iter().map(|(_, reason)| *reason).collect();
    if explain {
        let planned = page.plan.items.iter().filter_map(|item| {
            item.skip
                .map(|skip| (item.subresource.target.as_str().to_owned(), skip))
        });
        ahead.skipped.extend(planned);
        for (target, skip) in &ahead.skipped {
            tracing::debug!(page = %request.uri, target, reason = %skip, "not sent ahead");
        }
    } else {
        ahead.skipped.clear();
    }
    ahead
}

/// Returns the header of a 103 for a navigation whose 200 is not ready, from what the last snapshot
/// knew of the page; `None` if there is nothing to hint.
pub fn early(request: &Parts, peer: &Peer<'_>, site: &Site, options: Options) -> Option<HeaderMap> {
    // While the site is edited nothing is fresh, and what is hinted early must be: else Chromium
    // fetches it twice, or uses an old one.
    let wanted = match options.deliver {
        Deliver::Auto => peer.pushes == Pushes::Refused,
        Deliver::Hints => true,
        Deliver::Push | Deliver::Link | Deliver::None => false,
    };
    if !wanted || options.live.is_some() || !is_navigation(request) {
        return None;
    }
    // The answer is 421, 405, or has no body.
    if peer.authority != Authority::Covered || request.method != Method::GET {
        return None;
    }
    let Delivery::Hints { .. } = delivery(request, peer, options) else {
        return None;
    };
    let (asset, page) = page_at(site, &request.uri, options)?;
    let accepted = Accepted::read(&request.headers);
    let forms = Representations::new(asset, Some(page), options, accepted);
    if forms.evaluate(&request.headers).is_err() || range::field(request).is_some() {
        // As far as one can tell yet, the answer is 304, or a part.
        return None;
    }
    let mut ahead = Ahead::default();
    hint(
        &mut ahead,
        &page.plan,
        &Known::of(request, site, options),
        site,
        options,
        true,
    );
    let headers: HeaderMap = ahead
        .links
        .into_iter()
        .map(|link| (header::LINK, link))
        .collect();
    (!headers.is_empty()).then_some(headers)
}

fn delivery(request: &Parts, peer: &Peer<'_>, options: Options) -> Delivery {
    let headers = &request.headers;
    let is = |name: &str, value: &str| {
        headers
            .get(name)
            .is_some_and(|field| field.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
    };
    // A page fetched by a script, or ahead of a click, is not shown: it needs nothing now.
    let shown = !headers.contains_key("sec-fetch-mode") || is_navigation(request);
    let prefetched = ["sec-purpose", "purpose", "x-moz"].iter().any(|name| {
        headers
            .get(*name)
            .is_some_and(|field| field.as_bytes().starts_with(b"prefetch"))
    });
    let declined = is("accept-push-policy", "none") || is("save-data", "on");
    if declined {
        return Delivery::Nothing(Skip::Declined);
    }
    if !shown || prefetched {
        return Delivery::Nothing(Skip::NotShown);
    }
    let http2 = request.version == Version::HTTP_2;
    match (options.deliver, peer.pushes) {
        (Deliver::None, _) => Delivery::Nothing(Skip::Disabled),
        (Deliver::Push, Pushes::Refused) => Delivery::Nothing(Skip::PeerRefused),
        (
            Deliver::Auto | Deliver::Push,
            Pushes::Taken {
                promises_max,
                bytes_max,
            },
        ) => Delivery::Push {
            promises_max: promises_max.min(PROMISES_MAX),
            bytes_max,
        },
        (Deliver::Hints, _) => Delivery::Hints {
            early: http2 && is_navigation(request) && options.live.is_none(),
        },
        (Deliver::Auto, Pushes::Refused) if http2 && !is_navigation(request) => {
            Delivery::Nothing(Skip::PeerRefused)
        }
        // The 200 is ready: a 103 in the same turn would tell nothing sooner.
        (Deliver::Link, _) | (Deliver::Auto, Pushes::Refused) => Delivery::Hints { early: false },
    }
}

/// What a request says that its client holds.
struct Known<'a> {
    digest: Digest,
    referring: Option<&'a Page>,
    /// In which encodings it takes what is sent.
    accepted: Accepted,
    /// A forced reload: whatever the client holds, it wants anew.
    nothing: bool,
}

impl<'a> Known<'a> {
    fn of(request: &Parts, site: &'a Site, options: Options) -> Self {
        let headers = &request.headers;
        let text = |name| {
            headers
                .get(name)
                .and_then(|field: &HeaderValue| field.to_str().ok())
        };
        let nothing = text(header::CACHE_CONTROL).is_some_and(|field| {
            field
                .split(',')
                .any(|directive| directive.trim().eq_ignore_ascii_case("no-cache"))
        });
        let mut digest = Digest::default();
        for field in headers.get_all(header::IF_NONE_MATCH) {
            digest.join(Digest::read(field.to_str().unwrap_or_default()));
        }
        // The page of this origin that a navigation comes from.
        let referring = requested::referrer(request)
            .and_then(|referrer| Some(page_at(site, &referrer, options)?.1));
        Self {
            digest,
            referring: referring.map(Arc::as_ref),
            accepted: Accepted::read(headers),
            nothing,
        }
    }

    fn skip(&self, url: &SiteUrl, file: File) -> Option<Skip> {
        if self.nothing {
            return None;
        }
        if self.digest.contains(url, file.content) {
            return Some(Skip::InDigest);
        }
        let fetched = self
            .referring
            .is_some_and(|page| page.plan.fetches(url, file.content));
        fetched.then_some(Skip::AlreadyHeld)
    }
}

/// Returns the page at a URL, however its path is written.
fn page_at<'a>(
    site: &'a Site,
    uri: &Uri,
    options: Options,
) -> Option<(&'a Arc<Asset>, &'a Arc<Page>)> {
    let asset = route::route(site, Asked::shown(uri, options)).served()?;
    Some((asset, site.page(asset.path.as_str())?))
}

fn push(
    ahead: &mut Ahead,
    plan: &Plan,
    site: &Site,
    known: &Known<'_>,
    held: &Held,
    promises_max: usize,
    bytes_max: u64,
) {
    let mut bytes = 0;
    for (subresource, url, file) in plan.sent() {
        let key = Held::key(url, file.content);
        let length = length_in_memory(site, url, known.accepted);
        let skip = if !known.nothing && held.contains(key) {
            Some(Skip::AlreadyHeld)
        } else if let Some(skip) = known.skip(url, file) {
            Some(skip)
        } else if length.is_none() {
            Some(Skip::NotInMemory)
        } else if ahead.promises.len() >= promises_max {
            Some(Skip::PeerLimit)
        } else {
            (bytes + length.unwrap_or(0) > bytes_max).then_some(Skip::OverBudget)
        };
        if let Some(skip) = skip {
            ahead.skipped.push((url.target().to_owned(), skip));
            continue;
        }
        bytes += length.unwrap_or(0);
        ahead.promises.push(Planned {
            url: url.clone(),
            need: subresource.need,
            key,
        });
    }
}

/// Returns the bytes of what would be sent; `None` if that is not in memory: a promise is answered
/// at once, without waiting for a file to be opened.
fn length_in_memory(site: &Site, url: &SiteUrl, accepted: Accepted) -> Option<u64> {
    let asset = site.asset(url.path().as_str())?;
    representation::length_in_memory(asset, accepted)
}

fn hint(
    ahead: &mut Ahead,
    plan: &Plan,
    known: &Known<'_>,
    site: &Site,
    options: Options,
    early: bool,
) {
    let head_misses = plan.head_length + FIRST_FLIGHT_OVERHEAD > FIRST_FLIGHT;
    let most = if plan.is_linked {
        LINKED_MAX
    } else {
        HINTS_MAX
    };
    let some_hide = plan.sent().any(|(subresource, ..)| subresource.depth > 1);
    for (subresource, url, file) in plan.sent() {
        // What is asked for first leaves first: were only the fonts of a style sheet hinted, they
        // would fill the link before the style sheet is asked for.
        let leads = some_hide && subresource.need == Need::RenderBlocking;
        let hides = subresource.depth > 1 || head_misses && subresource.in_head;
        let gains = hides || leads || early || plan.is_linked;
        let skip = if let Some(skip) = known.skip(url, file) {
            Some(skip)
        } else if !gains {
            Some(Skip::SeenInTime)
        } else if !plan.is_linked && site.redirects().displace(url) {
            // The plan is of before there was that rule.
            Some(Skip::Obstacle(Obstacle::Displaced))
        } else if !plan.is_linked && !is_storable(site, url, options) {
            Some(Skip::NotStorable)
        } else {
            (ahead.links.len() >= most).then_some(Skip::TooMany)
        };
        if let Some(skip) = skip {
            ahead.skipped.push((url.target().to_owned(), skip));
            continue;
        }
        ahead
            .links
            .extend(HeaderValue::try_from(link(subresource, url)));
    }
}

/// A hinted response that may not be reused without asking would be fetched twice.
fn is_storable(site: &Site, url: &SiteUrl, options: Options) -> bool {
    let Some(asset) = route::asset(site, url) else {
        return false;
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, options.policy.cache_control(asset));
    site.headers().apply(url.path().as_str(), &mut headers);
    let caching = headers
        .get(header::CACHE_CONTROL)
        .map(HeaderValue::as_bytes);
    let caching = caching.unwrap_or_default().to_ascii_lowercase();
    let mut directives = caching.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    !directives.any(|it| matches!(it, b"no-cache" | b"no-store" | b"max-age=0"))
}

/// Returns a `Link` value that makes a client fetch a subresource just as the page will
/// (RFC 8288; HTML, section 4.6.7).
pub fn link(subresource: &Subresource, url: &SiteUrl) -> String {
    let quoted = |text: &str| text.replace(['"', '\\'], "");
    // Writing to a string never fails.
    let mut link = format!("<{}>; ", url.target());
    if subresource.destination == Destination::Module {
        // Browsers take it in a 103 too, and fetch with the right mode by themselves.
        link += "rel=modulepreload";
        return link;
    }
    link += "rel=preload; as=";
    link += subresource.destination.as_str();
    match subresource.crossorigin {
        Some(Crossorigin::Anonymous) => link += "; crossorigin",
        Some(Crossorigin::UseCredentials) => link += "; crossorigin=use-credentials",
        None if subresource.destination == Destination::Font => link += "; crossorigin",
        None => {}
    }
    if !subresource.content_type.is_empty() {
        let _ = write!(link, "; type=\"{}\"", quoted(&subresource.content_type));
    }
    if !subresource.media.is_empty() {
        let _ = write!(link, "; media=\"{}\"", quoted(&subresource.media));
    }
    if let Some((candidates, sizes)) = &subresource.image_candidates {
        let _ = write!(link, "; imagesrcset=\"{}\"", quoted(candidates));
        if !sizes.is_empty() {
            let _ = write!(link, "; imagesizes=\"{}\"", quoted(sizes));
        }
    }
    link
}
