//! The keys that tokens are signed with: secrets, public keys, sets of them (RFC 7517).
//!
//! Which algorithm a key is for is said by the key, never by a token, and only four are known at
//! all (RFC 8725 section 3.1): `none` is not one of them. Files are read elsewhere.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// Bytes of a token.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Keys of a role.
pub const KEYS_MAX: usize = 64;
/// Bytes of a secret: as many as the hash has (RFC 7518 section 3.2).
pub const SECRET_BYTES_MIN: usize = 32;
/// Bytes of an RSA modulus (RFC 7518 section 3.3).
const MODULUS_BYTES_MIN: usize = 256;
/// Bytes of a point of the curve P-256, uncompressed.
const P256_POINT_BYTES: usize = 65;

/// The keys of a role.
#[derive(Clone, Default)]
pub struct Keys(Vec<Key>);

#[derive(Clone)]
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    verifier: DecodingKey,
}

/// What of a set of keys tells private ones (RFC 7518 section 6).
#[derive(Deserialize)]
struct Members {
    keys: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    kty: String,
    d: Option<IgnoredAny>,
}

impl Member {
    fn is_private(&self) -> bool {
        self.d.is_some() && self.kty != "oct"
    }
}

/// What the header of a token says (RFC 7515 section 4.1).
#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

/// What a token says once its signature has been found to be good. Whether it is valid now, and
/// for what, is not known here.
#[derive(Debug)]
pub(super) struct Signed<C> {
    /// What the header says it is, without `application/`, in lower case: `at+jwt`, `jwt`.
    pub(super) kind: Option<String>,
    /// What it claims.
    pub(super) claims: C,
}

impl Keys {
    /// Returns whether who reads them could sign with one.
    pub fn has_secret(&self) -> bool {
        let mut algorithms = self.0.iter().map(|key| key.algorithm);
        algorithms.any(|algorithm| algorithm == Algorithm::HS256)
    }

    /// Returns a secret as the one key, for HS256.
    ///
    /// # Errors
    /// A sentence, without the secret: it is too short to be one.
    pub fn secret(secret: &[u8]) -> Result<Self, String> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(format!(
                "a secret for tokens has at least {SECRET_BYTES_MIN} bytes, this one {}: make one \
                 with `openssl rand -base64 32`",
                secret.len()
            ));
        }
        Ok(Self(vec![Key {
            id: None,
            algorithm: Algorithm::HS256,
            verifier: DecodingKey::from_secret(secret),
        }]))
    }

    /// Reads a public key (PEM: RSA for RS256, P-256 for ES256, Ed25519 for `EdDSA`) or a set of
    /// keys (JSON, RFC 7517).
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        if text.trim_ascii_start().starts_with(b"{") {
            return Self::set(text);
        }
        Ok(Self(vec![pem(text)?]))
    }

    /// These and others.
    ///
    /// # Errors
    /// They are too many.
    pub fn and(mut self, others: Self) -> Result<Self, String> {
        self.0.extend(others.0);
        if self.0.len() > KEYS_MAX {
            return Err(format!(
                "there are more than {KEYS_MAX} keys: leave old ones out"
            ));
        }
        Ok(self)
    }

    /// Returns whether there are none: then no token is good.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn set(text: &[u8]) -> Result<Self, String> {
        let unreadable = |error| format!("the set of keys (JWKS) cannot be read: {error}");
        let members: Members = serde_json::from_slice(text).map_err(unreadable)?;
        if members.keys.iter().any(Member::is_private) {
            return Err(
                "the set of keys (JWKS) has a private key, which signs tokens and is nobody else's \
                 business: give the public one, without `d`"
                    .to_owned(),
            );
        }
        let set: JwkSet = serde_json::from_slice(text).map_err(unreadable)?;
        let mut keys = Vec::new();
        for jwk in &set.keys {
            keys.extend(member(jwk)?);
        }
        if keys.is_empty() {
            return Err(
                "the set of keys (JWKS) has none for RS256, ES256, EdDSA or HS256".to_owned(),
            );
        }
        Self(keys).and(Self::default())
    }

    /// Returns what a token claims if one of the keys has signed it.
    pub(super) fn verified<C: DeserializeOwned + Clone>(&self, token: &str) -> Option<Signed<C>> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
        let header: Header = serde_json::from_slice(&header).ok()?;
        // Nothing that may be critical is understood (RFC 7515 section 4.1.11).
        if header.crit.is_some() {
            return None;
        }
        let algorithm = match header.alg.as_str() {
            "HS256" => Algorithm::HS256,
            "RS256" => Algorithm::RS256,
            "ES256" => Algorithm::ES256,
            "EdDSA" => Algorithm::EdDSA,
            _ => return None,
        };
        let is_meant = |key: &&Key| {
            let named = key.id.is_none() || header.kid.is_none() || key.id == header.kid;
            key.algorithm == algorithm && named
        };
        let mut keys = self.0.iter().filter(is_meant);
        let claims = keys.find_map(|key| {
            let token = decode::<C>(token, &key.verifier, &signature_alone(algorithm)).ok()?;
            Some(token.claims)
        })?;
        let kind = header.typ.map(|kind| {
            let kind = kind.to_ascii_lowercase();
            kind.strip_prefix("application/")
                .unwrap_or(&kind)
                .to_owned()
        });
        Some(Signed { kind, claims })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|key| (&key.id, key.algorithm));
        f.debug_list().entries(names).finish()
    }
}

