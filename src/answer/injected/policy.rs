//! A page's Content Security Policy, opened for one script of its own origin and what that fetches.
//!
//! Pure: header values in, header values out. Nothing that a policy allows or forbids besides is
//! changed (Content Security Policy Level 3, sections 2.2, 6.7 and 6.8).

use http::header::{self, Entry};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Where policies stand; a violation of one that only reports is as loud as of the other.
const FIELDS: [HeaderName; 2] = [
    header::CONTENT_SECURITY_POLICY,
    header::CONTENT_SECURITY_POLICY_REPORT_ONLY,
];
/// What has to be allowed, and what says so in its place (section 6.8.3).
const NEEDED: [&[&str]; 2] = [
    &["connect-src", "default-src"],
    &["script-src-elem", "script-src", "default-src"],
];

/// Opens the policies of a head. What cannot be read stays as it is.
pub(super) fn open(headers: &mut HeaderMap) {
    for field in FIELDS {
        let Entry::Occupied(mut values) = headers.entry(field) else {
            continue;
        };
        for value in values.iter_mut() {
            let opened = value.to_str().map(opened).map(HeaderValue::try_from);
            if let Ok(Ok(opened)) = opened {
                *value = opened;
            }
        }
    }
}

/// Returns a header value with each of its policies opened.
fn opened(value: &str) -> String {
    let policies = value.split(',').map(|policy| {
        NEEDED
            .iter()
            .fold(policy.to_owned(), |policy, names| allow(&policy, names))
    });
    policies.collect::<Vec<_>>().join(",")
}

/// Returns a policy that allows its own origin what the first of some directives is about; the
/// others stand in for it, in order.
fn allow(policy: &str, names: &[&'static str]) -> String {
    let mut directives: Vec<String> = policy.split(';').map(str::to_owned).collect();
    // Of those of one name the first counts.
    let find = |&name: &&'static str| {
        let is_it = |directive: &String| {
            let mut words = directive.split_ascii_whitespace();
            words
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case(name))
        };
        Some((name, directives.iter().position(is_it)?))
    };
    let Some((name, at)) = names.iter().find_map(find) else {
        return policy.to_owned();
    };
    let sources = directives[at].split_ascii_whitespace().skip(1);
    let sources: Vec<_> = sources
        .filter(|source| !source.eq_ignore_ascii_case("'none'"))
        .collect();
    let is_own = |source: &&str| source.eq_ignore_ascii_case("'self'") || *source == "*";
    if sources.iter().any(is_own) {
        return policy.to_owned();
    }
    let mut wider = vec![names[0]];
    wider.extend(sources);
    wider.push("'self'");
    let wider = format!(" {}", wider.join(" "));
    if name == names[0] {
        directives[at] = wider;
    } else {
        directives.retain(|directive| !directive.trim().is_empty());
        directives.push(wider);
    }
    directives.join(";").trim_start().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: &str) {
        assert_eq!(opened(value), expected);
        // Once is enough.
        assert_eq!(opened(expected), expected);
    }

    #[test]
    fn what_is_allowed_already_stays() {
        for value in [
            "",
            "upgrade-insecure-requests; img-src 'none'",
            "default-src 'self'",
            "default-src 'none' ; connect-src * ;script-src 'SELF';",
            "Default-Src https: *",
        ] {
            check(value, value);
        }
    }

    #[test]
    fn what_is_not_is_added_to_what_counts() {
        check(
            "connect-src 'none'; script-src 'self'",
            "connect-src 'self'; script-src 'self'",
        );
        check(
            "default-src 'self'; CONNECT-SRC https://a.example; connect-src 'self'",
            "default-src 'self'; connect-src https://a.example 'self'; connect-src 'self'",
        );
        check(
            "default-src 'none'; img-src *;",
            "default-src 'none'; img-src *; connect-src 'self'; script-src-elem 'self'",
        );
        check(
            "script-src https://a.example 'nonce-1'",
            "script-src https://a.example 'nonce-1'; \
             script-src-elem https://a.example 'nonce-1' 'self'",
        );
        check(
            "default-src; script-src 'self'",
            "default-src; script-src 'self'; connect-src 'self'",
        );
    }

    #[test]
    fn every_policy_counts() {
        check(
            "default-src 'self', connect-src 'none'",
            "default-src 'self',connect-src 'self'",
        );
        let mut headers = HeaderMap::new();
        for value in ["connect-src a", "connect-src b", "connect-src \u{e9}"] {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(header::CONTENT_SECURITY_POLICY, value);
        }
        let report = HeaderValue::from_static("connect-src c");
        headers.append(header::CONTENT_SECURITY_POLICY_REPORT_ONLY, report);
        open(&mut headers);
        let values = headers.values().map(HeaderValue::as_bytes);
        let values: Vec<_> = values.map(String::from_utf8_lossy).collect();
        assert_eq!(
            values,
            [
                "connect-src a 'self'",
                "connect-src b 'self'",
                "connect-src \u{e9}",
                "connect-src c 'self'",
            ]
        );
    }
}
