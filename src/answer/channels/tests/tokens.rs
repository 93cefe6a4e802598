//! Which tokens are good, by RFC 7519, RFC 8725, RFC 9068 and the two drafts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use proptest::prelude::*;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256};
use serde_json::{Value, json};

use super::super::grant::{Claims, Expected, Grant, Role};
use super::super::keys::Keys;
use super::super::may_see;
use super::super::selector::{Kind, Selector};
use super::*;

pub(super) const SECRET: &[u8] = b"!ChangeThisMercureHubJWTSecretKey!";
const HUB: &str = "https://localhost:8443/.well-known/mercure";

/// Made by OpenSSL.
const P384: &str = "-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEMkZLpZCJ2hg5moSwvnL6/GSK0nfCAcwa
kN4tmFUSJH4mlRb9G5q0OUnKOxzT0tH8Vj3mtmz1AXR4MHAOYJna6QbF+OkvGb0U
Z41QBPUWGHPa8cPFDXlCua/n+t+jnSA+
-----END PUBLIC KEY-----
";
const RSA_1024: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDOgO4poV/kh4xdyXQIwzMWZyv4
z+5L4zhefeXQLwhGgg9CXf/KpZIWogkV/F5NzTgwTzXJ1CJ+f2GikHqq8tQGy60s
XNV0GnluiEEFRRAcslivobjKKPo30DqMie/p9WwjWgHKT+6TjeXJ2L46MuJOaPRu
Sga6ByViMgjkCo0KtwIDAQAB
-----END PUBLIC KEY-----
";

/// A token of the secret.
pub(super) fn token(kind: &str, claims: &Value) -> String {
    let header = Header {
        typ: Some(kind.to_owned()),
        ..Header::new(Algorithm::HS256)
    };
    encode(&header, claims, &EncodingKey::from_secret(SECRET)).unwrap()
}

/// A token as draft-07 has it.
pub(super) fn seven(mercure: &Value) -> String {
    token("JWT", &json!({ "mercure": mercure }))
}

/// A token as draft-08 has it.
pub(super) fn eight(details: &Value) -> String {
    let claims = json!({
        "iss": "https://example.com",
        "aud": HUB,
        "exp": NOW + 60,
        "authorization_details": details,
    });
    token("at+jwt", &claims)
}

fn read(keys: &Keys, token: &str, role: Role) -> Option<Grant> {
    let hub = Arc::new(url::Url::parse(HUB).unwrap());
    let expected = Expected {
        hub: &hub,
        audience: None,
        issuers: &[],
        now: moment().now,
        role,
    };
    Grant::read(keys.verified::<Claims>(token)?, expected)
}

fn secret() -> Keys {
    Keys::secret(SECRET).unwrap()
}

fn is_good(token: &str) -> bool {
    read(&secret(), token, Role::Subscribe).is_some()
}

fn with_header(header: &Value, token: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(header.to_string());
    let rest = token.split_once('.').unwrap().1;
    format!("{header}.{rest}")
}

