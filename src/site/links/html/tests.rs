//! One row per thing a document can say.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// Renders links as `offset kind url [marks]`, one per line.
fn links(html: &str) -> String {
    let mut lines = String::new();
    for link in parse(html.as_bytes()).links {
        let mut line = match &link.kind {
            LinkKind::InlineStyle(_) => "InlineStyle".to_owned(),
            kind => format!("{kind:?}"),
        };
        if !link.url.is_empty() {
            write!(line, " {}", link.url).unwrap();
        }
        for (is_set, mark) in [
            (!link.in_head, "body"),
            (link.lazy, "lazy"),
            (link.nopush, "nopush"),
            (link.depends_on_client, "client"),
        ] {
            if is_set {
                write!(line, " {mark}").unwrap();
            }
        }
        for (name, value) in [("media", &link.media), ("type", &link.content_type)] {
            if !value.is_empty() {
                write!(line, " {name}={value}").unwrap();
            }
        }
        if let Some(crossorigin) = link.crossorigin {
            write!(line, " {crossorigin:?}").unwrap();
        }
        if let Some((candidates, sizes)) = link.image_candidates {
            write!(line, " [{candidates}|{sizes}]").unwrap();
        }
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (html, expected) in cases {
        let found = links(html);
        let found: Vec<&str> = found.lines().collect();
        let expected: Vec<&str> = expected
            .split(" / ")
            .filter(|line| !line.is_empty())
            .collect();
        assert_eq!(found, expected, "{html}");
    }
}

#[test]
fn style_sheets() {
    check(&[
        ("<link rel=stylesheet href=a.css>", "StyleSheet a.css"),
        (
            "<LINK REL='Foo StyleSheet' HREF=' a.css\n'>",
            "StyleSheet a.css",
        ),
        (
            "<link rel=stylesheet href=a.css media=print>",
            "StyleSheet a.css media=print",
        ),
        (
            "<link rel=stylesheet href=a.css type='Text/CSS; x'>",
            "StyleSheet a.css type=Text/CSS; x",
        ),
        ("<link rel=stylesheet href=a.less type=text/less>", ""),
        ("<link rel='alternate stylesheet' title=b href=b.css>", ""),
        ("<link rel=stylesheet disabled href=b.css>", ""),
        ("<link rel=stylesheet href=''>", ""),
        ("<link rel=stylesheet>", ""),
        ("<link rel=stylesheets href=a.css>", ""),
        ("<link rel=next href=/next>", ""),
        (
            "<link rel=stylesheet href='a.css?x=1&amp;y=2'>",
            "StyleSheet a.css?x=1&y=2",
        ),
        (
            "<link rel=stylesheet href=a.css crossorigin>",
            "StyleSheet a.css Anonymous",
        ),
        (
            "<link rel=stylesheet href=a.css crossorigin=use-credentials data-nopush>",
            "StyleSheet a.css nopush UseCredentials",
        ),
        (
            "<link rel=stylesheet title=x href=a.css><link rel=stylesheet title=y href=b.css>\
             <link rel=stylesheet title=x href=c.css>",
            "StyleSheet a.css / StyleSheet c.css",
        ),
        (
            "<p><link rel=stylesheet href=a.css>",
            "StyleSheet a.css body",
        ),
        (
            "<style>b{}</style><style media=print>",
            "InlineStyle / InlineStyle media=print",
        ),
        ("<style type=text/x>b{}</style>", ""),
    ]);
}

#[test]
fn scripts() {
    check(&[
        ("<script src=a.js></script>", "Script a.js"),
        ("<p><script src=a.js></script>", "Script a.js body"),
        ("<script defer src=a.js></script>", "DeferredScript a.js"),
        ("<script async defer src=a.js></script>", "AsyncScript a.js"),
        (
            "<script type=module src=a.js></script>",
            "Module { is_async: false } a.js type=module",
        ),
        (
            "<script type=' Module ' async nomodule src=a.js></script>",
            "Module { is_async: true } a.js type= Module ",
        ),
        ("<script nomodule src=a.js></script>", "NomoduleScript a.js"),
        ("<script type=text/template src=a.js></script>", ""),
        ("<script type=application/ld+json src=a.js></script>", ""),
        ("<script type='' src=a.js></script>", "Script a.js"),
        (
            "<script language=javascript src=a.js></script>",
            "Script a.js",
        ),
        ("<script language=vbscript src=a.js></script>", ""),
        ("<script src></script>", ""),
        (
            "<script>document.write('<script src=a.js><\\/script>')</script>",
            "",
        ),
        ("<script><!-- <script src=a.js></script> --></script>", ""),
        (
            "<script type=module>import './a.js'; import('b')</script>",
            "InlineModule([\"./a.js\"]) type=module",
        ),
        ("<script type=module>import './a.js'", ""),
        ("<svg><script href=a.js></script></svg>", ""),
        (
            "<select><script src=a.js></script><img src=b></select>",
            "Script a.js body",
        ),
    ]);
}

#[test]
fn preloads_icons_and_manifests() {
    check(&[
        (
            "<link rel=preload as=font href=a.woff2 crossorigin type=font/woff2>",
            "Preload(\"font\") a.woff2 type=font/woff2 Anonymous",
        ),
        (
            "<link rel=preload as=STYLE nopush href=a>",
            "Preload(\"style\") a nopush",
        ),
        ("<link rel=preload href=a>", ""),
        ("<link rel=preload as=worker href=a>", ""),
        (
            "<link rel=preload as=image href=a imagesrcset='b 2x' imagesizes=50vw>",
            "Preload(\"image\") a client [b 2x|50vw]",
        ),
        (
            "<link rel=preload as=image imagesrcset='b.png 2x, c.png'>",
            "Preload(\"image\") b.png client [b.png 2x, c.png|]",
        ),
        (
            "<link rel='preload stylesheet' as=style href=a.css>",
            "StyleSheet a.css / Preload(\"style\") a.css",
        ),
        ("<link rel=modulepreload href=a.js>", "ModulePreload a.js"),
        ("<link rel=modulepreload as=worker href=a.js>", ""),
        (
            "<link rel='shortcut icon' href=/favicon.ico>",
            "Icon /favicon.ico",
        ),
        (
            "<link rel=icon sizes=32x32 href=a.png>",
            "Icon a.png client",
        ),
        (
            "<link rel=manifest href=a.webmanifest>",
            "Manifest a.webmanifest",
        ),
        ("<link rel=dns-prefetch href=//a>", ""),
    ]);
}

#[test]
fn images_media_and_frames() {
    check(&[
        ("<img src=a.png>", "Image a.png body"),
        ("<img src=a.png loading=LAZY>", "Image a.png body lazy"),
        (
            "<img src=a.png crossorigin=x data-nopush>",
            "Image a.png body nopush Anonymous",
        ),
        (
            "<img src=a.png srcset='b.png 2x' sizes=10vw>",
            "Image a.png body client [b.png 2x|10vw]",
        ),
        (
            "<img srcset=' ,b.png, c.png 2x'>",
            "Image b.png body client [,b.png, c.png 2x|]",
        ),
        ("<img alt=x>", ""),
        ("<image src=a.png>", "Image a.png body"),
        (
            "<picture><source srcset=a.avif type=image/avif media='(width > 1px)'><img \
             src=a.png></picture>",
            "Image a.avif body client media=(width > 1px) type=image/avif [a.avif|] / Image \
             a.png body client",
        ),
        ("<picture><img src=a.png></picture>", "Image a.png body"),
        (
            "<picture><source srcset=a><img src=b></picture><picture><img src=c></picture>",
            "Image a body client [a|] / Image b body client / Image c body",
        ),
        (
            "<input type=IMAGE src=a.png>",
            "Image a.png body type=IMAGE",
        ),
        ("<input src=a.png>", ""),
        (
            "<svg><image href=a.png /><image xlink:href=b.png></svg>",
            "Image a.png body / Image b.png body",
        ),
        ("<body background=a.png>", "Image a.png body client"),
        (
            "<video poster=a.png src=a.mp4></video>",
            "Poster a.png body / Media a.mp4 body",
        ),
        (
            "<video><source src=a.mp4 type=video/mp4><track src=a.vtt></video><audio src=a.mp3>",
            "Media a.mp4 body type=video/mp4 / Media a.vtt body / Media a.mp3 body",
        ),
        (
            "<iframe src=a loading=lazy></iframe><embed src=b><object data=c></object>",
            "Frame a body lazy / Frame b body / Frame c body",
        ),
        ("<iframe srcdoc=x src=a></iframe>", ""),
        ("<iframe><img src=a.png></iframe>", ""),
        ("<textarea><img src=a.png></textarea>", ""),
    ]);
}

#[test]
fn what_is_inert_has_no_links() {
    check(&[
        (
            "<template><img src=a><template><p></template><img src=b></template><img src=c>",
            "Image c body",
        ),
        (
            "<noscript><img src=a><link rel=stylesheet href=b></noscript>",
            "",
        ),
        ("<!-- <img src=a> --><![CDATA[<img src=b>]]>", ""),
        ("<!DOCTYPE html [<img src=a>", ""),
        ("<title><img src=a></title><xmp><img src=b></xmp>", ""),
        ("<plaintext><img src=a>", ""),
        ("<img src=a", ""),
    ]);
}

#[test]
fn the_head_ends_where_a_browser_ends_it() {
    for (html, head) in [
        (
            "<!doctype html><html><head><title>a</title></head><body>",
            "<!doctype html><html><head><title>a</title>",
        ),
        (
            "<meta charset=utf-8><link rel=stylesheet href=a><p>b",
            "<meta charset=utf-8><link rel=stylesheet href=a>",
        ),
        ("<title>a</title> text", "<title>a</title>"),
        (
            "<head><script>'</head>'</script><body>",
            "<head><script>'</head>'</script>",
        ),
        (
            "<head><noscript><p></noscript><style></style><div>",
            "<head><noscript><p></noscript><style></style>",
        ),
        ("<link rel=a>", "<link rel=a>"),
        ("", ""),
        ("<body>", ""),
    ] {
        let document = parse(html.as_bytes());
        // Text is told from the start of its node.
        assert_eq!(html[..document.head_length].trim_end(), head, "{html}");
    }
}

#[test]
fn base_import_map_and_nopush_are_read() {
    let document = parse(
        b"<base target=x><base href='/a/&amp;'><base href=/b/>\
          <script type=importmap>{\"imports\":{}}</script><script type=importmap>x</script>",
    );
    assert_eq!(document.base.as_deref(), Some("/a/&"));
    assert_eq!(document.base_offset, 15);
    assert_eq!(document.import_map.as_deref(), Some("{\"imports\":{}}"));
    assert!(!document.nopush);
    assert!(parse(b"<html data-nopush>").nopush);
    assert!(parse(b"<p><body data-nopush>").nopush);
}

#[test]
fn a_style_of_svg_is_read_like_any_element() {
    let document = parse(b"<svg><style/><script xlink:href=a></script>b{}</svg><style>c{}</style>");
    let [script, style] = &document.links[..] else {
        panic!("{:?}", document.links);
    };
    assert_eq!((script.offset, style.offset), (13, 52));
    let document = parse(b"<svg><style><script xlink:href=a></script></style></svg>");
    assert!(document.links.is_sorted_by_key(|link| link.offset));
    assert_eq!(document.links.len(), 2);
}

#[test]
fn offsets_are_bytes_of_the_source() {
    let html = "<!doctype html>\u{fc}<p title='\u{20ac}'><img src=a><img src=b>";
    for link in parse(html.as_bytes()).links {
        assert!(html[link.offset..].starts_with(&format!("<img src={}", link.url)));
    }
}

#[test]
fn utf_16_is_not_read() {
    let utf_16 = |text: &str| -> Vec<u8> {
        let units = text.encode_utf16().flat_map(u16::to_le_bytes);
        [0xff, 0xfe].into_iter().chain(units).collect()
    };
    assert!(parse(&utf_16("<img src=a>")).links.is_empty());
    assert_eq!(parse(b"\xef\xbb\xbf<img src=a>").links.len(), 1);
    assert_eq!(parse(b"\xff<img src=a>\xfc").links.len(), 1);
}

/// Renders an outline as `tag#id.class'text'(children)`; what is not rendered is struck out with
/// `-`.
fn outline(html: &str) -> String {
    fn render(outline: &Outline, parent: Option<u32>, into: &mut String) {
        for (at, element) in outline.elements.iter().enumerate() {
            if element.parent != parent {
                continue;
            }
            if !into.is_empty() && !into.ends_with('(') {
                into.push(' ');
            }
            if element.unrendered {
                into.push('-');
            }
            into.push_str(&element.tag);
            if !element.id.is_empty() {
                write!(into, "#{}", element.id).unwrap();
            }
            for class in &element.classes {
                write!(into, ".{class}").unwrap();
            }
            if !element.text.is_empty() {
                write!(into, "'{}'", element.text.iter().collect::<String>()).unwrap();
            }
            let at = Some(u32::try_from(at).unwrap());
            if outline.elements.iter().any(|child| child.parent == at) {
                into.push('(');
                render(outline, at, into);
                into.push(')');
            }
        }
    }
    let mut rendered = String::new();
    render(&parse(html.as_bytes()).outline, None, &mut rendered);
    rendered
}

/// As [`outline`], of the body's content alone.
fn body(html: &str) -> String {
    let outline = outline(&format!("<head></head><body>{html}"));
    let body = outline.strip_prefix("html(-head body").unwrap();
    body.strip_suffix(')').unwrap().to_owned()
}

#[test]
fn the_outline_has_the_elements_that_tags_imply() {
    assert_eq!(outline("<p>"), "html(-head body(p))");
    assert_eq!(
        outline("<title>t</title>x"),
        "html(-head(-title't') body'x')"
    );
    assert_eq!(
        outline("<html class=a><head><meta></head><body id=b class='c  d'>x</body></html>y"),
        "html.a(-head(-meta) body#b.c.d'xy')",
    );
    assert_eq!(
        outline("<p><body class=late><html class=later>"),
        "html.later(-head body.late(p))"
    );
    assert_eq!(
        outline("<p><head><title>a</title>"),
        "html(-head body(p(-title'a')))"
    );
}

#[test]
fn implied_ends_do_not_nest() {
    for (html, expected) in [
        ("<p>a<p>b", "(p'a' p'b')"),
        ("<p>a<div>b</div>c", "'c'(p'a' div'b')"),
        ("<p>a<span>b<ul>", "(p'a'(span'b') ul)"),
        ("<p><b>a</p>b", "'b'(p(b'a'))"),
        ("<div><p>a</div>b", "'b'(div(p'a'))"),
        ("<p>a<div>b</p>c</div>d", "'d'(p'a' div'bc'(p))"),
        (
            "<ul><li>a<li>b<ul><li>c</ul>d<li>e</ul>",
            "(ul(li'a' li'bd'(ul(li'c')) li'e'))",
        ),
        ("<ul><li><div>a<li>b</ul>", "(ul(li(div'a') li'b'))"),
        ("<dl><dt>a<dd>b<dt>c</dl>", "(dl(dt'a' dd'b' dt'c'))"),
        (
            "<table><tr><td>a<td>b<tr><th>c</table>d",
            "'d'(table(tbody(tr(td'a' td'b') tr(th'c'))))",
        ),
        (
            "<table><thead><tr><th>a<tbody><td>b</table>",
            "(table(thead(tr(th'a')) tbody(tr(td'b'))))",
        ),
        (
            "<table><tr><td><table><tr><td>a</table>b</table>",
            "(table(tbody(tr(td'b'(table(tbody(tr(td'a'))))))))",
        ),
        ("<h1>a<h2>b</h3>c", "'c'(h1'a' h2'b')"),
        ("<a>b<a>c</a>d", "'d'(a'b' a'c')"),
        ("<span>a</div>b</span>c", "'c'(span'ab')"),
        ("<b><i>a</b>b", "'b'(b(i'a'))"),
        ("<img>a<br>b<br/>c", "'abc'(img br br)"),
        ("<td>a<tr>b</td>", "'ab'"),
        (
            "<table>a<div>b</div><tr>c<td>d</table>",
            "'ac'(table(tbody(tr(td'd'))) div'b')",
        ),
        (
            "<table><col><tr><td>a</table>",
            "(table(colgroup(col) tbody(tr(td'a'))))",
        ),
        ("<form><p><form>a</form>b", "'b'(form(p'a'))"),
        ("a</p>b</br>", "'ab'(p br)"),
        ("<div/>a</div>b", "'b'(div'a')"),
        ("a</b></i></x>b", "'ab'"),
        ("<button>a<p>b</button>c", "'c'(button'a'(p'b'))"),
        ("<x-a><x-b>a</x-a>b", "'b'(x-a(x-b'a'))"),
        ("<ruby>a<rt>b<rp>c</ruby>", "(ruby'a'(rt'b' -rp'c'))"),
        ("<DIV CLASS=A>a</DIV>b", "'b'(div.A'a')"),
        ("<p a='</p>'>b</p a='x'>c", "'c'(p'b')"),
    ] {
        assert_eq!(body(html), expected, "{html}");
    }
}

#[test]
fn svg_is_part_of_the_outline() {
    for (html, expected) in [
        (
            "<svg><path class=a /><g><text>b</text></g></svg>c",
            "'c'(svg(path.a g(text'b')))",
        ),
        (
            "<svg><foreignObject><p>a<p>b</foreignObject></svg>c",
            "'c'(svg(foreignobject(p'a' p'b')))",
        ),
        ("<svg><g><p>a", "(svg(g) p'a')"),
        ("<svg><style>b{}</style></svg>", "(svg(-style))"),
    ] {
        assert_eq!(body(html), expected, "{html}");
    }
}

#[test]
fn what_is_not_rendered_is_marked() {
    for (html, expected) in [
        ("<p hidden>a<b>c</b></p>d", "'d'(-p'a'(-b'c'))"),
        (
            "<script>a</script><style>b</style><p>c",
            "(-script -style p'c')",
        ),
        ("<noscript><p>a</p></noscript>b", "'b'(-noscript)"),
        ("<template><p>a</template>b", "'b'(-template)"),
        (
            "<details>a<summary>b</summary><p>c</details>",
            "(details(summary'b' -p'c'))",
        ),
        ("<details open>a<p>c</details>", "(details'a'(p'c'))"),
        (
            "<dialog>a</dialog><dialog open>b</dialog>",
            "(-dialog'a' dialog'b')",
        ),
        ("<div popover>a</div>", "(-div'a')"),
        (
            "<select><optgroup><option>a<option>b<optgroup><option>c</select>d",
            "'d'(select(-optgroup(-option'a' -option'b') -optgroup(-option'c')))",
        ),
        ("<canvas>a<p>b</p></canvas>c", "'c'(canvas(-p'b'))"),
        ("<iframe>a</iframe>b", "'b'(iframe)"),
        (
            "<input type=hidden value=a><input value=b><input placeholder=c><input \
             type=checkbox value=d>",
            "(-input input'b' input'c' input)",
        ),
        ("<textarea>&lt;b></textarea>", "(textarea'<>b')"),
    ] {
        assert_eq!(body(html), expected, "{html}");
    }
}

#[test]
fn text_is_decoded_distinct_and_sorted() {
    assert_eq!(
        body("banana &eacute;&#233;\u{e9} &amp; \u{1f600}&nbsp;"),
        "'&abn\u{e9}\u{1f600}'"
    );
    let html = "\u{4e00}\u{4e01}".repeat(10_000);
    assert_eq!(body(&html), "'\u{4e00}\u{4e01}'");
}

#[test]
fn outlines_are_bounded() {
    let document = parse("<p>".repeat(30_000).as_bytes());
    assert!(document.outline.truncated);
    assert_eq!(document.outline.elements.len(), 20_000);
    let html = format!(
        "{}<img src=a>{}<img src=b>",
        "<div>".repeat(600),
        "</div>".repeat(600)
    );
    let document = parse(html.as_bytes());
    assert!(document.outline.truncated);
    assert_eq!(document.links.len(), 1);
    assert_eq!(document.links[0].url, "b");
    let hostile = format!("{}{}", "<a>".repeat(100_000), "</b>".repeat(100_000));
    parse(hostile.as_bytes());
    assert_eq!(
        parse("<img src=a>".repeat(6_000).as_bytes()).links.len(),
        5_000
    );
}

fn markup() -> impl Strategy<Value = String> {
    let tag = prop::sample::select(vec![
        "p",
        "b",
        "div",
        "table",
        "tr",
        "td",
        "svg",
        "math",
        "mi",
        "foreignObject",
        "template",
        "script",
        "style",
        "title",
        "select",
        "option",
        "head",
        "body",
        "html",
        "li",
        "ul",
        "a",
        "noscript",
        "details",
        "summary",
        "frameset",
        "plaintext",
        "annotation-xml",
        "font",
        "desc",
    ]);
    let token = prop_oneof![
        tag.clone().prop_map(|tag| format!("<{tag}>")),
        tag.clone().prop_map(|tag| format!("<{tag}/>")),
        tag.clone().prop_map(|tag| format!("</{tag}>")),
        tag.prop_map(|tag| format!("<{tag} src=a href='b' rel=stylesheet type=module color=c")),
        "[ -~<>&\"'=/!\\PC]{0,6}",
    ];
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        parse(&bytes);
    }

    #[test]
    fn no_markup_breaks_the_outline(html in markup()) {
        let document = parse(html.as_bytes());
        prop_assert!(document.head_length <= html.len());
        for (at, element) in document.outline.elements.iter().enumerate() {
            prop_assert!(element.parent.is_none_or(|parent| (parent as usize) < at));
        }
        prop_assert!(document.links.is_sorted_by_key(|link| link.offset));
    }
}

