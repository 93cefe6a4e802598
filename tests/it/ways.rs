//! One table: every way of hearing, from every place where events can be kept. What is asked here
//! of each is what a reader sees who only speaks HTTP; `stores` asks more of the places, `channels`
//! of the ways.
//!
//! The clock is the real one, as Redis and disks do not wait for another. Nothing waits for time:
//! a hub that is closed tells what it has and ends, so each way is heard to its end.

use std::sync::Arc;

use forerun::door::channels::rates::Rate;
use forerun::hub::{Limits, Publication};
use forerun::web_socket::Message;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::channels::{self, token, upgraded, world_on};
use crate::client::{Ask, Response};
use crate::places::{Place, QUICK, Server};
use crate::world::World;

const CHANNEL: &str = "demo/a";
const RATE: Rate = Rate {
    events: 100_000,
    bytes: 1 << 30,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Poll,
    LongPoll,
    EventStream,
    Lines,
    WebSocket,
}

const WAYS: [Way; 5] = [
    Way::Poll,
    Way::LongPoll,
    Way::EventStream,
    Way::Lines,
    Way::WebSocket,
];

/// What is told once: an event or a gap, with the cursor to go on from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    cursor: String,
    what: String,
}

impl Told {
    /// Reads a JSON object, if it is an event or a gap.
    fn of(object: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let what = match object["event"].as_str()? {
            "message" => text(&object["message"]),
            "hub-gap" => format!("gap: {}", text(&object["gap"]["reason"])),
            _ => return None,
        };
        let cursor = text(&object["cursor"]);
        Some(Self { cursor, what })
    }
}

fn whats(told: &[Told]) -> Vec<&str> {
    told.iter().map(|told| told.what.as_str()).collect()
}

fn of_lines(text: &str) -> Vec<Told> {
    let lines = text.split('\n').filter(|line| !line.is_empty());
    let objects = lines.map(|line| serde_json::from_str(line).unwrap());
    objects.filter_map(|object| Told::of(&object)).collect()
}

/// Reads an event stream as the standard says (HTML section 9.2.6), as far as we write it.
fn of_blocks(text: &str) -> Vec<Told> {
    let mut told = Vec::new();
    let mut cursor = String::new();
    for block in text.split("\n\n") {
        let fields = |name: &str| {
            let lines = block.split('\n');
            let values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let values = values.map(|value| value.strip_prefix(' ').unwrap_or(value).to_owned());
            values.collect::<Vec<_>>()
        };
        cursor = fields("id").pop().unwrap_or(cursor);
        let data = fields("data");
        if data.is_empty() {
            continue;
        }
        let mut what = data.join("\n");
        if fields("event") == ["hub-gap"] {
            let gap: Value = serde_json::from_str(&what).unwrap();
            what = format!("gap: {}", gap["reason"].as_str().unwrap());
        }
        let cursor = cursor.clone();
        told.push(Told { cursor, what });
    }
    told
}

/// Who hears.
struct Listener<'a> {
    way: Way,
    token: Option<&'a str>,
}

