//! A world for a test: a site on disk, the server at one end of a link, a client at the other.
//!
//! The server is put together as the program does it, TLS included, and runs on tokio's paused
//! clock: virtual time passes only while nobody has anything to do. Nothing runs between two calls
//! of a `World`. What cannot end fails after a virtual hour, which takes no time at all.
//!
//! Read on in `client` (what a client can do), `laws` (what is checked at every step).

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use forerun::access_log::{AccessLog, Entry, LINES_WAITING_MAX};
use forerun::answer::{self, Handler, Options};
use forerun::door::Service;
use forerun::door::channels::Channels;
use forerun::door::limits::{Buffers, Limits};
use forerun::door::live::Live;
use forerun::measure::link::{End, LinkOptions, Meter, link};
use forerun::metrics::{Count, Metrics};
use forerun::site::{SiteOptions, SiteRoot};
use forerun::tls::{Source, Tls};
use forerun::{http1, http2};
use h2::Reason;
use h2::client::SendRequest;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::client::{Ask, ClientOptions, Response, exchange};
use crate::fixture::lay_out;
use crate::laws;
use crate::tap::{Frame, Log, Record, Tap};
use crate::transcript::{Streams, transcript};

/// No step of a test takes longer, in virtual time.
const STEP_MAX: Duration = Duration::from_hours(1);

/// The wall clock stands still, so long after 1970, as `Date` is Huffman coded: frames repeat to
/// the byte.
const NOW: Duration = Duration::from_hours(500_000);

/// Bytes on their way through a pipe.
const PIPE_BYTES: usize = 4 * 1024;

/// One identity for all tests: minting is the slowest part of a world.
static TLS: LazyLock<(Arc<Tls>, Arc<rustls::ClientConfig>)> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let source = Source::Local {
        directory: directory.path().to_owned(),
        names: Vec::new(),
    };
    let tls = Tls::open(source, SystemTime::now()).unwrap();
    let authority = fs::read(tls.authority().unwrap()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(rustls::pki_types::CertificateDer::from_pem_slice(&authority).unwrap())
        .unwrap();
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(tls), Arc::new(config))
});

/// A site, its server, and the connections of one client to it.
pub(crate) struct World {
    local: LocalSet,
    directory: TempDir,
    link: LinkOptions,
    pipe_bytes: usize,
    client: ClientOptions,
    site: SiteOptions,
    options: Options,
    handler: Handler,
    limits: Limits,
    metrics: Arc<Metrics>,
    live: Option<Live>,
    channels: Option<Arc<Channels>>,
    service: Option<Arc<Service>>,
    draining: watch::Sender<bool>,
    lines: SyncSender<Option<Entry>>,
    log: Receiver<Option<Entry>>,
    connections: Vec<Connection>,
}

/// Returns a link of a rate in megabits per second and a delay in milliseconds, the same each way;
/// both ends sit at the bottleneck and feel it.
pub(crate) fn slow(megabits: u64, delay_ms: u64) -> LinkOptions {
    LinkOptions {
        name: "slow".to_owned(),
        round_trip: Duration::from_millis(2 * delay_ms),
        down: Some(megabits * 1_000_000),
        up: Some(megabits * 1_000_000),
        queue_bytes: Some(0),
        ..LinkOptions::default()
    }
}

/// A connection of the client's.
pub(crate) struct Connection {
    /// The frames that passed.
    pub(crate) frames: Log<Frame>,
    /// The TLS records that passed.
    pub(crate) records: Log<Record>,
    /// What the server sent on the link.
    pub(crate) from_server: Meter,
    /// What each stream was for.
    pub(crate) streams: Streams,
    sender: SendRequest<Bytes>,
    client: JoinHandle<()>,
    server: JoinHandle<()>,
}

/// A connection that has shaken hands, and nobody yet speaks on.
pub(crate) struct Greeted {
    /// The plaintext side.
    pub(crate) stream: TlsStream<Tap<End, Record>>,
    /// Done when the server is.
    pub(crate) server: JoinHandle<()>,
    records: Log<Record>,
    from_server: Meter,
}

impl World {
    /// Lays out a site as a fixture tells (see `fixture`).
    pub(crate) fn new(fixture: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("site");
        lay_out(&root, fixture);
        let (lines, log) = sync_channel(LINES_WAITING_MAX);
        Self {
            local: LocalSet::new(),
            directory,
            link: LinkOptions::instant(),
            pipe_bytes: PIPE_BYTES,
            client: ClientOptions::default(),
            site: SiteOptions::new(root),
            options: Options::default(),
            handler: answer::answer,
            limits: Limits::default(),
            metrics: Arc::default(),
            live: None,
            channels: None,
            service: None,
            draining: watch::Sender::new(false),
            lines,
            log,
            connections: Vec::new(),
        }
    }

