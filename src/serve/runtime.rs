//! One thread a core, each with a runtime of its own: a connection lives and dies on one of them.

mod handshakes;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::handshakes::Handshakes;
use super::seats::{Seat, Seats};
use super::small_http::ACCEPT_PAUSE;
use crate::door::Service;
use crate::metrics::{Count, Metrics};
use crate::{http1, http2};

/// Connections on their way to a runtime.
const HAND_OVER_MAX: usize = 256;
/// The TLS handshake.
pub(super) const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// The TLS handshake, once the server is told to stop: nothing was asked on it yet.
pub(super) const HANDSHAKE_DRAIN_MAX: Duration = Duration::from_secs(1);
/// How long connections may take to end that are cut off.
const CUT_OFF_WITHIN: Duration = Duration::from_secs(2);
/// Bytes the kernel may hold unsent, so that what is urgent never waits behind what is not.
const UNSENT_MAX: u32 = 16 * 1024;

/// The runtimes.
#[derive(Debug)]
pub(super) struct Runtimes {
    all: Vec<Runtime>,
    drain: watch::Sender<bool>,
    connections_max: usize,
    seats: Arc<Seats>,
    metrics: Arc<Metrics>,
}

/// A connection on its way to a runtime.
#[derive(Debug)]
struct Accepted {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    seat: Counted,
}

/// A seat, counted among the connections that are open.
#[derive(Debug)]
struct Counted {
    _seat: Seat,
    metrics: Arc<Metrics>,
}

impl Counted {
    fn new(seat: Seat, metrics: &Arc<Metrics>) -> Self {
        metrics.count(Count::Opened);
        Self {
            _seat: seat,
            metrics: Arc::clone(metrics),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.metrics.count(Count::Closed);
    }
}

#[derive(Debug)]
struct Runtime {
    connections: mpsc::Sender<Accepted>,
    load: Arc<AtomicUsize>,
    done: oneshot::Receiver<()>,
    thread: JoinHandle<()>,
}

impl Runtimes {
    /// Starts one runtime for each core.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(service: &Arc<Service>) -> anyhow::Result<Self> {
        let (drain, drained) = watch::channel(false);
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let all = (0..count)
            .map(|index| Runtime::start(index, Arc::clone(service), drained.clone()))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            all,
            drain,
            connections_max: service.limits.connections,
            seats: Seats::new(service.limits.connections_per_address),
            metrics: Arc::clone(&service.metrics),
        })
    }

    /// Hands a connection to the least loaded runtime.
    pub(super) async fn hand_over(&self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                return tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        };
        let Some(seat) = self.seats.take(peer.ip()) else {
            self.metrics.count(Count::RefusedAddress);
            return tracing::debug!(%peer, "too many connections from there: closed");
        };
        let seat = Counted::new(seat, &self.metrics);
        let loads = || {
            self.all
                .iter()
                .map(|runtime| runtime.load.load(Ordering::Relaxed))
        };
        while loads().sum::<usize>() >= self.connections_max {
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
        let Some(least) = self
            .all
            .iter()
            .min_by_key(|runtime| runtime.load.load(Ordering::Relaxed))
        else {
            return;
        };
        match stream.into_std() {
            Ok(stream) => {
                let accepted = Accepted { stream, peer, seat };
                least.load.fetch_add(1, Ordering::Relaxed);
                if least.connections.send(accepted).await.is_err() {
                    tracing::error!("a runtime has ended: its connection is dropped");
                }
            }
            Err(error) => tracing::warn!(%error, "a connection was lost before it began"),
        }
    }

    /// Lets every connection finish what it has begun, until `hurry` is done or `patience` is over.
    /// The rest is cut off, as the log says.
    pub(super) async fn drain(self, patience: Duration, hurry: impl Future<Output = ()>) {
        let Self { all, drain, .. } = self;
        let _ = drain.send(true);
        let all: Vec<_> = all
            .into_iter()
            .map(|Runtime { done, thread, .. }| (done, thread))
            .collect();
        let mut ended = pin!(async {
            for (done, thread) in all {
                // Ended either way: the sender is dropped with the runtime.
                let _ = done.await;
                let _ = thread.join();
            }
        });
        tokio::select! {
            () = &mut ended => return,
            () = hurry => {}
            () = tokio::time::sleep(patience) => {
                tracing::warn!("connections were still open after {} s", patience.as_secs());
            }
        }
        drop(drain);
        if tokio::time::timeout(CUT_OFF_WITHIN, ended).await.is_err() {
            tracing::warn!("some could not be cut off: the log lacks them");
        }
    }
}

