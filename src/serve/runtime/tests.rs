//! Connections over real sockets: how long a handshake may take, and what a defect takes along.

use std::any::Any;
use std::net::TcpListener;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use http::{Request, StatusCode};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::*;
use crate::access_log::AccessLog;
use crate::answer::{self, Options};
use crate::door::limits::{Buffers, Limits};
use crate::site::{SiteOptions, SiteRoot};
use crate::tls::{Source, Tls};

fn service(directory: &std::path::Path) -> Arc<Service> {
    std::fs::create_dir(directory.join("site")).unwrap();
    let source = Source::Local {
        directory: directory.join("authority"),
        names: Vec::new(),
    };
    let limits = Limits::default();
    Arc::new(Service {
        site: Arc::new(SiteRoot::open(SiteOptions::new(directory.join("site"))).unwrap()),
        handler: answer::answer,
        tls: Arc::new(Tls::open(source, SystemTime::now()).unwrap()),
        options: Options::default(),
        live: None,
        channels: None,
        log: AccessLog::Off,
        buffers: Buffers::new(limits.buffered_bytes),
        limits,
        sign_ins: Arc::default(),
        metrics: Arc::default(),
        now: SystemTime::now,
        think: Duration::ZERO,
    })
}

#[tokio::test(start_paused = true)]
async fn who_never_shakes_hands_is_let_go_when_its_time_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _silent = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, peer) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let (_drain, drained) = watch::channel(false);
    let started = Instant::now();
    let service = service(directory.path());
    let shaken = shake_hands(stream, peer, &service, drained).await;
    assert!(shaken.is_none());
    let waited = started.elapsed();
    assert!((HANDSHAKE_MAX..HANDSHAKE_MAX + Duration::from_secs(1)).contains(&waited));
}

/// The wall clock, but for whoever looks first.
fn broken_at_first() -> SystemTime {
    static HAS_FAILED: AtomicBool = AtomicBool::new(false);
    let is_whole = HAS_FAILED.swap(true, Ordering::Relaxed);
    assert!(is_whole, "a defect, as a test has it");
    SystemTime::now()
}

/// Hands a connection over, as a listener does, and asks for a page on it.
async fn visit(
    connections: &mpsc::Sender<Accepted>,
    seats: &Arc<Seats>,
    service: &Service,
    trusting: &Arc<ClientConfig>,
) -> Result<StatusCode, h2::Error> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (stream, peer) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let seat = Counted::new(seats.take(peer.ip()).unwrap(), &service.metrics);
    let accepted = Accepted { stream, peer, seat };
    assert!(
        connections.send(accepted).await.is_ok(),
        "the runtime goes on"
    );
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::clone(trusting));
    let stream = connector.connect(name, near).await.unwrap();
    let (mut sender, connection) = h2::client::handshake(stream).await?;
    let request = Request::get("https://localhost/").body(()).unwrap();
    let (response, _) = sender.send_request(request, true)?;
    drop(sender);
    // Nothing is kept of the answer, so that the connection ends with it.
    let asking = async { response.await.map(|response| response.status()) };
    let (status, _) = tokio::join!(asking, connection);
    status
}

#[tokio::test]
async fn a_connection_that_panics_takes_no_other_along() {
    let directory = tempfile::tempdir().unwrap();
    let (tls, trusting) = Tls::simulated(SystemTime::now()).unwrap();
    let service = Arc::new(Service {
        tls: Arc::new(tls),
        now: broken_at_first,
        ..Arc::into_inner(service(directory.path())).unwrap()
    });
    let seats = Seats::new(service.limits.connections_per_address);
    let (connections, accepted) = mpsc::channel(1);
    let (_drain, drained) = watch::channel(false);
    let load = Arc::new(AtomicUsize::new(2));
    let serving = connect(accepted, Arc::clone(&service), drained, load);
    let visiting = async {
        let connections = connections;
        let first = visit(&connections, &seats, &service, &trusting).await;
        assert!(first.is_err(), "{first:?}");
        let second = visit(&connections, &seats, &service, &trusting).await;
        assert_eq!(second.unwrap(), StatusCode::NOT_FOUND);
    };
    let both = async { tokio::join!(serving, visiting) };
    LocalSet::new().run_until(Box::pin(both)).await;
    assert_eq!(service.metrics.open(), 0, "each has given its seat back");
}

/// Asks for a file that is larger than all that lies between, and takes only its beginning.
async fn begin(near: TcpStream, trusting: &Arc<ClientConfig>, protocol: &str) -> Box<dyn Any> {
    let mut trusting = ClientConfig::clone(trusting);
    trusting.alpn_protocols = vec![protocol.into()];
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(trusting));
    let mut stream = connector.connect(name, near).await.unwrap();
    if protocol == "http/1.1" {
        let request = b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request).await.unwrap();
        stream.read_exact(&mut [0; 1024]).await.unwrap();
        return Box::new(stream);
    }
    let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("https://localhost/large").body(()).unwrap();
    let (response, _) = sender.send_request(request, true).unwrap();
    let mut body = response.await.unwrap().into_body();
    body.data().await.unwrap().unwrap();
    Box::new((body, sender, connection))
}

#[tokio::test]
async fn what_is_cut_off_is_told_in_the_log() {
    const LENGTH: u64 = 1 << 28;
    for protocol in ["h2", "http/1.1"] {
        let directory = tempfile::tempdir().unwrap();
        let (tls, trusting) = Tls::simulated(SystemTime::now()).unwrap();
        let (lines, told) = std::sync::mpsc::sync_channel(8);
        let service = Arc::new(Service {
            tls: Arc::new(tls),
            log: AccessLog::to(lines),
            ..Arc::into_inner(service(directory.path())).unwrap()
        });
        let large = std::fs::File::create(directory.path().join("site/large")).unwrap();
        large.set_len(LENGTH).unwrap();
        let runtimes = Runtimes::start(&service).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap());
        let (near, accepted) = tokio::join!(near, listener.accept());
        runtimes.hand_over(accepted).await;
        let _begun = begin(near.unwrap(), &trusting, protocol).await;
        // As if asked twice to stop.
        runtimes.drain(Duration::MAX, std::future::ready(())).await;
        let told: Vec<_> = told.try_iter().flatten().collect();
        let targets: Vec<_> = told.iter().map(|entry| &*entry.target).collect();
        assert_eq!(targets, ["/large"], "{protocol}");
        assert!((1..LENGTH).contains(&told[0].bytes), "{told:?}");
    }
}
