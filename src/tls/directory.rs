//! The files of a local authority: `authority.pem`, `authority.key`, `leaf.pem`, `leaf.key`.
//!
//! What is there is used as long as it serves; what is missing, damaged or due is minted anew,
//! under a lock, so that processes that start together agree. Keys have mode 0600 from their first
//! byte on, and every file appears whole or not at all.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use x509_parser::certificate::X509Certificate;

use super::authority::{self, Authority, Name};
use super::describe::moment;
use super::error::TlsError;
use super::files::{self, Text};
use super::identity::{self, Identity, Life};

/// How long another process may mint before it is taken for stuck.
pub(super) const LOCK_WAIT_S: u64 = 5;

const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// When an authority is about to be replaced, and a person has to trust the next one.
const AUTHORITY_WARNING: Duration = Duration::from_hours(30 * 24);

/// Keeps everything in the directory but itself out of git.
const GITIGNORE: &str = "# Keys stay here.\n*\n!.gitignore\n";

/// Where a local authority is kept, and what its leaf is for.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    names: Vec<Name>,
    complaints: Vec<String>,
}

/// Why the files of a directory do not serve.
#[derive(Debug)]
pub(super) enum Wanting {
    /// They are whole but for someone else: other names, another life.
    Unsuited,
    /// They are missing or damaged.
    Unusable(TlsError),
}

impl From<TlsError> for Wanting {
    fn from(error: TlsError) -> Self {
        Self::Unusable(error)
    }
}

impl Directory {
    /// Names a directory; `names` are wanted in the leaf beside localhost.
    pub(super) fn new(path: PathBuf, names: &[String]) -> Self {
        let (names, complaints) = authority::names(names);
        Self {
            path,
            names,
            complaints,
        }
    }

    /// Returns the authority's certificate: what a person trusts.
    pub(super) fn authority(&self) -> PathBuf {
        self.path.join(AUTHORITY.name)
    }

    /// Returns the files that connections are served with: authority, leaf, key of the leaf.
    pub(super) fn files(&self) -> [PathBuf; 3] {
        [
            self.authority(),
            self.path.join(LEAF.name),
            self.path.join(LEAF_KEY.name),
        ]
    }

    fn authority_key(&self) -> PathBuf {
        self.path.join(AUTHORITY_KEY.name)
    }

    /// Judges what was read from [`Directory::files`], minting nothing.
    pub(super) fn judge(
        &self,
        texts: [Text; 3],
        provider: &CryptoProvider,
        now: SystemTime,
    ) -> Result<Identity, Wanting> {
        let [authority_text, leaf, key] = texts;
        let file = self.authority();
        let authority = first_certificate(authority_text)?;
        let parsed = identity::parse(&file, &authority)?;
        let life = Life::of(&parsed);
        // Verification takes any certificate for an authority that is named as one.
        if authority::is_spent(life.until, now) || !parsed.is_ca() {
            return Err(Wanting::Unsuited);
        }
        let mut identity = match Identity::from_files(leaf, key, provider, now) {
            Err(TlsError::Expired { .. } | TlsError::NotYetValid { .. }) => {
                return Err(Wanting::Unsuited);
            }
            other => other?,
        };
        let (names, outside) = authority::split_permitted(&parsed, &self.names);
        let covered = names.iter().all(|name| identity.covers(&name.to_string()));
        if !covered
            || now >= identity.life.renewal()
            || !is_signed_by(&identity, &authority, provider, now)
        {
            return Err(Wanting::Unsuited);
        }
        identity.warnings.extend(self.complaints.iter().cloned());
        identity
            .warnings
            .extend(self.authority_warnings(&parsed, life, &outside, now));
        identity.authority = Some(authority);
        Ok(identity)
    }

    fn authority_warnings(
        &self,
        authority: &X509Certificate<'_>,
        life: Life,
        outside: &[Name],
        now: SystemTime,
    ) -> Vec<String> {
        let file = self.authority();
        let file = file.display();
        let mut warnings: Vec<_> = files::loose_permissions(&self.authority_key())
            .into_iter()
            .collect();
        if !outside.is_empty() {
            let outside: Vec<_> = outside.iter().map(|name| format!("`{name}`")).collect();
            warnings.push(format!(
                "the authority `{file}` was not minted to sign for {}: browsers will warn there, \
                 or get no answer; remove it to have one minted that may",
                outside.join(", ")
            ));
        }
        let beyond: BTreeSet<_> = authority::reach(authority, &self.names);
        if !beyond.is_empty() {
            let beyond: Vec<_> = beyond
                .iter()
                .map(|name| name.escape_debug().to_string())
                .collect();
            warnings.push(format!(
                "the authority `{file}` may sign for {}, beyond this machine and its network: \
                 trust it only if you had it minted yourself",
                beyond.join(", ")
            ));
        }
        if life.until < now + AUTHORITY_WARNING {
            warnings.push(format!(
                "the authority `{file}` ends on {}: a new one is minted then, to be trusted anew",
                moment(life.until)
            ));
        }
        warnings
    }

