//! Conversations on streams of bytes, with the clock simulated.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use proptest::test_runner::{Config, TestRunner};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::Instant;

use super::super::close::{Close, CloseCode};
use super::super::echo::Echo;
use super::super::frame::Frame;
use super::super::session::{CLOSE_WAIT_MAX, End, Options, PING_INTERVAL, PONG_WAIT_MAX, Session};
use super::super::socket::{Io, Socket};
use super::*;

type Wired = Socket<Io<DuplexStream>>;

/// Returns a server's socket, and the bare stream of a client, with so much room between.
fn to_bare_client(room: usize) -> (Wired, DuplexStream) {
    let (near, far) = duplex(room);
    let session = Session::server(Options::default(), Instant::now());
    (Socket::new(session, Io(near), Bytes::new()), far)
}

fn pair(room: usize) -> (Wired, Wired) {
    let (server, far) = to_bare_client(room);
    let session = Session::client(Options::default(), 1, Instant::now());
    (server, Socket::new(session, Io(far), Bytes::new()))
}

async fn echoes(server: Wired) -> End {
    let mut echo = Echo::new(server);
    poll_fn(|cx| echo.poll(cx)).await
}

fn bye() -> Close {
    Close::new(CloseCode::NORMAL, "bye")
}

#[tokio::test(start_paused = true)]
async fn two_ends_talk_and_part() {
    let (server, mut client) = pair(50);
    let talk = async {
        let long = "long ".repeat(50_000);
        for text in ["one", "", &long, "two"] {
            assert!(client.room().await);
            client.send(&Frame::text(text)).unwrap();
            assert_eq!(client.next().await, Some(Message::Text(text.to_owned())));
        }
        client.close(&bye());
        client.ended().await
    };
    let (server, client) = tokio::join!(echoes(server), talk);
    assert_eq!(server, End::Closed(Some(bye())));
    assert_eq!(client, End::Closed(Some(Close::new(CloseCode::NORMAL, ""))));
}

#[tokio::test(start_paused = true)]
async fn what_came_with_the_opening_is_read_first() {
    let (near, mut far) = duplex(1000);
    let early = [client_frame(0x81, b"early"), client_frame(0x81, b"bird")].concat();
    let session = Session::server(Options::default(), Instant::now());
    let mut server = Socket::new(session, Io(near), early.into());
    far.write_all(&client_frame(0x81, b"late")).await.unwrap();
    for text in ["early", "bird", "late"] {
        assert_eq!(server.next().await, Some(Message::Text(text.into())));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_gone_is_noticed_in_time() {
    let (mut server, far) = to_bare_client(1000);
    let began = Instant::now();
    assert_eq!(server.next().await, None);
    assert_eq!(server.session().end(), Some(&End::Silent));
    assert_eq!(began.elapsed(), PING_INTERVAL + PONG_WAIT_MAX);
    drop(far);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_there_is_kept() {
    let (mut server, mut client) = pair(1000);
    let waits = async {
        let hour = tokio::time::sleep(Duration::from_hours(1));
        tokio::select! {
            _ = client.next() => panic!("nothing was said"),
            () = hour => client.close(&bye()),
        }
        client.ended().await
    };
    let (told, _) = tokio::join!(server.next(), waits);
    assert_eq!(told, None);
    assert_eq!(server.session().end(), Some(&End::Closed(Some(bye()))));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_not_read_from() {
    let (server, mut far) = to_bare_client(100);
    // More than all that may wait, and nobody reads the answers.
    let flood = tokio::spawn(async move {
        let frame = client_frame(0x82, &[7; 10_000]);
        let mut taken = 0;
        while far.write_all(&frame).await.is_ok() {
            taken += frame.len();
        }
        taken
    });
    let began = Instant::now();
    assert_eq!(echoes(server).await, End::Stalled);
    assert_eq!(began.elapsed(), super::super::session::STALL_MAX);
    let taken = flood.await.unwrap();
    assert!(
        taken < 2 * super::super::session::OUTPUT_BYTES_MAX,
        "{taken} bytes"
    );
}

#[tokio::test(start_paused = true)]
async fn a_bad_peer_is_told_why_before_the_stream_ends() {
    let (server, mut far) = to_bare_client(1000);
    let client = async {
        far.write_all(&[0x83, 0x80]).await.unwrap();
        far.write_all(&[0; 5000]).await.unwrap();
        let mut said = Vec::new();
        far.read_to_end(&mut said).await.unwrap();
        far.shutdown().await.unwrap();
        told(&said)
    };
    let (end, said) = tokio::join!(echoes(server), client);
    assert_eq!(end, End::Failed(Error::Opcode(3)));
    assert_eq!(said, ["close 1002"]);
}

#[tokio::test(start_paused = true)]
async fn a_farewell_that_nobody_answers_ends_in_time() {
    let (mut server, _far) = to_bare_client(1000);
    let began = Instant::now();
    server.close(&Close::new(CloseCode::GOING_AWAY, ""));
    assert_eq!(server.ended().await, End::Unanswered);
    assert_eq!(began.elapsed(), CLOSE_WAIT_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_without_a_word_is_cut() {
    let (mut server, far) = to_bare_client(1000);
    drop(far);
    assert_eq!(server.next().await, None);
    assert_eq!(server.session().end(), Some(&End::Cut));
    assert_eq!(server.next().await, None, "and stays so");
}

#[tokio::test(start_paused = true)]
async fn an_echo_is_closed_from_its_side() {
    let (server, mut client) = pair(1000);
    let mut echo = Echo::new(server);
    let mut farewell = pin!(tokio::time::sleep(Duration::from_secs(1)));
    let serving = poll_fn(|cx| {
        // Said more than once, it is said once.
        if farewell.is_elapsed() || farewell.as_mut().poll(cx).is_ready() {
            echo.close(&Close::new(CloseCode::GOING_AWAY, ""));
        }
        echo.poll(cx)
    });
    let (end, told) = tokio::join!(serving, client.ended());
    let away = End::Closed(Some(Close::new(CloseCode::GOING_AWAY, "")));
    assert_eq!((end, told), (away.clone(), away));
}

#[test]
fn everything_comes_back_whatever_the_room_between() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let messages = proptest::collection::vec(proptest::collection::vec(0_u8..255, 0..500), 1..8);
    let check = |(messages, room): (Vec<Vec<u8>>, usize)| {
        let (server, mut client) = pair(room);
        let talk = async {
            for message in &messages {
                assert!(client.room().await);
                client.send(&Frame::binary(message)).unwrap();
            }
            for message in &messages {
                let back = client.next().await;
                assert_eq!(back, Some(Message::Binary(message.clone().into())));
            }
            client.close(&bye());
            client.ended().await
        };
        let (end, _) = runtime.block_on(async { tokio::join!(echoes(server), talk) });
        assert_eq!(end, End::Closed(Some(bye())));
        Ok(())
    };
    let mut runner = TestRunner::new(Config {
        cases: 50,
        ..Config::default()
    });
    runner.run(&(messages, 1_usize..3000), check).unwrap();
}