/// Times and names are compared elsewhere: the crate would read the system's clock.
fn signature_alone(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

fn pem(text: &[u8]) -> Result<Key, String> {
    const KINDS: &str = "a public key is PEM of RSA, P-256 or Ed25519 (`BEGIN PUBLIC KEY`), or a \
                         set of keys as JSON";
    let of = |algorithm, verifier| Key {
        id: None,
        algorithm,
        verifier,
    };
    if text.windows(11).any(|part| part == b"PRIVATE KEY") {
        return Err(format!(
            "this is a private key, which signs tokens and is nobody else's business: {KINDS}; \
             make it with `openssl pkey -pubout`"
        ));
    }
    if let Ok(key) = DecodingKey::from_ed_pem(text) {
        return Ok(of(Algorithm::EdDSA, key));
    }
    if let Ok(key) = DecodingKey::from_ec_pem(text) {
        if key
            .try_get_as_bytes()
            .is_ok_and(|point| point.len() == P256_POINT_BYTES)
        {
            return Ok(of(Algorithm::ES256, key));
        }
        return Err("the key is of another curve than P-256, which ES256 takes".to_owned());
    }
    match DecodingKey::from_rsa_pem(text) {
        Ok(key)
            if key
                .try_get_as_bytes()
                .is_ok_and(|der| der.len() > MODULUS_BYTES_MIN) =>
        {
            Ok(of(Algorithm::RS256, key))
        }
        Ok(_) => Err("the RSA key has fewer than 2048 bits".to_owned()),
        Err(_) => Err(KINDS.to_owned()),
    }
}

/// Returns a member of a set, unless it is for something else.
fn member(jwk: &Jwk) -> Result<Option<Key>, String> {
    if !matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    ) {
        return Ok(None);
    }
    let name = jwk.common.key_id.as_deref().unwrap_or("without a name");
    let (algorithm, said) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        AlgorithmParameters::OctetKey(_) => (Algorithm::HS256, KeyAlgorithm::HS256),
        _ => return Ok(None),
    };
    if jwk
        .common
        .key_algorithm
        .is_some_and(|algorithm| algorithm != said)
    {
        return Ok(None);
    }
    let key = DecodingKey::from_jwk(jwk)
        .map_err(|error| format!("the key `{name}` of the set cannot be read: {error}"))?;
    let is_strong = match key.kind() {
        jsonwebtoken::DecodingKeyKind::RsaModulusExponent { n, .. } => n.len() >= MODULUS_BYTES_MIN,
        jsonwebtoken::DecodingKeyKind::SecretOrDer(bytes) => bytes.len() >= SECRET_BYTES_MIN,
    };
    if !is_strong {
        return Err(format!(
            "the key `{name}` of the set is too short: RSA has at least 2048 bits, a secret \
             {SECRET_BYTES_MIN} bytes"
        ));
    }
    Ok(Some(Key {
        id: jwk.common.key_id.clone(),
        algorithm,
        verifier: key,
    }))
}
