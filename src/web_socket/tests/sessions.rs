//! One conversation in time: farewells, silence, stalls, floods, and what waits for a peer.

use std::time::Duration;

use tokio::time::Instant;

use super::super::close::{Close, CloseCode};
use super::super::frame::Frame;
use super::super::session::{
    CLOSE_WAIT_MAX, CONTROLS_A_SECOND_MAX, End, NotSent, Options, PIECE_WAIT_MAX, PING_INTERVAL,
    PONG_WAIT_MAX, STALL_MAX, Session,
};
use super::*;

/// A server's session with the clock in a test's hands.
struct Stage {
    session: Session,
    now: Instant,
}

impl Stage {
    fn new(options: Options) -> Self {
        let now = Instant::now();
        Self {
            session: Session::server(options, now),
            now,
        }
    }

    /// Lets time pass up to what is due, and does it; returns how long that was.
    fn pass(&mut self) -> Duration {
        let due = self.session.deadline().unwrap();
        let waited = due - self.now;
        self.now = due;
        self.session.tick(self.now);
        waited
    }

    fn hears(&mut self, bytes: &[u8]) -> Vec<Message> {
        let mut input = Bytes::copy_from_slice(bytes);
        std::iter::from_fn(|| self.session.receive(&mut input, self.now)).collect()
    }

    /// Sends all that waits; returns it in words.
    fn says(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        for bytes in self.session.output().clone() {
            said.extend_from_slice(&bytes);
            self.session.sent(bytes.len(), self.now);
        }
        told(&said)
    }
}

fn going_away() -> Close {
    Close::new(CloseCode::GOING_AWAY, "drained")
}

#[test]
fn an_idle_session_is_small() {
    // With 10,000 of them a kilobyte each is ten megabytes.
    assert!(
        size_of::<Session>() <= 512,
        "{} bytes",
        size_of::<Session>()
    );
    let mut stage = Stage::new(Options::default());
    stage.hears(&client_frame(0x81, &vec![b'a'; 100_000]));
    stage
        .session
        .send(&Frame::text("hello"), stage.now)
        .unwrap();
    stage.says();
    assert_eq!(
        stage.session.held_bytes(),
        0,
        "what was needed in between is given back"
    );
}

#[test]
fn a_quiet_peer_is_asked_and_then_given_up() {
    let mut stage = Stage::new(Options::default());
    assert_eq!(stage.pass(), PING_INTERVAL);
    assert_eq!(stage.says(), ["ping \"\""]);
    stage.now += PONG_WAIT_MAX / 2;
    stage.hears(&client_frame(0x8a, b""));
    assert_eq!(stage.pass(), PING_INTERVAL, "a pong is a sign of life");
    assert_eq!(stage.says(), ["ping \"\""]);
    stage.hears(&client_frame(0x81, b"still here"));
    assert_eq!(stage.pass(), PING_INTERVAL, "so is anything else");
    assert_eq!(stage.says(), ["ping \"\""]);
    assert_eq!(stage.pass(), PONG_WAIT_MAX);
    assert_eq!(stage.session.end(), Some(&End::Silent));
    assert_eq!(stage.session.deadline(), None);
}

#[test]
fn what_is_sent_is_no_sign_of_life() {
    let mut stage = Stage::new(Options::default());
    let mut waited = Duration::ZERO;
    while stage.session.end().is_none() {
        stage.session.send(&Frame::text("news"), stage.now).unwrap();
        stage.says();
        waited += stage.pass();
    }
    assert_eq!(stage.session.end(), Some(&End::Silent));
    assert_eq!(waited, PING_INTERVAL + PONG_WAIT_MAX);
}

