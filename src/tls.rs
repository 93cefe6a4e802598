//! TLS: the certificate in force, read from files or minted here, and replaced without dropping
//! anyone.
//!
//! [`Tls`] owns the one server configuration of the process. Connections find the certificate
//! behind it through a pointer that [`Tls::refresh`] swaps, so a reload touches no connection and
//! no ticket. Knows nothing of HTTP, and of time and paths only what it is told.
//!
//! ```text
//! files      PEM -> certificates and keys, or what the file is instead
//! identity   certificates and keys -> a chain with its key, and the hosts it covers
//! authority  names and a moment -> a local authority, a leaf (pure)
//! directory  the files of a local authority: reused, or minted under a lock
//! watch      which change of the files is worth a look, and a word
//! describe   a certificate for a person to read      trust  how a person has it trusted
//! client     the other end: what pages are measured with
//! error      everything that can be wrong with a certificate, and the fix
//! ```

mod authority;
mod client;
mod describe;
mod directory;
mod error;
mod files;
mod identity;
#[cfg(test)]
mod tests;
pub mod trust;
mod watch;

use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use directory::{Directory, Wanting};
use files::Text;
use identity::Identity;
use watch::{Look, Watch};

pub use client::client_config;
pub use describe::{Description, Facts};
pub use error::TlsError;

/// What is spoken over TLS, the preferred first (RFC 7301).
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// How long before its end a certificate is warned of.
const EXPIRY_WARNING: Duration = Duration::from_hours(14 * 24);

/// How long a renewal that failed waits before the next try.
const RENEWAL_PAUSE: Duration = Duration::from_hours(1);

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Two PEM files, watched for changes. They may be one and the same.
    Files {
        /// The certificate, and the chain to an authority that clients trust.
        certificate: PathBuf,
        /// Its private key: PKCS#8, PKCS#1 or SEC1.
        key: PathBuf,
    },
    /// A local authority, minted if there is none, and a leaf that it signs.
    Local {
        /// Where both are kept: see [`place`].
        directory: PathBuf,
        /// Host names and addresses for the leaf, beside `localhost`, `127.0.0.1` and `::1`.
        names: Vec<String>,
    },
}

/// What a look at the certificate's source came to.
#[derive(Debug)]
pub enum Refresh {
    /// Nothing new.
    Unchanged,
    /// New connections are served with another certificate.
    Reloaded,
    /// There is another certificate, and this is wrong with it: the old one stays in force.
    Kept(TlsError),
}

/// The TLS side of the server: one configuration, and the certificate in force behind it.
#[derive(Debug)]
pub struct Tls {
    config: Arc<ServerConfig>,
    in_force: Arc<InForce>,
    /// How often another came into force.
    replaced: AtomicU64,
    provider: Arc<CryptoProvider>,
    origin: Origin,
    /// Where `forerun certificate` points to.
    authority: Option<PathBuf>,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
enum Origin {
    Files,
    Local(Directory),
}

#[derive(Debug)]
struct Progress {
    watch: Watch,
    /// A renewal before this would fail as the last one did.
    renew_from: SystemTime,
}

impl Tls {
    /// Reads or mints the certificate, and makes the configuration to serve it with.
    ///
    /// Blocks on the disk. `now` must be the wall clock.
    ///
    /// # Errors
    ///
    /// Fails when there is nothing to serve with; the error names the file and the fix.
    pub fn open(source: Source, now: SystemTime) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (origin, identity, watch) = match source {
            Source::Files { certificate, key } => {
                let (watch, texts) = Watch::open(vec![certificate, key], now);
                (Origin::Files, from_files(texts, &provider, now)?, watch)
            }
            Source::Local { directory, names } => {
                let directory = Directory::new(directory, &names);
                let identity = directory.ensure(&provider, now)?;
                let (watch, _) = Watch::open(directory.files().into(), now);
                (Origin::Local(directory), identity, watch)
            }
        };
        let authority = match &origin {
            Origin::Files => None,
            Origin::Local(directory) => Some(directory.authority()),
        };
        let in_force = Arc::new(InForce(ArcSwap::from_pointee(identity)));
        let config = Arc::new(server_config(&provider, &in_force)?);
        let progress = Mutex::new(Progress {
            watch,
            renew_from: now,
        });
        Ok(Self {
            config,
            in_force,
            replaced: AtomicU64::new(0),
            provider,
            origin,
            authority,
            progress,
        })
    }

    /// Returns the configuration to accept connections with: the same one for ever.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Returns whether the certificate in force is valid for a host: the authority of a request
    /// without its port, an IPv6 address with or without brackets. A request for any other deserves
    /// 421 (RFC 9110 section 15.5.20).
    ///
    /// Costs some comparisons of strings for a name that the certificate spells out, and a parse of
    /// the certificate, about a microsecond, for one that a wildcard covers.
    pub fn covers(&self, host: &str) -> bool {
        self.in_force.0.load().covers(host)
    }

    /// Returns how often the certificate was replaced: until it changes, so does nothing that
    /// [`Self::covers`] said.
    pub fn replaced(&self) -> u64 {
        self.replaced.load(Ordering::Acquire)
    }

    /// Looks whether the certificate changed or is due for renewal: meant for once a second.
    ///
    /// Blocks on the disk: two or three stats, nearly always. A bad change is said once, on the
    /// second look that finds it, since certificate and key are not replaced in one instant.
    pub fn refresh(&self, now: SystemTime) -> Refresh {
        // Held while files are read: whoever else refreshes waits for the outcome, which is theirs.
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(renewed) = self.renew(&mut progress, now) {
            return renewed;
        }
        let Look::Changed(texts, digest) = progress.watch.look(now) else {
            return Refresh::Unchanged;
        };
        match self.judge(texts, now) {
            Ok(identity) => {
                progress.watch.accept(digest);
                self.replace(identity)
            }
            Err(error) if progress.watch.reject(digest) => Refresh::Kept(error),
            Err(_) => Refresh::Unchanged,
        }
    }

