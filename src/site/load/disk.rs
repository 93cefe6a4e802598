//! The only module that opens files of a site: beneath the root, without blocking, regular ones
//! alone.
//!
//! Knows nothing of snapshots. What lies outside the root, is no regular file, or cannot be there
//! is nothing at all to it; errors are those of a disk that fails.

use std::cmp::Ordering;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{SiteError, SiteOptions};
use crate::site::asset::Asset;
use crate::site::{ContentHash, UrlPath, media};

/// How often a file is read again that changes while it is read.
const READ_TRIES: usize = 3;

/// A file changed less than this before it was read may change again without a trace: no file
/// system of today counts its time in longer steps.
const TIMESTAMP_STEP_MAX: Duration = Duration::from_secs(2);

/// The last second that an HTTP date can name: the end of the year 9999.
const HTTP_DATE_MAX_S: i64 = 253_402_300_799;

/// What is read of text that is streamed, to tell in which encoding it is: enough to meet a letter
/// that is not of ASCII.
const OPENING_BYTES: usize = 64 * 1024;

/// A FIFO must not wait for its writer, a terminal must not become ours.
const OPEN_FLAGS: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

/// The root of a site on disk.
#[derive(Debug)]
pub(super) struct Disk {
    /// Absolute, as it was named: it may be a symbolic link that is moved on to a newer directory.
    pub(super) path: PathBuf,
    follow_symlinks: bool,
    root: Mutex<Arc<Root>>,
}

/// The directory that the root's path led to when last looked at.
#[derive(Debug)]
struct Root {
    directory: Dir,
    canonical: PathBuf,
    device: u64,
    inode: u64,
}

/// What tells a file from another, or from itself after a change, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
    pub(in crate::site) length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A file of a site that is open, to be sent from disk.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    opened: Identity,
}

/// What became of the bytes of an open file, as far as that can be told without reading them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// They are what they were.
    Same,
    /// There are more: they are what they were if those were appended.
    Grown,
    /// They are others, or fewer.
    Other,
}

/// What is found at a path.
#[derive(Debug)]
pub(super) enum Found<T> {
    File(T),
    Directory,
    Missing,
}

impl Disk {
    pub(super) fn open(options: &SiteOptions) -> Result<Self, SiteError> {
        let path = &options.root;
        let absolute = std::path::absolute(path).map_err(|error| refusal(path, error))?;
        let root = Root::open(&absolute).map_err(|error| refusal(path, error))?;
        Ok(Self {
            path: absolute,
            follow_symlinks: options.follow_symlinks,
            root: Mutex::new(Arc::new(root)),
        })
    }

    /// Returns what is at a path, without opening it.
    pub(super) fn stat(&self, path: &UrlPath) -> io::Result<Found<Identity>> {
        let found = if self.follow_symlinks {
            std::fs::metadata(self.path.join(path.relative())).map(|metadata| find(&metadata))
        } else {
            self.beneath(path, |root, relative| {
                let metadata = root.metadata(relative)?;
                Ok(match metadata.file_type() {
                    kind if kind.is_file() => Found::File(Identity::from_beneath(&metadata)),
                    kind if kind.is_dir() => Found::Directory,
                    _ => Found::Missing,
                })
            })
        };
        missing_if_nothing(found)
    }

    /// Opens the regular file at a path.
    pub(super) fn open_file(&self, path: &UrlPath) -> io::Result<Found<(File, Identity)>> {
        // To open a device can do something to it: look first. It may still have been replaced in
        // between, so look again at what was opened.
        match self.stat(path)? {
            Found::File(_) => {}
            Found::Directory => return Ok(Found::Directory),
            Found::Missing => return Ok(Found::Missing),
        }
        let opened = if self.follow_symlinks {
            let mut options = std::fs::OpenOptions::new();
            options.read(true).custom_flags(flag_bits());
            options.open(self.path.join(path.relative()))
        } else {
            let mut options = cap_std::fs::OpenOptions::new();
            options.read(true);
            cap_std::fs::OpenOptionsExt::custom_flags(&mut options, flag_bits());
            self.beneath(path, |root, relative| {
                root.open_with(relative, &options)
                    .map(cap_std::fs::File::into_std)
            })
        };
        missing_if_nothing(opened.and_then(|file| {
            Ok(match find(&file.metadata()?) {
                Found::File(identity) => Found::File((file, identity)),
                Found::Directory => Found::Directory,
                Found::Missing => Found::Missing,
            })
        }))
    }

