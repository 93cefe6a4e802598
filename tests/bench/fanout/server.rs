//! The server that is measured: a process of its own, on a core of its own.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

/// The core that serves.
const CORE: &str = "0";
/// Of the processor times that the system tells, in a second.
const TICKS_A_SECOND: f64 = 100.0;
/// No address is told to come again later: all of it comes from one.
const BOUNDS: [&str; 8] = [
    "--max-publishes",
    "1000000000",
    "--max-published",
    "64G",
    "--max-connections-per-address",
    "20000",
    "--max-buffered",
    "4G",
];

/// Returns a command that runs on a core; with `REAL_TIME` set, before all that is not real-time.
pub(crate) fn on(core: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = if std::env::var_os("REAL_TIME").is_some() {
        let mut command = Command::new("chrt");
        command.args(["-f", "10", "taskset"]);
        command
    } else {
        Command::new("taskset")
    };
    command.args(["-c", core]).arg(program);
    command
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    _stdout: BufReader<ChildStdout>,
    _home: TempDir,
}

impl Server {
    /// Starts `FORERUN_BIN`, else the program as it was built with this one, with its demonstration
    /// channels.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let named = std::env::var_os("FORERUN_BIN").map(PathBuf::from);
        let program = named.unwrap_or_else(|| env!("CARGO_BIN_EXE_forerun").into());
        let program = fs::canonicalize(&program)
            .with_context(|| format!("cannot find `{}`", program.display()))?;
        let home = tempfile::tempdir()?;
        fs::create_dir(home.path().join("site"))?;
        let mut child = on(CORE, program)
            .args(["serve", "site", "--port", "0", "--demo"])
            .args(BOUNDS)
            .current_dir(&home)
            .env("HOME", home.path())
            .env("XDG_DATA_HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the server (`taskset` and `chrt` are in util-linux)")?;
        let stdout = child.stdout.take().context("it says nothing")?;
        let mut stdout = BufReader::new(stdout);
        let port = port(&mut stdout);
        let mut server = Self {
            child,
            port: 0,
            _stdout: stdout,
            _home: home,
        };
        server.port = port?;
        Ok(server)
    }

    /// Returns the processor time it has had, user and system, in seconds.
    pub(crate) fn spent_s(&self) -> anyhow::Result<f64> {
        spent_s(&self.child.id().to_string())
    }

    /// Returns its memory, in MB: of what it shares with others, its part.
    pub(crate) fn memory_mb(&self) -> anyhow::Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        let kilobytes: f64 = kilobytes.context("no Pss in smaps_rollup")?.parse()?;
        Ok(kilobytes * 1024.0 / 1e6)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended by itself, or does now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the processor time that a process has had, as /proc names it, in seconds.
pub(crate) fn spent_s(process: &str) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Fields are counted after the name, which may have spaces.
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let times = fields.split_whitespace().skip(11).take(2);
    let ticks: u32 = times.map(str::parse::<u32>).sum::<Result<_, _>>()?;
    Ok(f64::from(ticks) / TICKS_A_SECOND)
}

fn port(stdout: &mut impl BufRead) -> anyhow::Result<u16> {
    for line in stdout.lines() {
        let line = line?;
        if let Some((_, rest)) = line.split_once("localhost:") {
            let digits = rest.split(|letter: char| !letter.is_ascii_digit());
            return Ok(digits.take(1).collect::<String>().parse()?);
        }
    }
    bail!("the server has ended")
}
