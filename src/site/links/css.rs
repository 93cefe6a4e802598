//! Style sheet to links: imports, faces and the URLs of each rule, with what decides whether the
//! browser will fetch them.
//!
//! Knows nothing of the page; `graph::style` matches rules against a page's outline.

/// What a style sheet names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StyleSheet {
    /// `@import` rules, in order.
    pub imports: Vec<Import>,
    /// `@font-face` rules, in order.
    pub faces: Vec<Face>,
    /// Style rules that carry a URL, a font property or generated content, in order.
    pub rules: Vec<Rule>,
}

/// One `@import` rule (CSS Cascading 5, section 2).
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    /// The URL as written.
    pub url: String,
    /// Media query list as written; empty if none.
    pub media: String,
    /// Whether a `supports(...)` condition stands on it.
    pub supports: bool,
}

/// One `@font-face` rule (CSS Fonts 4, section 4).
#[derive(Debug, Clone, PartialEq)]
pub struct Face {
    /// Family name, without quotes.
    pub family: String,
    /// The URL of the first source that every client takes; `None` if a `local()` comes first or no
    /// format is known to all.
    pub url: Option<String>,
    /// Lowest and highest weight, 1 to 1000.
    pub weight: (u16, u16),
    /// Whether the face is italic or oblique.
    pub italic: bool,
    /// Code point ranges, inclusive; empty means all.
    pub unicode_range: Vec<(u32, u32)>,
    /// The media, supports or container condition it stands under, if any.
    pub condition: Option<String>,
}

/// One style rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The selectors of its list.
    pub selectors: Vec<Selector>,
    /// URLs of its declarations that can be fetched, with what depends on the client marked.
    pub urls: Vec<RuleUrl>,
    /// `font-family`, as an ordered list, if declared.
    pub families: Option<Vec<String>>,
    /// `font-weight`, if declared.
    pub weight: Option<FontWeight>,
    /// `font-style` is italic or oblique, if declared.
    pub italic: Option<bool>,
    /// Text of `content`, if declared.
    pub content: Option<String>,
    /// The media, supports or container condition it stands under, if any.
    pub condition: Option<String>,
}

/// A URL in a declaration.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleUrl {
    /// As written.
    pub url: String,
    /// The property, in lower case.
    pub property: String,
    /// Whether which candidate is fetched depends on the client (`image-set`, `cross-fade`).
    pub depends_on_client: bool,
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

/// A complex selector: compounds from the rightmost (the subject) leftwards.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    /// The subject first; each further compound with the combinator that joins it to the one before.
    pub compounds: Vec<(Combinator, Compound)>,
    /// Specificity (Selectors 4, section 16), packed as a * 2^20 + b * 2^10 + c.
    pub specificity: u32,
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
    /// `+` or `~`.
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
    /// `before`, `after` or another pseudo-element.
    pub pseudo_element: Option<String>,
    /// Whether a state decides that no page has at load (`:hover`, `:focus`, `:active`, `:checked` ...).
    pub needs_interaction: bool,
    /// Whether it holds something the outline cannot decide (`:not`, `:is`, attributes, `:nth-child`).
    pub undecided: bool,
}

/// Reads a style sheet. Never fails: what is malformed is dropped as CSS Syntax 3 says.
pub fn parse(_text: &str) -> StyleSheet {
    StyleSheet::default()
}
