//! Channels: what a request about events means, and whether it is allowed.
//!
//! Pure, like all answers: what is published or heard is only described here, and the door does it.
//! Two addresses are spoken to. `/channels/NAME` takes events by `POST` and `PUT` and gives them in
//! whichever way the request asks for, with ntfy's endings `/json`, `/sse`, `/raw` and `/ws` for
//! those who cannot. `/.well-known/mercure` is Mercure's hub, for clients of draft-07 and draft-08
//! alike: each request says by its parameters, and each token by its claims, which one it is of.
//!
//! A request becomes [`Asked`]. Read on in [`way`] (how it is heard), [`parameters`] (from where
//! on), [`subscribe`] and [`publish`], [`topic`] and [`selector`] (what it is about: [`template`],
//! [`url_pattern`]), [`slow`] (what slow ones get), [`keys`] and [`grant`] (who may), [`origin`]
//! (which pages may), `credentials` (how a token comes), [`subscriptions`] (who hears what) and
//! [`refusal`] (what others are told).
//! How events are kept and framed is not known here.

mod credentials;
pub mod grant;
pub mod keys;
pub mod origin;
pub mod parameters;
pub mod publish;
pub mod refusal;
pub mod selector;
pub mod slow;
pub mod subscribe;
pub mod subscriptions;
pub mod template;
pub mod topic;
pub mod url_pattern;
pub mod way;

use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};

use self::credentials::{Carrier, Token};
use self::grant::Role;
use self::origin::Standing;
use self::selector::Kind;
use self::subscribe::Wanted;
use super::{Answer, Body, Moment, plain};

pub use self::grant::{Grant, may_see};
pub use self::keys::Keys;
pub use self::origin::Origins;
pub use self::parameters::{Cursor, Start};
pub use self::publish::{Publication, Published, Publishing, Speaker};
pub use self::refusal::Refusal;
pub use self::selector::Selector;
pub use self::slow::{SlowRule, SlowRules};
pub use self::subscribe::Subscribe;
pub use self::subscriptions::{Active, Subscription, Subscriptions};
pub use self::topic::{MERCURE, Prefix};
pub use self::way::{Form, Way};

/// Where channels are, each under its name.
pub const CHANNELS: &str = "/channels";
/// The channels of the built-in site, where everybody may speak who is on this machine.
pub const DEMO: &str = "demo/*";

/// How long a poll may wait, unless something else was set.
const WAIT_MAX: Duration = Duration::from_mins(2);
/// Bytes of the data of an event, unless something else was set.
const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// What whoever runs the server says of channels.
#[derive(Debug, Clone)]
pub struct ChannelOptions {
    /// Topics whose public events are heard without a token.
    pub anonymous: Vec<Prefix>,
    /// Topics that are published to without a token, from this machine.
    pub unsigned: Vec<Prefix>,
    /// What becomes of what has gathered for a slow subscriber.
    pub slow: SlowRules,
    /// Origins, besides the server's own, whose pages may hear and publish.
    pub origins: Origins,
    /// What the tokens of those who publish are signed with.
    pub publishers: Keys,
    /// What the tokens of those who hear are signed with.
    pub subscribers: Keys,
    /// For whom tokens are made (`aud`). Without it, tokens of draft-08 are for the URL that was
    /// asked, and those of draft-07 for anybody.
    pub audience: Option<String>,
    /// Who makes them (`iss`); none: whoever has a key.
    pub issuers: Vec<String>,
    /// Whether it can be asked who hears what (Mercure's subscriptions).
    pub subscriptions: bool,
    /// Bytes of the data of an event.
    pub event_bytes_max: usize,
    /// How long a poll may wait.
    pub wait_max: Duration,
}

/// Who asks, as far as the request itself does not say.
#[derive(Debug, Clone, Copy, Default)]
pub struct Caller<'a> {
    /// Whether they are on this machine.
    pub is_loopback: bool,
    /// `:protocol` of an extended CONNECT (RFC 8441).
    pub protocol: Option<&'a str>,
}

/// Which protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The server's own, and ntfy's.
    Channels,
    /// draft-dunglas-mercure-07: `topic`.
    Mercure7,
    /// draft-dunglas-mercure-08: `match`.
    Mercure8,
}

