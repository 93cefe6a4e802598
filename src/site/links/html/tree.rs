//! Tags to a tree: which element is whose parent, and where the head ends.
//!
//! A small part of tree construction (HTML, section 13.2.6): void elements, implied tags, implied
//! ends and scopes, without foster parenting and without reopening of formatting elements. Knows
//! nothing of links.

use super::tags::{
    closes_paragraph, is_formatting, is_head_element, is_heading, is_integration_point,
    is_never_rendered, is_scope, is_special, is_table_part, is_table_scope, is_void,
};
use super::text::Text;
use super::{Element, Outline};

/// Most elements kept in an outline.
const ELEMENTS_MAX: usize = 20_000;

/// Most elements open at once; Blink flattens what is deeper than this.
const OPEN_MAX: usize = 512;

/// The tree as far as it is read.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) outline: Outline,
    /// Where the head ended.
    pub(super) head_length: Option<usize>,
    open: Vec<Open>,
    mode: Mode,
    /// Elements that are open but not in `open`, for lack of room.
    overflow: usize,
    templates: usize,
    html: Option<u32>,
    body: Option<u32>,
}

/// An open element.
#[derive(Debug)]
struct Open {
    tag: String,
    /// Its place in the outline; none inside `template` and where the outline is full.
    element: Option<u32>,
    foreign: bool,
    hides: Hides,
    text: Text,
}

/// What of its content an element does not render.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hides {
    Nothing,
    /// A closed `details`: all but its first `summary`.
    AllButSummary,
    Everything,
}

/// The insertion mode, as far as it matters here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    BeforeHead,
    InHead,
    AfterHead,
    InBody,
}

/// What is known of a start tag.
pub(super) struct StartTag {
    pub(super) element: Element,
    /// In SVG or `MathML`.
    pub(super) foreign: bool,
    pub(super) self_closing: bool,
    /// `open` of `details` and `dialog`.
    pub(super) has_open: bool,
}

impl Tree {
    /// Whether an element belongs to SVG or `MathML`. `lol_html` says where its content belongs,
    /// which differs for `foreignObject` and the like.
    pub(super) fn is_foreign(&self, tag: &str, content_is_foreign: bool) -> bool {
        let is_inside = |open: &Open| open.foreign && !is_integration_point(&open.tag);
        content_is_foreign || (is_integration_point(tag) && self.open.last().is_some_and(is_inside))
    }

    /// Closes and opens what a start tag implies. After it, [`Tree::parent`] is where the element
    /// belongs. Returns whether there will be an element: forms in forms and parts of a table
    /// outside of one are ignored.
    pub(super) fn make_room(&mut self, tag: &str, foreign: bool, offset: usize) -> bool {
        if self.templates > 0 {
            return true;
        }
        let is_ignored = (is_table_part(tag) && self.find(&["table"], is_table_scope).is_none())
            || (tag == "form" && self.is_inside("form"));
        if !foreign && is_ignored {
            return false;
        }
        if !foreign {
            self.leave_foreign();
        }
        match tag {
            "html" => {
                self.ensure_html();
                return true;
            }
            "head" => {
                self.ensure_html();
                return self.mode == Mode::BeforeHead;
            }
            _ if !foreign && self.mode != Mode::InBody && is_head_element(tag) => {
                if self.mode == Mode::BeforeHead {
                    self.start_head();
                }
                return true;
            }
            _ => self.ensure_body(offset),
        }
        if !foreign {
            self.close_implied(tag);
            self.open_implied(tag);
        }
        true
    }

    /// Adds the element of a start tag that [`Tree::make_room`] has prepared. Returns whether it
    /// may be rendered.
    pub(super) fn insert(&mut self, start: StartTag) -> bool {
        let tag = start.element.tag.clone();
        if self.templates == 0 && !start.foreign {
            match tag.as_str() {
                "html" => {
                    self.merge(self.html, start.element);
                    return true;
                }
                "body" => {
                    self.merge(self.body, start.element);
                    return true;
                }
                "head" => self.mode = Mode::InHead,
                _ => {}
            }
        }
        let has_content = if start.foreign {
            !start.self_closing
        } else {
            !is_void(&tag)
        };
        let element;
        if !has_content {
            element = self.add(start.element);
        } else if self.open.len() >= OPEN_MAX {
            self.overflow += 1;
            element = self.add(start.element);
        } else {
            let hides = hides(&tag, start.has_open);
            element = self.add(start.element);
            self.templates += usize::from(tag == "template");
            self.open.push(Open {
                tag,
                element,
                foreign: start.foreign,
                hides,
                text: Text::default(),
            });
        }
        self.templates == 0 && self.is_rendered(element)
    }

