//! Character references (HTML, section 13.2.5.72): `&amp;` and its kin, in attributes and in text.
//!
//! Knows the names of HTML 4 and those of ASCII characters. A URL with a rarer name stays as
//! written, so it leads nowhere and nothing is sent ahead for it.

use std::borrow::Cow;

/// Where a reference stands: the two differ in what a missing semicolon means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Attribute,
    Text,
}

/// Returns `text` with its character references replaced.
pub(super) fn decode(text: &str, place: Place) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at..];
        let (character, length) = reference(&rest[1..], place).unwrap_or(('&', 0));
        decoded.push(character);
        rest = &rest[1 + length..];
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

/// Reads what follows an ampersand: the character and how many bytes name it.
fn reference(rest: &str, place: Place) -> Option<(char, usize)> {
    if let Some(number) = rest.strip_prefix('#') {
        return numeric(number).map(|(character, length)| (character, length + 1));
    }
    let letters = rest
        .bytes()
        .take(NAME_LENGTH_MAX)
        .take_while(u8::is_ascii_alphanumeric)
        .count();
    if rest[letters..].starts_with(';')
        && let Some(character) = named(&rest[..letters])
    {
        return Some((character, letters + 1));
    }
    // Old names end without a semicolon too, which `?a=1&copy=2` in an attribute must survive.
    for length in (2..=letters.min(OLD_NAME_LENGTH_MAX)).rev() {
        if let Some(character) = old(&rest[..length]) {
            let next = rest.as_bytes().get(length);
            let is_query = next.is_some_and(|next| *next == b'=' || next.is_ascii_alphanumeric());
            return (place == Place::Text || !is_query).then_some((character, length));
        }
    }
    None
}

/// Reads what follows `&#`.
fn numeric(rest: &str) -> Option<(char, usize)> {
    let (radix, start) = match rest.as_bytes().first()? {
        b'x' | b'X' => (16, 1),
        _ => (10, 0),
    };
    let mut code = 0_u32;
    let mut length = start;
    while let Some(digit) = rest[length..]
        .chars()
        .next()
        .and_then(|next| next.to_digit(radix))
    {
        code = code.saturating_mul(radix).saturating_add(digit);
        length += 1;
    }
    if length == start {
        return None;
    }
    length += usize::from(rest[length..].starts_with(';'));
    let character = match code {
        0 => char::REPLACEMENT_CHARACTER,
        0x80..=0x9f => WINDOWS_1252[code as usize - 0x80],
        _ => char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
    };
    Some((character, length))
}

fn named(name: &str) -> Option<char> {
    let found = NAMES.binary_search_by_key(&name, |(name, _)| name);
    found.ok().map(|at| NAMES[at].1).or_else(|| latin_1(name))
}

/// Names that need no semicolon.
fn old(name: &str) -> Option<char> {
    match name {
        "amp" | "AMP" => Some('&'),
        "lt" | "LT" => Some('<'),
        "gt" | "GT" => Some('>'),
        "quot" | "QUOT" => Some('"'),
        "COPY" => Some('©'),
        "REG" => Some('®'),
        _ => latin_1(name),
    }
}

fn latin_1(name: &str) -> Option<char> {
    let at = LATIN_1.iter().position(|known| *known == name)?;
    char::from_u32(0xa0 + u32::try_from(at).ok()?)
}

/// Longest name in the tables, in bytes.
const NAME_LENGTH_MAX: usize = 16;

/// Longest name that needs no semicolon, in bytes.
const OLD_NAME_LENGTH_MAX: usize = 6;

