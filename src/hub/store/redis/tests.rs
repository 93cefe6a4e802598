//! Nodes on a Redis that is started for each test, where there is one: `redis-server` or
//! `valkey-server`.

use std::process::{Child, Command, Stdio};

use super::*;
use crate::hub::store::Store;
use crate::hub::{After, GapReason, PageMax, Read, Reader, Topics};

const PAGE: PageMax = PageMax {
    events: 1000,
    bytes: 1 << 20,
};

/// A server of our own, on a socket in a directory of its own.
struct Server {
    directory: tempfile::TempDir,
    child: Child,
    program: &'static str,
    arguments: Vec<String>,
}

impl Server {
    /// `None`, said aloud: there is no such program.
    async fn start(arguments: &[&str]) -> Option<Self> {
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
        let directory = tempfile::tempdir().unwrap();
        let arguments: Vec<_> = arguments.iter().copied().map(str::to_owned).collect();
        let child = spawn(program, directory.path(), &arguments);
        let server = Self {
            directory,
            child,
            program,
            arguments,
        };
        server.ready().await;
        Some(server)
    }

    fn options(&self) -> RedisOptions {
        let socket = self.directory.path().join("socket");
        RedisOptions {
            url: format!("unix://{}", socket.display()),
            name: "test".to_owned(),
        }
    }

    async fn commands(&self) -> RedisResult<MultiplexedConnection> {
        connect(&Client::open(self.options().url)?).await
    }

    async fn ready(&self) {
        let is_ready = async {
            loop {
                if let Ok(mut commands) = self.commands().await
                    && commands.ping::<String>().await.is_ok()
                {
                    return;
                }
                // There is nothing to wait on before it listens.
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), is_ready).await.unwrap();
    }

    /// Kills it, does something to its files, and starts it again.
    async fn restart(&mut self, between: impl FnOnce(&std::path::Path)) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        between(self.directory.path());
        self.child = spawn(self.program, self.directory.path(), &self.arguments);
        self.ready().await;
    }

    async fn node(&self, epoch: u64) -> Store {
        let (store, _) = Store::redis(&self.options(), epoch, Limits::CHANNELS)
            .await
            .unwrap();
        store
    }
}