    /// Closes what an end tag closes.
    pub(super) fn end(&mut self, tag: &str, offset: usize) {
        if self.overflow > 0 {
            self.overflow -= 1;
            return;
        }
        if tag == "template" {
            if let Some(at) = self.find(&[tag], |_| false) {
                self.close_from(at);
            }
            return;
        }
        match tag {
            "head" if self.templates == 0 => return self.end_head(offset),
            // What follows them still belongs to the body.
            "html" | "body" => return,
            _ => {}
        }
        match self.find_closed_by(tag) {
            Some(at) => self.close_from(at),
            // These two become elements when they close nothing.
            None if matches!(tag, "p" | "br") && self.mode == Mode::InBody => {
                self.add(Element {
                    tag: tag.to_owned(),
                    ..Element::default()
                });
            }
            None => {}
        }
    }

    /// Adds text to the open element. Returns whether it may be rendered.
    pub(super) fn text(&mut self, text: &str, offset: usize) -> bool {
        let blank = |c: char| c.is_ascii_whitespace();
        if self.templates > 0 || self.overflow > 0 || text.chars().all(blank) {
            return false;
        }
        if matches!(self.parent(), "" | "html" | "head") {
            self.ensure_body(offset);
        }
        if let Some(home) = self.home("")
            && self.open[home].hides == Hides::Nothing
        {
            self.open[home].text.add(text);
            return self.is_rendered(self.open[home].element);
        }
        false
    }

    /// Whether text that stands here may be rendered.
    pub(super) fn renders_text(&self) -> bool {
        if self.templates > 0 || self.overflow > 0 {
            return false;
        }
        matches!(self.parent(), "" | "html" | "head")
            || self.home("").is_some_and(|home| {
                let open = &self.open[home];
                open.hides == Hides::Nothing && self.is_rendered(open.element)
            })
    }

    /// What is not in the outline, for lack of room, may be rendered.
    fn is_rendered(&self, element: Option<u32>) -> bool {
        let element = element.and_then(|at| self.outline.elements.get(at as usize));
        element.is_none_or(|element| !element.unrendered)
    }

    /// Closes everything and returns the outline.
    pub(super) fn finish(mut self) -> Outline {
        self.close_from(0);
        self.outline
    }

    /// Returns the tag of the innermost open element, or nothing.
    pub(super) fn parent(&self) -> &str {
        self.open.last().map_or("", |open| &open.tag)
    }

    /// Whether an element with this tag is open.
    pub(super) fn is_inside(&self, tag: &str) -> bool {
        self.open.iter().any(|open| open.tag == tag)
    }

    /// Whether the head has not ended yet.
    pub(super) fn is_in_head(&self) -> bool {
        matches!(self.mode, Mode::BeforeHead | Mode::InHead)
    }

    /// Whether what stands here is inert or too deep to be followed.
    pub(super) fn is_inert(&self) -> bool {
        self.templates > 0 || self.overflow > 0
    }

    fn add(&mut self, mut element: Element) -> Option<u32> {
        if self.templates > 0 {
            return None;
        }
        if self.overflow > 0 || self.outline.elements.len() >= ELEMENTS_MAX {
            self.outline.truncated = true;
            return None;
        }
        let parent = self.home(&element.tag).and_then(|home| {
            self.open[..=home]
                .iter()
                .rposition(|open| open.element.is_some())
        });
        if let Some(at) = parent {
            let hides = match self.open[at].hides {
                Hides::AllButSummary if element.tag == "summary" => Hides::Nothing,
                hides => hides,
            };
            element.parent = self.open[at].element;
            element.unrendered |= hides != Hides::Nothing
                || element
                    .parent
                    .is_some_and(|parent| self.outline.elements[parent as usize].unrendered);
        }
        element.unrendered |= is_never_rendered(&element.tag);
        let index = u32::try_from(self.outline.elements.len()).ok();
        self.outline.elements.push(element);
        index
    }

    /// Returns the open element that an element or text (with no tag) stands in: what may not stand
    /// in a table stands before it ("foster parenting").
    fn home(&self, tag: &str) -> Option<usize> {
        let innermost = self.open.len().checked_sub(1)?;
        let may_stand_in_table =
            is_table_part(tag) || is_head_element(tag) || matches!(tag, "form" | "input");
        if may_stand_in_table
            || !matches!(self.parent(), "table" | "tbody" | "thead" | "tfoot" | "tr")
        {
            return Some(innermost);
        }
        match self.find(&["table"], is_table_scope) {
            Some(table) => table.checked_sub(1),
            None => Some(innermost),
        }
    }

    /// A second `html` or `body` tag only adds attributes that the first has not.
    fn merge(&mut self, into: Option<u32>, from: Element) {
        let Some(into) = into.and_then(|at| self.outline.elements.get_mut(at as usize)) else {
            return;
        };
        if into.id.is_empty() {
            into.id = from.id;
        }
        if into.classes.is_empty() {
            into.classes = from.classes;
        }
        if into.style.is_empty() {
            into.style = from.style;
        }
        into.unrendered |= from.unrendered;
    }

    fn open_plain(&mut self, tag: &str) -> Option<u32> {
        let element = self.add(Element {
            tag: tag.to_owned(),
            ..Element::default()
        });
        if self.open.len() < OPEN_MAX {
            self.open.push(Open {
                tag: tag.to_owned(),
                element,
                foreign: false,
                hides: Hides::Nothing,
                text: Text::default(),
            });
        }
        element
    }