impl Listener<'_> {
    fn ask(&self, rest: &str) -> Ask {
        let ask = Ask::get(&format!("/channels/{CHANNEL}{rest}"));
        match self.token {
            Some(token) => ask.header("authorization", token),
            None => ask,
        }
    }

    /// Hears all that comes after a cursor, until the hub is closed; polls, until there is no more.
    async fn hear(&self, world: &mut World, cursor: &str) -> Vec<Told> {
        match self.way {
            Way::Poll | Way::LongPoll => self.poll(world, cursor).await,
            Way::EventStream | Way::Lines => {
                let stream = self.stream(world, cursor).await;
                self.heard(&world.wait(stream).await)
            }
            Way::WebSocket => {
                let mut told = Vec::new();
                let target = format!("/channels/{CHANNEL}/ws?last_event_id={cursor}");
                let field = |token| format!("Authorization: {token}\r\n");
                let fields = self.token.map_or(String::new(), field);
                let mut socket = upgraded(world, &target, &fields).await;
                let reading = async {
                    while let Some(message) = socket.next().await {
                        let Message::Text(text) = message else {
                            panic!("{message:?}");
                        };
                        told.extend(Told::of(&serde_json::from_str(&text).unwrap()));
                    }
                    Ok::<_, std::io::Error>(())
                };
                world.wait(reading).await;
                told
            }
        }
    }

    /// Begins to hear a stream.
    async fn stream(&self, world: &mut World, cursor: &str) -> JoinHandle<Response> {
        let ask = match self.way {
            Way::Lines => self.ask(&format!("/json?last_event_id={cursor}")),
            _ => (self.ask(&format!("?last_event_id={cursor}")))
                .header("accept", "text/event-stream"),
        };
        world.start(ask).await
    }

    fn heard(&self, response: &Response) -> Vec<Told> {
        assert_eq!(response.status(), 200, "{}", response.text());
        match self.way {
            Way::Lines => of_lines(response.text()),
            _ => of_blocks(response.text()),
        }
    }

    async fn poll(&self, world: &mut World, cursor: &str) -> Vec<Told> {
        let mut told = Vec::new();
        let mut cursor = cursor.to_owned();
        loop {
            let wait = if self.way == Way::LongPoll {
                "&wait=60"
            } else {
                ""
            };
            let ask = self.ask(&format!("?last_event_id={cursor}{wait}"));
            let answer = world.ask(ask).await;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            let object: Value = serde_json::from_str(answer.text()).unwrap();
            if let Some(reason) = object["gap"]["reason"].as_str() {
                let cursor = object["gap"]["resumed_after"].as_str().unwrap().to_owned();
                let what = format!("gap: {reason}");
                told.push(Told { cursor, what });
            }
            let events = object["events"].as_array().unwrap();
            told.extend(events.iter().map(|event| Told::of(event).unwrap()));
            object["cursor"].as_str().unwrap().clone_into(&mut cursor);
            if object["more"] != true {
                return told;
            }
        }
    }
}

async fn hear(world: &mut World, way: Way, cursor: &str) -> Vec<Told> {
    let listener = Listener { way, token: None };
    listener.hear(world, cursor).await
}

fn said(data: &str) -> Publication {
    Publication::new(CHANNEL, data.to_owned())
}

/// Publishes, and closes the hub.
async fn filled(place: &Place, limits: Limits, publications: Vec<Publication>) -> World {
    let store = Arc::new(place.open(limits).await);
    for publication in publications {
        store.publish(publication).await.unwrap();
    }
    store.hub().close();
    world_on(&store, RATE)
}

#[tokio::test]
async fn whoever_missed_any_number_has_them_all_in_every_way() {
    const EVENTS: usize = 1500;
    for place in Place::all().await {
        let publications = (1..=EVENTS).map(|number| said(&number.to_string()));
        let mut world = filled(&place, Limits::CHANNELS, publications.collect()).await;
        for way in WAYS {
            for missed in [0, 1, 1000, EVENTS] {
                let cursor = format!("7.{}", EVENTS - missed);
                let told = hear(&mut world, way, &cursor).await;
                let expected: Vec<_> = (EVENTS - missed + 1..=EVENTS)
                    .map(|number| (format!("7.{number}"), number.to_string()))
                    .collect();
                let told: Vec<_> = (told.into_iter())
                    .map(|told| (told.cursor, told.what))
                    .collect();
                assert!(told == expected, "{way:?}, {missed} missed: {}", told.len());
            }
        }
    }
}

#[tokio::test]
async fn a_cursor_leads_to_the_same_in_every_way() {
    let limits = Limits {
        events_max: 2,
        ..Limits::CHANNELS
    };
    for place in Place::all().await {
        let publications = ["1", "2", "3"].map(said).to_vec();
        let mut world = filled(&place, limits, publications).await;
        for way in WAYS {
            for (cursor, expected) in [
                ("earliest", &["2", "3"][..]),
                ("7.0", &["gap: expired", "2", "3"]),
                ("7.1", &["2", "3"]),
                ("7.2", &["3"]),
                ("7.3", &[]),
                ("7.4", &["gap: unknown", "2", "3"]),
                ("8.1", &["gap: epoch", "2", "3"]),
                ("urn:nobody", &["gap: unknown", "2", "3"]),
            ] {
                let told = hear(&mut world, way, cursor).await;
                assert_eq!(whats(&told), expected, "{way:?} after {cursor}");
            }
        }
    }
}

