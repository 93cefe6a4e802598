//! The cascade: which declarations may win on an element, and what fonts follow from that.
//!
//! Knows nothing of selectors. A value that depends on the client is kept as the set of what it may
//! be (CSS Cascading 5, section 6).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::matching::Truth;
use super::variables::{self, Custom, Name, Unresolved, Variables};
use crate::site::links::css::{
    Declaration, Family, FontWeight, Property, RuleUrl, Value, font_value, value,
};

/// Values that one property of one element may have; with more, it is unknown.
const POSSIBLE_MAX: usize = 4;

/// Declarations of one property of one element that may win; with more, it is unknown which does.
pub(super) const CANDIDATES_MAX: usize = 32;

/// What decides between declarations, the greater winning (CSS Cascading 5, section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Precedence {
    pub(super) important: bool,
    /// It stands in a `style` attribute.
    pub(super) attached: bool,
    /// Rank of the layer: the last one of normal declarations, the first one of important ones
    /// wins.
    pub(super) layer: u32,
    pub(super) specificity: u32,
    /// Number of the rule, then of the declaration in it.
    pub(super) order: (usize, usize),
}

/// A declaration on an element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'p> {
    pub(super) precedence: Precedence,
    /// Whether it applies.
    pub(super) truth: Truth,
    pub(super) declaration: &'p Declaration,
    pub(super) source: Source<'p>,
}

/// Where a declaration stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'p> {
    /// In a rule, by number of the sheet and of the rule in it, with these URLs.
    Rule(usize, usize, &'p [RuleUrl]),
    /// In a `style` attribute, with these URLs.
    Attribute(&'p [RuleUrl]),
}

/// The declarations on an element, by property, the one that wins first.
#[derive(Debug, Default)]
pub(super) struct Declared<'p>(Vec<Candidate<'p>>);

impl<'p> Declared<'p> {
    pub(super) fn new(mut candidates: Vec<Candidate<'p>>) -> Self {
        candidates.retain(|candidate| candidate.truth > Truth::No);
        candidates.sort_by(|left, right| {
            let property = left.declaration.property.cmp(&right.declaration.property);
            property.then(right.precedence.cmp(&left.precedence))
        });
        Self(candidates)
    }

    pub(super) fn all(&self) -> &[Candidate<'p>] {
        &self.0
    }

    /// Returns the declarations of a property that may win: all down to the first that surely
    /// applies.
    pub(super) fn possible(&self, property: &Property) -> &[Candidate<'p>] {
        let start = self
            .0
            .partition_point(|candidate| candidate.declaration.property < *property);
        let found = &self.0[start..];
        let of_property = found
            .iter()
            .take_while(|candidate| candidate.declaration.property == *property)
            .count();
        let sure = found[..of_property]
            .iter()
            .position(|candidate| candidate.truth == Truth::Yes);
        &found[..sure.map_or(of_property, |sure| sure + 1)]
    }
}

/// What a value may be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Possible<T> {
    /// Each of these.
    pub(super) values: BTreeSet<T>,
    /// Or anything.
    pub(super) unknown: bool,
}

impl<T: Ord + Clone> Possible<T> {
    pub(super) fn sure(value: T) -> Self {
        Self {
            values: BTreeSet::from([value]),
            unknown: false,
        }
    }

    pub(super) fn unknown() -> Self {
        Self {
            values: BTreeSet::new(),
            unknown: true,
        }
    }

    fn none() -> Self {
        Self {
            values: BTreeSet::new(),
            unknown: false,
        }
    }

    fn join(&mut self, other: &Self) {
        self.values.extend(other.values.iter().cloned());
        self.unknown |= other.unknown || self.values.len() > POSSIBLE_MAX;
        while self.values.len() > POSSIBLE_MAX {
            self.values.pop_last();
        }
    }

    fn map<U: Ord + Clone>(&self, each: impl Fn(&T) -> U) -> Possible<U> {
        Possible {
            values: self.values.iter().map(each).collect(),
            unknown: self.unknown,
        }
    }
}

/// What decides which faces an element's text asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FontStyle {
    pub(super) families: Possible<Rc<[Family]>>,
    pub(super) weight: Possible<u16>,
    pub(super) italic: Possible<bool>,
}

/// What an element hands down to its children.
#[derive(Debug, Clone)]
pub(super) struct Inherited {
    pub(super) font: Rc<FontStyle>,
    pub(super) variables: Rc<Variables>,
}