    /// Reads the file at a path: its content if it has at most `bytes_max`, else what describes it.
    pub(super) fn read(&self, path: &UrlPath, bytes_max: u64) -> io::Result<Found<Asset>> {
        let mut tries = 0;
        loop {
            let (mut file, identity) = match self.open_file(path)? {
                Found::File(opened) => opened,
                Found::Directory => return Ok(Found::Directory),
                Found::Missing => return Ok(Found::Missing),
            };
            tries += 1;
            let recent = identity.is_recent(SystemTime::now());
            if identity.length > bytes_max {
                return describe(path, &file, identity, recent).map(Found::File);
            }
            if let Some(content) = read_whole(&mut file, identity)? {
                return Ok(Found::File(Asset::read(
                    path.clone(),
                    content,
                    identity,
                    recent,
                )));
            }
            // It changes faster than it can be read, as a log does: stream it.
            if tries == READ_TRIES {
                return describe(path, &file, identity, true).map(Found::File);
            }
        }
    }

    /// Returns at most `names_max` names in the directory at a path; `None` if there is none.
    pub(super) fn read_directory(
        &self,
        path: &UrlPath,
        names_max: usize,
    ) -> io::Result<Option<Vec<OsString>>> {
        let names = if self.follow_symlinks {
            std::fs::read_dir(self.path.join(path.relative())).and_then(|entries| {
                let names = entries.take(names_max).map(|entry| Ok(entry?.file_name()));
                names.collect::<io::Result<Vec<_>>>()
            })
        } else {
            self.beneath(path, |root, relative| {
                let entries = root.read_dir(relative)?.take(names_max);
                entries.map(|entry| Ok(entry?.file_name())).collect()
            })
        };
        Ok(match missing_if_nothing(names.map(Found::File))? {
            Found::File(names) => Some(names),
            Found::Directory | Found::Missing => None,
        })
    }

    /// Returns when what is at a path was last modified, as far as an HTTP date can name it.
    pub(super) fn modified(&self, path: &UrlPath) -> io::Result<SystemTime> {
        if self.follow_symlinks {
            let metadata = std::fs::metadata(self.path.join(path.relative()))?;
            return Ok(nameable(metadata.mtime(), metadata.mtime_nsec()));
        }
        self.beneath(path, |root, relative| {
            use cap_std::fs::MetadataExt;
            let metadata = root.metadata(relative)?;
            Ok(nameable(metadata.mtime(), metadata.mtime_nsec()))
        })
    }

    /// Returns whether a path is a regular file now.
    pub(super) fn is_file(&self, path: &UrlPath) -> bool {
        matches!(self.stat(path), Ok(Found::File(_)))
    }

    /// Returns whether the root's path leads to a directory now.
    pub(super) fn is_there(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|metadata| metadata.is_dir())
    }

    /// Acts on the path beneath the root. A symbolic link that leaves the root on its way, or is
    /// absolute, is resolved first, and followed if it ends inside.
    fn beneath<T>(
        &self,
        path: &UrlPath,
        act: impl Fn(&Dir, &Path) -> io::Result<T>,
    ) -> io::Result<T> {
        let root = self.root();
        match act(&root.directory, Path::new(path.relative())) {
            Err(error) if is_escape(&error) => {
                let target = root.canonical.join(path.relative()).canonicalize()?;
                match target.strip_prefix(&root.canonical) {
                    Ok(inside) if inside.as_os_str().is_empty() => {
                        act(&root.directory, Path::new("."))
                    }
                    Ok(inside) => act(&root.directory, inside),
                    Err(_) => Err(io::ErrorKind::NotFound.into()),
                }
            }
            result => result,
        }
    }

    /// Returns the directory that the root's path leads to now. Site generators replace it whole,
    /// and deployments move a symbolic link; while it is away, the old one answers.
    fn root(&self) -> Arc<Root> {
        let mut root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(metadata) = std::fs::metadata(&self.path)
            && (metadata.dev(), metadata.ino()) != (root.device, root.inode)
            && let Ok(newer) = Root::open(&self.path)
        {
            *root = Arc::new(newer);
        }
        Arc::clone(&root)
    }
}

