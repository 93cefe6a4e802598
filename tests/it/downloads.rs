//! Large answers to slow peers whose windows never make the server wait.

use forerun::measure::link::LinkOptions;

use crate::world::{World, slow};

/// 25 kB a second.
fn crawling() -> LinkOptions {
    LinkOptions {
        down: Some(200_000),
        ..slow(1, 25)
    }
}

fn world(site: &str) -> World {
    World::new(site).link(crawling()).client(|client| {
        client.stream_window = 64 << 20;
        client.connection_window = 64 << 20;
    })
}

#[tokio::test(start_paused = true)]
async fn a_download_that_lasts_minutes_is_let_live() {
    let mut world =
        world("//- /large.bin size=4000000").site(|site| site.memory_file_bytes_max = 5_000_000);
    let response = world.get("/large.bin").await;
    assert_eq!(response.answer().body.len(), 4_000_000);
}
