//! The local authority: minted, kept, renewed, and limited.

use super::*;
use std::os::unix::fs::symlink;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

fn leaf(tls: &Tls) -> String {
    tls.describe().unwrap().leaf.sha256
}

fn authority(tls: &Tls) -> String {
    tls.describe().unwrap().authority.unwrap().sha256
}

#[track_caller]
fn with_authority<T>(place: &Place, look: impl FnOnce(&X509Certificate<'_>) -> T) -> T {
    let pem = place.read("certs/authority.pem");
    let der = rustls_pemfile::certs(&mut &pem[..])
        .next()
        .unwrap()
        .unwrap();
    look(&x509_parser::parse_x509_certificate(&der).unwrap().1)
}

#[test]
fn everything_is_minted_where_nothing_was() {
    let place = Place::empty();
    let tls = place.open_local(&["DevBox.", "devbox", "[fd00::7]", "0.0.0.0"], now());
    let mut files: Vec<_> = fs::read_dir(place.path("certs"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o077;
            let kind = if mode == 0 { "private" } else { "public" };
            format!("{} {kind}", entry.file_name().display())
        })
        .collect();
    files.sort();
    insta::assert_snapshot!(files.join("\n"), @"
        .gitignore public
        .lock private
        authority.key private
        authority.pem public
        leaf.key private
        leaf.pem public
        ");
    insta::assert_snapshot!(String::from_utf8(place.read("certs/.gitignore")).unwrap(), @"
        # Keys stay here.
        *
        !.gitignore
        ");
    assert_eq!(tls.authority(), Some(&*place.path("certs/authority.pem")));
    assert_eq!(place.warnings(&tls), "");

    let description = tls.describe().unwrap();
    assert_eq!(
        description.leaf.names,
        ["localhost", "127.0.0.1", "::1", "devbox", "fd00::7"]
    );
    let life = |facts: &crate::tls::Facts| facts.until.duration_since(facts.from).unwrap();
    assert!(life(&description.leaf) < days(397));
    assert!(life(description.authority.as_ref().unwrap()) > days(3650));
    for host in ["localhost", "127.0.0.1", "[::1]", "devbox", "[fd00::7]"] {
        assert!(tls.covers(host), "{host}");
    }
    assert!(!tls.covers("elsewhere"));
}

#[test]
fn the_authority_may_sign_for_nobody_else() {
    let place = Place::empty();
    place.open_local(&["devbox.example.com", "203.0.113.9", "2001:db8::9"], now());
    let permitted = with_authority(&place, |authority| {
        let constraints = authority.name_constraints().unwrap().unwrap();
        assert!(constraints.critical);
        let basic = authority.basic_constraints().unwrap().unwrap();
        assert_eq!(
            (basic.value.ca, basic.value.path_len_constraint),
            (true, Some(0))
        );
        let permitted = constraints.value.permitted_subtrees.as_ref().unwrap();
        permitted
            .iter()
            .map(|tree| match tree.base {
                GeneralName::DNSName(name) => name.to_owned(),
                GeneralName::IPAddress(bytes) => {
                    let (base, mask) = bytes.split_at(bytes.len() / 2);
                    let bits: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
                    format!("{}/{bits}", crate::tls::identity::address(base).unwrap())
                }
                ref other => other.to_string(),
            })
            .collect::<Vec<_>>()
            .join("\n")
    });
    insta::assert_snapshot!(permitted, @"
        localhost
        test
        local
        home.arpa
        internal
        lan
        home
        localdomain
        127.0.0.0/8
        10.0.0.0/8
        172.16.0.0/12
        192.168.0.0/16
        169.254.0.0/16
        100.64.0.0/10
        ::1/128
        fe80::/10
        fc00::/7
        devbox.example.com
        203.0.113.9/32
        2001:db8::/64
        ");
}

#[test]
fn what_is_there_is_used_again() {
    let place = Place::empty();
    let first = place.open_local(&["devbox"], now());
    fs::write(place.path("certs/.gitignore"), "mine").unwrap();
    let files = [
        "authority.pem",
        "authority.key",
        "leaf.pem",
        "leaf.key",
        ".gitignore",
    ];
    let read = || files.map(|file| place.read(&format!("certs/{file}")));
    let before = read();
    // Fewer names are covered as well, and the key of the authority may be locked away.
    let again = place.open_local(&[], now() + days(200));
    assert_eq!((leaf(&again), read()), (leaf(&first), before));
    fs::remove_file(place.path("certs/authority.key")).unwrap();
    let again = place.open_local(&[], now() + days(200));
    assert_eq!(leaf(&again), leaf(&first));
}

#[test]
fn the_leaf_is_renewed_after_two_thirds_of_its_life() {
    let place = Place::empty();
    let tls = place.open_local(&[], now());
    let (root, first) = (authority(&tls), leaf(&tls));
    assert_eq!(outcome(&place, tls.refresh(now() + days(264))), "unchanged");
    assert_eq!(outcome(&place, tls.refresh(now() + days(265))), "reloaded");
    assert_eq!(outcome(&place, tls.refresh(now() + days(265))), "unchanged");
    assert_eq!(authority(&tls), root);
    assert_ne!(leaf(&tls), first);
    // A start does the same, long after the leaf's end too.
    let tls = place.open_local(&[], now() + days(1000));
    assert_eq!(
        (authority(&tls), place.warnings(&tls)),
        (root, String::new())
    );
}

#[test]
fn a_renewal_that_fails_is_tried_again_later() {
    let place = Place::empty();
    let tls = place.open_local(&[], now());
    fs::remove_dir_all(place.path("certs")).unwrap();
    fs::write(place.path("certs"), "").unwrap();
    let due = now() + days(300);
    let failure = "kept: cannot write `certs`, where the local certificate belongs: File exists \
        (os error 17): let this user write there, or give a certificate with --certificate and \
        --key";
    assert_eq!(outcome(&place, tls.refresh(due)), failure);
    let missed = outcome(&place, tls.refresh(due));
    assert_eq!(missed, "unchanged");
    fs::remove_file(place.path("certs")).unwrap();
    assert_eq!(
        outcome(&place, tls.refresh(due + Duration::from_hours(1))),
        "reloaded"
    );
}

#[test]
fn another_name_takes_another_leaf_of_the_same_authority() {
    let place = Place::empty();
    let first = place.open_local(&[], now());
    let second = place.open_local(&["192.168.1.7"], now());
    assert_eq!(authority(&first), authority(&second));
    assert!(second.covers("192.168.1.7"));
    // The first process takes the wider leaf over, and the second does not quarrel with a narrower.
    assert_eq!(outcome(&place, first.refresh(now())), "reloaded");
    assert!(first.covers("192.168.1.7"));
    fs::remove_file(place.path("certs/leaf.pem")).unwrap();
    place.open_local(&[], now());
    for _ in 0..3 {
        assert_eq!(outcome(&place, second.refresh(now())), "unchanged");
    }
    assert!(second.covers("192.168.1.7"));
}

#[test]
fn files_that_vanish_while_served_are_missed() {
    let place = Place::empty();
    let tls = place.open_local(&[], now());
    fs::remove_dir_all(place.path("certs")).unwrap();
    assert_eq!(outcome(&place, tls.refresh(now())), "unchanged");
    assert!(outcome(&place, tls.refresh(now())).starts_with("kept: cannot read `certs/"));
    assert_eq!(outcome(&place, tls.refresh(now())), "unchanged");
    assert!(tls.covers("localhost"));
}

/// Damages a fresh directory, opens it again, and returns what is said.
#[track_caller]
fn after(damage: impl FnOnce(&Place), same_authority: bool) -> String {
    let place = Place::empty();
    let first = place.open_local(&[], now());
    damage(&place);
    let second = place.open_local(&[], now());
    assert_eq!(authority(&first) == authority(&second), same_authority);
    assert_ne!(leaf(&first), leaf(&second));
    assert!(second.covers("localhost"));
    assert_eq!(
        place.warnings(&place.open_local(&[], now())),
        "",
        "said only once"
    );
    place.warnings(&second)
}

#[test]
fn a_damaged_file_is_minted_anew_and_said() {
    let empty = |file: &'static str| move |place: &Place| place.put(&format!("certs/{file}"), "");
    let remove = |file: &'static str| {
        move |place: &Place| fs::remove_file(place.path(&format!("certs/{file}"))).unwrap()
    };
    insta::assert_snapshot!(after(empty("leaf.pem"), true), @"\
        the certificate in `certs` was damaged: minted a new one");
    insta::assert_snapshot!(after(empty("leaf.key"), true), @"\
        the certificate in `certs` was damaged: minted a new one");
    assert_eq!(after(remove("leaf.key"), true), "");
    insta::assert_snapshot!(after(empty("authority.pem"), false), @"\
        minted a new local authority, `certs/authority.pem`, to be trusted anew: \
        `certs/authority.pem` was damaged");
    assert_eq!(after(remove("authority.pem"), false), "");
    let both = |place: &Place| {
        empty("leaf.pem")(place);
        empty("authority.key")(place);
    };
    insta::assert_snapshot!(after(both, false), @"\
        minted a new local authority, `certs/authority.pem`, to be trusted anew: \
        `certs/authority.key` was damaged");
    let lost = |place: &Place| {
        remove("leaf.pem")(place);
        remove("authority.key")(place);
    };
    insta::assert_snapshot!(after(lost, false), @"\
        minted a new local authority, `certs/authority.pem`, to be trusted anew: \
        `certs/authority.key` was missing");
    let strange = |place: &Place| {
        empty("leaf.pem")(place);
        place.put("certs/authority.key", issued().key());
    };
    insta::assert_snapshot!(after(strange, false), @"\
        minted a new local authority, `certs/authority.pem`, to be trusted anew: \
        `certs/authority.key` was not its key");
    // The authority of someone else, and a leaf of the one before.
    let replaced = |place: &Place| {
        let other = Place::empty();
        other.open_local(&[], now());
        for file in ["certs/authority.pem", "certs/authority.key"] {
            place.put(file, other.read(file));
        }
    };
    assert_eq!(after(replaced, false), "");
    // A server's certificate in the authority's place signs nothing.
    let leaf = |place: &Place| {
        place.put("certs/authority.pem", place.read("certs/leaf.pem"));
        place.put("certs/authority.key", place.read("certs/leaf.key"));
        empty("leaf.key")(place);
    };
    insta::assert_snapshot!(after(leaf, false), @"\
        minted a new local authority, `certs/authority.pem`, to be trusted anew: \
        `certs/authority.pem` was a server's certificate");
}

#[test]
fn an_authority_that_ends_is_replaced_and_said() {
    let place = Place::empty();
    let first = place.open_local(&[], now());
    let near = now() + days(3630);
    let tls = place.open_local(&[], near);
    assert_eq!(authority(&tls), authority(&first));
    insta::assert_snapshot!(place.spell(&tls.warnings(near).join("\n")), @"\
        the authority `certs/authority.pem` ends on 2037-01-12 08:00 UTC: a new one is minted \
        then, to be trusted anew");
    let ended = now() + days(3650);
    let tls = place.open_local(&[], ended);
    assert_ne!(authority(&tls), authority(&first));
    insta::assert_snapshot!(place.spell(&tls.warnings(ended).join("\n")), @"\
        minted a new local authority, `certs/authority.pem`, to be trusted anew: \
        `certs/authority.pem` ended on 2037-01-12 08:00 UTC");
}

#[test]
fn a_wrong_clock_loses_no_authority() {
    let place = Place::empty();
    place.open_local(&[], now());
    let before = place.read("certs/authority.pem");
    let error = Tls::open(place.local(&[]), now() - days(100)).unwrap_err();
    insta::assert_snapshot!(place.spell(&error), @"\
        the certificate in `certs/authority.pem` is valid only from 2027-01-15 07:00 UTC, and \
        the clock of this machine says 2026-10-07 08:00 UTC: set the clock, or wait");
    assert_eq!(place.read("certs/authority.pem"), before);
}

#[test]
fn a_place_that_cannot_be_written_is_said() {
    let place = Place::empty();
    fs::write(place.path("certs"), "").unwrap();
    let error = Tls::open(place.local(&[]), now()).unwrap_err();
    insta::assert_snapshot!(place.spell(&error), @"\
        cannot write `certs`, where the local certificate belongs: File exists (os error 17): \
        let this user write there, or give a certificate with --certificate and --key");
}

#[test]
fn a_name_with_two_final_dots_is_none() {
    let place = Place::empty();
    let tls = place.open_local(&["a..", "b."], now());
    assert!(place.warnings(&tls).contains("`a..` is no name"));
    assert!(tls.covers("b"));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]

    /// A name that is taken for one can be minted, verified and asked for; any other is said.
    #[test]
    fn no_name_keeps_the_server_from_starting(
        name in "[a-z0-9_-]{1,9}(\\.[A-Z0-9_-]{1,9}){0,3}\\.?|\\PC{0,9}|[0-9a-f:.%\\[\\]]{1,20}",
    ) {
        let place = Place::empty();
        let tls = place.open_local(&[&name], now());
        let said = place.warnings(&tls);
        if said.is_empty() && name.parse() != Ok(std::net::Ipv4Addr::UNSPECIFIED) {
            proptest::prop_assert!(tls.covers(&name), "{:?}", name);
        }
        proptest::prop_assert!(!said.contains("to be trusted anew"), "{:?}: {}", name, said);
    }
}

#[test]
fn processes_that_start_together_agree() {
    let place = Place::empty();
    let leaves: Vec<_> = std::thread::scope(|scope| {
        let open = || scope.spawn(|| leaf(&place.open_local(&[], now())));
        let threads: Vec<_> = (0..8).map(|_| open()).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(leaves.iter().all(|leaf| *leaf == leaves[0]), "{leaves:?}");
}

#[test]
fn links_that_lie_in_wait_are_not_followed() {
    let place = Place::empty();
    fs::create_dir(place.path("certs")).unwrap();
    for file in ["authority.key", "authority.pem", "leaf.key", "leaf.pem"] {
        fs::write(place.path(file), "precious").unwrap();
        symlink(place.path(file), place.path(&format!("certs/{file}"))).unwrap();
    }
    place.open_local(&[], now());
    for file in ["authority.key", "authority.pem", "leaf.key", "leaf.pem"] {
        assert_eq!(place.read(file), b"precious");
        assert!(!place.path(&format!("certs/{file}")).is_symlink());
    }
}

#[test]
fn names_that_cannot_be_had_are_left_out_and_said() {
    let place = Place::empty();
    place.open_local(&[], now());
    let tls = place.open_local(&["x.example", "a b", "10.0.0.1", "-\n"], now());
    assert!(tls.covers("10.0.0.1") && !tls.covers("x.example"));
    insta::assert_snapshot!(place.warnings(&tls), @"
        `a b` is no name that a certificate can carry: it is left out
        `-\\n` is no name that a certificate can carry: it is left out
        the authority `certs/authority.pem` was not minted to sign for `x.example`: browsers \
        will warn there, or get no answer; remove it to have one minted that may
        ");
    let many: Vec<_> = (0..40).map(|number| format!("10.0.0.{number}")).collect();
    let tls = place.open_local(&many.iter().map(String::as_str).collect::<Vec<_>>(), now());
    assert!(tls.covers("10.0.0.28") && !tls.covers("10.0.0.29"));
    insta::assert_snapshot!(tls.warnings(now())[0], @"\
        the local certificate carries 32 names at most: the last 11 are left out");
}

#[test]
fn an_authority_that_could_sign_for_anybody_is_warned_of() {
    let place = Place::empty();
    place.open_local(&[], now());
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "mallory");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    place.put(
        "certs/authority.pem",
        params.self_signed(&key).unwrap().pem(),
    );
    place.put("certs/authority.key", key.serialize_pem());
    fs::set_permissions(
        place.path("certs/authority.key"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let tls = place.open_local(&[], now());
    insta::assert_snapshot!(place.warnings(&tls), @"
        the key `certs/authority.key` can be read by other users (mode 0644): `chmod 600 \
        certs/authority.key`
        the authority `certs/authority.pem` may sign for every address, every name, beyond this \
        machine and its network: trust it only if you had it minted yourself
        ");
}

#[test]
fn a_certificate_is_described_for_a_person() {
    let place = Place::empty();
    let tls = place.open_local(&["devbox"], now());
    let mut description = tls.describe().unwrap();
    description.leaf.sha256 = "AB:CD".to_owned();
    let authority = description.authority.as_mut().unwrap();
    assert!(authority.subject.starts_with("CN=forerun local authority "));
    assert_eq!(authority.sha256.split(':').count(), 32);
    authority.subject = "CN=forerun local authority 012345".to_owned();
    authority.sha256 = "EF:01".to_owned();
    insta::assert_snapshot!(description, @"
        authority    CN=forerun local authority 012345
           SHA-256   EF:01
           valid     2027-01-15 07:00 UTC to 2037-01-12 08:00 UTC

        certificate  CN=forerun local server
           SHA-256   AB:CD
           valid     2027-01-15 07:00 UTC to 2028-02-16 06:59 UTC
           for       localhost, 127.0.0.1, ::1, devbox
        ");
}
