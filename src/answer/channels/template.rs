//! URI templates (RFC 6570), all four levels, the other way round: is a topic what a template
//! could have been expanded to?
//!
//! Compiled to an automaton that reads a topic once, so that no template, however it is made, takes
//! longer than its length times the topic's.

use std::fmt::Write as _;

use regex::{Regex, RegexBuilder};

/// Variables of a template.
const VARIABLES_MAX: usize = 32;
/// The longest prefix that `{name:n}` may ask for. RFC 6570 section 2.4.1 has up to 9999, each of
/// which would be a state.
const PREFIX_MAX: u16 = 255;
/// Bytes of a compiled template.
const COMPILED_BYTES_MAX: usize = 512 * 1024;

/// What stands for a character of a value where reserved ones are encoded (RFC 6570 section 3.2.1).
/// Topics may be IRIs, so letters of other alphabets stand for themselves as well.
const UNRESERVED: &str = "[A-Za-z0-9._~[^\\x00-\\x7F]-]|%[0-9A-Fa-f]{2}";
/// What stands for a character where they are not.
const RESERVED: &str = "[A-Za-z0-9._~:/?#\\[\\]@!$&'()*+,;=[^\\x00-\\x7F]-]|%[0-9A-Fa-f]{2}";

/// A template.
#[derive(Debug, Clone)]
pub struct Template {
    text: String,
    matcher: Regex,
}

/// How an expression expands (RFC 6570 section 3.2.1 and appendix A).
struct Operator {
    first: &'static str,
    separator: &'static str,
    is_named: bool,
    is_reserved: bool,
}

struct Variable<'a> {
    name: &'a str,
    is_exploded: bool,
    prefix: Option<u16>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pattern = String::from(r"\A");
        let mut rest = text;
        let mut variables = 0;
        while let Some(next) = rest.find(['{', '}']) {
            let (literal, from) = rest.split_at(next);
            pattern.push_str(&regex::escape(literal));
            let Some(inner) = from.strip_prefix('{') else {
                return Err("a `}` closes nothing: write it as %7D".to_owned());
            };
            let Some((expression, after)) = inner.split_once('}') else {
                return Err("a `{` is not closed: write it as %7B, or add `}`".to_owned());
            };
            variables += expand(expression, &mut pattern)?;
            rest = after;
        }
        if variables > VARIABLES_MAX {
            return Err(format!("it has more than {VARIABLES_MAX} variables"));
        }
        pattern.push_str(&regex::escape(rest));
        pattern.push_str(r"\z");
        let matcher = RegexBuilder::new(&pattern)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(COMPILED_BYTES_MAX)
            .build()
            .map_err(|_| "it is too large: leave variables or prefixes out".to_owned())?;
        Ok(Self {
            text: text.to_owned(),
            matcher,
        })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What all its expansions begin with.
    pub fn start(&self) -> &str {
        self.text.split('{').next().unwrap_or_default()
    }

    /// Returns whether a topic is one of its expansions.
    pub fn matches(&self, topic: &str) -> bool {
        self.matcher.is_match(topic)
    }
}

/// Adds what an expression expands to, and returns how many variables it has.
fn expand(expression: &str, pattern: &mut String) -> Result<usize, String> {
    let (operator, list) = operator(expression)?;
    let variables: Vec<_> = list.split(',').map(variable).collect::<Result<_, _>>()?;
    if variables.len() > VARIABLES_MAX {
        return Err(format!("it has more than {VARIABLES_MAX} variables"));
    }
    if operator.is_named {
        named(&operator, &variables, pattern);
    } else {
        unnamed(&operator, &variables, pattern);
    }
    Ok(variables.len())
}

fn operator(expression: &str) -> Result<(Operator, &str), String> {
    let of = |first, separator, is_named, is_reserved| Operator {
        first,
        separator,
        is_named,
        is_reserved,
    };
    let operator = match expression.bytes().next() {
        Some(b'+') => of("", ",", false, true),
        Some(b'#') => of("#", ",", false, true),
        Some(b'.') => of(".", ".", false, false),
        Some(b'/') => of("/", "/", false, false),
        Some(b';') => of(";", ";", true, false),
        Some(b'?') => of("?", "&", true, false),
        Some(b'&') => of("&", "&", true, false),
        Some(operator @ (b'=' | b',' | b'!' | b'@' | b'|')) => {
            let operator = char::from(operator);
            return Err(format!("the operator `{operator}` has no meaning yet"));
        }
        _ => return Ok((of("", ",", false, false), expression)),
    };
    Ok((operator, &expression[1..]))
}

