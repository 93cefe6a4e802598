//! The other end of a connection: what `measure` loads pages with.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::error::TlsError;
use super::files;
use super::identity::Identity;
use super::watch::Watch;
use super::{InForce, Origin, Progress, Tls, server_config};

/// How long a simulated identity is valid on either side of the moment it is made for.
const SIMULATED_LIFE: Duration = Duration::from_hours(24);

/// Returns how a client connects: HTTP/2 alone, to servers that are vouched for by the system's
/// authorities or by those in PEM files. What the system has that is no certificate is passed over.
///
/// Blocks on the disk.
///
/// # Errors
/// A file holds no certificate; the error names it.
pub fn client_config(authorities: &[PathBuf]) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for file in authorities {
        let certificates = files::parse_certificates(files::read(file))?;
        roots.add_parsable_certificates(certificates);
    }
    configure(Arc::new(aws_lc_rs::default_provider()), roots)
}

impl Tls {
    /// Makes both ends of connections that never leave this process: a server for `localhost`, and
    /// the configuration of clients that trust it.
    ///
    /// Every handshake takes the same number of bytes: the key is Ed25519, whose signatures have a
    /// fixed length (RFC 8032), and X25519 is the only key exchange.
    ///
    /// # Errors
    /// The identity cannot be minted.
    pub fn simulated(now: SystemTime) -> Result<(Self, Arc<ClientConfig>), TlsError> {
        let provider = Arc::new(CryptoProvider {
            kx_groups: vec![aws_lc_rs::kx_group::X25519],
            ..aws_lc_rs::default_provider()
        });
        let (certificate, key) = mint(now)?;
        let identity = Identity::simulated(certificate.clone(), key, &provider)?;
        let in_force = Arc::new(InForce(ArcSwap::from_pointee(identity)));
        let mut config = server_config(&provider, &in_force)?;
        // A ticket would follow the handshake, and nobody comes back.
        config.send_tls13_tickets = 0;
        let (watch, _) = Watch::open(Vec::new(), now);
        let progress = Progress {
            watch,
            renew_from: now,
        };
        let server = Self {
            config: Arc::new(config),
            in_force,
            replaced: AtomicU64::new(0),
            provider: Arc::clone(&provider),
            origin: Origin::Files,
            authority: None,
            progress: progress.into(),
        };
        let mut roots = RootCertStore::empty();
        roots.add(certificate)?;
        Ok((server, configure(provider, roots)?))
    }
}

/// Mints a certificate for `localhost` that vouches for itself, of a length that never varies.
fn mint(now: SystemTime) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), TlsError> {
    let key = KeyPair::generate_for(&PKCS_ED25519)?;
    let mut params = CertificateParams::new(["localhost".to_owned()])?;
    params.not_before = (now - SIMULATED_LIFE).into();
    params.not_after = (now + SIMULATED_LIFE).into();
    params.serial_number = Some(1_u64.into());
    let certificate = params.self_signed(&key)?.der().clone();
    Ok((
        certificate,
        PrivateKeyDer::Pkcs8(key.serialize_der().into()),
    ))
}

fn configure(
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
) -> Result<Arc<ClientConfig>, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Every load is that of somebody who was never here: none is a round trip shorter.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}
