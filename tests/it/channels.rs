//! Channels at both doors: one log, heard in four ways, by those who may.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use forerun::answer::channels::{ChannelOptions, Keys, Origins, Prefix};
use forerun::door::channels::rates::Rate;
use forerun::door::channels::{Channels, Setting};
use forerun::http2::tunnel::Tunnel;
use forerun::hub::store::Store;
use forerun::hub::{Hub, Limits};
use forerun::metrics::{Count, Heard};
use forerun::web_socket::{
    CloseCode, End, Frame, Io, Message, Options, Session, Socket, Transport,
};
use h2::ext::Protocol;
use http::{Request, Version};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

use crate::client::Ask;
use crate::tap::Sender;
use crate::world::World;

const SITE: &str = "
    //- /index.html
    <!doctype html><link rel=stylesheet href=/a.css><p>Hello
    //- /a.css
    p { color: red }
    //- /channels/demo/a.html
    <p>never seen
";
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
pub(crate) const SSE: (&str, &str) = ("accept", "text/event-stream");
pub(crate) const RATE: Rate = Rate {
    events: 1000,
    bytes: 1 << 20,
};
const NOW: Duration = Duration::from_hours(500_000);

/// Returns a world with the channels of the built-in site, and others for who has a token.
fn world() -> (World, Arc<Hub>) {
    world_with(RATE)
}

fn world_with(rate: Rate) -> (World, Arc<Hub>) {
    world_of(rate, |_| {})
}

/// Returns the same with other options.
pub(crate) fn world_of(rate: Rate, change: impl FnOnce(&mut ChannelOptions)) -> (World, Arc<Hub>) {
    let store = Arc::new(Store::memory(7, Limits::default()));
    let hub = Arc::clone(store.hub());
    (world_with_options(&store, rate, change), hub)
}

/// Returns a world with these channels, wherever they are kept.
pub(crate) fn world_on(store: &Arc<Store>, rate: Rate) -> World {
    world_with_options(store, rate, |_| {})
}

fn world_with_options(
    store: &Arc<Store>,
    rate: Rate,
    change: impl FnOnce(&mut ChannelOptions),
) -> World {
    let demo = || vec![Prefix::parse("demo/*").unwrap()];
    let mut options = ChannelOptions {
        anonymous: demo(),
        unsigned: demo(),
        publishers: Keys::secret(SECRET).unwrap(),
        subscribers: Keys::secret(SECRET).unwrap(),
        ..ChannelOptions::default()
    };
    change(&mut options);
    let world = World::new(SITE);
    let (channels, told) = Channels::new(Setting {
        store: Arc::clone(store),
        options,
        is_demo: true,
        rate,
        metrics: world.shared_metrics(),
        now: || SystemTime::UNIX_EPOCH + NOW,
    });
    let store = Arc::clone(store);
    world.spawn(async move { forerun::door::channels::tell(&store, told).await });
    world.channels(Arc::new(channels))
}

/// Returns a token for these topics, which ends so many seconds from now.
pub(crate) fn token(publish: &[&str], subscribe: &[&str], seconds: u64) -> String {
    let claims = json!({
        "exp": NOW.as_secs() + seconds,
        "mercure": {"publish": publish, "subscribe": subscribe},
    });
    let key = EncodingKey::from_secret(SECRET);
    let token = jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap();
    format!("Bearer {token}")
}

pub(crate) fn post(target: &str, data: &'static str) -> Ask {
    Ask::method("POST", target).body(data)
}