    /// Reads the certificate again because someone asked, with SIGHUP: whatever is wrong with it is
    /// said, and said every time.
    pub fn reload(&self, now: SystemTime) -> Refresh {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.renew_from = now;
        if let Some(renewed) = self.renew(&mut progress, now) {
            return renewed;
        }
        match progress
            .watch
            .reread(now)
            .map(|texts| self.judge(texts, now))
        {
            Some(Ok(identity)) => self.replace(identity),
            Some(Err(error)) => Refresh::Kept(error),
            None => Refresh::Unchanged,
        }
    }

    /// Returns what a person should know of the certificate in force; worth saying at the start,
    /// after [`Refresh::Reloaded`], and once a day.
    pub fn warnings(&self, now: SystemTime) -> Vec<String> {
        let identity = self.in_force.0.load();
        let mut warnings = identity.warnings.clone();
        let until = identity.life.until;
        if now > until {
            warnings.push(format!(
                "the certificate expired on {}",
                describe::moment(until)
            ));
        } else if now + EXPIRY_WARNING > until {
            warnings.push(format!(
                "the certificate expires on {}: renew it",
                describe::moment(until)
            ));
        }
        warnings
    }

    /// Returns the certificate of the local authority: what a person has to trust.
    pub fn authority(&self) -> Option<&Path> {
        self.authority.as_deref()
    }

    /// Returns what the certificate in force says; `None` if it cannot be read back.
    pub fn describe(&self) -> Option<Description> {
        let identity = self.in_force.0.load();
        let leaf = Facts::of(identity.certified.cert.first()?)?;
        let authority = identity.authority.as_ref().and_then(Facts::of);
        Some(Description { authority, leaf })
    }

    /// Renews a minted leaf whose time has come.
    fn renew(&self, progress: &mut Progress, now: SystemTime) -> Option<Refresh> {
        let Origin::Local(directory) = &self.origin else {
            return None;
        };
        if now
            < self
                .in_force
                .0
                .load()
                .life
                .renewal()
                .max(progress.renew_from)
        {
            return None;
        }
        match directory.ensure(&self.provider, now) {
            Ok(identity) => {
                progress.watch.reread(now);
                Some(self.replace(Some(identity)))
            }
            Err(error) => {
                progress.renew_from = now + RENEWAL_PAUSE;
                Some(Refresh::Kept(error))
            }
        }
    }

    /// Reads changed files; `None` if they are good, but no reason to change what is in force.
    fn judge(&self, texts: Vec<Text>, now: SystemTime) -> Result<Option<Identity>, TlsError> {
        let Origin::Local(directory) = &self.origin else {
            return from_files(texts, &self.provider, now).map(Some);
        };
        let Ok(texts) = <[Text; 3]>::try_from(texts) else {
            return Ok(None);
        };
        match directory.judge(texts, &self.provider, now) {
            Ok(identity) => Ok(Some(identity)),
            // Another process minted for itself. Minting over that would start a quarrel.
            Err(Wanting::Unsuited) => Ok(None),
            Err(Wanting::Unusable(error)) => Err(error),
        }
    }

    fn replace(&self, identity: Option<Identity>) -> Refresh {
        let Some(identity) = identity else {
            return Refresh::Unchanged;
        };
        if identity.certified.cert == self.in_force.0.load().certified.cert {
            return Refresh::Unchanged;
        }
        self.in_force.0.store(Arc::new(identity));
        self.replaced.fetch_add(1, Ordering::Release);
        Refresh::Reloaded
    }
}

fn from_files(
    texts: Vec<Text>,
    provider: &CryptoProvider,
    now: SystemTime,
) -> Result<Identity, TlsError> {
    let [certificate, key] =
        <[Text; 2]>::try_from(texts).expect("two files are watched, so two were read");
    Identity::from_files(certificate, key, provider, now)
}

/// TLS 1.3 and 1.2; session tickets, so that a client that comes back saves a round trip on 1.2 and
/// the signature on both; no early data, which can be replayed.
fn server_config(
    provider: &Arc<CryptoProvider>,
    in_force: &Arc<InForce>,
) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(in_force) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(config)
}

/// The identity in force, asked for once per handshake and once per request.
#[derive(Debug)]
struct InForce(ArcSwap<Identity>);

impl ResolvesServerCert for InForce {
    /// The same for every name: a client that asked for another is told so by 421.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().certified))
    }
}

/// Returns where the local authority is kept: `./certs` if it exists (`working_certs`) and lies
/// outside the served directory, else `forerun` in the user's data directory.
///
/// Paths must be absolute and free of links and `..`, as far as they exist.
///
/// # Errors
///
/// Fails when either would be served to the world.
pub fn place(
    working_certs: Option<&Path>,
    site: &Path,
    data_home: &Path,
) -> Result<PathBuf, TlsError> {
    if let Some(certs) = working_certs.filter(|certs| !certs.starts_with(site)) {
        return Ok(certs.to_owned());
    }
    let directory = data_home.join("forerun");
    if is_served(&directory, site) {
        return Err(TlsError::Served {
            directory,
            site: site.to_owned(),
        });
    }
    Ok(directory)
}

/// Returns whether a path lies in the served directory, and not below a hidden one, which is never
/// served.
fn is_served(path: &Path, site: &Path) -> bool {
    let is_hidden = |part: Component<'_>| part.as_os_str().as_encoded_bytes().starts_with(b".");
    path.strip_prefix(site)
        .is_ok_and(|below| !below.components().any(is_hidden))
}
