//! Module to links: its static imports.
//!
//! Knows nothing of import maps, nor of where the module stands: specifiers stay as written. Read
//! on in [`super::import_map`], which turns them into URLs.

use oxc_allocator::Allocator;
use oxc_parser::Parser;
use oxc_span::SourceType;

/// Longest text that is read whole; of a longer module only as much as this is looked at, in bytes.
/// Imports nearly always come first.
const MODULE_BYTES_MAX: usize = 256 * 1024;

/// Stack reserved for each byte of a module. The parser descends recursively, without a limit of
/// its own, and overflowing a stack ends the process. The deepest text per byte is an opening
/// bracket repeated; it was measured to take 1.1 kB each.
const STACK_BYTES_PER_BYTE: usize = 4096;

/// Stack reserved besides, in bytes.
const STACK_BYTES_MIN: usize = 1024 * 1024;

/// Most specifiers taken from one module.
const SPECIFIERS_MAX: usize = 1_000;

/// Returns the specifiers of static `import` and `export ... from`, in order, each once; empty if
/// the text is no module that parses.
pub fn imports(text: &str) -> Vec<String> {
    if !text.contains("import") && !text.contains("export") {
        return Vec::new();
    }
    let start = &text[..text.floor_char_boundary(MODULE_BYTES_MAX)];
    let is_whole = start.len() == text.len();
    std::thread::scope(|scope| {
        // Untouched stack costs address space only, so most modules pay for a few pages.
        std::thread::Builder::new()
            .name("module".to_owned())
            .stack_size(STACK_BYTES_MIN + start.len() * STACK_BYTES_PER_BYTE)
            .spawn_scoped(scope, || read(start, is_whole))
            .ok()
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default()
    })
}

fn read(text: &str, is_whole: bool) -> Vec<String> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, text, SourceType::mjs()).parse();
    // A module with a syntax error never asks for its imports. Of one that was cut short, the error
    // is ours.
    if is_whole && (parsed.panicked || !parsed.diagnostics.is_empty()) {
        return Vec::new();
    }
    let mut found: Vec<(u32, &str)> = parsed
        .module_record
        .requested_modules
        .iter()
        .filter_map(|(specifier, requests)| {
            let first = requests
                .iter()
                .filter(|request| !request.is_type)
                .map(|request| request.span.start)
                .min()?;
            Some((first, specifier.as_str()))
        })
        .collect();
    found.sort_unstable();
    found.truncate(SPECIFIERS_MAX);
    found
        .into_iter()
        .map(|(_, specifier)| specifier.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn static_imports_are_found_in_order() {
        let cases: &[(&str, &[&str])] = &[
            ("import './a.js'", &["./a.js"]),
            ("import a from \"a\"; import * as b from 'b'", &["a", "b"]),
            (
                "export { a } from './a.js'; export * from './b.js'",
                &["./a.js", "./b.js"],
            ),
            (
                "import{a}from'./z.js';import{b}from'./a.js';",
                &["./z.js", "./a.js"],
            ),
            ("import './a.js'; import { x } from './a.js'", &["./a.js"]),
            (
                "import data from './d.json' with { type: 'json' }",
                &["./d.json"],
            ),
            ("const a = await import('./a.js')", &[]),
            (
                "// import './a.js'\n/* import './b.js' */ let c = \"import './c.js'\"",
                &[],
            ),
            (
                "let a = `import './a.js'`; export default /import '.'/",
                &[],
            ),
            ("import './\\u0061.js'", &["./a.js"]),
            ("export const a = 1", &[]),
            ("import.meta.url", &[]),
            ("import './a.js'; let", &[]),
            ("import './a.js'; }", &[]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(imports(text), *expected, "{text}");
        }
    }

    #[test]
    fn deep_nesting_does_not_end_the_process() {
        for unit in [
            "(",
            "[",
            "{",
            "!",
            "a=>",
            "({a:[",
            "`${",
            "(function(){",
            "if(a)",
            "async(",
        ] {
            let text = format!(
                "import './a.js';{}",
                unit.repeat(MODULE_BYTES_MAX / unit.len())
            );
            imports(&text);
        }
    }

    #[test]
    fn the_start_of_a_long_module_is_read() {
        let text = format!("import './a.js';\n{}", "f(1);\n".repeat(MODULE_BYTES_MAX));
        assert_eq!(imports(&text), ["./a.js"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            imports(&format!("import{text}"));
            imports(&format!("export{{{text}"));
        }
    }
}