impl Root {
    fn open(path: &Path) -> io::Result<Self> {
        let canonical = path.canonicalize()?;
        // What can be opened may still let nobody look inside.
        std::fs::metadata(canonical.join("."))?;
        let directory = Dir::open_ambient_dir(&canonical, ambient_authority())?;
        let metadata = directory.dir_metadata()?;
        let (device, inode) = {
            use cap_std::fs::MetadataExt;
            (metadata.dev(), metadata.ino())
        };
        Ok(Self {
            directory,
            canonical,
            device,
            inode,
        })
    }
}

impl Identity {
    /// Returns the identity of an open file.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from_metadata(&file.metadata()?))
    }

    fn from_metadata(metadata: &std::fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn from_beneath(metadata: &cap_std::fs::Metadata) -> Self {
        use cap_std::fs::MetadataExt;
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Returns the modification time, as far as an HTTP date can name it.
    pub(in crate::site) fn modified(&self) -> SystemTime {
        let (seconds, nanoseconds) = self.modified;
        nameable(seconds, nanoseconds)
    }

    /// Returns whether this may be what another was before something was appended to it.
    pub(super) fn may_be_grown_from(&self, before: &Self) -> bool {
        let is_same_file = (self.device, self.inode) == (before.device, before.inode);
        is_same_file && self.length > before.length
    }

    /// Returns a name for the bytes of a file too large to be hashed.
    pub(in crate::site) fn content_hash(&self) -> ContentHash {
        let mut bytes = b"identity".to_vec();
        for number in [self.device, self.inode, self.length] {
            bytes.extend(number.to_le_bytes());
        }
        for number in [
            self.modified.0,
            self.modified.1,
            self.changed.0,
            self.changed.1,
        ] {
            bytes.extend(number.to_le_bytes());
        }
        ContentHash::of(&bytes)
    }

    /// Returns whether the file was changed so shortly before `now` that its next change may leave
    /// its times as they are. The change time decides: the modification time can be set at will.
    fn is_recent(&self, now: SystemTime) -> bool {
        let (seconds, nanoseconds) = self.changed;
        // A change in the future is a clock that differs from ours, by who knows how much.
        let age = now.duration_since(time(seconds.max(0), nanoseconds));
        age.map_or(true, |age| age < TIMESTAMP_STEP_MAX)
    }
}

impl OpenFile {
    pub(super) fn new(file: File, opened: Identity) -> Self {
        Self { file, opened }
    }

    /// Returns the file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Returns what became of its bytes since it was opened.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn since_opened(&self) -> io::Result<Since> {
        let (opened, now) = (self.opened, Identity::of(&self.file)?);
        // The change time says nothing here: it tells of a new mode, and of another file that has
        // taken its name, as well.
        Ok(match now.length.cmp(&opened.length) {
            Ordering::Equal if now.modified == opened.modified => Since::Same,
            Ordering::Greater => Since::Grown,
            Ordering::Equal | Ordering::Less => Since::Other,
        })
    }
}

/// Says why a directory cannot be served.
fn refusal(path: &Path, error: io::Error) -> SiteError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => SiteError::Missing { path },
        io::ErrorKind::NotADirectory => SiteError::NotADirectory { path },
        _ => SiteError::Unreadable { path, cause: error },
    }
}

