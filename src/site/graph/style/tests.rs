//! A sheet and an outline in, the URLs that a page fetches out.

use proptest::prelude::*;

use super::*;
use crate::site::links::css;
use crate::site::links::html::Element;

/// Builds an outline from lines such as `p.lead#x{color: red} text`, indented below their parents;
/// a leading `!` marks what is not rendered.
fn outline(text: &str) -> Outline {
    let mut outline = Outline::default();
    let mut open: Vec<(usize, u32)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let indent = line.len() - line.trim_start().len();
        open.retain(|(other, _)| *other < indent);
        let (line, unrendered) = match line.trim().strip_prefix('!') {
            Some(line) => (line, true),
            None => (line.trim(), false),
        };
        let (line, style) = match line.split_once('{') {
            Some((head, rest)) => {
                let (style, text) = rest.split_once('}').unwrap();
                (format!("{head}{text}"), style.to_owned())
            }
            None => (line.to_owned(), String::new()),
        };
        let (head, text) = line.split_once(' ').unwrap_or((&line, ""));
        let mut text: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
        text.sort_unstable();
        text.dedup();
        let mut element = Element {
            parent: open.last().map(|(_, parent)| *parent),
            text,
            style,
            unrendered,
            ..Element::default()
        };
        let starts = head.char_indices().filter(|(_, c)| matches!(c, '.' | '#'));
        let cuts: Vec<_> = starts.map(|(at, _)| at).chain([head.len()]).collect();
        head[..cuts[0]].clone_into(&mut element.tag);
        for cut in cuts.windows(2) {
            match head[cut[0]..cut[1]].split_at(1) {
                (".", class) => element.classes.push(class.to_owned()),
                (_, id) => id.clone_into(&mut element.id),
            }
        }
        open.push((indent, u32::try_from(outline.elements.len()).unwrap()));
        outline.elements.push(element);
    }
    outline
}

