//! Who may read a site at all: users with passwords, by HTTP's basic authentication (RFC 7617).
//!
//! Passwords are known by their hashes alone (argon2 or bcrypt), which take long to compute on
//! purpose. What was verified once is remembered, by a hash under a key that nobody outside this
//! process knows, so that the next request costs nothing; what was not is verified again, by turns
//! that `door::sign_in` gives. All comparisons of secrets take the same time whatever differs.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use argon2::password_hash::PasswordHasher as _;
use argon2::password_hash::PasswordVerifier as _;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderMap};
use lru::LruCache;

/// Users that are known.
pub const USERS_MAX: usize = 1000;
/// Bytes of a request's credentials, encoded.
pub const CREDENTIALS_BYTES_MAX: usize = 2048;
/// Credentials that are remembered; those used last.
const ADMITTED_MAX: usize = 1024;
/// Memory that a hash may take to verify, in kibibytes.
pub const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// Passes over it.
pub const PASSES_MAX: u32 = 64;
/// Rounds of bcrypt, as a power of two: some seconds.
pub const COST_MAX: u32 = 15;

/// A user, and what the password is known by.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    name: String,
    hash: Hash,
}

#[derive(Clone, PartialEq, Eq)]
enum Hash {
    Argon2(String),
    Bcrypt(String),
}

/// What decides how long a hash takes to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Which of its variants, memory, passes and lanes.
    Argon2(Option<argon2::Algorithm>, u32, u32, u32),
    /// The cost.
    Bcrypt(u32),
}

/// All users, and who of them was here.
pub struct Users {
    all: Vec<User>,
    /// One user of each kind of work.
    kinds: Vec<User>,
    key: [u8; 32],
    admitted: Mutex<LruCache<[u8; 32], ()>>,
}

/// What a request says of who makes it: `user:password`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials(Vec<u8>);

impl User {
    /// Reads `name:hash`.
    ///
    /// # Errors
    /// A sentence that says what is wrong and never what was written: it may be a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        const MAKE: &str = "make one with `forerun hash NAME`";
        let (name, hash) = text
            .split_once(':')
            .ok_or_else(|| format!("write NAME:HASH; {MAKE}"))?;
        if name.is_empty() || name.contains(char::is_control) {
            return Err("a user's name has no control characters, and at least one other".into());
        }
        let hash = match hash {
            _ if hash.starts_with("$argon2") => argon2(hash)?,
            _ if hash.starts_with("$2") => bcrypt(hash)?,
            _ if hash.starts_with('$') || hash.starts_with('{') => {
                return Err(format!(
                    "the hash of `{name}` is neither argon2 nor bcrypt: {MAKE}"
                ));
            }
            _ => {
                return Err(format!(
                    "what follows `{name}:` is a password, or no hash that is known: passwords are \
                     not taken, since arguments and files are read by others; {MAKE}"
                ));
            }
        };
        Ok(Self {
            name: name.to_owned(),
            hash,
        })
    }

    /// Returns a user with a password, which is hashed with a salt of its own. Takes long.
    ///
    /// # Errors
    /// The system gives no random bytes, or the name is none.
    pub fn new(name: &str, password: &[u8]) -> Result<Self, String> {
        let hash = Argon2::default().hash_password(password);
        let hash = hash.map_err(|error| format!("cannot hash the password: {error}"))?;
        Self::parse(&format!("{name}:{hash}"))
    }

    /// Returns what decides how long that takes.
    fn work(&self) -> Option<Work> {
        match &self.hash {
            Hash::Argon2(hash) => {
                let hash = PasswordHash::new(hash).ok()?;
                let params = Params::try_from(&hash).ok()?;
                let algorithm = argon2::Algorithm::new(hash.algorithm.as_str()).ok();
                let (memory, passes) = (params.m_cost(), params.t_cost());
                Some(Work::Argon2(algorithm, memory, passes, params.p_cost()))
            }
            Hash::Bcrypt(hash) => hash.split('$').nth(2)?.parse().ok().map(Work::Bcrypt),
        }
    }

    /// Returns whether a password is this user's. Takes long.
    fn has(&self, password: &[u8]) -> bool {
        match &self.hash {
            Hash::Argon2(hash) => PasswordHash::new(hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok()),
            Hash::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
        }
    }
}

impl fmt::Display for User {
    /// Writes it as it is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Hash::Argon2(hash) | Hash::Bcrypt(hash)) = &self.hash;
        write!(f, "{}:{hash}", self.name)
    }
}