/// What 0x80 to 0x9f mean, although Unicode has controls there.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Names of U+00A0 to U+00FF, in order.
const LATIN_1: [&str; 96] = [
    "nbsp", "iexcl", "cent", "pound", "curren", "yen", "brvbar", "sect", "uml", "copy", "ordf",
    "laquo", "not", "shy", "reg", "macr", "deg", "plusmn", "sup2", "sup3", "acute", "micro",
    "para", "middot", "cedil", "sup1", "ordm", "raquo", "frac14", "frac12", "frac34", "iquest",
    "Agrave", "Aacute", "Acirc", "Atilde", "Auml", "Aring", "AElig", "Ccedil", "Egrave", "Eacute",
    "Ecirc", "Euml", "Igrave", "Iacute", "Icirc", "Iuml", "ETH", "Ntilde", "Ograve", "Oacute",
    "Ocirc", "Otilde", "Ouml", "times", "Oslash", "Ugrave", "Uacute", "Ucirc", "Uuml", "Yacute",
    "THORN", "szlig", "agrave", "aacute", "acirc", "atilde", "auml", "aring", "aelig", "ccedil",
    "egrave", "eacute", "ecirc", "euml", "igrave", "iacute", "icirc", "iuml", "eth", "ntilde",
    "ograve", "oacute", "ocirc", "otilde", "ouml", "divide", "oslash", "ugrave", "uacute", "ucirc",
    "uuml", "yacute", "thorn", "yuml",
];

