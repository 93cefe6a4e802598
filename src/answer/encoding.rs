//! Which encodings a request takes, and how much it likes each (RFC 9110 section 12.5.3).
//!
//! Pure, and it knows no file. What is made of it: `representation`.

use http::header::{self, HeaderMap};

use crate::site::encodings::Coding;

/// Members of `Accept-Encoding` that are read; more say nothing.
const MEMBERS_MAX: usize = 32;

/// A quality of 1, in thousandths.
pub(super) const QUALITY_MAX: u16 = 1000;

/// What an `Accept-Encoding` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The quality of each of [`Coding::ALL`], in thousandths; 0: not taken.
    qualities: [u16; 3],
    /// That of no encoding; `None`: nothing is said of it, so it is taken if nothing else is there.
    identity: Option<u16>,
}

impl Accepted {
    /// What a request takes that says nothing, or only what is unknown here.
    pub const IDENTITY: Self = Self {
        qualities: [0; 3],
        identity: None,
    };

    /// Reads the fields of a request. A member that is malformed says nothing.
    pub fn read(headers: &HeaderMap) -> Self {
        let (mut qualities, mut identity, mut others) = ([None; 3], None, None);
        let fields = headers.get_all(header::ACCEPT_ENCODING).iter();
        let members = fields.flat_map(|field| field.as_bytes().split(|&byte| byte == b','));
        for member in members.take(MEMBERS_MAX) {
            let Some((name, quality)) = read(member) else {
                continue;
            };
            let known = match coding(name) {
                Some(coding) => &mut qualities[coding as usize],
                None if name == b"*" => &mut others,
                None if name.eq_ignore_ascii_case(b"identity") => &mut identity,
                None => continue,
            };
            // What is named twice is taken if either says so.
            *known = Some(known.map_or(quality, |before: u16| before.max(quality)));
        }
        Self {
            qualities: qualities.map(|quality| quality.or(others).unwrap_or(0)),
            identity: identity.or(others),
        }
    }

    /// Returns whether a coding is taken.
    pub fn takes(self, coding: Coding) -> bool {
        self.qualities[coding as usize] > 0
    }

    /// Returns whether any coding is taken.
    pub fn takes_any(self) -> bool {
        Coding::ALL.iter().any(|&coding| self.takes(coding))
    }

    /// Returns whether the bytes may be sent as they are.
    pub fn takes_identity(self) -> bool {
        self.identity != Some(0)
    }

    /// Returns the codings that are taken and liked no less than none at all, the best liked first;
    /// of those liked equally, as they stand in [`Coding::ALL`].
    pub fn preferred(self) -> impl Iterator<Item = Coding> {
        let quality = move |coding: &Coding| self.qualities[*coding as usize];
        let least = self.identity.unwrap_or(0).max(1);
        let mut codings = Coding::ALL;
        codings.sort_by_key(|coding| std::cmp::Reverse(quality(coding)));
        codings
            .into_iter()
            .filter(move |coding| quality(coding) >= least)
    }
}

/// Reads a member: its name, and its quality in thousandths (RFC 9110 section 12.4.2).
fn read(member: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = member.split(|&byte| byte == b';');
    let name = parts.next()?.trim_ascii();
    let Some(weight) = parts.next() else {
        return Some((name, QUALITY_MAX));
    };
    let quality = quality(weight_in(weight.trim_ascii())?)?;
    parts.next().is_none().then_some((name, quality))
}

/// Returns the text of a quality, if that is what a parameter gives. Its name has no case (RFC 9110
/// section 12.4.2).
pub(super) fn weight_in(parameter: &[u8]) -> Option<&[u8]> {
    let (key, value) = parameter.split_at_checked(2)?;
    key.eq_ignore_ascii_case(b"q=").then_some(value)
}