#[tokio::test]
async fn a_cursor_of_any_way_serves_any_other() {
    for place in Place::all().await {
        let publications = ["1", "2", "3", "4"].map(said).to_vec();
        let mut world = filled(&place, Limits::CHANNELS, publications).await;
        for from in WAYS {
            let told = hear(&mut world, from, "earliest").await;
            assert_eq!(whats(&told), ["1", "2", "3", "4"]);
            for to in WAYS {
                let rest = hear(&mut world, to, &told[1].cursor).await;
                assert_eq!(rest, told[2..], "from {from:?} to {to:?}");
            }
        }
    }
}

/// Of the runtimes of two nodes, each does nothing while it is not driven: so that the second is
/// behind.
fn runtimes() -> [Runtime; 2] {
    [(); 2].map(|()| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    })
}

#[test]
fn a_cursor_of_another_node_is_good_at_once_in_every_way() {
    let [here, there] = runtimes();
    let Some(server) = here.block_on(Server::start(QUICK)) else {
        return;
    };
    let first = here.block_on(server.node(7, Limits::CHANNELS));
    for (number, way) in WAYS.into_iter().enumerate() {
        for is_named in [false, true] {
            let second = Arc::new(there.block_on(server.node(7, Limits::CHANNELS)));
            let name = format!("urn:{number}:{is_named}");
            let seen = here.block_on(async {
                let named = Publication {
                    publisher_id: Some(name.clone()),
                    ..said("seen")
                };
                let seen = first.publish(named).await.unwrap().id;
                first.publish(said("new")).await.unwrap();
                seen
            });
            assert!(second.hub().cursor() < seen, "it is behind");
            let told = there.block_on(async {
                second.hub().close();
                let mut world = world_on(&second, RATE);
                let cursor = if is_named { name } else { seen.to_string() };
                hear(&mut world, way, &cursor).await
            });
            assert_eq!(whats(&told), ["new"], "{way:?}");
        }
    }
}

#[test]
fn a_cursor_of_another_node_is_good_at_once_in_a_conversation() {
    let [here, there] = runtimes();
    let Some(server) = here.block_on(Server::start(QUICK)) else {
        return;
    };
    let first = here.block_on(server.node(7, Limits::CHANNELS));
    let second = Arc::new(there.block_on(server.node(7, Limits::CHANNELS)));
    let (world, mut socket) = there.block_on(async {
        let mut world = world_on(&second, RATE);
        let mut socket = upgraded(&mut world, "/channels/demo/b/ws", "").await;
        assert_eq!(channels::hear(&world, &mut socket).await["event"], "open");
        (world, socket)
    });
    here.block_on(async {
        for data in ["seen", "new"] {
            first.publish(said(data)).await.unwrap();
        }
    });
    assert_eq!(second.hub().cursor().offset, 0, "it is behind");
    there.block_on(async {
        let wish = json!({"subscribe": CHANNEL, "after": "7.1"});
        channels::say(&mut socket, &wish);
        let subscribed = channels::hear(&world, &mut socket).await;
        assert_eq!(subscribed["event"], "subscribed");
        assert_eq!(subscribed["cursor"], "7.1");
        let told = channels::hear(&world, &mut socket).await;
        assert_eq!(told["message"], "new", "{told}");
    });
}

#[tokio::test]
async fn any_text_is_heard_in_every_way() {
    let odd = "\0: \r\n\r\nid: 9\rdata: x\n \u{feff}\u{2028}\u{1f600}";
    let large = "x".repeat(1_000_000);
    for place in Place::all().await {
        let publications = vec![said(""), said(odd), said(&large)];
        let mut world = filled(&place, Limits::CHANNELS, publications).await;
        for way in WAYS {
            let told = hear(&mut world, way, "earliest").await;
            let odd = match way {
                // Line breaks of any kind arrive as line feeds there.
                Way::EventStream => odd.replace("\r\n", "\n").replace('\r', "\n"),
                _ => odd.to_owned(),
            };
            assert!(whats(&told) == ["", &odd, &large], "{way:?}");
        }
    }
}

