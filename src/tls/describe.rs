//! What a certificate says, for a person to read.

use std::fmt;
use std::time::SystemTime;

use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use time::macros::format_description;

use super::identity::{self, Life};

/// The certificates that connections are served with, as `forerun certificate` shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The local authority, if the leaf was minted here.
    pub authority: Option<Facts>,
    /// The certificate of the server.
    pub leaf: Facts,
}

/// What one certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whom it is for, as a distinguished name.
    pub subject: String,
    /// SHA-256 of its DER, in hexadecimal with colons: what browsers and `openssl x509
    /// -fingerprint -sha256` show.
    pub sha256: String,
    /// The first moment of its life.
    pub from: SystemTime,
    /// The last moment of its life.
    pub until: SystemTime,
    /// The hosts that it names.
    pub names: Vec<String>,
}

impl Facts {
    /// Reads a certificate; `None` if it is none.
    pub(super) fn of(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        let Life { from, until } = Life::of(&certificate);
        Some(Self {
            subject: certificate.subject().to_string().escape_debug().to_string(),
            sha256: sha256(der)?,
            from,
            until,
            names: identity::names(&certificate),
        })
    }
}

impl fmt::Display for Description {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(authority) = &self.authority {
            write!(formatter, "authority    {authority}\n\n")?;
        }
        write!(formatter, "certificate  {}", self.leaf)
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.subject)?;
        writeln!(formatter, "   SHA-256   {}", self.sha256)?;
        write!(
            formatter,
            "   valid     {} to {}",
            moment(self.from),
            moment(self.until)
        )?;
        if !self.names.is_empty() {
            write!(
                formatter,
                "\n   for       {}",
                self.names.join(", ").escape_debug()
            )?;
        }
        Ok(())
    }
}

/// The hash that the TLS library has at hand spares a library of its own.
fn sha256(der: &[u8]) -> Option<String> {
    let hash = TLS13_AES_128_GCM_SHA256
        .tls13()?
        .common
        .hash_provider
        .hash(der);
    let bytes: Vec<_> = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    Some(bytes.join(":"))
}

/// Spells a moment as `2026-11-20 09:30 UTC`.
pub(super) fn moment(moment: SystemTime) -> String {
    OffsetDateTime::from(moment)
        .format(format_description!(
            "[year]-[month]-[day] [hour]:[minute] UTC"
        ))
        .unwrap_or_default()
}