/// Publishes, and returns the event's id.
pub(crate) async fn publish(world: &mut World, target: &str, data: &'static str) -> String {
    let answer = world.ask(post(target, data)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.text().to_owned()
}

/// Returns what the server has said on the stream of a target so far.
pub(crate) fn said(world: &World, target: &str) -> String {
    let connection = world.newest();
    let stream = connection.streams.of(target);
    let frames = connection.frames.all();
    let frames = frames.iter().filter(|frame| {
        frame.kind == crate::tap::Frame::DATA
            && frame.sender == Sender::Server
            && frame.stream == stream
    });
    let bytes: Vec<u8> = frames.flat_map(|frame| frame.payload.clone()).collect();
    String::from_utf8(bytes).unwrap()
}

/// Opens a WebSocket over HTTP/1.1.
pub(crate) async fn upgraded(
    world: &mut World,
    target: &str,
    fields: &str,
) -> Socket<Io<impl AsyncRead + AsyncWrite + Unpin + use<>>> {
    let mut stream = world.greet("http/1.1").await.stream;
    let opening = format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    );
    let rest = world
        .wait(async {
            stream.write_all(opening.as_bytes()).await?;
            stream.flush().await?;
            let mut said = Vec::new();
            loop {
                let mut piece = [0; 1024];
                let length = stream.read(&mut piece).await?;
                said.extend_from_slice(&piece[..length]);
                let end = said.windows(4).position(|four| four == b"\r\n\r\n");
                if let Some(end) = end {
                    let head = String::from_utf8_lossy(&said[..end]).into_owned();
                    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
                    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
                    return Ok::<_, std::io::Error>(Bytes::copy_from_slice(&said[end + 4..]));
                }
            }
        })
        .await;
    let session = Session::client(Options::default(), 7, Instant::now());
    Socket::new(session, Io(stream), rest)
}

/// Opens a WebSocket over each of some streams of one HTTP/2 connection.
pub(crate) async fn tunnels(world: &mut World, targets: &[&str]) -> Vec<Socket<Tunnel>> {
    let stream = world.greet("h2").await.stream;
    let mut builder = h2::client::Builder::new();
    builder.initial_connection_window_size(1 << 20);
    let (sender, connection) = world.wait(builder.handshake::<_, Bytes>(stream)).await;
    world.spawn(async move {
        let _ = connection.await;
    });
    // The server's SETTINGS tell that it may be asked.
    world.rest_ms(1).await;
    assert!(sender.is_extended_connect_protocol_enabled());
    let mut sockets = Vec::new();
    for target in targets {
        let mut request = Request::connect(format!("https://localhost{target}"))
            .version(Version::HTTP_2)
            .header("sec-websocket-version", "13")
            .body(())
            .unwrap();
        let extensions = request.extensions_mut();
        extensions.insert(Protocol::from_static("websocket"));
        let mut sender = world.wait(sender.clone().ready()).await;
        let (response, send) = sender.send_request(request, false).unwrap();
        let response = world.wait(response).await;
        assert_eq!(response.status(), 200);
        let session = Session::client(Options::default(), 7, Instant::now());
        let tunnel = Tunnel::new(response.into_body(), send);
        sockets.push(Socket::new(session, tunnel, Bytes::new()));
    }
    sockets
}

pub(crate) fn say<T: Transport>(socket: &mut Socket<T>, object: &Value) {
    socket.send(&Frame::text(&object.to_string())).unwrap();
}

