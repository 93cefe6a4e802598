//! Reads PEM files, and says what a file is that should have been one.
//!
//! Knows nothing of whether certificate and key belong together; read on in `identity`.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls_pemfile::Item;

use super::error::{TlsError, beside};
use super::trust::shell_word;

/// Longest file that is read as PEM. A chain is a few kilobytes, a bundle of every public
/// authority some 250.
pub(super) const PEM_BYTES_MAX: usize = 1024 * 1024;

/// How old a file must be before its stamp is believed: file systems tell time in steps of up to
/// two seconds, so a younger file may change without its stamp changing.
const STAMP_SETTLED_S: u64 = 2;

/// A file and what reading it gave.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) file: PathBuf,
    pub(super) bytes: Result<Vec<u8>, TlsError>,
}

/// What a PEM file holds.
#[derive(Debug, Default)]
pub(super) struct Pem {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) keys: Vec<PrivateKeyDer<'static>>,
    /// The first thing that could not be decoded.
    damage: Option<String>,
    /// The first key is behind a pass phrase.
    encrypted: bool,
    /// The labels of all sections, each once.
    labels: Vec<String>,
}

/// Reads a file whole, within [`PEM_BYTES_MAX`].
pub(super) fn read(file: &Path) -> Text {
    Text {
        file: file.to_owned(),
        bytes: read_bytes(file),
    }
}

fn read_bytes(file: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |cause| TlsError::Unreadable {
        file: file.to_owned(),
        cause,
    };
    let mut bytes = Vec::new();
    let limit = PEM_BYTES_MAX as u64 + 1;
    let opened = File::open(file).map_err(unreadable)?;
    opened
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > PEM_BYTES_MAX {
        return Err(TlsError::TooLarge {
            file: file.to_owned(),
        });
    }
    Ok(bytes)
}

/// Takes the certificate file and the key file apart, in that order. They may be one file.
pub(super) fn parse_pair(certificate: Text, key: Text) -> Result<(Pem, Pem), TlsError> {
    let certificate_bytes = certificate.bytes?;
    let key_bytes = key.bytes?;
    let certificates = parse(&certificate.file, &certificate_bytes, der_certificate)?;
    let keys = parse(&key.file, &key_bytes, der_key)?;
    let swapped = certificates.certificates.is_empty()
        && certificates.has_key()
        && !keys.certificates.is_empty()
        && !keys.has_key();
    if swapped {
        return Err(TlsError::Swapped {
            certificate: certificate.file,
            key: key.file,
        });
    }
    certificates.check_certificates(&certificate.file)?;
    keys.check_keys(&key.file)?;
    Ok((certificates, keys))
}

/// Takes a file that must hold certificates apart.
pub(super) fn parse_certificates(text: Text) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = parse(&text.file, &text.bytes?, der_certificate)?;
    pem.check_certificates(&text.file)?;
    Ok(pem.certificates)
}

/// Takes a file that must hold a private key apart; returns the first one.
pub(super) fn parse_key(text: Text) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = parse(&text.file, &text.bytes?, der_key)?;
    pem.check_keys(&text.file)?;
    pem.keys
        .into_iter()
        .next()
        .ok_or(TlsError::UnusableKey { file: text.file })
}

/// Decodes every section; `der` names the fault of a binary file.
fn parse(file: &Path, bytes: &[u8], der: fn(PathBuf) -> TlsError) -> Result<Pem, TlsError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.trim_ascii().is_empty() {
        return Err(TlsError::Empty {
            file: file.to_owned(),
        });
    }
    let text = String::from_utf8_lossy(bytes);
    let mut pem = Pem {
        labels: labels(&text),
        ..Pem::default()
    };
    if pem.labels.is_empty() {
        return Err(if is_pkcs12(bytes) {
            TlsError::Pkcs12 {
                file: file.to_owned(),
            }
        } else if bytes.starts_with(&[0x30]) {
            der(file.to_owned())
        } else {
            TlsError::NotPem {
                file: file.to_owned(),
            }
        });
    }
    // PKCS#8 says so in the label, the older OpenSSL form in a header (RFC 1421 section 4.6.1.1).
    pem.encrypted = text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || text.contains("Proc-Type: 4,ENCRYPTED");
    let mut reader: &[u8] = bytes;
    for item in rustls_pemfile::read_all(&mut reader) {
        match item {
            Ok(Item::X509Certificate(certificate)) => pem.certificates.push(certificate),
            Ok(Item::Pkcs8Key(key)) => pem.keys.push(key.into()),
            Ok(Item::Pkcs1Key(key)) => pem.keys.push(key.into()),
            Ok(Item::Sec1Key(key)) => pem.keys.push(key.into()),
            Ok(_) => {}
            Err(cause) => pem.damage = pem.damage.or(Some(cause.to_string())),
        }
    }
    Ok(pem)
}

impl Pem {
    fn has_key(&self) -> bool {
        self.encrypted || !self.keys.is_empty()
    }

    fn has_label(&self, label: &str) -> bool {
        self.labels.iter().any(|held| held == label)
    }

