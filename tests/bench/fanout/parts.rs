//! What is measured.

use std::rc::Rc;
use std::time::Duration;

use anyhow::bail;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::board::{Board, Delays};
use crate::line::{Listeners, Way};
use crate::publisher::Publisher;
use crate::server::{self, Server};
use crate::storm;

/// The parts, in their order.
pub(crate) const NAMES: [&str; 4] = ["delay", "stalled", "storm", "throughput"];

pub(crate) const CHANNEL: &str = "demo/bench";
/// Both, for who is told more than it reads.
const CHANNEL_AND_FILL: &str = "demo/bench,demo/fill";
const FILL: &str = "demo/fill";
const LISTENERS: usize = 1_000;
const CONNECTIONS: usize = 20;
/// Events whose delays do not count.
const WARM: usize = 20;

/// A line of the table.
pub(crate) type Row = [String; 7];

/// Runs a part.
///
/// # Errors
/// Something failed, or was lost, or came twice.
pub(crate) async fn run(part: &str) -> anyhow::Result<Vec<Row>> {
    match part {
        "delay" => delay().await,
        "stalled" => stalled().await,
        "storm" => storm::run().await,
        "throughput" => throughput().await,
        _ => bail!("no part `{part}`"),
    }
}

/// 1,000 who listen in either way, over few connections and over many.
async fn delay() -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for way in [Way::EventStream, Way::WebSocket] {
        for connections in [CONNECTIONS, LISTENERS] {
            let server = Server::start()?;
            let mut audience = Audience::new(WARM);
            for count in spread(LISTENERS, connections) {
                let listeners = Listeners {
                    way,
                    ..Listeners::new(CHANNEL, count, &audience.board)
                };
                audience.add(&server, listeners).await?;
            }
            audience.opened().await?;
            let pace = Pace {
                events: 200,
                every: Duration::from_millis(50),
            };
            let told = audience.tell(&server, pace).await?;
            let what = format!("{}, {LISTENERS} over {connections}", way.name());
            rows.push(told.row(what, String::new()));
        }
    }
    Ok(rows)
}

/// What is the matter with 100 of 10,000.
#[derive(Debug, Clone, Copy)]
enum Stall {
    /// They read as the others do.
    None,
    /// Their streams have no window, on the connections of others who read.
    Windows,
    /// They do not read their sockets, which are full.
    Sockets,
}

/// 10,000 who listen, of whom 100 never read: what of it the others notice.
async fn stalled() -> anyhow::Result<Vec<Row>> {
    const ROUNDS: usize = 3;
    let stalls = [Stall::None, Stall::Windows, Stall::Sockets];
    let mut found = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (stall, found) in stalls.iter().zip(&mut found) {
            found.push(beside(*stall).await?);
        }
    }
    let named = stalls.iter().zip(found).map(|(stall, mut rounds)| {
        let p99_ms = |told: &Told| told.delays.quantile_ms(990);
        rounds.sort_by(|one, other| p99_ms(one).total_cmp(&p99_ms(other)));
        let middle = rounds.swap_remove(ROUNDS / 2);
        let what = match stall {
            Stall::None => "10000 over 80, all read",
            Stall::Windows => "9900 of these, beside 100 without a window",
            Stall::Sockets => "9900 of these, beside 100 whose sockets are full",
        };
        middle.row(what.to_owned(), format!("the middle one of {ROUNDS} runs"))
    });
    Ok(named.collect())
}

async fn beside(stall: Stall) -> anyhow::Result<Told> {
    const MANY: usize = 10_000;
    const STALLED: usize = 100;
    const CONNECTIONS: usize = 80;
    const UNREAD_CONNECTIONS: usize = 10;
    const FILL_EVENTS: usize = 600;
    const FILL_BYTES: usize = 16 * 1024;

    let server = Server::start()?;
    let mut audience = Audience::new(WARM / 2);
    let shut = if matches!(stall, Stall::Windows) {
        STALLED
    } else {
        0
    };
    let apart = if matches!(stall, Stall::Sockets) {
        STALLED
    } else {
        0
    };
    let shut = spread(shut, CONNECTIONS);
    for (count, shut) in spread(MANY - apart, CONNECTIONS).zip(shut) {
        let listeners = Listeners {
            shut,
            ..Listeners::new(CHANNEL, count, &audience.board)
        };
        audience.add(&server, listeners).await?;
    }
    if apart > 0 {
        for count in spread(apart, UNREAD_CONNECTIONS) {
            let listeners = Listeners {
                are_reading: false,
                ..Listeners::new(CHANNEL_AND_FILL, count, &audience.board)
            };
            audience.add(&server, listeners).await?;
        }
        audience.opened().await?;
        let mut filler = Publisher::new(server.port, FILL).await?;
        for _ in 0..FILL_EVENTS {
            filler.settle(0).await?;
            filler.publish(&[b'x'; FILL_BYTES]).await?;
        }
        filler.settle(0).await?;
    }
    audience.opened().await?;
    let pace = Pace {
        events: 60,
        every: Duration::from_millis(100),
    };
    audience.tell(&server, pace).await
}

