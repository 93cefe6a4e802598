//! A certificate chain and its key, found to belong together.
//!
//! Knows nothing of where they came from. [`Identity`] is what connections are served with.

use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::SignatureAlgorithm;
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SigningKey};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{
    OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS, OID_PKIX_AUTHORITY_INFO_ACCESS,
};
use x509_parser::x509::X509Version;

use super::error::TlsError;
use super::files::{self, Text};

/// What connections are served with: one is in force at a time, and it never changes.
#[derive(Debug)]
pub(super) struct Identity {
    /// The chain, leaf first, and its key.
    pub(super) certified: Arc<CertifiedKey>,
    /// The first and the last moment of the leaf's life.
    pub(super) life: Life,
    /// The authority it was minted by, if it was minted here.
    pub(super) authority: Option<CertificateDer<'static>>,
    /// What a person should know of it.
    pub(super) warnings: Vec<String>,
    /// Names that the leaf covers as they are spelt: most requests ask for one of them.
    names: Vec<String>,
}

/// From when until when a certificate is valid, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) from: SystemTime,
    pub(super) until: SystemTime,
}

impl Life {
    /// Returns the validity of a certificate.
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        Self {
            from: moment(validity.not_before.timestamp()),
            until: moment(validity.not_after.timestamp()),
        }
    }

    /// Returns when two thirds of it are gone: time to renew.
    pub(super) fn renewal(&self) -> SystemTime {
        let length = self.until.duration_since(self.from).unwrap_or_default();
        self.from + length / 3 * 2
    }

    /// Checks that a moment lies within.
    pub(super) fn check(&self, file: &Path, now: SystemTime) -> Result<(), TlsError> {
        let file = || file.to_owned();
        if now > self.until {
            return Err(TlsError::Expired {
                file: file(),
                until: self.until,
            });
        }
        if now < self.from {
            return Err(TlsError::NotYetValid {
                file: file(),
                from: self.from,
                now,
            });
        }
        Ok(())
    }
}

/// Turns seconds since 1970 into a moment; a certificate's years 1 to 9999 fit.
fn moment(unix_s: i64) -> SystemTime {
    let distance = Duration::from_secs(unix_s.unsigned_abs());
    let moment = if unix_s < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    moment.unwrap_or(UNIX_EPOCH)
}

impl Identity {
    /// Reads a pair of files, and checks that a client could take them now.
    pub(super) fn from_files(
        certificate: Text,
        key: Text,
        provider: &CryptoProvider,
        now: SystemTime,
    ) -> Result<Self, TlsError> {
        let certificate_file = certificate.file.clone();
        let key_file = key.file.clone();
        let (certificates, keys) = files::parse_pair(certificate, key)?;
        let keys = signing_keys(&key_file, keys.keys, provider)?;
        let found = find_pair(&certificate_file, &certificates.certificates, &keys)?;
        let Some((leaf, key)) = found else {
            return Err(TlsError::WrongPair {
                certificate: certificate_file,
                key: key_file,
            });
        };
        let mut identity = Self::new(&certificate_file, certificates.certificates, leaf, key)?;
        identity
            .warnings
            .extend(files::loose_permissions(&key_file));
        identity.life.check(&certificate_file, now)?;
        Ok(identity)
    }

    /// Joins what was just minted for this process alone.
    pub(super) fn simulated(
        certificate: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        let key = provider.key_provider.load_private_key(key)?;
        Self::new(Path::new("(simulated)"), vec![certificate], 0, key)
    }

    fn new(
        file: &Path,
        certificates: Vec<CertificateDer<'static>>,
        leaf: usize,
        key: Arc<dyn SigningKey>,
    ) -> Result<Self, TlsError> {
        let chain = chain(certificates, leaf);
        let parsed = parse(file, &chain[0])?;
        if parsed.version() != X509Version::V3 {
            return Err(unusable(file, "it is an old version of X.509, before 3"));
        }
        // Refuses what every client would: an unknown critical extension, say.
        ParsedCertificate::try_from(&chain[0])
            .map_err(|cause| unusable(file, &cause.to_string()))?;
        let life = Life::of(&parsed);
        let warnings = faults(file, &parsed, key.algorithm(), chain.len());
        let spelt = names(&parsed);
        let mut identity = Self {
            certified: Arc::new(CertifiedKey::new(chain, key)),
            life,
            authority: None,
            warnings,
            names: Vec::new(),
        };
        if spelt.is_empty() {
            return Err(TlsError::UnusableCertificate {
                file: file.to_owned(),
                cause: "it names no host".into(),
                fix: "have it issued with a subjectAltName, such as `-addext \
                      subjectAltName=DNS:localhost,IP:127.0.0.1` of `openssl req`",
            });
        }
        // Only what verification accepts is compared as it stands: never more than it would accept.
        identity.names = spelt
            .into_iter()
            .filter(|name| identity.verifies(name))
            .collect();
        Ok(identity)
    }