    fn ensure_html(&mut self) {
        if self.html.is_none() {
            self.html = self.open_plain("html");
        }
    }

    fn start_head(&mut self) {
        self.ensure_html();
        self.open_plain("head");
        self.mode = Mode::InHead;
    }

    fn end_head(&mut self, offset: usize) {
        if self.is_in_head() {
            if self.mode == Mode::BeforeHead {
                self.start_head();
            }
            self.close_from(1);
            self.mode = Mode::AfterHead;
            self.head_length.get_or_insert(offset);
        }
    }

    fn ensure_body(&mut self, offset: usize) {
        if self.mode == Mode::InBody {
            return;
        }
        self.end_head(offset);
        self.close_from(1);
        self.mode = Mode::InBody;
        self.body = self.open_plain("body");
    }

    /// HTML elements that break out of SVG and `MathML` close them; `lol_html` has decided which
    /// do.
    fn leave_foreign(&mut self) {
        while let Some(open) = self.open.last() {
            if !open.foreign || is_integration_point(&open.tag) {
                return;
            }
            self.close_from(self.open.len() - 1);
        }
    }

    fn close_implied(&mut self, tag: &str) {
        let found = match tag {
            "li" => self.find(&["li"], |tag| {
                is_special(tag) && !matches!(tag, "address" | "div" | "p")
            }),
            "dd" | "dt" => self.find(&["dd", "dt"], |tag| {
                is_special(tag) && !matches!(tag, "address" | "div" | "p")
            }),
            "option" => self.find(&["option"], |tag| tag != "option"),
            "optgroup" => self
                .find(&["optgroup"], |tag| tag == "select")
                .or_else(|| self.find(&["option"], |tag| tag == "select")),
            "tr" => self
                .find(&["tr"], is_table_scope)
                .or_else(|| self.find(&["caption", "colgroup"], is_table_scope)),
            "td" | "th" => self.find(&["td", "th"], |tag| is_table_scope(tag) || tag == "tr"),
            "tbody" | "thead" | "tfoot" | "caption" | "colgroup" => self.find(
                &["tbody", "thead", "tfoot", "caption", "colgroup"],
                is_table_scope,
            ),
            "a" | "button" | "nobr" => self.find(&[tag], is_scope),
            "rb" | "rt" | "rp" | "rtc" => self.find(&["rb", "rt", "rp"], |tag| tag == "ruby"),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" if is_heading(self.parent()) => {
                self.open.len().checked_sub(1)
            }
            _ => None,
        };
        if let Some(at) = found {
            self.close_from(at);
        }
        if closes_paragraph(tag)
            && let Some(at) = self.find(&["p"], |tag| is_scope(tag) || tag == "button")
        {
            self.close_from(at);
        }
    }

    /// Rows and groups that a table's cells and columns imply.
    fn open_implied(&mut self, tag: &str) {
        if tag == "col" && self.parent() == "table" {
            self.open_plain("colgroup");
        }
        if matches!(tag, "tr" | "td" | "th") && self.parent() == "table" {
            self.open_plain("tbody");
        }
        if matches!(tag, "td" | "th") && matches!(self.parent(), "tbody" | "thead" | "tfoot") {
            self.open_plain("tr");
        }
    }

    fn find_closed_by(&self, tag: &str) -> Option<usize> {
        match tag {
            "p" => self.find(&["p"], |tag| is_scope(tag) || tag == "button"),
            "li" => self.find(&["li"], |tag| is_scope(tag) || matches!(tag, "ol" | "ul")),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.find(&["h1", "h2", "h3", "h4", "h5", "h6"], is_scope)
            }
            "table" | "caption" | "colgroup" | "tbody" | "thead" | "tfoot" | "tr" | "td" | "th" => {
                self.find(&[tag], is_table_scope)
            }
            _ if is_special(tag) || is_formatting(tag) => self.find(&[tag], is_scope),
            _ => self.find(&[tag], is_special),
        }
    }

    /// Finds the innermost open element with one of these tags, not looking past one that `stop`s.
    fn find(&self, tags: &[&str], stop: impl Fn(&str) -> bool) -> Option<usize> {
        for (at, open) in self.open.iter().enumerate().rev() {
            if tags.contains(&open.tag.as_str()) {
                return Some(at);
            }
            if stop(&open.tag) {
                return None;
            }
        }
        None
    }

    fn close_from(&mut self, at: usize) {
        for open in self.open.drain(at.min(self.open.len())..) {
            self.templates -= usize::from(open.tag == "template");
            if let Some(element) = open.element {
                let element = &mut self.outline.elements[element as usize];
                element.text = open.text.finish();
            }
        }
    }
}

fn hides(tag: &str, has_open: bool) -> Hides {
    match tag {
        "details" if !has_open => Hides::AllButSummary,
        // Fallbacks, and lists of which a client shows one line or none.
        "audio" | "video" | "canvas" | "object" | "select" | "datalist" | "iframe" => {
            Hides::Everything
        }
        _ => Hides::Nothing,
    }
}
