//! What a token grants: the claims of Mercure's two drafts, read once, and the question that every
//! event is put to, live or replayed.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::keys::Signed;
use super::selector::{Kind, Selector};
use super::topic::Prefix;

/// How far the clock of whoever makes tokens may be ahead. One that is behind is not made up for:
/// nobody hears by a token that has expired (draft-08, Subscribers).
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(30);
/// Details of a token (draft-08, Authorization Details).
const DETAILS_MAX: usize = 64;
/// Selectors of a detail, or of a claim.
const SELECTORS_MAX: usize = 100;
/// What draft-08 calls its details, before and after it had a URL for a name.
const DETAIL_TYPES: [&str; 2] = ["https://mercure.rocks/authorization-detail", "mercure"];

/// What somebody may do.
#[derive(Debug, Clone, Default)]
pub struct Grant {
    publish: Vec<Selector>,
    subscribe: Vec<Heard>,
    public: Public,
    expires: Option<SystemTime>,
    payload: Option<Arc<Value>>,
    is_access_token: bool,
}

/// What of the public events is heard.
#[derive(Debug, Clone)]
enum Public {
    All,
    /// Those with a topic that everybody may hear.
    Of(Arc<[Prefix]>),
}

/// Private topics that may be heard.
#[derive(Debug, Clone)]
struct Heard {
    topics: Vec<Selector>,
    payload: Option<Arc<Value>>,
}

/// What a token has to say besides being signed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    /// The URL of the hub, as it was asked.
    pub(super) hub: &'a Arc<Url>,
    /// For whom tokens are made, if that was set.
    pub(super) audience: Option<&'a str>,
    /// Who makes them; none: whoever has a key.
    pub(super) issuers: &'a [String],
    /// Now.
    pub(super) now: SystemTime,
    /// For what it is used.
    pub(super) role: Role,
}

/// What somebody wants to do: each has keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Publish,
    Subscribe,
}

/// What tokens claim, as far as it is of interest.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Claims {
    exp: Option<f64>,
    nbf: Option<f64>,
    iss: Option<String>,
    aud: Option<OneOrMore>,
    mercure: Option<Mercure>,
    authorization_details: Option<Vec<Value>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// The claim of draft-07, section Authorization.
#[derive(Debug, Clone, Deserialize)]
struct Mercure {
    publish: Option<Vec<String>>,
    subscribe: Option<Vec<String>>,
    payload: Option<Value>,
}

/// A detail of draft-08.
#[derive(Debug, Deserialize)]
struct Detail {
    actions: Vec<Action>,
    topics: Vec<Matcher>,
    payload: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Publish,
    Subscribe,
}

#[derive(Debug, Deserialize)]
struct Matcher {
    #[serde(rename = "match")]
    text: String,
    #[serde(default, alias = "matchType")]
    match_type: MatchType,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
enum MatchType {
    #[default]
    #[serde(rename = "exact", alias = "Exact")]
    Exact,
    #[serde(rename = "urlpattern", alias = "URLPattern")]
    Pattern,
}

impl Default for Public {
    fn default() -> Self {
        Self::Of(Arc::new([]))
    }
}

/// Returns whether somebody may see an event: a private one if a token allows one of its topics
/// (which is why alternates widen the audience), a public one if a token was shown, or if one of
/// its topics is everybody's.
///
/// For live and replayed events alike: a token that has changed meanwhile decides, not the one that
/// was shown when the event was published.
pub fn may_see<T: AsRef<str>>(grant: &Grant, topics: &[T], is_private: bool) -> bool {
    let any = |allowed: &dyn Fn(&str) -> bool| topics.iter().any(|topic| allowed(topic.as_ref()));
    if is_private {
        let mut heard = grant.subscribe.iter().flat_map(|heard| &heard.topics);
        return heard.any(|selector| any(&|topic| selector.matches(topic)));
    }
    match &grant.public {
        Public::All => true,
        Public::Of(prefixes) => any(&|topic| prefixes.iter().any(|prefix| prefix.covers(topic))),
    }
}

impl Grant {
    /// What everybody may do: hear what is public and begins with one of these.
    pub fn anonymous(prefixes: Arc<[Prefix]>) -> Self {
        Self {
            public: Public::Of(prefixes),
            ..Self::default()
        }
    }

    /// Returns whether an event with these topics may be published: all of them have to be allowed.
    pub fn may_publish<T: AsRef<str>>(&self, topics: &[T]) -> bool {
        let allowed = |topic: &T| self.publish.iter().any(|s| s.matches(topic.as_ref()));
        !topics.is_empty() && topics.iter().all(allowed)
    }

    /// Returns whether a token was shown, and was good.
    pub fn is_of_token(&self) -> bool {
        matches!(self.public, Public::All)
    }

    /// Returns whether that token was one of draft-08.
    pub(super) fn is_access_token(&self) -> bool {
        self.is_access_token
    }

    /// Returns whether private events with a topic may be heard.
    pub fn may_hear_private(&self, topic: &str) -> bool {
        may_see(self, &[topic], true)
    }

    /// Returns whether there are private events that may be heard.
    pub fn may_hear_any_private(&self) -> bool {
        self.subscribe.iter().any(|heard| !heard.topics.is_empty())
    }