    /// Returns whether the leaf is valid for a host: a name, or an address with or without the
    /// brackets of a URL (RFC 9110 section 7.4, RFC 6125).
    pub(super) fn covers(&self, host: &str) -> bool {
        let host = match host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some(inner) if inner.parse::<Ipv6Addr>().is_ok() => inner,
            Some(_) => return false,
            None => host,
        };
        self.names
            .iter()
            .any(|name| name.eq_ignore_ascii_case(host))
            || self.verifies(host)
    }

    fn verifies(&self, host: &str) -> bool {
        let Ok(name) = ServerName::try_from(host) else {
            return false;
        };
        ParsedCertificate::try_from(&self.certified.cert[0])
            .is_ok_and(|leaf| verify_server_name(&leaf, &name).is_ok())
    }
}

/// Reads a certificate's DER.
pub(super) fn parse<'der>(
    file: &Path,
    der: &'der CertificateDer<'_>,
) -> Result<X509Certificate<'der>, TlsError> {
    x509_parser::parse_x509_certificate(der)
        .map(|(_, certificate)| certificate)
        .map_err(|_| unusable(file, "it is not X.509"))
}

/// Returns the hosts that a certificate names: DNS names, wildcards among them, and addresses.
pub(super) fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    };
    extension
        .value
        .general_names
        .iter()
        .filter_map(name)
        .collect()
}

/// Reads the 4 or 16 bytes of an address.
pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

fn unusable(file: &Path, cause: &str) -> TlsError {
    TlsError::UnusableCertificate {
        file: file.to_owned(),
        cause: cause.to_owned(),
        fix: "have it issued again, as X.509 version 3 with a subjectAltName",
    }
}

fn signing_keys(
    file: &Path,
    keys: Vec<PrivateKeyDer<'static>>,
    provider: &CryptoProvider,
) -> Result<Vec<Arc<dyn SigningKey>>, TlsError> {
    let load = |key| provider.key_provider.load_private_key(key).ok();
    let keys: Vec<_> = keys.into_iter().filter_map(load).collect();
    if keys.is_empty() {
        return Err(TlsError::UnusableKey {
            file: file.to_owned(),
        });
    }
    Ok(keys)
}

/// The place of a leaf among its certificates, and its key.
type Pair = (usize, Arc<dyn SigningKey>);

/// Finds the first certificate that one of the keys belongs to: the leaf, wherever it stands.
fn find_pair(
    file: &Path,
    certificates: &[CertificateDer<'_>],
    keys: &[Arc<dyn SigningKey>],
) -> Result<Option<Pair>, TlsError> {
    for (index, der) in certificates.iter().enumerate() {
        let certificate = parse(file, der)?;
        let public = certificate.public_key().raw;
        let belongs = |key: &&Arc<dyn SigningKey>| {
            key.public_key().is_some_and(|held| held.as_ref() == public)
        };
        if let Some(key) = keys.iter().find(belongs) {
            return Ok(Some((index, Arc::clone(key))));
        }
    }
    Ok(None)
}

/// Orders a chain: the leaf, then whatever issued what stands before it (RFC 8446 section 4.4.2).
///
/// Leaves out what certifies nothing in it, and roots: a client that trusts one has it, one that
/// does not gains nothing, and the first flight has better uses for a kilobyte.
fn chain(
    mut certificates: Vec<CertificateDer<'static>>,
    leaf: usize,
) -> Vec<CertificateDer<'static>> {
    let mut chain = vec![certificates.remove(leaf)];
    let mut end = 0;
    while let Some(Some((_, issuer))) = chain.get(end).map(ends) {
        let (issuers, rest) = certificates.into_iter().partition(|candidate| {
            ends(candidate).is_some_and(|(subject, of)| subject == issuer && of != subject)
        });
        certificates = rest;
        chain.extend::<Vec<_>>(issuers);
        end += 1;
    }
    chain
}

/// Returns the encoded subject and issuer of a certificate.
fn ends(certificate: &CertificateDer<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some((
        certificate.subject().as_raw().to_vec(),
        certificate.issuer().as_raw().to_vec(),
    ))
}

/// Returns what will trouble clients, though not every one.
fn faults(
    file: &Path,
    leaf: &X509Certificate<'_>,
    key: SignatureAlgorithm,
    chain: usize,
) -> Vec<String> {
    let mut faults = Vec::new();
    let file = file.display();
    let self_signed = leaf.subject() == leaf.issuer();
    // Whoever issues through an intermediate says where to fetch it; some browsers do, others not.
    if chain == 1 && !self_signed && names_its_issuer(leaf) {
        faults.push(format!(
            "`{file}` lacks the intermediate certificate, so that many clients will not trust it: \
             give the full chain (certbot's `fullchain.pem`)"
        ));
    }
    if leaf.is_ca() {
        faults.push(format!(
            "the certificate in `{file}` is an authority's (CA:TRUE), which Firefox refuses: have \
             it issued with basicConstraints=CA:FALSE"
        ));
    }
    if key == SignatureAlgorithm::ED25519 {
        faults.push(format!(
            "the certificate in `{file}` has an Ed25519 key, which browsers refuse: use ECDSA P-256"
        ));
    }
    faults
}

fn names_its_issuer(leaf: &X509Certificate<'_>) -> bool {
    let access = leaf.get_extension_unique(&OID_PKIX_AUTHORITY_INFO_ACCESS);
    let Ok(Some(extension)) = access else {
        return false;
    };
    matches!(extension.parsed_extension(), ParsedExtension::AuthorityInfoAccess(access)
        if access.iter().any(|entry| entry.access_method == OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS))
}
