//! What RFC 7541 demands of who decodes header blocks: a row for each rule. How a table is read
//! stands in `rfc9113`.

use crate::raw::{COMPRESSION_ERROR, GET, request};
use crate::rfc9113::Due::{Answer, Vague};
use crate::rfc9113::{check, rows};

/// `custom-key`, plain and Huffman coded, and `custom-value` (RFC 7541 appendix C).
const NAME: &[u8] = b"\x0acustom-key";
const NAME_CODED: &[u8] = b"\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f";
const VALUE: &[u8] = b"\x0ccustom-value";
const VALUE_CODED: &[u8] = b"\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf";

/// A GET of `/`, with these bytes at the end of its block.
fn ending(parts: &[&[u8]]) -> Vec<u8> {
    request(1, &[GET, &parts.concat()].concat())
}

/// A GET of `/`, with these bytes at the beginning of its block.
fn beginning(bytes: &[u8]) -> Vec<u8> {
    request(1, &[bytes, GET].concat())
}

#[tokio::test(start_paused = true)]
async fn every_representation_is_read() {
    check(rows! {
        "6.1 an indexed field of the static table":
            ending(&[b"\xba"]) => Answer(1);
        "6.1 an indexed field of the dynamic table":
            ending(&[b"\x40", NAME, VALUE, b"\xbe"]) => Answer(1);
        "6.2.1 a literal that is indexed, its name too":
            ending(&[b"\x7a", VALUE]) => Answer(1);
        "6.2.1 coded":
            ending(&[b"\x7a", VALUE_CODED]) => Answer(1);
        "6.2.1 a literal that is indexed, its name new":
            ending(&[b"\x40", NAME, VALUE]) => Answer(1);
        "6.2.1 both coded":
            ending(&[b"\x40", NAME_CODED, VALUE_CODED]) => Answer(1);
        "6.2.2 a literal that is not indexed, its name is":
            ending(&[b"\x0f\x2b", VALUE]) => Answer(1);
        "6.2.2 coded":
            ending(&[b"\x0f\x2b", VALUE_CODED]) => Answer(1);
        "6.2.2 a literal that is not indexed, its name new":
            ending(&[b"\x00", NAME, VALUE]) => Answer(1);
        "6.2.2 both coded":
            ending(&[b"\x00", NAME_CODED, VALUE_CODED]) => Answer(1);
        "6.2.3 a literal that is never indexed, its name is":
            ending(&[b"\x1f\x2b", VALUE]) => Answer(1);
        "6.2.3 coded":
            ending(&[b"\x1f\x2b", VALUE_CODED]) => Answer(1);
        "6.2.3 a literal that is never indexed, its name new":
            ending(&[b"\x10", NAME, VALUE]) => Answer(1);
        "6.2.3 both coded":
            ending(&[b"\x10", NAME_CODED, VALUE_CODED]) => Answer(1);
        "6.3 a smaller table":
            beginning(b"\x3f\x61") => Answer(1);
        "4.2 a smaller table, and then one as large as before":
            beginning(b"\x3f\x61\x3f\xe1\x1f") => Answer(1);
    })
    .await;
}

/// RFC 9113 section 4.3: it is an error of the connection, as its table can no longer be known.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_decoded_ends_the_connection() {
    check(rows! {
        "2.3.3 an index outside both tables":
            ending(&[b"\xc6"]) => Vague(COMPRESSION_ERROR);
        "2.3.3 the same of a literal's name":
            ending(&[b"\x7f\x07", b"\x00"]) => Vague(COMPRESSION_ERROR);
        "6.1 index 0":
            ending(&[b"\x80"]) => Vague(COMPRESSION_ERROR);
        "4.2 a size of the table at the end":
            ending(&[b"\x21"]) => Vague(COMPRESSION_ERROR);
        "6.3 a table larger than allowed":
            beginning(b"\x3f\xe2\x1f") => Vague(COMPRESSION_ERROR);
        "5.1 an integer that never ends":
            ending(&[b"\xff", &[0xff; 12], b"\x01"]) => Vague(COMPRESSION_ERROR);
        "5.2 a string longer than its block":
            ending(&[b"\x00\x7f\x20", NAME]) => Vague(COMPRESSION_ERROR);
        "5.2 padding longer than 7 bits":
            ending(&[b"\x00", NAME, b"\x8a", &VALUE_CODED[1..], b"\xff"])
            => Vague(COMPRESSION_ERROR);
        "5.2 padding that is not ones: an `a`, and three zeros":
            ending(&[b"\x00", NAME, b"\x81\x18"]) => Vague(COMPRESSION_ERROR);
        "5.2 the symbol for the end of a string":
            ending(&[b"\x00", NAME, b"\x84\xff\xff\xff\xff"]) => Vague(COMPRESSION_ERROR);
    })
    .await;
}
