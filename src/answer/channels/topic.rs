//! What an event is about: topics, the names of channels among them, and prefixes of both.
//!
//! A channel is a topic whose name fits into a URL as it is: `chat` at `/channels/chat` is the
//! topic `chat` to Mercure's clients. Topics in general are any text (draft-dunglas-mercure-08,
//! Terminology), compared byte for byte.

use std::fmt;
use std::sync::LazyLock;

use percent_encoding::percent_decode_str;
use url::Url;

use super::refusal::Refusal;

/// Bytes of a topic.
pub const TOPIC_BYTES_MAX: usize = 1024;
/// Topics of an event: the canonical one and its alternates.
pub const TOPICS_MAX: usize = 100;
/// Bytes of a channel's name.
pub const CHANNEL_BYTES_MAX: usize = 128;
/// Where Mercure is spoken: no topic but the hub's own is at this path or below it.
pub const MERCURE: &str = "/.well-known/mercure";

/// The last segments that say in which way a channel is heard, and so end no name.
const SUFFIXES: [&str; 4] = ["json", "sse", "raw", "ws"];

/// Checks that a text can be the topic of an event that somebody publishes.
///
/// # Errors
/// 400: it is empty, too long, has control characters, or is `*`, which means all. 403: it is the
/// hub's own (draft-08, Publication).
pub fn check_published(topic: &str) -> Result<(), Refusal> {
    check_text(topic)?;
    if topic == "*" {
        return Err(Refusal::bad(
            "`*` means all topics: publish to one that has a name",
        ));
    }
    if is_reserved(topic) {
        return Err(Refusal::forbidden(format!(
            "topics below `{MERCURE}` are the hub's own: publish to another"
        )));
    }
    Ok(())
}

/// Checks that a text can be a topic, or what selects some.
pub(super) fn check_text(text: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        return Err(Refusal::bad("a topic is empty: name one"));
    }
    if text.len() > TOPIC_BYTES_MAX {
        return Err(Refusal::bad(format!(
            "a topic is longer than {TOPIC_BYTES_MAX} bytes: name a shorter one"
        )));
    }
    // C0, DEL and C1.
    if text.chars().any(char::is_control) {
        return Err(Refusal::bad(
            "a topic has a control character: leave it out",
        ));
    }
    Ok(())
}

