//! The root of `forerun serve`: opens everything, joins every task.
//!
//! Read on in [`listen`] (addresses and ports), [`runtime`] (one thread a core) and [`plaintext`]
//! (who comes without TLS).

pub mod address;
mod admin;
mod channels;
mod greeting;
pub mod limits;
mod listen;
mod plaintext;
pub mod qr;
mod runtime;
mod seats;
mod service_manager;
mod small_http;

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

pub use channels::{ChannelSettings, Keep};
pub use listen::{Exposure, Port};

use crate::access_log::{AccessLog, Entry, Format, LINES_WAITING_MAX};
use crate::answer;
use crate::answer::live::Heard;
use crate::door::limits::{Buffers, Limits};
use crate::door::{self, Service};
use crate::hub::Publication;
use crate::live::maker::Maker;
use crate::live::{self, LiveOptions};
use crate::site::{SiteOptions, SiteRoot};
use crate::tls::{Refresh, Source, Tls};

/// How long open answers may take once the server is told to stop.
pub const DRAIN_MAX: Duration = Duration::from_secs(10);
/// How long the last log lines may take.
const LOG_WAIT_MAX: Duration = Duration::from_secs(1);
/// How often certificate files are looked at.
const REFRESH_EVERY: Duration = Duration::from_secs(1);

/// What `forerun serve` was told.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// What is served.
    pub site: SiteOptions,
    /// Where the certificate comes from.
    pub certificate: Certificate,
    /// Who may connect.
    pub exposure: Exposure,
    /// The port.
    pub port: Port,
    /// The port on which who comes without TLS is sent to the other, if there is one.
    pub http_port: Option<u16>,
    /// How answers are made.
    pub answer: answer::Options,
    /// What a line per answer looks like, if there is one.
    pub log: Option<Format>,
    /// What peers may take.
    pub limits: Limits,
    /// Channels, if there are any.
    pub channels: Option<ChannelSettings>,
    /// Where operators ask.
    pub admin: Option<SocketAddr>,
}

/// What `forerun dev` was told.
#[derive(Debug, Clone)]
pub struct DevOptions {
    /// What it shares with `forerun serve`.
    pub serve: ServeOptions,
    /// What follows from edits, and how.
    pub live: LiveOptions,
}

/// Where the certificate comes from.
#[derive(Debug, Clone)]
pub enum Certificate {
    /// PEM files.
    Files {
        /// The chain, leaf first.
        certificate: PathBuf,
        /// The leaf's key.
        key: PathBuf,
    },
    /// A leaf minted by the local authority in this directory.
    Local {
        /// Where the authority lives.
        directory: PathBuf,
        /// The name of this machine, if it has one.
        host_name: Option<String>,
    },
}

/// Serves until a signal says to stop.
///
/// # Errors
/// Whatever keeps the server from starting, with its fix.
pub fn run(options: &ServeOptions) -> anyhow::Result<()> {
    start(options, None)
}

/// Serves a site while it is edited, until a signal or a key says to stop.
///
/// # Errors
/// Whatever keeps the server from starting, with its fix.
pub fn dev(options: &DevOptions) -> anyhow::Result<()> {
    start(&options.serve, Some(&options.live))
}

