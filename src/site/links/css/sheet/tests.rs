//! Texts in, rules and imports out.

use super::*;

#[test]
fn imports_come_before_other_rules_only() {
    let sheet = parse(
        "@charset 'utf-8'; @layer a; /* x */ @import 'one.css';
         @import url(two.css) layer(b.c) supports(display: grid) screen and (min-width: 1px);
         @import url('three.css') layer supports(animation-timeline: auto) print;
         @import nonsense;
         p { color: red }
         @import 'late.css';",
    );
    let import = |url: &str, media: &str, supports, layer: Option<&str>| Import {
        url: url.to_owned(),
        media: media.to_owned(),
        supports,
        layer: layer.map(str::to_owned),
    };
    assert_eq!(
        sheet.imports,
        [
            import("one.css", "", false, None),
            import("two.css", "screen and (min-width: 1px)", false, Some("b.c")),
            import("three.css", "print", true, Some("(1)")),
        ]
    );
    assert_eq!(sheet.layers, ["a", "b.c", "(1)"]);
    assert_eq!(sheet.leading_layers, 3);
}

#[test]
fn what_ends_the_time_of_imports() {
    for (before, expected) in [
        ("", 1),
        ("\u{FEFF}", 1),
        ("<!-- ", 1),
        ("@layer a, b;", 1),
        ("@unknown x;", 1),
        ("@unknown { }", 1),
        ("p{{ }", 0),
        ("::: { }", 1),
        ("p { }", 0),
        ("@media print { }", 0),
        ("@layer a { }", 0),
        ("@namespace svg url(x);", 0),
        ("@font-face { }", 0),
    ] {
        let sheet = parse(&format!("{before} @import 'a.css';"));
        assert_eq!(sheet.imports.len(), expected, "{before}");
    }
}

/// Writes each kept rule as `[layer] condition: URLs`.
fn outline(text: &str) -> Vec<String> {
    let sheet = parse(text);
    let rules = sheet.rules.iter().map(|rule| {
        let urls: Vec<_> = rule.urls.iter().map(|url| url.url.as_str()).collect();
        let layer = rule.layer.as_deref().unwrap_or("-");
        let condition = rule.condition.as_deref().unwrap_or("-");
        format!("[{layer}] {condition}: {}", urls.join(" "))
    });
    rules.collect()
}

#[test]
fn conditions_and_layers_are_told_of_each_rule() {
    for (text, expected) in [
        ("p { background: url(a) }", "[-] -: a"),
        ("@media all { p { background: url(a) } }", "[-] -: a"),
        (
            "@media (hover) { p { background: url(a) } }",
            "[-] @media (hover): a",
        ),
        (
            "@media (hover) { @supports (x: y) { p { background: url(a) } } }",
            "[-] @media (hover) @supports (x: y): a",
        ),
        (
            "@layer a { @layer b.c { p { background: url(a) } } }",
            "[a.b.c] -: a",
        ),
        ("@layer { p { background: url(a) } }", "[(1)] -: a"),
        (
            "p { @media (hover) { background: url(a) } }",
            "[-] @media (hover) nested: a",
        ),
        (
            "@media (hover) { p { background: url(a) }",
            "[-] @media (hover): a",
        ),
    ] {
        assert_eq!(outline(text), [expected], "{text}");
    }
}

#[test]
fn rules_that_decide_nothing_and_broken_ones_are_left_out() {
    for text in [
        "p { color: red; margin: 0 }",
        "p { background: url(a }",
        "p { background: url(a) !ie }",
        "p { background url(a) }",
        "p, { background: url(a) }",
        "@media print { p { background: url(a) } }",
        "@keyframes x { from { background: url(a) } }",
        "@property --x { initial-value: url(a) }",
        "@namespace url(a);",
        "@page { background: url(a) }",
        "p::selection { background: url(a) }",
        "{ background: url(a) }",
    ] {
        assert_eq!(outline(text), [""; 0], "{text}");
    }
}

#[test]
fn what_follows_an_error_is_read() {
    for text in [
        "p { rubbish; background: url(a) }",
        "p { background: url(b c); background: url(a) }",
        "p { *zoom: 1; background: url(a) }",
        "} q { } p { background: url(a) }",
        "@media print { p { background: url(b) } } p { background: url(a) }",
        "p:nope( { } p { background: url(a) } ) { } q { background: url(a) }",
        "p { color: red; background: url(a)",
    ] {
        assert_eq!(outline(text), ["[-] -: a"], "{text}");
    }
}

#[test]
fn a_sheet_is_cut_at_its_limits() {
    assert!(parse(&"p { background: url(a) ".repeat(NESTING_MAX + 2)).truncated);
    assert!(!parse(&"p { background: url(a) } ".repeat(100)).truncated);
    let many = parse(&"p{font-family:a}p{content:''}".repeat(RULES_MAX));
    assert!(many.truncated);
    assert_eq!(many.rules.len(), RULES_MAX);
    parse(&"(".repeat(100_000));
    parse(&"a{".repeat(100_000));
    parse(&"@media x{".repeat(100_000));
    parse(&format!("p {{ background: {} }}", "f(".repeat(100_000)));
    parse(&format!("{} {{ font-family: x }}", ":not(".repeat(100_000)));
    parse(&format!("{} {{ font-family: x }}", "a,".repeat(100_000)));
}

#[test]
fn attributes_are_declarations_without_selectors() {
    let rule = parse_attribute("background: url(a); color: red; font-weight: bold !important");
    assert_eq!(rule.urls.len(), 1);
    assert_eq!(rule.declarations.len(), 2);
    assert!(rule.declarations[1].important);
    assert_eq!(parse_attribute("} p { background: url(a)").urls, []);
}
