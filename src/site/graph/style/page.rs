//! The walk over a page's elements: what each is shown with, and what is fetched for it.
//!
//! Elements that no rule can tell apart are looked at once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::cascade::{
    CANDIDATES_MAX, Candidate, Cascade, Declared, FontStyle, Inherited, Precedence, Source,
    specified,
};
use super::fonts::{Fetched, Fonts, Lookup, Request};
use super::found::Found;
use super::layers::Layers;
use super::matching::{Exhausted, Index, Matcher, Truth};
use super::tree::Tree;
use super::{Cascaded, PageUse, variables};
use crate::site::links::css::{self, Property, Rule, Selector, Value};
use crate::site::links::html::{Element, Outline};

/// Properties whose images are fetched as soon as an element is styled.
const IMAGES: &[Property] = &[
    Property::Background,
    Property::BorderImage,
    Property::ListStyle,
    Property::Mask,
    Property::Cursor,
    Property::Effect,
    Property::Content,
];

/// Elements of SVG that are not rendered where they stand.
const UNRENDERED: &[&str] = &["defs", "desc", "metadata", "symbol"];

/// Elements that browsers render without what is in them.
const OPAQUE: &[&str] = &[
    "audio", "canvas", "iframe", "meter", "object", "progress", "select", "video",
];

/// Elements without `::before` and `::after`.
const WITHOUT_PSEUDO: &[&str] = &[
    "audio", "br", "canvas", "embed", "iframe", "img", "input", "meter", "object", "progress",
    "select", "svg", "textarea", "video", "wbr",
];

/// Returns what a page uses.
pub(super) fn used<'p>(sheets: &[Cascaded<'p>], outline: &'p Outline) -> PageUse {
    let attributes = Attributes::new(outline);
    let mut walk = Walk::new(sheets, &attributes);
    if walk.has_anything_to_find() {
        let tree = Tree::new(outline);
        let matcher = Matcher::new(&tree);
        for node in 0..tree.nodes.len() {
            // What was found before a page became too costly still holds.
            if walk.visit(&tree, &matcher, node).is_err() {
                break;
            }
        }
        walk.fetch_faces();
    }
    let truncated = sheets.iter().any(|cascaded| cascaded.sheet.truncated);
    let doubt = truncated || walk.has_too_many_variables;
    walk.found.into_use(sheets.len(), doubt)
}

/// `style` attributes of a page, read once each.
struct Attributes<'p>(HashMap<&'p str, Rule>);

impl<'p> Attributes<'p> {
    fn new(outline: &'p Outline) -> Self {
        let styles = outline
            .elements
            .iter()
            .map(|element| element.style.as_str());
        let distinct: HashSet<_> = styles.filter(|style| !style.is_empty()).collect();
        Self(
            distinct
                .into_iter()
                .map(|style| (style, css::parse_attribute(style)))
                .collect(),
        )
    }
}

/// A rule in the cascade.
#[derive(Clone, Copy)]
struct RuleEntry<'p> {
    rule: &'p Rule,
    /// Number of the sheet, and of the rule in it.
    place: (usize, usize),
    /// Whether it applies to every client.
    certain: bool,
    layer: u32,
}

/// Elements that no rule tells apart.
struct Class {
    inherited: Inherited,
    /// Whether what is in them is rendered.
    inner: Truth,
    /// Whether they are inside of SVG.
    svg: bool,
    /// Where their own text goes.
    text: Option<usize>,
}

/// What makes two elements the same to every rule, if siblings do not matter.
#[derive(PartialEq, Eq, Hash)]
struct ClassKey<'p> {
    parent: Option<usize>,
    tag: &'p str,
    id: &'p str,
    classes: Vec<&'p str>,
    style: &'p str,
    unrendered: bool,
}

/// Text that asks for the same fonts.
#[derive(Default)]
struct Text {
    sure: BTreeSet<char>,
    perhaps: BTreeSet<char>,
}

