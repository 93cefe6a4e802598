//! Graph to plan: what of a page's needs is worth sending ahead, in which order, and why the rest
//! is not; and the digest that tells later what a client was given.
//!
//! A function of the snapshot and the server's options, never of a client. What one peer is then
//! really sent is `answer::preload`'s to decide.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::digest::{self, Digest};
use super::graph::{Destination, Graph, Need, Obstacle, Subresource, Target};
use super::links::header::{AheadLink, HeaderLink};
use super::{ContentHash, Entry, Kind, Site, SiteUrl, UrlPath};

/// Which subresources are worth sending ahead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Push {
    /// What blocks the first render, and what hides behind it.
    #[default]
    Critical,
    /// Everything that every client fetches.
    All,
    /// Nothing.
    None,
}

/// What is sent ahead with a page, and what is not.
#[derive(Debug, Default)]
pub struct Plan {
    /// Everything the page needs, in the order a browser needs it.
    pub items: Vec<Item>,
    /// The resources whose verdict is to send.
    pub digest: Digest,
    /// Bytes of the document before the end of its head.
    pub head_length: usize,
    /// Bytes of the document that a first render takes.
    pub opening_length: usize,
    /// The author wrote what is sent as `Link` into `_headers`: it is sent as that, in that order,
    /// whatever it gains.
    pub is_linked: bool,
}

/// One thing a page needs, and what comes of it.
#[derive(Debug)]
pub struct Item {
    /// What it is and why the page needs it.
    pub subresource: Subresource,
    /// The file behind it; `None` if it is not ours, or not what a client gets there.
    pub file: Option<File>,
    /// `None`: it is sent ahead.
    pub skip: Option<Skip>,
}

/// The file behind an item, as the plan saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Names its bytes.
    pub content: ContentHash,
    /// Bytes.
    pub length: u64,
}

/// Why something is not sent ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Skip {
    /// No client could be sent it.
    Obstacle(Obstacle),
    /// The first render does not wait for it, and `--push critical` sends nothing else.
    NotCritical,
    /// Only some clients fetch it (icons, manifests).
    NotEveryClient,
    /// The page has more than [`digest::ENTRIES_MAX`] more urgent ones.
    TooMany,
    /// `--push none`.
    Disabled,
    /// `push.toml` or `_headers` gives this page's list, and it is not on it.
    Overridden,
    /// The request asks for nothing beyond its answer (`Save-Data`, `Accept-Push-Policy`).
    Declined,
    /// The page is fetched without being shown: by a script, or ahead of a click.
    NotShown,
    /// The peer refuses pushes, and this is no navigation of a browser that takes hints.
    PeerRefused,
    /// The peer was sent it on this connection, or asked for it.
    AlreadyHeld,
    /// The validator of the peer's copy of the page says that it was given this too.
    InDigest,
    /// It is not held in memory: larger than the bound, or there is no room for it.
    NotInMemory,
    /// The peer's connection window has no room for it.
    OverBudget,
    /// The peer allows no more pushed streams.
    PeerLimit,
    /// It may not be stored, so a hint would fetch it twice.
    NotStorable,
    /// The document names it early enough itself, so a hint gains nothing.
    SeenInTime,
}

