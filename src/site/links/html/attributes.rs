//! The attributes of an element, and what they mean where several elements share them.

use lol_html::HandlerTypes;
use lol_html::html_content::Element as Tag;

use super::references::{self, Place};

/// The attributes of an element, decoded.
pub(super) struct Attributes(Vec<(String, String)>);

impl Attributes {
    pub(super) fn read(tag: &Tag<'_, '_, impl HandlerTypes>) -> Self {
        let decoded = tag.attributes().iter().map(|attribute| {
            let value = attribute.value();
            let value = references::decode(&value, Place::Attribute).into_owned();
            (attribute.name(), value)
        });
        Self(decoded.collect())
    }

    /// Returns the value of an attribute; of two with one name the first counts.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.get(name)
            .is_some_and(|found| found.eq_ignore_ascii_case(value))
    }

    /// Returns an attribute without surrounding white space, if anything is left.
    pub(super) fn url(&self, name: &str) -> Option<&str> {
        self.get(name)
            .map(str::trim_ascii)
            .filter(|url| !url.is_empty())
    }

    /// Whether `type` is absent, empty or CSS.
    pub(super) fn is_css(&self) -> bool {
        let written = self.get("type").unwrap_or_default();
        let essence = written.split(';').next().unwrap_or_default().trim_ascii();
        essence.is_empty() || essence.eq_ignore_ascii_case("text/css")
    }

    /// The text that an `input` shows.
    pub(super) fn shown_text(&self) -> &str {
        let kind = self.get("type").unwrap_or_default().to_ascii_lowercase();
        let is_text = matches!(
            kind.as_str(),
            "" | "text"
                | "search"
                | "email"
                | "url"
                | "tel"
                | "number"
                | "submit"
                | "button"
                | "reset"
        );
        match self.get("value").filter(|value| !value.is_empty()) {
            _ if !is_text => "",
            Some(value) => value,
            None => self.get("placeholder").unwrap_or_default(),
        }
    }
}

/// What a `script` element is by its attributes.
#[derive(Clone, Copy)]
pub(super) enum ScriptType {
    Classic,
    Module,
    ImportMap,
}

impl ScriptType {
    /// "Prepare the script element" (HTML, section 4.12.1.1), steps 8 to 12; `None` for a data
    /// block.
    pub(super) fn of(attributes: &Attributes) -> Option<Self> {
        let written = match (attributes.get("type"), attributes.get("language")) {
            (Some(""), _) | (None, None | Some("")) => return Some(Self::Classic),
            (Some(written), _) => written.trim_ascii().to_ascii_lowercase(),
            (None, Some(language)) => format!("text/{}", language.to_ascii_lowercase()),
        };
        match written.as_str() {
            "module" => Some(Self::Module),
            "importmap" => Some(Self::ImportMap),
            written => is_javascript(written).then_some(Self::Classic),
        }
    }
}

/// JavaScript MIME types (MIME Sniffing, section 4.6).
fn is_javascript(essence: &str) -> bool {
    let Some((kind, subtype)) = essence.split_once('/') else {
        return false;
    };
    match kind {
        "application" => matches!(
            subtype,
            "ecmascript" | "javascript" | "x-ecmascript" | "x-javascript"
        ),
        "text" => matches!(
            subtype,
            "ecmascript"
                | "javascript"
                | "jscript"
                | "livescript"
                | "x-ecmascript"
                | "x-javascript"
                | "javascript1.0"
                | "javascript1.1"
                | "javascript1.2"
                | "javascript1.3"
                | "javascript1.4"
                | "javascript1.5"
        ),
        _ => false,
    }
}