/// Names what is fetched, sheet by sheet: faces, then other URLs; in brackets what only some
/// clients fetch.
fn fetched(sheets: &[Cascaded<'_>], outline: &Outline) -> String {
    let page = used_by_page(sheets, outline);
    let mut names = Vec::new();
    for (cascaded, used) in sheets.iter().zip(&page.sheets) {
        let face = |face: &usize| cascaded.sheet.faces[*face].url.clone().unwrap();
        let url = |(rule, url): &(usize, usize)| cascaded.sheet.rules[*rule].urls[*url].url.clone();
        names.extend(used.faces.iter().map(face));
        names.extend(
            used.perhaps_faces
                .iter()
                .map(|at| format!("({})", face(at))),
        );
        names.extend(used.urls.iter().map(url));
        names.extend(used.perhaps_urls.iter().map(|at| format!("({})", url(at))));
    }
    names.extend(page.attributes.iter().map(|url| {
        if url.depends_on_client {
            format!("style=({})", url.url)
        } else {
            format!("style={}", url.url)
        }
    }));
    names.join(" ")
}

#[track_caller]
fn check(text: &str, page: &str, expected: &str) {
    let sheet = css::parse(text);
    let found = fetched(&[(&sheet).into()], &outline(page));
    assert_eq!(found, expected, "{text}");
}

const PAGE: &str = "
html
  !head
    !title t
  body
    div#main.wide
      h1.title Title
      p.lead First
      p Second
        b bold
      ul
        li.on one
        li two
        li three
      a.more link
";

#[test]
fn urls_are_fetched_where_a_rule_surely_matches() {
    for (selector, expected) in [
        ("p", "x"),
        (".lead", "x"),
        ("#main", "x"),
        ("*", "x"),
        (":root", "x"),
        ("html:root > body", "x"),
        ("div.wide p.lead", "x"),
        ("div > p", "x"),
        ("body > p", ""),
        ("body p b", "x"),
        ("h1 + p", "x"),
        ("h1 + ul", ""),
        ("h1 ~ ul", "x"),
        ("ul ~ h1", ""),
        ("li:first-child", "x"),
        ("li:last-child.on", ""),
        (".on:nth-child(odd)", "x"),
        (".on:nth-child(2n)", ""),
        ("ul:only-child", ""),
        (".missing", ""),
        (".missing, .lead", "x"),
        ("P.lead", "x"),
        (".LEAD", ""),
        ("p:hover", ""),
        ("p:not(:hover)", "x"),
        ("p:not(.lead)", "x"),
        (".lead:not(p)", ""),
        ("p:not(:checked)", "(x)"),
        (":is(h1, h2).title", "x"),
        (":where(main, div) > p", "x"),
        ("p:is(.missing, :focus)", ""),
        ("p[title]", "(x)"),
        ("[class]", "x"),
        ("[class^=lea]", "x"),
        ("[class*=' b']", ""),
        ("p[hidden]", ""),
        ("p:not([hidden])", "x"),
        ("[id='MAIN' i]", "x"),
        ("[id='MAIN']", ""),
        ("a:link", "x"),
        ("p:link", ""),
        ("a:visited", ""),
        ("p:has(b)", "(x)"),
        ("p::first-line", ""),
        ("p:-moz-broken, p", "(x)"),
        ("p:", ""),
        ("p >", ""),
        ("svg|p", "(x)"),
        ("#main#other", ""),
        ("title", ""),
        ("head", ""),
    ] {
        check(
            &format!("{selector} {{ background: url(x) }}"),
            PAGE,
            expected,
        );
    }
}

#[test]
fn the_winning_declaration_decides() {
    for (sheet, expected) in [
        (
            "p { background: url(a) } .lead { background: none } p { background: url(b) }",
            "b",
        ),
        (
            ".lead { background: url(a) } p.lead { background: none }",
            "",
        ),
        (
            ".lead { background: url(a) !important } p.lead { background: none }",
            "a",
        ),
        (".lead { background: url(a); background: url(b) }", "b"),
        (".lead { background: url(a); background-image: none }", ""),
        (".lead { background: url(a); background-color: red }", "a"),
        (".lead { background: url(a); background: url(b)\\9 }", "a"),
        (
            ".lead { background: url(a) } .lead:hover { background: url(b) }",
            "a",
        ),
        (
            ".lead { background: url(a) } .lead[title] { background: url(b) }",
            "(a) (b)",
        ),
        (
            ".lead[title] { background: url(b) } .lead.lead { background: url(a) }",
            "a",
        ),
        (".lead { background: url(a); list-style: url(b) }", "a b"),
        (".lead { background: url(a), url(b) }", "a b"),
        (
            "p:not(:has(a)).lead { background: url(a) } p.lead.lead { background: none }",
            "",
        ),
        (
            "p.lead:not(i:has(a)) { background: url(a) } .lead.lead.lead { background: none }",
            "",
        ),
        (
            "p:nth-child(2 of .lead) { background: url(a) } .lead { background: url(b) }",
            "(a) (b)",
        ),
        (".lead { background: image-set('a' 1x, 'b' 2x) }", "(a) (b)"),
        (".lead { background: url(a); background: var(--b) }", ""),
        (".lead { border-image: url(a) 1; border: 0 }", ""),
        (".lead { background: url(a); all: unset }", ""),
        (".lead { --a: url('a') }", "(a)"),
    ] {
        check(sheet, PAGE, expected);
    }
}

#[test]
fn conditions_and_layers_take_part_in_the_cascade() {
    for (sheet, expected) in [
        ("@media screen { p { background: url(a) } }", "a"),
        ("@media print { p { background: url(a) } }", ""),
        (
            "@media (min-width: 1px) { p { background: url(a) } }",
            "(a)",
        ),
        (
            "p { background: url(a) } @media (min-width: 1px) { p { background: url(b) } }",
            "(a) (b)",
        ),
        (
            "p { background: url(a) } @media print { p { background: none } }",
            "a",
        ),
        (
            "@supports (display: grid) { p { background: url(a) } }",
            "a",
        ),
        (
            "@container (width > 1px) { p { background: url(a) } }",
            "(a)",
        ),
        ("@scope (.wide) { p { background: url(a) } }", "(a)"),
        (
            "p { background: url(a) } @layer x { p.lead { background: none } }",
            "a",
        ),
        (
            "@layer x { .lead { background: url(a) } } p { background: none }",
            "",
        ),
        (
            "@layer x, y; @layer y { p { background: url(a) } } \
         @layer x { #main p { background: url(b) } }",
            "a",
        ),
        (
            "@layer x { p { background: url(a) !important } } \
         p.lead { background: none !important }",
            "a",
        ),
        (
            "@layer x { @layer z { p.lead { background: none } } p { background: url(a) } }",
            "a",
        ),
        (
            "@layer { p { background: url(a) } } @layer { p { background: url(b) } }",
            "b",
        ),
        ("@keyframes k { from { background: url(a) } }", ""),
    ] {
        check(sheet, PAGE, expected);
    }
}

#[test]
fn nested_rules_match_below_their_parents() {
    for (sheet, expected) in [
        (".wide { p { background: url(a) } }", "(a)"),
        (".lead { p { background: url(a) } }", ""),
        (".wide { & > p { background: url(a) } }", "(a)"),
        (".wide { > b { background: url(a) } }", ""),
        (".wide { > p { background: url(a) } }", "(a)"),
        ("h1 { + p { background: url(a) } }", "(a)"),
        (".wide { > .lead& { background: url(a) } }", ""),
        (".lead { &p { background: url(a) } }", ""),
        (".lead { p& { background: url(a) } }", "(a)"),
        ("p { &.lead { background: url(a) } }", "(a)"),
        ("p { .wide & { background: url(a) } }", "(a)"),
        ("p { &:hover { background: url(a) } }", ""),
        ("p { @media screen { background: url(a) } }", "(a)"),
        ("div { ul { li { &.on { background: url(a) } } } }", "(a)"),
        (
            ".lead { background: url(a); & { background: url(b) } background: url(c) }",
            "(a) (b) (c)",
        ),
        ("#main { p& { background: url(a) } }", ""),
        ("h1, .lead { &:is(p) { background: url(a) } }", "(a)"),
    ] {
        check(sheet, PAGE, expected);
    }
}

#[test]
fn what_is_not_rendered_fetches_nothing() {
    let sheet = "p, p::before { background: url(a) } p::before { content: '' }";
    check(sheet, "html\n  body\n    p", "a");
    check(sheet, "html\n  body\n    !p", "");
    check(sheet, "html\n  body\n    !div\n      p", "");
    for (display, expected) in [
        ("div { display: none }", ""),
        ("div { display: none } div { display: block }", "a"),
        (".x { display: none !important } div { display: block }", ""),
        ("@media (min-width: 1px) { div { display: none } }", "(a)"),
        ("div:not([open]) { display: none }", "(a)"),
        ("div { display: var(--x) }", "(a)"),
        ("div { content-visibility: auto }", "(a)"),
        ("p { display: none }", ""),
    ] {
        let sheet = format!("p {{ background: url(a) }} {display}");
        check(&sheet, "html\n  body\n    div.x\n      p", expected);
    }
}

#[test]
fn generated_boxes_need_content() {
    for (sheet, expected) in [
        ("p::before { background: url(a) }", ""),
        ("p::before { background: url(a); content: '' }", "a"),
        ("p:before { background: url(a); content: none }", ""),
        ("p::after { content: url(a) }", "a"),
        (
            "p::before { background: url(a); content: '' } p.lead::before { content: none }",
            "a",
        ),
        (
            "p.lead::before { background: url(a); content: '' } p::before { display: none }",
            "",
        ),
        (
            "p::before { background: url(a); content: var(--c, '') }",
            "a",
        ),
        ("p::before { background: url(a); content: var(--c) }", ""),
        (
            "p::before { background: url(a) } p[x]::before { content: '' }",
            "(a)",
        ),
        ("p::marker { content: url(a) }", ""),
    ] {
        check(sheet, PAGE, expected);
    }
    check(
        "img::before { content: url(a) }",
        "html\n  body\n    img",
        "",
    );
}

/// Declares the family F in two weights, its italic, and G.
const FACES: &str = "
    @font-face { font-family: F; src: url(f400) format('woff2') }
    @font-face { font-family: F; font-weight: 700; src: url(f700) format('woff2') }
    @font-face { font-family: F; font-style: italic; src: url(f400i) format('woff2') }
    @font-face { font-family: G; src: url(g) format('woff2') }
";

#[track_caller]
fn check_faces(rules: &str, page: &str, expected: &str) {
    check(&format!("{FACES}{rules}"), page, expected);
}

#[test]
fn faces_are_fetched_for_the_text_that_uses_them() {
    for (rules, expected) in [
        ("", ""),
        ("body { font-family: F }", "f400 f700"),
        ("html { font: 1em/1 F, serif }", "f400 f700"),
        ("p { font-family: F }", "f400 f700"),
        ("p.lead { font-family: F }", "f400"),
        ("h1 { font-family: F }", "f700"),
        ("h1 { font-family: F; font-weight: normal }", "f400"),
        ("h1 { font-family: F } h1 { font: inherit }", ""),
        ("h1 { font: italic 1em F }", "f400i"),
        ("h1 { font: italic bold 1em F }", "f400i"),
        ("ul { font-family: F }", "f400"),
        (
            "div { font-family: F } h1, p { font-family: serif }",
            "f400",
        ),
        ("b { font-family: F }", "f700"),
        ("b { font-family: F; font-weight: lighter }", "f400"),
        (".lead { font-family: Arial, F }", ""),
        (".lead { font-family: f, Arial }", "f400"),
        (".lead { font-family: serif, F }", ""),
        (".lead { font-family: G, F }", "g"),
        (".missing { font-family: F }", ""),
        (".lead:hover { font-family: F }", ""),
        (".lead[title] { font-family: F }", "(f400)"),
        (
            ".lead { font-family: F } .lead[title] { font-weight: 700 }",
            "(f400) (f700)",
        ),
        (
            ".lead { font-family: G } .lead[title] { font-weight: 700 }",
            "g",
        ),
        (
            "@media (min-width: 1px) { .lead { font-family: F } }",
            "(f400)",
        ),
        (".lead { font-family: F; display: none }", ""),
        ("ul { display: none; font-family: F }", ""),
        ("a::before { content: '\\f1'; font-family: F }", "f400"),
        ("a::before { content: ''; font-family: F }", ""),
        (
            "a::before { content: ' x'; font-family: F; font-weight: bold }",
            "f700",
        ),
        (
            "* { font-family: F !important } b { font-family: G }",
            "f400 f700",
        ),
        (".lead { font: caption }", ""),
        (".lead { all: unset; font-family: F }", "f400"),
    ] {
        check_faces(rules, PAGE, expected);
    }
}

#[test]
fn controls_and_code_do_not_inherit_families() {
    let page = "html\n  body\n    pre code\n    button press\n    input typed\n    em";
    check_faces("body { font-family: F }", page, "");
    check_faces(
        "body { font-family: F } button { font-family: inherit }",
        page,
        "f400",
    );
    check_faces(
        "body { font-family: F } pre { font: inherit }",
        page,
        "f400",
    );
    let nested = "html\n  body\n    pre\n      code x";
    check_faces("pre { font-family: F }", nested, "");
}

#[test]
fn custom_properties_are_followed() {
    for (rules, expected) in [
        (
            ":root { --f: F, serif } .lead { font-family: var(--f) }",
            "f400",
        ),
        (
            ":root { --a: var(--b); --b: F } .lead { font-family: var(--a) }",
            "f400",
        ),
        (
            ":root { --f: F } .lead { --f: G; font-family: var(--f) }",
            "g",
        ),
        (
            ":root { --f: F } #main { --f: G } body { font-family: var(--f) }",
            "f400 f700",
        ),
        (".lead { font-family: var(--f, G) }", "g"),
        (".lead { font-family: var(--f) }", ""),
        (
            "body { font-family: G } .lead { font-family: var(--f) }",
            "g",
        ),
        (
            ":root { --w: 700 } .lead { font-family: F; font-weight: var(--w) }",
            "f700",
        ),
        (":root { --f: bold 1em F } .lead { font: var(--f) }", "f700"),
        (
            ":root { --f: G } [x] { --f: F } .lead { font-family: var(--f) }",
            "",
        ),
        (
            ":root { --c: 'x' } a::before { content: var(--c); font-family: G }",
            "g",
        ),
        (
            ".lead { --c: '' } p::before { content: var(--c); font-family: G }",
            "",
        ),
        (
            ":root { --f: G } .lead { --f: initial; font-family: var(--f) }",
            "",
        ),
        (
            ":root { --f: var(--f) } .lead { font-family: var(--f, G) }",
            "g",
        ),
    ] {
        check_faces(rules, PAGE, expected);
    }
}

#[test]
fn style_attributes_outweigh_rules() {
    let page = "html\n  body\n    p.x{font-family: F} text\n    p{background: url(b)} text\n";
    check_faces(".x { font-family: G }", page, "f400 style=b");
    check_faces(".x { font-family: G !important }", page, "g style=b");
    check_faces("p { background: none !important }", page, "f400");
    check_faces("p { display: none }", page, "");
    check_faces(
        "p[x] { background: none !important }",
        page,
        "f400 style=(b)",
    );
}

#[test]
fn only_the_weight_of_an_icon_font_that_is_used_is_fetched() {
    let sheet = r#"
        .fa,.fab,.far,.fas{display:inline-block;font-style:normal;line-height:1}
        .fa-bars:before{content:"\f0c9"}
        .fa-github:before{content:"\f09b"}
        @font-face{font-family:"Font Awesome 5 Brands";font-weight:400;src:url(b.eot);
            src:url(b.eot?#iefix) format("embedded-opentype"),url(brands.woff2) format("woff2")}
        .fab{font-family:"Font Awesome 5 Brands"}
        @font-face{font-family:"Font Awesome 5 Free";font-weight:400;src:url(r.eot);
            src:url(r.eot?#iefix) format("embedded-opentype"),url(regular.woff2) format("woff2")}
        .fab,.far{font-weight:400}
        @font-face{font-family:"Font Awesome 5 Free";font-weight:900;src:url(s.eot);
            src:url(s.eot?#iefix) format("embedded-opentype"),url(solid.woff2) format("woff2")}
        .fa,.far,.fas{font-family:"Font Awesome 5 Free"}
        .fa,.fas{font-weight:900}
    "#;
    check(sheet, "html\n  body\n    i.fas.fa-bars", "solid.woff2");
    check(sheet, "html\n  body\n    i.far.fa-bars\n", "regular.woff2");
    check(
        sheet,
        "html\n  body\n    i.fab.fa-github\n    i.fa.fa-bars",
        "brands.woff2 solid.woff2",
    );
    check(sheet, "html\n  body\n    i.fas.unknown", "");
    check(sheet, "html\n  body\n    i.fa-bars", "");
}

#[test]
fn sheets_take_part_in_the_order_given() {
    let first = css::parse("p { background: url(a) } @layer x { .lead { background: url(b) } }");
    let second = css::parse("p { background: url(c) }");
    let page = outline("html\n  body\n    p.lead");
    let of = |sheets: &[Cascaded<'_>]| fetched(sheets, &page);
    assert_eq!(of(&[(&first).into(), (&second).into()]), "c");
    assert_eq!(of(&[(&second).into(), (&first).into()]), "a");
    let perhaps = Cascaded {
        depends_on_client: true,
        ..(&second).into()
    };
    assert_eq!(of(&[(&first).into(), perhaps]), "(a) (c)");
    let layered = Cascaded {
        layer: Some("base"),
        ..(&second).into()
    };
    assert_eq!(of(&[(&first).into(), layered]), "a");
}

#[test]
fn layers_named_before_imports_come_first() {
    let reset = css::parse("p { background: url(reset) }");
    let base = css::parse("p { background: url(base) }");
    let sheet =
        css::parse("@layer reset, base; @import 'b' layer(base); @import 'r' layer(reset);");
    assert_eq!(sheet.imports.len(), 2);
    let layered = |sheet, layer| Cascaded {
        layer: Some(layer),
        ..Cascaded::from(sheet)
    };
    let sheets = [
        layered(&base, "base"),
        layered(&reset, "reset"),
        (&sheet).into(),
    ];
    assert_eq!(fetched(&sheets, &outline("html\n  body\n    p")), "base");
}

#[test]
fn a_sheet_that_was_cut_leaves_nothing_certain() {
    let mut sheet = css::parse("p { background: url(a) }");
    sheet.truncated = true;
    let page = outline("html\n  body\n    p");
    assert_eq!(fetched(&[(&sheet).into()], &page), "(a)");
}

#[test]
fn the_contract_of_plain_sheets_holds() {
    let sheet = css::parse("p { background: url(a) }");
    let found = used(&[&sheet], &outline("html\n  body\n    p"));
    assert_eq!(found[0].urls, [(0, 0)]);
    assert_eq!(used::<&StyleSheet>(&[], &Outline::default()), []);
}

#[test]
fn a_hostile_page_ends_soon() {
    let nest = "&, &, &, & { ".repeat(14);
    let deep = format!(".a {{ {nest} background: url(a) }}");
    let backtracking = ".a .a .a .a .a .a .a .a .a .b { background: url(a) }".repeat(200);
    let sheet = css::parse(&format!("{deep}{backtracking}"));
    let mut page = Outline::default();
    for index in 0..2_000_u32 {
        page.elements.push(Element {
            tag: "p".to_owned(),
            classes: vec!["a".to_owned(), format!("c{index}")],
            parent: index.checked_sub(1),
            ..Element::default()
        });
        if index % 10 == 0 {
            page.elements[index as usize].classes.push("b".to_owned());
        }
    }
    used(&[&sheet], &page);
}

const WORDS: &[&str] = &[
    "p",
    ".a",
    "#b",
    "*",
    ":hover",
    ":not(",
    ":is(",
    "::before",
    "&",
    ">",
    "+",
    "~",
    ",",
    "{",
    "}",
    "(",
    ")",
    "[class^=a]",
    ";",
    ":",
    "background",
    "url(x)",
    "url(",
    "font",
    "font-family",
    "content",
    "'x'",
    "var(--a)",
    "--a",
    "F",
    "!important",
    "@media",
    "@layer",
    "@import",
    "print",
    "@font-face",
    "src",
    "1px",
    "unicode-range",
    "U+0-7F",
    " ",
    "@supports",
    "\\9",
    "<!--",
    "/*",
    "*/",
    "\"",
    "900",
    "display",
    "none",
    "inherit",
    "all",
    "@scope",
    "calc(",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_text_is_read_and_indices_are_valid(text in ".{0,200}") {
        check_indices(&text);
    }

    #[test]
    fn garbled_sheets_are_read_and_indices_are_valid(
        words in proptest::collection::vec(proptest::sample::select(WORDS), 0..120),
    ) {
        check_indices(&words.concat());
        check_indices(&words.join(" "));
    }
}

fn check_indices(text: &str) {
    let sheet = css::parse(text);
    let own = css::parse_attribute(text);
    assert!(own.selectors.is_empty());
    let page = outline("html\n  body.a#b{--a: F}\n    p.a text\n    p text\n      b F");
    let plain = css::parse("p { font-family: F } @font-face { font-family: F; src: url(a.woff) }");
    let sheets = [&plain, &sheet, &sheet];
    let found = used(&sheets, &page);
    assert_eq!(found.len(), sheets.len());
    for (sheet, used) in sheets.iter().zip(found) {
        for face in used.faces.iter().chain(&used.perhaps_faces) {
            assert!(sheet.faces[*face].url.is_some());
        }
        for (rule, url) in used.urls.iter().chain(&used.perhaps_urls) {
            assert!(!sheet.rules[*rule].urls[*url].url.is_empty());
        }
        assert!(
            used.faces
                .iter()
                .all(|face| !used.perhaps_faces.contains(face))
        );
        assert!(used.urls.iter().all(|url| !used.perhaps_urls.contains(url)));
    }
}
