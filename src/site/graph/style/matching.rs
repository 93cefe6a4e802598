//! Selectors against elements: yes, no, or maybe.
//!
//! Knows nothing of declarations. What the outline cannot decide is maybe.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::tree::{Node, Tree};
use crate::site::links::css::{
    Attribute, AttributeSelector, AttributeTest, Combinator, Compound, Key, Selector, SelectorTest,
    Structure,
};
use crate::site::links::html::Element;

/// Comparisons of one compound with one element for a whole page.
const STEPS_MAX: u64 = 5_000_000;

/// Compounds within compounds, across combinators and lists. Deeper, the answer is maybe.
const DEPTH_MAX: u32 = 256;

/// Whether something holds, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Truth {
    No,
    Maybe,
    Yes,
}

impl Truth {
    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// Matching a page took too long, and the last answers are not to be relied on.
#[derive(Debug)]
pub(super) struct Exhausted;

/// Matches selectors against the elements of one page.
pub(super) struct Matcher<'t, 'p> {
    tree: &'t Tree<'p>,
    steps: Cell<u64>,
    depth: Cell<u32>,
    positional: Cell<bool>,
}

impl<'t, 'p> Matcher<'t, 'p> {
    pub(super) fn new(tree: &'t Tree<'p>) -> Self {
        Self {
            tree,
            steps: Cell::new(0),
            depth: Cell::new(0),
            positional: Cell::new(false),
        }
    }

    /// Returns whether any answer since the last call depended on an element's siblings.
    pub(super) fn take_positional(&self) -> bool {
        self.positional.take()
    }

    /// Returns whether an element, or the box that the selector makes of it, is the subject.
    ///
    /// # Errors
    ///
    /// If too much has been asked of the page.
    pub(super) fn selector(&self, selector: &Selector, node: usize) -> Result<Truth, Exhausted> {
        let truth = self.compounds(&selector.compounds, node);
        if self.steps.get() > STEPS_MAX {
            return Err(Exhausted);
        }
        Ok(truth)
    }

    /// Counts work that an answer entails.
    pub(super) fn spend(&self, steps: usize) {
        self.steps.set(self.steps.get() + steps as u64);
    }

    fn compounds(&self, compounds: &[(Combinator, Compound)], node: usize) -> Truth {
        let Some(((_, compound), rest)) = compounds.split_first() else {
            return Truth::Yes;
        };
        self.spend(1);
        if self.steps.get() > STEPS_MAX || self.depth.get() > DEPTH_MAX {
            return Truth::Maybe;
        }
        self.depth.set(self.depth.get() + 1);
        let mut truth = self.compound(compound, node);
        if truth != Truth::No
            && let Some((combinator, _)) = rest.first()
        {
            truth = truth.min(self.related(*combinator, rest, node));
        }
        self.depth.set(self.depth.get() - 1);
        truth
    }

    /// Returns whether an element that stands in that relation to `node` matches the rest.
    fn related(
        &self,
        combinator: Combinator,
        rest: &[(Combinator, Compound)],
        node: usize,
    ) -> Truth {
        let place = &self.tree.nodes[node];
        match combinator {
            Combinator::Subject => Truth::Maybe,
            Combinator::Child => self.any(place.parent, rest),
            Combinator::Descendant => self.any(self.tree.ancestors(node), rest),
            Combinator::NextSibling => {
                self.positional.set(true);
                self.any(place.previous, rest)
            }
            Combinator::Sibling => {
                self.positional.set(true);
                self.any(self.tree.previous_siblings(node), rest)
            }
        }
    }

    fn any(
        &self,
        nodes: impl IntoIterator<Item = usize>,
        rest: &[(Combinator, Compound)],
    ) -> Truth {
        let mut truth = Truth::No;
        for node in nodes {
            truth = truth.max(self.compounds(rest, node));
            if truth == Truth::Yes || self.steps.get() > STEPS_MAX {
                break;
            }
        }
        truth
    }

    fn compound(&self, compound: &Compound, node: usize) -> Truth {
        let place = &self.tree.nodes[node];
        let element = place.element;
        let agrees = !compound.needs_interaction
            && compound.tag.as_ref().is_none_or(|tag| *tag == element.tag)
            && compound.id.as_ref().is_none_or(|id| *id == element.id)
            && compound
                .classes
                .iter()
                .all(|class| element.classes.contains(class));
        if !agrees {
            return Truth::No;
        }
        let mut truth = if compound.undecided {
            Truth::Maybe
        } else {
            Truth::Yes
        };
        for attribute in &compound.attributes {
            truth = truth.min(attribute_matches(attribute, element));
        }
        for structure in &compound.structure {
            truth = truth.min(self.structure(*structure, place));
        }
        for list in &compound.lists {
            if truth == Truth::No {
                break;
            }
            truth = truth.min(self.list(list, node));
        }
        truth
    }

    fn list(&self, list: &SelectorTest, node: usize) -> Truth {
        let mut truth = Truth::No;
        for selector in list.selectors.iter() {
            let is_element = selector
                .compounds
                .first()
                .is_some_and(|(_, subject)| subject.pseudo_element.is_none());
            if is_element {
                truth = truth.max(self.compounds(&selector.compounds, node));
            }
            if truth == Truth::Yes {
                break;
            }
        }
        if list.negated { truth.not() } else { truth }
    }

