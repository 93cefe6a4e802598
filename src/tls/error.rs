//! What can be wrong with a certificate or a key, and what to do about it.
//!
//! Every message names the file and the fix, most of them as a command to copy: whoever reads it
//! stands before a server that does not start.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::describe::moment;
use super::files::PEM_BYTES_MAX;
use super::trust::shell_word;

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be opened or read.
    #[error("cannot read `{}`: {cause}: {}", .file.display(), read_fix(.cause))]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file is too large to be what it was given as.
    #[error(
        "`{}` is larger than {} KiB, which no certificate or key is: check the path",
        .file.display(), PEM_BYTES_MAX / 1024
    )]
    TooLarge {
        /// The file.
        file: PathBuf,
    },
    /// A file holds nothing.
    #[error("`{}` is empty: write the PEM text into it again", .file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// A certificate in DER, the binary form.
    #[error(
        "`{}` is DER, not PEM: convert it with `openssl x509 -inform DER -in {} -out {}`",
        .file.display(), shell_word(.file), beside(.file, "certificate.pem")
    )]
    DerCertificate {
        /// The file.
        file: PathBuf,
    },
    /// A key in DER, the binary form.
    #[error(
        "`{}` is DER, not PEM: convert it with `(umask 077; openssl pkey -inform DER -in {} -out \
         {})`",
        .file.display(), shell_word(.file), beside(.file, "key.pem")
    )]
    DerKey {
        /// The file.
        file: PathBuf,
    },
    /// A PKCS#12 archive (`.p12`, `.pfx`) of certificate and key.
    #[error(
        "`{}` is PKCS#12, not PEM: take it apart with `openssl pkcs12 -in {word} -nokeys -out \
         {certificate}` and `(umask 077; openssl pkcs12 -in {word} -nocerts -nodes -out {key})`",
        .file.display(), word = shell_word(.file),
        certificate = beside(.file, "certificate.pem"), key = beside(.file, "key.pem")
    )]
    Pkcs12 {
        /// The file.
        file: PathBuf,
    },
    /// Neither PEM nor DER.
    #[error(
        "`{}` is not PEM (no line starts with `-----BEGIN`): check the path", .file.display()
    )]
    NotPem {
        /// The file.
        file: PathBuf,
    },
    /// PEM that cannot be decoded.
    #[error("`{}` is cut short or damaged ({cause}): copy it here again", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What the decoder said.
        cause: String,
    },
    /// The two files stand in each other's place.
    #[error(
        "`{}` holds the key and `{}` the certificate: swap them, `--certificate {} --key {}`",
        .certificate.display(), .key.display(), shell_word(.key), shell_word(.certificate)
    )]
    Swapped {
        /// Given as the certificate.
        certificate: PathBuf,
        /// Given as the key.
        key: PathBuf,
    },
    /// No certificate in the file that was given as one.
    #[error("`{}` holds no certificate but {found}: {fix}", .file.display())]
    NoCertificate {
        /// The file.
        file: PathBuf,
        /// What it holds.
        found: String,
        /// What to do.
        fix: String,
    },
    /// No private key in the file that was given as one.
    #[error("`{}` holds no private key but {found}: {fix}", .file.display())]
    NoKey {
        /// The file.
        file: PathBuf,
        /// What it holds.
        found: String,
        /// What to do.
        fix: String,
    },
    /// A key behind a pass phrase.
    #[error(
        "the key in `{}` is encrypted and a server cannot type its pass phrase: decrypt it with \
         `(umask 077; openssl pkey -in {} -out {})`",
        .file.display(), shell_word(.file), beside(.file, "plain.pem")
    )]
    Encrypted {
        /// The file.
        file: PathBuf,
    },
    /// A certificate that no client would take.
    #[error("the certificate in `{}` cannot be used ({cause}): {fix}", .file.display())]
    UnusableCertificate {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        cause: String,
        /// What to do.
        fix: &'static str,
    },
    /// A key of a kind or size that TLS does not use here.
    #[error(
        "the key in `{}` is damaged or of a kind that is not served (RSA from 2048 bits, ECDSA \
         P-256, P-384, P-521 and Ed25519 are): make a new one with `(umask 077; openssl genpkey \
         -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem)` and have it certified",
        .file.display()
    )]
    UnusableKey {
        /// The file.
        file: PathBuf,
    },
    /// Certificate and key do not belong together.
    #[error(
        "the key in `{}` is not that of the certificate in `{}`: give the pair that was issued \
         together; `openssl pkey -in {} -pubout` and `openssl x509 -in {} -noout -pubkey` must \
         print the same",
        .key.display(), .certificate.display(), shell_word(.key), shell_word(.certificate)
    )]
    WrongPair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// A certificate that is no longer valid.
    #[error(
        "the certificate in `{}` expired on {}: renew it (`certbot renew`, or ask its issuer), or \
         leave out --certificate and --key to be served with a local one",
        .file.display(), moment(*.until)
    )]
    Expired {
        /// The file.
        file: PathBuf,
        /// The last moment of its life.
        until: SystemTime,
    },
    /// A certificate that is not valid yet.
    #[error(
        "the certificate in `{}` is valid only from {}, and the clock of this machine says {}: \
         set the clock, or wait", .file.display(), moment(*.from), moment(*.now)
    )]
    NotYetValid {
        /// The file.
        file: PathBuf,
        /// The first moment of its life.
        from: SystemTime,
        /// What the clock says.
        now: SystemTime,
    },
    /// A place for the local authority that cannot be written.
    #[error(
        "cannot write `{}`, where the local certificate belongs: {cause}: let this user write \
         there, or give a certificate with --certificate and --key", .path.display()
    )]
    Unwritable {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another process holds the local authority and does not let go.
    #[error(
        "another process has kept `{}` locked for {} seconds while minting a certificate: end it \
         and try again", .lock.display(), super::directory::LOCK_WAIT_S
    )]
    Locked {
        /// The lock file.
        lock: PathBuf,
    },
    /// The directory for the local authority would be served to the world.
    #[error(
        "the keys of the local certificate would lie in `{}`, inside the served directory `{}`: \
         make a directory `certs` outside of it, or set XDG_DATA_HOME", .directory.display(),
        .site.display()
    )]
    Served {
        /// Where the authority would live.
        directory: PathBuf,
        /// The served directory.
        site: PathBuf,
    },
    /// What was minted and written does not verify when read back.
    #[error(
        "the certificate just minted in `{}` does not verify: is the clock right, and the disk \
         sound? remove the directory and try again", .directory.display()
    )]
    Unverified {
        /// Where it lies.
        directory: PathBuf,
    },
    /// The cryptography refused to mint.
    #[error("cannot mint a local certificate: {0}: give one with --certificate and --key")]
    Minting(#[from] rcgen::Error),
    /// The cryptography refused to start.
    #[error("cannot set up TLS: {0}")]
    Provider(#[from] rustls::Error),
}

impl TlsError {
    /// Returns whether the file simply is not there.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Unreadable { cause, .. } if cause.kind() == io::ErrorKind::NotFound)
    }
}

fn read_fix(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::NotFound => "give the path of an existing PEM file",
        io::ErrorKind::PermissionDenied => "let the user that runs forerun read it",
        io::ErrorKind::IsADirectory => "name the file in it",
        _ => "check the path and its file system",
    }
}

/// Returns a new name for what a command makes of a file, so that it overwrites none.
pub(super) fn beside(file: &Path, extension: &str) -> String {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    shell_word(Path::new(&name))
}
