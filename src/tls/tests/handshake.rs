//! Real handshakes, client and server, over a stream in memory.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{
    ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::*;

/// A client that lives at the moment of the tests.
struct Client {
    config: ClientConfig,
}

#[derive(Debug)]
struct Now;

impl TimeProvider for Now {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(
            now().duration_since(UNIX_EPOCH).unwrap(),
        ))
    }
}

type Connection = (
    client::TlsStream<DuplexStream>,
    server::TlsStream<DuplexStream>,
);

impl Client {
    fn trusting(root: &str, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let mut roots = RootCertStore::empty();
        for root in rustls_pemfile::certs(&mut root.as_bytes()) {
            roots.add(root.unwrap()).unwrap();
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_details(provider, Arc::new(Now))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.resumption = Resumption::in_memory_sessions(8);
        Self { config }
    }

    fn speaking(mut self, protocols: &[&str]) -> Self {
        self.config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        self
    }

    async fn connect(&self, tls: &Tls, host: &str) -> std::io::Result<Connection> {
        let (near, far) = duplex(64 * 1024);
        let connector = TlsConnector::from(Arc::new(self.config.clone()));
        let acceptor = TlsAcceptor::from(tls.server_config());
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let (client, server) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
        let mut connection = (client?, server?);
        talk(&mut connection).await;
        Ok(connection)
    }
}

/// Sends a byte each way, with which tickets arrive too.
async fn talk((client, server): &mut Connection) {
    client.write_all(b"?").await.unwrap();
    assert_eq!(server.read_u8().await.unwrap(), b'?');
    server.write_all(b"!").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'!');
}

fn leaf((client, _): &Connection) -> CertificateDer<'static> {
    client.get_ref().1.peer_certificates().unwrap()[0]
        .clone()
        .into_owned()
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];

#[tokio::test]
async fn the_minted_chain_is_taken_by_whoever_trusts_the_authority() {
    let place = Place::empty();
    let tls = place.open_local(&["devbox", "192.168.1.7"], now());
    let root = fs::read_to_string(tls.authority().unwrap()).unwrap();
    for version in VERSIONS {
        let client = Client::trusting(&root, &[version]);
        for host in ["localhost", "127.0.0.1", "::1", "devbox", "192.168.1.7"] {
            let (_, server) = client.connect(&tls, host).await.unwrap();
            assert_eq!(server.get_ref().1.protocol_version(), Some(version.version));
            assert_eq!(server.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        }
        client.connect(&tls, "elsewhere").await.unwrap_err();
    }
    let stranger = Client::trusting(&issued().root, &VERSIONS);
    stranger.connect(&tls, "localhost").await.unwrap_err();
}

#[tokio::test]
async fn a_given_chain_is_taken_by_whoever_trusts_its_root() {
    let issued = issued();
    let place = Place::with(
        format!("{}{}", issued.intermediate, issued.leaf),
        issued.key(),
    );
    let tls = place.open().unwrap();
    let client = Client::trusting(&issued.root, &VERSIONS);
    let (_, server) = client.connect(&tls, "x.b.example").await.unwrap();
    assert_eq!(
        server.get_ref().1.protocol_version(),
        Some(ProtocolVersion::TLSv1_3)
    );
}

#[tokio::test]
async fn http_is_agreed_on_or_nothing() {
    let place = Place::empty();
    let tls = place.open_local(&[], now());
    let root = fs::read_to_string(tls.authority().unwrap()).unwrap();
    let client = |protocols| Client::trusting(&root, &VERSIONS).speaking(protocols);
    let agreed = async |protocols| {
        let connection = client(protocols).connect(&tls, "localhost").await;
        let protocol =
            connection.map(|(_, server)| server.get_ref().1.alpn_protocol().map(<[u8]>::to_vec));
        protocol.map(|name| name.map(|name| String::from_utf8(name).unwrap()))
    };
    assert_eq!(
        agreed(&["http/1.1", "h2"]).await.unwrap().as_deref(),
        Some("h2")
    );
    assert_eq!(
        agreed(&["http/1.1"]).await.unwrap().as_deref(),
        Some("http/1.1")
    );
    assert_eq!(agreed(&[]).await.unwrap(), None);
    agreed(&["spdy/1"]).await.unwrap_err();
}

#[tokio::test]
async fn a_client_that_comes_back_resumes_with_its_ticket() {
    let place = Place::empty();
    let tls = place.open_local(&[], now());
    let root = fs::read_to_string(tls.authority().unwrap()).unwrap();
    for version in VERSIONS {
        let client = Client::trusting(&root, &[version]);
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let (client, _) = client.connect(&tls, "localhost").await.unwrap();
            assert_eq!(
                client.get_ref().1.handshake_kind(),
                Some(expected),
                "{version:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_reload_drops_no_connection() {
    let (old, new) = (issued(), issued());
    let place = Place::with(old.chain(), old.key());
    let tls = place.open().unwrap();
    let config = tls.server_config();
    let client = Client::trusting(&(old.root.clone() + &new.root), &VERSIONS);
    let mut before = client.connect(&tls, "a.example").await.unwrap();

    place.put("cert.pem", new.chain());
    place.put("key.pem", new.key());
    assert_eq!(outcome(&place, tls.refresh(now())), "reloaded");

    talk(&mut before).await;
    assert!(Arc::ptr_eq(&config, &tls.server_config()));
    // Tickets outlive the reload too.
    let resumed = client.connect(&tls, "a.example").await.unwrap();
    assert_eq!(
        resumed.0.get_ref().1.handshake_kind(),
        Some(HandshakeKind::Resumed)
    );
    let fresh = Client::trusting(&new.root, &VERSIONS)
        .connect(&tls, "a.example")
        .await
        .unwrap();
    assert_ne!(leaf(&fresh), leaf(&before));
}
