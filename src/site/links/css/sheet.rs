//! Rules of a sheet: imports, conditions, layers and nesting.
//!
//! Knows the structure; what stands in preludes and declarations is read in the modules beside it.

use std::cell::OnceCell;
use std::sync::Arc;

use cssparser::{
    AtRuleParser, CowRcStr, DeclarationParser, ParseError, Parser, ParserState,
    QualifiedRuleParser, RuleBodyItemParser, RuleBodyParser, StyleSheetParser, Token,
    match_ignore_ascii_case,
};

use super::condition::{Applies, media_applies, supports_applies};
use super::declaration::{Block, is_tracked};
use super::{COMPOUNDS_IN_SHEET_MAX, Import, NESTING_MAX, RULES_MAX, Rule, Selectors, StyleSheet};
use super::{face, selector};

type Parsed<T> = Result<T, ParseError<()>>;

/// Reads a whole sheet.
pub(super) fn parse(text: &str) -> StyleSheet {
    let mut reader = Reader {
        sheet: StyleSheet::default(),
        imports_open: true,
        compounds: 0,
        anonymous_layers: 0,
    };
    let context = Context::default();
    let mut body = Body {
        reader: &mut reader,
        context: &context,
        block: Block::default(),
        nested: false,
    };
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    for _ in StyleSheetParser::new(&mut Parser::new(text), &mut body) {}
    reader.sheet
}

/// Reads the declarations of a `style` attribute.
pub(super) fn parse_attribute(text: &str) -> Rule {
    let mut attribute = Attribute::default();
    for _ in RuleBodyParser::new(&mut Parser::new(text), &mut attribute) {}
    Rule {
        selectors: Selectors::default(),
        declarations: attribute.0.declarations,
        urls: attribute.0.urls,
        condition: None,
        layer: None,
    }
}

/// What is gathered over the whole sheet.
struct Reader {
    sheet: StyleSheet,
    /// Whether an `@import` may still come.
    imports_open: bool,
    compounds: usize,
    anonymous_layers: usize,
}

/// Where a block stands.
#[derive(Default, Clone)]
struct Context<'c> {
    /// The style rule around it, if any.
    parent: Option<&'c Parent<'c>>,
    condition: Option<Arc<str>>,
    layer: Option<Arc<str>>,
    depth: usize,
}

/// A style rule around a block. Its selectors are read when something in it needs them: most rules
/// decide nothing about URLs or faces.
struct Parent<'c> {
    prelude: &'c str,
    outer: Option<&'c Self>,
    selectors: OnceCell<Option<Selectors>>,
}

impl Parent<'_> {
    fn selectors(&self) -> Option<&Selectors> {
        self.selectors
            .get_or_init(|| {
                let outer = match self.outer {
                    Some(outer) => Some(outer.selectors()?),
                    None => None,
                };
                selector::parse(self.prelude, outer)
            })
            .as_ref()
    }
}

/// Reads the content of one block, or of the sheet.
struct Body<'a, 'c> {
    reader: &'a mut Reader,
    context: &'a Context<'c>,
    block: Block,
    /// A block inside this one has been read, and this one is a style rule's.
    nested: bool,
}

/// What stands before the block of an at-rule.
enum Prelude {
    Import(Import),
    /// Names of layers; none for an anonymous one.
    Layers(Vec<String>),
    /// A condition, as it is told to a reader, and whether it is met.
    Group(Applies, String),
    /// The same, but what `&` stands for is another thing inside.
    Scope(String),
    FontFace,
    /// Nothing in it is fetched.
    Ignored,
}