fn start(options: &ServeOptions, live: Option<&LiveOptions>) -> anyhow::Result<()> {
    let started = Instant::now();
    raise_file_limit();
    let sockets = service_manager::sockets()?;
    let mut options = options.clone();
    if !sockets.is_empty() {
        options.exposure = service_manager::exposure(&sockets)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    let ended = runtime.block_on(serve(&options, live, sockets, started));
    // A disk that does not answer must not keep the process.
    runtime.shutdown_background();
    ended
}

async fn serve(
    options: &ServeOptions,
    edited: Option<&LiveOptions>,
    sockets: Vec<TcpListener>,
    started: Instant,
) -> anyhow::Result<()> {
    // Whoever reads the first line may send a signal at once.
    let mut ends = Ends::new()?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let bound = listen::bind(sockets, &options.exposure, options.port)?;
    let plaintext = match options.http_port {
        Some(port) => Some(listen::bind_plaintext(&options.exposure, port)?),
        None => None,
    };
    let admin = match options.admin {
        Some(address) => Some(listen::bind_at(address, "--admin")?),
        None => None,
    };
    let others = edited.map_or(&[][..], |edited| &edited.allowed_hosts);
    let tls = Tls::open(
        source(&options.certificate, &options.exposure, others),
        SystemTime::now(),
    )?;
    let mut maker = match edited {
        Some(edited) => live::maker(edited).await?,
        None => None,
    };
    if made(&mut maker, &mut ends).await.is_break() {
        return Ok(());
    }
    let site = open_site(options, maker.as_ref())?;
    let (log, written) = access_log(options.log)?;
    let (live, heard) = edited.map(|edited| live::open(edited, epoch())).unzip();
    let metrics = Arc::default();
    let (channels, told) = match &options.channels {
        Some(settings) => {
            channels::warn_of_hidden_files(settings, &options.site.root);
            let opened = channels::open(settings, &options.limits, &metrics).await?;
            (Some(opened.0), Some(opened.1))
        }
        None => (None, None),
    };
    let service = Arc::new(Service {
        site: Arc::new(site),
        handler: answer::answer,
        tls: Arc::new(tls),
        options: options.answer,
        live,
        channels,
        log,
        limits: options.limits.clone(),
        buffers: Buffers::new(options.limits.buffered_bytes),
        sign_ins: Arc::default(),
        metrics,
        now: SystemTime::now,
        think: Duration::ZERO,
    });
    let runtimes = runtime::Runtimes::start(&service)?;
    let plain_port = plaintext.as_ref().map(|bound| bound.port);
    let url = greeting::print(options, edited, &bound, plain_port, &service.tls, started)?;
    if let Some(address) = admin.as_ref().and_then(|admin| admin.address().ok()) {
        tracing::info!("http://{address}/metrics and /healthz are for operators");
    }
    service_manager::ready();

    let draining = Arc::new(AtomicBool::new(false));
    let serving = async {
        // Neither too many connections nor a slow disk may keep the server from hearing a signal.
        tokio::select! {
            () = accept(&bound, &runtimes) => {}
            () = plaintext::send_away(plaintext, &service, bound.port) => {}
            () = watch_certificates(&service, &mut hang_up) => {}
            () = tell(&service, told) => {}
            followed = follow(edited, maker, &service, heard, &url) => followed?,
            () = ends.next() => {}
        }
        service_manager::stopping();
        draining.store(true, Ordering::Relaxed);
        drop(bound);
        if let Some(live) = &service.live {
            live.pages.hub.close();
        }
        if let Some(channels) = &service.channels {
            channels.close();
        }
        runtimes.drain(DRAIN_MAX, ends.next()).await;
        anyhow::Ok(())
    };
    // Operators are answered to the end.
    tokio::select! {
        served = serving => served?,
        () = admin::run(admin.as_ref(), &service, &draining) => {}
    }
    service.log.end();
    // A terminal that takes nothing must not keep the process.
    let _ = tokio::time::timeout(LOG_WAIT_MAX, written).await;
    Ok(())
}

/// The signals that ask the program to end.
struct Ends {
    interrupt: Signal,
    terminate: Signal,
}

impl Ends {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one. May be dropped: none is lost.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Waits until the site is made, if a command makes it; breaks off when told to end.
async fn made(maker: &mut Option<Maker>, ends: &mut Ends) -> ControlFlow<()> {
    let Some(making) = maker else {
        return ControlFlow::Continue(());
    };
    tokio::select! {
        () = live::make(making) => return ControlFlow::Continue(()),
        () = ends.next() => {}
    }
    if let Some(maker) = maker.take() {
        tokio::select! {
            () = maker.stop() => {}
            // Who asks twice has waited enough: it is killed.
            () = ends.next() => {}
        }
    }
    ControlFlow::Break(())
}

/// Opens the site, as its maker left it.
fn open_site(options: &ServeOptions, maker: Option<&Maker>) -> anyhow::Result<SiteRoot> {
    let opened = SiteRoot::open(options.site.clone());
    match maker.and_then(Maker::failed) {
        Some(problem) => opened.with_context(|| format!("{}, and made no site", problem.title)),
        None => Ok(opened?),
    }
}

/// Tells who hears which channels, for ever.
async fn tell(service: &Service, told: Option<mpsc::Receiver<Publication>>) {
    match service.channels.as_ref().zip(told) {
        Some((channels, told)) => door::channels::tell(&channels.store, told).await,
        None => std::future::pending().await,
    }
}

/// Follows edits until told to stop; for ever if nobody edits.
async fn follow(
    edited: Option<&LiveOptions>,
    maker: Option<Maker>,
    service: &Arc<Service>,
    heard: Option<mpsc::Receiver<Heard>>,
    url: &str,
) -> anyhow::Result<()> {
    match edited.zip(heard) {
        Some((edited, heard)) => live::follow(edited, maker, service, heard, url).await,
        None => std::future::pending().await,
    }
}

/// Returns a number that no earlier run has had: milliseconds since 1970.
fn epoch() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Hands over connections for ever.
async fn accept(bound: &listen::Bound, runtimes: &runtime::Runtimes) {
    loop {
        runtimes.hand_over(bound.accept().await).await;
    }
}

/// Looks at the certificate files every now and then, and when told to, for ever.
async fn watch_certificates(service: &Arc<Service>, hang_up: &mut Signal) {
    let mut ticks = tokio::time::interval(REFRESH_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => refresh(service, Tls::refresh).await,
            _ = hang_up.recv() => refresh(service, Tls::reload).await,
        }
    }
}

fn source(certificate: &Certificate, exposure: &Exposure, others: &[String]) -> Source {
    match certificate {
        Certificate::Files { certificate, key } => Source::Files {
            certificate: certificate.clone(),
            key: key.clone(),
        },
        Certificate::Local {
            directory,
            host_name,
        } => Source::Local {
            directory: directory.clone(),
            names: host_name
                .iter()
                .chain(others)
                .cloned()
                .chain(exposure.names())
                .collect(),
        },
    }
}

/// Looks at the certificate files, on a thread that may wait for the disk.
async fn refresh(service: &Arc<Service>, look: fn(&Tls, SystemTime) -> Refresh) {
    let tls = Arc::clone(&service.tls);
    let looked = tokio::task::spawn_blocking(move || {
        let now = SystemTime::now();
        (look(&tls, now), tls.warnings(now))
    });
    match looked.await {
        Ok((Refresh::Unchanged, _)) => {}
        Ok((Refresh::Reloaded, warnings)) => {
            tracing::info!("a new certificate is in force");
            for warning in warnings {
                tracing::warn!("{warning}");
            }
        }
        Ok((Refresh::Kept(error), _)) => {
            tracing::warn!("{error}; the last good certificate stays in force");
        }
        Err(error) => tracing::error!(%error, "the certificate could not be looked at"),
    }
}

/// A connection is a file descriptor, so the limit on those is the limit on connections.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    ) {
        tracing::debug!(%error, "the limit on open files stays as it is");
    }
}

/// Starts the thread that writes log lines. The receiver hears when it has ended; at once if there
/// is none.
fn access_log(format: Option<Format>) -> anyhow::Result<(AccessLog, oneshot::Receiver<()>)> {
    let (end, ended) = oneshot::channel();
    let Some(format) = format else {
        return Ok((AccessLog::Off, ended));
    };
    let (lines, waiting) = sync_channel(LINES_WAITING_MAX);
    std::thread::Builder::new()
        .name("forerun-log".into())
        .spawn(move || {
            // Nobody reads the log any more, perhaps: serving goes on.
            let _ = write_lines(&waiting, format);
            let _ = end.send(());
        })
        .context("cannot start the log")?;
    Ok((AccessLog::to(lines), ended))
}

fn write_lines(waiting: &Receiver<Option<Entry>>, format: Format) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout());
    while let Ok(Some(first)) = waiting.recv() {
        writeln!(out, "{}", first.line(format))?;
        // What has gathered meanwhile is written at once.
        for next in waiting.try_iter() {
            let Some(entry) = next else {
                return out.flush();
            };
            writeln!(out, "{}", entry.line(format))?;
        }
        out.flush()?;
    }
    Ok(())
}