/// As fast as can be published, and as can be told.
async fn throughput() -> anyhow::Result<Vec<Row>> {
    const WINDOW: Duration = Duration::from_secs(4);
    let mut rows = Vec::new();
    for at_once in [1, 32] {
        let server = Server::start()?;
        let mut audience = Audience::new(WARM);
        for count in spread(LISTENERS, CONNECTIONS) {
            let listeners = Listeners::new(CHANNEL, count, &audience.board);
            audience.add(&server, listeners).await?;
        }
        audience.opened().await?;
        let board = Rc::clone(&audience.board);
        let mut publisher = Publisher::new(server.port, CHANNEL).await?;
        let load = Load::start(&server)?;
        while load.start.elapsed() < WINDOW {
            board.to_hear.add(audience.reading);
            publisher.say(&board, at_once).await?;
        }
        board.all(&board.to_hear, "events not heard").await?;
        let told = load.end(&board, board.said() * audience.reading)?;
        let besides = format!(
            "{:.0} deliveries a second, {:.0} of a core",
            told.deliveries_per_s, told.deliveries_per_core_s
        );
        let what = format!("{LISTENERS} over {CONNECTIONS}, {at_once} published at once");
        rows.push(told.row(what, besides));
    }
    Ok(rows)
}

/// Returns how many of `count` each of some gets.
pub(crate) fn spread(count: usize, among: usize) -> impl Iterator<Item = usize> {
    (0..among).map(move |index| count / among + usize::from(index < count % among))
}

/// How often something is published.
#[derive(Debug, Clone, Copy)]
struct Pace {
    events: usize,
    every: Duration,
}

/// Those who listen, until it is dropped.
#[derive(Debug)]
pub(crate) struct Audience {
    pub(crate) board: Rc<Board>,
    lines: JoinSet<()>,
    reading: usize,
}

impl Audience {
    /// Connections that are opened at once, where that is not measured.
    const AT_ONCE: usize = 100;

    pub(crate) fn new(warm: usize) -> Self {
        Self {
            board: Rc::new(Board::new(warm)),
            lines: JoinSet::new(),
            reading: 0,
        }
    }

    /// Adds some on a connection, after others.
    pub(crate) async fn add(
        &mut self,
        server: &Server,
        listeners: Listeners,
    ) -> anyhow::Result<()> {
        if self.lines.len() % Self::AT_ONCE == Self::AT_ONCE - 1 {
            self.opened().await?;
        }
        self.add_at_once(server, listeners);
        Ok(())
    }

    /// Adds some on a connection, whatever others do.
    pub(crate) fn add_at_once(&mut self, server: &Server, listeners: Listeners) {
        self.board.to_open.add(listeners.count);
        if listeners.are_reading {
            self.reading += listeners.count - listeners.shut;
        }
        let board = Rc::clone(&self.board);
        self.lines.spawn_local(listeners.listen(server.port, board));
    }

    /// Waits until all are answered.
    pub(crate) async fn opened(&self) -> anyhow::Result<()> {
        let board = &self.board;
        board.all(&board.to_open, "streams not answered").await
    }

    /// Publishes at even times, and waits until all have heard it.
    async fn tell(&self, server: &Server, pace: Pace) -> anyhow::Result<Told> {
        let board = &self.board;
        let mut publisher = Publisher::new(server.port, CHANNEL).await?;
        let load = Load::start(server)?;
        for index in 0..pace.events {
            sleep_until(load.start + pace.every * u32::try_from(index)?).await;
            board.to_hear.add(self.reading);
            publisher.say(board, 1).await?;
        }
        board.all(&board.to_hear, "events not heard").await?;
        load.end(board, pace.events * self.reading)
    }
}

/// What processors did until now.
#[derive(Debug)]
pub(crate) struct Load<'a> {
    server: &'a Server,
    pub(crate) start: Instant,
    of_server_s: f64,
    of_client_s: f64,
}

impl<'a> Load<'a> {
    pub(crate) fn start(server: &'a Server) -> anyhow::Result<Self> {
        Ok(Self {
            server,
            start: Instant::now(),
            of_server_s: server.spent_s()?,
            of_client_s: server::spent_s("self")?,
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn end(self, board: &Board, deliveries: usize) -> anyhow::Result<Told> {
        let took_s = self.start.elapsed().as_secs_f64();
        let of_server_s = self.server.spent_s()? - self.of_server_s;
        Ok(Told {
            shares: self.shares()?,
            delays: board.delays()?,
            deliveries_per_s: deliveries as f64 / took_s,
            deliveries_per_core_s: deliveries as f64 / of_server_s,
        })
    }

    /// Returns what the server and the client have had of their cores.
    pub(crate) fn shares(&self) -> anyhow::Result<[f64; 2]> {
        let took_s = self.start.elapsed().as_secs_f64();
        let of_server_s = self.server.spent_s()? - self.of_server_s;
        let of_client_s = server::spent_s("self")? - self.of_client_s;
        Ok([of_server_s / took_s, of_client_s / took_s])
    }
}

/// What was measured.
#[derive(Debug)]
struct Told {
    delays: Delays,
    shares: [f64; 2],
    deliveries_per_s: f64,
    deliveries_per_core_s: f64,
}

impl Told {
    fn row(&self, what: String, besides: String) -> Row {
        row(what, &self.delays, self.shares, besides)
    }
}

/// Returns a line of the table.
pub(crate) fn row(what: String, delays: &Delays, shares: [f64; 2], besides: String) -> Row {
    let ms = |thousandths| format!("{:.2} ms", delays.quantile_ms(thousandths));
    let [server, client] = shares.map(|share| format!("{:.0} %", 100.0 * share));
    let times = [500, 990, 1000].map(ms);
    let [median, p99, max] = times;
    [what, median, p99, max, server, client, besides]
}