fn variable(text: &str) -> Result<Variable<'_>, String> {
    let (name, is_exploded) = match text.strip_suffix('*') {
        Some(name) => (name, true),
        None => (text, false),
    };
    let (name, prefix) = match name.split_once(':') {
        Some((name, prefix)) if !is_exploded => (name, Some(prefix_length(prefix)?)),
        _ => (name, None),
    };
    // RFC 6570 section 2.3; percent-encoded names are left out, as nobody has one.
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(is_letter);
    if !name.split('.').all(is_name) {
        return Err(format!(
            "`{{{}}}` is no variable: names have letters, digits, `_` and single dots",
            text.escape_debug()
        ));
    }
    Ok(Variable {
        name,
        is_exploded,
        prefix,
    })
}

fn prefix_length(text: &str) -> Result<u16, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let length = text.parse().ok().filter(|_| is_number);
    length
        .filter(|length| (1..=PREFIX_MAX).contains(length))
        .ok_or_else(|| format!("a prefix is a number from 1 to {PREFIX_MAX}"))
}

/// A value, or several with commas between them, as lists are.
fn value(operator: &Operator, variable: &Variable<'_>) -> String {
    let letter = if operator.is_reserved {
        RESERVED
    } else {
        UNRESERVED
    };
    match (variable.prefix, variable.is_exploded) {
        (Some(length), _) => format!("(?:{letter}){{0,{length}}}"),
        // Members of a map are `key=value`.
        (None, true) => format!("(?:{letter}|,|=)*"),
        (None, false) => format!("(?:{letter}|,)*"),
    }
}