/// Returns the next thing that is said.
pub(crate) async fn hear<T: Transport>(world: &World, socket: &mut Socket<T>) -> Value {
    let message = world
        .wait(async { socket.next().await.ok_or("the server has closed") })
        .await;
    match message {
        Message::Text(text) => serde_json::from_str(&text).unwrap(),
        Message::Binary(bytes) => panic!("{bytes:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_published_is_heard_in_four_ways() {
    let (mut world, _hub) = world();
    let target = "/channels/demo/a";
    let mut sockets = tunnels(&mut world, &[target]).await;
    let mut over_h1 = upgraded(&mut world, target, "").await;
    world.reconnect().await;
    let stream = "/channels/demo/a?since=none";
    let events = world.start(Ask::get(stream).headers(&[SSE])).await;
    let lines = "/channels/demo/a/json";
    drop(world.start(lines).await);
    let waiting = Ask::get("/channels/demo/a")
        .header("if-none-match", "\"7.0\"")
        .header("prefer", "wait=60");
    let waiting = world.start(waiting).await;
    world.rest_ms(1).await;
    assert_eq!(publish(&mut world, target, "hello").await, "7.1");
    world.rest_ms(1).await;

    let event = json!({
        "id": "7.1", "time": NOW.as_secs(), "event": "message", "topic": "demo/a",
        "message": "hello", "cursor": "7.1",
    });
    for told in [
        hear(&world, &mut sockets[0]).await,
        hear(&world, &mut over_h1).await,
    ] {
        assert_eq!(told["event"], "open");
        assert_eq!(told["cursor"], "7.0");
    }
    assert_eq!(hear(&world, &mut sockets[0]).await, event);
    assert_eq!(hear(&world, &mut over_h1).await, event);
    assert_eq!(
        said(&world, stream),
        "retry: 1000\nid: 7.0\n\nid: 7.1\ndata: hello\n\n"
    );
    let line: Value = serde_json::from_str(said(&world, lines).lines().last().unwrap()).unwrap();
    assert_eq!(line, event);
    let answer = world.wait(waiting).await;
    assert_eq!(answer.header("preference-applied"), "wait=60");
    assert_eq!(answer.header("etag"), "\"7.1\"");
    let polled: Value = serde_json::from_str(answer.text()).unwrap();
    assert_eq!(polled, json!({"cursor": "7.1", "events": [event]}));
    assert!(!events.is_finished());
    let subscribed = |heard| world.metrics().total(Count::Subscribed(heard));
    assert_eq!(subscribed(Heard::WebSocket), 2);
    assert_eq!(subscribed(Heard::LongPoll), 1);
    assert_eq!(world.metrics().total(Count::Published), 1);
}

#[tokio::test(start_paused = true)]
async fn both_doors_answer_alike() {
    let (mut world, _hub) = world();
    publish(&mut world, "/channels/demo/a", "one").await;
    publish(&mut world, "/channels/demo/b", "two").await;
    for (target, headers, status) in [
        ("/channels/demo/a", &[][..], 200),
        (
            "/channels/demo/a,demo/b?poll=1",
            &[("accept", "application/x-ndjson")],
            200,
        ),
        ("/channels/demo/a/raw?poll=1", &[], 200),
        ("/channels/demo/a", &[("if-none-match", "\"7.2\"")], 304),
        ("/channels/demo/a", &[("if-none-match", "\"7.0\"")], 200),
        ("/channels/demo/a.html", &[], 200),
        ("/channels/secret", &[], 401),
        ("/channels/demo/a", &[("accept", "image/png")], 406),
        ("/channels", &[], 404),
        ("/.well-known/mercure", &[], 400),
        ("/channels/demo/a?limit=1", &[], 400),
    ] {
        let told = crate::doors::get(&mut world, target, headers).await;
        assert_eq!(told.status, status, "{target} {headers:?}");
    }
    let told = crate::doors::ask(&mut world, "HEAD", "/channels/demo/a", &[]).await;
    assert_eq!((told.status, told.body.len()), (200, 0));
}

#[tokio::test(start_paused = true)]
async fn a_cursor_goes_from_events_to_a_web_socket_to_a_poll() {
    let (mut world, hub) = world();
    let target = "/channels/demo/a";
    drop(world.start(Ask::get(target).headers(&[SSE])).await);
    world.rest_ms(1).await;
    for number in 1..=9 {
        hub.publish_on("demo/a", number);
        hub.publish_on("demo/b", number);
        if number == 3 {
            world.rest_ms(1).await;
            world.leave();
            world.rest_ms(1).await;
        }
    }
    let heard = said(&world, target);
    let cursor = heard
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("id: "))
        .unwrap();
    assert_eq!(cursor, "7.5", "{heard}");

    let mut socket = tunnels(&mut world, &["/channels"]).await.remove(0);
    assert_eq!(hear(&world, &mut socket).await["event"], "open");
    say(
        &mut socket,
        &json!({"subscribe": "demo/a", "after": cursor, "ref": 1}),
    );
    let told = hear(&world, &mut socket).await;
    let expected = json!({"event": "subscribed", "topic": "demo/a", "cursor": "7.5", "ref": 1});
    assert_eq!(told, expected);
    let mut last = Value::Null;
    for number in 4..=6 {
        let event = hear(&world, &mut socket).await;
        assert_eq!(event["message"], number.to_string());
        last = event["cursor"].clone();
    }
    drop(socket);

    let polled = format!("/channels/demo/a?since={}", last.as_str().unwrap());
    world.reconnect().await;
    let answer = world.ask(polled.as_str()).await;
    let object: Value = serde_json::from_str(answer.text()).unwrap();
    let messages: Vec<_> = object["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["message"])
        .collect();
    assert_eq!(messages, ["7", "8", "9"]);
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_added_from_a_cursor_and_then_all_go_on_in_order() {
    let (mut world, hub) = world();
    for number in 1..=200 {
        hub.publish_on(if number % 2 == 0 { "demo/a" } else { "demo/b" }, number);
    }
    let mut socket = upgraded(&mut world, "/channels/demo/a/ws?since=all", "").await;
    assert_eq!(hear(&world, &mut socket).await["event"], "open");
    for number in 1..=100 {
        let message = (2 * number).to_string();
        assert_eq!(hear(&world, &mut socket).await["message"], message);
    }
    say(
        &mut socket,
        &json!({"subscribe": "demo/b", "after": "7.150"}),
    );
    let told = hear(&world, &mut socket).await;
    assert_eq!(
        (&told["event"], &told["cursor"]),
        (&json!("subscribed"), &json!("7.150"))
    );
    hub.publish_on("demo/a", 201);
    hub.publish_on("demo/b", 202);
    for number in (151..200).step_by(2).chain([201, 202]) {
        assert_eq!(
            hear(&world, &mut socket).await["message"],
            number.to_string()
        );
    }
    say(&mut socket, &json!({"unsubscribe": "demo/a", "ref": "x"}));
    let told = hear(&world, &mut socket).await;
    assert_eq!(
        told,
        json!({"event": "unsubscribed", "topic": "demo/a", "ref": "x"})
    );
    hub.publish_on("demo/a", 203);
    hub.publish_on("demo/b", 204);
    assert_eq!(hear(&world, &mut socket).await["message"], "204");
    say(&mut socket, &json!({"subscribe": "demo/a", "after": "3.1"}));
    assert_eq!(hear(&world, &mut socket).await["event"], "subscribed");
    let gap = hear(&world, &mut socket).await;
    assert_eq!(gap["event"], "hub-gap");
    assert_eq!(gap["gap"]["reason"], "epoch");
    assert_eq!(hear(&world, &mut socket).await["message"], "2");
}

#[tokio::test(start_paused = true)]
async fn what_is_private_is_never_heard_by_others_live_or_replayed() {
    let (mut world, hub) = world();
    let may = token(&["*"], &["demo/a"], 3600);
    let other = token(&[], &["demo/b"], 3600);
    let target = "/channels/demo/a";
    let mut stranger = tunnels(&mut world, &[target]).await.remove(0);
    let mut holder = upgraded(&mut world, target, &format!("Authorization: {may}\r\n")).await;
    world.reconnect().await;
    drop(world.start(Ask::get(target).headers(&[SSE])).await);
    world.rest_ms(1).await;
    let private = post("/channels/demo/a?private=1", "secret").header("authorization", &may);
    assert_eq!(world.ask(private).await.status(), 200);
    publish(&mut world, target, "public").await;
    world.rest_ms(1).await;
    assert!(!said(&world, target).contains("secret"));
    for (socket_heard, expected) in [
        (hear(&world, &mut stranger).await, "open"),
        (hear(&world, &mut holder).await, "open"),
    ] {
        assert_eq!(socket_heard["event"], expected);
    }
    assert_eq!(hear(&world, &mut stranger).await["message"], "public");
    let told = hear(&world, &mut holder).await;
    assert_eq!(
        (&told["message"], &told["private"]),
        (&json!("secret"), &json!(true))
    );

    for (authorization, hears) in [("", false), (other.as_str(), false), (may.as_str(), true)] {
        for target in [
            "/channels/demo/a?since=all",
            "/channels/demo/a/json?poll=1&since=all",
            "/.well-known/mercure?topic=demo/a&poll=1&since=all",
            "/.well-known/mercure?topic=demo/%7Bid%7D&poll=1&since=all",
        ] {
            let ask = Ask::get(target);
            let ask = match authorization {
                "" => ask,
                token => ask.header("authorization", token),
            };
            let answer = world.ask(ask).await;
            assert_eq!(answer.status(), 200);
            assert!(answer.text().contains("public"), "{target}");
            assert_eq!(
                answer.text().contains("secret"),
                hears,
                "{target} {authorization}"
            );
        }
    }
    say(
        &mut stranger,
        &json!({"subscribe": "demo/a", "after": "earliest"}),
    );
    assert_eq!(hear(&world, &mut stranger).await["event"], "subscribed");
    assert_eq!(hear(&world, &mut stranger).await["message"], "public");
    let _ = hub;
}

#[tokio::test(start_paused = true)]
async fn publishing_takes_a_token_except_on_the_demonstrations_channels() {
    let (mut world, hub) = world();
    let may = token(&["news"], &[], 3600);
    let old = token(&["news"], &[], 0);
    let own = ("origin", "https://localhost");
    let foreign = ("origin", "https://evil.example");
    for (target, fields, status) in [
        ("/channels/demo/a", vec![], 200),
        ("/channels/demo/a", vec![own], 200),
        ("/channels/demo/a", vec![foreign], 403),
        (
            "/channels/demo/a",
            vec![("x-forwarded-for", "192.0.2.1")],
            401,
        ),
        ("/channels/news", vec![], 401),
        ("/channels/news", vec![("authorization", may.as_str())], 200),
        ("/channels/news", vec![("authorization", old.as_str())], 401),
        (
            "/channels/other",
            vec![("authorization", may.as_str())],
            403,
        ),
    ] {
        let before = hub.cursor();
        let answer = world.ask(post(target, "hello").headers(&fields)).await;
        assert_eq!(
            answer.status(),
            status,
            "{target} {fields:?}: {}",
            answer.text()
        );
        assert_eq!(hub.cursor() != before, status == 200);
        if status == 401 {
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
        }
    }
    let mut socket = tunnels(&mut world, &["/channels"]).await.remove(0);
    hear(&world, &mut socket).await;
    say(
        &mut socket,
        &json!({"publish": "demo/x", "data": "said", "ref": 1}),
    );
    let cursor = hub.cursor().offset + 1;
    let cursor = format!("7.{cursor}");
    let told = hear(&world, &mut socket).await;
    assert_eq!(
        told,
        json!({"event": "published", "id": cursor, "cursor": cursor, "ref": 1})
    );
    say(
        &mut socket,
        &json!({"publish": "news", "data": "said", "ref": 2}),
    );
    let told = hear(&world, &mut socket).await;
    assert_eq!((&told["event"], &told["ref"]), (&json!("error"), &json!(2)));
    assert!(told["error"].as_str().unwrap().contains("token"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn the_same_publication_is_kept_once_and_each_topic_has_its_own_keys() {
    let (mut world, hub) = world();
    for (target, id) in [
        ("/channels/demo/a", "7.1"),
        ("/channels/demo/a", "7.1"),
        ("/channels/demo/b", "7.2"),
    ] {
        let answer = world
            .ask(post(target, "x").header("idempotency-key", "\"k\""))
            .await;
        assert_eq!(answer.text(), id);
    }
    assert_eq!(hub.cursor().offset, 2);
}

#[tokio::test(start_paused = true)]
async fn who_publishes_too_much_is_told_when_to_come_again() {
    let (mut world, hub) = world_with(Rate {
        events: 1,
        bytes: 1 << 20,
    });
    publish(&mut world, "/channels/demo/a", "1").await;
    publish(&mut world, "/channels/demo/a", "2").await;
    let answer = world.ask(post("/channels/demo/a", "3")).await;
    assert_eq!((answer.status(), answer.header("retry-after")), (429, "1"));
    assert_eq!(hub.cursor().offset, 2);
    world.rest_ms(1001).await;
    publish(&mut world, "/channels/demo/a", "3").await;
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_waits_longer_than_any_other_answer_and_ends_with_its_reader() {
    let (mut world, _hub) = world();
    let start = Instant::now();
    let answer = world.ask("/channels/demo/a?wait=120").await;
    assert_eq!(start.elapsed().as_secs(), 120);
    assert_eq!(answer.text(), "{\"cursor\":\"7.0\",\"events\":[]}\n");
    let ask = Ask::get("/channels/demo/a?wait=90").header("if-none-match", "\"7.0\"");
    assert_eq!(world.ask(ask).await.status(), 304);
    drop(world.start("/channels/demo/a?wait=100").await);
    world.rest_ms(1).await;
    let here = |world: &World| {
        let metrics = world.metrics();
        metrics.total(Count::Subscribed(Heard::LongPoll))
            - metrics.total(Count::Unsubscribed(Heard::LongPoll))
    };
    assert_eq!(here(&world), 1);
    world.reset("/channels/demo/a?wait=100", h2::Reason::CANCEL);
    world.rest_ms(1).await;
    assert_eq!(here(&world), 0);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ends_ends_what_is_heard_by_it() {
    let (mut world, _hub) = world();
    let may = token(&[], &["news"], 30);
    let target = "/channels/news";
    let mut socket = upgraded(&mut world, target, &format!("Authorization: {may}\r\n")).await;
    let ask = Ask::get(target).headers(&[SSE, ("authorization", may.as_str())]);
    let start = Instant::now();
    let answer = world.ask(ask).await;
    assert_eq!(start.elapsed().as_secs(), 30);
    assert!(
        answer
            .text()
            .trim_end()
            .rsplit('\n')
            .next()
            .unwrap()
            .starts_with("retry: ")
    );
    assert_eq!(hear(&world, &mut socket).await["event"], "open");
    assert_eq!(hear(&world, &mut socket).await["event"], "close");
    let End::Closed(Some(close)) = ended(&world, &mut socket).await else {
        panic!("no farewell")
    };
    assert_eq!(close.code(), CloseCode::POLICY);
}

pub(crate) async fn ended<T: Transport>(world: &World, socket: &mut Socket<T>) -> End {
    world
        .wait(async { Ok::<_, ()>(socket.ended().await) })
        .await
}

#[tokio::test(start_paused = true)]
async fn a_drain_tells_each_way_where_to_go_on() {
    let (mut world, hub) = world();
    let target = "/channels/demo/a";
    let mut over_h2 = tunnels(&mut world, &[target, "/echo"]).await;
    let mut over_h1 = upgraded(&mut world, "/channels", "").await;
    world.reconnect().await;
    let events = world.start(Ask::get(target).headers(&[SSE])).await;
    let waiting = world.start("/channels/demo/a?since=none&wait=100").await;
    publish(&mut world, "/channels/demo/b", "x").await;
    world.rest_ms(1).await;
    hub.close();
    world.drain();
    let start = Instant::now();
    let answer = world.wait(events).await;
    assert!(
        answer
            .text()
            .trim_end()
            .rsplit('\n')
            .next()
            .unwrap()
            .starts_with("retry: ")
    );
    let polled: Value = serde_json::from_str(world.wait(waiting).await.text()).unwrap();
    assert_eq!(polled, json!({"cursor": "7.1", "events": []}));
    assert_eq!(hear(&world, &mut over_h2[0]).await["event"], "open");
    let told = hear(&world, &mut over_h2[0]).await;
    assert_eq!(
        (&told["event"], &told["cursor"]),
        (&json!("close"), &json!("7.1"))
    );
    assert!((100..900).contains(&told["retry"].as_u64().unwrap()));
    hear(&world, &mut over_h1).await;
    assert_eq!(hear(&world, &mut over_h1).await["event"], "close");
    let mut ends = vec![ended(&world, &mut over_h1).await];
    for socket in &mut over_h2 {
        ends.push(ended(&world, socket).await);
    }
    for end in ends {
        let End::Closed(Some(close)) = end else {
            panic!("{end:?}")
        };
        assert_eq!(close.code(), CloseCode::GOING_AWAY);
    }
    world.closed(Duration::from_secs(1)).await;
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
}

/// What is still to be replayed when the server goes is not passed over: whoever comes again goes
/// on from the least of what they were told.
#[tokio::test(start_paused = true)]
async fn a_drain_amid_replays_loses_nothing() {
    const EVENTS: u32 = 900;
    let (mut world, hub) = world();
    let long = "x".repeat(200);
    for number in 0..EVENTS {
        for topic in ["demo/a", "demo/b"] {
            let said = format!("{topic} {number} {long}");
            hub.add(forerun::hub::Publication::new(topic, said));
        }
    }
    let mut socket = tunnels(&mut world, &["/channels/demo/c"]).await.remove(0);
    hear(&world, &mut socket).await;
    // The first is further on than the second, which has to wait for it.
    say(
        &mut socket,
        &json!({"subscribe": "demo/a", "after": "7.600"}),
    );
    say(
        &mut socket,
        &json!({"subscribe": "demo/b", "after": "7.100"}),
    );
    let mut heard: Vec<String> = Vec::new();
    let mut is_draining = false;
    let cursor = loop {
        let told = hear(&world, &mut socket).await;
        if told["event"] == "close" {
            break told["cursor"].as_str().unwrap().to_owned();
        }
        heard.extend(told["message"].as_str().map(str::to_owned));
        if heard.len() == 5 && !std::mem::replace(&mut is_draining, true) {
            world.drain();
        }
    };
    assert!(
        (5..600).contains(&heard.len()),
        "{} amid the first",
        heard.len()
    );
    assert_eq!(cursor, "7.100", "the second has not begun");
    // Another node of the same log.
    let mut reader = forerun::hub::Reader::new(
        Arc::clone(&hub),
        Arc::new(forerun::hub::Topics::named(["demo/a", "demo/b"])),
        hub.after(&cursor),
    );
    let max = forerun::hub::PageMax {
        events: usize::MAX,
        bytes: usize::MAX,
    };
    while let forerun::hub::Read::Events(events) = reader.read_now(max) {
        heard.extend(events.iter().map(|event| event.data.to_string()));
    }
    for (topic, first) in [("demo/a", 300), ("demo/b", 50)] {
        for number in first..EVENTS {
            let said = format!("{topic} {number} {long}");
            assert!(heard.contains(&said), "{topic} {number} after {cursor}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_any_origin_has_not_the_right_of_this_machine() {
    let any = Origins::parse(&["*", "https://friend.example"]).unwrap();
    let (mut world, hub) = world_of(RATE, |options| options.origins = any);
    let target = "/channels/demo/a";
    let may = token(&["demo/a"], &[], 3600);
    let may = ("authorization", may.as_str());
    let stranger = ("origin", "https://stranger.example");
    let rebound = ("origin", "http://localhost");
    for (fields, status) in [
        (vec![], 200),
        (vec![("origin", "https://localhost")], 200),
        (vec![("origin", "https://friend.example")], 200),
        (vec![stranger], 401),
        (vec![rebound], 401),
        (vec![("origin", "null")], 403),
        (vec![stranger, may], 200),
    ] {
        let before = hub.cursor();
        let answer = world.ask(post(target, "hello").headers(&fields)).await;
        assert_eq!(answer.status(), status, "{fields:?}: {}", answer.text());
        assert_eq!(hub.cursor() != before, status == 200, "{fields:?}");
    }
    // What name a page made lead here is not answered for at all, whatever origin it has.
    for authority in ["stranger.example", "stranger.example:8443"] {
        let origin = format!("https://{authority}");
        let ask = post(target, "hello").authority(authority);
        let answer = world.ask(ask.header("origin", &origin)).await;
        assert_eq!(answer.status(), 421, "{authority}");
    }
    for (fields, is_kept) in [
        ("", true),
        ("Origin: https://localhost\r\n", true),
        ("Origin: https://stranger.example\r\n", false),
    ] {
        let mut socket = upgraded(&mut world, target, fields).await;
        assert_eq!(hear(&world, &mut socket).await["event"], "open");
        say(&mut socket, &json!({"publish": "demo/a", "data": "said"}));
        let before = hub.cursor();
        loop {
            let told = hear(&world, &mut socket).await;
            if told["event"] == "message" {
                continue;
            }
            let expected = if is_kept { "published" } else { "error" };
            assert_eq!(told["event"], expected, "{fields}: {told}");
            break;
        }
        assert_eq!(hub.cursor() != before, is_kept, "{fields}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_web_socket_that_is_stalled_holds_up_no_other() {
    let (mut world, hub) = world();
    let mut sockets = tunnels(
        &mut world,
        &["/channels/demo/a", "/channels/demo/a", "/echo"],
    )
    .await;
    // The first is never read.
    for number in 0..1000 {
        hub.publish_on("demo/a", number);
    }
    assert_eq!(hear(&world, &mut sockets[1]).await["event"], "open");
    for number in 0..1000 {
        assert_eq!(
            hear(&world, &mut sockets[1]).await["message"],
            number.to_string()
        );
    }
    say(&mut sockets[2], &json!({"n": 1}));
    assert_eq!(hear(&world, &mut sockets[2]).await, json!({"n": 1}));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_is_answered_and_the_socket_stays() {
    let (mut world, _hub) = world();
    let mut socket = tunnels(&mut world, &["/channels"]).await.remove(0);
    hear(&world, &mut socket).await;
    for text in [
        "{",
        "{}",
        "[1]",
        r#"{"subscribe":"secret","ref":5}"#,
        r#"{"unsubscribe":"x"}"#,
    ] {
        socket.send(&Frame::text(text)).unwrap();
        let told = hear(&world, &mut socket).await;
        assert_eq!(told["event"], "error", "{text}");
    }
    // However often one is named that is heard already.
    let many = format!("{{\"subscribe\":[{}]}}", ["\"demo/a\""; 101].join(","));
    socket.send(&Frame::text(&many)).unwrap();
    let told = hear(&world, &mut socket).await;
    assert_eq!(told["event"], "error");
    socket.send(&Frame::binary(b"x")).unwrap();
    let End::Closed(Some(close)) = ended(&world, &mut socket).await else {
        panic!("no farewell")
    };
    assert_eq!(close.code(), CloseCode::UNSUPPORTED);
}

#[tokio::test(start_paused = true)]
async fn pages_say_where_channels_are() {
    let (mut world, _hub) = world();
    publish(&mut world, "/channels/demo/a", "x").await;
    let page = world.get("/").await;
    let links = page.answer().headers.get_all("link").iter();
    let expected = "</.well-known/mercure>; rel=\"mercure\"; last-event-id=\"7.1\"";
    assert!(links.into_iter().any(|link| link == expected));
    assert_eq!(world.get("/a.css").await.header("link"), "");
}

#[tokio::test(start_paused = true)]
async fn who_hears_what_is_told_to_those_who_may_know() {
    let (mut world, _hub) = world();
    let all = "/.well-known/mercure/subscriptions";
    let template = "/.well-known/mercure/subscriptions{/topic}{/subscriber}";
    let may = token(&[], &[template, all, "demo/a"], 3600);
    let may = ("authorization", may.as_str());
    let topic = format!(
        "/.well-known/mercure?topic={}",
        "/.well-known/mercure/subscriptions%7B/topic%7D%7B/subscriber%7D"
    );
    drop(world.start(Ask::get(&topic).headers(&[may])).await);
    world.rest_ms(1).await;
    let target = "/.well-known/mercure?topic=demo/a";
    let hearing = world.start(Ask::get(target).headers(&[may])).await;
    world.rest_ms(1).await;
    let answer = world.ask(Ask::get(all).headers(&[may])).await;
    let document: Value = serde_json::from_str(answer.text()).unwrap();
    assert_eq!(
        document["subscriptions"].as_array().unwrap().len(),
        2,
        "{document}"
    );
    assert_eq!(document["subscriptions"][1]["topic"], "demo/a");
    assert_eq!(world.get(all).await.status(), 401);
    world.reset(target, h2::Reason::CANCEL);
    drop(hearing);
    world.rest_ms(1).await;
    let told = said(&world, &topic);
    assert!(
        told.contains(r#""active":true"#) && told.contains(r#""active":false"#),
        "{told}"
    );
    assert!(told.contains(r#""topic":"demo/a""#), "{told}");
}

pub(crate) trait PublishOn {
    fn publish_on(&self, topic: &str, number: u32);
}

impl PublishOn for Hub {
    fn publish_on(&self, topic: &str, number: u32) {
        self.add(forerun::hub::Publication::new(topic, number.to_string()));
    }
}