/// Reads a quality, in thousandths.
pub(super) fn quality(text: &[u8]) -> Option<u16> {
    let (whole, fraction) = match text {
        [whole] | [whole, b'.'] => (whole, &[][..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().chain(b"000").take(3);
    let thousandths = digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match whole {
        b'0' => Some(thousandths),
        b'1' if thousandths == 0 => Some(QUALITY_MAX),
        _ => None,
    }
}

fn coding(name: &[u8]) -> Option<Coding> {
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    let known = Coding::ALL.into_iter().find(|coding| is(coding.name()));
    // RFC 9110 section 8.4.1.3.
    known.or_else(|| is("x-gzip").then_some(Coding::Gzip))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accepted(fields: &[&str]) -> Accepted {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::ACCEPT_ENCODING, field.parse().unwrap());
        }
        Accepted::read(&headers)
    }

    /// `expected`: the codings in order, then whether identity is taken.
    #[track_caller]
    fn check(field: &str, expected: &str) {
        let accepted = accepted(&[field]);
        let mut told: Vec<_> = accepted.preferred().map(Coding::name).collect();
        if accepted.takes_identity() {
            told.push("identity");
        }
        assert_eq!(told.join(" "), expected, "{field}");
    }

    #[test]
    fn codings_are_taken_as_a_client_likes_them() {
        check("gzip, deflate, br, zstd", "br zstd gzip identity");
        check("gzip, deflate, br", "br gzip identity");
        check("gzip", "gzip identity");
        check("x-gzip, BR;Q=0.1", "gzip br identity");
        check("gzip;q=1.0, br;q=0.9, zstd;q=0.95", "gzip zstd br identity");
        check("gzip;q=0.001 , br ; q=0.002", "br gzip identity");
        check("br;q=0, gzip", "gzip identity");
        check("deflate, compress", "identity");
        check("", "identity");
        check(",, gzip ,", "gzip identity");
    }

    #[test]
    fn a_star_is_what_is_not_named() {
        check("*", "br zstd gzip identity");
        check("*;q=0", "");
        check("gzip, *;q=0", "gzip");
        check("identity, *;q=0", "identity");
        check("*, br;q=0", "zstd gzip identity");
        check("br;q=0.5, *;q=0.7", "zstd gzip identity");
    }

    #[test]
    fn no_encoding_is_a_choice_too() {
        check("identity", "identity");
        check("identity;q=0", "");
        check("br, identity;q=0", "br");
        check("identity;q=1, *;q=0", "identity");
        // What a media element of Chromium says.
        check("identity;q=1, gzip;q=0.5", "identity");
        check("identity;q=0.5, gzip;q=0.5", "gzip identity");
    }

    #[test]
    fn what_is_malformed_says_nothing() {
        for member in [
            "br;q=2",
            "br;q=1.001",
            "br;q=0.0001",
            "br;q=",
            "br;q=-1",
            "br;q=a",
            "br;q",
            "br;level=3",
            "br;q=1;q=1",
            "b r",
            "br;q=1.",
            "br;",
        ] {
            let expected = if member == "br;q=1." {
                "br gzip identity"
            } else {
                "gzip identity"
            };
            check(&format!("{member}, gzip;q=0.5"), expected);
        }
        check("br;q=0, br", "br identity");
    }

    #[test]
    fn fields_are_one_list_and_it_is_bounded() {
        let two = accepted(&["gzip;q=0.5", "br"]);
        assert!(two.takes(Coding::Gzip) && two.takes(Coding::Brotli));
        let members = "deflate,".repeat(MEMBERS_MAX);
        check(&format!("{members}gzip"), "identity");
        assert_eq!(Accepted::read(&HeaderMap::new()), Accepted::IDENTITY);
        assert!(!Accepted::IDENTITY.takes_any());
    }

    proptest! {
        #[test]
        fn nothing_is_sent_that_is_not_taken(
            members in prop::collection::vec(("(br|gzip|zstd|identity|\\*)", 0..=1000_u16), 0..6),
        ) {
            let texts: Vec<_> = members
                .iter()
                .map(|(name, q)| format!("{name};q={}.{:03}", q / 1000, q % 1000))
                .collect();
            let accepted = accepted(&[&texts.join(", ")]);
            let said = |name: &str| {
                let of = |name: &str| members.iter().filter(|m| m.0 == name).map(|m| m.1).max();
                of(name).or_else(|| of("*"))
            };
            prop_assert_eq!(accepted.takes_identity(), said("identity") != Some(0));
            for coding in Coding::ALL {
                prop_assert_eq!(accepted.takes(coding), said(coding.name()).unwrap_or(0) > 0);
            }
            let liked: Vec<_> = accepted.preferred().map(|c| said(c.name()).unwrap()).collect();
            prop_assert!(liked.is_sorted_by(|a, b| a >= b) && !liked.contains(&0));
        }

        #[test]
        fn garbage_is_read_without_panic(field in "[ -~]{0,60}") {
            let _ = accepted(&[&field]);
        }
    }
}