#[test]
fn a_peer_that_takes_nothing_is_given_up() {
    let options = Options {
        output_bytes_max: 1000,
        ..Options::default()
    };
    let mut stage = Stage::new(options);
    let frame = Frame::binary(&[7; 600]);
    assert_eq!(stage.session.send(&frame, stage.now), Ok(()));
    assert_eq!(stage.session.send(&frame, stage.now), Ok(()));
    assert_eq!(stage.session.send(&frame, stage.now), Err(NotSent::Full));
    // It takes a little, which buys it time, though it is not heard meanwhile.
    for _ in 0..10 {
        stage.now += STALL_MAX / 2;
        stage.session.tick(stage.now);
        stage.session.sent(1, stage.now);
    }
    assert_eq!(stage.pass(), STALL_MAX);
    assert_eq!(stage.session.end(), Some(&End::Stalled));
    assert!(stage.session.output().is_empty(), "nothing is held for it");
}

#[test]
fn room_comes_back_as_bytes_leave() {
    let options = Options {
        output_bytes_max: 1000,
        ..Options::default()
    };
    let mut stage = Stage::new(options);
    let frame = Frame::binary(&[7; 2000]);
    stage.session.send(&frame, stage.now).unwrap();
    assert_eq!(
        stage.session.output()[0].as_ptr(),
        frame.bytes().as_ptr(),
        "shared, not copied"
    );
    assert!(!stage.session.has_room());
    stage.session.sent(1004, stage.now);
    assert!(!stage.session.has_room());
    stage.session.sent(1, stage.now);
    assert!(stage.session.has_room());
    assert_eq!(stage.session.output()[0].len(), 999);
}

#[test]
fn a_pong_goes_before_what_waits_and_never_into_a_frame() {
    let mut stage = Stage::new(Options::default());
    for text in ["one", "two", "three"] {
        stage.session.send(&Frame::text(text), stage.now).unwrap();
    }
    stage.session.sent(2, stage.now);
    stage.hears(&[client_frame(0x89, b"a"), client_frame(0x89, b"b")].concat());
    // The rest of "one", then the pongs.
    assert_eq!(&stage.session.output()[0][..], b"one");
    stage.session.sent(3, stage.now);
    stage.hears(&client_frame(0x89, b"c"));
    let said = stage.says();
    let expected = [
        "pong \"a\"",
        "pong \"b\"",
        "pong \"c\"",
        "text \"two\"",
        "text \"three\"",
    ];
    assert_eq!(said, expected);
}

#[test]
fn a_pong_that_has_begun_is_not_replaced() {
    let mut stage = Stage::new(Options::default());
    stage.hears(&client_frame(0x89, b"first"));
    let first = stage.session.output()[0].clone();
    stage.session.sent(1, stage.now);
    for n in 0..100 {
        stage.hears(&client_frame(0x89, format!("{n}").as_bytes()));
    }
    let mut said = first[..1].to_vec();
    said.extend(stage.session.output().iter().flatten());
    let said = told(&said);
    assert_eq!(said.len(), 17);
    assert_eq!(
        (&said[0][..], &said[16][..]),
        ("pong \"first\"", "pong \"99\"")
    );
}

#[test]
fn a_flood_of_pings_ends() {
    let mut stage = Stage::new(Options::default());
    for round in 0..3 {
        for _ in 0..CONTROLS_A_SECOND_MAX {
            stage.hears(&client_frame(0x89, b""));
        }
        assert!(stage.session.is_open(), "round {round}");
        stage.says();
        stage.now += Duration::from_secs(1);
    }
    for _ in 0..=CONTROLS_A_SECOND_MAX {
        stage.hears(&client_frame(0x8a, b""));
    }
    assert_eq!(stage.says(), ["close 1008"]);
    stage.session.receive_end();
    assert_eq!(stage.session.end(), Some(&End::Failed(Error::ControlFlood)));
}

