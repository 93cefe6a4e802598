//! One simulated load: the real server at one end of a link, the loader at the other.
//!
//! Each load has a runtime of its own whose clock is paused, so that virtual time passes only while
//! both ends wait, and the result repeats to the byte however busy the machine. Nothing may depend
//! on wall time: the site is frozen, its pages are made before the clock starts, `Date` stands
//! still, and every handshake takes the same number of bytes.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use bytes::Bytes;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use url::Url;

use super::cell::BETWEEN_VISITS;
use super::delivery::{Ahead, Delivery};
use super::findings::Visit;
use super::link::{End, LinkOptions, Meter, link};
use super::page_load::page::{Page, Parsed};
use super::page_load::{self, Cache, LoadOptions};
use super::timeline::Timeline;
use crate::access_log::AccessLog;
use crate::answer::{self, Options};
use crate::door::Service;
use crate::door::limits::{Buffers, Limits};
use crate::http2::connection;
use crate::site::encodings::{Coding, Encodings, Level};
use crate::site::graph::{Destination, Target};
use crate::site::plan::{Item, Overrides, Push};
use crate::site::{Asset, ContentHash, Entry, SiteOptions, SiteRoot, UrlPath};
use crate::tls::Tls;

/// Who the server believes to speak with.
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The wall clock of a simulation, after 1970: `Date` is Huffman coded, so its length varies.
pub(super) const NOW: Duration = Duration::from_hours(500_000);

/// What is appended to a file so that it counts as changed: white space means nothing in HTML, CSS
/// and JavaScript.
const EDIT: &[u8] = b"\n";

/// A site that is served on simulated links.
pub(super) struct Stage {
    /// Whether clients are sent encoded forms; files that are made up mean their length.
    encodes: bool,
    /// What a site of files in memory was opened over.
    _folder: Option<TempDir>,
    /// The site with the plan of `--push critical`, and of `--push all`.
    sites: [Arc<SiteRoot>; 2],
    pub(super) tls: Arc<Tls>,
    pub(super) connector: TlsConnector,
    parsed: Arc<Parsed>,
    /// What was made of each content, for as long as the measurement lasts.
    encoded: Mutex<HashMap<ContentHash, Encodings>>,
}

/// One load.
#[derive(Debug, Clone)]
pub(super) struct Run<'a> {
    /// The page.
    pub(super) page: &'a UrlPath,
    /// How what it needs is sent.
    pub(super) delivery: &'a Delivery,
    /// What the client holds.
    pub(super) visit: Visit,
    /// What lies between, its seed included.
    pub(super) link: &'a LinkOptions,
    /// What the client is.
    pub(super) client: LoadOptions,
    /// How long the server takes to make a page.
    pub(super) think: Duration,
}

impl Stage {
    /// Opens a site.
    ///
    /// # Errors
    /// The directory cannot be served.
    pub(super) fn open(site: &SiteOptions) -> anyhow::Result<Self> {
        let open = |push| {
            let options = SiteOptions {
                push,
                frozen: true,
                // When a piece of a file has been read from the disk is no matter of virtual time.
                memory_file_bytes_max: site.memory_bytes_max,
                ..site.clone()
            };
            SiteRoot::open(options).map(Arc::new)
        };
        let (tls, client) = Tls::simulated(SystemTime::now())?;
        Ok(Self {
            _folder: None,
            encodes: true,
            sites: [open(Push::Critical)?, open(Push::All)?],
            tls: Arc::new(tls),
            connector: TlsConnector::from(client),
            parsed: Arc::default(),
            encoded: Mutex::default(),
        })
    }

    /// Opens a site of files that are in memory only: path and content of each. Their directories
    /// are real, so that they redirect to their pages.
    ///
    /// # Errors
    /// There is no room for the directories that the files would lie in.
    pub(super) fn of_files(files: &[(UrlPath, Bytes)]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot create a temporary directory")?;
        let directories = files.iter().filter_map(|(path, _)| path.directory());
        for directory in directories.filter(|directory| directory.parent().is_some()) {
            tempfile::Builder::new()
                .prefix(directory.name())
                .rand_bytes(0)
                .tempdir_in(&folder)
                .map(TempDir::keep)
                .context("cannot create a temporary directory")?;
        }
        let stage = Self::open(&SiteOptions::new(folder.path()))?;
        for site in &stage.sites {
            for (path, content) in files {
                site.put(Arc::new(Asset::in_memory(path.clone(), content.clone())));
            }
        }
        Ok(Self {
            _folder: Some(folder),
            encodes: false,
            ..stage
        })
    }

