//! Files that change while they are served.

use super::*;
use crate::tls::files::Stamp;

/// Serves one pair and has another at hand.
fn serving() -> (Place, Tls, Issued) {
    let first = issued();
    let place = Place::with(first.chain(), first.key());
    let tls = place.open().unwrap();
    (place, tls, issued())
}

#[track_caller]
fn refresh(place: &Place, tls: &Tls, expected: &str) {
    assert_eq!(outcome(place, tls.refresh(now())), expected);
}

const WRONG_PAIR: &str = "kept: the key in `key.pem` is not that of the certificate in `cert.pem`: \
    give the pair that was issued together; `openssl pkey -in key.pem -pubout` and `openssl x509 \
    -in cert.pem -noout -pubkey` must print the same";

#[test]
fn files_that_only_look_new_change_nothing() {
    let (place, tls, _) = serving();
    refresh(&place, &tls, "unchanged");
    place.put("cert.pem", place.read("cert.pem"));
    refresh(&place, &tls, "unchanged");
    // Another spelling of the same certificate.
    place.put("cert.pem", [b"x\n", &place.read("cert.pem")[..]].concat());
    refresh(&place, &tls, "unchanged");
}

#[test]
fn a_pair_that_is_replaced_in_two_steps_raises_no_alarm() {
    let (place, tls, next) = serving();
    place.put("cert.pem", next.chain());
    refresh(&place, &tls, "unchanged");
    place.put("key.pem", next.key());
    refresh(&place, &tls, "reloaded");
    refresh(&place, &tls, "unchanged");
}

#[test]
fn a_bad_pair_keeps_the_old_one_and_is_said_once() {
    let (place, tls, next) = serving();
    let before = tls.describe();
    place.put("cert.pem", next.chain());
    refresh(&place, &tls, "unchanged");
    refresh(&place, &tls, WRONG_PAIR);
    refresh(&place, &tls, "unchanged");
    assert_eq!(tls.describe(), before);
    place.put("key.pem", next.key());
    refresh(&place, &tls, "reloaded");
    assert_ne!(tls.describe(), before);
}

#[test]
fn files_that_vanish_are_missed_and_found_again() {
    let (place, tls, next) = serving();
    fs::remove_file(place.path("key.pem")).unwrap();
    refresh(&place, &tls, "unchanged");
    refresh(
        &place,
        &tls,
        "kept: cannot read `key.pem`: No such file or directory (os error 2): give the path of an \
         existing PEM file",
    );
    place.put("cert.pem", next.chain());
    place.put("key.pem", next.key());
    refresh(&place, &tls, "reloaded");
}

#[test]
fn whoever_asks_for_a_reload_is_answered_every_time() {
    let (place, tls, next) = serving();
    assert_eq!(outcome(&place, tls.reload(now())), "unchanged");
    place.put("cert.pem", next.chain());
    assert_eq!(outcome(&place, tls.reload(now())), WRONG_PAIR);
    assert_eq!(outcome(&place, tls.reload(now())), WRONG_PAIR);
    // Said already: the next look has nothing to add.
    refresh(&place, &tls, "unchanged");
    place.put("key.pem", next.key());
    assert_eq!(outcome(&place, tls.reload(now())), "reloaded");
}

#[test]
fn the_stamp_of_a_young_file_is_not_believed() {
    let place = Place::with("", "");
    let file = place.path("cert.pem");
    fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(now())
        .unwrap();
    let is_settled = |age| {
        Stamp::of(&file, now() + Duration::from_millis(age))
            .unwrap()
            .is_settled()
    };
    assert!(!is_settled(0));
    assert!(!is_settled(1999));
    assert!(is_settled(2000));
}