/// The state of the walk. `'p` is the page and its sheets, `'w` what was read of its attributes.
struct Walk<'w, 'p> {
    attributes: &'w Attributes<'p>,
    rules: Vec<RuleEntry<'w>>,
    index: Index<'w>,
    fonts: Fonts<'w>,
    cascade: Cascade<'w>,
    classes: Vec<Class>,
    class_by_key: HashMap<ClassKey<'p>, usize>,
    class_by_node: Vec<usize>,
    texts: Vec<Text>,
    text_by_font: HashMap<Rc<FontStyle>, usize>,
    /// Rank of what is in no layer.
    unlayered: u32,
    has_too_many_variables: bool,
    found: Found,
}

impl<'w, 'p: 'w> Walk<'w, 'p> {
    fn new(sheets: &[Cascaded<'p>], attributes: &'w Attributes<'p>) -> Self {
        let layers = Layers::new(sheets);
        let mut index = Index::default();
        let mut fonts = Fonts::default();
        let mut rules = Vec::new();
        for (number, cascaded) in sheets.iter().enumerate() {
            fonts.stretches |= cascaded.sheet.stretches;
            for (face_number, face) in cascaded.sheet.faces.iter().enumerate() {
                fonts.add((number, face_number), face, !cascaded.depends_on_client);
            }
            for (rule_number, rule) in cascaded.sheet.rules.iter().enumerate() {
                index.add(rules.len(), &rule.selectors);
                rules.push(RuleEntry {
                    rule,
                    place: (number, rule_number),
                    certain: !cascaded.depends_on_client && rule.condition.is_none(),
                    layer: layers.rank_of(cascaded, number, rule.layer.as_deref()),
                });
            }
        }
        let declarations = rules.iter().map(|entry| entry.rule);
        let declarations = declarations
            .chain(attributes.0.values())
            .flat_map(|rule| &rule.declarations);
        let wanted = variables::wanted(declarations);
        Self {
            has_too_many_variables: wanted.is_none(),
            cascade: Cascade::new(wanted.unwrap_or_default()),
            attributes,
            rules,
            index,
            fonts,
            classes: Vec::new(),
            class_by_key: HashMap::new(),
            class_by_node: Vec::new(),
            texts: Vec::new(),
            text_by_font: HashMap::new(),
            unlayered: layers.unlayered(),
            found: Found::default(),
        }
    }

    fn has_anything_to_find(&self) -> bool {
        let rules = self.rules.iter().map(|entry| entry.rule);
        let mut rules = rules.chain(self.attributes.0.values());
        !self.fonts.is_empty() || rules.any(|rule| !rule.urls.is_empty())
    }

    fn visit(
        &mut self,
        tree: &Tree<'p>,
        matcher: &Matcher<'_, 'p>,
        node: usize,
    ) -> Result<(), Exhausted> {
        let element = tree.nodes[node].element;
        let key = ClassKey {
            parent: tree.nodes[node]
                .parent
                .map(|parent| self.class_by_node[parent]),
            tag: &element.tag,
            id: self.index.named_id(&element.id),
            classes: self.index.named_classes(&element.classes),
            style: &element.style,
            unrendered: element.unrendered,
        };
        let class = if let Some(class) = self.class_by_key.get(&key) {
            *class
        } else {
            let parent = key.parent;
            let class = self.classes.len();
            let new = self.look_at(element, matcher, node, parent)?;
            self.classes.push(new);
            // What depends on siblings may be otherwise for the next element.
            if !matcher.take_positional() {
                self.class_by_key.insert(key, class);
            }
            class
        };
        self.class_by_node.push(class);
        let Class { text, inner, .. } = self.classes[class];
        if let Some(text) = text {
            self.texts[text].add(element.text.iter().copied(), inner);
        }
        Ok(())
    }

    /// Finds out what an element and its generated boxes are shown with.
    fn look_at(
        &mut self,
        element: &'p Element,
        matcher: &Matcher<'_, 'p>,
        node: usize,
        parent: Option<usize>,
    ) -> Result<Class, Exhausted> {
        let (inherited, around, svg) = match parent.map(|parent| &self.classes[parent]) {
            Some(parent) => (parent.inherited.clone(), parent.inner, parent.svg),
            None => (Inherited::initial(), Truth::Yes, false),
        };
        let tag = element.tag.as_str();
        let svg = (svg || tag == "svg") && tag != "foreignobject";
        if around == Truth::No || element.unrendered || UNRENDERED.contains(&tag) {
            return Ok(Class {
                inherited,
                inner: Truth::No,
                svg,
                text: None,
            });
        }
        let boxes = self.declared(element, matcher, node)?;
        let shown = around.min(is_shown(boxes.element.possible(&Property::Display)));
        let mut inner = shown
            .min(is_shown(
                boxes.element.possible(&Property::ContentVisibility),
            ))
            .min(Truth::from(!OPAQUE.contains(&tag)));
        let content = boxes.element.possible(&Property::Content);
        if content
            .iter()
            .any(|candidate| !candidate.declaration.urls.is_empty())
        {
            // An image may stand in the place of what is in the element.
            inner = inner.min(Truth::Maybe);
        }
        let inherited = self.cascade.inherited(tag, &boxes.element, &inherited);
        self.find_urls(&boxes.element, shown);
        if inner > Truth::No && !svg && !WITHOUT_PSEUDO.contains(&tag) {
            for generated in [&boxes.before, &boxes.after] {
                self.look_at_generated(generated, &inherited, inner);
            }
        }
        let text = (inner > Truth::No).then(|| self.text(&inherited.font));
        Ok(Class {
            inherited,
            inner,
            svg,
            text,
        })
    }

    /// Finds out what a `::before` or `::after` is shown with.
    fn look_at_generated(&mut self, declared: &Declared<'w>, parent: &Inherited, around: Truth) {
        let content = declared.possible(&Property::Content);
        // Without `content` there is no such box.
        let Some(last) = content.last() else { return };
        if content.len() > CANDIDATES_MAX {
            return;
        }
        let inherited = self.cascade.inherited("", declared, parent);
        let values: Vec<_> = content
            .iter()
            .map(|candidate| specified(candidate.declaration, &inherited.variables))
            .collect();
        let is_box = |value: &Value| matches!(value, Value::Content(_));
        if !values
            .iter()
            .any(|value| is_box(value) || *value == Value::Unknown)
        {
            return;
        }
        let mut shown = around.min(is_shown(declared.possible(&Property::Display)));
        if last.truth != Truth::Yes || !values.iter().all(is_box) {
            shown = shown.min(Truth::Maybe);
        }
        self.find_urls(declared, shown);
        if shown == Truth::No {
            return;
        }
        let text = self.text(&inherited.font);
        let certain = if values.len() == 1 {
            shown
        } else {
            Truth::Maybe
        };
        for value in &values {
            if let Value::Content(content) = value {
                let characters = content.chars().filter(|c| !c.is_whitespace());
                self.texts[text].add(characters, certain);
            }
        }
    }

    /// Returns the declarations on an element and on its generated boxes.
    fn declared(
        &self,
        element: &'p Element,
        matcher: &Matcher<'_, 'p>,
        node: usize,
    ) -> Result<Boxes<'w>, Exhausted> {
        let (mut own, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new());
        for entry in self.index.candidates(element) {
            let RuleEntry {
                rule,
                place,
                certain,
                layer,
            } = self.rules[entry.rule];
            let selector = &rule.selectors[entry.selector];
            let mut truth = matcher.selector(selector, node)?;
            if truth == Truth::No {
                continue;
            }
            if !certain {
                truth = truth.min(Truth::Maybe);
            }
            let candidates = match pseudo_element(selector) {
                None => &mut own,
                Some("before") => &mut before,
                Some(_) => &mut after,
            };
            matcher.spend(rule.declarations.len());
            candidates.extend(
                rule.declarations
                    .iter()
                    .enumerate()
                    .map(|(number, declaration)| Candidate {
                        precedence: Precedence {
                            important: declaration.important,
                            attached: false,
                            layer: if declaration.important {
                                self.unlayered - layer
                            } else {
                                layer
                            },
                            specificity: selector.specificity,
                            order: (entry.rule, number),
                        },
                        truth,
                        declaration,
                        source: Source::Rule(place.0, place.1, &rule.urls),
                    }),
            );
        }
        if let Some(rule) = self.attributes.0.get(element.style.as_str()) {
            own.extend(attached(rule));
        }
        Ok(Boxes {
            element: Declared::new(own),
            before: Declared::new(before),
            after: Declared::new(after),
        })
    }

    /// Notes the URLs that a box is shown with.
    fn find_urls(&mut self, declared: &Declared<'w>, shown: Truth) {
        if shown == Truth::No {
            return;
        }
        for property in IMAGES {
            self.found.urls(declared.possible(property), shown);
        }
        // Whether anything makes use of a custom property is not followed: its URLs are marked.
        for candidate in declared.all() {
            if matches!(candidate.declaration.property, Property::Custom(_)) {
                self.found.urls(std::slice::from_ref(candidate), shown);
            }
        }
    }

    /// Returns where text of a font goes.
    fn text(&mut self, font: &Rc<FontStyle>) -> usize {
        if let Some(text) = self.text_by_font.get(font) {
            return *text;
        }
        self.texts.push(Text::default());
        self.text_by_font.insert(font.clone(), self.texts.len() - 1);
        self.texts.len() - 1
    }

    /// Finds the faces that all text needs.
    fn fetch_faces(&mut self) {
        let mut lookup = Lookup::new(&self.fonts);
        for (font, text) in &self.text_by_font {
            let text = &self.texts[*text];
            let requests = font.weight.values.iter().flat_map(|weight| {
                font.italic.values.iter().map(|italic| Request {
                    weight: *weight,
                    italic: *italic,
                })
            });
            let requests: Vec<_> = requests.collect();
            let asked = font
                .families
                .values
                .iter()
                .flat_map(|families| requests.iter().map(move |request| (families, *request)));
            let unknown = font.families.unknown || font.weight.unknown || font.italic.unknown;
            let one = asked.clone().count() == 1 && !unknown;
            let mut agreed: Option<BTreeMap<char, Fetched>> = None;
            for (families, request) in asked {
                let sure = lookup.fetched(families, request, &text.sure);
                let perhaps = lookup.fetched(families, request, &text.perhaps);
                if !one {
                    self.found.perhaps_faces(sure.values());
                }
                self.found.perhaps_faces(perhaps.values());
                match &mut agreed {
                    None => agreed = Some(sure),
                    Some(agreed) => {
                        agreed.retain(|character, fetched| sure.get(character) == Some(fetched));
                    }
                }
            }
            // Whatever the client decides, it fetches these.
            for fetched in agreed.into_iter().flat_map(BTreeMap::into_values) {
                match fetched {
                    Fetched::Face(face) if !unknown => {
                        self.found.faces.insert(face);
                    }
                    fetched => self.found.perhaps_faces([&fetched]),
                }
            }
        }
    }
}

