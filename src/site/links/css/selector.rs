//! Selectors: read from their tokens into what a static outline can decide.
//!
//! Knows nothing of declarations. What a client decides, or what only some clients know, is marked
//! undecided; what no page matches when it is loaded never matches (Selectors 4, CSS Nesting 1).

use cssparser::{ParseError, Parser, Token, match_ignore_ascii_case, parse_nth};

use super::{
    Attribute, AttributeSelector, AttributeTest, COMPOUNDS_MAX, Combinator, Compound, Key,
    Selector, SelectorTest, Selectors, Structure,
};

type Parsed<T> = Result<T, ParseError<()>>;

/// Lists within lists (`:is(:not(...))`) in one selector.
const LISTS_DEPTH_MAX: u8 = 8;

/// Keys of one selector; with more, any element may be its subject.
const KEYS_MAX: usize = 16;

const ID: u32 = 1 << 20;
const CLASS: u32 = 1 << 10;
const TAG: u32 = 1;

/// Selectors of one list, with those in its lists. A longer one may match anything.
const SELECTORS_MAX: usize = 4_096;

/// Reads the selector list of a rule, nested in a rule with the selectors `parent` if any; `None`
/// if it is invalid, and the rule with it.
pub(super) fn parse(prelude: &str, parent: Option<&Selectors>) -> Option<Selectors> {
    let mut input = Parser::new(prelude);
    input.set_nested_block_limit(LISTS_DEPTH_MAX);
    let mut reader = Reader {
        parent,
        unknown: false,
        count: 0,
    };
    let list = input.parse_comma_separated(|input| reader.complex(input, Place::Rule));
    if reader.count > SELECTORS_MAX {
        return Some([anything()].into());
    }
    Some(reader.finish(list.ok()?))
}

/// A selector that may match any element.
fn anything() -> Selector {
    let compound = Compound {
        undecided: true,
        ..Compound::default()
    };
    Selector {
        compounds: vec![(Combinator::Subject, compound)],
        specificity: u32::MAX,
        keys: Vec::new(),
    }
}

/// Reads the selectors of one list.
struct Reader<'p> {
    parent: Option<&'p Selectors>,
    /// A name was met that not every client knows: for those that do not, the whole list is
    /// invalid.
    unknown: bool,
    count: usize,
}

/// Where a complex selector stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// In the list of a rule, which may be nested.
    Rule,
    /// In the list of a pseudo-class.
    Argument,
}

/// A selector as it is read.
struct Draft {
    selector: Selector,
    /// It names a box that is not followed (`::marker`).
    other_element: bool,
}

/// A compound as it is read.
#[derive(Default)]
struct Part {
    compound: Compound,
    specificity: u32,
    names_parent: bool,
    other_element: bool,
    empty: bool,
}