impl Runtime {
    fn start(
        index: usize,
        service: Arc<Service>,
        drained: watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let (connections, accepted) = mpsc::channel(HAND_OVER_MAX);
        let (end, done) = oneshot::channel();
        let load = Arc::new(AtomicUsize::new(0));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start a runtime")?;
        let counted = Arc::clone(&load);
        let thread = std::thread::Builder::new()
            .name(format!("forerun-{index}"))
            .spawn(move || {
                let all = connect(accepted, service, drained, counted);
                LocalSet::new().block_on(&runtime, all);
                // A disk that does not answer must not keep the process.
                runtime.shutdown_background();
                let _ = end.send(());
            })
            .context("cannot start a thread")?;
        Ok(Self {
            connections,
            load,
            done,
            thread,
        })
    }
}

/// Serves connections until there are no more to come and all have ended, or nobody is left to
/// drain them.
async fn connect(
    mut accepted: mpsc::Receiver<Accepted>,
    service: Arc<Service>,
    drained: watch::Receiver<bool>,
    load: Arc<AtomicUsize>,
) {
    let (mut handshakes, mut open) = (Handshakes::new(), JoinSet::new());
    let mut draining = drained.clone();
    let mut cut_off = pin!(draining.wait_for(|_| false));
    poll_fn(|cx| {
        if cut_off.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let is_closed = loop {
            match accepted.poll_recv(cx) {
                Poll::Ready(Some(accepted)) => {
                    handshakes.add(shake(accepted, Arc::clone(&service), drained.clone()));
                }
                Poll::Ready(None) => break true,
                Poll::Pending => break false,
            }
        };
        handshakes.poll(cx, |shaken| match shaken {
            Some(shaken) => {
                open.spawn_local(serve(shaken, Arc::clone(&service), drained.clone()));
            }
            None => {
                load.fetch_sub(1, Ordering::Relaxed);
            }
        });
        // After all that is new: only then does the end of any wake.
        while let Poll::Ready(Some(ended)) = open.poll_join_next(cx) {
            load.fetch_sub(1, Ordering::Relaxed);
            if let Err(error) = ended {
                // A defect of ours, met by one peer: it must not take the others along.
                tracing::error!(%error, "a connection failed unexpectedly");
            }
        }
        if is_closed && handshakes.is_empty() && open.is_empty() {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

/// A connection that has shaken hands.
struct Shaken {
    stream: TlsStream<TcpStream>,
    peer: SocketAddr,
    seat: Counted,
}

async fn shake(
    accepted: Accepted,
    service: Arc<Service>,
    drain: watch::Receiver<bool>,
) -> Option<Shaken> {
    let Accepted { stream, peer, seat } = accepted;
    let stream = shake_hands(stream, peer, &service, drain).await?;
    Some(Shaken { stream, peer, seat })
}

/// Serves one connection, which is moved into no future but its door's: that keeps room for it.
fn serve(
    shaken: Shaken,
    service: Arc<Service>,
    drain: watch::Receiver<bool>,
) -> impl Future<Output = ()> {
    let Shaken { stream, peer, seat } = shaken;
    let served = open_door(stream, peer, service, drain);
    async move {
        let _seat = seat;
        served.await;
    }
}

/// Returns what serves a connection by the protocol that ALPN chose.
fn open_door(
    stream: TlsStream<TcpStream>,
    peer: SocketAddr,
    service: Arc<Service>,
    drain: watch::Receiver<bool>,
) -> Pin<Box<dyn Future<Output = ()>>> {
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Box::pin(http2::connection::run(stream, peer.ip(), service, drain)),
        _ => Box::pin(http1::run(stream, peer.ip(), service, drain)),
    }
}

async fn shake_hands(
    stream: std::net::TcpStream,
    peer: SocketAddr,
    service: &Service,
    mut drain: watch::Receiver<bool>,
) -> Option<TlsStream<TcpStream>> {
    let accepting = async {
        let stream = TcpStream::from_std(stream)?;
        stream.set_nodelay(true)?;
        if let Err(error) = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_MAX) {
            tracing::debug!(%error, "the kernel does not bound unsent bytes");
        }
        TlsAcceptor::from(service.tls.server_config())
            .accept(stream)
            .await
    };
    let too_late = async {
        // An error says that nobody is left to ask for more haste.
        let _ = drain.wait_for(|drain| *drain).await;
        tokio::time::sleep(HANDSHAKE_DRAIN_MAX).await;
    };
    tokio::select! {
        accepted = tokio::time::timeout(HANDSHAKE_MAX, accepting) => match accepted {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS connection"),
            Err(_) => tracing::debug!(%peer, "no TLS connection in time"),
        },
        () = too_late => tracing::debug!(%peer, "no TLS connection before the drain"),
    }
    None
}

#[cfg(test)]
mod tests;
