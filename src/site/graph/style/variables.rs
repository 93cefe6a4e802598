//! Custom properties: which are asked for, and what they stand for on an element.
//!
//! Knows nothing of selectors; the cascade says which declaration of a name wins.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use cssparser::{ParseError, Parser, Token};

use crate::site::links::css::{Declaration, Property, Value, is_substituted};

/// Bytes of a value after substitution; a longer one is unknown.
const SUBSTITUTED_BYTES_MAX: usize = 4_096;

/// Custom properties that are followed on one page.
const WANTED_MAX: usize = 256;

/// Custom properties within custom properties; deeper, the value is unknown.
const REFERENCES_MAX: usize = 16;

/// What a custom property stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Custom {
    /// This text, with nothing left to substitute.
    Text(Rc<str>),
    /// Something that depends on the client.
    Unknown,
}

/// The custom properties of an element; one that is not there is not set.
pub(super) type Variables = BTreeMap<Name, Custom>;

/// The name of a custom property, with its dashes.
pub(super) type Name = Rc<str>;

/// Why a value cannot be substituted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unresolved {
    /// A name is not set: the declaration counts as `unset`.
    Invalid,
    /// It depends on the client.
    Unknown,
}

/// Returns the names of the custom properties that decide which faces are used, directly or through
/// others; `None` if there are too many.
pub(super) fn wanted<'d>(
    declarations: impl Iterator<Item = &'d Declaration>,
) -> Option<BTreeSet<Name>> {
    let mut texts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut queue = Vec::new();
    for declaration in declarations {
        match (&declaration.property, &declaration.value) {
            (Property::Custom(name), Value::Text(text)) if is_substituted(text) => {
                texts.entry(name).or_default().push(text);
            }
            (_, Value::Variable(text) | Value::FontVariable(text)) => queue.push(&**text),
            _ => {}
        }
    }
    let mut wanted = BTreeSet::new();
    while let Some(text) = queue.pop() {
        for name in names(text) {
            if wanted.insert(name.into()) {
                queue.extend(texts.get(name).into_iter().flatten());
            }
            if wanted.len() > WANTED_MAX {
                return None;
            }
        }
    }
    Some(wanted)
}

/// Returns every name in a text that may be that of a custom property.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_ascii_whitespace() || matches!(c, '(' | ')' | ',' | '/'))
        .filter(|word| word.starts_with("--"))
}

/// Returns the custom properties of an element: those of its parent, and its own, which may name
/// each other. `own` holds what the cascade chose for each; `None`: it is not set any more.
pub(super) fn computed(parent: &Variables, own: BTreeMap<Name, Option<Custom>>) -> Variables {
    let mut scope = Scope {
        parent,
        own,
        resolved: BTreeMap::new(),
        stack: Vec::new(),
    };
    let names: Vec<_> = scope.own.keys().cloned().collect();
    for name in names {
        scope.look_up(&name);
    }
    let mut variables = parent.clone();
    for (name, value) in scope.resolved {
        match value {
            Some(value) => variables.insert(name, value),
            None => variables.remove(&name),
        };
    }
    variables
}

struct Scope<'v> {
    parent: &'v Variables,
    own: BTreeMap<Name, Option<Custom>>,
    resolved: BTreeMap<Name, Option<Custom>>,
    stack: Vec<String>,
}

impl Scope<'_> {
    fn look_up(&mut self, name: &str) -> Option<Custom> {
        if let Some(value) = self.resolved.get(name) {
            return value.clone();
        }
        let Some(own) = self.own.get(name) else {
            return self.parent.get(name).cloned();
        };
        // Properties that name each other in a circle are not set (CSS Variables 1, section 2.3).
        if self.stack.iter().any(|other| other == name) {
            return None;
        }
        let value = match own.clone() {
            Some(Custom::Text(text)) if is_substituted(&text) => {
                if self.stack.len() >= REFERENCES_MAX {
                    return Some(Custom::Unknown);
                }
                self.stack.push(name.to_owned());
                let value = substitute(&text, &mut |name| self.look_up(name));
                self.stack.pop();
                match value {
                    Ok(text) => Some(Custom::Text(text.into())),
                    Err(Unresolved::Invalid) => None,
                    Err(Unresolved::Unknown) => Some(Custom::Unknown),
                }
            }
            value => value,
        };
        self.resolved.insert(name.into(), value.clone());
        value
    }
}