impl Reader<'_> {
    fn finish(&self, list: Vec<Draft>) -> Selectors {
        list.into_iter()
            .filter(|draft| !draft.other_element)
            .map(|mut draft| {
                if self.unknown
                    && let Some((_, subject)) = draft.selector.compounds.first_mut()
                {
                    subject.undecided = true;
                }
                draft.selector
            })
            .collect()
    }

    fn complex(&mut self, input: &mut Parser<'_>, place: Place) -> Parsed<Draft> {
        self.count += 1;
        if self.count > SELECTORS_MAX {
            return Err(ParseError::unexpected_token());
        }
        input.skip_whitespace();
        let nested = place == Place::Rule && self.parent.is_some();
        let leading = if nested { symbol(input) } else { None };
        input.skip_whitespace();
        let mut names_parent = false;
        let mut other_element = false;
        let mut specificity = 0;
        let mut parts: Vec<(Combinator, Compound)> = Vec::new();
        let mut joint = leading.unwrap_or(Combinator::Subject);
        loop {
            let part = self.compound(input)?;
            let ended = part.other_element || part.compound.pseudo_element.is_some();
            names_parent |= part.names_parent;
            other_element |= part.other_element;
            specificity = add(specificity, part.specificity);
            parts.push((joint, part.compound));
            if parts.len() > COMPOUNDS_MAX {
                return Err(ParseError::unexpected_token());
            }
            match combinator(input)? {
                None => break,
                Some(_) if ended => return Err(ParseError::unexpected_token()),
                Some(next) => joint = next,
            }
        }
        if nested && (leading.is_some() || !names_parent) {
            let part = self.nesting();
            specificity = add(specificity, part.specificity);
            if leading.is_none() {
                parts[0].0 = Combinator::Descendant;
            }
            parts.insert(0, (Combinator::Subject, part.compound));
        }
        Ok(Draft {
            selector: Selector {
                keys: keys(&parts[parts.len() - 1].1),
                compounds: subject_first(parts),
                specificity,
            },
            other_element,
        })
    }

    /// The selectors that `&` stands for; without a parent it is the root (CSS Nesting 1, section
    /// 3).
    fn nesting(&self) -> Part {
        let mut part = Part {
            names_parent: true,
            ..Part::default()
        };
        match self.parent {
            Some(parent) => {
                part.specificity = highest(parent);
                part.compound.lists.push(SelectorTest {
                    negated: false,
                    selectors: parent.clone(),
                });
            }
            None => part.compound.structure.push(Structure::Root),
        }
        part
    }

    fn compound(&mut self, input: &mut Parser<'_>) -> Parsed<Part> {
        let mut part = Part {
            empty: true,
            ..Part::default()
        };
        loop {
            let state = input.state();
            let Ok(token) = input.next_including_whitespace().cloned() else {
                break;
            };
            match token {
                // A name after `&` is invalid, whatever CSS Nesting 1 says: no browser takes it.
                Token::Ident(name) if part.empty => {
                    part.specificity = add(part.specificity, TAG);
                    part.compound.tag = Some(name.to_ascii_lowercase());
                }
                Token::Delim('*') if part.empty => {}
                // Namespaces: HTML elements have one, which a sheet may or may not name.
                Token::Delim('|') => {
                    part.compound.undecided = true;
                    part.compound.tag = None;
                    match input.next_including_whitespace()? {
                        Token::Ident(_) | Token::Delim('*') => {}
                        _ => return Err(ParseError::unexpected_token()),
                    }
                }
                Token::Delim('&') => {
                    let parent = self.nesting();
                    part.names_parent = true;
                    part.specificity = add(part.specificity, parent.specificity);
                    part.compound.structure.extend(parent.compound.structure);
                    part.compound.lists.extend(parent.compound.lists);
                }
                Token::IDHash(id) => part.id(&id),
                Token::Delim('.') => {
                    let Token::Ident(class) = input.next_including_whitespace()? else {
                        return Err(ParseError::unexpected_token());
                    };
                    part.specificity = add(part.specificity, CLASS);
                    part.compound.classes.push(class.to_string());
                }
                Token::SquareBracketBlock => {
                    part.specificity = add(part.specificity, CLASS);
                    input.parse_nested_block(|input| attribute(input, &mut part.compound))?;
                }
                Token::Colon => self.pseudo(input, &mut part)?,
                _ => {
                    input.reset(&state);
                    break;
                }
            }
            part.empty = false;
        }
        if part.empty {
            return Err(ParseError::unexpected_token());
        }
        Ok(part)
    }

    /// Reads what follows a colon.
    fn pseudo(&mut self, input: &mut Parser<'_>, part: &mut Part) -> Parsed<()> {
        match input.next_including_whitespace()?.clone() {
            Token::Colon => match input.next_including_whitespace()?.clone() {
                Token::Ident(name) => self.pseudo_element(&name, part),
                Token::Function(name) => {
                    // The arguments are skipped with the block.
                    self.pseudo_element(&name, part);
                }
                _ => return Err(ParseError::unexpected_token()),
            },
            Token::Ident(name) => {
                match_ignore_ascii_case! { &name,
                    "before" | "after" | "first-line" | "first-letter"
                        => self.pseudo_element(&name, part),
                    _ => {
                        part.specificity = add(part.specificity, CLASS);
                        self.pseudo_class(&name, &mut part.compound);
                    },
                }
            }
            Token::Function(name) => {
                input.parse_nested_block(|input| self.function(&name, input, part))?;
            }
            _ => return Err(ParseError::unexpected_token()),
        }
        Ok(())
    }

    fn pseudo_element(&mut self, name: &str, part: &mut Part) {
        part.specificity = add(part.specificity, TAG);
        let followed = part.compound.pseudo_element.is_none()
            && ["before", "after"]
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known));
        if followed {
            part.compound.pseudo_element = Some(name.to_ascii_lowercase());
            return;
        }
        part.other_element = true;
        match_ignore_ascii_case! { name,
            "first-line" | "first-letter" | "marker" | "placeholder" | "selection" | "backdrop"
                | "file-selector-button" | "cue" | "part" | "slotted" | "before" | "after" => {},
            _ => self.unknown |= !starts_with(name, "-webkit-"),
        }
    }

    fn pseudo_class(&mut self, name: &str, compound: &mut Compound) {
        let first = Structure::Child { step: 0, offset: 1 };
        let last = Structure::LastChild { step: 0, offset: 1 };
        match_ignore_ascii_case! { name,
            "root" => compound.structure.push(Structure::Root),
            "link" | "any-link" | "-webkit-any-link" => compound.structure.push(Structure::Link),
            "first-child" => compound.structure.push(first),
            "last-child" => compound.structure.push(last),
            "only-child" => compound.structure.extend([first, last]),
            "hover" | "active" | "focus" | "focus-visible" | "focus-within" | "visited"
                | "fullscreen" | "modal" | "popover-open" | "picture-in-picture" | "user-valid"
                | "user-invalid" | "autofill" | "host" => compound.needs_interaction = true,
            "target" | "target-within" | "checked" | "disabled" | "enabled" | "default"
                | "indeterminate" | "valid" | "invalid" | "in-range" | "out-of-range" | "required"
                | "optional" | "read-only" | "read-write" | "placeholder-shown" | "empty"
                | "first-of-type" | "last-of-type" | "only-of-type" | "scope" | "defined" | "open"
                | "paused" | "playing" | "muted" | "local-link" => compound.undecided = true,
            _ => {
                compound.undecided = true;
                self.unknown = true;
            },
        }
    }

    /// Reads the arguments of a pseudo-class.
    fn function(&mut self, name: &str, input: &mut Parser<'_>, part: &mut Part) -> Parsed<()> {
        match_ignore_ascii_case! { name,
            "is" | "where" | "matches" => {
                // Forgiving: what is invalid is left out of the list.
                let list = input.parse_comma_separated_ignoring_errors(|input| {
                    self.complex(input, Place::Argument)
                });
                self.unknown |= name.eq_ignore_ascii_case("matches");
                let weighs = !name.eq_ignore_ascii_case("where");
                part.test(self.finish(list), false, weighs);
            },
            "not" => {
                let list = input.parse_comma_separated(|input| {
                    self.complex(input, Place::Argument)
                })?;
                part.test(self.finish(list), true, true);
            },
            "nth-child" | "nth-last-child" => {
                part.specificity = add(part.specificity, CLASS);
                let (step, offset) = parse_nth(input)?;
                if input.is_exhausted() {
                    part.compound.structure.push(if name.eq_ignore_ascii_case("nth-child") {
                        Structure::Child { step, offset }
                    } else {
                        Structure::LastChild { step, offset }
                    });
                } else {
                    input.expect_ident_matching("of")?;
                    self.undecided(input, part)?;
                }
            },
            "has" => self.undecided(input, part)?,
            "host" | "host-context" => {
                part.compound.needs_interaction = true;
                skip(input);
            },
            "lang" | "dir" | "nth-of-type" | "nth-last-of-type" | "state" => {
                part.specificity = add(part.specificity, CLASS);
                part.compound.undecided = true;
                skip(input);
            },
            _ => {
                self.unknown = true;
                part.compound.undecided = true;
                skip(input);
            },
        }
        Ok(())
    }

    /// Reads selectors that are not followed, for they weigh nevertheless.
    fn undecided(&mut self, input: &mut Parser<'_>, part: &mut Part) -> Parsed<()> {
        part.compound.undecided = true;
        let list = input.parse_comma_separated(|input| {
            symbol(input);
            self.complex(input, Place::Argument)
        })?;
        part.specificity = add(part.specificity, highest(&self.finish(list)));
        Ok(())
    }
}

