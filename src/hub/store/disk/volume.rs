//! The door to the file system: one directory of append-only files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The name of the file that says that somebody writes here.
const LOCK: &str = "lock";

/// What is asked of a directory. The other implementation forgets what was not flushed, and fails
/// when it is told to.
pub(super) trait Volume: Send + 'static {
    type File: Send;

    /// The names of all files.
    fn names(&self) -> io::Result<Vec<String>>;
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// Makes an empty file, in place of one of that name.
    fn create(&self, name: &str) -> io::Result<Self::File>;
    /// Appends. On an error some of it may have been.
    fn append(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;
    fn truncate(&self, file: &mut Self::File, bytes: u64) -> io::Result<()>;
    /// Waits until a file's content and length are safe.
    fn sync(&self, file: &mut Self::File) -> io::Result<()>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Waits until names are safe.
    fn sync_names(&self) -> io::Result<()>;
}

/// A directory that nobody else writes to.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Locked until this is dropped.
    lock: File,
}

impl Directory {
    /// Opens a directory, or makes it: for its owner alone, since events may be private.
    ///
    /// # Errors
    /// `WouldBlock`: somebody else has it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(path)?;
        let lock = for_owner().truncate(false).open(path.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
            fs::TryLockError::Error(error) => error,
        })?;
        Ok(Self {
            path: path.to_owned(),
            lock,
        })
    }
}

impl Drop for Directory {
    /// Lets go of the lock: closing is not enough, as a program that is being started just now has
    /// a copy of all that is open.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

fn for_owner() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

impl Volume for Directory {
    type File = File;

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that is no text is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path.join(name))
    }

    fn create(&self, name: &str) -> io::Result<File> {
        let mut options = for_owner();
        // Appending goes on at the end, also after truncation.
        options.write(false).append(true);
        let path = self.path.join(name);
        let file = options.open(path)?;
        file.set_len(0)?;
        Ok(file)
    }

    fn append(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn truncate(&self, file: &mut File, bytes: u64) -> io::Result<()> {
        file.set_len(bytes)
    }

    fn sync(&self, file: &mut File) -> io::Result<()> {
        file.sync_data()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        // Only here can a directory be opened as a file.
        if cfg!(unix) {
            File::open(&self.path)?.sync_all()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_free_at_once_though_its_lock_is_open_elsewhere() {
        let place = tempfile::tempdir().unwrap();
        let first = Directory::open(place.path()).unwrap();
        let copy = first.lock.try_clone().unwrap();
        let refused = Directory::open(place.path()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        drop(first);
        Directory::open(place.path()).unwrap();
        drop(copy);
    }
}