impl Body<'_, '_> {
    /// Ends the rule so far: what follows a nested rule comes after it in the cascade.
    fn flush(&mut self) {
        let block = std::mem::take(&mut self.block);
        let sheet = &mut self.reader.sheet;
        sheet.stretches |= block.stretches;
        if block.declarations.is_empty() {
            return;
        }
        let Some(selectors) = self.context.parent.and_then(Parent::selectors) else {
            return;
        };
        if selectors.is_empty() {
            return;
        }
        self.reader.compounds += selectors
            .iter()
            .map(|selector| selector.compounds.len() + selector.keys.len())
            .sum::<usize>();
        if sheet.rules.len() >= RULES_MAX || self.reader.compounds > COMPOUNDS_IN_SHEET_MAX {
            sheet.truncated = true;
            return;
        }
        sheet.rules.push(Rule {
            selectors: selectors.clone(),
            declarations: block.declarations,
            urls: block.urls,
            condition: Self::condition(self.nested, self.context.condition.as_ref()),
            layer: self.context.layer.clone(),
        });
    }

    /// Nesting is a condition by itself: of the browsers that take pushes, some skip nested rules
    /// and what follows them (Chromium before 112, Firefox before 117).
    fn condition(nested: bool, written: Option<&Arc<str>>) -> Option<Arc<str>> {
        if nested {
            Some(joined(written.map(Arc::as_ref), "nested"))
        } else {
            written.cloned()
        }
    }

    /// Reads a block inside this one.
    fn descend(&mut self, input: &mut Parser<'_>, context: &Context<'_>) -> Parsed<()> {
        if context.depth > NESTING_MAX {
            self.reader.sheet.truncated = true;
            return Err(ParseError::unexpected_token());
        }
        self.nested |= self.context.parent.is_some();
        let context = &Context {
            condition: Self::condition(self.nested, context.condition.as_ref()),
            ..context.clone()
        };
        let mut body = Body {
            reader: &mut *self.reader,
            context,
            block: Block::default(),
            nested: false,
        };
        for _ in RuleBodyParser::new(input, &mut body) {}
        body.flush();
        Ok(())
    }

    fn is_top_level(&self) -> bool {
        self.context.depth == 0
    }

    fn layer_name(&self, name: &str) -> String {
        match &self.context.layer {
            Some(outer) => format!("{outer}.{name}"),
            None => name.to_owned(),
        }
    }

    fn name_layer(&mut self, name: Option<&str>) -> String {
        let name = if let Some(name) = name {
            self.layer_name(name)
        } else {
            self.reader.anonymous_layers += 1;
            // No name that is written has parentheses in it.
            self.layer_name(&format!("({})", self.reader.anonymous_layers))
        };
        let layers = &mut self.reader.sheet.layers;
        if layers.len() >= RULES_MAX {
            self.reader.sheet.truncated = true;
        } else if layers.last() != Some(&name) {
            layers.push(name.clone());
        }
        name
    }
}

impl<'i> AtRuleParser<'i> for Body<'_, '_> {
    type Prelude = Prelude;
    type AtRule = ();
    type Error = ();

    fn parse_prelude(&mut self, name: CowRcStr<'i>, input: &mut Parser<'i>) -> Parsed<Prelude> {
        Ok(match_ignore_ascii_case! { &name,
            "import" if self.is_top_level() && self.reader.imports_open => import(input)?,
            "layer" => Prelude::Layers(layer_names(input)?),
            "media" => {
                let query = rest(input);
                Prelude::Group(media_applies(query), format!("@media {query}"))
            },
            "supports" => {
                let query = rest(input);
                Prelude::Group(supports_applies(query), format!("@supports {query}"))
            },
            "container" => Prelude::Group(Applies::Depends, format!("@container {}", rest(input))),
            "scope" => Prelude::Scope(format!("@scope {}", rest(input))),
            "font-face" => Prelude::FontFace,
            "namespace" | "page" | "property" | "keyframes" | "-webkit-keyframes" | "counter-style"
                | "font-feature-values" | "font-palette-values" | "starting-style"
                | "view-transition" | "position-try" => {
                rest(input);
                Prelude::Ignored
            },
            _ => return Err(ParseError::unexpected_token()),
        })
    }

