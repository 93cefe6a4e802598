//! Certificates and keys given as files: what is taken, and what is said of the rest.

use super::*;
use rcgen::{CustomExtension, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256};

/// Opens a pair that must serve.
#[track_caller]
fn check(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> (Place, Tls) {
    let place = Place::with(certificate, key);
    match place.open() {
        Ok(tls) => (place, tls),
        Err(error) => panic!("{error}"),
    }
}

/// Opens a pair that must not; returns what is said.
#[track_caller]
fn refuse(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> String {
    let place = Place::with(certificate, key);
    let refused = place.open().map(|_| ());
    place.spell(&refused.expect_err("a pair that must be refused"))
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

fn der(pem: &str) -> Vec<u8> {
    rustls_pemfile::certs(&mut pem.as_bytes())
        .next()
        .unwrap()
        .unwrap()
        .to_vec()
}

/// Splits the first DER element off: its content, and what follows.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (header, length) = match der[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        0x81 => (3, usize::from(der[2])),
        _ => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
    };
    der[header..].split_at(length)
}

/// Takes the key in its older form out of PKCS#8 (RFC 5208: version, algorithm, octet string).
fn inner_key(pkcs8: &[u8]) -> Vec<u8> {
    let (content, _) = element(pkcs8);
    let (_, rest) = element(content);
    let (_, rest) = element(rest);
    element(rest).0.to_vec()
}

#[test]
fn keys_are_taken_in_every_form() {
    let rsa = issue(KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap(), |_| ());
    check(rsa.chain(), rsa.key());
    check(
        rsa.chain(),
        pem("RSA PRIVATE KEY", &inner_key(rsa.key.serialized_der())),
    );

    let p256 = issued();
    check(p256.chain(), p256.key());
    // As `openssl ecparam -genkey` writes it: the curve first, then SEC1.
    let parameters =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let sec1 = pem("EC PRIVATE KEY", &inner_key(p256.key.serialized_der()));
    check(p256.chain(), format!("{parameters}{sec1}"));

    let p384 = issue(
        KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
        |_| (),
    );
    check(p384.chain(), p384.key());
}

#[test]
fn files_are_taken_as_other_systems_write_them() {
    let issued = issued();
    check(
        format!("\u{feff}{}", issued.chain().replace('\n', "\r\n")),
        issued.key(),
    );
    check(
        format!("Bag Attributes\n  friendlyName: x\n{}", issued.chain()),
        issued.key(),
    );
    // One file for both, in any order.
    let both = format!("{}{}", issued.key(), issued.chain());
    check(&both, &both);
    // An encrypted copy of the key in the certificate's file is nobody's concern.
    let locked = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n\
                  -----END RSA PRIVATE KEY-----\n";
    check(format!("{locked}{}", issued.chain()), issued.key());
}

#[test]
fn a_chain_is_put_in_order_without_its_root() {
    let issued = issued();
    let expected = [der(&issued.leaf), der(&issued.intermediate)];
    let unrelated = super::issued().intermediate.replace("intermediate", "");
    let [leaf, intermediate, root] = [&issued.leaf, &issued.intermediate, &issued.root];
    for file in [
        format!("{leaf}{intermediate}"),
        format!("{intermediate}{leaf}"),
        format!("{root}{intermediate}{leaf}"),
        format!("{leaf}{root}{intermediate}"),
    ] {
        let (_place, tls) = check(file, issued.key());
        let chain = &tls.in_force.0.load().certified.cert;
        assert!(
            chain
                .iter()
                .map(|certificate| certificate.to_vec())
                .eq(expected.clone())
        );
    }
    let (_place, tls) = check(format!("{unrelated}{leaf}"), issued.key());
    assert_eq!(
        tls.in_force.0.load().certified.cert[0].to_vec(),
        expected[0]
    );
}

#[test]
fn a_file_that_holds_no_pem_is_named_for_what_it_is() {
    let issued = issued();
    let key = issued.key();
    let pkcs12 = [&[0x30, 0x82, 0x01, 0x00, 0x02, 0x01, 0x03][..], &[0; 256]].concat();
    let place = Place::empty();
    let missing = place.spell(&place.open().map(|_| ()).unwrap_err());
    insta::assert_snapshot!(missing, @"\
        cannot read `cert.pem`: No such file or directory (os error 2): give the path of an \
        existing PEM file");
    insta::assert_snapshot!(refuse("", &key), @"\
        `cert.pem` is empty: write the PEM text into it again");
    insta::assert_snapshot!(refuse(" \n", &key), @"\
        `cert.pem` is empty: write the PEM text into it again");
    insta::assert_snapshot!(refuse(issued.chain(), ""), @"\
        `key.pem` is empty: write the PEM text into it again");
    insta::assert_snapshot!(refuse(der(&issued.leaf), &key), @"\
        `cert.pem` is DER, not PEM: convert it with `openssl x509 -inform DER -in cert.pem -out \
        cert.pem.certificate.pem`");
    insta::assert_snapshot!(refuse(issued.chain(), issued.key.serialized_der()), @"\
        `key.pem` is DER, not PEM: convert it with `(umask 077; openssl pkey -inform DER -in \
        key.pem -out key.pem.key.pem)`");
    insta::assert_snapshot!(refuse(&pkcs12, &key), @"\
        `cert.pem` is PKCS#12, not PEM: take it apart with `openssl pkcs12 -in cert.pem -nokeys \
        -out cert.pem.certificate.pem` and `(umask 077; openssl pkcs12 -in cert.pem -nocerts \
        -nodes -out cert.pem.key.pem)`");
    insta::assert_snapshot!(refuse("hello", &key), @"\
        `cert.pem` is not PEM (no line starts with `-----BEGIN`): check the path");
    insta::assert_snapshot!(refuse(vec![b'a'; 2 << 20], &key), @"\
        `cert.pem` is larger than 1024 KiB, which no certificate or key is: check the path");
    let cut = &issued.leaf[..300];
    insta::assert_snapshot!(refuse(cut, &key), @"\
        `cert.pem` is cut short or damaged (section end \"CERTIFICATE\" missing): copy it here \
        again");
    insta::assert_snapshot!(refuse(issued.leaf.clone() + cut, &key), @"\
        `cert.pem` is cut short or damaged (section end \"CERTIFICATE\" missing): copy it here \
        again");
    let letters = pem("PRIVATE KEY", b"1").replace("MQ==", "?");
    insta::assert_snapshot!(refuse(issued.chain(), letters), @"\
        `key.pem` is cut short or damaged (InvalidCharacter(63)): copy it here again");
}

#[test]
fn a_file_that_holds_the_wrong_thing_is_told_apart() {
    let issued = issued();
    let (chain, key) = (issued.chain(), issued.key());
    insta::assert_snapshot!(refuse(&key, &chain), @"\
        `cert.pem` holds the key and `key.pem` the certificate: swap them, `--certificate \
        key.pem --key cert.pem`");
    insta::assert_snapshot!(refuse(&key, &key), @"\
        `cert.pem` holds no certificate but a private key: give the certificate's file with \
        --certificate");
    insta::assert_snapshot!(refuse(&chain, &chain), @"\
        `key.pem` holds no private key but a certificate: give its private key with --key");
    insta::assert_snapshot!(refuse(pem("CERTIFICATE REQUEST", b"1"), &key), @"\
        `cert.pem` holds no certificate but a request for one: have an authority sign it, and \
        give what comes back");
    insta::assert_snapshot!(refuse(pem("PKCS7", b"1"), &key), @"\
        `cert.pem` holds no certificate but PKCS#7: convert it with `openssl pkcs7 -print_certs \
        -in cert.pem -out cert.pem.certificate.pem`");
    insta::assert_snapshot!(refuse(pem("TRUSTED CERTIFICATE", b"1"), &key), @"\
        `cert.pem` holds no certificate but an OpenSSL TRUSTED CERTIFICATE: convert it with \
        `openssl x509 -in cert.pem -out cert.pem.certificate.pem`");
    insta::assert_snapshot!(refuse(pem("X509 CRL", b"1"), &key), @"\
        `cert.pem` holds no certificate but X509 CRL: give the certificate's file with \
        --certificate");
    insta::assert_snapshot!(refuse(&chain, pem("PUBLIC KEY", b"1")), @"\
        `key.pem` holds no private key but a public key: give the private half with --key");
    insta::assert_snapshot!(refuse(&chain, pem("OPENSSH PRIVATE KEY", b"1")), @"\
        `key.pem` holds no private key but a key in OpenSSH's own form: convert a copy of it \
        with `ssh-keygen -p -m PKCS8 -N '' -f key.pem`");
    insta::assert_snapshot!(refuse(&chain, pem("ENCRYPTED PRIVATE KEY", b"1")), @"\
        the key in `key.pem` is encrypted and a server cannot type its pass phrase: decrypt it \
        with `(umask 077; openssl pkey -in key.pem -out key.pem.plain.pem)`");
    let legacy = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
                  DEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    assert_eq!(
        refuse(&chain, legacy),
        refuse(&chain, pem("ENCRYPTED PRIVATE KEY", b"1"))
    );
    insta::assert_snapshot!(refuse(&chain, pem("PRIVATE KEY", b"1")), @"\
        the key in `key.pem` is damaged or of a kind that is not served (RSA from 2048 bits, \
        ECDSA P-256, P-384, P-521 and Ed25519 are): make a new one with `(umask 077; openssl \
        genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem)` and have it \
        certified");
    insta::assert_snapshot!(refuse(pem("CERTIFICATE", b"1"), &key), @"\
        the certificate in `cert.pem` cannot be used (it is not X.509): have it issued again, \
        as X.509 version 3 with a subjectAltName");
    insta::assert_snapshot!(refuse(&chain, super::issued().key()), @"\
        the key in `key.pem` is not that of the certificate in `cert.pem`: give the pair that \
        was issued together; `openssl pkey -in key.pem -pubout` and `openssl x509 -in cert.pem \
        -noout -pubkey` must print the same");
}

#[test]
fn a_certificate_that_no_client_takes_is_refused() {
    let key = || KeyPair::generate().unwrap();
    let expired = issue(key(), |params| params.not_after = (now() - days(1)).into());
    insta::assert_snapshot!(refuse(expired.chain(), expired.key()), @"\
        the certificate in `cert.pem` expired on 2027-01-14 08:00 UTC: renew it (`certbot \
        renew`, or ask its issuer), or leave out --certificate and --key to be served with a \
        local one");
    let early = issue(key(), |params| params.not_before = (now() + days(1)).into());
    insta::assert_snapshot!(refuse(early.chain(), early.key()), @"\
        the certificate in `cert.pem` is valid only from 2027-01-16 08:00 UTC, and the clock of \
        this machine says 2027-01-15 08:00 UTC: set the clock, or wait");
    let nameless = issue(key(), |params| params.subject_alt_names.clear());
    insta::assert_snapshot!(refuse(nameless.chain(), nameless.key()), @"\
        the certificate in `cert.pem` cannot be used (it names no host): have it issued with a \
        subjectAltName, such as `-addext subjectAltName=DNS:localhost,IP:127.0.0.1` of `openssl \
        req`");
}

#[test]
fn what_troubles_some_clients_is_warned_of() {
    let issued = issued();
    let (place, tls) = check(issued.chain(), issued.key());
    assert_eq!(place.warnings(&tls), "");
    insta::assert_snapshot!(place.spell(&tls.warnings(now() + days(50)).join("\n")), @"\
        the certificate expires on 2027-03-16 08:00 UTC: renew it");
    insta::assert_snapshot!(place.spell(&tls.warnings(now() + days(61)).join("\n")), @"\
        the certificate expired on 2027-03-16 08:00 UTC");

    let key = |mode| {
        let place = Place::with(issued.chain(), issued.key());
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(place.path("key.pem"), permissions).unwrap();
        place.warnings(&place.open().unwrap())
    };
    insta::assert_snapshot!(key(0o604), @"\
        the key `key.pem` can be read by other users (mode 0604): `chmod 600 key.pem`");
    assert_eq!(key(0o400), "");

    let (place, tls) = check(&issued.leaf, issued.key());
    assert_eq!(place.warnings(&tls), "");
    // AuthorityInfoAccess: caIssuers, http://a.
    let access = b"\x30\x16\x30\x14\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x02\x86\x08http://a";
    let public = issue(KeyPair::generate().unwrap(), |params| {
        let oid = [1, 3, 6, 1, 5, 5, 7, 1, 1];
        let extension = CustomExtension::from_oid_content(&oid, access.to_vec());
        params.custom_extensions.push(extension);
    });
    let (place, tls) = check(&public.leaf, public.key());
    insta::assert_snapshot!(place.warnings(&tls), @"\
        `cert.pem` lacks the intermediate certificate, so that many clients will not trust it: \
        give the full chain (certbot's `fullchain.pem`)");
    let (place, tls) = check(public.chain(), public.key());
    assert_eq!(place.warnings(&tls), "");

    let authority = issue(KeyPair::generate().unwrap(), |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let (place, tls) = check(authority.chain(), authority.key());
    insta::assert_snapshot!(place.warnings(&tls), @"\
        the certificate in `cert.pem` is an authority's (CA:TRUE), which Firefox refuses: have \
        it issued with basicConstraints=CA:FALSE");
    let edwards = issue(KeyPair::generate_for(&PKCS_ED25519).unwrap(), |_| ());
    let (place, tls) = check(edwards.chain(), edwards.key());
    insta::assert_snapshot!(place.warnings(&tls), @"\
        the certificate in `cert.pem` has an Ed25519 key, which browsers refuse: use ECDSA \
        P-256");
}

#[test]
fn the_hosts_that_a_certificate_covers_are_those_it_names() {
    let issued = issued();
    let (_place, tls) = check(issued.chain(), issued.key());
    for host in [
        "a.example",
        "A.Example",
        "a.example.",
        "x.b.example",
        "X.B.EXAMPLE",
        "192.0.2.1",
    ] {
        assert!(tls.covers(host), "{host}");
    }
    for host in [
        "",
        ".",
        "b.example",
        "y.x.b.example",
        "*.b.example",
        "c.example",
        "example",
        "a.example:443",
        "[a.example]",
        "[192.0.2.1]",
        "192.0.2.2",
        "::1",
        "[::1]",
        "[",
        "[]",
        "a.example\0",
        "ä.example",
    ] {
        assert!(!tls.covers(host), "{host:?}");
    }
}

#[test]
fn a_key_can_come_through_a_pipe() {
    let issued = issued();
    let place = Place::with(issued.chain(), "");
    fs::remove_file(place.path("key.pem")).unwrap();
    let (fifo, mode) = (
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    );
    rustix::fs::mknodat(rustix::fs::CWD, place.path("key.pem"), fifo, mode, 0).unwrap();
    let tls = std::thread::scope(|scope| {
        scope.spawn(|| fs::write(place.path("key.pem"), issued.key()).unwrap());
        place.open().unwrap()
    });
    // Nothing is there to be read again, and nobody waits for it.
    place.put("cert.pem", "");
    assert_eq!(outcome(&place, tls.refresh(now())), "unchanged");
    assert_eq!(outcome(&place, tls.reload(now())), "unchanged");
    assert!(tls.covers("a.example"));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]

    /// Whatever stands in the files, it is refused in words: none of it is a key.
    #[test]
    fn no_file_is_too_strange_to_refuse(
        certificate in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400),
        key in "(-----(BEGIN|END) ((RSA )?PRIVATE KEY|CERTIFICATE)-----\n|[ -~]{0,9}\n){0,6}",
    ) {
        let wrapped = pem("CERTIFICATE", &certificate);
        let chain = issued_once();
        for certificate in [&certificate[..], wrapped.as_bytes(), chain] {
            refuse(certificate, key.as_bytes());
        }
    }
}

fn issued_once() -> &'static [u8] {
    static CHAIN: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    CHAIN.get_or_init(|| issued().chain()).as_bytes()
}