    fn read(&self, provider: &CryptoProvider, now: SystemTime) -> Result<Identity, Wanting> {
        self.judge(self.files().map(|file| files::read(&file)), provider, now)
    }

    /// Returns an identity that serves, minting whatever is missing for it.
    pub(super) fn ensure(
        &self,
        provider: &CryptoProvider,
        now: SystemTime,
    ) -> Result<Identity, TlsError> {
        if let Ok(identity) = self.read(provider, now) {
            // A read-only directory with everything in it is fine.
            let _ = self.keep_out_of_git();
            return Ok(identity);
        }
        let create = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path);
        create.map_err(|cause| unwritable(&self.path, cause))?;
        self.keep_out_of_git()
            .map_err(|cause| unwritable(&self.path, cause))?;
        let _lock = self.lock()?;
        // Another process may have minted while this one waited.
        let wanting = match self.read(provider, now) {
            Ok(identity) => return Ok(identity),
            Err(wanting) => wanting,
        };
        let (mut identity, said) = self.mint(&wanting, provider, now)?;
        identity.warnings.splice(0..0, said);
        Ok(identity)
    }

    /// Mints a leaf, and an authority if there is none that can sign it. Returns what is read back,
    /// and what a person should know of the minting.
    fn mint(
        &self,
        wanting: &Wanting,
        provider: &CryptoProvider,
        now: SystemTime,
    ) -> Result<(Identity, Option<String>), TlsError> {
        let (reason, authority) = match self.read_authority(now)? {
            Signer::Ready(authority) => (None, authority),
            Signer::Absent => (None, self.mint_authority(now)?),
            Signer::Unfit(reason) => (Some(reason), self.mint_authority(now)?),
        };
        let mut said = reason.map(|reason| self.say_new_authority(&reason));
        self.mint_leaf(&authority, now)?;
        let identity = match self.read(provider, now) {
            Err(Wanting::Unsuited) => {
                // Damaged or foreign in a way that only verification tells.
                said = Some(self.say_new_authority("the old one could not sign for this machine"));
                let authority = self.mint_authority(now)?;
                self.mint_leaf(&authority, now)?;
                self.read(provider, now)
            }
            read => read,
        };
        let identity = identity.map_err(|wanting| match wanting {
            Wanting::Unusable(error) => error,
            Wanting::Unsuited => TlsError::Unverified {
                directory: self.path.clone(),
            },
        })?;
        let damage = match wanting {
            Wanting::Unusable(error) if !error.is_absence() => Some(format!(
                "the certificate in `{}` was damaged: minted a new one",
                self.path.display()
            )),
            _ => None,
        };
        Ok((identity, said.or(damage)))
    }

    fn say_new_authority(&self, reason: &str) -> String {
        format!(
            "minted a new local authority, `{}`, to be trusted anew: {reason}",
            self.authority().display()
        )
    }

    fn mint_authority(&self, now: SystemTime) -> Result<Box<Authority>, TlsError> {
        let minted = authority::mint_authority(&self.names, now)?;
        self.write(&AUTHORITY_KEY, &minted.key)?;
        self.write(&AUTHORITY, &minted.certificate)?;
        match self.read_authority(now)? {
            Signer::Ready(authority) => Ok(authority),
            Signer::Absent | Signer::Unfit(_) => Err(TlsError::Unverified {
                directory: self.path.clone(),
            }),
        }
    }

    /// Reads the authority with its key.
    ///
    /// # Errors
    ///
    /// Fails where minting another would lose one that a person may trust: when the files are there
    /// and may not be read, and when the clock is wrong.
    fn read_authority(&self, now: SystemTime) -> Result<Signer, TlsError> {
        let file = self.authority();
        let key = self.authority_key();
        let unfit = |file: &Path, what: &str| Signer::Unfit(format!("`{}` {what}", file.display()));
        let certificate = match first_certificate(files::read(&file)) {
            Ok(certificate) => certificate,
            Err(error) if error.is_absence() => return Ok(Signer::Absent),
            Err(error @ TlsError::Unreadable { .. }) => return Err(error),
            Err(_) => return Ok(unfit(&file, "was damaged")),
        };
        let Ok(parsed) = identity::parse(&file, &certificate) else {
            return Ok(unfit(&file, "was damaged"));
        };
        let life = Life::of(&parsed);
        if authority::is_spent(life.until, now) {
            return Ok(unfit(&file, &format!("ended on {}", moment(life.until))));
        }
        life.check(&file, now)?;
        if !parsed.is_ca() {
            return Ok(unfit(&file, "was a server's certificate"));
        }
        let secret = match files::parse_key(files::read(&key)) {
            Ok(secret) => secret,
            Err(error) if error.is_absence() => return Ok(unfit(&key, "was missing")),
            Err(error @ TlsError::Unreadable { .. }) => return Err(error),
            Err(_) => return Ok(unfit(&key, "was damaged")),
        };
        Ok(match Authority::new(&parsed, &secret) {
            Ok(Some(authority)) => Signer::Ready(authority.into()),
            Ok(None) => unfit(&key, "was not its key"),
            Err(_) => unfit(&key, "was damaged"),
        })
    }

    fn mint_leaf(&self, authority: &Authority, now: SystemTime) -> Result<(), TlsError> {
        let file = self.authority();
        let certificate = first_certificate(files::read(&file))?;
        let parsed = identity::parse(&file, &certificate)?;
        let (names, _) = authority::split_permitted(&parsed, &self.names);
        let minted = authority.mint_leaf(&names, now)?;
        let issuer =
            fs::read_to_string(&file).map_err(|cause| TlsError::Unreadable { file, cause })?;
        self.write(&LEAF_KEY, &minted.key)?;
        self.write(&LEAF, &(minted.certificate + &issuer))
    }

    /// Writes a file beside its place and moves it there.
    fn write(&self, kept: &Kept, text: &str) -> Result<(), TlsError> {
        let beside = self
            .path
            .join(format!(".{}.{}", kept.name, std::process::id()));
        let target = self.path.join(kept.name);
        let write = || -> io::Result<()> {
            // Whatever a killed process of this id left; a link there is removed, not followed.
            match fs::remove_file(&beside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut options = OpenOptions::new();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(kept.mode)
                .open(&beside)?;
            file.write_all(text.as_bytes())?;
            if kept.durable {
                file.sync_all()?;
            }
            fs::rename(&beside, &target)
        };
        write().map_err(|cause| {
            let _ = fs::remove_file(&beside);
            unwritable(&target, cause)
        })
    }

    fn keep_out_of_git(&self) -> io::Result<()> {
        let file = self.path.join(".gitignore");
        match OpenOptions::new().write(true).create_new(true).open(file) {
            Ok(mut file) => file.write_all(GITIGNORE.as_bytes()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Waits for the lock of the directory; released when dropped, or when the process ends.
    fn lock(&self) -> Result<Option<File>, TlsError> {
        let path = self.path.join(".lock");
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let file = options
            .open(&path)
            .map_err(|cause| unwritable(&path, cause))?;
        let pauses = Duration::from_secs(LOCK_WAIT_S).as_millis() / LOCK_PAUSE.as_millis();
        for _ in 0..pauses {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                // A file system without locks: what is written is read back and checked anyway.
                Err(TryLockError::Error(_)) => return Ok(None),
            }
        }
        Err(TlsError::Locked { lock: path })
    }
}

/// What there is to sign a leaf with.
enum Signer {
    Ready(Box<Authority>),
    /// Never minted.
    Absent,
    /// There, but signing no more, for this reason.
    Unfit(String),
}

/// A file of the directory.
struct Kept {
    name: &'static str,
    /// Its permission bits, from its first byte on.
    mode: u32,
    /// Whether it must outlive a power cut: a leaf is minted anew for nothing, a new authority has
    /// to be trusted by a person.
    durable: bool,
}

const AUTHORITY: Kept = Kept {
    name: "authority.pem",
    mode: 0o644,
    durable: true,
};
const AUTHORITY_KEY: Kept = Kept {
    name: "authority.key",
    mode: 0o600,
    durable: true,
};
const LEAF: Kept = Kept {
    name: "leaf.pem",
    mode: 0o644,
    durable: false,
};
const LEAF_KEY: Kept = Kept {
    name: "leaf.key",
    mode: 0o600,
    durable: false,
};

fn unwritable(path: &Path, cause: io::Error) -> TlsError {
    TlsError::Unwritable {
        path: path.to_owned(),
        cause,
    }
}

fn first_certificate(text: Text) -> Result<CertificateDer<'static>, TlsError> {
    let file = text.file.clone();
    files::parse_certificates(text)?
        .into_iter()
        .next()
        .ok_or(TlsError::Empty { file })
}

/// Returns whether a client that trusts the authority would take the leaf: signature, life, and the
/// names that the authority is limited to.
fn is_signed_by(
    identity: &Identity,
    authority: &CertificateDer<'static>,
    provider: &CryptoProvider,
    now: SystemTime,
) -> bool {
    let mut roots = RootCertStore::empty();
    let Ok(leaf) = ParsedCertificate::try_from(&identity.certified.cert[0]) else {
        return false;
    };
    let Ok(now) = now.duration_since(SystemTime::UNIX_EPOCH) else {
        return false;
    };
    roots.add(authority.clone()).is_ok()
        && verify_server_cert_signed_by_trust_anchor(
            &leaf,
            &roots,
            &[],
            UnixTime::since_unix_epoch(now),
            provider.signature_verification_algorithms.all,
        )
        .is_ok()
}