impl Skip {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 24] = [
        Self::Obstacle(Obstacle::CrossOrigin),
        Self::Obstacle(Obstacle::Missing),
        Self::Obstacle(Obstacle::Displaced),
        Self::Obstacle(Obstacle::Lazy),
        Self::Obstacle(Obstacle::DependsOnClient),
        Self::Obstacle(Obstacle::Nopush),
        Self::Obstacle(Obstacle::Nomodule),
        Self::Obstacle(Obstacle::Unused),
        Self::Obstacle(Obstacle::NotRendered),
        Self::NotCritical,
        Self::NotEveryClient,
        Self::TooMany,
        Self::Disabled,
        Self::Overridden,
        Self::Declined,
        Self::NotShown,
        Self::PeerRefused,
        Self::AlreadyHeld,
        Self::InDigest,
        Self::NotInMemory,
        Self::OverBudget,
        Self::PeerLimit,
        Self::NotStorable,
        Self::SeenInTime,
    ];

    /// Returns its number, by which it is counted: its place in [`Self::ALL`].
    pub fn number(self) -> usize {
        match self {
            Self::Obstacle(Obstacle::CrossOrigin) => 0,
            Self::Obstacle(Obstacle::Missing) => 1,
            Self::Obstacle(Obstacle::Displaced) => 2,
            Self::Obstacle(Obstacle::Lazy) => 3,
            Self::Obstacle(Obstacle::DependsOnClient) => 4,
            Self::Obstacle(Obstacle::Nopush) => 5,
            Self::Obstacle(Obstacle::Nomodule) => 6,
            Self::Obstacle(Obstacle::Unused) => 7,
            Self::Obstacle(Obstacle::NotRendered) => 8,
            Self::NotCritical => 9,
            Self::NotEveryClient => 10,
            Self::TooMany => 11,
            Self::Disabled => 12,
            Self::Overridden => 13,
            Self::Declined => 14,
            Self::NotShown => 15,
            Self::PeerRefused => 16,
            Self::AlreadyHeld => 17,
            Self::InDigest => 18,
            Self::NotInMemory => 19,
            Self::OverBudget => 20,
            Self::PeerLimit => 21,
            Self::NotStorable => 22,
            Self::SeenInTime => 23,
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Obstacle(Obstacle::CrossOrigin) => "another origin",
            Self::Obstacle(Obstacle::Missing) => "no such file",
            Self::Obstacle(Obstacle::Displaced) => "a rule of _redirects answers there",
            Self::Obstacle(Obstacle::Lazy) => "loaded lazily",
            Self::Obstacle(Obstacle::DependsOnClient) => "depends on the client",
            Self::Obstacle(Obstacle::Nopush) => "marked nopush",
            Self::Obstacle(Obstacle::Nomodule) => "nomodule",
            Self::Obstacle(Obstacle::Unused) => "not used by this page",
            Self::Obstacle(Obstacle::NotRendered) => "not needed to render",
            Self::NotCritical => "not critical",
            Self::NotEveryClient => "only some clients fetch it",
            Self::TooMany => "too many before it",
            Self::Disabled => "pushing is off",
            Self::Overridden => "not on the page's own list",
            Self::Declined => "the request declines it",
            Self::NotShown => "the page is not shown now",
            Self::PeerRefused => "the peer refuses pushes",
            Self::AlreadyHeld => "already held",
            Self::InDigest => "held since an earlier visit",
            Self::NotInMemory => "not held in memory",
            Self::OverBudget => "larger than the peer's window",
            Self::PeerLimit => "the peer's stream limit",
            Self::NotStorable => "may not be stored",
            Self::SeenInTime => "named early enough by the page",
        })
    }
}

impl Plan {
    /// Returns what is sent ahead, in order, with the file behind each.
    pub fn sent(&self) -> impl Iterator<Item = (&Subresource, &SiteUrl, File)> {
        self.items
            .iter()
            .filter_map(|item| match (&item.subresource.target, item.file) {
                (Target::Here(url), Some(file)) if item.skip.is_none() => {
                    Some((&item.subresource, url, file))
                }
                _ => None,
            })
    }

    /// Returns whether a URL is one of those that it is about, sent ahead or not.
    pub fn names(&self, url: &SiteUrl) -> bool {
        let mut targets = self.items.iter().map(|item| &item.subresource.target);
        targets.any(|target| matches!(target, Target::Here(here) if here == url))
    }

    /// Returns whether every client that showed the page has fetched these bytes.
    pub fn fetches(&self, url: &SiteUrl, content: ContentHash) -> bool {
        self.items.iter().any(|item| {
            item.subresource.obstacle.is_none()
                && item.file.is_some_and(|file| file.content == content)
                && matches!(&item.subresource.target, Target::Here(here) if here == url)
        })
    }
}