/// What a request about events means.
#[derive(Debug)]
pub enum Asked {
    /// Nothing that takes a hub: it is answered so.
    Answered(Box<Answer>),
    /// Somebody may publish, as far as the head says: read the body, then
    /// [`Publishing::read`].
    Publish(Box<Publishing>),
    /// Somebody hears.
    Subscribe(Box<Subscribe>),
    /// Somebody wants to know who hears what.
    Subscriptions(Box<Subscriptions>),
}

impl Default for ChannelOptions {
    /// Nobody has a key: the channels of the built-in site are heard by all, and published to from
    /// this machine.
    fn default() -> Self {
        let demo = || vec![Prefix::parse(DEMO).expect("a prefix that was written here")];
        Self {
            anonymous: demo(),
            unsigned: demo(),
            slow: SlowRules::default(),
            origins: Origins::default(),
            publishers: Keys::default(),
            subscribers: Keys::default(),
            audience: None,
            issuers: Vec::new(),
            subscriptions: true,
            event_bytes_max: EVENT_BYTES_MAX,
            wait_max: WAIT_MAX,
        }
    }
}

/// Returns whether a path is about channels.
pub fn is_reserved(path: &str) -> bool {
    [CHANNELS, MERCURE].iter().any(|root| {
        let rest = path.strip_prefix(root);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Returns the `Link` by which pages find the hub, and where its log stood when they were made
/// (Discovery of both drafts). `last` is the id of the last event.
pub fn link(last: &str) -> HeaderValue {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    let known = !last.is_empty() && last.bytes().all(is_plain);
    let text = format!("<{MERCURE}>; rel=\"mercure\"; last-event-id=\"{last}\"");
    let link = HeaderValue::try_from(text).ok().filter(|_| known);
    link.unwrap_or(HeaderValue::from_static(
        "</.well-known/mercure>; rel=\"mercure\"",
    ))
}

/// Returns what a request means whose path [`is_reserved`].
pub fn ask(
    options: &ChannelOptions,
    request: &Parts,
    caller: Caller<'_>,
    moment: &Moment,
) -> Asked {
    let path = request.uri.path();
    let is_mercure = path.starts_with(MERCURE);
    let asked = if request.method == Method::OPTIONS {
        Ok(preflight(options, request, moment))
    } else if path
        .strip_prefix(MERCURE)
        .is_some_and(|rest| !rest.is_empty())
    {
        documents(options, request, moment)
    } else if request.method == Method::POST || request.method == Method::PUT && !is_mercure {
        publish(options, request, caller, moment)
    } else if request.method == Method::PUT {
        Err(Refusal::method("GET, HEAD, POST, OPTIONS"))
    } else if [Method::GET, Method::HEAD, Method::CONNECT].contains(&request.method) {
        hear(options, request, caller, moment)
    } else if is_mercure {
        Err(Refusal::method("GET, HEAD, POST, OPTIONS"))
    } else {
        Err(Refusal::method("GET, HEAD, POST, PUT, OPTIONS"))
    };
    asked.unwrap_or_else(|refusal| {
        let refusal = if is_mercure {
            refusal.challenged()
        } else {
            refusal
        };
        let mut answer = refusal.answer(moment);
        options.origins.share(request, answer.head.headers_mut());
        if request.method == Method::HEAD {
            answer.body = Body::Empty;
        }
        Asked::Answered(Box::new(answer))
    })
}

/// Answers a browser that asks whether a page may.
fn preflight(options: &ChannelOptions, request: &Parts, moment: &Moment) -> Asked {
    let mut answer = plain(StatusCode::NO_CONTENT, moment);
    let headers = answer.head.headers_mut();
    let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, OPTIONS");
    headers.insert(header::ALLOW, methods);
    options.origins.share(request, headers);
    options.origins.preflight(request, headers);
    Asked::Answered(Box::new(answer))
}

/// Returns the part of a path below `/channels/`, if it is there.
fn below_channels(request: &Parts) -> Option<&str> {
    let rest = request.uri.path().strip_prefix(CHANNELS)?;
    rest.strip_prefix('/').filter(|rest| !rest.is_empty())
}

fn nameless() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "channels have names: ask for `/channels/NAME`",
    )
}

fn hear(
    options: &ChannelOptions,
    request: &Parts,
    caller: Caller<'_>,
    moment: &Moment,
) -> Result<Asked, Refusal> {
    let hub = credentials::hub(request);
    let is_mercure = request.uri.path() == MERCURE;
    let asked = if is_mercure {
        Dialect::Mercure8
    } else {
        Dialect::Channels
    };
    let parameters = parameters::read(request.uri.query().unwrap_or_default())?;
    let mut wanted = Wanted::read(parameters, asked, &hub, moment)?;
    let dialect = wanted.dialect().unwrap_or(asked);
    if let Some(below) = below_channels(request) {
        let (names, suffix) = subscribe::names(below)?;
        wanted.wish.suffix = suffix;
        for name in names {
            wanted.push(Selector::parse(Kind::Exact, &name, &hub).map_err(Refusal::bad)?)?;
        }
    }
    let usual = subscribe::usual(dialect);
    let way = Way::of(request, caller, wanted.wish, usual, options.wait_max)?;
    // A WebSocket may say later what it wants to hear.
    if wanted.selectors.is_empty() && way != Way::WebSocket {
        return Err(if is_mercure {
            Refusal::bad("say what to hear: `?match=TOPIC`, `?match_urlpattern=` or `?topic=`")
        } else {
            nameless()
        });
    }
    let token = Token::of(&request.headers, wanted.token.as_deref())?;
    let is_cookie = token
        .as_ref()
        .is_some_and(|token| token.carrier == Carrier::Cookie);
    let (grant, speaker) = if way == Way::WebSocket {
        options.origins.check(request, is_cookie)?;
        both(options, request, caller, &hub, token.as_ref(), moment)?
    } else {
        let grant = grant(options, &hub, token.as_ref(), moment)?;
        (grant, Speaker::default())
    };
    for selector in &wanted.selectors {
        subscribe::check_heard(&grant, selector, options)?;
    }
    let subscribe = Subscribe {
        start: subscribe::start(request, &wanted, way),
        fields: subscribe::fields(request, options, way, wanted.wish),
        is_conditional: request.headers.contains_key(header::IF_NONE_MATCH),
        selectors: wanted.selectors,
        grant: Arc::new(grant),
        way,
        speaker,
        dialect,
        hub,
    };
    if request.method == Method::HEAD {
        let answer = subscribe.answer(None, moment);
        return Ok(Asked::Answered(Box::new(subscribe::without_body(answer))));
    }
    Ok(Asked::Subscribe(Box::new(subscribe)))
}

/// What may be heard.
fn grant(
    options: &ChannelOptions,
    hub: &Arc<url::Url>,
    token: Option<&Token>,
    moment: &Moment,
) -> Result<Grant, Refusal> {
    match token {
        Some(token) => token.grant(options, hub, Role::Subscribe, moment),
        None => Ok(Grant::anonymous(options.anonymous.clone().into())),
    }
}

/// What may be heard and said over a WebSocket: its token has to be good for one of the two.
fn both(
    options: &ChannelOptions,
    request: &Parts,
    caller: Caller<'_>,
    hub: &Arc<url::Url>,
    token: Option<&Token>,
    moment: &Moment,
) -> Result<(Grant, Speaker), Refusal> {
    let hears = grant(options, hub, token, moment);
    let speaks = token.map(|token| token.grant(options, hub, Role::Publish, moment));
    let speaks = speaks.and_then(Result::ok);
    let grant = match hears {
        Ok(grant) => grant,
        Err(_) if speaks.is_some() => Grant::anonymous(options.anonymous.clone().into()),
        Err(refusal) => return Err(refusal),
    };
    let mut speaker = unsigned(options, request, caller);
    speaker.grant = speaks.map(Arc::new);
    Ok((grant, speaker))
}

/// Somebody without a token.
fn unsigned(options: &ChannelOptions, request: &Parts, caller: Caller<'_>) -> Speaker {
    // To be on this machine is a credential that the browser adds, as a cookie is: no page of any
    // origin whatever has it.
    let is_anybodys = options.origins.standing(request) == Standing::Any;
    Speaker {
        grant: None,
        unsigned: if caller.is_loopback && !is_anybodys {
            options.unsigned.clone()
        } else {
            Vec::new()
        },
    }
}

fn publish(
    options: &ChannelOptions,
    request: &Parts,
    caller: Caller<'_>,
    moment: &Moment,
) -> Result<Asked, Refusal> {
    let is_mercure = request.uri.path() == MERCURE;
    let channels = match below_channels(request) {
        Some(below) => match subscribe::names(below)? {
            (names, None) => names,
            _ => {
                return Err(Refusal::method("GET, HEAD, OPTIONS"));
            }
        },
        None => Vec::new(),
    };
    let mut parameters = parameters::read(request.uri.query().unwrap_or_default())?;
    let in_url = token_in_url(&mut parameters, is_mercure)?;
    let token = Token::of(&request.headers, in_url.as_deref())?;
    let is_cookie = token
        .as_ref()
        .is_some_and(|token| token.carrier == Carrier::Cookie);
    options.origins.check(request, is_cookie)?;
    let mut speaker = unsigned(options, request, caller);
    if let Some(token) = &token {
        let hub = credentials::hub(request);
        let grant = token.grant(options, &hub, Role::Publish, moment)?;
        speaker.grant = Some(Arc::new(grant));
    } else if speaker.unsigned.is_empty() {
        // Whatever is said, and about whatever.
        speaker.check(&[String::new()])?;
    }
    let publishing =
        Publishing::read_head(request, channels, parameters, speaker, options, is_mercure)?;
    Ok(Asked::Publish(Box::new(publishing)))
}

/// Takes the token out of a query: draft-07 has one there.
fn token_in_url(
    parameters: &mut Vec<(String, String)>,
    is_mercure: bool,
) -> Result<Option<String>, Refusal> {
    let is_token = |name: &str| is_mercure && name == credentials::PARAMETER_7;
    let mut tokens = parameters.extract_if(.., |(name, _)| is_token(name));
    let token = tokens.next().map(|(_, token)| token);
    if tokens.next().is_some() {
        return Err(Refusal::bad("there are several tokens: send one"));
    }
    drop(tokens);
    if parameters
        .iter()
        .any(|(name, _)| name == credentials::PARAMETER)
    {
        return Err(Refusal::bad(
            "tokens are not taken in the URL: send `Authorization: Bearer TOKEN`",
        ));
    }
    Ok(token)
}

/// Who hears what.
fn documents(options: &ChannelOptions, request: &Parts, moment: &Moment) -> Result<Asked, Refusal> {
    if !options.subscriptions {
        return Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "who hears what is not told by this server",
        ));
    }
    if request.method != Method::GET && request.method != Method::HEAD {
        return Err(Refusal::method("GET, HEAD, OPTIONS"));
    }
    let mut parameters = parameters::read(request.uri.query().unwrap_or_default())?;
    let in_url = token_in_url(&mut parameters, true)?;
    if let Some((name, _)) = parameters.first() {
        return Err(parameters::unknown(name, "none here"));
    }
    let Some(token) = Token::of(&request.headers, in_url.as_deref())? else {
        return Err(Refusal::missing_token(
            "seeing who hears what takes a token: send it as `Authorization: Bearer TOKEN`",
        ));
    };
    let grant = token.grant(options, &credentials::hub(request), Role::Subscribe, moment)?;
    let mut fields = HeaderMap::new();
    options.origins.share(request, &mut fields);
    let accepted = request.headers.get_all(header::ACCEPT).iter();
    let is_linked_data = accepted
        .filter_map(|field| field.to_str().ok())
        .any(|field| field.contains("application/ld+json"));
    let is_linked_data = is_linked_data || !grant.is_access_token();
    let path = request.uri.path();
    let subscriptions = Subscriptions::read(path, &grant, is_linked_data, fields)?;
    Ok(Asked::Subscriptions(Box::new(subscriptions)))
}

#[cfg(test)]
mod tests;
