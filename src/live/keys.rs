//! Keys pressed in the terminal: each acts at once, without Enter, and is not shown.
//!
//! That needs another mode of the terminal, which is put back however this ends: when [`Keys`] is
//! dropped (a panic does that too), and while the program is stopped (Ctrl-Z). In the background
//! (`forerun dev &`) the terminal is somebody else's and is left alone. Knows nothing of what a key
//! does.

use std::future::pending;
use std::io::{self, IsTerminal as _, PipeReader, PipeWriter};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{getpgrp, getpid, kill_process};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::terminal::Style;

/// Bytes that come at once from a person's fingers; more were pasted, or are what an arrow key
/// sends, and mean none of the keys.
const TYPED_BYTES_MAX: usize = 3;
/// Bytes read at once.
const READ_BYTES: usize = 256;
/// Keys that may wait to be heeded; more are dropped.
const KEYS_WAITING_MAX: usize = 16;
/// How often to look whether the terminal is ours again.
const FOREGROUND_EVERY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 250_000_000,
};

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `h`: say what the keys do.
    Help,
    /// `o`: open the site in a browser.
    Open,
    /// `r`: reload every tab.
    Reload,
    /// `q`: end.
    Quit,
}

impl Key {
    fn of(byte: u8) -> Option<Self> {
        match byte.to_ascii_lowercase() {
            b'h' | b'?' => Some(Self::Help),
            b'o' => Some(Self::Open),
            b'r' => Some(Self::Reload),
            b'q' => Some(Self::Quit),
            _ => None,
        }
    }
}

/// Returns the line that says what the keys do.
pub fn help(style: Style) -> String {
    let keys = [
        ("h", "help"),
        ("o", "open in a browser"),
        ("r", "reload every tab"),
        ("q", "quit"),
    ];
    keys.map(|(key, does)| format!("{} {}", style.strong(key), style.faint(does)))
        .join("   ")
}

/// The keys of a terminal, or of none.
#[derive(Debug, Default)]
pub struct Keys {
    listening: Option<Listening>,
}

/// A thread that reads keys, and what it takes to end it.
#[derive(Debug)]
struct Listening {
    terminal: Arc<Terminal>,
    pressed: mpsc::Receiver<Key>,
    suspend: Signal,
    resumed: Signal,
    /// Ends the thread when dropped.
    end: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Keys {
    /// Listens to standard input, if that is a terminal. To be called within a runtime.
    ///
    /// # Errors
    /// The terminal does not let its mode be changed, or the system gives no thread.
    pub fn of_stdin() -> io::Result<Self> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(Self::default());
        }
        Self::of(stdin.as_fd().try_clone_to_owned()?)
    }

    fn of(input: OwnedFd) -> io::Result<Self> {
        let terminal = Arc::new(Terminal::open(input)?);
        // From here on the mode is put back when this is dropped.
        let (press, pressed) = mpsc::channel(KEYS_WAITING_MAX);
        let (ended, end) = io::pipe()?;
        let mut listening = Listening {
            terminal: Arc::clone(&terminal),
            pressed,
            suspend: signal(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
            resumed: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
            end: Some(end),
            thread: None,
        };
        terminal.claim()?;
        let thread = std::thread::Builder::new().name("forerun-keys".into());
        listening.thread = Some(thread.spawn(move || listen(&terminal, &ended, &press))?);
        Ok(Self {
            listening: Some(listening),
        })
    }

    /// Returns whether keys are heard at all.
    pub fn are_heard(&self) -> bool {
        self.listening.is_some()
    }

    /// Waits for the next key; for ever where there is no terminal, or no longer one.
    ///
    /// It must be polled for Ctrl-Z to be heeded. The future may be dropped at any time.
    pub async fn next(&mut self) -> Key {
        while let Some(listening) = &mut self.listening {
            tokio::select! {
                biased;
                _ = listening.suspend.recv() => listening.terminal.suspend(),
                _ = listening.resumed.recv() => listening.terminal.resume(),
                key = listening.pressed.recv() => match key {
                    Some(key) => return key,
                    None => self.listening = None,
                },
            }
        }
        pending().await
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell, not even that it failed.
            let _ = thread.join();
        }
        self.terminal.release();
    }
}