/// Returns whether a topic is the hub's own, however it is written: relative or absolute, of
/// whatever host, with dot segments or percent-encoded (draft-08, Publication).
pub fn is_reserved(topic: &str) -> bool {
    static HUB: LazyLock<Url> =
        LazyLock::new(|| Url::parse("https://hub.invalid/.well-known/mercure").expect("a URL"));
    let Ok(url) = HUB.join(topic) else {
        return false;
    };
    let path = percent_decode_str(url.path()).decode_utf8_lossy();
    let mut segments: Vec<&str> = Vec::new();
    // What was encoded may be dot segments in turn.
    for segment in path.split(['/', '\\']) {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    segments.starts_with(&[".well-known", "mercure"])
}

/// Checks the name of a channel: segments of letters, digits, `.`, `_`, `~` and `-`, with `/`
/// between them. None begins with a dot, and the last is none of `json`, `sse`, `raw`, `ws`.
///
/// # Errors
/// 400, with what is wrong; 403 for `mercure`, which would be the hub's own topic.
pub fn check_channel(name: &str) -> Result<(), Refusal> {
    if name.len() > CHANNEL_BYTES_MAX {
        return Err(Refusal::bad(format!(
            "a channel's name is longer than {CHANNEL_BYTES_MAX} bytes: choose a shorter one"
        )));
    }
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    let is_segment = |segment: &str| {
        !segment.is_empty() && segment.bytes().all(is_letter) && !is_hidden(segment)
    };
    if !name.split('/').all(is_segment) {
        return Err(Refusal::bad(
            "a channel's name is made of letters, digits and `.` `_` `~` `-`, with single `/` \
             between its parts, none of which begins with a dot; other topics are heard at \
             `/.well-known/mercure`",
        ));
    }
    let last = name.rsplit('/').next().unwrap_or_default();
    if SUFFIXES.contains(&last) {
        return Err(Refusal::bad(format!(
            "no channel's name ends in `{last}`: it says how one is heard, as in \
             `/channels/NAME/{last}`"
        )));
    }
    check_published(name)
}

fn is_hidden(segment: &str) -> bool {
    segment.starts_with('.')
}

/// The start of topics, or one topic: `demo/*`, `*`, `news`.
#[derive(Clone, PartialEq, Eq)]
pub enum Prefix {
    /// All that begin with it.
    Below(String),
    /// This one.
    Only(String),
}

impl Prefix {
    /// Reads `demo/*` (all that begin with `demo/`), `*` (all) or `news` (it alone).
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (stem, is_below) = match text.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (text, false),
        };
        if stem.contains('*') {
            return Err(format!("`{text}`: a `*` can only be at the end"));
        }
        if stem.len() > TOPIC_BYTES_MAX || stem.chars().any(char::is_control) {
            return Err(format!(
                "`{}` is no start of a topic: it is too long, or has control characters",
                text.escape_debug()
            ));
        }
        if is_below {
            return Ok(Self::Below(stem.to_owned()));
        }
        if stem.is_empty() {
            return Err("name channels: `news`, `demo/*`, or `*` for all".to_owned());
        }
        Ok(Self::Only(stem.to_owned()))
    }

    /// Returns whether a topic is among those meant.
    pub fn covers(&self, topic: &str) -> bool {
        match self {
            Self::Below(start) => topic.starts_with(start.as_str()),
            Self::Only(name) => topic == name,
        }
    }

    /// Returns whether all topics that begin with a text are among those meant.
    pub fn covers_all_from(&self, start: &str) -> bool {
        match self {
            Self::Below(_) => self.covers(start),
            Self::Only(_) => false,
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(start) => write!(f, "{start}*"),
            Self::Only(name) => f.write_str(name),
        }
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// draft-dunglas-mercure-08, Publication: the path counts once it is resolved, whatever the
    /// scheme and authority.
    #[test]
    fn the_hubs_own_topics_are_nobody_elses() {
        for (topic, is_hubs) in [
            ("/.well-known/mercure", true),
            ("/.well-known/mercure/subscriptions/exact/a/b", true),
            ("https://hub.example/.well-known/mercure/x", true),
            ("http://other.example:1/.well-known/mercure/x", true),
            ("mercure", true),
            ("mercure/x", true),
            ("../.well-known/mercure/x", true),
            ("/a/../.well-known/./mercure/x", true),
            ("/%2ewell-known/mercure", true),
            ("/.well-known/m%65rcure/x", true),
            ("/a%2F..%2F.well-known/mercure", true),
            ("//evil.example/.well-known/mercure", true),
            ("\\.well-known\\mercure", true),
            ("foo://x/.well-known/mercure", true),
            ("/.well-known/mercure2", false),
            ("/.well-known/mercury", false),
            ("/.WELL-KNOWN/mercure", false),
            ("https://example.com/books/1", false),
            ("urn:uuid:5e94c686-2c0b-4f9b-958c-92ccc3bbb4eb", false),
            ("chat", false),
            // Both resolve to the hub's own path.
            ("?x", true),
            ("#x", true),
            ("x?/.well-known/mercure/a", false),
        ] {
            assert_eq!(is_reserved(topic), is_hubs, "{topic}");
        }
    }

    #[test]
    fn names_fit_into_a_url_as_they_are() {
        for name in ["chat", "demo/chat", "a.b_c~d-e", "json/x", "a/b/c", "0"] {
            assert_eq!(check_channel(name), Ok(()), "{name}");
        }
        let long = "x".repeat(CHANNEL_BYTES_MAX + 1);
        for (name, said) in [
            ("", "made of letters"),
            ("/", "made of letters"),
            ("a//b", "made of letters"),
            ("a/", "made of letters"),
            ("..", "begins with a dot"),
            ("a/.hidden", "begins with a dot"),
            ("a b", "made of letters"),
            ("a*", "made of letters"),
            ("a,b", "made of letters"),
            ("caf\u{e9}", "made of letters"),
            ("a\n", "made of letters"),
            ("x/json", "how one is heard"),
            ("ws", "how one is heard"),
            ("mercure", "hub's own"),
            ("mercure/x", "hub's own"),
            (&long, "shorter"),
        ] {
            let refusal = check_channel(name).unwrap_err();
            assert!(refusal.text.contains(said), "{name}: {}", refusal.text);
        }
    }

    #[test]
    fn prefixes_cover_what_they_say() {
        for (prefix, covered, not) in [
            ("*", &["", "a", "https://x/"][..], &[][..]),
            ("demo/*", &["demo/", "demo/a/b"], &["demo", "demos/a", ""]),
            ("news", &["news"], &["news/a", "new"]),
        ] {
            let prefix = Prefix::parse(prefix).unwrap();
            assert!(covered.iter().all(|topic| prefix.covers(topic)), "{prefix}");
            assert!(!not.iter().any(|topic| prefix.covers(topic)), "{prefix}");
        }
        for bad in ["", "a*b", "**", "a\n"] {
            Prefix::parse(bad).unwrap_err();
        }
        assert!(Prefix::parse("demo/*").unwrap().covers_all_from("demo/x"));
        assert!(!Prefix::parse("demo/*").unwrap().covers_all_from("dem"));
        assert!(!Prefix::parse("news").unwrap().covers_all_from("news"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_topic_or_not(text in any::<String>()) {
            let _ = check_published(&text);
            let _ = check_channel(&text);
            if let Ok(prefix) = Prefix::parse(&text) {
                let again = Prefix::parse(&prefix.to_string()).unwrap();
                prop_assert_eq!(again, prefix);
            }
        }

        #[test]
        fn a_channel_is_a_topic(name in "[a-z0-9._~/-]{1,20}") {
            if check_channel(&name).is_ok() {
                prop_assert_eq!(check_published(&name), Ok(()));
            }
        }
    }
}