/// The content of `push.toml`: pages whose plan is given by hand.
///
/// ```toml
/// ["/"]
/// push = ["/style.css", "/app.js"]
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides(BTreeMap<UrlPath, Vec<SiteUrl>>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageOverride {
    push: Vec<String>,
}

impl Overrides {
    /// Reads the text of a `push.toml`.
    ///
    /// # Errors
    /// A sentence that names the place and what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let pages: BTreeMap<String, PageOverride> = toml::from_str(text).map_err(|error| {
            format!(
                "{}; write [\"/page\"] and push = [\"/a.css\"]",
                error.to_string().trim_end()
            )
        })?;
        let mut overrides = BTreeMap::new();
        for (page, PageOverride { push }) in pages {
            let path = UrlPath::parse(&page)
                .map_err(|error| format!("page \"{page}\": {error}; it must start with /"))?;
            let urls = push
                .iter()
                .map(|url| {
                    SiteUrl::parse(url).map_err(|error| {
                        format!("\"{url}\" under \"{page}\": {error}; it must start with /")
                    })
                })
                .collect::<Result<_, _>>()?;
            overrides.insert(path, urls);
        }
        Ok(Self(overrides))
    }

    /// Returns the override of one page.
    pub fn of_page(page: UrlPath, push: Vec<SiteUrl>) -> Self {
        Self(BTreeMap::from([(page, push)]))
    }

    /// Returns the paths of this site that the override of a page names; empty if there is none.
    pub fn paths(&self, page: &UrlPath) -> Vec<UrlPath> {
        ByHand::of(self, None, page).paths()
    }

    /// A page may be named by its directory or by its file.
    fn of(&self, page: &UrlPath) -> Option<&[SiteUrl]> {
        let urls = self.0.get(page).or_else(|| {
            let directory = page.directory()?;
            self.0.get(&directory)
        })?;
        Some(urls)
    }
}

/// What a page's author says is sent ahead with it.
#[derive(Debug)]
pub enum ByHand<'a> {
    /// Nothing: its graph says it.
    Nothing,
    /// A list in `push.toml`.
    Listed(&'a [SiteUrl]),
    /// `Link` in `_headers`.
    Linked(Vec<AheadLink>),
}

impl<'a> ByHand<'a> {
    /// Returns what `push.toml` says of a page, or else the links of `_headers` do.
    pub fn of(overrides: &'a Overrides, links: Option<&[HeaderLink]>, page: &UrlPath) -> Self {
        match (overrides.of(page), links) {
            (Some(urls), _) => Self::Listed(urls),
            (None, Some(links)) => {
                let page = SiteUrl::from(page.clone());
                let ahead = links.iter().filter_map(|link| link.ahead(&page));
                Self::Linked(ahead.collect())
            }
            (None, None) => Self::Nothing,
        }
    }

    /// Returns the paths of this site that are named.
    pub fn paths(&self) -> Vec<UrlPath> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Listed(urls) => urls.iter().map(|url| url.path().clone()).collect(),
            Self::Linked(links) => links.iter().map(|link| link.url.path().clone()).collect(),
        }
    }
}

/// Returns the plan of a page. Everything that `graph` and `by_hand` name must be in `site`.
pub fn plan(site: &Site, graph: &Graph, by_hand: &ByHand<'_>, push: Push) -> Plan {
    let mut items = match by_hand {
        ByHand::Listed(urls) => {
            let listed = urls.iter().map(|url| listed(site, graph, url)).collect();
            overridden(site, graph, listed)
        }
        ByHand::Linked(links) => {
            let linked = links.iter().map(|link| linked(site, graph, link)).collect();
            overridden(site, graph, linked)
        }
        ByHand::Nothing => graph
            .subresources
            .iter()
            .map(|subresource| {
                let skip = if graph.nopush {
                    Some(Skip::Obstacle(Obstacle::Nopush))
                } else {
                    verdict(subresource, push)
                };
                item(site, subresource.clone(), skip)
            })
            .collect(),
    };
    let mut sent = 0;
    for item in items.iter_mut().filter(|item| item.skip.is_none()) {
        sent += 1;
        if sent > digest::ENTRIES_MAX {
            item.skip = Some(Skip::TooMany);
        }
    }
    let mut plan = Plan {
        items,
        digest: Digest::default(),
        head_length: graph.head_length,
        opening_length: graph.opening_length,
        is_linked: matches!(by_hand, ByHand::Linked(_)),
    };
    plan.digest = Digest::of(plan.sent().map(|(_, url, file)| (url, file.content)));
    plan
}

fn verdict(subresource: &Subresource, push: Push) -> Option<Skip> {
    if let Some(obstacle) = subresource.obstacle {
        return Some(Skip::Obstacle(obstacle));
    }
    match (push, subresource.need) {
        (Push::None, _) => Some(Skip::Disabled),
        (_, Need::Other) => Some(Skip::NotEveryClient),
        // An image of a style sheet hides behind what blocks the first render, and is part of it.
        (Push::Critical, Need::Image) if subresource.depth > 1 => None,
        (Push::Critical, Need::Async | Need::Image) => Some(Skip::NotCritical),
        _ => None,
    }
}