    /// Says what the link is like.
    pub(crate) fn link(mut self, link: LinkOptions) -> Self {
        self.link = link;
        self
    }

    /// Says what the client's settings are.
    pub(crate) fn client(mut self, change: impl FnOnce(&mut ClientOptions)) -> Self {
        change(&mut self.client);
        self
    }

    /// Says how the site is read.
    pub(crate) fn site(mut self, change: impl FnOnce(&mut SiteOptions)) -> Self {
        change(&mut self.site);
        self
    }

    /// Says how the server answers.
    pub(crate) fn server(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// Says what answers.
    pub(crate) fn handler(mut self, handler: Handler) -> Self {
        self.handler = handler;
        self
    }

    /// Lets so many bytes be on their way through a pipe.
    pub(crate) fn pipe_bytes(mut self, bytes: usize) -> Self {
        self.pipe_bytes = bytes;
        self
    }

    /// Says what peers may take.
    pub(crate) fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Returns what the server has counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Returns where the server counts.
    pub(crate) fn shared_metrics(&self) -> Arc<Metrics> {
        self.metrics.clone()
    }

    /// Returns how many bytes the server holds for peers that have not taken them.
    pub(crate) fn buffered_bytes(&self) -> u64 {
        self.service
            .as_ref()
            .map_or(0, |service| service.buffers.held())
    }

    /// Turns live reload on.
    pub(crate) fn live(mut self, live: Live) -> Self {
        self.live = Some(live);
        self
    }

    /// Turns channels on.
    pub(crate) fn channels(mut self, channels: Arc<Channels>) -> Self {
        self.channels = Some(channels);
        self
    }

    /// Has something go on whenever the world does.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.local.spawn_local(task);
    }