    fn rule_without_block(&mut self, prelude: Prelude, _start: &ParserState) -> Result<(), ()> {
        match prelude {
            Prelude::Import(mut import) => {
                if let Some(layer) = import.layer.take() {
                    let name = Some(layer.as_str()).filter(|layer| !layer.is_empty());
                    import.layer = Some(self.name_layer(name));
                }
                let sheet = &mut self.reader.sheet;
                sheet.leading_layers = sheet.layers.len();
                if sheet.imports.len() < RULES_MAX {
                    sheet.imports.push(import);
                }
                Ok(())
            }
            Prelude::Layers(names) if !names.is_empty() => {
                for name in names {
                    self.name_layer(Some(&name));
                }
                Ok(())
            }
            Prelude::Ignored => {
                self.reader.imports_open = false;
                Ok(())
            }
            _ => Err(()),
        }
    }

    fn parse_block(
        &mut self,
        prelude: Prelude,
        _start: &ParserState,
        input: &mut Parser<'i>,
    ) -> Parsed<()> {
        self.reader.imports_open = false;
        self.flush();
        match prelude {
            // Leaving the block unread is an error to the parser, which skips it.
            Prelude::Import(_) | Prelude::Ignored | Prelude::Group(Applies::Never, _) => {
                Err(ParseError::unexpected_token())
            }
            Prelude::Layers(names) => {
                if names.len() > 1 {
                    return Err(ParseError::unexpected_token());
                }
                let layer = self.name_layer(names.first().map(String::as_str));
                let mut context = self.context.clone();
                context.depth += 1;
                context.layer = Some(layer.into());
                self.descend(input, &context)
            }
            Prelude::Group(applies, text) => {
                let mut context = self.context.clone();
                context.depth += 1;
                if applies == Applies::Depends {
                    context.condition = Some(joined(context.condition.as_deref(), &text));
                }
                self.descend(input, &context)
            }
            Prelude::Scope(text) => {
                let context = Context {
                    parent: None,
                    condition: Some(joined(self.context.condition.as_deref(), &text)),
                    layer: self.context.layer.clone(),
                    depth: self.context.depth + 1,
                };
                self.descend(input, &context)
            }
            Prelude::FontFace => {
                if let Some(mut face) = face::parse(input) {
                    face.condition.clone_from(&self.context.condition);
                    let sheet = &mut self.reader.sheet;
                    if sheet.faces.len() < RULES_MAX {
                        sheet.faces.push(face);
                    } else {
                        sheet.truncated = true;
                    }
                }
                Ok(())
            }
        }
    }
}

impl<'i> QualifiedRuleParser<'i> for Body<'_, '_> {
    type Prelude = &'i str;
    type QualifiedRule = ();
    type Error = ();

    fn parse_prelude(&mut self, input: &mut Parser<'i>) -> Parsed<&'i str> {
        Ok(rest(input))
    }

    fn parse_block(
        &mut self,
        prelude: &'i str,
        _start: &ParserState,
        input: &mut Parser<'i>,
    ) -> Parsed<()> {
        self.flush();
        let parent = Parent {
            prelude,
            outer: self.context.parent,
            selectors: OnceCell::new(),
        };
        if self.reader.imports_open {
            // An invalid rule does not end the time of imports (CSS Cascading 5, section 2).
            if parent.selectors().is_none() {
                return Err(ParseError::unexpected_token());
            }
            self.reader.imports_open = false;
        }
        let context = Context {
            parent: Some(&parent),
            depth: self.context.depth + 1,
            ..self.context.clone()
        };
        self.descend(input, &context)
    }
}

impl<'i> DeclarationParser<'i> for Body<'_, '_> {
    type Declaration = ();
    type Error = ();

    fn parse_value(
        &mut self,
        name: CowRcStr<'i>,
        input: &mut Parser<'i>,
        _start: &ParserState,
    ) -> Parsed<()> {
        declaration(&name, input, &mut self.block)
    }
}

impl RuleBodyItemParser<'_, (), ()> for Body<'_, '_> {
    fn parse_declarations(&self) -> bool {
        self.context.parent.is_some()
    }

    fn parse_qualified(&self) -> bool {
        true
    }
}

