//! Nodes that share a log in Redis: what there is to it besides what `stores` asks of every store.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use forerun::hub::store::redis::RedisOptions;
use forerun::hub::store::{PublishError, Store};
use forerun::hub::{
    After, EventId, GapReason, Limits, PageMax, Publication, Published, Read, Reader, Topics,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use redis::streams::StreamRangeReply;
use redis::{AsyncCommands as _, Script};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::places::{DURABLE, QUICK, Server};

mod bounds;
mod fail_over;

const PAGE: PageMax = PageMax {
    events: 1000,
    bytes: 1 << 20,
};
const WAIT_MAX: Duration = Duration::from_secs(20);

impl Server {
    async fn channels_node(&self, epoch: u64) -> Store {
        self.node(epoch, Limits::CHANNELS).await
    }

    /// How many events Redis has.
    async fn kept(&self) -> usize {
        let mut commands = self.commands().await.unwrap();
        let kept: usize = commands.xlen("{test}:events").await.unwrap();
        let known: usize = commands.xlen("{test}:index").await.unwrap();
        assert_eq!(kept, known);
        kept
    }

    /// A number of those that it says about itself.
    async fn said(&self, section: &str, name: &str) -> usize {
        let mut commands = self.commands().await.unwrap();
        let mut asking = redis::cmd("INFO");
        asking.arg(section);
        let all: String = asking.query_async(&mut commands).await.unwrap();
        let number = all
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        let digits = number.split(',').next().unwrap();
        digits.parse().unwrap()
    }

    /// Has it take the first events for the oldest there can be.
    async fn age(&self, count: usize) {
        const INDEX: &str = "{test}:index";
        let mut commands = self.commands().await.unwrap();
        let entries: StreamRangeReply = commands.xrange_all(INDEX).await.unwrap();
        let mut aged = redis::pipe();
        aged.atomic().del(INDEX);
        for (place, entry) in entries.ids.iter().enumerate() {
            let [head, at] = ["head", "at"].map(|field| entry.get::<String>(field).unwrap());
            let at = if place < count { "0".to_owned() } else { at };
            aged.xadd(INDEX, &entry.id, &[("head", head), ("at", at)]);
        }
        () = aged.query_async(&mut commands).await.unwrap();
    }

    /// Copies what it has, while it is away for a moment.
    async fn back_up(&mut self) -> TempDir {
        let backup = tempfile::tempdir().unwrap();
        self.restart(|files| copy(files, backup.path())).await;
        backup
    }

    /// Gives it what it had then.
    async fn restore(&mut self, backup: &TempDir) {
        self.restart(|files| copy(backup.path(), files)).await;
    }
}

/// Puts what one Redis keeps in the place of what another does.
fn copy(from: &Path, to: &Path) {
    let [from, to] = [from, to].map(|directory| directory.join("appendonlydir"));
    let _ = std::fs::remove_dir_all(&to);
    std::fs::create_dir(&to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

fn said(data: &str) -> Publication {
    Publication::new("a", data.to_owned())
}

fn id(epoch: u64, offset: u64) -> EventId {
    EventId { epoch, offset }
}

fn reader(store: &Store, after: After) -> Reader {
    let topics = Arc::new(Topics::named(["a"]));
    Reader::new(Arc::clone(store.hub()), topics, after)
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
    let is_done = timeout(WAIT_MAX, reading).await;
    assert!(is_done.is_ok(), "found only {found:?}");
    found
}

/// Publishes as who was told to try again does.
async fn insist(node: &Store, data: &str) -> Published {
    let trying = async {
        loop {
            if let Ok(published) = node.publish(said(data)).await {
                return published;
            }
            // Its connection comes back by itself, but not at once.
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(WAIT_MAX, trying).await.unwrap()
}

#[tokio::test]
async fn nodes_tell_one_order_whoever_publishes() {
    let Some(server) = Server::start(DURABLE).await else {
        return;
    };
    let nodes = [server.channels_node(5).await, server.channels_node(6).await];
    let mut readers = [0, 1].map(|node: usize| reader(&nodes[node], After::Now));
    for number in 0..20 {
        let node = &nodes[number % 2];
        let published = node.publish(said(&number.to_string())).await.unwrap();
        assert_eq!(published.id, id(5, number as u64 + 1));
        let cursor = node.hub().cursor();
        assert!(cursor >= published.id, "what was answered can be read");
    }
    let expected: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    for reader in &mut readers {
        assert_eq!(next(reader, 20).await, expected);
    }
    // A node that dies takes nothing with it; one that comes later has all.
    let [first, second] = nodes;
    drop(first);
    second.publish(said("20")).await.unwrap();
    let third = server.channels_node(7).await;
    let all = next(&mut reader(&third, After::Earliest), 21).await;
    assert_eq!(all.len(), 21);
    let last = next(&mut reader(&third, After::Id(id(5, 20))), 1).await;
    assert_eq!(last, ["20"]);
}

/// Two nodes publish at once, and readers on both, who come with what the other has answered, are
/// given each event once, in order: nobody sees the one after before the one before.
#[tokio::test]
async fn nodes_that_publish_at_once_leave_no_hole() {
    const EACH: usize = 200;
    let Some(server) = Server::start(QUICK).await else {
        return;
    };
    let nodes = [server.channels_node(5).await, server.channels_node(6).await].map(Arc::new);
    let answered = [0, 1].map(|_| watch::Sender::new(id(5, 0)));
    let readers: Vec<_> = (0..8)
        .map(|number: usize| {
            let node = Arc::clone(&nodes[number % 2]);
            let mut elsewhere = answered[1 - number % 2].subscribe();
            tokio::spawn(async move {
                let is_time = |last: &EventId| last.offset >= number as u64 * 20;
                let start = *elsewhere.wait_for(is_time).await.unwrap();
                node.reach(After::Id(start)).await;
                let mut reader = reader(&node, After::Id(start));
                let expected: Vec<_> = (start.offset + 1..=4 * EACH as u64).collect();
                let mut offsets = Vec::new();
                while offsets.len() < expected.len() {
                    match reader.read(PAGE).await {
                        Some(Read::Events(events)) => {
                            offsets.extend(events.iter().map(|event| event.id.offset));
                        }
                        other => panic!("{other:?}"),
                    }
                }
                assert_eq!(offsets, expected);
            })
        })
        .collect();
    let publishers: Vec<_> = (0..4)
        .map(|number: usize| {
            let node = Arc::clone(&nodes[number % 2]);
            let answered = answered[number % 2].clone();
            tokio::spawn(async move {
                for _ in 0..EACH {
                    let published = node.publish(said("x")).await.unwrap();
                    assert!(node.hub().cursor() >= published.id);
                    answered.send_replace(published.id);
                }
            })
        })
        .collect();
    for task in publishers.into_iter().chain(readers) {
        timeout(WAIT_MAX, task).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_key_is_known_to_all_nodes() {
    let Some(server) = Server::start(DURABLE).await else {
        return;
    };
    let nodes = [server.channels_node(5).await, server.channels_node(6).await];
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

/// Somebody else has written where only nodes do.
#[tokio::test]
async fn what_cannot_be_read_is_missed_aloud() {
    let Some(server) = Server::start(QUICK).await else {
        return;
    };
    let node = server.channels_node(5).await;
    node.publish(said("1")).await.unwrap();
    let mut reading = reader(&node, After::Earliest);
    assert_eq!(next(&mut reading, 1).await, ["1"]);
    let mut commands = server.commands().await.unwrap();
    let head = r#"{"cost":9,"topics":["a"],"class":1,"number":"3"}"#;
    () = redis::pipe()
        .atomic()
        .hincr("{test}:log", "offset", 1)
        .hincr("{test}:log", "kept", 1)
        .xadd("{test}:events", "2-1", &[("event", "{"), ("at", "0")])
        .xadd("{test}:index", "2-1", &[("head", head), ("at", "0")])
        .query_async(&mut commands)
        .await
        .unwrap();
    assert_eq!(next(&mut reading, 1).await, ["gap: expired"]);
    assert_eq!(insist(&node, "3").await.id, id(5, 3));
    assert_eq!(next(&mut reading, 1).await, ["3"]);
}

#[tokio::test]
async fn what_redis_could_lose_is_said_with_the_fix() {
    let arguments = ["--appendonly", "no", "--maxmemory-policy", "allkeys-lru"];
    let Some(server) = Server::start(&arguments).await else {
        return;
    };
    let opened = Store::redis(&server.options(), 5, Limits::CHANNELS).await;
    let expected = [
        (
            "appendonly no",
            "what is answered may be lost when it stops",
            "appendonly yes",
        ),
        (
            "appendfsync everysec",
            "what is answered may be lost when it stops",
            "appendfsync always",
        ),
        (
            "maxmemory-policy allkeys-lru",
            "when it is full, it drops events that are not old",
            "maxmemory-policy noeviction",
        ),
    ];
    let expected = expected.map(|(is, danger, fix)| {
        format!(
            "Redis has `{is}`: {danger}; put `{fix}` into its redis.conf, or set it while it runs: \
             redis-cli config set {fix}"
        )
    });
    assert_eq!(opened.unwrap().1, expected);
}

const TLS_URL: &str = "FORERUN_TEST_TLS_URL";

/// Publishes over TLS: the program whose environment names an authority.
#[tokio::test]
#[ignore = "it is run by the test below"]
async fn node_over_tls() {
    let options = RedisOptions {
        url: std::env::var(TLS_URL).unwrap(),
        name: "test".to_owned(),
    };
    let (node, _) = Store::redis(&options, 6, Limits::CHANNELS).await.unwrap();
    assert_eq!(node.publish(said("2")).await.unwrap().id, id(5, 2));
    let all = next(&mut reader(&node, After::Earliest), 2).await;
    assert_eq!(all, ["1", "2"]);
}

/// Speaks TLS before a Redis, which need not be able to.
async fn relay(listener: TcpListener, tls: TlsAcceptor, socket: PathBuf) {
    let mut relayed = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, socket) = (tls.clone(), socket.clone());
        relayed.spawn(async move {
            // Whoever does not trust it goes.
            let Ok(mut stream) = tls.accept(stream).await else {
                return;
            };
            let mut redis = UnixStream::connect(socket).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut redis).await;
        });
    }
}

/// Redis as it answers over TLS, with a certificate of an authority of our own for `localhost`.
#[tokio::test]
async fn redis_is_reached_over_tls_if_its_authority_is_trusted() {
    let Some(server) = Server::start(QUICK).await else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&key).unwrap();
    let issuer = Issuer::new(authority, key);
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
    let authority = directory.path().join("authority.pem");
    std::fs::write(&authority, certificate.pem()).unwrap();
    let leaf_key = PrivatePkcs8KeyDer::from(leaf_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], leaf_key.into())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let relaying = relay(
        listener,
        Arc::new(tls).into(),
        server.directory.path().join("socket"),
    );
    let relaying = tokio::spawn(relaying);
    let node = server.channels_node(5).await;
    node.publish(said("1")).await.unwrap();

    let url = |host: &str| format!("rediss://{host}:{port}");
    let trusting = async |url: String| {
        let mut program = Command::new(std::env::current_exe().unwrap());
        program.args(["--exact", "redis_nodes::node_over_tls", "--ignored"]);
        program.env(TLS_URL, url).env("SSL_CERT_FILE", &authority);
        let output = spawn_blocking(move || program.output()).await;
        let output = output.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), said)
    };
    let (is_reached, said) = trusting(url("localhost")).await;
    assert!(is_reached, "{said}");
    assert_eq!(
        next(&mut reader(&node, After::Id(id(5, 1))), 1).await,
        ["2"]
    );

    // Another host than it has a certificate for, and an authority that nobody vouches for.
    let (is_reached, said) = trusting(url("127.0.0.1")).await;
    assert!(!is_reached && said.contains("not valid for name"), "{said}");
    let options = RedisOptions {
        url: url("localhost"),
        ..server.options()
    };
    let refused = Store::redis(&options, 6, Limits::CHANNELS).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "nobody who is trusted here vouches for the certificate of Redis: have SSL_CERT_FILE name \
         the PEM file of its authority"
    );
    relaying.abort();
}