/// The other names, sorted.
const NAMES: [(&str, char); 262] = [
    ("AMP", '&'),
    ("Abreve", 'Ă'),
    ("Alpha", 'Α'),
    ("Beta", 'Β'),
    ("COPY", '©'),
    ("Cacute", 'Ć'),
    ("Ccaron", 'Č'),
    ("Chi", 'Χ'),
    ("Dagger", '‡'),
    ("Delta", 'Δ'),
    ("DiacriticalGrave", '`'),
    ("Epsilon", 'Ε'),
    ("Eta", 'Η'),
    ("GT", '>'),
    ("Gamma", 'Γ'),
    ("Hat", '^'),
    ("Iota", 'Ι'),
    ("Kappa", 'Κ'),
    ("LT", '<'),
    ("Lambda", 'Λ'),
    ("Leftarrow", '⇐'),
    ("Lstrok", 'Ł'),
    ("Mu", 'Μ'),
    ("NewLine", '\u{a}'),
    ("NonBreakingSpace", '\u{a0}'),
    ("Nu", 'Ν'),
    ("OElig", 'Œ'),
    ("Omega", 'Ω'),
    ("Omicron", 'Ο'),
    ("Phi", 'Φ'),
    ("Pi", 'Π'),
    ("Prime", '″'),
    ("Psi", 'Ψ'),
    ("QUOT", '"'),
    ("REG", '®'),
    ("Rho", 'Ρ'),
    ("Rightarrow", '⇒'),
    ("Sacute", 'Ś'),
    ("Scaron", 'Š'),
    ("Sigma", 'Σ'),
    ("Tab", '\u{9}'),
    ("Tau", 'Τ'),
    ("Theta", 'Θ'),
    ("UnderBar", '_'),
    ("Upsilon", 'Υ'),
    ("VerticalLine", '|'),
    ("Xi", 'Ξ'),
    ("Yuml", 'Ÿ'),
    ("Zcaron", 'Ž'),
    ("Zeta", 'Ζ'),
    ("abreve", 'ă'),
    ("alefsym", 'ℵ'),
    ("alpha", 'α'),
    ("amp", '&'),
    ("and", '∧'),
    ("ang", '∠'),
    ("aogon", 'ą'),
    ("apos", '\''),
    ("ast", '*'),
    ("asymp", '≈'),
    ("bdquo", '„'),
    ("beta", 'β'),
    ("bigstar", '★'),
    ("block", '█'),
    ("breve", '˘'),
    ("bsol", '\\'),
    ("bull", '•'),
    ("bullet", '•'),
    ("cacute", 'ć'),
    ("cap", '∩'),
    ("caron", 'ˇ'),
    ("ccaron", 'č'),
    ("centerdot", '·'),
    ("check", '✓'),
    ("chi", 'χ'),
    ("circ", 'ˆ'),
    ("clubs", '♣'),
    ("colon", ':'),
    ("comma", ','),
    ("commat", '@'),
    ("cong", '≅'),
    ("copysr", '℗'),
    ("crarr", '↵'),
    ("cross", '✗'),
    ("cup", '∪'),
    ("dArr", '⇓'),
    ("dagger", '†'),
    ("darr", '↓'),
    ("dcaron", 'ď'),
    ("delta", 'δ'),
    ("diams", '♦'),
    ("dollar", '$'),
    ("dot", '˙'),
    ("downarrow", '↓'),
    ("ecaron", 'ě'),
    ("empty", '∅'),
    ("emsp", '\u{2003}'),
    ("ensp", '\u{2002}'),
    ("eogon", 'ę'),
    ("epsilon", 'ε'),
    ("equals", '='),
    ("equiv", '≡'),
    ("eta", 'η'),
    ("euro", '€'),
    ("excl", '!'),
    ("exist", '∃'),
    ("female", '♀'),
    ("fflig", 'ﬀ'),
    ("filig", 'ﬁ'),
    ("fllig", 'ﬂ'),
    ("fnof", 'ƒ'),
    ("forall", '∀'),
    ("frasl", '⁄'),
    ("gamma", 'γ'),
    ("ge", '≥'),
    ("grave", '`'),
    ("gt", '>'),
    ("hArr", '⇔'),
    ("half", '½'),
    ("harr", '↔'),
    ("hearts", '♥'),
    ("hellip", '…'),
    ("hookleftarrow", '↩'),
    ("horbar", '―'),
    ("image", 'ℑ'),
    ("infin", '∞'),
    ("inodot", 'ı'),
    ("int", '∫'),
    ("iota", 'ι'),
    ("isin", '∈'),
    ("kappa", 'κ'),
    ("lArr", '⇐'),
    ("lambda", 'λ'),
    ("lang", '⟨'),
    ("larr", '←'),
    ("lbrace", '{'),
    ("lbrack", '['),
    ("lceil", '⌈'),
    ("lcub", '{'),
    ("ldquo", '“'),
    ("ldquor", '„'),
    ("le", '≤'),
    ("leftarrow", '←'),
    ("lfloor", '⌊'),
    ("lowast", '∗'),
    ("lowbar", '_'),
    ("loz", '◊'),
    ("lpar", '('),
    ("lrm", '\u{200e}'),
    ("lsaquo", '‹'),
    ("lsqb", '['),
    ("lsquo", '‘'),
    ("lsquor", '‚'),
    ("lstrok", 'ł'),
    ("lt", '<'),
    ("male", '♂'),
    ("mdash", '—'),
    ("midast", '*'),
    ("minus", '−'),
    ("mu", 'μ'),
    ("nabla", '∇'),
    ("nacute", 'ń'),
    ("ncaron", 'ň'),
    ("ndash", '–'),
    ("ne", '≠'),
    ("nearr", '↗'),
    ("ni", '∋'),
    ("notin", '∉'),
    ("nsub", '⊄'),
    ("nu", 'ν'),
    ("num", '#'),
    ("numero", '№'),
    ("nwarr", '↖'),
    ("odblac", 'ő'),
    ("oelig", 'œ'),
    ("oline", '‾'),
    ("omega", 'ω'),
    ("omicron", 'ο'),
    ("oplus", '⊕'),
    ("or", '∨'),
    ("otimes", '⊗'),
    ("part", '∂'),
    ("percnt", '%'),
    ("period", '.'),
    ("permil", '‰'),
    ("perp", '⊥'),
    ("phi", 'φ'),
    ("phone", '☎'),
    ("pi", 'π'),
    ("piv", 'ϖ'),
    ("plus", '+'),
    ("prime", '′'),
    ("prod", '∏'),
    ("prop", '∝'),
    ("psi", 'ψ'),
    ("quest", '?'),
    ("quot", '"'),
    ("rArr", '⇒'),
    ("radic", '√'),
    ("rang", '⟩'),
    ("rarr", '→'),
    ("rbrace", '}'),
    ("rbrack", ']'),
    ("rcaron", 'ř'),
    ("rceil", '⌉'),
    ("rcub", '}'),
    ("rdquo", '”'),
    ("real", 'ℜ'),
    ("rfloor", '⌋'),
    ("rho", 'ρ'),
    ("rightarrow", '→'),
    ("ring", '˚'),
    ("rlm", '\u{200f}'),
    ("rpar", ')'),
    ("rsaquo", '›'),
    ("rsqb", ']'),
    ("rsquo", '’'),
    ("sacute", 'ś'),
    ("sbquo", '‚'),
    ("scaron", 'š'),
    ("sdot", '⋅'),
    ("searr", '↘'),
    ("semi", ';'),
    ("sigma", 'σ'),
    ("sigmaf", 'ς'),
    ("sim", '∼'),
    ("sol", '/'),
    ("spades", '♠'),
    ("square", '□'),
    ("star", '☆'),
    ("starf", '★'),
    ("sub", '⊂'),
    ("sube", '⊆'),
    ("sum", '∑'),
    ("sup", '⊃'),
    ("supe", '⊇'),
    ("swarr", '↙'),
    ("tau", 'τ'),
    ("tcaron", 'ť'),
    ("there4", '∴'),
    ("theta", 'θ'),
    ("thetasym", 'ϑ'),
    ("thinsp", '\u{2009}'),
    ("tilde", '˜'),
    ("trade", '™'),
    ("uArr", '⇑'),
    ("uarr", '↑'),
    ("udblac", 'ű'),
    ("uparrow", '↑'),
    ("upsih", 'ϒ'),
    ("upsilon", 'υ'),
    ("uring", 'ů'),
    ("verbar", '|'),
    ("vert", '|'),
    ("weierp", '℘'),
    ("xi", 'ξ'),
    ("zacute", 'ź'),
    ("zcaron", 'ž'),
    ("zdot", 'ż'),
    ("zeta", 'ζ'),
    ("zwj", '\u{200d}'),
    ("zwnj", '\u{200c}'),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn references_are_decoded_as_html_says() {
        let cases = [
            ("a?b=1&amp;c=2", "a?b=1&c=2", "a?b=1&c=2"),
            ("a?b=1&c=2", "a?b=1&c=2", "a?b=1&c=2"),
            ("?a&copy=2", "?a&copy=2", "?a©=2"),
            ("?a&copy", "?a©", "?a©"),
            ("&copy2", "&copy2", "©2"),
            ("&amp", "&", "&"),
            ("&ampamp;", "&ampamp;", "&amp;"),
            ("&#38;&#x26;&#X26", "&&&", "&&&"),
            (
                "&#x80;&#0;&#xd800;&#99999999999;",
                "€\u{fffd}\u{fffd}\u{fffd}",
                "€\u{fffd}\u{fffd}\u{fffd}",
            ),
            ("&#;&#x;&;&", "&#;&#x;&;&", "&#;&#x;&;&"),
            ("&rarr;&nbsp;&eacute;", "→\u{a0}é", "→\u{a0}é"),
            ("&rarr", "&rarr", "&rarr"),
            ("java&Tab;script&colon;", "java\tscript:", "java\tscript:"),
            ("&notit;", "&notit;", "¬it;"),
            ("&unknown;", "&unknown;", "&unknown;"),
        ];
        for (text, attribute, own) in cases {
            assert_eq!(decode(text, Place::Attribute), attribute, "{text}");
            assert_eq!(decode(text, Place::Text), own, "{text}");
        }
    }

    #[test]
    fn the_table_can_be_searched() {
        assert!(NAMES.is_sorted_by_key(|(name, _)| name));
        let longest = NAMES.iter().map(|(name, _)| name.len()).max();
        assert_eq!(longest, Some(NAME_LENGTH_MAX));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[&#xX;0-9a-z\\PC]*") {
            decode(&text, Place::Attribute);
            decode(&text, Place::Text);
        }
    }
}
