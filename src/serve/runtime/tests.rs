//! Connections over real sockets: how long a handshake may take, and what a defect takes along.

use std::net::TcpListener;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use http::{Request, StatusCode};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
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
