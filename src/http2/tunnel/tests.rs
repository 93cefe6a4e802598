//! Conversations over streams of one connection: RFC 8441, with h2 at both ends.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{client, server};
use http::{Request, Version};
use tokio::io::{DuplexStream, duplex};
use tokio::time::Instant;

use super::*;
use crate::web_socket::echo::Echo;
use crate::web_socket::handshake::{Terms, over_http2};
use crate::web_socket::{Close, CloseCode, End, Frame, Message, Options, Session, Socket};

/// Room for more than one stalled stream.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Serves an echo on every stream; returns how each ended, when the connection has.
async fn serve(stream: DuplexStream) -> Vec<End> {
    let mut builder = server::Builder::new();
    builder.enable_connect_protocol();
    builder.initial_connection_window_size(CONNECTION_WINDOW);
    let mut h2 = builder.handshake::<_, Bytes>(stream).await.unwrap();
    let (mut echoes, mut ends) = (Vec::new(), Vec::new());
    poll_fn(|cx| {
        loop {
            let accepted = h2.poll_accept(cx);
            echoes.retain_mut(|echo: &mut Echo<Tunnel>| match echo.poll(cx) {
                Poll::Ready(end) => {
                    ends.push(end);
                    false
                }
                Poll::Pending => true,
            });
            match accepted {
                Poll::Ready(Some(Ok((request, mut respond)))) => {
                    let (head, receive) = request.into_parts();
                    assert_eq!(
                        head.extensions.get::<Protocol>().unwrap().as_str(),
                        "websocket"
                    );
                    let accepted = over_http2(&head, &Terms::default()).unwrap();
                    let send = respond.send_response(accepted.response, false).unwrap();
                    let session = Session::server(Options::default(), Instant::now());
                    let tunnel = Tunnel::new(receive, send);
                    echoes.push(Echo::new(Socket::new(session, tunnel, Bytes::new())));
                }
                Poll::Ready(_) => return Poll::Ready(()),
                // What the echoes said has to leave.
                Poll::Pending => match h2.poll_closed(cx) {
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    })
    .await;
    ends
}

/// The client's end, which the server's tunnel serves as well: its windows are as any.
async fn connect(client: &RefCell<SendRequest<Bytes>>) -> Socket<Tunnel> {
    let mut request = Request::connect("https://localhost/echo").version(Version::HTTP_2);
    request = request.header("sec-websocket-version", "13");
    request
        .extensions_mut()
        .unwrap()
        .insert(Protocol::from_static("websocket"));
    let sender = client.borrow().clone();
    let mut sender = sender.ready().await.unwrap();
    let (response, send) = sender
        .send_request(request.body(()).unwrap(), false)
        .unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    let session = Session::client(Options::default(), 7, Instant::now());
    let tunnel = Tunnel::new(response.into_body(), send);
    Socket::new(session, tunnel, Bytes::new())
}

/// Runs a client's part of a conversation, on a connection with an echo at the other end.
async fn with_echo(part: impl AsyncFnOnce(&RefCell<SendRequest<Bytes>>)) -> Vec<End> {
    let (near, far) = duplex(1 << 20);
    let serving = serve(near);
    let talking = async {
        let mut builder = client::Builder::new();
        builder.initial_connection_window_size(CONNECTION_WINDOW);
        let (sender, connection) = builder.handshake::<_, Bytes>(far).await.unwrap();
        let sender = RefCell::new(sender);
        let mut connection = pin!(connection);
        // The server's SETTINGS tell that it may be asked.
        poll_fn(|cx| {
            assert!(connection.as_mut().poll(cx).is_pending());
            if sender.borrow().is_extended_connect_protocol_enabled() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        let mut part = pin!(part(&sender));
        poll_fn(|cx| {
            // Polled after each other in one task, as a tunnel has to be.
            let _ = connection.as_mut().poll(cx);
            let done = part.as_mut().poll(cx);
            let _ = connection.as_mut().poll(cx);
            done
        })
        .await;
    };
    tokio::join!(serving, talking).0
}

async fn says(socket: &mut Socket<Tunnel>, text: &str) {
    assert!(socket.room().await);
    socket.send(&Frame::text(text)).unwrap();
    assert_eq!(socket.next().await, Some(Message::Text(text.to_owned())));
}

fn bye() -> Close {
    Close::new(CloseCode::NORMAL, "")
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_a_conversation() {
    let ends = with_echo(async |client| {
        let mut socket = connect(client).await;
        for text in ["one", "", &"long ".repeat(100_000), "two"] {
            says(&mut socket, text).await;
        }
        socket.close(&bye());
        assert_eq!(socket.ended().await, End::Closed(Some(bye())));
    })
    .await;
    assert_eq!(ends, [End::Closed(Some(bye()))]);
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_read_holds_up_itself_alone() {
    with_echo(async |client| {
        let mut stalled = connect(client).await;
        let mut lively = connect(client).await;
        // It asks for answers and takes none: they fill its window, and its questions the server's.
        let frame = Frame::binary(&[7; 10_000]);
        let mut asked = 0;
        for _ in 0..100 {
            if stalled.send(&frame).is_ok() {
                asked += 1;
            }
            poll_fn(|cx| Poll::Ready(stalled.poll_room(cx).is_ready())).await;
            says(&mut lively, "still here").await;
        }
        assert!((20..50).contains(&asked), "{asked}: it was held up");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_reset_is_cut() {
    let ends = with_echo(async |client| {
        let mut socket = connect(client).await;
        let mut other = connect(client).await;
        says(&mut socket, "hello").await;
        socket.transport_mut().send.send_reset(h2::Reason::CANCEL);
        says(&mut other, "unharmed").await;
        other.close(&bye());
        other.ended().await;
    })
    .await;
    assert_eq!(ends, [End::Cut, End::Closed(Some(bye()))]);
}

#[test]
fn small_frames_are_joined_and_large_ones_shared() {
    let pieces = ["ab", "cde", "f"].map(|piece| Bytes::from(piece.to_owned()));
    let output = VecDeque::from(pieces);
    assert_eq!(first(&output, 1).as_ptr(), output[0].as_ptr());
    for (length, expected) in [(1, "a"), (2, "ab"), (4, "abcd"), (6, "abcdef")] {
        assert_eq!(first(&output, length), expected);
    }
}