/// Reads keys until there is nobody to end it, or nothing to read from.
fn listen(terminal: &Terminal, ended: &PipeReader, press: &mpsc::Sender<Key>) {
    loop {
        match terminal.read(ended) {
            Ok(Read::Nothing) => {}
            Ok(Read::End) => return,
            Ok(Read::Bytes(bytes)) => {
                for key in typed(&bytes) {
                    // Whoever does not heed the first sixteen will not heed another.
                    let _ = press.try_send(key);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "keys are not heard any more");
                return;
            }
        }
    }
}

/// Returns the keys among bytes that came at once.
fn typed(bytes: &[u8]) -> Vec<Key> {
    if bytes.len() > TYPED_BYTES_MAX || bytes.contains(&b'\x1b') {
        return Vec::new();
    }
    bytes.iter().copied().filter_map(Key::of).collect()
}

/// What a look at a terminal found.
enum Read {
    Bytes(Vec<u8>),
    Nothing,
    End,
}

/// A terminal that hands over each key at once.
#[derive(Debug)]
struct Terminal {
    input: OwnedFd,
    /// The mode in which it was found.
    found: Termios,
    hold: Mutex<Hold>,
}

/// Whose mode the terminal is in.
///
/// ```text
///            in the foreground             Ctrl-Z
///   Found -----------------------> Ours ------------> Suspended
///     ^  ^                          |                     |
///     |  `----- dropped ------------'                     | continued
///     `---------------------------------------------------'
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    Found,
    Ours,
    Suspended,
}

