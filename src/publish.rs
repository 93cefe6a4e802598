//! The root of `forerun publish`: says something on a channel of a server that runs.
//!
//! One request over HTTP/2. What channels are is the server's matter; read on there, in
//! `answer::channels`.

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::{Bytes, BytesMut};
use http::{Method, Request, StatusCode, Version, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::CertificateError;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::tls;

/// How long publishing may take, connecting included.
pub const WAIT_MAX: Duration = Duration::from_secs(30);
/// Bytes of what is said.
pub const DATA_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of an answer that are shown.
const ANSWER_BYTES_MAX: usize = 4 * 1024;
/// What of a channel's name stands in a path as it is.
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b',');

/// What `forerun publish` was told.
#[derive(Debug, Clone)]
pub struct PublishOptions {
    /// The server.
    pub url: Url,
    /// The channel.
    pub channel: String,
    /// What is said; none: what standard input says.
    pub data: Option<String>,
    /// What proves that one may.
    pub token: Option<String>,
    /// The event's type.
    pub kind: Option<String>,
    /// What the publisher calls the event.
    pub id: Option<String>,
    /// By what the same event is known when it comes again.
    pub key: Option<String>,
    /// Only for those whose token says so.
    pub is_private: bool,
    /// Authorities to trust, besides the system's (PEM).
    pub authorities: Vec<PathBuf>,
}

/// Publishes, and prints the event's id.
///
/// # Errors
/// The server cannot be reached, or refuses; the error says why.
pub fn run(options: &PublishOptions) -> anyhow::Result<()> {
    let data = match &options.data {
        Some(data) => data.clone().into_bytes(),
        None => said()?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    let publishing = async { tokio::time::timeout(WAIT_MAX, publish(options, data)).await };
    let id = match runtime.block_on(publishing) {
        Ok(published) => published?,
        Err(_) => bail!("{} did not answer in {} s", options.url, WAIT_MAX.as_secs()),
    };
    writeln!(io::stdout(), "{id}")?;
    Ok(())
}

/// Returns what standard input says. One line break at its end is the shell's, not the event's.
fn said() -> anyhow::Result<Vec<u8>> {
    let mut data = Vec::new();
    let mut input = io::stdin().lock().take(DATA_BYTES_MAX + 1);
    input
        .read_to_end(&mut data)
        .context("cannot read standard input")?;
    if data.len() as u64 > DATA_BYTES_MAX {
        bail!("standard input has more than {DATA_BYTES_MAX} bytes: publish a link to it");
    }
    if data.ends_with(b"\n") {
        data.pop();
    }
    Ok(data)
}

async fn publish(options: &PublishOptions, data: Vec<u8>) -> anyhow::Result<String> {
    let request = request(options)?;
    let stream = connect(options)
        .await
        .with_context(|| format!("cannot reach {}", options.url))?;
    let (sender, connection) = h2::client::handshake(stream)
        .await
        .context("the server does not speak HTTP/2")?;
    let exchange = exchange(sender, request, data.into());
    let (status, answer) = tokio::select! {
        answered = exchange => answered?,
        ended = connection => {
            ended?;
            bail!("the server has closed the connection")
        }
    };
    let text = String::from_utf8_lossy(&answer);
    if status == StatusCode::OK {
        return Ok(text.into_owned());
    }
    let shown: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    if shown.is_empty() {
        bail!("the server answers {}: has it channels?", status.as_u16());
    }
    bail!("the server answers {shown}")
}

fn request(options: &PublishOptions) -> anyhow::Result<Request<()>> {
    let mut url = options.url.clone();
    let name = utf8_percent_encode(&options.channel, NAME);
    url.set_path(&format!("/channels/{name}"));
    url.set_query(None);
    let mut said = url::form_urlencoded::Serializer::new(String::new());
    let pairs = [("type", &options.kind), ("id", &options.id)];
    for (name, value) in pairs {
        if let Some(value) = value {
            said.append_pair(name, value);
        }
    }
    if options.is_private {
        said.append_pair("private", "1");
    }
    let said = said.finish();
    if !said.is_empty() {
        url.set_query(Some(&said));
    }
    let mut request = Request::builder()
        .method(Method::POST)
        .version(Version::HTTP_2)
        .uri(url.as_str())
        .header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
    if let Some(token) = &options.token {
        // Not shown if it is none.
        let field = http::HeaderValue::try_from(format!("Bearer {token}"));
        let field = field.map_err(|_| anyhow!("the token has letters that no token has"))?;
        request = request.header(header::AUTHORIZATION, field);
    }
    if let Some(key) = &options.key {
        request = request.header("idempotency-key", key);
    }
    Ok(request.body(())?)
}

async fn connect(
    options: &PublishOptions,
) -> anyhow::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let url = &options.url;
    let (host, name) = match url.host() {
        Some(Host::Domain(name)) => (name.to_owned(), ServerName::try_from(name.to_owned())?),
        Some(Host::Ipv4(address)) => (address.to_string(), ServerName::from(address)),
        Some(Host::Ipv6(address)) => (address.to_string(), ServerName::from(address)),
        None => bail!("the URL names no host"),
    };
    let port = url.port_or_known_default().unwrap_or(443);
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    let connector = TlsConnector::from(tls::client_config(&options.authorities)?);
    let connected = connector.connect(name, stream).await;
    connected.map_err(|error| {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => anyhow!(
                "{error}; name the authority's certificate with --authority, as in --authority \
                 certs/authority.pem"
            ),
            _ => error.into(),
        }
    })
}

async fn exchange(
    sender: h2::client::SendRequest<Bytes>,
    request: Request<()>,
    mut data: Bytes,
) -> anyhow::Result<(StatusCode, BytesMut)> {
    let mut sender = sender.ready().await?;
    let (response, mut upload) = sender.send_request(request, false)?;
    let sending = async {
        while !data.is_empty() {
            upload.reserve_capacity(data.len());
            let room = std::future::poll_fn(|cx| upload.poll_capacity(cx)).await;
            // Whoever takes no more may have answered all the same.
            let Some(Ok(room)) = room else { return };
            let piece = data.split_to(room.min(data.len()));
            if upload.send_data(piece, false).is_err() {
                return;
            }
        }
        // As above.
        let _ = upload.send_data(Bytes::new(), true);
    };
    let ((), response) = tokio::join!(sending, response);
    let (head, mut body) = response?.into_parts();
    let mut answer = BytesMut::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        if answer.len() + piece.len() > ANSWER_BYTES_MAX {
            break;
        }
        answer.extend_from_slice(&piece);
    }
    Ok((head.status, answer))
}
