//! The server goes: what has begun is finished, nothing new is.

use std::time::Duration;

use crate::client::Ask;
use crate::tap::{Frame, Sender};
use crate::world::{World, slow};

const SITE: &str = "
    //- /index.html
    <!doctype html><link rel=stylesheet href=/a.css><p>Hello
    //- /a.css size=100000
    //- /large.png size=1000000
";

fn goaways(world: &World) -> Vec<Frame> {
    let is_goaway = |frame: &Frame| frame.kind == Frame::GOAWAY && frame.sender == Sender::Server;
    world.frames().into_iter().filter(is_goaway).collect()
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_told_and_closed() {
    let mut world = World::new(SITE).link(slow(10, 25));
    world.get("/a.css").await;
    world.drain();
    world.closed(Duration::from_secs(1)).await;
    let goaways = goaways(&world);
    assert!(!goaways.is_empty());
    assert!(
        goaways.iter().all(|goaway| goaway.number(4) == 0),
        "{goaways:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_has_begun_is_finished_pushes_included() {
    let mut world = World::new(SITE).link(slow(10, 25));
    let large = world.start("/large.png").await;
    let page = world.start(Ask::navigate("/")).await;
    world.rest_ms(100).await;
    world.drain();
    let page = world.wait(page).await;
    assert_eq!(page.promised(), ["/a.css"]);
    let pushed = page.promises[0].answer.as_ref().unwrap().as_ref().unwrap();
    assert_eq!(pushed.body.len(), 100_000);
    assert_eq!(world.wait(large).await.answer().body.len(), 1_000_000);
    world.closed(Duration::from_secs(1)).await;
    assert!(!goaways(&world).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_page_asked_for_in_the_last_moment_promises_nothing() {
    let mut world = World::new(SITE).link(slow(10, 25));
    let large = world.start("/large.png").await;
    world.rest_ms(100).await;
    let page = world.start(Ask::navigate("/")).await;
    world.rest_ms(1).await;
    world.drain();
    // It is answered or refused, so that the client knows whether to ask again; never with
    // promises.
    let page = world.wait(page).await;
    assert_eq!(page.promised(), [""; 0]);
    if let Err(error) = &page.answer {
        assert!(error.is_go_away() || error.is_reset(), "{error}");
    }
    assert_eq!(world.wait(large).await.answer().body.len(), 1_000_000);
    world.closed(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_let_go() {
    let mut world = World::new(SITE).link(slow(10, 25));
    drop(world.start("/large.png").await);
    world.rest_ms(100).await;
    world.leave();
    world.closed(Duration::from_mins(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_is_promised_nothing_more() {
    let mut world = World::new(SITE).link(slow(10, 25));
    world.warm(&["/", "/large.png"]).await;
    world.reconnect().await;
    let large = world.start(Ask::get("/large.png")).await;
    world.rest_ms(1).await;
    let goaway = Frame::bytes(Frame::GOAWAY, 0, 0, &[0; 8]);
    world.newest().frames.inject(&goaway);
    let page = world.get("/").await;
    assert_eq!((page.status(), page.promised().len()), (200, 0));
    world.wait(large).await;
}