/// Everything that was found, as text.
fn everything(document: &Document) -> String {
    format!("{document:#?}")
}

fn parse_in_pieces(html: &[u8], cuts: &[usize]) -> Document {
    let mut parser = Parser::new();
    let mut from = 0;
    for cut in cuts.iter().copied().chain([html.len()]) {
        parser.write(&html[from..cut]);
        from = cut;
    }
    parser.finish()
}

const VARIED: &str = "<!doctype html><title>T &amp; t</title><!-- </p> --><base href=/b/>\
    <link rel=stylesheet href=a.css><style>@import 'b.css';p{color:red}</style>\
    <script>let a = '</p>'</script><script type=importmap>{\"imports\":{}}</script>\
    <script type=module>import './m.js'</script></head>\
    <body><p>One &eacute;&lt; two<p>Three</b> four</i></p></x>\
    <picture><source srcset='p.avif 2x' type=image/avif><img src=p.png width=40 height=5></picture>\
    <svg><style>.a{}<image href=s.png></image></style><desc>d</desc></svg>\
    <table><tr><td>cell<textarea>&#65;</textarea></table><img src='a&amp;b>c.png' alt='</p>'>";

#[test]
fn a_document_that_comes_byte_by_byte_is_found_the_same() {
    let all: Vec<usize> = (1..VARIED.len()).collect();
    let whole = parse(VARIED.as_bytes());
    assert_eq!(
        everything(&parse_in_pieces(VARIED.as_bytes(), &all)),
        everything(&whole)
    );
    assert!(whole.steps.len() > 8, "{:?}", whole.steps);
}