/// Reads the declarations of a `style` attribute.
#[derive(Default)]
struct Attribute(Block);

impl<'i> DeclarationParser<'i> for Attribute {
    type Declaration = ();
    type Error = ();

    fn parse_value(
        &mut self,
        name: CowRcStr<'i>,
        input: &mut Parser<'i>,
        _start: &ParserState,
    ) -> Parsed<()> {
        declaration(&name, input, &mut self.0)
    }
}

impl AtRuleParser<'_> for Attribute {
    type Prelude = ();
    type AtRule = ();
    type Error = ();
}

impl QualifiedRuleParser<'_> for Attribute {
    type Prelude = ();
    type QualifiedRule = ();
    type Error = ();
}

impl RuleBodyItemParser<'_, (), ()> for Attribute {
    fn parse_declarations(&self) -> bool {
        true
    }

    fn parse_qualified(&self) -> bool {
        false
    }
}

/// Finds the end of a declaration, and reads it if it decides anything.
fn declaration(name: &str, input: &mut Parser<'_>, block: &mut Block) -> Parsed<()> {
    let custom = name.starts_with("--");
    input.skip_whitespace();
    let start = input.position();
    let mut important = None;
    while let Ok(token) = input.next() {
        match token {
            Token::Delim('!') => {
                let text = input.slice_from(start);
                important = text.strip_suffix('!');
                input.expect_ident_matching("important")?;
                input.expect_exhausted()?;
            }
            // With a block in it, this is a nested rule.
            Token::CurlyBracketBlock if !custom => return Err(ParseError::unexpected_token()),
            token if token.is_parse_error() => return Err(ParseError::unexpected_token()),
            _ => {}
        }
    }
    if is_tracked(name) {
        let text = important.unwrap_or_else(|| input.slice_from(start));
        block.declare(name, text.trim(), important.is_some());
    }
    Ok(())
}

/// Takes the rest of a prelude as it is written.
fn rest<'i>(input: &mut Parser<'i>) -> &'i str {
    input.skip_whitespace();
    let start = input.position();
    while input.next().is_ok() {}
    input.slice_from(start).trim()
}

fn joined(outer: Option<&str>, inner: &str) -> Arc<str> {
    match outer {
        Some(outer) => format!("{outer} {inner}").into(),
        None => inner.into(),
    }
}

/// Reads `@import` up to its end. An anonymous layer is left empty, to be named.
fn import(input: &mut Parser<'_>) -> Parsed<Prelude> {
    let url = input.expect_url_or_string()?.to_string();
    let mut layer = None;
    if input
        .try_parse(|input| input.expect_ident_matching("layer"))
        .is_ok()
    {
        layer = Some(String::new());
    } else if let Ok(name) = input.try_parse(|input| {
        input.expect_function_matching("layer")?;
        input.parse_nested_block(layer_name)
    }) {
        layer = Some(name);
    }
    let supports = input.try_parse(|input| {
        input.expect_function_matching("supports")?;
        input.parse_nested_block(|input| Ok::<_, ParseError<()>>(rest(input)))
    });
    Ok(Prelude::Import(Import {
        url,
        media: rest(input).to_owned(),
        // A declaration may stand there without parentheses of its own.
        supports: supports.is_ok_and(|query| {
            supports_applies(query) != Applies::Always
                && supports_applies(&format!("({query})")) != Applies::Always
        }),
        layer,
    }))
}

fn layer_names(input: &mut Parser<'_>) -> Parsed<Vec<String>> {
    if input.is_exhausted() {
        return Ok(Vec::new());
    }
    input.parse_comma_separated(layer_name)
}

fn layer_name(input: &mut Parser<'_>) -> Parsed<String> {
    let mut name = input.expect_ident()?.to_string();
    while input.try_parse(|input| input.expect_delim('.')).is_ok() {
        name.push('.');
        name.push_str(input.expect_ident()?);
    }
    Ok(name)
}

#[cfg(test)]
mod tests;