    fn structure(&self, structure: Structure, node: &Node<'_>) -> Truth {
        let (place, step, offset) = match structure {
            Structure::Root => return node.parent.is_none().into(),
            Structure::Link => return matches!(node.element.tag.as_str(), "a" | "area").into(),
            Structure::Child { step, offset } => (node.place, step, offset),
            Structure::LastChild { .. } if self.tree.truncated => return Truth::Maybe,
            Structure::LastChild { step, offset } => {
                let siblings = node
                    .parent
                    .map_or(1, |parent| self.tree.nodes[parent].children);
                (siblings - node.place + 1, step, offset)
            }
        };
        self.positional.set(true);
        // place = step * n + offset, for some n of 0 and more (Selectors 4, section 13.3).
        let distance = i64::from(place) - i64::from(offset);
        let holds = match i64::from(step) {
            0 => distance == 0,
            step => distance % step == 0 && distance / step >= 0,
        };
        holds.into()
    }
}

fn attribute_matches(selector: &AttributeSelector, element: &Element) -> Truth {
    let classes;
    let actual = match selector.attribute {
        Attribute::Id => element.id.as_str(),
        Attribute::Class => {
            classes = element.classes.join(" ");
            classes.as_str()
        }
        Attribute::Hidden if element.unrendered => return Truth::Maybe,
        Attribute::Hidden => return Truth::No,
    };
    let matches = match &selector.test {
        None => !actual.is_empty(),
        Some((test, expected)) if selector.ignore_case => compares(
            *test,
            &actual.to_ascii_lowercase(),
            &expected.to_ascii_lowercase(),
        ),
        Some((test, expected)) => compares(*test, actual, expected),
    };
    matches.into()
}

fn compares(test: AttributeTest, actual: &str, expected: &str) -> bool {
    match test {
        AttributeTest::Equals => !actual.is_empty() && actual == expected,
        AttributeTest::Includes => actual.split(' ').any(|word| word == expected),
        AttributeTest::Dash => actual
            .strip_prefix(expected)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-')),
        AttributeTest::Prefix => !expected.is_empty() && actual.starts_with(expected),
        AttributeTest::Suffix => !expected.is_empty() && actual.ends_with(expected),
        AttributeTest::Contains => !expected.is_empty() && actual.contains(expected),
    }
}

/// A selector of a rule, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) rule: usize,
    pub(super) selector: usize,
}

/// Selectors by what their subject must have.
#[derive(Default)]
pub(super) struct Index<'p> {
    by_key: HashMap<&'p Key, Vec<Entry>>,
    any: Vec<Entry>,
    names: Names<'p>,
}

/// The ids and classes that selectors name: others make no difference to any of them.
#[derive(Default)]
struct Names<'p> {
    ids: HashSet<&'p str>,
    classes: HashSet<&'p str>,
    /// A selector looks into the attribute itself.
    all: bool,
    visited: HashSet<*const Selector>,
}

impl<'p> Index<'p> {
    pub(super) fn add(&mut self, rule: usize, selectors: &'p Arc<[Selector]>) {
        for (number, selector) in selectors.iter().enumerate() {
            let entry = Entry {
                rule,
                selector: number,
            };
            for key in &selector.keys {
                self.by_key.entry(key).or_default().push(entry);
            }
            if selector.keys.is_empty() {
                self.any.push(entry);
            }
        }
        self.names.collect(selectors);
    }

    /// Returns the selectors of which an element may be the subject, each once, in order.
    pub(super) fn candidates(&self, element: &Element) -> Vec<Entry> {
        let id = (!element.id.is_empty()).then(|| Key::Id(element.id.clone()));
        let classes = element
            .classes
            .iter()
            .map(|class| Key::Class(class.clone()));
        let mut entries = self.any.clone();
        for key in classes.chain(id).chain([Key::Tag(element.tag.clone())]) {
            entries.extend(self.by_key.get(&key).into_iter().flatten());
        }
        entries.sort_unstable();
        entries.dedup();
        entries
    }

    /// Returns the id, if a selector names it.
    pub(super) fn named_id<'n>(&self, id: &'n str) -> &'n str {
        if self.names.all || self.names.ids.contains(id) {
            id
        } else {
            ""
        }
    }

    /// Returns the classes that selectors name.
    pub(super) fn named_classes<'n>(&self, classes: &'n [String]) -> Vec<&'n str> {
        classes
            .iter()
            .map(String::as_str)
            .filter(|class| self.names.all || self.names.classes.contains(class))
            .collect()
    }
}

impl<'p> Names<'p> {
    fn collect(&mut self, selectors: &'p Arc<[Selector]>) {
        if !self.visited.insert(selectors.as_ptr()) {
            return;
        }
        let compounds = selectors.iter().flat_map(|selector| &selector.compounds);
        for (_, compound) in compounds {
            self.ids.extend(compound.id.as_deref());
            self.classes
                .extend(compound.classes.iter().map(String::as_str));
            self.all |= compound
                .attributes
                .iter()
                .any(|selector| selector.attribute != Attribute::Hidden);
            for list in &compound.lists {
                self.collect(&list.selectors);
            }
        }
    }
}