    /// Returns where a path of the site is on disk.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory
            .path()
            .join("site")
            .join(path.trim_start_matches('/'))
    }

    /// Writes a file of the site anew.
    pub(crate) fn write(&self, path: &str, content: &str) {
        fs::write(self.path(path), content).unwrap();
    }

    /// Asks for a path and takes all that comes of it.
    pub(crate) async fn get(&mut self, target: &str) -> Response {
        self.ask(target).await
    }

    /// Asks for a path with further headers.
    pub(crate) async fn get_with(
        &mut self,
        target: &str,
        headers: &[(&'static str, &str)],
    ) -> Response {
        self.ask(Ask::get(target).headers(headers)).await
    }

    /// Makes a request and takes all that comes of it.
    pub(crate) async fn ask(&mut self, ask: impl Into<Ask>) -> Response {
        let pending = self.start(ask).await;
        self.wait(pending).await
    }

    /// Has the server read what it is asked for later, on a connection of its own.
    pub(crate) async fn warm(&mut self, targets: &[&str]) {
        self.reconnect().await;
        self.together(targets.iter().map(|target| Ask::method("HEAD", target)))
            .await;
        self.connections.pop();
    }

    /// Makes requests in one breath and takes all that comes of them.
    pub(crate) async fn together<A: Into<Ask>>(
        &mut self,
        asks: impl IntoIterator<Item = A>,
    ) -> Vec<Response> {
        let mut pending = Vec::new();
        for ask in asks {
            pending.push(self.start(ask).await);
        }
        let mut responses = Vec::new();
        for pending in pending {
            responses.push(self.wait(pending).await);
        }
        responses
    }

    /// Begins a request, which goes on whenever the world does.
    pub(crate) async fn start(&mut self, ask: impl Into<Ask>) -> JoinHandle<Response> {
        let ask = ask.into();
        let connection = self.connection().await;
        let (sender, streams) = (connection.sender.clone(), connection.streams.clone());
        self.local.spawn_local(exchange(sender, ask, streams))
    }

    /// Waits for something that goes on in the world.
    pub(crate) async fn wait<T>(&self, pending: impl Future<Output = T>) -> T::Done
    where
        T: Step,
    {
        let step = self.local.run_until(timeout(STEP_MAX, pending)).await;
        self.check_laws();
        match step {
            Ok(done) => done.done(),
            Err(late) => panic!("this never ends: {late}"),
        }
    }

    /// Lets time pass.
    pub(crate) async fn rest(&self, duration: Duration) {
        self.wait(tokio::time::sleep(duration)).await;
    }

    /// Lets milliseconds pass.
    pub(crate) async fn rest_ms(&self, milliseconds: u64) {
        self.rest(Duration::from_millis(milliseconds)).await;
    }

    /// Resets a stream behind the client's back: unlike `h2`, it goes on listening, so that what
    /// was under way is seen, as a browser would see it.
    pub(crate) fn reset(&self, target: &str, reason: Reason) {
        let connection = self.newest();
        let stream = connection.streams.of(target);
        let code = u32::from(reason).to_be_bytes();
        connection
            .frames
            .inject(&Frame::bytes(Frame::RST_STREAM, 0, stream, &code));
    }

    /// Tells the server to finish what it does and go.
    pub(crate) fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Goes without a word.
    pub(crate) fn leave(&self) {
        self.newest().client.abort();
    }

    /// Waits until the server is done with the newest connection.
    pub(crate) async fn closed(&mut self, within: Duration) {
        let server = &mut self.connections.last_mut().unwrap().server;
        let closed = self.local.run_until(timeout(within, server)).await;
        self.check_laws();
        match closed {
            Ok(done) => done.unwrap(),
            Err(late) => panic!("the server holds on: {late}"),
        }
    }

    /// Opens another connection, which later requests use.
    pub(crate) async fn reconnect(&mut self) -> &Connection {
        let Greeted {
            stream,
            server,
            records,
            from_server,
        } = self.greet("h2").await;
        let (stream, frames) = Tap::new(stream);
        let settings = self.client.builder();
        let (sender, connection) = self.wait(settings.handshake(stream)).await;
        let client = self.local.spawn_local(async move {
            // Its end is seen by those who wait for answers.
            let _ = connection.await;
        });
        let streams = Streams::default();
        let connection = Connection {
            frames,
            records,
            from_server,
            streams,
            sender,
            client,
            server,
        };
        self.connections.push(connection);
        self.newest()
    }

    /// Returns the newest connection, opened if there is none.
    pub(crate) async fn connection(&mut self) -> &Connection {
        if self.connections.is_empty() {
            self.reconnect().await;
        }
        self.newest()
    }

    /// Returns the newest connection, which must have been opened.
    pub(crate) fn newest(&self) -> &Connection {
        self.connections.last().expect("something was asked for")
    }

    /// Returns all connections, in the order in which they were opened.
    pub(crate) fn connections(&self) -> &[Connection] {
        &self.connections
    }

    /// Returns the frames of the newest connection so far.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        self.newest().frames.all()
    }

    /// Shakes hands for a protocol, and leaves the rest to the test.
    pub(crate) async fn greet(&mut self, protocol: &str) -> Greeted {
        let service = self.service();
        let (far, near) = link(&self.link);
        let from_server = far.outgoing();
        let serving = serve(far, service, self.draining.subscribe());
        let server = self.local.spawn_local(serving);
        let (near, records) = Tap::new(near);
        let stream = self.shake_hands(protocol, near).await;
        Greeted {
            stream,
            server,
            records,
            from_server,
        }
    }

    /// Shakes hands over a pipe that holds little, so that the server feels who does not read.
    /// Returns its near end, and what is done when the server is.
    pub(crate) async fn pipe(
        &mut self,
        protocol: &str,
    ) -> (TlsStream<DuplexStream>, JoinHandle<()>) {
        let service = self.service();
        let (far, near) = tokio::io::duplex(self.pipe_bytes);
        let serving = serve(far, service, self.draining.subscribe());
        let server = self.local.spawn_local(serving);
        (self.shake_hands(protocol, near).await, server)
    }

    async fn shake_hands<T>(&self, protocol: &str, near: T) -> TlsStream<T>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let mut config = rustls::ClientConfig::clone(&TLS.1);
        config.alpn_protocols = vec![protocol.into()];
        let name = ServerName::try_from("localhost").unwrap();
        self.wait(TlsConnector::from(Arc::new(config)).connect(name, near))
            .await
    }

    /// Returns the server's service, which is opened if nobody has connected yet.
    pub(crate) fn service(&mut self) -> Arc<Service> {
        let service = self.service.get_or_insert_with(|| {
            Arc::new(Service {
                site: Arc::new(SiteRoot::open(self.site.clone()).unwrap()),
                handler: self.handler,
                tls: TLS.0.clone(),
                options: self.options,
                live: self.live.take(),
                channels: self.channels.take(),
                log: AccessLog::to(self.lines.clone()),
                limits: self.limits.clone(),
                buffers: Buffers::new(self.limits.buffered_bytes),
                sign_ins: Arc::default(),
                metrics: self.metrics.clone(),
                now: || SystemTime::UNIX_EPOCH + NOW,
                think: Duration::ZERO,
            })
        });
        service.clone()
    }

    /// Speaks HTTP/1.1: sends text as it stands, and returns everything until the server closes.
    pub(crate) async fn say(&mut self, text: &str) -> String {
        String::from_utf8(self.say_bytes(text).await).unwrap()
    }

    /// Speaks HTTP/1.1 like [`Self::say`], where what comes back may be anything.
    pub(crate) async fn say_bytes(&mut self, text: &str) -> Vec<u8> {
        let mut greeted = self.greet("http/1.1").await;
        let mut said = Vec::new();
        let conversation = async {
            greeted.stream.write_all(text.as_bytes()).await?;
            greeted.stream.flush().await?;
            greeted.stream.read_to_end(&mut said).await
        };
        self.wait(conversation).await;
        said
    }

    /// Tells what the log says of each answer, without who asked and when.
    pub(crate) fn log(&mut self) -> Vec<String> {
        let entries = self.log.try_iter().flatten();
        entries
            .map(|entry| entry.to_string().split_once("] ").unwrap().1.to_owned())
            .collect()
    }

    /// Tells of each answer what was asked for and, as the log does, by whom.
    pub(crate) fn log_of_users(&mut self) -> Vec<String> {
        let entries = self.log.try_iter().flatten();
        entries
            .map(|entry| format!("{:?} {}", entry.user, entry.target))
            .collect()
    }

    /// Tells what has passed on the newest connection.
    pub(crate) fn transcript_of_newest(&self) -> String {
        transcript(&self.newest().frames, &self.newest().streams)
    }

    /// Tells what has passed, a line each, in the order of the wire.
    pub(crate) fn transcript(&self) -> String {
        let told = self
            .connections
            .iter()
            .map(|one| transcript(&one.frames, &one.streams));
        told.collect::<Vec<_>>().join("-- another connection\n")
    }

    fn check_laws(&self) {
        for connection in &self.connections {
            if let Err(wrong) = laws::check(&connection.frames.all()) {
                panic!("{wrong}");
            }
        }
    }
}

