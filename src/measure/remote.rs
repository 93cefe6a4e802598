//! Loads over the real network, from any HTTP/2 server.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustls::CertificateError;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::{Host, Url};

use super::page_load::page::{Page, Parsed};
use super::page_load::{self, Cache, LoadOptions};
use super::stop::Stop;
use super::timeline::Timeline;
use crate::tls;

/// How long connecting may take, TLS included.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(20);

/// How long pushes that nobody claimed are counted after a load: somebody waits for it.
const SETTLING_MAX: Duration = Duration::from_secs(2);

/// A server somewhere.
pub(super) struct Remote {
    runtime: Runtime,
    connector: TlsConnector,
    parsed: Arc<Parsed>,
}

impl Remote {
    /// Prepares to speak with servers that the system trusts, or that `authorities` vouch for (PEM
    /// files).
    ///
    /// # Errors
    /// An authority's file cannot be used, or no runtime can be started.
    pub(super) fn open(authorities: &[PathBuf]) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start a runtime")?;
        let connector = TlsConnector::from(tls::client_config(authorities)?);
        Ok(Self {
            runtime,
            connector,
            parsed: Arc::default(),
        })
    }

    /// Checks that there is an HTTP/2 server, before anything long is begun, and returns the
    /// round-trip time to it: that of a TCP handshake.
    ///
    /// # Errors
    /// There is none; the error says what is there instead.
    pub(super) fn check(&self, url: &Url, stop: &Stop) -> anyhow::Result<Duration> {
        let connected = self.runtime.block_on(async {
            tokio::select! {
                connected = connect(&self.connector, url) => connected.map(|(_, took)| took),
                () = stop.wait() => Ok(Duration::ZERO),
            }
        });
        connected.with_context(|| format!("cannot measure {url}"))
    }

    /// Loads a page; nothing comes of it if it is stopped.
    pub(super) fn load(
        &self,
        url: &Url,
        cache: &mut Cache,
        options: &LoadOptions,
        stop: &Stop,
    ) -> Option<Timeline> {
        let connect = || async {
            connect(&self.connector, url)
                .await
                .map(|(stream, _)| stream)
        };
        let mut options = *options;
        options.limits.settling = options.limits.settling.min(SETTLING_MAX);
        let mut page = Page::new(url.clone(), Arc::clone(&self.parsed));
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = stop.wait() => None,
                timeline = page_load::load(connect, &mut page, cache, &options) => Some(timeline),
            }
        })
    }
}

/// Connects, and returns how long the handshake of TCP took.
async fn connect(
    connector: &TlsConnector,
    url: &Url,
) -> io::Result<(TlsStream<TcpStream>, Duration)> {
    let connecting = async {
        let (host, name) = match url.host() {
            Some(Host::Domain(name)) => (name.to_owned(), ServerName::try_from(name.to_owned())),
            Some(Host::Ipv4(address)) => (address.to_string(), Ok(ServerName::from(address))),
            Some(Host::Ipv6(address)) => (address.to_string(), Ok(ServerName::from(address))),
            None => return Err(io::Error::other("the URL names no host")),
        };
        let name = name.map_err(io::Error::other)?;
        let port = url.port_or_known_default().unwrap_or(443);
        let (stream, took) = reach(&host, port).await?;
        stream.set_nodelay(true)?;
        let stream = connector
            .connect(name, stream)
            .await
            .map_err(|error| explain(&error))?;
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Ok((stream, took)),
            _ => Err(io::Error::other(
                "the server does not speak HTTP/2 over TLS, and only that is measured",
            )),
        }
    };
    match timeout(CONNECT_WAIT_MAX, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no connection within {} s", CONNECT_WAIT_MAX.as_secs()),
        )),
    }
}

/// Tries the addresses of a host in turn.
async fn reach(host: &str, port: u16) -> io::Result<(TcpStream, Duration)> {
    let mut failure = io::Error::other("the name of the host has no address");
    for address in tokio::net::lookup_host((host, port)).await? {
        let started = Instant::now();
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok((stream, started.elapsed())),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Says what to do about what is most often wrong.
fn explain(error: &io::Error) -> io::Error {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let fix = match tls {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "; name the authority's certificate with --authority, as in \
             --authority certs/authority.pem"
        }
        Some(rustls::Error::NoApplicationProtocol | rustls::Error::AlertReceived(_)) => {
            "; the server may not speak HTTP/2 over TLS"
        }
        Some(rustls::Error::InvalidMessage(_)) => "; is that a TLS port?",
        _ => "",
    };
    io::Error::new(error.kind(), format!("{error}{fix}"))
}
