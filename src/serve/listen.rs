//! Addresses and ports: one exclusively bound listener for each address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context as _, anyhow, bail};
use futures_util::future::select_all;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

/// Ports tried after the one asked for, before giving up.
const PORTS_TRIED: u16 = 100;
/// Connections that may wait to be accepted: as many as Linux allows by default. What comes when
/// there are more is tried again by its sender, hundreds of milliseconds later.
const BACKLOG: i32 = 4096;

/// Who may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exposure {
    /// This machine.
    Loopback,
    /// Whoever reaches any of its addresses.
    Everywhere,
    /// Whoever reaches this address.
    Address(IpAddr),
}

impl Exposure {
    /// Returns the addresses that are listened on; IPv6 ones only if the machine has it.
    fn listened(&self) -> Vec<IpAddr> {
        match *self {
            Self::Loopback => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            Self::Everywhere => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
            Self::Address(address) => vec![address],
        }
    }

    /// Returns the addresses by which other machines reach this one.
    pub fn reachable(&self) -> Vec<IpAddr> {
        match *self {
            Self::Loopback => Vec::new(),
            Self::Address(address) if !address.is_unspecified() => vec![address],
            Self::Everywhere | Self::Address(_) => if_addrs::get_if_addrs()
                .unwrap_or_default()
                .into_iter()
                .map(|interface| interface.ip())
                .filter(|address| !address.is_loopback() && !is_link_local(*address))
                .collect(),
        }
    }

    /// Returns whether no other machine can connect.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Loopback => true,
            Self::Everywhere => false,
            Self::Address(address) => address.is_loopback(),
        }
    }

    /// Returns those addresses as a certificate names them.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.reachable()
            .into_iter()
            .map(|address| address.to_string())
    }
}

/// An address that means nothing without the name of an interface.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The port that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// This one, or the next that is free.
    From(u16),
    /// This one.
    Only(u16),
}

/// Listeners on one port.
#[derive(Debug)]
pub(super) struct Bound {
    listeners: Vec<TcpListener>,
    /// The port they share.
    pub(super) port: u16,
    /// The port that was asked for, if it was taken.
    pub(super) taken: Option<u16>,
}

impl Bound {
    /// Returns the first address, with its port.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listeners[0].local_addr()
    }

    /// Accepts the next connection on any address.
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let accepts = self
            .listeners
            .iter()
            .map(|listener| Box::pin(listener.accept()));
        select_all(accepts).await.0
    }
}

/// Takes the sockets that were handed over, or else binds every address on one port.
///
/// # Errors
/// No port could be had; the message names it and what to do.
pub(super) fn bind(
    sockets: Vec<std::net::TcpListener>,
    exposure: &Exposure,
    port: Port,
) -> anyhow::Result<Bound> {
    if let Some(first) = sockets.first() {
        let port = first.local_addr()?.port();
        let listeners = sockets.into_iter().map(TcpListener::from_std);
        return Ok(Bound {
            listeners: listeners.collect::<io::Result<_>>()?,
            port,
            taken: None,
        });
    }
    let addresses = exposure.listened();
    let (first, tried) = match port {
        Port::From(port) => (port, PORTS_TRIED),
        Port::Only(port) => (port, 0),
    };
    // Any port is any port, however often it is asked for.
    let next = |offset| {
        if first == 0 {
            Some(0)
        } else {
            first.checked_add(offset)
        }
    };
    for port in (0..=tried).map_while(next) {
        match bind_all(&addresses, port) {
            Ok(listeners) => {
                let port = listeners[0].local_addr()?.port();
                let taken = (first != 0 && port != first).then_some(first);
                return Ok(Bound {
                    listeners,
                    port,
                    taken,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let privileged = privileged(port, "--port");
                bail!("{privileged} or a socket of systemd's");
            }
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                bail!(
                    "{} is no address of this machine; change --host",
                    addresses[0]
                );
            }
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot listen on port {port} of {addresses:?}"));
            }
        }
    }
    match port {
        Port::Only(port) => bail!(
            "port {port} is taken; stop what listens there, name another with --port, or leave out \
             --strict-port"
        ),
        Port::From(port) => bail!(
            "ports {port} to {} are taken; name another with --port",
            port.saturating_add(tried)
        ),
    }
}

/// Binds every address on the port for who comes without TLS.
///
/// # Errors
/// It could not be had; the message names it and what to do.
pub(super) fn bind_plaintext(exposure: &Exposure, port: u16) -> anyhow::Result<Bound> {
    bind_only(&exposure.listened(), port, "--http-port")
}

/// Binds one address that `flag` names; IPv6's for all is IPv4's as well.
///
/// # Errors
/// It could not be had; the message names it and what to do.
pub(super) fn bind_at(address: SocketAddr, flag: &str) -> anyhow::Result<Bound> {
    let addresses = match address.ip() {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Exposure::Everywhere.listened(),
        one => vec![one],
    };
    bind_only(&addresses, address.port(), flag)
}

fn privileged(port: u16, flag: &str) -> String {
    format!(
        "port {port} is privileged: choose one from 1024 on with {flag}, or let the program have \
         CAP_NET_BIND_SERVICE"
    )
}

fn bind_only(addresses: &[IpAddr], port: u16, flag: &str) -> anyhow::Result<Bound> {
    let listeners = bind_all(addresses, port).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow!("port {port} is taken: stop what listens there, or change {flag}")
        }
        io::ErrorKind::PermissionDenied => anyhow!(privileged(port, flag)),
        io::ErrorKind::AddrNotAvailable => anyhow!(
            "{} is no address of this machine; change {flag}",
            addresses[0]
        ),
        _ => anyhow!("cannot listen on port {port} of {addresses:?}: {error}"),
    })?;
    Ok(Bound {
        port: listeners[0].local_addr()?.port(),
        listeners,
        taken: None,
    })
}

/// Binds every address, or none. Port 0 becomes the port that the first address was given.
fn bind_all(addresses: &[IpAddr], port: u16) -> io::Result<Vec<TcpListener>> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    for &address in addresses {
        let port = match listeners.first() {
            Some(first) => first.local_addr()?.port(),
            None => port,
        };
        match listen(SocketAddr::new(address, port)) {
            Ok(listener) => listeners.push(listener),
            // A machine without IPv6 is served over IPv4 alone.
            Err(error) if !listeners.is_empty() && is_absent(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(listeners)
}

fn is_absent(error: &io::Error) -> bool {
    use rustix::io::Errno;
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error())
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // On Linux this passes over connections that are closing, never over a listener; elsewhere it
    // may let two servers share a port unnoticed.
    #[cfg(target_os = "linux")]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_another_machine_is_named_with_its_flag() {
        // Nobody has an address of documentation (RFC 5737).
        let exposure = Exposure::Address(Ipv4Addr::new(192, 0, 2, 1).into());
        let error = bind(Vec::new(), &exposure, Port::Only(0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "192.0.2.1 is no address of this machine; change --host"
        );
    }
}