#[tokio::test]
async fn what_is_private_is_heard_in_no_way_by_others() {
    let limits = Limits {
        events_max: 2,
        ..Limits::CHANNELS
    };
    let may = token(&[], &[CHANNEL], 60);
    let may_elsewhere = token(&[], &["demo/b"], 60);
    let may_not = token(&[], &[], 60);
    // An alternate topic lets others hear it, but not everybody.
    for alternate in [None, Some("demo/c")] {
        for place in Place::all().await {
            let private = |data| {
                let mut publication = said(data);
                publication.topics.extend(alternate.map(str::to_owned));
                publication.is_private = true;
                publication
            };
            let publications = vec![private("p1"), private("p2"), said("3")];
            let mut world = filled(&place, limits, publications).await;
            let mut listeners = vec![
                (None, &["3"][..]),
                (Some(&*may_not), &["3"]),
                (Some(&*may), &["gap: expired", "p2", "3"]),
            ];
            if alternate.is_none() {
                listeners.push((Some(&*may_elsewhere), &["3"]));
            }
            for way in WAYS {
                for &(token, expected) in &listeners {
                    let told = Listener { way, token }.hear(&mut world, "7.0").await;
                    assert_eq!(whats(&told), expected, "{way:?}");
                }
            }
        }
    }
}

/// Readers of every way come while others publish, and each has everything once, in order.
#[tokio::test]
async fn whoever_comes_while_others_publish_misses_nothing_in_any_way() {
    const EVENTS: usize = 60;
    for place in Place::all().await {
        let store = Arc::new(place.open(Limits::CHANNELS).await);
        let mut world = world_on(&store, RATE);
        let mut publishing = Vec::new();
        let mut streams = Vec::new();
        let mut sockets = Vec::new();
        for number in 0..EVENTS {
            let store = Arc::clone(&store);
            let publish = async move { store.publish(said(&number.to_string())).await.unwrap().id };
            publishing.push(tokio::spawn(publish));
            if number % 6 != 0 {
                continue;
            }
            for way in [Way::EventStream, Way::Lines] {
                let listener = Listener { way, token: None };
                let stream = listener.stream(&mut world, "earliest").await;
                streams.push((listener, stream));
            }
            let target = format!("/channels/{CHANNEL}/ws?last_event_id=earliest");
            sockets.push(upgraded(&mut world, &target, "").await);
        }
        let mut answered = Vec::new();
        for (number, publishing) in publishing.into_iter().enumerate() {
            answered.push((publishing.await.unwrap(), number.to_string()));
        }
        answered.sort();
        let told = |(id, what): &(forerun::hub::EventId, String)| Told {
            cursor: id.to_string(),
            what: what.clone(),
        };
        let expected: Vec<_> = answered.iter().map(told).collect();
        // While it is open, as polls have no other end.
        for way in [Way::Poll, Way::LongPoll] {
            assert_eq!(hear(&mut world, way, "earliest").await, expected, "{way:?}");
        }
        store.hub().close();
        for (listener, stream) in streams {
            let heard = listener.heard(&world.wait(stream).await);
            assert_eq!(heard, expected, "{:?}", listener.way);
        }
        for mut socket in sockets {
            let mut heard = Vec::new();
            let reading = async {
                while let Some(Message::Text(text)) = socket.next().await {
                    heard.extend(Told::of(&serde_json::from_str(&text).unwrap()));
                }
                Ok::<_, std::io::Error>(())
            };
            world.wait(reading).await;
            assert_eq!(heard, expected);
        }
    }
}

#[tokio::test]
async fn a_redis_that_is_away_or_full_is_answered_for() {
    let Some(mut server) = Server::start(QUICK).await else {
        return;
    };
    let store = Arc::new(server.node(7, Limits::CHANNELS).await);
    let mut world = world_on(&store, RATE);
    let target = format!("/channels/{CHANNEL}");
    let post = || Ask::method("POST", &target).body("x");
    assert_eq!(world.ask(post()).await.text(), "7.1");

    let mut commands = server.commands().await.unwrap();
    let mut full = redis::cmd("CONFIG");
    full.arg("SET").arg("maxmemory").arg("1");
    () = full.query_async(&mut commands).await.unwrap();
    let full = world.ask(post()).await;
    assert_eq!(full.status(), 507);
    assert_eq!(
        full.text(),
        "507: cannot keep the event: Redis is full: give it more `maxmemory`, or wait until what \
         is old goes\n"
    );

    server.kill();
    // The first may have been on its way.
    world.ask(post()).await;
    let away = world.ask(post()).await;
    assert_eq!(away.status(), 503);
    assert_eq!(away.header("retry-after"), "1");
    assert_eq!(
        away.text(),
        "503: cannot keep the event now: Redis cannot be reached; try again\n"
    );
    // What is known is still told.
    let told = hear(&mut world, Way::Poll, "7.0").await;
    assert_eq!(told[0].what, "x");
}
