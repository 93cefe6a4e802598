//! Where events can be kept, for tests that hold wherever that is; and a Redis of a test's own.
//!
//! A place outlives the stores in it. Redis is started for each test that wants one, where there is
//! one: `redis-server` or `valkey-server`; otherwise the test does without and says so.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use forerun::hub::Limits;
use forerun::hub::store::Store;
use forerun::hub::store::redis::RedisOptions;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, Client, RedisResult};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

/// The epoch of a log that is new.
pub(crate) const EPOCH: u64 = 7;
/// Nothing takes longer.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// Redis, so that what it has answered is there after any crash.
pub(crate) const DURABLE: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];
/// Redis, quick: what it has answered is there after it was killed, but not after a power cut.
pub(crate) const QUICK: &[&str] = &["--appendonly", "yes", "--appendfsync", "no"];

pub(crate) enum Place {
    Memory,
    Disk(TempDir),
    Redis(Server),
}

impl Place {
    /// One of each kind that is to be had.
    pub(crate) async fn all() -> Vec<Self> {
        let mut all = vec![Self::Memory, Self::Disk(tempfile::tempdir().unwrap())];
        all.extend(Server::start(QUICK).await.map(Self::Redis));
        all
    }

    /// Returns whether events outlive the stores.
    pub(crate) fn keeps(&self) -> bool {
        !matches!(self, Self::Memory)
    }

    pub(crate) async fn open(&self, limits: Limits) -> Store {
        match self {
            Self::Memory => Store::memory(EPOCH, limits),
            Self::Disk(directory) => {
                Store::disk(directory.path(), EPOCH, limits, SystemTime::now()).unwrap()
            }
            Self::Redis(server) => server.node(EPOCH, limits).await,
        }
    }
}

/// A Redis on a socket in a directory of its own, so that no two meet.
pub(crate) struct Server {
    pub(crate) directory: TempDir,
    child: Child,
    program: &'static str,
    arguments: Vec<String>,
}

impl Server {
    /// `None`, said aloud: there is no such program.
    pub(crate) async fn start(arguments: &[&str]) -> Option<Self> {
        Self::start_in(tempfile::tempdir().unwrap(), arguments).await
    }

    pub(crate) async fn start_in(directory: TempDir, arguments: &[&str]) -> Option<Self> {
        let has = |program: &&str| {
            let mut command = Command::new(program);
            let command = command.arg("--version").stdout(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let Some(program) = ["redis-server", "valkey-server"].into_iter().find(has) else {
            #[expect(clippy::print_stderr, reason = "a test that did nothing says so")]
            {
                eprintln!("SKIPPED: neither redis-server nor valkey-server is installed");
            }
            return None;
        };
        let arguments: Vec<_> = arguments.iter().copied().map(str::to_owned).collect();
        let child = spawn(program, directory.path(), &arguments);
        let mut server = Self {
            directory,
            child,
            program,
            arguments,
        };
        server.ready().await;
        Some(server)
    }

    pub(crate) fn options(&self) -> RedisOptions {
        let socket = self.directory.path().join("socket");
        RedisOptions {
            url: format!("unix://{}", socket.display()),
            name: "test".to_owned(),
        }
    }

    pub(crate) async fn node(&self, epoch: u64, limits: Limits) -> Store {
        let opened = Store::redis(&self.options(), epoch, limits).await;
        opened.unwrap().0
    }

    /// Somebody else who talks to it.
    pub(crate) async fn commands(&self) -> RedisResult<MultiplexedConnection> {
        let client = Client::open(self.options().url)?;
        client.get_multiplexed_async_connection().await
    }

    async fn ready(&mut self) {
        let is_ready = async {
            loop {
                if let Ok(mut commands) = self.commands().await
                    && commands.ping::<String>().await.is_ok()
                {
                    return;
                }
                assert!(self.child.try_wait().unwrap().is_none(), "it has ended");
                // There is nothing to wait on before it listens.
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(WAIT_MAX, is_ready).await.unwrap();
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after it was killed.
    pub(crate) async fn come_back(&mut self) {
        self.child = spawn(self.program, self.directory.path(), &self.arguments);
        self.ready().await;
    }

    /// Kills it, does something to its files, and starts it again.
    pub(crate) async fn restart(&mut self, between: impl FnOnce(&Path)) {
        self.kill();
        between(self.directory.path());
        self.come_back().await;
    }
}

fn spawn(program: &str, directory: &Path, arguments: &[String]) -> Child {
    let own = [
        "--port",
        "0",
        "--unixsocket",
        "socket",
        "--save",
        "",
        "--dir",
        ".",
    ];
    let mut command = Command::new(program);
    command.args(own).args(arguments).current_dir(directory);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