    /// Returns the site, for whom its plans do not matter.
    pub(super) fn any_site(&self) -> &Arc<SiteRoot> {
        &self.sites[0]
    }

    /// Returns the site as a delivery plans it.
    pub(super) fn site(&self, delivery: &Delivery) -> &Arc<SiteRoot> {
        match delivery.ahead {
            Ahead::Critical | Ahead::Plan(_) => &self.sites[0],
            Ahead::All => &self.sites[1],
        }
    }

    /// Returns the bytes of a page that a first render takes, of so many that it has on the wire.
    pub(super) fn opening_length(&self, page: &UrlPath, bytes: u64) -> u64 {
        let site = self.sites[0].prepare_blocking(page);
        let known = site.page(page.as_str()).zip(site.asset(page.as_str()));
        let Some((page, asset)) = known.filter(|(_, asset)| asset.length > 0) else {
            return bytes;
        };
        // Of an encoded page, the same share.
        let opening = page.plan.opening_length as u128 * u128::from(bytes);
        let opening = opening.div_ceil(u128::from(asset.length));
        u64::try_from(opening).map_or(bytes, |opening| opening.min(bytes))
    }

    /// Loads a page; for a visit that is not the first, once before to fill the cache.
    ///
    /// # Errors
    /// No runtime can be started.
    pub(super) fn load(&self, run: &Run<'_>) -> anyhow::Result<Timeline> {
        let site = self.site(run.delivery);
        let Ahead::Plan(plan) = &run.delivery.ahead else {
            return self.visit(site, run);
        };
        let own = Overrides::clone(site.snapshot().overrides());
        site.put_overrides(plan.clone());
        let loaded = self.visit(site, run);
        site.put_overrides(own);
        loaded
    }

    /// Loads a page after another page of the site, whose files the client then holds.
    ///
    /// # Errors
    /// No runtime can be started.
    pub(super) fn load_after(&self, before: &UrlPath, run: &Run<'_>) -> anyhow::Result<Timeline> {
        let site = self.site(run.delivery);
        let mut cache = Cache::default();
        self.prepare(site, before);
        let first = Run {
            page: before,
            ..run.clone()
        };
        self.once(site, &first, &mut cache)?;
        self.prepare(site, run.page);
        self.once(site, run, &mut cache)
    }

    fn visit(&self, site: &Arc<SiteRoot>, run: &Run<'_>) -> anyhow::Result<Timeline> {
        let mut cache = Cache::default();
        self.prepare(site, run.page);
        if run.visit == Visit::First {
            return self.once(site, run, &mut cache);
        }
        self.once(site, run, &mut cache)?;
        cache.pass(BETWEEN_VISITS);
        let replaced = match run.visit {
            Visit::Changed => changed(site, run.page).and_then(|file| site.put(Arc::new(file))),
            Visit::First | Visit::Repeat => None,
        };
        self.prepare(site, run.page);
        let loaded = self.once(site, run, &mut cache);
        if let Some(before) = replaced {
            site.put(before);
            site.prepare_blocking(run.page);
        }
        loaded
    }

    /// Makes a page and the encoded forms of all that it needs: what a server that has run for a
    /// while holds, and nothing that depends on time.
    fn prepare(&self, site: &SiteRoot, page: &UrlPath) {
        prepare(site, page);
        let snapshot = site.snapshot();
        let plan = snapshot.page(page.as_str()).map(|page| &page.plan);
        let items = plan.map_or(&[][..], |plan| &plan.items);
        let needed = items
            .iter()
            .filter_map(|item| match &item.subresource.target {
                Target::Here(url) => Some(url.path()),
                Target::Elsewhere(_) => None,
            });
        for path in needed.chain([page]) {
            if let Some(asset) = snapshot.asset(path.as_str()).filter(|_| self.encodes) {
                self.encode(site, asset);
            }
        }
    }

    /// Makes the encoded form of a file that a client gets, as small as it gets: of one content
    /// once.
    fn encode(&self, site: &SiteRoot, asset: &Arc<Asset>) {
        let is_done = |asset: &Asset| {
            // Every client likes the first best, and takes another where that gains nothing.
            Coding::ALL
                .iter()
                .any(|&coding| asset.encodings.is_smaller(coding, Level::Best))
                || Coding::ALL
                    .iter()
                    .all(|&coding| asset.encodings.is_settled(coding, Level::Best))
        };
        if is_done(asset) || !asset.can_be_encoded() {
            return;
        }
        let mut encoded = self.encoded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = encoded.get(&asset.content_hash) {
            return site.keep_encodings(asset, known);
        }
        for coding in Coding::ALL {
            site.encode_blocking(asset, coding);
            if is_done(asset) {
                break;
            }
        }
        encoded.insert(asset.content_hash, asset.encodings.clone());
    }