impl Users {
    /// Returns these users. `key` is random, and no one else's.
    ///
    /// # Errors
    /// There are none, too many, or two of a name.
    pub fn new(users: Vec<User>, key: [u8; 32]) -> Result<Self, String> {
        if users.is_empty() || users.len() > USERS_MAX {
            return Err(format!("write one user at least, and at most {USERS_MAX}"));
        }
        let mut names: Vec<_> = users.iter().map(|user| &user.name).collect();
        names.sort();
        let mut pairs = names.iter().zip(names.iter().skip(1));
        if let Some((twice, _)) = pairs.find(|(one, next)| one == next) {
            return Err(format!("`{twice}` is there twice"));
        }
        let mut kinds: Vec<User> = Vec::new();
        for user in &users {
            if kinds.iter().all(|known| known.work() != user.work()) {
                kinds.push(user.clone());
            }
        }
        Ok(Self {
            all: users,
            kinds,
            key,
            admitted: Mutex::new(LruCache::unbounded()),
        })
    }

    /// Returns the name of the user who sends a request, if the credentials in it were verified.
    pub fn name_in(&self, headers: &HeaderMap) -> Option<String> {
        let credentials = Credentials::of(headers).filter(|it| self.know(it))?;
        let (name, _) = credentials.parts();
        Some(String::from_utf8_lossy(name).into_owned())
    }

    /// Returns whether credentials were verified before. Takes no time.
    pub fn know(&self, credentials: &Credentials) -> bool {
        let key = self.key_of(credentials);
        let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        admitted.get(&key).is_some()
    }

    /// Verifies credentials, and remembers them if they are good. Takes long: call it on a blocking
    /// thread.
    pub fn verify(&self, credentials: &Credentials) -> bool {
        let (name, password) = credentials.parts();
        let user = self.user(name);
        let tried = self.tried(user).into_iter();
        let has: Vec<_> = tried
            .map(|tried| {
                let is_password = tried.has(password.unwrap_or_default());
                is_password && user.is_some_and(|user| user == tried)
            })
            .collect();
        let is_good = password.is_some() && has.contains(&true);
        if is_good {
            let key = self.key_of(credentials);
            let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
            admitted.put(key, ());
            if admitted.len() > ADMITTED_MAX {
                admitted.pop_lru();
            }
        }
        is_good
    }

    fn user(&self, name: &[u8]) -> Option<&User> {
        self.all.iter().find(|user| user.name.as_bytes() == name)
    }

    /// Returns whose hashes are verified for a user: one of each kind of work, so that it takes as
    /// long whichever kind the user's own is, and for a name that is unknown.
    fn tried<'a>(&'a self, user: Option<&'a User>) -> Vec<&'a User> {
        let own = |kind: &'a User| user.filter(|user| user.work() == kind.work());
        self.kinds
            .iter()
            .map(|kind| own(kind).unwrap_or(kind))
            .collect()
    }

    fn key_of(&self, credentials: &Credentials) -> [u8; 32] {
        *blake3::keyed_hash(&self.key, &credentials.0).as_bytes()
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.all).finish()
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("User").field(&self.name).finish()
    }
}

impl Credentials {
    /// Returns the credentials of a request, if it has any that can be read.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut fields = headers.get_all(header::AUTHORIZATION).iter();
        let field = fields.next()?.to_str().ok()?;
        if fields.next().is_some() || field.len() > CREDENTIALS_BYTES_MAX {
            return None;
        }
        let (scheme, encoded) = field.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        STANDARD.decode(encoded.trim()).ok().map(Self)
    }

    /// Returns the name, and the password if there is one.
    fn parts(&self) -> (&[u8], Option<&[u8]>) {
        let mut parts = self.0.splitn(2, |&byte| byte == b':');
        (parts.next().unwrap_or_default(), parts.next())
    }
}

fn argon2(hash: &str) -> Result<Hash, String> {
    let bad = |error: &dyn fmt::Display| format!("the argon2 hash cannot be read: {error}");
    let parsed = PasswordHash::new(hash).map_err(|error| bad(&error))?;
    let params = Params::try_from(&parsed).map_err(|error| bad(&error))?;
    if parsed.hash.is_none() || parsed.salt.is_none() {
        return Err(bad(&"it has no salt, or is cut"));
    }
    if params.m_cost() > MEMORY_KIB_MAX || params.t_cost() > PASSES_MAX {
        return Err(format!(
            "the argon2 hash takes more than {} MB or {PASSES_MAX} passes to verify",
            MEMORY_KIB_MAX / 1024
        ));
    }
    Ok(Hash::Argon2(hash.to_owned()))
}

