//! Thousands who lose their connections, and come back all at once with what they heard last.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::line::Listeners;
use crate::neighbour::Neighbour;
use crate::parts::{Audience, CHANNEL, Load, Row, row, spread};
use crate::publisher::Publisher;
use crate::server::Server;

const LISTENERS: usize = 5_000;
/// Events that they heard, and that they missed.
const HEARD: usize = 10;
const MISSED: usize = 20;
/// What a quiet server is given to notice that they have gone, and to be measured alone.
const CALM: Duration = Duration::from_secs(1);

/// Over few connections, as tabs of few browsers, and each over its own.
pub(crate) async fn run() -> anyhow::Result<Vec<Row>> {
    Ok(vec![storm(40).await?, storm(LISTENERS).await?])
}

async fn storm(connections: usize) -> anyhow::Result<Row> {
    let server = Server::start()?;
    let mut publisher = Publisher::new(server.port, CHANNEL).await?;
    let mut before = Audience::new(0);
    for count in spread(LISTENERS, connections) {
        let listeners = Listeners::new(CHANNEL, count, &before.board);
        before.add(&server, listeners).await?;
    }
    before.opened().await?;
    for _ in 0..HEARD {
        before.board.to_hear.add(LISTENERS);
        publisher.say(&before.board, 1).await?;
    }
    let cursor = publisher.settle(0).await?;
    let board = &before.board;
    board.all(&board.to_hear, "events not heard").await?;
    let memory_mb = server.memory_mb()?;
    // All are gone, and much is said.
    drop(before);
    sleep(CALM).await;
    let mut after = Audience::new(usize::MAX);
    for _ in 0..MISSED {
        publisher.say(&after.board, 1).await?;
    }
    publisher.settle(0).await?;

    let neighbour = Neighbour::start(server.port);
    let calm = Instant::now();
    sleep(CALM).await;
    let load = Load::start(&server)?;
    for count in spread(LISTENERS, connections) {
        let listeners = Listeners {
            after: Some(cursor.clone()),
            next: 0,
            ..Listeners::new(CHANNEL, count, &after.board)
        };
        after.board.to_hear.add(MISSED * count);
        after.add_at_once(&server, listeners);
    }
    let board = &after.board;
    board.all(&board.to_hear, "events not heard").await?;
    let (took, shares) = (load.start.elapsed(), load.shares()?);
    let heard = neighbour.stop()?;
    // What is said now comes once, and next.
    board.to_hear.add(LISTENERS);
    publisher.say(board, 1).await?;
    board.all(&board.to_hear, "events not heard").await?;
    board.check()?;
    sleep(CALM).await;
    let besides = format!(
        "all had the {MISSED} they missed in {:.2} s; the server's memory {memory_mb:.0} MB \
         before, {:.0} MB after; the neighbour's p99 before {:.2} ms",
        took.as_secs_f64(),
        server.memory_mb()?,
        heard.between(calm, load.start).quantile_ms(990),
    );
    let what = format!("{LISTENERS} come back at once, over {connections}: a neighbour");
    let delays = heard.between(load.start, load.start + took);
    Ok(row(what, &delays, shares, besides))
}
