//! Somebody who listens alone on a channel of their own, while others do what they do.

use std::fs;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until};

use crate::board::{Board, Delays};
use crate::line::Listeners;
use crate::publisher::Publisher;

const CHANNEL: &str = "demo/neighbour";
const EVERY: Duration = Duration::from_millis(5);
/// How many may be on their way.
const AT_ONCE: usize = 10_000;

/// A thread of its own: it does not wait while the client is busy with others.
#[derive(Debug)]
pub(crate) struct Neighbour {
    thread: JoinHandle<anyhow::Result<Heard>>,
    stop: Arc<AtomicBool>,
}

/// What a neighbour has heard.
#[derive(Debug)]
pub(crate) struct Heard(Vec<(Instant, Duration)>);

impl Neighbour {
    /// Begins to listen.
    pub(crate) fn start(port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            go_first()?;
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build()?;
            LocalSet::new().block_on(&runtime, listen(port, &stopped))
        });
        Self { thread, stop }
    }

    /// Ends it.
    pub(crate) fn stop(self) -> anyhow::Result<Heard> {
        self.stop.store(true, Ordering::Relaxed);
        let heard = self.thread.join();
        heard.map_err(|_| anyhow!("the neighbour has panicked"))?
    }
}

impl Heard {
    /// Returns the delays of what was published between two moments.
    pub(crate) fn between(&self, from: Instant, to: Instant) -> Delays {
        let then = self.0.iter().filter(|(said, _)| (from..to).contains(said));
        Delays::new(then.map(|&(_, delay)| delay).collect())
    }
}

/// Among threads in real time the one that runs goes on, but for one that is worth more.
fn go_first() -> anyhow::Result<()> {
    if std::env::var_os("REAL_TIME").is_none() {
        return Ok(());
    }
    let thread = fs::read_link("/proc/thread-self")?;
    let thread = thread.file_name().context("no thread")?;
    let mut command = Command::new("chrt");
    command.args(["-f", "-p", "11"]).arg(thread).status()?;
    Ok(())
}

async fn listen(port: u16, stop: &AtomicBool) -> anyhow::Result<Heard> {
    let board = Rc::new(Board::new(0));
    board.to_open.add(1);
    let listeners = Listeners::new(CHANNEL, 1, &board);
    let listening = tokio::task::spawn_local(listeners.listen(port, Rc::clone(&board)));
    board.all(&board.to_open, "streams not answered").await?;
    let mut publisher = Publisher::new(port, CHANNEL).await?;
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        sleep_until(next).await;
        next += EVERY;
        board.to_hear.add(1);
        publisher.say(&board, AT_ONCE).await?;
    }
    board.all(&board.to_hear, "events not heard").await?;
    listening.abort();
    Ok(Heard(board.timed_delays()?))
}