/// RFC 8725 sections 2.1, 3.1 and 3.2; RFC 7518 sections 3.2 to 3.4; RFC 8037.
#[test]
fn a_key_verifies_what_it_signed_and_nothing_else() {
    let pairs = [
        (
            Algorithm::EdDSA,
            KeyPair::generate_for(&PKCS_ED25519).unwrap(),
        ),
        (
            Algorithm::ES256,
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
        ),
        (
            Algorithm::RS256,
            KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap(),
        ),
    ];
    let claims = json!({ "mercure": { "subscribe": ["*"] } });
    let mut signed = Vec::new();
    for (algorithm, pair) in &pairs {
        let pem = pair.serialize_pem();
        let key = match algorithm {
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        let token = encode(&Header::new(*algorithm), &claims, &key.unwrap()).unwrap();
        let keys = Keys::read(pair.public_key_pem().as_bytes()).unwrap();
        signed.push((token, keys));
        let error = Keys::read(pem.as_bytes()).unwrap_err();
        assert!(error.contains("private key"), "{error}");
        // A public key is no secret: whoever signs with it as if it were one is not believed.
        let confused = EncodingKey::from_secret(pair.public_key_pem().as_bytes());
        let confused = encode(&Header::new(Algorithm::HS256), &claims, &confused).unwrap();
        let keys = Keys::read(pair.public_key_pem().as_bytes()).unwrap();
        assert!(read(&keys, &confused, Role::Subscribe).is_none());
    }
    signed.push((seven(&json!({ "subscribe": ["*"] })), secret()));
    for (place, (token, _)) in signed.iter().enumerate() {
        for (other, (_, keys)) in signed.iter().enumerate() {
            let grant = read(keys, token, Role::Subscribe);
            assert_eq!(grant.is_some(), place == other, "{place} {other}");
        }
        let all = signed.iter().fold(Keys::default(), |all, (_, keys)| {
            all.and(keys.clone()).unwrap()
        });
        assert!(read(&all, token, Role::Subscribe).is_some());
        let cut = &token[..token.len() - 4];
        assert!(read(&all, cut, Role::Subscribe).is_none());
    }
}

#[test]
fn keys_that_would_not_hold_are_refused_with_the_reason() {
    for (key, said) in [
        (P384, "another curve"),
        (RSA_1024, "2048"),
        ("", "PEM"),
        (
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
            "PEM",
        ),
        ("{", "cannot be read"),
        ("{\"keys\": []}", "has none"),
        (
            "{\"keys\": [{\"kty\": \"oct\", \"k\": \"YWJj\", \"kid\": \"one\"}]}",
            "`one` of the set",
        ),
        (
            "{\"keys\": [{\"kty\": \"OKP\", \"crv\": \"Ed25519\", \"x\": \"AA\", \"d\": \"AA\"}]}",
            "private key",
        ),
    ] {
        let error = Keys::read(key.as_bytes()).unwrap_err();
        assert!(error.contains(said), "{key}: {error}");
    }
    let error = Keys::secret(b"secret").unwrap_err();
    assert!(
        error.contains("32 bytes") && !error.contains("secret\""),
        "{error}"
    );
    assert!(!format!("{:?}", secret()).contains("ChangeThis"));
}

/// RFC 7517 section 5.
#[test]
fn a_set_of_keys_is_chosen_from_by_name() {
    let jwk = |kid: &str, byte: u8| {
        let k = URL_SAFE_NO_PAD.encode([byte; 32]);
        json!({ "kty": "oct", "k": k, "kid": kid, "use": "sig", "alg": "HS256" })
    };
    let encryption = json!({ "kty": "oct", "k": "AAAA", "use": "enc" });
    let other = json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode([3; 64]), "alg": "HS512" });
    let set = json!({ "keys": [jwk("a", 1), jwk("b", 2), encryption, other] });
    let keys = Keys::read(set.to_string().as_bytes()).unwrap();
    let claims = json!({ "mercure": {} });
    let signed = |kid: Option<&str>, byte| {
        let header = Header {
            kid: kid.map(str::to_owned),
            ..Header::new(Algorithm::HS256)
        };
        encode(&header, &claims, &EncodingKey::from_secret(&[byte; 32])).unwrap()
    };
    for (kid, byte, is_good) in [
        (Some("a"), 1, true),
        (Some("b"), 2, true),
        (Some("a"), 2, false),
        (Some("c"), 1, false),
        (None, 1, true),
        (None, 2, true),
        (None, 3, false),
    ] {
        let token = signed(kid, byte);
        assert_eq!(
            keys.verified::<Claims>(&token).is_some(),
            is_good,
            "{kid:?} {byte}"
        );
    }
}

/// RFC 7515 section 4.1.11, RFC 8725 section 3.1, draft-08, Token Validation.
#[test]
fn what_a_header_says_cannot_make_a_token_good() {
    let good = seven(&json!({ "subscribe": ["*"] }));
    assert!(is_good(&good));
    for header in [
        json!({ "alg": "none" }),
        json!({ "alg": "None" }),
        json!({ "alg": "HS512" }),
        json!({ "alg": "RS256" }),
        json!({ "alg": "HS256", "crit": ["exp"] }),
        json!({ "typ": "JWT" }),
        json!("HS256"),
    ] {
        assert!(!is_good(&with_header(&header, &good)), "{header}");
        let (unsigned, _) = good.rsplit_once('.').unwrap();
        assert!(
            !is_good(&with_header(&header, &format!("{unsigned}."))),
            "{header}"
        );
    }
    for text in ["", ".", "..", "...", "a.b.c", "\u{e9}.\u{e9}.\u{e9}"] {
        assert!(!is_good(text), "{text}");
    }
    let long = seven(&json!({ "subscribe": ["x".repeat(20_000)] }));
    assert!(!is_good(&long));
}

