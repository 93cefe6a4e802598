//! How long a handshake may take, over a real socket and on simulated time.

use std::net::TcpListener;

use tokio::time::Instant;

use super::*;
use crate::access_log::AccessLog;
use crate::answer::Options;
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
        tls: Arc::new(Tls::open(source, std::time::SystemTime::now()).unwrap()),
        options: Options::default(),
        live: None,
        channels: None,
        log: AccessLog::Off,
        buffers: Buffers::new(limits.buffered_bytes),
        limits,
        sign_ins: Arc::default(),
        metrics: Arc::default(),
        now: std::time::SystemTime::now,
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