    /// When it ends: whoever hears by it is cut off then (draft-08, Subscribers).
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// What is told of a subscription to those who may know of it (draft-08, Payloads).
    pub fn payload(&self, selector: &Selector) -> Option<&Value> {
        let covers = |heard: &&Heard| heard.topics.iter().any(|topic| topic.covers(selector));
        let detail = self.subscribe.iter().find(covers);
        let own = detail.and_then(|heard| heard.payload.as_deref());
        own.or(self.payload.as_deref())
    }

    /// Returns what a token grants, or nothing: one thing in it that is wrong makes all of it
    /// worthless, lest it grant more than was meant.
    pub(super) fn read(signed: Signed<Claims>, expected: Expected<'_>) -> Option<Self> {
        let claims = signed.claims;
        let is_access_token = signed.kind.as_deref() == Some("at+jwt");
        let expires = claims.valid_until(expected)?;
        let audience = match (expected.audience, is_access_token) {
            (Some(audience), _) => Some(audience),
            (None, true) => Some(expected.hub.as_str()),
            (None, false) => None,
        };
        // RFC 9068 section 4: who makes it, for whom, and until when is always said.
        if audience.is_some_and(|audience| !claims.is_for(audience))
            || !claims.is_by(expected.issuers)
            || is_access_token && (claims.iss.is_none() || expires.is_none())
        {
            return None;
        }
        let grant = Self {
            public: Public::All,
            expires,
            is_access_token,
            ..Self::default()
        };
        if is_access_token {
            grant.with_details(&claims.authorization_details?, expected)
        } else {
            grant.with_claim(claims.mercure?, expected)
        }
    }

    /// Draft-07: bare texts, each a name or a URI template.
    fn with_claim(mut self, claim: Mercure, expected: Expected<'_>) -> Option<Self> {
        let read = |texts: Option<Vec<String>>| -> Option<Vec<Selector>> {
            let texts = texts.unwrap_or_default();
            if texts.len() > SELECTORS_MAX {
                return None;
            }
            let parse = |text: &String| Selector::parse(Kind::Template, text, expected.hub).ok();
            texts.iter().map(parse).collect()
        };
        let (publish, subscribe) = (read(claim.publish)?, read(claim.subscribe)?);
        match expected.role {
            Role::Publish => self.publish = publish,
            Role::Subscribe => {
                self.payload = claim.payload.map(Arc::new);
                self.subscribe.push(Heard {
                    topics: subscribe,
                    payload: None,
                });
            }
        }
        Some(self)
    }

    /// Draft-08: what is of another type is another hub's.
    fn with_details(mut self, details: &[Value], expected: Expected<'_>) -> Option<Self> {
        let is_ours = |detail: &&Value| {
            let kind = detail.get("type").and_then(Value::as_str);
            kind.is_some_and(|kind| DETAIL_TYPES.contains(&kind))
        };
        if details.len() > DETAILS_MAX {
            return None;
        }
        for detail in details.iter().filter(is_ours) {
            let detail = Detail::deserialize(detail).ok()?;
            let count = detail.topics.len();
            if detail.actions.is_empty() || count == 0 || count > SELECTORS_MAX {
                return None;
            }
            let topics = detail.topics.iter().map(|matcher| {
                let kind = match matcher.match_type {
                    MatchType::Exact => Kind::Exact,
                    MatchType::Pattern => Kind::Pattern,
                };
                Selector::parse(kind, &matcher.text, expected.hub).ok()
            });
            let topics: Vec<_> = topics.collect::<Option<_>>()?;
            match expected.role {
                Role::Publish if detail.actions.contains(&Action::Publish) => {
                    self.publish.extend(topics);
                }
                Role::Subscribe if detail.actions.contains(&Action::Subscribe) => {
                    self.subscribe.push(Heard {
                        topics,
                        payload: detail.payload.map(Arc::new),
                    });
                }
                Role::Publish | Role::Subscribe => {}
            }
        }
        Some(self)
    }
}

impl Claims {
    /// Returns until when it is valid, if it is so now (RFC 7519 sections 4.1.4 and 4.1.5).
    #[expect(
        clippy::option_option,
        reason = "not valid, valid for ever, valid until"
    )]
    fn valid_until(&self, expected: Expected<'_>) -> Option<Option<SystemTime>> {
        let moment = |seconds: f64| {
            let since = Duration::try_from_secs_f64(seconds).ok()?;
            UNIX_EPOCH.checked_add(since)
        };
        if let Some(seconds) = self.nbf
            && expected.now + CLOCK_SKEW_MAX < moment(seconds)?
        {
            return None;
        }
        let Some(seconds) = self.exp else {
            return Some(None);
        };
        let expires = moment(seconds)?;
        (expected.now < expires).then_some(Some(expires))
    }

    fn is_for(&self, audience: &str) -> bool {
        match &self.aud {
            Some(OneOrMore::One(one)) => one == audience,
            Some(OneOrMore::More(more)) => more.iter().any(|one| one == audience),
            None => false,
        }
    }

    fn is_by(&self, issuers: &[String]) -> bool {
        issuers.is_empty()
            || self
                .iss
                .as_ref()
                .is_some_and(|issuer| issuers.contains(issuer))
    }
}
