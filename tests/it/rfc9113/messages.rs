//! Messages: which requests are answered, and which are malformed (section 8).

use super::{Answer, END_STREAM, Goaway, Reset, check, data, headers, open_post};
use crate::raw::{GET, HEADED, POST, PROTOCOL_ERROR, WHOLE, field, request};

/// The pseudo-header fields of a GET of `/`, each by itself.
const METHOD: &[u8] = b"\x82";
const PATH: &[u8] = b"\x84";
const SCHEME: &[u8] = b"\x87";
const AUTHORITY: &[u8] = b"\x01\x09localhost";

/// A GET of `/` with another field.
fn get_with(name: &str, value: &str) -> Vec<u8> {
    request(1, &[GET, &field(name, value)].concat())
}

/// A GET of nothing but these fields.
fn get_of(fields: &[&[u8]]) -> Vec<u8> {
    request(1, &fields.concat())
}

/// A POST that says how long its body is.
fn post_of(length: &str) -> Vec<u8> {
    headers(
        HEADED,
        1,
        &[POST, &field("content-length", length)].concat(),
    )
}

/// Trailers: a second block of a stream, which ends it.
fn trailers(block: &[u8]) -> Vec<u8> {
    headers(WHOLE, 1, block)
}

#[tokio::test(start_paused = true)]
async fn requests_are_answered() {
    let head = [b"\x02\x04HEAD", PATH, SCHEME, AUTHORITY].concat();
    check(rows! {
        "8.1 GET": request(1, GET) => Answer(1);
        "8.1 HEAD": request(1, &head) => Answer(1);
        "8.1 POST": open_post(1), data(END_STREAM, 1, b"body") => Answer(1);
        "8.1 POST with trailers":
            headers(HEADED, 1, &[POST, &field("trailer", "x-sum")].concat()),
            data(0, 1, b"body"), trailers(&field("x-sum", "1")) => Answer(1);
        "8.1 POST with trailers and no body":
            open_post(1), trailers(&field("x-sum", "1")) => Answer(1);
        "8.1 POST with trailers that hold nothing":
            open_post(1), data(0, 1, b"body"), trailers(b"") => Answer(1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn fields_are_well_formed() {
    check(rows! {
        "8.2.1 a name in upper case":
            get_with("X-Test", "x") => Goaway(PROTOCOL_ERROR);
        "8.2.2 a field of the connection's":
            get_with("connection", "keep-alive") => Reset(PROTOCOL_ERROR);
        "8.2.2 Transfer-Encoding":
            get_with("transfer-encoding", "chunked") => Reset(PROTOCOL_ERROR);
        "8.2.2 TE other than trailers":
            get_with("te", "trailers, deflate") => Reset(PROTOCOL_ERROR);
        "8.2.2 TE: trailers":
            get_with("te", "trailers") => Answer(1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn pseudo_header_fields_are_whole_and_first() {
    let empty_path = field(":path", "");
    check(rows! {
        "8.3 one that nobody knows":
            get_with(":test", "x") => Goaway(PROTOCOL_ERROR);
        "8.3 one of a response":
            get_with(":status", "200") => Reset(PROTOCOL_ERROR);
        "8.3 behind another field":
            get_of(&[&field("x", "y"), METHOD, PATH, SCHEME, AUTHORITY]) => Reset(PROTOCOL_ERROR);
        "8.3 one of them behind another field":
            get_of(&[METHOD, SCHEME, AUTHORITY, &field("x", "y"), PATH]) => Reset(PROTOCOL_ERROR);
        "8.3.1 an empty path":
            get_of(&[METHOD, &empty_path, SCHEME, AUTHORITY]) => Reset(PROTOCOL_ERROR);
        "8.3.1 no method": get_of(&[PATH, SCHEME, AUTHORITY]) => Reset(PROTOCOL_ERROR);
        "8.3.1 no scheme": get_of(&[METHOD, PATH, AUTHORITY]) => Reset(PROTOCOL_ERROR);
        "8.3.1 no path": get_of(&[METHOD, SCHEME, AUTHORITY]) => Reset(PROTOCOL_ERROR);
        "8.3.1 two methods": get_of(&[GET, METHOD]) => Reset(PROTOCOL_ERROR);
        "8.3.1 two schemes": get_of(&[GET, SCHEME]) => Reset(PROTOCOL_ERROR);
        "8.3.1 two paths": get_of(&[GET, PATH]) => Reset(PROTOCOL_ERROR);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn bodies_are_what_was_said_of_them() {
    check(rows! {
        "8.1.1 a body as long as it says":
            post_of("4"), data(END_STREAM, 1, b"body") => Answer(1);
        "8.1.1 a longer one":
            post_of("1"), data(END_STREAM, 1, b"body") => Reset(PROTOCOL_ERROR);
        "8.1.1 a longer one, in pieces":
            post_of("1"), data(0, 1, b"bo"), data(END_STREAM, 1, b"dy") => Reset(PROTOCOL_ERROR);
        "8.1.1 a shorter one":
            post_of("1"), data(END_STREAM, 1, b"") => Reset(PROTOCOL_ERROR);
        "8.1.1 a shorter one, ended by trailers":
            post_of("1"), trailers(&field("x", "y")) => Reset(PROTOCOL_ERROR);
        "8.1.1 none at all":
            request(1, &[POST, &field("content-length", "1")].concat()) => Reset(PROTOCOL_ERROR);
        "8.1 a second block that ends nothing":
            open_post(1), data(0, 1, b"body"), headers(HEADED, 1, &field("x", "y"))
            => Reset(PROTOCOL_ERROR);
        "8.1 nor with a pseudo-header field":
            open_post(1), data(0, 1, b"body"), headers(HEADED, 1, METHOD)
            => Reset(PROTOCOL_ERROR);
    })
    .await;
}

/// Not kept: trailers with a pseudo-header field are malformed (section 8.1), and here such a
/// request is answered. `h2` drops the field before it hands trailers out, in `recv_trailers`, and
/// who sees the frames beside it could only count fields, or decode every block of the connection a
/// second time. Nothing here reads trailers, nor passes them on, so nothing can be made of it.
#[tokio::test(start_paused = true)]
async fn pseudo_header_fields_in_trailers_are_passed_over() {
    let with_body = |block: &[u8]| [open_post(1), data(0, 1, b"body"), trailers(block)].concat();
    check(rows! {
        "8.1 one of a request": with_body(METHOD) => Answer(1);
        "8.1 all of them": with_body(GET) => Answer(1);
        "8.1 before others": with_body(&[METHOD, &field("x", "y")].concat()) => Answer(1);
        "8.1 one of a response": with_body(&field(":status", "200")) => Answer(1);
        "8.3 but not behind others":
            with_body(&[&field("x", "y"), METHOD].concat()) => Reset(PROTOCOL_ERROR);
        "8.3 nor twice":
            with_body(&[METHOD, METHOD].concat()) => Reset(PROTOCOL_ERROR);
        "8.3 nor one that nobody knows":
            with_body(&field(":test", "x")) => Goaway(PROTOCOL_ERROR);
    })
    .await;
}