    fn check_certificates(&self, file: &Path) -> Result<(), TlsError> {
        let file = file.to_owned();
        match &self.damage {
            // The damage is the encrypted key, which is of no concern here.
            Some(cause) if !self.encrypted => {
                return Err(TlsError::Damaged {
                    file,
                    cause: cause.clone(),
                });
            }
            _ if !self.certificates.is_empty() => return Ok(()),
            _ => {}
        }
        let word = shell_word(&file);
        let pem = beside(&file, "certificate.pem");
        let (found, fix) = if self.has_key() {
            (
                "a private key".to_owned(),
                "give the certificate's file with --certificate".into(),
            )
        } else if self.has_label("CERTIFICATE REQUEST") || self.has_label("NEW CERTIFICATE REQUEST")
        {
            (
                "a request for one".to_owned(),
                "have an authority sign it, and give what comes back".into(),
            )
        } else if self.has_label("PKCS7") || self.has_label("CMS") {
            let fix = format!("convert it with `openssl pkcs7 -print_certs -in {word} -out {pem}`");
            ("PKCS#7".to_owned(), fix)
        } else if self.has_label("TRUSTED CERTIFICATE") {
            let fix = format!("convert it with `openssl x509 -in {word} -out {pem}`");
            ("an OpenSSL TRUSTED CERTIFICATE".to_owned(), fix)
        } else {
            (
                self.labels.join(", "),
                "give the certificate's file with --certificate".into(),
            )
        };
        Err(TlsError::NoCertificate { file, found, fix })
    }

    fn check_keys(&self, file: &Path) -> Result<(), TlsError> {
        if !self.keys.is_empty() {
            return Ok(());
        }
        let file = file.to_owned();
        if self.encrypted {
            return Err(TlsError::Encrypted { file });
        }
        if let Some(cause) = &self.damage {
            return Err(TlsError::Damaged {
                file,
                cause: cause.clone(),
            });
        }
        let (found, fix) = if self.has_label("PUBLIC KEY") {
            (
                "a public key".to_owned(),
                "give the private half with --key".into(),
            )
        } else if self.has_label("OPENSSH PRIVATE KEY") {
            let word = shell_word(&file);
            let fix = format!("convert a copy of it with `ssh-keygen -p -m PKCS8 -N '' -f {word}`");
            ("a key in OpenSSH's own form".to_owned(), fix)
        } else if !self.certificates.is_empty() {
            (
                "a certificate".to_owned(),
                "give its private key with --key".into(),
            )
        } else {
            (
                self.labels.join(", "),
                "give the private key's file with --key".into(),
            )
        };
        Err(TlsError::NoKey { file, found, fix })
    }
}

fn der_certificate(file: PathBuf) -> TlsError {
    TlsError::DerCertificate { file }
}

fn der_key(file: PathBuf) -> TlsError {
    TlsError::DerKey { file }
}

/// Returns the labels of the PEM sections in a text, each once, in order.
fn labels(text: &str) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for line in text.split(['\n', '\r']) {
        let Some(rest) = line.strip_prefix("-----BEGIN ") else {
            continue;
        };
        let label: String = rest
            .trim_end()
            .trim_end_matches('-')
            .chars()
            .filter(|character| character.is_ascii_graphic() || *character == ' ')
            .take(LABEL_CHARACTERS_MAX)
            .collect();
        if !labels.contains(&label) && labels.len() < LABELS_MAX {
            labels.push(label);
        }
    }
    labels
}

/// Longest label that a message repeats.
const LABEL_CHARACTERS_MAX: usize = 40;

/// Most labels that are told apart.
const LABELS_MAX: usize = 16;

/// PFX starts with `SEQUENCE { INTEGER 3` (RFC 7292 section 4), which no certificate or key does.
fn is_pkcs12(bytes: &[u8]) -> bool {
    let Some((&[0x30, length], rest)) = bytes.split_first_chunk::<2>() else {
        return false;
    };
    let length_bytes = if length & 0x80 == 0 {
        0
    } else {
        usize::from(length & 0x7f)
    };
    rest.get(length_bytes..)
        .is_some_and(|body| body.starts_with(&[0x02, 0x01, 0x03]))
}

/// What the file system says of a file: if it has not changed, neither have the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    identity: (u64, u64, u64),
    modified: (i64, i64),
    changed: (i64, i64),
    settled: bool,
    regular: bool,
}

impl Stamp {
    /// Returns the stamp of a file; `None` if there is none to be had.
    pub(super) fn of(file: &Path, now: SystemTime) -> Option<Self> {
        let metadata = fs::metadata(file).ok()?;
        let age = metadata
            .modified()
            .ok()
            .and_then(|modified| now.duration_since(modified).ok());
        Some(Self {
            identity: (metadata.dev(), metadata.ino(), metadata.len()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            settled: age.is_some_and(|age| age.as_secs() >= STAMP_SETTLED_S),
            regular: metadata.is_file(),
        })
    }

    /// Returns whether an equal stamp later means equal bytes.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Returns whether it can be read again: a pipe cannot.
    pub(super) fn is_regular(&self) -> bool {
        self.regular
    }
}

/// Returns what is wrong with the permissions of a key file, if anything.
///
/// Group readable is fine when root owns the file, as Debian's `ssl-cert` has it.
pub(super) fn loose_permissions(file: &Path) -> Option<String> {
    let metadata = fs::metadata(file).ok().filter(fs::Metadata::is_file)?;
    let allowed = if metadata.uid() == 0 { 0o740 } else { 0o700 };
    (metadata.mode() & 0o777 & !allowed != 0).then(|| {
        format!(
            "the key `{}` can be read by other users (mode {:04o}): `chmod 600 {}`",
            file.display(),
            metadata.mode() & 0o7777,
            shell_word(file)
        )
    })
}