fn item(site: &Site, subresource: Subresource, skip: Option<Skip>) -> Item {
    // What a promise would be of is what a GET would be answered with (RFC 9113 section 8.4).
    if matches!(&subresource.target, Target::Here(url) if site.redirects().displace(url)) {
        return Item {
            subresource,
            file: None,
            skip: skip.or(Some(Skip::Obstacle(Obstacle::Displaced))),
        };
    }
    let file = match &subresource.target {
        Target::Here(url) => match site.entry(url.path().as_str()) {
            Some(Entry::File(asset)) => Some(File {
                content: asset.content_hash,
                length: asset.length,
            }),
            _ => None,
        },
        Target::Elsewhere(_) => None,
    };
    let skip = match (&file, skip) {
        (None, None) => Some(Skip::Obstacle(Obstacle::Missing)),
        (_, skip) => skip,
    };
    Item {
        subresource,
        file,
        skip,
    }
}

/// The resources that the author names, in their order; then the rest of the graph.
fn overridden(site: &Site, graph: &Graph, named: Vec<Subresource>) -> Vec<Item> {
    let is_named = |target: &Target| named.iter().any(|sub| sub.target == *target);
    let rest = graph
        .subresources
        .iter()
        .filter(|sub| !is_named(&sub.target));
    let rest: Vec<_> = rest
        .map(|sub| {
            let mut sub = sub.clone();
            sub.behind = None;
            let skip = sub.obstacle.map_or(Skip::Overridden, Skip::Obstacle);
            item(site, sub, Some(skip))
        })
        .collect();
    let named = named.into_iter().map(|sub| item(site, sub, None));
    named.chain(rest).collect()
}

/// Returns a resource that the author names, with what the graph knows of it.
fn listed(site: &Site, graph: &Graph, url: &SiteUrl) -> Subresource {
    let mut subresources = graph.subresources.iter();
    let known = subresources.find(|sub| matches!(&sub.target, Target::Here(here) if here == url));
    let Some(mut subresource) = known.cloned() else {
        return listed_only(site, url);
    };
    subresource.obstacle = None;
    subresource.behind = None;
    subresource
}

/// Returns a resource that the author links to, as it is linked.
fn linked(site: &Site, graph: &Graph, link: &AheadLink) -> Subresource {
    let known = listed(site, graph, &link.url);
    Subresource {
        destination: link.destination.unwrap_or(known.destination),
        crossorigin: link.crossorigin,
        content_type: link.content_type.clone(),
        media: link.media.clone(),
        image_candidates: link.image_candidates.clone(),
        ..known
    }
}

fn listed_only(site: &Site, url: &SiteUrl) -> Subresource {
    let kind = match site.entry(url.path().as_str()) {
        Some(Entry::File(asset)) => asset.kind,
        _ => Kind::Other,
    };
    let (destination, need) = match kind {
        Kind::StyleSheet => (Destination::Style, Need::RenderBlocking),
        Kind::Script => (Destination::Script, Need::Deferred),
        Kind::Font => (Destination::Font, Need::Font),
        Kind::Image => (Destination::Image, Need::Image),
        Kind::Page | Kind::Other => (Destination::Other, Need::Preloaded),
    };
    Subresource {
        target: Target::Here(url.clone()),
        destination,
        crossorigin: None,
        content_type: String::new(),
        media: String::new(),
        image_candidates: None,
        need,
        behind: None,
        depth: 1,
        offset: 0,
        in_head: true,
        obstacle: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_the_number_of_its_place() {
        let numbers = Skip::ALL.map(Skip::number);
        assert!(numbers.into_iter().eq(0..Skip::ALL.len()), "{numbers:?}");
        let labels: std::collections::HashSet<_> =
            Skip::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(labels.len(), Skip::ALL.len());
    }

    #[test]
    fn an_override_names_the_place_of_a_mistake() {
        let bad_key = Overrides::parse("[\"/\"]\npusch = []\n").unwrap_err();
        assert!(
            bad_key.contains("pusch") && bad_key.contains("line 2"),
            "{bad_key}"
        );
        let bad_url = Overrides::parse("[\"/\"]\npush = [\"a.css\"]\n").unwrap_err();
        assert!(bad_url.contains("\"a.css\" under \"/\""), "{bad_url}");
    }

    #[test]
    fn a_page_is_overridden_by_its_directory_or_its_file() {
        let overrides = Overrides::parse("[\"/docs/\"]\npush = [\"/a.css\"]\n").unwrap();
        let page = UrlPath::parse("/docs/index.html").unwrap();
        assert_eq!(overrides.paths(&page), [UrlPath::parse("/a.css").unwrap()]);
    }
}