fn bcrypt(hash: &str) -> Result<Hash, String> {
    let parts: bcrypt::HashParts = hash
        .parse()
        .map_err(|error| format!("the bcrypt hash cannot be read: {error}"))?;
    if !(4..=COST_MAX).contains(&parts.get_cost()) {
        return Err(format!(
            "the bcrypt hash has a cost that is not between 4 and {COST_MAX}"
        ));
    }
    Ok(Hash::Bcrypt(hash.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by another program, libxcrypt: the password is `open sesame`.
    const BCRYPT: &str = "ali:$2y$05$c4WoMPo3SXsafkva.HHa6u6sKulLFIKfduk6JUyh.QHa6neGeFVmG";

    fn credentials(text: &str) -> Credentials {
        let mut headers = HeaderMap::new();
        let field = format!("bAsIc {}", STANDARD.encode(text));
        headers.insert(header::AUTHORIZATION, field.parse().unwrap());
        Credentials::of(&headers).unwrap()
    }

    #[test]
    fn a_password_is_known_by_its_hash() {
        let made = User::new("baba", "p\u{e4}ss:word".as_bytes()).unwrap();
        assert!(made.to_string().starts_with("baba:$argon2id$v=19$"));
        let read = User::parse(&made.to_string()).unwrap();
        assert!(read == made);
        let ali = User::parse(BCRYPT).unwrap();
        let users = Users::new(vec![ali, read], [7; 32]).unwrap();
        for (text, is_good) in [
            ("baba:p\u{e4}ss:word", true),
            ("baba:p\u{e4}ss", false),
            ("baba:", false),
            ("baba", false),
            ("ali:open sesame", true),
            ("ali:open sesam", false),
            ("ali:p\u{e4}ss:word", false),
            ("baba:open sesame", false),
            ("Baba:p\u{e4}ss:word", false),
            (":p\u{e4}ss:word", false),
            ("", false),
        ] {
            let credentials = credentials(text);
            assert!(!users.know(&credentials), "{text}");
            assert_eq!(users.verify(&credentials), is_good, "{text}");
            assert_eq!(users.know(&credentials), is_good, "{text}");
        }
    }

    /// How long an answer takes must not tell which names there are, whatever their hashes.
    #[test]
    fn every_name_is_as_much_work() {
        let bcrypt = |name: &str, cost: &str| {
            let text = BCRYPT.replacen("ali", name, 1);
            User::parse(&text.replacen("$05$", cost, 1)).unwrap()
        };
        let users = vec![
            bcrypt("ali", "$05$"),
            User::new("baba", b"sesame").unwrap(),
            bcrypt("cogia", "$05$"),
            bcrypt("dalia", "$09$"),
            User::new("eva", b"sesame").unwrap(),
        ];
        let users = Users::new(users, [7; 32]).unwrap();
        let work = |name: &str| {
            let tried = users.tried(users.user(name.as_bytes()));
            let work = tried.into_iter().map(|user| user.work().unwrap());
            work.collect::<Vec<_>>()
        };
        assert_eq!(work("nobody").len(), 3);
        for name in ["ali", "baba", "cogia", "dalia", "eva", ""] {
            assert_eq!(work(name), work("nobody"), "{name}");
        }
        let tried = users.tried(users.user(b"eva"));
        assert!(tried.into_iter().any(|user| user.name == "eva"));
    }

    #[test]
    fn what_is_no_hash_is_refused_and_not_repeated() {
        for (text, said) in [
            ("ali", "NAME:HASH"),
            (":$2y$05$x", "a user's name"),
            ("ali:secret", "forerun hash NAME"),
            ("ali:", "forerun hash NAME"),
            ("ali:$apr1$x$secret", "neither argon2 nor bcrypt"),
            ("ali:{SHA}secret", "neither argon2 nor bcrypt"),
            ("ali:$2y$05$secret", "cannot be read"),
            (
                "ali:$2y$31$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC",
                "cost",
            ),
            ("ali:$argon2id$secret", "cannot be read"),
            (
                "ali:$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0$\
                 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                "256 MB",
            ),
        ] {
            let Err(error) = User::parse(text) else {
                panic!("{text} is taken");
            };
            assert!(error.contains(said), "{text}: {error}");
            assert!(!error.contains("secret"), "{text}: {error}");
        }
        let user = || User::parse(BCRYPT).unwrap();
        assert!(
            Users::new(vec![user(), user()], [0; 32])
                .unwrap_err()
                .contains("twice")
        );
        assert!(Users::new(Vec::new(), [0; 32]).is_err());
    }

    #[test]
    fn only_one_readable_field_counts() {
        let mut headers = HeaderMap::new();
        for text in ["Basic", "Basic !", "Bearer YTpi", "YTpi"] {
            headers.insert(header::AUTHORIZATION, text.parse().unwrap());
            assert!(Credentials::of(&headers).is_none(), "{text}");
        }
        headers.insert(header::AUTHORIZATION, "Basic YTpi".parse().unwrap());
        assert!(Credentials::of(&headers).is_some());
        headers.append(header::AUTHORIZATION, "Basic YTpi".parse().unwrap());
        assert!(Credentials::of(&headers).is_none());
        let long = format!("Basic {}", "YTpi".repeat(CREDENTIALS_BYTES_MAX));
        headers.insert(header::AUTHORIZATION, long.parse().unwrap());
        assert!(Credentials::of(&headers).is_none());
    }
}
