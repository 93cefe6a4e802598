//! A local authority and what it signs: pure, from names and a moment to PEM.
//!
//! The authority may sign for local names and private addresses only (name constraints, RFC 5280
//! section 4.2.1.10), so that whoever gets hold of its key, which lies in a developer's directory,
//! still cannot pass for anybody's bank. Read on in `directory`, which keeps the files.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData,
    SanType,
};
use rustls::pki_types::{DnsName, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::error::TlsError;

/// How long an authority lives: ten years, since trusting a new one takes a person.
const AUTHORITY_LIFE: Duration = Duration::from_hours(3650 * 24);

/// How long a leaf lives: 397 days, the longest that browsers took from public authorities.
const LEAF_LIFE: Duration = Duration::from_hours(397 * 24);

/// How far back both start to be valid, for clients whose clock is behind.
const CLOCK_SKEW: Duration = Duration::from_hours(1);

/// An authority with less than this left signs nothing any more: a new one is minted.
const AUTHORITY_LEFT_MIN: Duration = Duration::from_hours(24);

/// Most names in a leaf: each costs bytes of every handshake's first flight.
pub(super) const NAMES_MAX: usize = 32;

/// Names that belong to nobody on the public internet: RFC 6761 (localhost, test), RFC 6762
/// (local), RFC 8375 (home.arpa), ICANN's resolution 2024.07.29.06 (internal), and those that ICANN
/// will not delegate or that home routers made up.
const LOCAL_NAMES: [&str; 8] = [
    "localhost",
    "test",
    "local",
    "home.arpa",
    "internal",
    "lan",
    "home",
    "localdomain",
];

/// Addresses that are not routed on the public internet: RFC 1122, 1918, 3927, 6598, 4193, 4291.
const LOCAL_NETWORKS: [(IpAddr, u8); 9] = [
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
];

/// What a leaf is to be valid for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// A host name: lower case, without a final dot.
    Dns(String),
    /// An address.
    Address(IpAddr),
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => formatter.write_str(name),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

impl Name {
    /// Reads a host name or an address, in brackets or not; `None` if no certificate can carry it.
    fn parse(text: &str) -> Option<Self> {
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Some(Self::Address(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        // One final dot is the root's; what comes before it is no name if it ends so again.
        if name.ends_with('.') {
            return None;
        }
        DnsName::try_from(name.as_str()).ok()?;
        Some(Self::Dns(name))
    }

    /// Returns what an authority must be permitted so that it may sign for the name.
    fn subtree(&self) -> GeneralSubtree {
        match self {
            Self::Dns(name) => GeneralSubtree::DnsName(name.clone()),
            Self::Address(address @ IpAddr::V4(_)) => network(*address, 32),
            // A machine takes new addresses of its network's 64 bits all the time (RFC 8981).
            Self::Address(address @ IpAddr::V6(_)) => network(*address, 64),
        }
    }

    fn is_local(&self) -> bool {
        match self {
            Self::Dns(name) => LOCAL_NAMES.iter().any(|base| is_below(name, base)),
            Self::Address(address) => LOCAL_NETWORKS
                .iter()
                .any(|(base, bits)| shares_prefix(*address, *base, *bits)),
        }
    }
}

/// Returns every name that a leaf is to carry, those of this machine first, and what is said of
/// those it cannot.
pub(super) fn names(extra: &[String]) -> (Vec<Name>, Vec<String>) {
    let mut names = vec![
        Name::Dns("localhost".into()),
        Name::Address(Ipv4Addr::LOCALHOST.into()),
        Name::Address(Ipv6Addr::LOCALHOST.into()),
    ];
    let (mut complaints, mut left_out) = (Vec::new(), 0);
    for text in extra {
        match Name::parse(text) {
            None => complaints.push(format!(
                "`{}` is no name that a certificate can carry: it is left out",
                text.escape_debug()
            )),
            Some(Name::Address(address)) if address.is_unspecified() => {}
            Some(name) if names.contains(&name) => {}
            Some(_) if names.len() == NAMES_MAX => left_out += 1,
            Some(name) => names.push(name),
        }
    }
    if left_out > 0 {
        complaints.push(format!(
            "the local certificate carries {NAMES_MAX} names at most: the last {left_out} are left \
             out"
        ));
    }
    (names, complaints)
}

/// A certificate and its key, in PEM.
pub(super) struct Minted {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// Mints an authority for local names and private addresses, and for `names`.
pub(super) fn mint_authority(names: &[Name], now: SystemTime) -> Result<Minted, TlsError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    // A subject of its own: trust stores of NSS and OpenSSL look issuers up by name.
    let id = match params.key_identifier(&key)[..] {
        [a, b, c, ..] => format!("{a:02x}{b:02x}{c:02x}"),
        _ => String::new(),
    };
    params
        .distinguished_name
        .push(DnType::CommonName, format!("forerun local authority {id}"));
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now + AUTHORITY_LIFE).into();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: permitted(names),
        excluded_subtrees: Vec::new(),
    });
    let certificate = params.self_signed(&key)?;
    Ok(Minted {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

fn permitted(names: &[Name]) -> Vec<GeneralSubtree> {
    let local_names = LOCAL_NAMES
        .iter()
        .map(|name| GeneralSubtree::DnsName((*name).to_owned()));
    let local_networks = LOCAL_NETWORKS
        .iter()
        .map(|(base, bits)| network(*base, *bits));
    let others = names
        .iter()
        .filter(|name| !name.is_local())
        .map(Name::subtree);
    let mut permitted: Vec<_> = local_names.chain(local_networks).collect();
    for subtree in others {
        if !permitted.contains(&subtree) {
            permitted.push(subtree);
        }
    }
    permitted
}

fn network(base: IpAddr, bits: u8) -> GeneralSubtree {
    let network = match base {
        IpAddr::V4(base) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            CidrSubnet::V4((base.to_bits() & mask).to_be_bytes(), mask.to_be_bytes())
        }
        IpAddr::V6(base) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            CidrSubnet::V6((base.to_bits() & mask).to_be_bytes(), mask.to_be_bytes())
        }
    };
    GeneralSubtree::IpAddress(network)
}

/// An authority that can sign.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    until: SystemTime,
}

