//! What systemd hands over and is told: listening sockets, readiness, the end.
//!
//! Without it, all of this is nothing: the two variables that it sets are not there.

use std::io;
use std::net::{IpAddr, TcpListener};

use anyhow::{Context as _, bail};
use listenfd::ListenFd;
use sd_notify::NotifyState;

use super::Exposure;

/// Takes the sockets that were handed over, which must be called while the program has one thread.
///
/// # Errors
/// One is no TCP socket.
pub(super) fn sockets() -> anyhow::Result<Vec<TcpListener>> {
    let mut handed = ListenFd::from_env();
    let mut sockets = Vec::new();
    for index in 0..handed.len() {
        let socket = handed
            .take_tcp_listener(index)
            .context("a socket that was handed over is not a listening TCP socket")?;
        let Some(socket) = socket else { continue };
        socket.set_nonblocking(true)?;
        sockets.push(socket);
    }
    if let [first, others @ ..] = &sockets[..] {
        let port = first.local_addr()?.port();
        for other in others {
            if other.local_addr()?.port() != port {
                bail!("the sockets that were handed over are not on one port");
            }
        }
    }
    Ok(sockets)
}

/// Returns who may connect to sockets.
///
/// # Errors
/// The system does not say where one listens.
pub(super) fn exposure(sockets: &[TcpListener]) -> io::Result<Exposure> {
    let addresses = sockets
        .iter()
        .map(|socket| Ok(socket.local_addr()?.ip()))
        .collect::<io::Result<Vec<IpAddr>>>()?;
    Ok(match &addresses[..] {
        all if all.iter().all(IpAddr::is_loopback) => Exposure::Loopback,
        [one] if !one.is_unspecified() => Exposure::Address(*one),
        _ => Exposure::Everywhere,
    })
}

/// Says that whoever connects is served.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Says that what has begun is being finished.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
