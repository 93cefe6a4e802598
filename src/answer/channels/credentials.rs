//! How a token comes with a request: in `Authorization`, in a cookie, or, of draft-07 alone, in the
//! URL.

use std::sync::Arc;

use http::header::{self, HeaderMap};
use http::request::Parts;
use url::Url;

use super::super::Moment;
use super::ChannelOptions;
use super::grant::{Claims, Expected, Grant, Role};
use super::refusal::Refusal;
use super::topic::MERCURE;

/// Draft-08's cookie, which browsers take over TLS alone.
pub(super) const COOKIE: &str = "__Secure-mercure_access_token";
/// Draft-07's cookie.
pub(super) const COOKIE_7: &str = "mercureAuthorization";
/// The parameter of a URL by which draft-07 takes a token.
pub(super) const PARAMETER_7: &str = "authorization";
/// The parameter of RFC 6750 section 2.3, which RFC 9700 section 4.3.2 forbids.
pub(super) const PARAMETER: &str = "access_token";

/// A token, and how it came.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) carrier: Carrier,
}

/// How a token came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    Header,
    Url,
    /// Added by a browser, whoever asked it to.
    Cookie,
}

impl Token {
    /// Returns the one token of a request: of several, that of the header, then the URL's
    /// (`in_url`), then a cookie's (draft-07, Authorization).
    pub(super) fn of(headers: &HeaderMap, in_url: Option<&str>) -> Result<Option<Self>, Refusal> {
        let of = |text: &str, carrier| Self {
            text: text.to_owned(),
            carrier,
        };
        if let Some(text) = bearer(headers)? {
            return Ok(Some(of(text, Carrier::Header)));
        }
        if let Some(text) = in_url {
            return Ok(Some(of(text, Carrier::Url)));
        }
        let cookie = [COOKIE, COOKIE_7]
            .iter()
            .find_map(|name| cookie(headers, name));
        Ok(cookie.map(|text| of(text, Carrier::Cookie)))
    }

    /// Returns what it grants in a role.
    pub(super) fn grant(
        &self,
        options: &ChannelOptions,
        hub: &Arc<Url>,
        role: Role,
        moment: &Moment,
    ) -> Result<Grant, Refusal> {
        let keys = match role {
            Role::Publish => &options.publishers,
            Role::Subscribe => &options.subscribers,
        };
        let expected = Expected {
            hub,
            audience: options.audience.as_deref(),
            issuers: &options.issuers,
            now: moment.now,
            role,
        };
        let signed = keys.verified::<Claims>(&self.text);
        let grant = signed.and_then(|signed| Grant::read(signed, expected));
        grant.ok_or_else(Refusal::invalid_token)
    }
}

/// Returns the URL of the hub, as it was asked: its resource identifier (draft-08, Token
/// Validation), and what relative topics are seen from.
pub(super) fn hub(request: &Parts) -> Arc<Url> {
    let authority = match request.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => request
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok()),
    };
    let url =
        authority.and_then(|authority| Url::parse(&format!("https://{authority}{MERCURE}")).ok());
    Arc::new(url.unwrap_or_else(|| {
        Url::parse("https://localhost/.well-known/mercure").expect("a URL that was written here")
    }))
}

/// Returns the token of the header. Another scheme is not about channels: it may have opened the
/// site.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut tokens = headers
        .get_all(header::AUTHORIZATION)
        .iter()
        .filter_map(|field| {
            let (scheme, token) = field.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
    let token = tokens.next();
    // RFC 6750 section 3.1: more than one is an invalid request.
    if tokens.next().is_some() {
        return Err(Refusal::bad("there are several tokens: send one").challenged());
    }
    Ok(token)
}

/// Returns the value of a cookie (RFC 6265 section 4.2.1), over all fields: HTTP/2 may split them
/// (RFC 9113 section 8.2.3).
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let fields = headers.get_all(header::COOKIE).into_iter();
    let pairs = fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then(|| value.trim_matches('"')))
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(fields: &[(&'static str, &str)], in_url: Option<&str>) -> Option<(String, Carrier)> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let token = Token::of(&headers, in_url).ok()?;
        token.map(|token| (token.text, token.carrier))
    }

    /// draft-07, Authorization; RFC 6750 section 2.1.
    #[test]
    fn the_header_counts_most_and_a_cookie_least() {
        let bearer = ("authorization", "bEaReR abc");
        let basic = ("authorization", "Basic abc");
        let eight = ("cookie", "a=b; __Secure-mercure_access_token=eight");
        let seven = ("cookie", "mercureAuthorization=\"seven\"");
        let is = |text: &str, carrier| Some((text.to_owned(), carrier));
        for (fields, in_url, expected) in [
            (&[][..], None, None),
            (&[bearer, eight], Some("url"), is("abc", Carrier::Header)),
            (&[basic, eight], Some("url"), is("url", Carrier::Url)),
            (&[basic, seven, eight], None, is("eight", Carrier::Cookie)),
            (&[basic, seven], None, is("seven", Carrier::Cookie)),
            (&[basic, bearer], None, is("abc", Carrier::Header)),
            (&[bearer, bearer], None, None),
            (
                &[("cookie", "xmercureAuthorization=a; mercureAuthorization=")],
                None,
                None,
            ),
        ] {
            assert_eq!(token(fields, in_url), expected, "{fields:?}");
        }
    }
}