fn spawn(program: &str, directory: &std::path::Path, arguments: &[String]) -> Child {
    let mut command = Command::new(program);
    command.args([
        "--port",
        "0",
        "--unixsocket",
        "socket",
        "--save",
        "",
        "--dir",
    ]);
    command
        .arg(directory)
        .args(arguments)
        .current_dir(directory);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const DURABLE: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

fn said(data: &str) -> Publication {
    Publication::new("a", data.to_owned())
}

fn reader(store: &Store, after: After) -> Reader {
    Reader::new(
        Arc::clone(store.hub()),
        Arc::new(Topics::named(["a"])),
        after,
    )
}

/// What a reader is given until it has so many things, with a deadline.
async fn next(reader: &mut Reader, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    let reading = async {
        while found.len() < count {
            match reader.read(PAGE).await {
                Some(Read::Events(events)) => {
                    found.extend(events.iter().map(|event| event.data.to_string()));
                }
                Some(Read::Gap(gap)) => found.push(format!("gap: {}", gap.reason.as_str())),
                other => panic!("{other:?}"),
            }
        }
    };
    let is_done = timeout(Duration::from_secs(20), reading).await;
    assert!(is_done.is_ok(), "found only {found:?}");
    found
}

#[tokio::test]
async fn nodes_tell_one_order_whoever_publishes() {
    let Some(server) = Server::start(DURABLE).await else {
        return;
    };
    let nodes = [server.node(5).await, server.node(6).await];
    let mut readers = [0, 1].map(|node: usize| reader(&nodes[node], After::Now));
    for number in 0..20 {
        let node = &nodes[number % 2];
        let published = node.publish(said(&number.to_string())).await.unwrap();
        assert_eq!(
            published.id,
            EventId {
                epoch: 5,
                offset: number as u64 + 1
            }
        );
        assert!(
            node.hub().cursor() >= published.id,
            "what was answered can be read"
        );
    }
    let expected: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    for reader in &mut readers {
        assert_eq!(next(reader, 20).await, expected);
    }
    // A node that dies takes nothing with it; one that comes later has all.
    let [first, second] = nodes;
    drop(first);
    second.publish(said("20")).await.unwrap();
    let third = server.node(7).await;
    assert_eq!(
        next(&mut reader(&third, After::Earliest), 21).await.len(),
        21
    );
    let place = EventId {
        epoch: 5,
        offset: 20,
    };
    assert_eq!(next(&mut reader(&third, After::Id(place)), 1).await, ["20"]);
}

#[tokio::test]
async fn a_key_is_known_to_all_nodes() {
    let Some(server) = Server::start(DURABLE).await else {
        return;
    };
    let nodes = [server.node(5).await, server.node(6).await];
    let keyed = |data: &str| Publication {
        idempotency_key: Some("k".to_owned()),
        publisher_id: Some("urn:x".to_owned()),
        is_private: true,
        ..said(data)
    };
    let first = nodes[0].publish(keyed("1")).await.unwrap();
    let again = nodes[1].publish(keyed("2")).await.unwrap();
    assert_eq!((first.is_repeated, again.is_repeated), (false, true));
    assert_eq!(first.id, again.id);
    assert_eq!(nodes[1].hub().after("urn:x"), After::Id(first.id));
    nodes[1].publish(said("3")).await.unwrap();
    let mut reader = reader(&nodes[1], After::Earliest);
    assert_eq!(next(&mut reader, 1).await, ["3"], "the first is private");
}

#[tokio::test]
async fn a_durable_redis_that_is_killed_has_kept_what_was_answered() {
    let Some(mut server) = Server::start(DURABLE).await else {
        return;
    };
    let (node, warnings) = Store::redis(&server.options(), 5, Limits::CHANNELS)
        .await
        .unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let mut reading = reader(&node, After::Now);
    for data in ["1", "2"] {
        node.publish(said(data)).await.unwrap();
    }
    server.restart(|_| {}).await;
    let later = server.node(9).await;
    later.publish(said("3")).await.unwrap();
    // The node that was there before goes on by itself.
    assert_eq!(next(&mut reading, 3).await, ["1", "2", "3"]);
    assert_eq!(
        later.hub().cursor(),
        EventId {
            epoch: 5,
            offset: 3
        }
    );
}

#[tokio::test]
async fn a_fail_over_that_loses_begins_a_new_epoch() {
    let Some(mut server) = Server::start(&["--appendonly", "yes", "--appendfsync", "no"]).await
    else {
        return;
    };
    let (node, warnings) = Store::redis(&server.options(), 5, Limits::CHANNELS)
        .await
        .unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    node.publish(said("1")).await.unwrap();
    let mut reading = reader(&node, After::Earliest);
    assert_eq!(next(&mut reading, 1).await, ["1"]);
    let kept = tempfile::tempdir().unwrap();
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        let copied = Command::new("cp").arg("-rT").arg(from).arg(to).status();
        assert!(copied.unwrap().success());
    };
    server
        .restart(|files| copy(&files.join("appendonlydir"), kept.path()))
        .await;
    for data in ["2", "3"] {
        timeout(Duration::from_secs(20), async {
            // Its connection comes back by itself, but not at once.
            while node.publish(said(data)).await.is_err() {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap();
    }
    assert_eq!(next(&mut reading, 2).await, ["2", "3"]);
    // What was there before the two: as a replica has it that was behind.
    server
        .restart(|files| {
            std::fs::remove_dir_all(files.join("appendonlydir")).unwrap();
            copy(kept.path(), &files.join("appendonlydir"));
        })
        .await;
    let told = next(&mut reading, 2).await;
    assert_eq!(
        told,
        [
            format!("gap: {}", GapReason::Epoch.as_str()),
            "1".to_owned()
        ]
    );
    assert!(node.hub().cursor().epoch > 5);
}