/// Replaces each `var()` in a text.
///
/// # Errors
///
/// If a name without a fallback is not set, or what it stands for depends on the client.
pub(super) fn substitute(
    text: &str,
    look_up: &mut dyn FnMut(&str) -> Option<Custom>,
) -> Result<String, Unresolved> {
    let mut output = String::new();
    Parser::new(text)
        .parse_entirely(|input| copy(input, look_up, &mut output))
        .map_err(|error| match error.kind {
            cssparser::ParseErrorKind::Custom(reason) => reason,
            cssparser::ParseErrorKind::Basic(_) => Unresolved::Unknown,
        })?;
    Ok(output)
}

fn copy(
    input: &mut Parser<'_>,
    look_up: &mut dyn FnMut(&str) -> Option<Custom>,
    output: &mut String,
) -> Result<(), ParseError<Unresolved>> {
    loop {
        let start = input.position();
        let Ok(token) = input.next_including_whitespace_and_comments() else {
            return Ok(());
        };
        let token = token.clone();
        if let Token::Function(name) = &token {
            if name.eq_ignore_ascii_case("var") {
                input.parse_nested_block(|input| reference(input, look_up, output))?;
                continue;
            }
            if name.eq_ignore_ascii_case("env") {
                return Err(ParseError::custom(Unresolved::Unknown));
            }
        }
        output.push_str(input.slice_from(start));
        if output.len() > SUBSTITUTED_BYTES_MAX {
            return Err(ParseError::custom(Unresolved::Unknown));
        }
        let close = match token {
            Token::Function(_) | Token::ParenthesisBlock => ')',
            Token::SquareBracketBlock => ']',
            Token::CurlyBracketBlock => '}',
            _ => continue,
        };
        input.parse_nested_block(|input| copy(input, look_up, output))?;
        output.push(close);
    }
}

/// Writes what a `var()` stands for.
fn reference(
    input: &mut Parser<'_>,
    look_up: &mut dyn FnMut(&str) -> Option<Custom>,
    output: &mut String,
) -> Result<(), ParseError<Unresolved>> {
    let name = input.expect_ident_cloned()?;
    match look_up(&name) {
        Some(Custom::Text(text)) => {
            output.push_str(&text);
            while input.next().is_ok() {}
            Ok(())
        }
        Some(Custom::Unknown) => Err(ParseError::custom(Unresolved::Unknown)),
        None if input.try_parse(Parser::expect_comma).is_ok() => copy(input, look_up, output),
        None => Err(ParseError::custom(Unresolved::Invalid)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(own: &[(&str, &str)]) -> Variables {
        let own = own
            .iter()
            .map(|(name, text)| ((*name).into(), Some(Custom::Text((*text).into()))))
            .collect();
        computed(&Variables::new(), own)
    }

    #[test]
    fn references_are_replaced_by_what_they_stand_for() {
        let variables = variables(&[
            ("--a", "\"Open Sans\", var(--b)"),
            ("--b", "serif"),
            ("--loop", "var(--pool)"),
            ("--pool", "var(--loop)"),
        ]);
        for (text, expected) in [
            ("var(--a)", Ok("\"Open Sans\", serif")),
            ("X, VAR( --b )", Ok("X, serif")),
            ("var(--c, Y)", Ok(" Y")),
            ("var(--c, var(--b))", Ok(" serif")),
            ("f(var(--b))", Ok("f(serif)")),
            ("\"var(--b)\"", Ok("\"var(--b)\"")),
            ("var(--c)", Err(Unresolved::Invalid)),
            ("var(--loop)", Err(Unresolved::Invalid)),
            ("env(x)", Err(Unresolved::Unknown)),
        ] {
            let result = substitute(text, &mut |name| variables.get(name).cloned());
            assert_eq!(
                result.as_deref().map_err(|error| *error),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn laughs_by_the_billion_end_early() {
        let ten = |name: &str| format!("var({name}) ").repeat(10);
        let mut own = vec![("--0".into(), Some(Custom::Text("ha".into())))];
        for level in 1..40 {
            let text = ten(&format!("--{}", level - 1));
            own.push((format!("--{level}").into(), Some(Custom::Text(text.into()))));
        }
        let variables = computed(&Variables::new(), own.into_iter().collect());
        assert_eq!(variables.get("--39"), Some(&Custom::Unknown));
    }
}
