//! The command that makes the site: run before it is served, and again when its sources change.
//!
//! It runs in a process group of its own, so that all of it can be ended: a newer change ends what
//! still runs and starts afresh. Nothing here prints; [`Build::next`] says what happened. Read on
//! in [`lines`] (bytes of output to lines).

mod lines;
#[cfg(test)]
mod tests;

use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, sleep_until};

use self::lines::Lines;
use super::report::{Problem, plain};

/// How long a build may take to end once it is asked to; then it is killed.
const END_WAIT_MAX: Duration = Duration::from_secs(2);
/// How long the last output is waited for once the command has ended: what it left in the
/// background may hold the pipe open for ever.
const OUTPUT_WAIT_MAX: Duration = Duration::from_millis(200);
/// Bytes of output read at once.
const READ_BYTES: usize = 8 * 1024;
/// Characters of the command in a problem's title.
const TITLE_CHARACTERS_MAX: usize = 60;

/// A command, and the process that runs it, if one does.
///
/// ```text
///            start               the command ends
///   nothing -------> running ---------------------> over -----> nothing
///                      |  Made or Failed is told      |    its output ends
///                      |                              |
///                      +---------- start, stop -------+
///                                       v
///                                    ending   SIGTERM; after END_WAIT_MAX killed: SIGKILL
///                                       v
///                      running again, or nothing
/// ```
///
/// What an ended command left behind may write on (`sass --watch &`): its output is shown, and it
/// is ended with the build.
#[derive(Debug)]
pub struct Build {
    command: String,
    directory: PathBuf,
    end_wait_max: Duration,
    run: Option<Run>,
    /// Whether to start once what runs has been ended.
    again: bool,
    lines: Lines,
    /// What is told once every line has been.
    outcome: Option<Happened>,
}

/// What became of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// It said something.
    Line(String),
    /// It made the site.
    Made,
    /// It failed; the problem's text is the end of its output.
    Failed(Problem),
}

impl Build {
    /// Makes a build of a command line for `sh`, to be run in a directory.
    pub fn new(command: impl Into<String>, directory: impl Into<PathBuf>) -> Self {
        Self {
            command: command.into(),
            directory: directory.into(),
            end_wait_max: END_WAIT_MAX,
            run: None,
            again: false,
            lines: Lines::default(),
            outcome: None,
        }
    }

    /// Returns the command in quotes: one line, and short.
    pub fn name(&self) -> String {
        let mut command: String = plain(&self.command)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        if let Some((end, _)) = command.char_indices().nth(TITLE_CHARACTERS_MAX) {
            command.truncate(end);
            command.push('\u{2026}');
        }
        format!("`{command}`")
    }

    /// Runs the command: at once, or as soon as what still runs has been ended. Whatever that
    /// would have told is not told any more.
    pub fn start(&mut self) {
        self.lines = Lines::default();
        self.outcome = None;
        if let Some(run) = &mut self.run {
            run.end(self.end_wait_max);
            self.again = true;
            return;
        }
        match Run::start(&self.command, &self.directory) {
            Ok(run) => self.run = Some(run),
            Err(error) => self.outcome = Some(self.failed(&format!("cannot be run: {error}"))),
        }
    }

    /// Waits for what happens next; for ever while nothing runs.
    ///
    /// The future may be dropped at any time: nothing is lost.
    pub async fn next(&mut self) -> Happened {
        loop {
            if let Some(line) = self.lines.pop() {
                return Happened::Line(line);
            }
            if let Some(outcome) = self.outcome.take() {
                return outcome;
            }
            self.advance().await;
        }
    }

    /// Ends what runs, in good time, and starts nothing more.
    pub async fn stop(mut self) {
        if let Some(run) = &mut self.run {
            run.end(self.end_wait_max);
        }
        self.again = false;
        while self.run.is_some() {
            self.advance().await;
        }
    }

    /// Waits for one step of the process, and concludes what follows.
    async fn advance(&mut self) {
        let Some(run) = &mut self.run else {
            return pending().await;
        };
        let mut bytes = [0; READ_BYTES];
        let step = run.step(&mut bytes).await;
        let is_late = matches!(step, Step::TooLate);
        match step {
            Step::Wrote(length) if run.is_heard() => self.lines.push(&bytes[..length]),
            Step::Wrote(_) => {}
            Step::Closed => run.output = None,
            Step::Ended(status) => run.ended(status),
            Step::TooLate => run.too_late(),
        }
        let is_closed = run.output.is_none();
        let is_killed = run.phase == Phase::Killed;
        let Some(status) = run.status else {
            return;
        };
        if run.phase == Phase::Running && (is_closed || is_late) {
            run.phase = Phase::Over;
            self.tell(status);
        }
        // Who still holds the pipe of a killed group has left it, and is on its own.
        if is_closed || is_killed {
            self.run = None;
            if std::mem::take(&mut self.again) {
                self.start();
            }
        }
    }