impl Drop for World {
    /// Tells what passed when a test fails.
    #[expect(
        clippy::print_stderr,
        reason = "the test runner shows it beside the failure"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what passed:\n{}", self.transcript());
        }
    }
}

/// What a step of a world ends with: a result is expected to be good.
pub(crate) trait Step {
    type Done;
    fn done(self) -> Self::Done;
}

impl Step for () {
    type Done = ();
    fn done(self) {}
}

impl<T, E: std::fmt::Debug> Step for Result<T, E> {
    type Done = T;
    fn done(self) -> T {
        self.unwrap()
    }
}

/// Serves a connection as the program does.
async fn serve<T>(end: T, service: Arc<Service>, drain: watch::Receiver<bool>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let peer = IpAddr::from(Ipv4Addr::LOCALHOST);
    let metrics = service.metrics.clone();
    metrics.count(Count::Opened);
    converse(end, peer, service, drain).await;
    metrics.count(Count::Closed);
}

async fn converse<T>(end: T, peer: IpAddr, service: Arc<Service>, drain: watch::Receiver<bool>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let acceptor = TlsAcceptor::from(service.tls.server_config());
    let Ok(stream) = acceptor.accept(end).await else {
        return;
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        http2::connection::run(stream, peer, service, drain).await;
    } else {
        http1::run(stream, peer, service, drain).await;
    }
}

mod tests {
    use super::*;
    use crate::tap::Sender;

    /// Loads a page over a slow link and tells each frame: when it came, and what it was.
    async fn load() -> Vec<(Duration, Sender, u8, u32, usize)> {
        let fixture = "
            //- /index.html size=60000
            <!doctype html><head><link rel=stylesheet href=/a.css><script src=/b.js></script></head>
            <p>Hello<img src=/i.png>
            //- /a.css size=30000
            //- /b.js size=20000
            //- /i.png size=200000
        ";
        let mut world = World::new(fixture).link(slow(5, 40));
        world.warm(&["/", "/a.css", "/b.js", "/i.png"]).await;
        world.reconnect().await;
        let start = tokio::time::Instant::now();
        world
            .together([Ask::navigate("/"), Ask::get("/i.png")])
            .await;
        let told = |frame: Frame| {
            let length = frame.payload.len();
            (
                frame.at - start,
                frame.sender,
                frame.kind,
                frame.stream,
                length,
            )
        };
        world
            .frames()
            .into_iter()
            .filter(|frame| frame.at >= start)
            .map(told)
            .collect()
    }

    /// What simulated time is for: a load is the same however busy the machine is.
    #[tokio::test(start_paused = true)]
    async fn the_same_load_takes_the_same_time_to_the_frame() {
        let first = load().await;
        assert!(first.len() > 20);
        for _ in 0..5 {
            assert_eq!(load().await, first);
        }
    }
}