    fn once(
        &self,
        site: &Arc<SiteRoot>,
        run: &Run<'_>,
        cache: &mut Cache,
    ) -> anyhow::Result<Timeline> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .context("cannot start a runtime")?;
        let url = format!("https://localhost{}", run.page.to_target());
        let url = Url::parse(&url).with_context(|| format!("{url} is no URL"))?;
        Ok(runtime.block_on(self.simulate(site, run, &url, cache)))
    }

    async fn simulate(
        &self,
        site: &Arc<SiteRoot>,
        run: &Run<'_>,
        url: &Url,
        cache: &mut Cache,
    ) -> Timeline {
        let service = Arc::new(Service {
            site: Arc::clone(site),
            handler: answer::answer,
            tls: Arc::clone(&self.tls),
            options: Options {
                deliver: run.delivery.deliver(),
                ..Options::default()
            },
            live: None,
            channels: None,
            log: AccessLog::Off,
            limits: Limits::default(),
            buffers: Buffers::new(u64::MAX),
            sign_ins: Arc::default(),
            metrics: Arc::default(),
            now: || SystemTime::UNIX_EPOCH + NOW,
            think: run.think,
        });
        let started = Instant::now();
        let (server_end, client_end) = link(run.link);
        let arrived = server_end.outgoing();
        let server = serve(
            TlsAcceptor::from(self.tls.server_config()),
            server_end,
            service,
        );
        let connect = || async {
            tokio::time::sleep(run.link.handshake_time()).await;
            let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
            self.connector.connect(name, client_end).await
        };
        let mut page = Page::new(url.clone(), Arc::clone(&self.parsed));
        let client = page_load::load(connect, &mut page, cache, &run.client);
        let mut timeline = tokio::select! {
            biased;
            timeline = client => timeline,
            never = server => match never {},
        };
        timeline.arrivals = arrivals(&arrived, started);
        timeline
    }
}

/// Makes a page before the clock starts, and the one that its directory redirects to.
fn prepare(site: &SiteRoot, page: &UrlPath) {
    site.prepare_blocking(page);
    site.prepare_blocking(&page.with_slash());
}

/// Serves the one connection that a load makes, and then waits for ever: what the client does last
/// does not depend on when the server is done.
pub(super) async fn serve(acceptor: TlsAcceptor, end: End, service: Arc<Service>) -> Infallible {
    let (_draining, drain) = watch::channel(false);
    if let Ok(stream) = acceptor.accept(end).await {
        connection::run(stream, PEER, service, drain).await;
    }
    std::future::pending().await
}

/// Returns the bytes that had arrived at each moment since a load started.
fn arrivals(arrived: &Meter, started: Instant) -> Vec<(Duration, u64)> {
    let progress = arrived.delivered();
    let since = |&(at, bytes): &(Instant, u64)| (at.saturating_duration_since(started), bytes);
    progress.steps().iter().map(since).collect()
}

/// Returns the file that counts as edited between two visits of a page, as it is afterwards: its
/// first style sheet, else the first of its files, else the page itself.
fn changed(site: &SiteRoot, page: &UrlPath) -> Option<Asset> {
    let snapshot = site.snapshot();
    let file = |path: &UrlPath| match snapshot.entry(path.as_str()) {
        Some(Entry::File(asset)) => asset.content.clone().map(|content| (asset, content)),
        _ => None,
    };
    let items = snapshot
        .page(page.as_str())
        .map(|page| page.plan.items.as_slice());
    let of = |wanted: fn(&Item) -> bool| {
        let mut items = items.unwrap_or_default().iter().filter(|item| wanted(item));
        items.find_map(|item| match &item.subresource.target {
            Target::Here(url) => file(url.path()),
            Target::Elsewhere(_) => None,
        })
    };
    let is_style = |item: &Item| item.subresource.destination == Destination::Style;
    let found = of(is_style).or_else(|| of(|_| true)).or_else(|| file(page));
    // None of a page above the in-memory bound: nothing of it can be told apart.
    let (asset, content) = found?;
    let edited = [&content, EDIT].concat();
    Some(Asset::in_memory(asset.path.clone(), edited.into()))
}