    /// Notes the outcome of the command, behind the last of its lines.
    fn tell(&mut self, status: ExitStatus) {
        self.lines.finish();
        self.outcome = Some(match (status.success(), status.code(), status.signal()) {
            (true, ..) => Happened::Made,
            (_, Some(code), _) => self.failed(&format!("failed with status {code}")),
            (_, _, Some(signal)) => self.failed(&format!("was ended by signal {signal}")),
            _ => self.failed("failed"),
        });
    }

    fn failed(&self, how: &str) -> Happened {
        Happened::Failed(Problem {
            title: format!("{} {how}", self.name()),
            text: plain(&self.lines.tail()),
        })
    }
}

/// A process group at work.
#[derive(Debug)]
struct Run {
    child: Child,
    group: Pid,
    /// Both streams of the command, in the order in which it wrote; `None` at their end. While it
    /// is open somebody of the group lives, so the group's number cannot be another's.
    output: Option<ChildStdout>,
    status: Option<ExitStatus>,
    phase: Phase,
    /// When patience ends: with output after the end, or with a group that was asked to end.
    patience: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Over,
    Ending,
    Killed,
}

/// What a process group did.
enum Step {
    Wrote(usize),
    Closed,
    Ended(ExitStatus),
    TooLate,
}

impl Run {
    fn start(command: &str, directory: &Path) -> io::Result<Self> {
        let (read, write) = io::pipe()?;
        let child = Command::new("sh")
            .arg("-c")
            .arg(command)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(write.try_clone()?)
            .stderr(write)
            .process_group(0)
            .spawn()?;
        let group = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
            .ok_or_else(|| io::Error::other("it has no process id"))?;
        Ok(Self {
            child,
            group,
            output: Some(ChildStdout::from_std(OwnedFd::from(read).into())?),
            status: None,
            phase: Phase::Running,
            patience: None,
        })
    }

    /// Waits for what the processes do next. May be dropped: nothing is lost.
    async fn step(&mut self, bytes: &mut [u8]) -> Step {
        let Self {
            child,
            output,
            status,
            patience,
            ..
        } = self;
        let late = async {
            match patience {
                Some(moment) => sleep_until(*moment).await,
                None => pending().await,
            }
        };
        let ended = async {
            match status {
                None => child.wait().await,
                Some(_) => pending().await,
            }
        };
        let wrote = async {
            match output {
                Some(output) => output.read(bytes).await,
                None => pending().await,
            }
        };
        tokio::select! {
            // Whoever writes without end is late all the same.
            biased;
            () = late => Step::TooLate,
            // Only somebody else's waiting for it can lose a status: nothing good is known then.
            status = ended => Step::Ended(status.unwrap_or(ExitStatus::from_raw(0xff00))),
            length = wrote => match length {
                Ok(0) | Err(_) => Step::Closed,
                Ok(length) => Step::Wrote(length),
            },
        }
    }

    /// Tells whether its output matters to anybody.
    fn is_heard(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Over)
    }

    /// Notes that the command itself has ended.
    fn ended(&mut self, status: ExitStatus) {
        self.status = Some(status);
        if self.phase == Phase::Running {
            self.patience = Some(Instant::now() + OUTPUT_WAIT_MAX);
        }
    }

    /// Asks all processes to end.
    fn end(&mut self, wait_max: Duration) {
        if self.is_heard() {
            self.signal(Signal::TERM);
            self.phase = Phase::Ending;
            self.patience = Some(Instant::now() + wait_max);
        }
    }

    fn too_late(&mut self) {
        self.patience = None;
        if self.phase == Phase::Ending {
            self.signal(Signal::KILL);
            self.phase = Phase::Killed;
        }
    }

    fn signal(&self, signal: Signal) {
        if self.status.is_none() || self.output.is_some() {
            // They may have ended by themselves meanwhile.
            let _ = kill_process_group(self.group, signal);
        }
    }
}

impl Drop for Run {
    /// Leaves nothing behind.
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