impl Inherited {
    /// What the root inherits.
    pub(super) fn initial() -> Self {
        Self {
            font: Rc::new(FontStyle {
                families: Possible::sure([Family::Generic].into()),
                weight: Possible::sure(400),
                italic: Possible::sure(false),
            }),
            variables: Rc::new(Variables::new()),
        }
    }
}

/// What browsers' own style sheets say of an element's font (HTML, section 15.3).
#[derive(Default)]
struct Defaults {
    families: Option<Possible<Rc<[Family]>>>,
    weight: Option<FontWeight>,
    italic: Option<bool>,
}

impl Defaults {
    fn of(tag: &str) -> Self {
        let generic = || Some(Possible::sure([Family::Generic].into()));
        match tag {
            "b" | "strong" => Self {
                weight: Some(FontWeight::Bolder),
                ..Self::default()
            },
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "th" | "optgroup" => Self {
                weight: Some(FontWeight::Absolute(700)),
                ..Self::default()
            },
            "i" | "em" | "cite" | "var" | "dfn" | "address" => Self {
                italic: Some(true),
                ..Self::default()
            },
            "code" | "kbd" | "pre" | "samp" | "tt" | "listing" | "plaintext" | "xmp" => Self {
                families: generic(),
                ..Self::default()
            },
            "button" | "input" | "select" | "textarea" => Self {
                families: generic(),
                weight: Some(FontWeight::Absolute(400)),
                italic: Some(false),
            },
            // Its attribute `face` is not in the outline.
            "font" => Self {
                families: Some(Possible::unknown()),
                ..Self::default()
            },
            _ => Self::default(),
        }
    }
}

/// Computes what elements hand down.
pub(super) struct Cascade<'p> {
    /// Custom properties that matter.
    wanted: BTreeSet<Name>,
    families: HashMap<&'p [Family], Rc<[Family]>>,
}

impl<'p> Cascade<'p> {
    pub(super) fn new(wanted: BTreeSet<Name>) -> Self {
        Self {
            wanted,
            families: HashMap::new(),
        }
    }

    /// Returns what an element, or a box of it (without a tag), hands down.
    pub(super) fn inherited(
        &mut self,
        tag: &str,
        declared: &Declared<'p>,
        parent: &Inherited,
    ) -> Inherited {
        let variables = self.variables(declared, &parent.variables);
        let defaults = Defaults::of(tag);
        let families = self.families(declared, &variables, parent, &defaults);
        let weight = weight(declared, &variables, parent, &defaults);
        let italic = italic(declared, &variables, parent, &defaults);
        let font = FontStyle {
            families,
            weight,
            italic,
        };
        Inherited {
            font: if font == *parent.font {
                parent.font.clone()
            } else {
                Rc::new(font)
            },
            variables,
        }
    }

    fn variables(&self, declared: &Declared<'p>, parent: &Rc<Variables>) -> Rc<Variables> {
        let mut own = BTreeMap::new();
        let names: BTreeSet<_> = declared
            .all()
            .iter()
            .filter_map(|candidate| match &candidate.declaration.property {
                Property::Custom(name) if self.wanted.contains(&**name) => Some(name),
                _ => None,
            })
            .collect();
        for name in names {
            let possible = declared.possible(&Property::Custom(name.clone()));
            let mut values = possible
                .iter()
                .map(|candidate| custom(&candidate.declaration.value, parent.get(&**name)));
            let first = values.next().flatten();
            let sure = possible.last().is_some_and(|last| last.truth == Truth::Yes);
            let value = if sure && values.all(|value| value == first) {
                first
            } else {
                Some(Custom::Unknown)
            };
            own.insert((&**name).into(), value);
        }
        if own.is_empty() {
            parent.clone()
        } else {
            Rc::new(variables::computed(parent, own))
        }
    }

    fn families(
        &mut self,
        declared: &Declared<'p>,
        variables: &Variables,
        parent: &Inherited,
        defaults: &Defaults,
    ) -> Possible<Rc<[Family]>> {
        let default = defaults.families.as_ref();
        cascaded(
            declared.possible(&Property::Family),
            &parent.font.families,
            default,
            || Possible::sure([Family::Generic].into()),
            |declaration| match (&declaration.value, specified(declaration, variables)) {
                // Lists as they stand in the sheet are shared.
                (Value::Families(list), _) => Specified::Set(Possible::sure(
                    self.families
                        .entry(list)
                        .or_insert_with(|| list.as_slice().into())
                        .clone(),
                )),
                (_, Value::Families(list)) => Specified::Set(Possible::sure(list.into())),
                (_, other) => Specified::keyword(&other),
            },
        )
    }
}

