//! Module to links: its static imports.

/// Returns the specifiers of static `import` and `export ... from`, in order, each once; empty if
/// the text is no module that parses.
pub fn imports(_text: &str) -> Vec<String> {
    Vec::new()
}
