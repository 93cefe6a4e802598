//! Style sheet to links: imports, faces and the URLs of each rule, with what decides whether the
//! browser will fetch them.
//!
//! Knows nothing of the page; `graph::style` matches rules against a page's outline. Read on in
//! [`sheet`] (rules, nesting and conditions), [`selector`], [`declaration`], [`face`] and
//! [`condition`].

mod condition;
mod declaration;
mod face;
mod selector;
mod sheet;

use std::ops::Range;
use std::sync::Arc;

pub use condition::{Applies, media_applies};
pub(crate) use declaration::{font_value, is_substituted, value};

/// Rules kept of one sheet. A sheet with more is cut there and marked.
pub const RULES_MAX: usize = 50_000;

/// Compounds of selectors, and keys of them, that are kept of one sheet. A sheet with more is cut
/// there and marked.
pub const COMPOUNDS_IN_SHEET_MAX: usize = 400_000;

/// Compounds of one selector. A selector with more makes its rule invalid.
pub const COMPOUNDS_MAX: usize = 32;

/// Blocks within blocks. What lies deeper is not read, and the sheet is marked.
pub const NESTING_MAX: usize = 16;

/// Bytes of a custom property's value that are kept; a longer value is unknown.
pub const CUSTOM_VALUE_BYTES_MAX: usize = 1_024;

/// What a style sheet names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StyleSheet {
    /// `@import` rules, in order.
    pub imports: Vec<Import>,
    /// `@font-face` rules, in order.
    pub faces: Vec<Face>,
    /// Style rules that carry a URL, or a property that decides which URLs and faces are used, in
    /// order.
    pub rules: Vec<Rule>,
    /// Names of cascade layers in the order in which they are first named; sublayers with dots.
    pub layers: Vec<String>,
    /// How many of `layers` are named before the last `@import`, and so before the layers of the
    /// sheets that it imports.
    pub leading_layers: usize,
    /// Whether some rule asks for a wider or narrower face (`font-stretch`), which is not followed.
    pub stretches: bool,
    /// Whether a limit cut the sheet: what is missing may override what is there.
    pub truncated: bool,
}

/// One `@import` rule (CSS Cascading 5, section 2).
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    /// The URL as written.
    pub url: String,
    /// Media query list as written; empty if none. [`media_applies`] judges it.
    pub media: String,
    /// Whether a `supports(...)` condition stands on it that some clients may not meet.
    pub supports: bool,
    /// The cascade layer that the imported rules are put into, if any.
    pub layer: Option<String>,
}

/// One `@font-face` rule (CSS Fonts 4, section 4).
#[derive(Debug, Clone, PartialEq)]
pub struct Face {
    /// Family name, without quotes.
    pub family: String,
    /// The URL of the first source that every client takes; `None` if a `local()` comes first or no
    /// format is known to all.
    pub url: Option<String>,
    /// The URL that a current client takes which has none of the fonts that `local()` names.
    pub current_url: Option<String>,
    /// Lowest and highest weight, 1 to 1000.
    pub weight: (u16, u16),
    /// Lowest and highest width in percent; 100 is normal.
    pub width: (u16, u16),
    /// Whether the face is italic or oblique.
    pub italic: bool,
    /// Code point ranges, inclusive; empty means all.
    pub unicode_range: Vec<(u32, u32)>,
    /// The media, supports or container condition it stands under, if any.
    pub condition: Option<Arc<str>>,
}

/// One style rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The selectors of its list.
    pub selectors: Selectors,
    /// Declarations that decide which URLs and faces are used, in order.
    pub declarations: Vec<Declaration>,
    /// URLs of its declarations that can be fetched, with what depends on the client marked.
    pub urls: Vec<RuleUrl>,
    /// The media, supports or container condition it stands under, if any. Conditions that every
    /// client meets are left out, and so are rules under one that none meets.
    pub condition: Option<Arc<str>>,
    /// The cascade layer it stands in, if any; sublayers with dots.
    pub layer: Option<Arc<str>>,
}

/// A URL in a declaration.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleUrl {
    /// As written.
    pub url: String,
    /// The property, in lower case.
    pub property: String,
    /// Whether it depends on the client if it is fetched (`image-set`, `cross-fade`, custom
    /// properties, properties that not every client knows).
    pub depends_on_client: bool,
}

/// A declaration that decides which URLs and faces are used.
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    /// What it sets; shorthands are taken apart.
    pub property: Property,
    /// `!important`.
    pub important: bool,
    /// What it is set to.
    pub value: Value,
    /// Indices of its URLs in [`Rule::urls`].
    pub urls: Range<usize>,
}

/// A property that decides which URLs and faces are used.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Property {
    /// `font-family`
    Family,
    /// `font-weight`
    Weight,
    /// `font-style`
    Style,
    /// `content`
    Content,
    /// `display`
    Display,
    /// `content-visibility`
    ContentVisibility,
    /// `background-image`
    Background,
    /// `border-image-source`
    BorderImage,
    /// `list-style-image`
    ListStyle,
    /// `mask-image`
    Mask,
    /// `cursor`
    Cursor,
    /// `filter`, `clip-path` and their kin.
    Effect,
    /// A custom property, with its dashes.
    Custom(Box<str>),
}

