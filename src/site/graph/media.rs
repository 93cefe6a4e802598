//! Media query lists, as far as a server can decide them (Media Queries 4).

/// Whether a media query list matches for a client that shows a page on a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Media {
    /// On every screen.
    Always,
    /// Depends on width, resolution, preferences.
    DependsOnClient,
    /// On no screen.
    Never,
}

impl Media {
    /// Decides a list as written in `media` or after `@import`; an empty one matches.
    pub(super) fn of(list: &str) -> Self {
        let mut decided = Self::Never;
        for query in list.split(',') {
            match query_of(query) {
                Self::Always => return Self::Always,
                Self::Never => {}
                Self::DependsOnClient => decided = Self::DependsOnClient,
            }
        }
        decided
    }
}

fn query_of(query: &str) -> Media {
    let query = query.to_ascii_lowercase();
    let mut words = query.split_ascii_whitespace().peekable();
    let is_negated = words.next_if_eq(&"not").is_some();
    words.next_if_eq(&"only");
    let (kind, rest) = (words.next(), words.next());
    let matches = match (kind, rest) {
        (None | Some("all" | "screen"), None) => true,
        // Every media type but these two has long been print or nothing.
        (Some(kind), None) if is_identifier(kind) => false,
        // `print and (...)` stays false whatever follows.
        (Some(kind), Some("and"))
            if is_identifier(kind) && !matches!(kind, "all" | "screen") && !is_negated =>
        {
            false
        }
        _ => return Media::DependsOnClient,
    };
    if matches == is_negated {
        Media::Never
    } else {
        Media::Always
    }
}

fn is_identifier(word: &str) -> bool {
    word.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_decided_for_screens() {
        for (list, expected) in [
            ("", Media::Always),
            ("  ", Media::Always),
            ("all", Media::Always),
            ("Screen", Media::Always),
            ("only screen", Media::Always),
            ("print, screen", Media::Always),
            ("not print", Media::Always),
            ("print", Media::Never),
            ("print, speech", Media::Never),
            ("tty", Media::Never),
            ("not all", Media::Never),
            ("print and (color)", Media::Never),
            ("screen and (min-width: 1px)", Media::DependsOnClient),
            ("(prefers-color-scheme: dark)", Media::DependsOnClient),
            ("(width>1px)", Media::DependsOnClient),
            ("not print and (color)", Media::DependsOnClient),
            ("not (color)", Media::DependsOnClient),
            ("print, (min-resolution: 2dppx)", Media::DependsOnClient),
        ] {
            assert_eq!(Media::of(list), expected, "{list}");
        }
    }
}