/// The declarations on an element and on what it generates.
struct Boxes<'w> {
    element: Declared<'w>,
    before: Declared<'w>,
    after: Declared<'w>,
}

fn attached(rule: &Rule) -> impl Iterator<Item = Candidate<'_>> {
    let declarations = rule.declarations.iter().enumerate();
    declarations.map(|(number, declaration)| Candidate {
        precedence: Precedence {
            important: declaration.important,
            attached: true,
            layer: 0,
            specificity: 0,
            order: (0, number),
        },
        truth: Truth::Yes,
        declaration,
        source: Source::Attribute(&rule.urls),
    })
}

fn pseudo_element(selector: &Selector) -> Option<&str> {
    selector.compounds.first()?.1.pseudo_element.as_deref()
}

/// Returns whether something is shown after `display` or `content-visibility`.
fn is_shown(candidates: &[Candidate<'_>]) -> Truth {
    let shown = candidates
        .iter()
        .map(|candidate| match candidate.declaration.value {
            Value::Shown(shown) => Truth::from(shown),
            Value::Initial | Value::Unset | Value::Revert => Truth::Yes,
            _ => Truth::Maybe,
        });
    let decided = candidates
        .last()
        .is_some_and(|last| last.truth == Truth::Yes);
    let shown = shown.chain((!decided).then_some(Truth::Yes));
    let mut different = shown;
    let Some(first) = different.next() else {
        return Truth::Yes;
    };
    if different.all(|other| other == first) {
        first
    } else {
        Truth::Maybe
    }
}

impl Text {
    fn add(&mut self, characters: impl Iterator<Item = char>, shown: Truth) {
        match shown {
            Truth::Yes => self.sure.extend(characters),
            Truth::Maybe => self.perhaps.extend(characters),
            Truth::No => {}
        }
    }
}