impl Part {
    fn id(&mut self, id: &str) {
        self.specificity = add(self.specificity, ID);
        match &self.compound.id {
            None => self.compound.id = Some(id.to_owned()),
            Some(first) if first == id => {}
            // No element has two ids.
            Some(_) => self.compound.needs_interaction = true,
        }
    }

    fn test(&mut self, selectors: Selectors, negated: bool, weighs: bool) {
        if weighs {
            self.specificity = add(self.specificity, highest(&selectors));
        }
        self.compound
            .lists
            .push(SelectorTest { negated, selectors });
    }
}

fn skip(input: &mut Parser<'_>) {
    while input.next().is_ok() {}
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Adds specificities without carrying from one part into the next.
fn add(left: u32, right: u32) -> u32 {
    let part =
        |shift: u32| ((left >> shift & 0x3FF) + (right >> shift & 0x3FF)).min(0x3FF) << shift;
    part(20) | part(10) | part(0)
}

fn highest(selectors: &[Selector]) -> u32 {
    selectors
        .iter()
        .map(|selector| selector.specificity)
        .max()
        .unwrap_or(0)
}

/// Reads a combinator that is not white space.
fn symbol(input: &mut Parser<'_>) -> Option<Combinator> {
    input
        .try_parse(|input| match input.next()? {
            Token::Delim('>') => Ok(Combinator::Child),
            Token::Delim('+') => Ok(Combinator::NextSibling),
            Token::Delim('~') => Ok(Combinator::Sibling),
            _ => Err(ParseError::<()>::unexpected_token()),
        })
        .ok()
}

/// Reads what joins a compound to the next one; `None` at the end of the selector.
fn combinator(input: &mut Parser<'_>) -> Parsed<Option<Combinator>> {
    let spaced = input
        .try_parse(|input| input.expect_whitespace().map(|_| ()))
        .is_ok();
    if input.is_exhausted() {
        return Ok(None);
    }
    match symbol(input) {
        Some(symbol) => {
            input.skip_whitespace();
            Ok(Some(symbol))
        }
        None if spaced => {
            input.skip_whitespace();
            Ok(Some(Combinator::Descendant))
        }
        None => Err(ParseError::unexpected_token()),
    }
}

/// Turns compounds in the order of writing, each with what joins it to the one before, into the
/// order of matching.
fn subject_first(parts: Vec<(Combinator, Compound)>) -> Vec<(Combinator, Compound)> {
    let mut joint = Combinator::Subject;
    parts
        .into_iter()
        .rev()
        .map(|(before, compound)| (std::mem::replace(&mut joint, before), compound))
        .collect()
}

/// Reads the inside of an attribute selector.
fn attribute(input: &mut Parser<'_>, compound: &mut Compound) -> Parsed<()> {
    let name = input.expect_ident_cloned()?;
    let attribute = match_ignore_ascii_case! { &name,
        "id" => Attribute::Id,
        "class" => Attribute::Class,
        "hidden" => Attribute::Hidden,
        _ => {
            compound.undecided = true;
            skip(input);
            return Ok(());
        },
    };
    let test = match input.next() {
        Err(_) => {
            compound.attributes.push(AttributeSelector {
                attribute,
                test: None,
                ignore_case: false,
            });
            return Ok(());
        }
        Ok(Token::Delim('=')) => AttributeTest::Equals,
        Ok(Token::IncludeMatch) => AttributeTest::Includes,
        Ok(Token::DashMatch) => AttributeTest::Dash,
        Ok(Token::PrefixMatch) => AttributeTest::Prefix,
        Ok(Token::SuffixMatch) => AttributeTest::Suffix,
        Ok(Token::SubstringMatch) => AttributeTest::Contains,
        Ok(_) => return Err(ParseError::unexpected_token()),
    };
    let value = input.expect_ident_or_string()?.to_string();
    let ignore_case = input
        .try_parse(|input| input.expect_ident_matching("i"))
        .is_ok();
    if !ignore_case {
        let _exact = input.try_parse(|input| input.expect_ident_matching("s"));
    }
    compound.attributes.push(AttributeSelector {
        attribute,
        test: Some((test, value)),
        ignore_case,
    });
    Ok(())
}

/// Returns what an element must have one of to be the subject; empty if any element may be.
fn keys(subject: &Compound) -> Vec<Key> {
    if let Some(id) = &subject.id {
        return vec![Key::Id(id.clone())];
    }
    if let Some(class) = subject.classes.last() {
        return vec![Key::Class(class.clone())];
    }
    if let Some(tag) = &subject.tag {
        return vec![Key::Tag(tag.clone())];
    }
    if subject.structure.contains(&Structure::Root) {
        return vec![Key::Tag("html".to_owned())];
    }
    if subject.structure.contains(&Structure::Link) {
        return vec![Key::Tag("a".to_owned()), Key::Tag("area".to_owned())];
    }
    subject
        .lists
        .iter()
        .filter(|list| !list.negated)
        .find_map(|list| {
            let mut keys = Vec::new();
            for selector in list.selectors.iter() {
                keys.extend(selector.keys.iter().cloned());
                if selector.keys.is_empty() || keys.len() > KEYS_MAX {
                    return None;
                }
            }
            keys.sort_unstable();
            keys.dedup();
            Some(keys)
        })
        .unwrap_or_default()
}