/// What a property is set to.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of `font-family`: what to try, in order.
    Families(Vec<Family>),
    /// Of `font-weight`.
    Weight(FontWeight),
    /// Of `font-style`: italic or oblique.
    Italic(bool),
    /// Of `content`: `none` or `normal`.
    NoContent,
    /// Of `content`: text, as far as the sheet tells it.
    Content(String),
    /// Of `display` and `content-visibility`: whether there is anything to see.
    Shown(bool),
    /// Of a property that takes images: whatever URLs the declaration has.
    Images,
    /// Of a custom property: as written.
    Text(Box<str>),
    /// Holds `var()`: to be substituted, then read as the property's value.
    Variable(Box<str>),
    /// The same of the shorthand `font`.
    FontVariable(Box<str>),
    /// `inherit`
    Inherit,
    /// `initial`
    Initial,
    /// `unset`
    Unset,
    /// `revert`
    Revert,
    /// Known to be set, but not to what.
    Unknown,
}

/// One name in a `font-family` list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// A family, in lower case (names are compared without regard to case).
    Named(String),
    /// `serif`, `system-ui` and the like: there on every client, never fetched.
    Generic,
}

/// A declared weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FontWeight {
    /// 1 to 1000; `normal` is 400, `bold` 700.
    Absolute(u16),
    /// `bolder`.
    Bolder,
    /// `lighter`.
    Lighter,
}

/// A selector list, shared by the rules nested in its rule.
pub type Selectors = Arc<[Selector]>;

/// A complex selector: compounds from the rightmost (the subject) leftwards.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    /// The subject first; each further compound with the combinator that joins it to the one
    /// before.
    pub compounds: Vec<(Combinator, Compound)>,
    /// Specificity (Selectors 4, section 16), packed as a * 2^20 + b * 2^10 + c.
    pub specificity: u32,
    /// One of these an element must have to be the subject; empty: any element may be.
    pub keys: Vec<Key>,
}

/// What an element must have to be a selector's subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// The id.
    Id(String),
    /// The class.
    Class(String),
    /// The name.
    Tag(String),
}

/// How a compound is joined to the compound on its right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combinator {
    /// The subject itself.
    Subject,
    /// White space.
    Descendant,
    /// `>`.
    Child,
    /// `+`.
    NextSibling,
    /// `~`.
    Sibling,
}

/// A compound selector, as far as a static outline can decide it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compound {
    /// Element name in lower case; `None` for `*` or none.
    pub tag: Option<String>,
    /// The id.
    pub id: Option<String>,
    /// All classes.
    pub classes: Vec<String>,
    /// Selectors on the attributes that an outline knows of.
    pub attributes: Vec<AttributeSelector>,
    /// `:is`, `:where`, `:not` and the parent of a nested rule.
    pub lists: Vec<SelectorTest>,
    /// `:root`, `:link`, `:first-child` and their kin.
    pub structure: Vec<Structure>,
    /// `before` or `after`. Selectors with other pseudo-elements are left out of their list.
    pub pseudo_element: Option<String>,
    /// Whether a state decides that no page has at load (`:hover`, `:focus`, `:active`, `:visited`
    /// ...): then it does not match.
    pub needs_interaction: bool,
    /// Whether it holds something the outline cannot decide (`:has`, attributes, `:checked`).
    pub undecided: bool,
}

/// A selector on an attribute that an outline knows of.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeSelector {
    /// The attribute.
    pub attribute: Attribute,
    /// How the value is compared; `None`: it only has to be there.
    pub test: Option<(AttributeTest, String)>,
    /// `i`: letters match in either case.
    pub ignore_case: bool,
}

/// An attribute that an outline knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// `id`
    Id,
    /// `class`
    Class,
    /// `hidden`: what is rendered has none.
    Hidden,
}

/// How an attribute's value is compared (Selectors 4, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeTest {
    /// `=`
    Equals,
    /// `~=`
    Includes,
    /// `|=`
    Dash,
    /// `^=`
    Prefix,
    /// `$=`
    Suffix,
    /// `*=`
    Contains,
}

/// A test of an element against further selectors.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectorTest {
    /// `:not`: none of them may match; else one must.
    pub negated: bool,
    /// The selectors.
    pub selectors: Selectors,
}

/// What an element is in the document (Selectors 4, sections 8 and 13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    /// `:root`
    Root,
    /// `:link`, `:any-link`
    Link,
    /// `:first-child`, `:nth-child(an+b)`
    Child {
        /// `a` of `an+b`.
        step: i32,
        /// `b` of `an+b`.
        offset: i32,
    },
    /// `:last-child`, `:nth-last-child(an+b)`
    LastChild {
        /// `a` of `an+b`.
        step: i32,
        /// `b` of `an+b`.
        offset: i32,
    },
}

/// Reads a style sheet. Never fails: what is malformed is dropped as CSS Syntax 3 says.
pub fn parse(text: &str) -> StyleSheet {
    sheet::parse(text)
}

/// Reads the value of a `style` attribute: declarations and URLs of a rule without selectors.
pub fn parse_attribute(text: &str) -> Rule {
    sheet::parse_attribute(text)
}