/// Variables without a value are left out, with the separator before them (section 3.2.1).
fn unnamed(operator: &Operator, variables: &[Variable<'_>], pattern: &mut String) {
    let items: Vec<_> = variables
        .iter()
        .map(|variable| {
            let value = value(operator, variable);
            if variable.is_exploded {
                let separator = regex::escape(operator.separator);
                format!("{value}(?:{separator}{value})*")
            } else {
                value
            }
        })
        .collect();
    in_order(operator, &items, pattern);
}

fn named(operator: &Operator, variables: &[Variable<'_>], pattern: &mut String) {
    let separator = regex::escape(operator.separator);
    let items: Vec<_> = variables
        .iter()
        .map(|variable| {
            let name = regex::escape(variable.name);
            let value = value(operator, variable);
            if variable.is_exploded {
                // A map's keys take the place of the name.
                let member = format!("(?:{UNRESERVED})+(?:=(?:{UNRESERVED})*)?");
                format!("{member}(?:{separator}{member})*")
            } else if operator.first == ";" {
                // An empty value has no `=` (section 3.2.7).
                format!("{name}(?:={value})?")
            } else {
                format!("{name}={value}")
            }
        })
        .collect();
    in_order(operator, &items, pattern);
}

/// Any of the items, in their order: the first one there has `first` before it, the others the
/// separator.
fn in_order(operator: &Operator, items: &[String], pattern: &mut String) {
    let (first, separator) = (
        regex::escape(operator.first),
        regex::escape(operator.separator),
    );
    pattern.push_str("(?:");
    for start in 0..items.len() {
        let _ = write!(pattern, "{first}(?:{})", items[start]);
        for item in &items[start + 1..] {
            let _ = write!(pattern, "(?:{separator}(?:{item}))?");
        }
        pattern.push('|');
    }
    pattern.push(')');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(template: &str, matching: &[&str], other: &[&str]) {
        let parsed = Template::parse(template).unwrap();
        for topic in matching {
            assert!(parsed.matches(topic), "{template} {topic}");
        }
        for topic in other {
            assert!(!parsed.matches(topic), "{template} {topic}");
        }
    }

    /// The expansions that RFC 6570 section 1.2 and section 3.2 give as examples.
    #[test]
    fn an_expansion_matches_its_template() {
        // Level 1, section 3.2.2.
        check("{var}", &["value", ""], &["a/b", "a?b", "a b"]);
        check("{hello}", &["Hello%20World%21"], &["Hello World!", "%2"]);
        check("map?{x,y}", &["map?1024,768"], &["map?1024/768"]);
        check("{x,hello,y}", &["1024,Hello%20World%21,768"], &[]);
        check("{var:3}", &["val", "va"], &["valu"]);
        check("{list*}", &["red,green,blue"], &[]);
        check("{keys*}", &["semi=%3B,dot=.,comma=%2C"], &["a;b"]);
        // Level 2, sections 3.2.3 and 3.2.4.
        check("{+path}/here", &["/foo/bar/here", "/here"], &["/foo/bar"]);
        check("{+path:6}/here", &["/foo/b/here"], &["/foo/bar/here"]);
        check("X{#var}", &["X#value", "X#Hello%20World!", "X"], &["Xa"]);
        check("{#x,hello,y}", &["#1024,Hello%20World!,768"], &["1024"]);
        // Level 3, sections 3.2.5 to 3.2.9.
        check("X{.x,y}", &["X.1024.768", "X.1024", "X"], &["X1024"]);
        check("www{.dom*}", &["www.example.com"], &["wwwexample"]);
        check("{/var,x}/here", &["/value/1024/here"], &["value/here"]);
        check("{/list*}", &["/red/green/blue", ""], &["red"]);
        check("{/list*,path:4}", &["/red/green/blue/%2Ffoo"], &[]);
        check("{;x,y}", &[";x=1024;y=768", ";y=1"], &[";y=1;x=2", ";z=1"]);
        check("{;x,y,empty}", &[";x=1024;y=768;empty"], &[";empt"]);
        check(
            "{?x,y}",
            &["?x=1024&y=768", "?y=7", ""],
            &["?y=7&x=1", "?z=1"],
        );
        check("{?x,y,empty}", &["?x=1024&y=768&empty="], &["&x=1"]);
        check("{?var:3}", &["?var=val"], &["?var=value"]);
        check("{?keys*}", &["?semi=%3B&dot=.&comma=%2C"], &["x"]);
        check(
            "?fixed=yes{&x}",
            &["?fixed=yes&x=1024"],
            &["?fixed=yes?x=1"],
        );
    }

    /// draft-dunglas-mercure-07, Subscription.
    #[test]
    fn mercures_own_examples() {
        let books = "https://example.com/books/{id}";
        let one = "https://example.com/books/1";
        check(
            books,
            &[
                one,
                "https://example.com/books/a%20b",
                "https://example.com/books/\u{e9}",
            ],
            &[
                "https://example.com/books/1/2",
                "https://example.com/books/1?x",
                "https://example.com/book/1",
                "https://exampleXcom/books/1",
                "https://example.com/books/1\n",
                "http://example.com/books/1",
            ],
        );
        assert_eq!(
            Template::parse(books).unwrap().start(),
            "https://example.com/books/"
        );
        check(
            "/.well-known/mercure/subscriptions{/topic}{/subscriber}",
            &[
                "/.well-known/mercure/subscriptions/a%2Fb/urn%3Auuid%3A1",
                "/.well-known/mercure/subscriptions",
            ],
            &["/.well-known/mercure/subscriptions/a/b/c"],
        );
    }

    #[test]
    fn what_is_no_template_is_refused_with_the_reason() {
        for (text, said) in [
            ("{", "not closed"),
            ("a}", "closes nothing"),
            ("{}", "no variable"),
            ("{a b}", "no variable"),
            ("{a..b}", "no variable"),
            ("{{a}", "no variable"),
            ("{=a}", "no meaning"),
            ("{|a}", "no meaning"),
            ("{a:0}", "prefix"),
            ("{a:+1}", "prefix"),
            ("{a:9999}", "prefix"),
            ("{a:1*}", "no variable"),
        ] {
            let error = Template::parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        let many = "{a}".repeat(VARIABLES_MAX + 1);
        assert!(Template::parse(&many).unwrap_err().contains("variables"));
        let large = format!("{{?{}}}", vec!["a:255"; VARIABLES_MAX].join(","));
        assert!(Template::parse(&large).unwrap_err().contains("too large"));
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(
            text in "[{}a,:*+#./;?&=0-9é\\\\\\[\\]()|^$]{0,60}",
            topic in any::<String>(),
        ) {
            if let Ok(template) = Template::parse(&text) {
                template.matches(&topic);
            }
        }

        /// A template without variables is matched by itself alone.
        #[test]
        fn a_text_without_braces_is_itself(text in "[^{}]{0,40}", other in "[^{}]{0,40}") {
            let template = Template::parse(&text).unwrap();
            prop_assert!(template.matches(&text));
            prop_assert_eq!(template.matches(&other), text == other);
        }

        #[test]
        fn a_value_matches_its_variable(value in "([A-Za-z0-9._~-]|%[0-9A-F]{2}){0,20}") {
            let template = Template::parse("/a/{x}/b").unwrap();
            let topic = format!("/a/{value}/b");
            prop_assert!(template.matches(&topic));
        }
    }
}