impl Authority {
    /// Joins an authority's certificate with its key; `None` if it is not its key.
    pub(super) fn new(
        certificate: &X509Certificate<'_>,
        key: &PrivateKeyDer<'_>,
    ) -> Result<Option<Self>, TlsError> {
        let key = KeyPair::try_from(key)?;
        if key.subject_public_key_info() != certificate.public_key().raw {
            return Ok(None);
        }
        let until = super::identity::Life::of(certificate).until;
        let issuer = Issuer::from_ca_cert_der(&certificate.as_raw().into(), key)?;
        Ok(Some(Self { issuer, until }))
    }

    /// Mints a leaf for `names`, which the authority must be permitted.
    pub(super) fn mint_leaf(&self, names: &[Name], now: SystemTime) -> Result<Minted, TlsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "forerun local server");
        for name in names {
            params.subject_alt_names.push(match name {
                Name::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
                Name::Address(address) => SanType::IpAddress(*address),
            });
        }
        let from = now - CLOCK_SKEW;
        params.not_before = from.into();
        // Both ends of a validity belong to it (RFC 5280 section 4.1.2.5).
        params.not_after = (from + LEAF_LIFE - Duration::from_secs(1))
            .min(self.until)
            .into();
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Minted {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

/// Returns whether an authority should sign no more: too little of its life is left.
pub(super) fn is_spent(until: SystemTime, now: SystemTime) -> bool {
    until < now + AUTHORITY_LEFT_MIN
}

/// Splits names into those that an authority may sign for and those it may not.
pub(super) fn split_permitted(
    authority: &X509Certificate<'_>,
    names: &[Name],
) -> (Vec<Name>, Vec<Name>) {
    let subtrees = subtrees(authority);
    names
        .iter()
        .cloned()
        .partition(|name| permits(&subtrees, name))
}

/// Returns what an authority may sign for beyond the local and beyond `names`: nothing, for one
/// that was minted here for them.
///
/// Single addresses are not told apart: a machine that moves has others every day.
pub(super) fn reach(authority: &X509Certificate<'_>, names: &[Name]) -> BTreeSet<String> {
    let subtrees = subtrees(authority);
    let expected = |base: &str| {
        LOCAL_NAMES.iter().any(|local| is_below(base, local))
            || names
                .iter()
                .any(|name| matches!(name, Name::Dns(name) if is_below(base, name)))
    };
    let mut beyond = BTreeSet::new();
    let (mut names_limited, mut addresses_limited) = (false, false);
    for subtree in &subtrees {
        match subtree {
            Subtree::Dns(base) if !base.is_empty() => {
                names_limited = true;
                if !expected(base) {
                    beyond.insert(base.clone());
                }
            }
            Subtree::Network(_, mask) if mask.iter().any(|byte| *byte != 0) => {
                addresses_limited = true;
            }
            Subtree::Dns(_) | Subtree::Network(..) => {}
        }
    }
    if !names_limited {
        beyond.insert("every name".to_owned());
    }
    if !addresses_limited {
        beyond.insert("every address".to_owned());
    }
    beyond
}

/// What an authority is permitted, as far as it concerns hosts.
enum Subtree {
    Dns(String),
    Network(Vec<u8>, Vec<u8>),
}

fn subtrees(authority: &X509Certificate<'_>) -> Vec<Subtree> {
    let Ok(Some(constraints)) = authority.name_constraints() else {
        return Vec::new();
    };
    let permitted = constraints.value.permitted_subtrees.iter().flatten();
    let subtree = |base: &GeneralName<'_>| match base {
        GeneralName::DNSName(name) => Some(Subtree::Dns(
            name.trim_start_matches('.').to_ascii_lowercase(),
        )),
        GeneralName::IPAddress(bytes) => {
            let (base, mask) = bytes.split_at(bytes.len() / 2);
            Some(Subtree::Network(base.to_vec(), mask.to_vec()))
        }
        _ => None,
    };
    permitted
        .filter_map(|permitted| subtree(&permitted.base))
        .collect()
}