#[test]
fn a_step_is_known_once_its_end_has_come() {
    for html in [
        VARIED,
        "<p><< one",
        " <3 two",
        "é three",
        "&amp;",
        "<p></3>four",
    ] {
        let whole = parse(html.as_bytes());
        assert!(!whole.steps.is_empty(), "{html}");
        let mut parser = Parser::new();
        for (at, byte) in html.bytes().enumerate() {
            parser.write(&[byte]);
            let due = whole.steps.iter().filter(|step| step.end <= at + 1);
            let known = parser.so_far(|document| document.steps.len());
            assert_eq!(known, due.count(), "{html}: at {at}");
        }
    }
}

#[test]
fn text_is_weighed_where_it_is_rendered() {
    let weight = |html: &str| parse(html.as_bytes()).text_bytes.iter().sum::<u32>();
    assert_eq!(
        weight("<p>one two</p> <p hidden>three</p><template>x</template>"),
        6
    );
    assert_eq!(
        weight("<title>t</title><script>s</script><noscript>n</noscript>"),
        0
    );
    let long = format!("<p>{}</p>", "x".repeat(3 * TEXT_BLOCK_BYTES));
    let blocks = parse(long.as_bytes()).text_bytes;
    assert_eq!(blocks.iter().sum::<u32>(), 3072);
    assert_eq!(blocks[1], 1024);
}

proptest! {
    #[test]
    fn however_it_is_cut_the_same_is_found(
        html in "(<(p|b|/p|/b|style|/style|script|/script|img src=a.png|!--|td|svg|/svg)>|\
            [a-z&;. ]{0,6}|-->|é|<){0,40}",
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(html.len() + 1)).collect();
        cuts.sort_unstable();
        let whole = everything(&parse(html.as_bytes()));
        prop_assert_eq!(everything(&parse_in_pieces(html.as_bytes(), &cuts)), whole);
    }
}