impl Terminal {
    fn open(input: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            found: tcgetattr(&input)?,
            input,
            hold: Mutex::new(Hold::Found),
        })
    }

    /// Waits for keys, for the end of whoever wants them, or to look again.
    fn read(&self, ended: &PipeReader) -> io::Result<Read> {
        let is_ours = self.claim()?;
        let mut both = [
            PollFd::new(ended, PollFlags::IN),
            PollFd::new(&self.input, PollFlags::IN),
        ];
        // Whoever reads in the background is stopped for it: then only the end is waited for.
        let (watched, patience) = if is_ours {
            (&mut both[..], None)
        } else {
            (&mut both[..1], Some(&FOREGROUND_EVERY))
        };
        match poll(watched, patience) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Read::Nothing),
            Err(error) => return Err(error.into()),
        }
        if !both[0].revents().is_empty() {
            return Ok(Read::End);
        }
        if both[1].revents().is_empty() || !self.claim()? {
            return Ok(Read::Nothing);
        }
        let mut bytes = [0; READ_BYTES];
        match rustix::io::read(&self.input, &mut bytes) {
            Ok(0) if both[1].revents().intersects(PollFlags::HUP) => Ok(Read::End),
            Ok(0) | Err(Errno::INTR | Errno::AGAIN) => Ok(Read::Nothing),
            Ok(length) => Ok(Read::Bytes(bytes[..length].to_vec())),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the terminal, if that is allowed; returns whether it is ours.
    fn claim(&self) -> io::Result<bool> {
        let mut hold = self.hold();
        if *hold == Hold::Suspended {
            return Ok(false);
        }
        if !is_foreground(&self.input) {
            *hold = Hold::Found;
            return Ok(false);
        }
        if *hold == Hold::Found {
            let mut raw = self.found.clone();
            // Ctrl-C and Ctrl-Z keep their meaning, and lines that are printed their ends.
            raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
            // A read never waits: `poll` does.
            raw.special_codes[SpecialCodeIndex::VMIN] = 0;
            raw.special_codes[SpecialCodeIndex::VTIME] = 0;
            tcsetattr(&self.input, OptionalActions::Now, &raw)?;
            *hold = Hold::Ours;
        }
        Ok(true)
    }

    /// Puts the mode back, if the terminal is ours.
    fn release(&self) {
        self.leave(Hold::Found);
    }

    /// Stops this process, as Ctrl-Z asks.
    fn suspend(&self) {
        // The thread must not take the terminal again before all threads have stopped.
        self.leave(Hold::Suspended);
        // The signal that cannot be caught: the other one is.
        if let Err(error) = kill_process(getpid(), rustix::process::Signal::STOP) {
            tracing::debug!(%error, "cannot stop");
            self.resume();
        }
    }

    /// Takes the terminal again once continued; whatever its mode, for the shell may have changed
    /// it.
    fn resume(&self) {
        *self.hold() = Hold::Found;
        if let Err(error) = self.claim() {
            tracing::debug!(%error, "keys are not heard");
        }
    }

    fn leave(&self, then: Hold) {
        let mut hold = self.hold();
        if *hold == Hold::Ours && is_foreground(&self.input) {
            // It may be gone.
            let _ = tcsetattr(&self.input, OptionalActions::Now, &self.found);
        }
        *hold = then;
    }

    fn hold(&self) -> MutexGuard<'_, Hold> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether this process may use a terminal. One that controls nobody is anybody's.
fn is_foreground(terminal: &OwnedFd) -> bool {
    tcgetpgrp(terminal).map_or(true, |group| group == getpgrp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    /// How long anything may take before a test has failed.
    const DEADLINE: Duration = Duration::from_secs(20);

    /// Returns the two ends of a new terminal: who types, and what they type on.
    fn terminal() -> (OwnedFd, OwnedFd) {
        let hands = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&hands).unwrap();
        unlockpt(&hands).unwrap();
        let name = ptsname(&hands, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let terminal = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
        (hands, terminal)
    }

    fn modes(terminal: &OwnedFd) -> LocalModes {
        tcgetattr(terminal).unwrap().local_modes
    }

    async fn next(keys: &mut Keys) -> Key {
        tokio::time::timeout(DEADLINE, keys.next()).await.unwrap()
    }

    #[tokio::test]
    async fn keys_act_at_once_and_the_terminal_is_put_back() {
        let (hands, terminal) = terminal();
        let found = modes(&terminal);
        assert!(found.contains(LocalModes::ICANON | LocalModes::ECHO));
        let mut keys = Keys::of(terminal.try_clone().unwrap()).unwrap();
        assert!(!modes(&terminal).intersects(LocalModes::ICANON | LocalModes::ECHO));
        assert!(modes(&terminal).contains(LocalModes::ISIG));
        for (typed, key) in [("h", Key::Help), ("R", Key::Reload), ("xo", Key::Open)] {
            rustix::io::write(&hands, typed.as_bytes()).unwrap();
            assert_eq!(next(&mut keys).await, key);
        }
        drop(keys);
        assert_eq!(modes(&terminal), found);
    }

    #[test]
    fn a_paste_and_an_arrow_are_no_keys() {
        assert_eq!(typed(b"rq"), [Key::Reload, Key::Quit]);
        assert_eq!(typed(b"quit it all\n"), []);
        assert_eq!(typed(b"\x1bOq"), []);
        assert_eq!(typed(b"x\n\x04"), []);
    }

    #[tokio::test]
    async fn a_terminal_that_goes_away_is_no_more_heard() {
        let (hands, terminal) = terminal();
        let mut keys = Keys::of(terminal).unwrap();
        drop(hands);
        let waiting = async {
            while keys.are_heard() {
                let _ = tokio::time::timeout(Duration::from_millis(1), keys.next()).await;
            }
        };
        tokio::time::timeout(DEADLINE, waiting).await.unwrap();
    }

    #[tokio::test]
    async fn without_a_terminal_there_are_no_keys() {
        let mut keys = Keys::default();
        assert!(!keys.are_heard());
        assert!(
            tokio::time::timeout(Duration::ZERO, keys.next())
                .await
                .is_err()
        );
    }

    #[test]
    fn the_keys_are_said_in_one_line() {
        insta::assert_snapshot!(
            help(Style::plain()),
            @"h help   o open in a browser   r reload every tab   q quit"
        );
    }
}