/// A kind of name without any subtree of that kind is not limited (RFC 5280 section 4.2.1.10).
fn permits(subtrees: &[Subtree], name: &Name) -> bool {
    let mut limited = false;
    for subtree in subtrees {
        let matches = match (subtree, name) {
            (Subtree::Dns(base), Name::Dns(name)) => is_below(name, base),
            (Subtree::Network(base, mask), Name::Address(address)) => {
                let bytes = match address {
                    IpAddr::V4(address) => address.octets().to_vec(),
                    IpAddr::V6(address) => address.octets().to_vec(),
                };
                bytes.len() == base.len()
                    && bytes
                        .iter()
                        .zip(base)
                        .zip(mask)
                        .all(|((a, b), mask)| a & mask == b & mask)
            }
            _ => continue,
        };
        if matches {
            return true;
        }
        limited = true;
    }
    !limited
}

/// Returns whether a name is another or lies below it (`a.localhost` below `localhost`); every name
/// lies below the empty one.
fn is_below(name: &str, base: &str) -> bool {
    base.is_empty()
        || name
            .strip_suffix(base)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn shares_prefix(address: IpAddr, base: IpAddr, bits: u8) -> bool {
    match (address, base) {
        (IpAddr::V4(address), IpAddr::V4(base)) => {
            (address.to_bits() ^ base.to_bits()).leading_zeros() >= u32::from(bits)
        }
        (IpAddr::V6(address), IpAddr::V6(base)) => {
            (address.to_bits() ^ base.to_bits()).leading_zeros() >= u32::from(bits)
        }
        _ => false,
    }
}