#[test]
fn a_message_is_gone_on_with_or_given_up() {
    let mut stage = Stage::new(Options::default());
    stage.hears(&client_frame(0x01, b"begun"));
    // Pings keep the connection, not the message.
    for _ in 0..4 {
        stage.now += PIECE_WAIT_MAX / 5;
        stage.hears(&client_frame(0x89, b""));
        stage.session.tick(stage.now);
    }
    stage.says();
    assert!(stage.session.is_open());
    assert_eq!(stage.pass(), PIECE_WAIT_MAX / 5);
    assert_eq!(stage.says(), ["close 1008"]);
    assert_eq!(stage.session.held_bytes(), 0);
}

#[test]
fn a_farewell_is_answered_and_the_stream_ended() {
    let mut stage = Stage::new(Options::default());
    stage
        .session
        .send(&Frame::text("queued before"), stage.now)
        .unwrap();
    stage.session.close(&going_away(), stage.now);
    assert_eq!(
        stage.session.send(&Frame::text("late"), stage.now),
        Err(NotSent::Closed)
    );
    stage.session.close(&going_away(), stage.now);
    assert_eq!(stage.says(), ["text \"queued before\"", "close 1001"]);
    assert!(
        !stage.session.ends_stream(),
        "not before the peer has answered"
    );
    // What it had sent before it heard of it is not lost.
    assert_eq!(
        stage.hears(&client_frame(0x81, b"crossing")),
        [Message::Text("crossing".into())]
    );
    assert_eq!(stage.hears(&client_frame(0x89, b"")), []);
    assert_eq!(stage.hears(&client_frame(0x88, b"\x03\xe9")), []);
    assert!(stage.says().is_empty(), "nothing follows a farewell");
    assert!(stage.session.ends_stream());
    assert_eq!(stage.session.end(), None);
    stage.session.ended_stream();
    let answered = End::Closed(Some(Close::new(CloseCode::GOING_AWAY, "")));
    assert_eq!(stage.session.end(), Some(&answered));
}

#[test]
fn a_farewell_is_not_waited_on_for_ever() {
    let mut stage = Stage::new(Options::default());
    stage.session.close(&going_away(), stage.now);
    stage.says();
    stage.now += CLOSE_WAIT_MAX / 2;
    stage.hears(&client_frame(0x81, b"I go on talking"));
    assert_eq!(stage.pass(), CLOSE_WAIT_MAX / 2);
    assert_eq!(stage.session.end(), Some(&End::Unanswered));
    // A farewell that the peer began, and whose answer it does not take.
    let mut stage = Stage::new(Options::default());
    stage.hears(&client_frame(0x88, b""));
    assert_eq!(stage.pass(), CLOSE_WAIT_MAX);
    assert_eq!(stage.session.end(), Some(&End::Closed(None)));
}

#[test]
fn a_peer_that_broke_a_rule_is_told_and_not_heard() {
    let mut stage = Stage::new(Options::default());
    let bytes = [
        client_frame(0x81, b"good"),
        vec![0x83],
        client_frame(0x81, b"unheard"),
    ]
    .concat();
    assert_eq!(stage.hears(&bytes), [Message::Text("good".into())]);
    assert!(!stage.session.is_open());
    assert_eq!(stage.says(), ["close 1002"]);
    assert!(stage.session.ends_stream());
    stage.session.ended_stream();
    assert_eq!(
        stage.session.end(),
        None,
        "what it still sends is taken, so that it is told"
    );
    assert_eq!(stage.hears(&[0; 1000]), []);
    stage.session.receive_end();
    assert_eq!(stage.session.end(), Some(&End::Failed(Error::Opcode(3))));
}

#[test]
fn a_stream_that_just_ends_is_cut() {
    for is_closing in [false, true] {
        let mut stage = Stage::new(Options::default());
        if is_closing {
            stage.session.close(&going_away(), stage.now);
        }
        stage.hears(&client_frame(0x01, b"half a "));
        stage.session.receive_end();
        assert_eq!(stage.session.end(), Some(&End::Cut));
        assert_eq!(stage.session.held_bytes(), 0);
    }
}