/// RFC 7519 sections 4.1.4 and 4.1.5; RFC 9068 section 4.
#[test]
fn times_and_names_are_compared() {
    let details =
        json!([{ "type": "mercure", "actions": ["subscribe"], "topics": [{ "match": "*" }] }]);
    let claims = |changes: Value| {
        let mut claims = json!({
            "iss": "https://example.com",
            "aud": HUB,
            "exp": NOW + 60,
            "authorization_details": details,
            "mercure": { "subscribe": ["*"] },
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    };
    for (changes, eight, seven) in [
        (json!({}), true, true),
        (json!({ "exp": NOW + 1 }), true, true),
        (json!({ "exp": NOW }), false, false),
        (json!({ "exp": 0 }), false, false),
        (json!({ "exp": -1 }), false, false),
        (json!({ "exp": 1e300 }), false, false),
        (json!({ "exp": "soon" }), false, false),
        (json!({ "exp": null }), false, true),
        (json!({ "nbf": NOW + 29 }), true, true),
        (json!({ "nbf": NOW + 31 }), false, false),
        (json!({ "aud": ["x", HUB] }), true, true),
        (
            json!({ "aud": "https://other.example/.well-known/mercure" }),
            false,
            true,
        ),
        (json!({ "aud": [] }), false, true),
        (json!({ "aud": null }), false, true),
        (json!({ "iss": null }), false, true),
        (json!({ "authorization_details": null }), false, true),
        (json!({ "mercure": null }), true, false),
    ] {
        let claims = claims(changes.clone());
        assert_eq!(
            is_good(&token("at+jwt", &claims)),
            eight,
            "at+jwt {changes}"
        );
        assert_eq!(
            is_good(&token("application/AT+JWT", &claims)),
            eight,
            "{changes}"
        );
        assert_eq!(is_good(&token("JWT", &claims)), seven, "JWT {changes}");
    }
    let hub = Arc::new(url::Url::parse(HUB).unwrap());
    let issuers = ["https://example.com".to_owned()];
    let expect = |audience, issuers, claims: &Value| {
        let expected = Expected {
            hub: &hub,
            audience,
            issuers,
            now: moment().now,
            role: Role::Publish,
        };
        let signed = secret().verified::<Claims>(&token("JWT", claims)).unwrap();
        Grant::read(signed, expected).is_some()
    };
    assert!(expect(Some(HUB), &issuers, &claims(json!({}))));
    assert!(!expect(Some("other"), &[], &claims(json!({}))));
    assert!(!expect(
        Some(HUB),
        &issuers,
        &claims(json!({ "aud": null }))
    ));
    assert!(!expect(
        None,
        &issuers,
        &claims(json!({ "iss": "https://evil.example" }))
    ));
}

/// draft-08, Authorization Details: nothing in part.
#[test]
fn one_bad_detail_makes_all_of_it_worthless() {
    let good = json!({ "type": "mercure", "actions": ["subscribe"], "topics": [{ "match": "a" }] });
    for (detail, is_fine) in [
        (json!({ "type": "other", "topics": 7 }), true),
        (
            json!({ "type": "https://mercure.rocks/authorization-detail", "actions": ["publish"],
                 "topics": [{ "match": "https://a/:b", "match_type": "urlpattern" }] }),
            true,
        ),
        (
            json!({ "type": "mercure", "actions": ["subscribe"],
                 "topics": [{ "match": "https://a/:b", "matchType": "URLPattern" }] }),
            true,
        ),
        (
            json!({ "type": "mercure", "actions": [], "topics": [{ "match": "a" }] }),
            false,
        ),
        (
            json!({ "type": "mercure", "actions": ["subscribe"], "topics": [] }),
            false,
        ),
        (
            json!({ "type": "mercure", "actions": ["subscribe"], "topics": ["a"] }),
            false,
        ),
        (
            json!({ "type": "mercure", "actions": ["read"], "topics": [{ "match": "a" }] }),
            false,
        ),
        (
            json!({ "type": "mercure", "actions": ["subscribe"], "topics": [{ "match": "" }] }),
            false,
        ),
        (
            json!({ "type": "mercure", "actions": ["subscribe"],
                 "topics": [{ "match": "a", "match_type": "regexp" }] }),
            false,
        ),
        (
            json!({ "type": "mercure", "actions": ["subscribe"],
                 "topics": [{ "match": "https://a/(", "match_type": "urlpattern" }] }),
            false,
        ),
        (
            json!({ "type": "mercure", "topics": [{ "match": "a" }] }),
            false,
        ),
    ] {
        let token = eight(&json!([good, detail]));
        assert_eq!(is_good(&token), is_fine, "{detail}");
    }
    let many = vec![good; 65];
    assert!(!is_good(&eight(&json!(many))));
}

/// draft-07 and draft-08, Publishers and Subscribers.
#[test]
fn a_role_has_what_its_claim_says() {
    let pattern = json!({ "match": "https://example.com/b/:id", "match_type": "urlpattern" });
    let tokens = [
        seven(&json!({ "publish": ["https://example.com/b/{id}"], "subscribe": ["x"] })),
        eight(&json!([
            { "type": "mercure", "actions": ["publish"], "topics": [pattern] },
            { "type": "mercure", "actions": ["subscribe"], "topics": [{ "match": "x" }] },
        ])),
    ];
    for token in &tokens {
        let publisher = read(&secret(), token, Role::Publish).unwrap();
        let subscriber = read(&secret(), token, Role::Subscribe).unwrap();
        let (one, two) = ("https://example.com/b/1", "https://example.com/b/2");
        assert!(publisher.may_publish(&[one]) && publisher.may_publish(&[one, two]));
        // All of its topics.
        assert!(!publisher.may_publish(&[one, "x"]));
        assert!(!publisher.may_publish::<&str>(&[]));
        assert!(!subscriber.may_publish(&[one]) && !subscriber.may_publish(&["x"]));
        // Any of its topics.
        assert!(may_see(&subscriber, &[one, "x"], true));
        assert!(!may_see(&subscriber, &[one], true));
        assert!(!may_see(&publisher, &["x"], true));
        assert!(may_see(&subscriber, &[one], false));
    }
    for claim in [
        json!({}),
        json!({ "publish": null }),
        json!({ "publish": [] }),
    ] {
        let publisher = read(&secret(), &seven(&claim), Role::Publish).unwrap();
        assert!(!publisher.may_publish(&["x"]), "{claim}");
    }
    for claim in [
        json!([]),
        json!("*"),
        json!({ "publish": "*" }),
        json!({ "publish": [7] }),
    ] {
        assert!(
            read(&secret(), &seven(&claim), Role::Publish).is_none(),
            "{claim}"
        );
    }
}

#[test]
fn without_a_token_only_what_is_everybodys_is_heard() {
    let prefixes = [
        Prefix::parse("demo/*").unwrap(),
        Prefix::parse("news").unwrap(),
    ];
    let anybody = Grant::anonymous(Arc::new(prefixes));
    for (topics, is_private, sees) in [
        (&["demo/a"][..], false, true),
        (&["news"], false, true),
        (&["other"], false, false),
        (&["other", "demo/a"], false, true),
        (&["demo/a"], true, false),
        (&[], false, false),
    ] {
        assert_eq!(
            may_see(&anybody, topics, is_private),
            sees,
            "{topics:?} {is_private}"
        );
    }
    assert!(!may_see(&Grant::default(), &["demo/a"], false));
}

/// draft-08, Payloads; draft-07, Payloads.
#[test]
fn the_first_detail_that_covers_a_subscription_has_its_payload() {
    let hub = Arc::new(url::Url::parse(HUB).unwrap());
    let detail = |topic: Value, payload: &str| {
        let actions = ["subscribe"];
        json!({ "type": "mercure", "actions": actions, "topics": [topic], "payload": payload })
    };
    let pattern = "https://example.com/bar/:id";
    let token = eight(&json!([
        detail(json!({ "match": "https://example.com/foo" }), "one"),
        detail(
            json!({ "match": pattern, "match_type": "urlpattern" }),
            "two"
        ),
        detail(json!({ "match": "*" }), "three"),
    ]));
    let grant = read(&secret(), &token, Role::Subscribe).unwrap();
    for (kind, text, payload) in [
        (Kind::Exact, "https://example.com/foo", "one"),
        (Kind::Pattern, pattern, "two"),
        (Kind::Exact, "https://example.com/bar/1", "two"),
        (Kind::Exact, "x", "three"),
        (Kind::Exact, "*", "three"),
    ] {
        let selector = Selector::parse(kind, text, &hub).unwrap();
        assert_eq!(grant.payload(&selector), Some(&json!(payload)), "{text}");
    }
    let token = seven(&json!({ "subscribe": [], "payload": { "user": 1 } }));
    let grant = read(&secret(), &token, Role::Subscribe).unwrap();
    let selector = Selector::parse(Kind::Template, "x", &hub).unwrap();
    assert_eq!(grant.payload(&selector), Some(&json!({ "user": 1 })));
}

proptest! {
    #[test]
    fn no_text_is_a_token(text in "[A-Za-z0-9_.=-]{0,200}") {
        prop_assert!(!is_good(&text));
    }

    /// Any letter that is changed spoils it.
    #[test]
    fn a_changed_token_is_none(place in 0_usize..1000, letter in "[A-Za-z0-9_-]") {
        let good = seven(&json!({ "subscribe": ["a", "b"] }));
        let place = place % good.len();
        let mut changed = good.clone();
        changed.replace_range(place..=place, &letter);
        // The last letter of a part has bits that mean nothing, which are checked to be nought.
        prop_assert_eq!(is_good(&changed), changed == good);
    }

    #[test]
    fn no_claim_is_too_much(publish in prop::collection::vec("[{}a*:/?#%é]{0,9}", 0..9)) {
        let token = seven(&json!({ "publish": publish, "subscribe": publish }));
        if let Some(grant) = read(&secret(), &token, Role::Publish) {
            grant.may_publish(&publish);
        }
    }
}