/// Returns a time, or the nearest to it that an HTTP date can name: anybody sets any.
fn nameable(seconds: i64, nanoseconds: i64) -> SystemTime {
    time(seconds.clamp(0, HTTP_DATE_MAX_S), nanoseconds)
}

fn time(seconds: i64, nanoseconds: i64) -> SystemTime {
    let nanoseconds = u32::try_from(nanoseconds).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::new(seconds.unsigned_abs(), nanoseconds)
}

fn find(metadata: &std::fs::Metadata) -> Found<Identity> {
    match metadata.file_type() {
        kind if kind.is_file() => Found::File(Identity::from_metadata(metadata)),
        kind if kind.is_dir() => Found::Directory,
        _ => Found::Missing,
    }
}

/// Reads a file that has not changed meanwhile; `None` if it has.
fn read_whole(file: &mut File, identity: Identity) -> io::Result<Option<Bytes>> {
    let length = usize::try_from(identity.length).map_err(io::Error::other)?;
    let mut content = Vec::with_capacity(length);
    // One byte more than expected tells a file that grew.
    file.take(identity.length + 1).read_to_end(&mut content)?;
    let is_whole = content.len() == length && Identity::of(file)? == identity;
    Ok(is_whole.then(|| content.into()))
}

/// Describes a file that is to be streamed: of text, what it begins with is read.
fn describe(path: &UrlPath, file: &File, identity: Identity, recent: bool) -> io::Result<Asset> {
    let mut opening = Vec::new();
    if media::is_text(path.name()) {
        opening.resize(OPENING_BYTES, 0);
        let read = file.read_at(&mut opening, 0)?;
        opening.truncate(read);
    }
    Ok(Asset::streamed(path.clone(), &opening, identity, recent))
}

#[expect(clippy::cast_possible_wrap, reason = "flags are small positive bits")]
fn flag_bits() -> i32 {
    OPEN_FLAGS.bits() as i32
}

/// cap-std reports a path that leaves the root as a permission that no system call denied.
fn is_escape(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}

/// Errors that say that no such file can be there are an answer, not an error.
fn missing_if_nothing<T>(found: io::Result<Found<T>>) -> io::Result<Found<T>> {
    found.or_else(|error| {
        let is_nothing = match Errno::from_io_error(&error) {
            Some(errno) => NOTHING.contains(&errno),
            None => error.kind() == io::ErrorKind::NotFound || is_escape(&error),
        };
        if is_nothing {
            Ok(Found::Missing)
        } else {
            Err(error)
        }
    })
}

/// No such name, below something that is no directory, a circle of links, a name too long, a
/// socket, or a device without a driver.
const NOTHING: [Errno; 6] = [
    Errno::NOENT,
    Errno::NOTDIR,
    Errno::LOOP,
    Errno::NAMETOOLONG,
    Errno::NXIO,
    Errno::NODEV,
];

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_that_changes_while_it_is_read_is_not_believed() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut opened = File::open(file.path()).unwrap();
        let identity = Identity::of(&opened).unwrap();
        let older = Identity {
            changed: (identity.changed.0 - 1, 0),
            ..identity
        };
        assert!(read_whole(&mut opened, older).unwrap().is_none());
        for length in [5, 15] {
            let mut opened = File::open(file.path()).unwrap();
            let another = Identity { length, ..identity };
            assert!(read_whole(&mut opened, another).unwrap().is_none());
        }
        let mut opened = File::open(file.path()).unwrap();
        let content = read_whole(&mut opened, identity).unwrap();
        assert_eq!(content.as_deref(), Some(&b"0123456789"[..]));
    }

    #[test]
    fn a_change_is_recent_for_as_long_as_clocks_are_coarse() {
        let changed = (1_000_000, 500_000_000);
        let identity = Identity {
            device: 1,
            inode: 1,
            length: 1,
            modified: (0, 0),
            changed,
        };
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert!(identity.is_recent(at(1_000_002)));
        assert!(!identity.is_recent(at(1_000_003)));
        assert!(
            identity.is_recent(at(999_000)),
            "a clock that is ahead of ours"
        );
    }
}
