//! A disk that forgets what was not flushed when the power goes, and fails when it is told to.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use crate::hub::store::disk::volume::Volume;

/// A simulated directory. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Simulated(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: Vec<Contents>,
    names: BTreeMap<String, usize>,
    /// As they were, and what was done to them since: in this order it comes to the disk.
    flushed_names: BTreeMap<String, usize>,
    changes: Vec<Change>,
    /// How many more steps succeed, until all fail: the program is dead, or the disk is.
    steps_left: Option<usize>,
    /// Steps that fail, counted from now, while others succeed.
    failing: Vec<usize>,
    steps: usize,
    /// Bytes that fit.
    room: Option<usize>,
}

#[derive(Debug, Clone, Default)]
struct Contents {
    written: Vec<u8>,
    flushed: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Change {
    Name(String, usize),
    Remove(String),
}

impl Simulated {
    /// All steps after so many fail.
    pub(super) fn stop_after(&self, steps: usize) {
        self.0.lock().unwrap().steps_left = Some(steps);
    }

    /// The steps with these numbers fail, counted from now.
    pub(super) fn fail_at(&self, steps: &[usize]) {
        let mut state = self.0.lock().unwrap();
        state.failing = steps.to_vec();
        state.steps = 0;
    }

    /// Has room for so many bytes from now on.
    pub(super) fn room(&self, bytes: Option<usize>) {
        self.0.lock().unwrap().room = bytes;
    }

    pub(super) fn steps(&self) -> usize {
        self.0.lock().unwrap().steps
    }

    pub(super) fn bytes(&self) -> usize {
        let state = self.0.lock().unwrap();
        let files = state.names.values();
        files.map(|&file| state.files[file].written.len()).sum()
    }

    /// Changes the content of the file that comes last, on the disk itself.
    pub(super) fn damage(&self, change: impl Fn(&mut Vec<u8>)) {
        let mut state = self.0.lock().unwrap();
        let (_, &file) = state.names.last_key_value().unwrap();
        change(&mut state.files[file].written);
    }

    /// Returns what is found after the power went. `chance` returns a number below another: it says
    /// how much came to the disk of that which was not flushed.
    pub(super) fn crash(&self, mut chance: impl FnMut(usize) -> usize) -> Self {
        let state = self.0.lock().unwrap();
        let mut names = state.flushed_names.clone();
        let (came, rest) = state.changes.split_at(chance(state.changes.len() + 1));
        for change in came {
            apply(&mut names, change);
        }
        // Nothing waits for a removal, so it may come before what was asked for earlier.
        let removals = rest
            .iter()
            .filter(|change| matches!(change, Change::Remove(_)));
        for removal in removals.filter(|_| chance(2) == 0) {
            apply(&mut names, removal);
        }
        let files = state.files.iter().map(|file| {
            let mut found = file.flushed.clone();
            if chance(2) == 0 || file.written.len() < file.flushed.len() {
                // Sectors come in any order; those that did not hold zeros.
                let end = file.flushed.len()
                    + chance(file.written.len().saturating_sub(file.flushed.len()) + 1);
                for at in file.flushed.len()..end {
                    let byte = if chance(8) == 0 { 0 } else { file.written[at] };
                    found.push(byte);
                }
            }
            Contents {
                written: found.clone(),
                flushed: found,
            }
        });
        let files = files.collect();
        Self(Arc::new(Mutex::new(State {
            files,
            names: names.clone(),
            flushed_names: names,
            ..State::default()
        })))
    }

    fn step(&self, room: usize) -> io::Result<std::sync::MutexGuard<'_, State>> {
        let mut state = self.0.lock().unwrap();
        state.steps += 1;
        if let Some(left) = &mut state.steps_left {
            *left = left.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
        }
        if state.failing.contains(&state.steps) {
            return Err(io::Error::other("simulated"));
        }
        if state.room.is_some_and(|left| left < room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(state)
    }
}

fn apply(names: &mut BTreeMap<String, usize>, change: &Change) {
    match change {
        Change::Name(name, file) => {
            names.retain(|_, other| other != file);
            names.insert(name.clone(), *file);
        }
        Change::Remove(name) => {
            names.remove(name);
        }
    }
}

impl State {
    fn change(&mut self, change: Change) {
        apply(&mut self.names, &change);
        self.changes.push(change);
    }
}

impl Volume for Simulated {
    type File = usize;

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.step(0)?.names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let state = self.step(0)?;
        let file = state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.files[*file].written.clone())
    }

    fn create(&self, name: &str) -> io::Result<usize> {
        let mut state = self.step(0)?;
        state.files.push(Contents::default());
        let file = state.files.len() - 1;
        state.change(Change::Name(name.to_owned(), file));
        Ok(file)
    }

    fn append(&self, file: &mut usize, bytes: &[u8]) -> io::Result<()> {
        match self.step(bytes.len()) {
            Ok(mut state) => {
                state.files[*file].written.extend_from_slice(bytes);
                if let Some(room) = &mut state.room {
                    *room -= bytes.len();
                }
                Ok(())
            }
            Err(error) => {
                let mut state = self.0.lock().unwrap();
                state.files[*file]
                    .written
                    .extend_from_slice(&bytes[..bytes.len() / 2]);
                Err(error)
            }
        }
    }

    fn truncate(&self, file: &mut usize, bytes: u64) -> io::Result<()> {
        let mut state = self.step(0)?;
        let bytes = usize::try_from(bytes).unwrap();
        let written = &mut state.files[*file].written;
        let freed = written.len() - bytes;
        written.truncate(bytes);
        if let Some(room) = &mut state.room {
            *room += freed;
        }
        Ok(())
    }

    fn sync(&self, file: &mut usize) -> io::Result<()> {
        let mut state = self.step(0)?;
        let contents = &mut state.files[*file];
        contents.flushed = contents.written.clone();
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.step(0)?;
        let file = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        state.change(Change::Name(to.to_owned(), file));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.step(0)?;
        if !state.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change(Change::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.step(0)?;
        state.flushed_names = state.names.clone();
        state.changes.clear();
        Ok(())
    }
}