fn weight(
    declared: &Declared<'_>,
    variables: &Variables,
    parent: &Inherited,
    defaults: &Defaults,
) -> Possible<u16> {
    let inherited = &parent.font.weight;
    let default = defaults.weight.map(|weight| absolute(weight, inherited));
    cascaded(
        declared.possible(&Property::Weight),
        inherited,
        default.as_ref(),
        || Possible::sure(400),
        |declaration| match specified(declaration, variables) {
            Value::Weight(weight) => Specified::Set(absolute(weight, inherited)),
            other => Specified::keyword(&other),
        },
    )
}

fn italic(
    declared: &Declared<'_>,
    variables: &Variables,
    parent: &Inherited,
    defaults: &Defaults,
) -> Possible<bool> {
    cascaded(
        declared.possible(&Property::Style),
        &parent.font.italic,
        defaults.italic.map(Possible::sure).as_ref(),
        || Possible::sure(false),
        |declaration| match specified(declaration, variables) {
            Value::Italic(italic) => Specified::Set(Possible::sure(italic)),
            other => Specified::keyword(&other),
        },
    )
}

/// What a declaration asks for.
enum Specified<T> {
    Set(Possible<T>),
    Inherit,
    Initial,
    Revert,
    Unknown,
}

impl<T> Specified<T> {
    /// Reads what is left when a value is not of its property's kind. All properties here are
    /// inherited, so that `unset` is `inherit`.
    fn keyword(value: &Value) -> Self {
        match value {
            Value::Inherit | Value::Unset => Self::Inherit,
            Value::Initial => Self::Initial,
            Value::Revert => Self::Revert,
            _ => Self::Unknown,
        }
    }
}

/// Returns what an inherited property may be.
fn cascaded<'p, T: Ord + Clone>(
    candidates: &[Candidate<'p>],
    inherited: &Possible<T>,
    default: Option<&Possible<T>>,
    initial: impl Fn() -> Possible<T>,
    mut read: impl FnMut(&'p Declaration) -> Specified<T>,
) -> Possible<T> {
    if candidates.len() > CANDIDATES_MAX {
        return Possible::unknown();
    }
    let default = default.unwrap_or(inherited);
    let mut possible = Possible::none();
    for candidate in candidates {
        match read(candidate.declaration) {
            Specified::Set(value) => possible.join(&value),
            Specified::Inherit => possible.join(inherited),
            Specified::Initial => possible.join(&initial()),
            Specified::Revert => possible.join(default),
            Specified::Unknown => possible.unknown = true,
        }
    }
    let decided = candidates
        .last()
        .is_some_and(|last| last.truth == Truth::Yes);
    if !decided {
        possible.join(default);
    }
    possible
}

/// Returns a declaration's value with custom properties substituted.
pub(super) fn specified(declaration: &Declaration, variables: &Variables) -> Value {
    let (text, of_font) = match &declaration.value {
        Value::Variable(text) => (text, false),
        Value::FontVariable(text) => (text, true),
        // Lists are read by reference, without a copy.
        Value::Families(_) => return Value::Unknown,
        other => return other.clone(),
    };
    match variables::substitute(text, &mut |name| variables.get(name).cloned()) {
        Ok(text) if of_font => font_value(&declaration.property, &text).unwrap_or(Value::Unset),
        Ok(text) => value(&declaration.property, &text).unwrap_or(Value::Unset),
        Err(Unresolved::Invalid) => Value::Unset,
        Err(Unresolved::Unknown) => Value::Unknown,
    }
}

/// Returns what a declaration makes of a custom property.
fn custom(value: &Value, inherited: Option<&Custom>) -> Option<Custom> {
    match value {
        Value::Text(text) => Some(Custom::Text((&**text).into())),
        Value::Initial => None,
        Value::Inherit | Value::Unset | Value::Revert => inherited.cloned(),
        _ => Some(Custom::Unknown),
    }
}

/// Returns the weight that a declared one stands for (CSS Fonts 4, section 2.2.1).
fn absolute(weight: FontWeight, inherited: &Possible<u16>) -> Possible<u16> {
    match weight {
        FontWeight::Absolute(weight) => Possible::sure(weight),
        FontWeight::Bolder => inherited.map(|inherited| match inherited {
            ..350 => 400,
            350..550 => 700,
            550..900 => 900,
            heavy => *heavy,
        }),
        FontWeight::Lighter => inherited.map(|inherited| match inherited {
            light @ ..100 => *light,
            100..550 => 100,
            550..750 => 400,
            750.. => 700,
        }),
    }
}
