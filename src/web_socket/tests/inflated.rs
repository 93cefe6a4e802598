//! permessage-deflate: RFC 7692.

use http::{HeaderMap, HeaderValue, header};
use proptest::prelude::*;

use super::super::broadcast::Broadcast;
use super::super::deflate::{DEFLATE_BYTES_MIN, Deflate, deflate, inflate};
use super::*;

const MAX: usize = 1 << 20;

#[track_caller]
fn check_offer(offers: &[&'static str], expected: Option<&str>) {
    let mut headers = HeaderMap::new();
    for offer in offers {
        let offer = HeaderValue::from_static(offer);
        headers.append(header::SEC_WEBSOCKET_EXTENSIONS, offer);
    }
    let answer = Deflate::choose(&headers).map(Deflate::answer);
    assert_eq!(answer.as_deref(), expected, "{offers:?}");
}

fn agreed(offer: &'static str) -> Deflate {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::SEC_WEBSOCKET_EXTENSIONS,
        HeaderValue::from_static(offer),
    );
    Deflate::choose(&headers).unwrap()
}

#[test]
fn offers_are_taken_with_both_sides_forgetting() {
    const PLAIN: &str =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    for offer in [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=8",
        "permessage-deflate; client_max_window_bits=\"15\"",
        "permessage-deflate;server_no_context_takeover;client_no_context_takeover",
        "x-other; a=\"permessage-deflate, \\\"\", Permessage-Deflate",
    ] {
        check_offer(&[offer], Some(PLAIN));
    }
    check_offer(
        &["x-webkit-deflate-frame", "permessage-deflate"],
        Some(PLAIN),
    );
    for bits in ["8", "9", "10", "15"] {
        let offer: &'static str =
            Box::leak(format!("permessage-deflate; server_max_window_bits={bits}").into());
        check_offer(
            &[offer],
            Some(&format!("{PLAIN}; server_max_window_bits={bits}")),
        );
    }
    for bad in [
        "",
        "permessage-bzip2",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; unheard_of",
    ] {
        check_offer(&[bad], None);
    }
    // The first that can be kept.
    check_offer(
        &["permessage-deflate; unheard_of, permessage-deflate; server_max_window_bits=10"],
        Some(&format!("{PLAIN}; server_max_window_bits=10")),
    );
}

#[test]
fn the_examples_of_the_standard_are_inflated() {
    // RFC 7692 section 7.2.3: one block, two of them, stored, final, flushed in mid message.
    for (payload, expected) in [
        (&b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..], "Hello"),
        (b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "Hello"),
        (b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello"),
        (
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
            "Hello",
        ),
        (b"\x00", ""),
    ] {
        assert_eq!(inflate(payload, MAX), Ok(expected.into()), "{payload:x?}");
        for first in [0xc1, 0x41] {
            let (one, two) = payload.split_at(if first == 0xc1 { payload.len() } else { 1 });
            let mut frames = client_frame(first, one);
            if first == 0x41 {
                frames.extend(client_frame(0x80, two));
            }
            let mut decoder = Decoder::new(Role::Client, MAX, true);
            assert_eq!(
                read_all(&mut decoder, &frames, 2),
                (vec![text(expected)], None)
            );
        }
    }
}

#[test]
fn what_is_no_compressed_message_is_refused() {
    for payload in [
        &b""[..],
        b"\x07",
        b"\xff\xff\xff",
        // A stored block of five bytes, of which three have come.
        b"\x00\x05\x00\xfa\xff\x48\x65\x6c",
        // "Hello", cut.
        b"\xf2\x48\xcd",
        // A distance before the beginning.
        b"\x4b\x04\x82\x00",
    ] {
        assert_eq!(inflate(payload, MAX), Err(Error::Deflate), "{payload:x?}");
    }
    let frame = client_frame(0xc1, b"\x02\x01\x00\xfe\xff\xff\x00");
    let (_, error) = read_all(&mut Decoder::new(Role::Client, MAX, true), &frame, 9);
    assert!(
        matches!(error, Some(Error::Text | Error::Deflate)),
        "{error:?}"
    );
}

#[test]
fn a_bomb_goes_off_at_the_limit() {
    let bomb = deflate(&vec![0; 64 << 20]).unwrap();
    assert!(bomb.len() < 100_000);
    assert_eq!(inflate(&bomb, MAX), Err(Error::TooBig(MAX)));
    let exact = deflate(&vec![7; MAX]).unwrap();
    assert_eq!(inflate(&exact, MAX).map(|bytes| bytes.len()), Ok(MAX));
    assert_eq!(inflate(&exact, MAX - 1), Err(Error::TooBig(MAX - 1)));
    let frame = client_frame(0xc2, &bomb);
    let (_, error) = read_all(&mut Decoder::new(Role::Client, MAX, true), &frame, 4096);
    assert_eq!(error, Some(Error::TooBig(MAX)));
}

#[test]
fn one_compressed_frame_serves_every_window() {
    let payload = "all the same ".repeat(100);
    let message = Broadcast::text(&payload);
    let plain = message.frame(None);
    let wide = message.frame(Some(agreed("permessage-deflate")));
    assert!(wide.bytes().len() * 10 < plain.bytes().len());
    assert_eq!(told(wide.bytes()), told(plain.bytes()));
    let narrow = message.frame(Some(agreed(
        "permessage-deflate; server_max_window_bits=11",
    )));
    assert_eq!(
        narrow.bytes().as_ptr(),
        wide.bytes().as_ptr(),
        "made once, shared"
    );
    // 1,300 bytes do not fit in a window of 1,024.
    let tight = message.frame(Some(agreed(
        "permessage-deflate; server_max_window_bits=10",
    )));
    assert_eq!(tight.bytes().as_ptr(), plain.bytes().as_ptr());
}

#[test]
fn what_gains_nothing_is_sent_as_it_is() {
    let agreed = agreed("permessage-deflate");
    // Noise, which no compressor shortens.
    let mut noise = [0; 4000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    for payload in [&b""[..], b"short", &[b'a'; DEFLATE_BYTES_MIN - 1], &noise] {
        let message = Broadcast::binary(payload);
        assert_eq!(message.frame(Some(agreed)), message.frame(None));
    }
}

proptest! {
    #[test]
    fn what_is_deflated_is_inflated(
        word in prop::collection::vec(any::<u8>(), 1..30),
        times in 1_usize..400,
    ) {
        let payload = word.repeat(times);
        if let Some(deflated) = deflate(&payload) {
            prop_assert!(deflated.len() < payload.len());
            prop_assert_eq!(inflate(&deflated, payload.len()), Ok(payload));
        }
    }

    #[test]
    fn nothing_inflates_beyond_its_limit(payload in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(inflated) = inflate(&payload, 500) {
            prop_assert!(inflated.len() <= 500);
        }
    }
}
