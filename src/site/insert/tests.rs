//! Where a snippet goes, by example and by property; what may be in its way.

use std::cell::RefCell;

use lol_html::{HtmlRewriter, Settings, doc_text, doctype, element};
use proptest::prelude::*;

use super::*;

const SNIPPET: &str = "<script data-probe></script>";

/// A caret shows where the snippet goes; without one there is no place.
#[track_caller]
fn check(marked: &str) {
    let document = marked.replace('\u{2038}', "");
    let inserted = insert(document.as_bytes(), "\u{2038}".as_bytes());
    let inserted = inserted.map(|bytes| String::from_utf8(bytes.into()).unwrap());
    let expected = marked.contains('\u{2038}').then(|| marked.to_owned());
    assert_eq!(inserted, expected);
}

#[test]
fn it_goes_after_what_begins_no_document() {
    check("\u{2038}");
    check(" \n\u{2038}");
    check("\u{2038}hello");
    check("\u{feff}\u{2038}hello");
    check("\u{feff}<!doctype html>\n\u{2038}<title>x</title>");
    check("<!DOCTYPE html><html><head>\u{2038}\n<title>");
    check("<!doctype html>\n<!-- a > b -->\n\u{2038}<link rel=stylesheet href=a.css>");
    check("<?xml version=\"1.0\"?><!doctype html PUBLIC \"a\"\n 'b'><HTML\n><hEaD/>\u{2038}x");
    check("<!-- --><?php echo 1 ?><!doctype html><!----><html/><!-- --!><head >\u{2038}");
    check("<!doctype html><html>\u{2038}<body>");
    check("<!doctype html>\u{2038}<header><head>");
    check("<!doctype html>\u{2038}<html5>");
    check("<!doctype html><head>\u{2038}<head>");
    check("<!doctype html>\u{2038}<template><head></head></template>");
    check("<!doctype html>\u{2038}<svg><head/></svg>");
}

#[test]
fn attributes_may_hold_anything() {
    check("<html lang='a>b'><head title=\"<head>\">\u{2038}x");
    check("<html lang=a'b><head>\u{2038}'>");
    check("<html a b = 'c>' d><head>\u{2038}");
    check("<html a=\"1\"b='>'><head>\u{2038}");
    check("<html/a='>'/><head>\u{2038}");
    check("<html a=/><head>\u{2038}");
    check("<html a=>\u{2038}b>");
    check("<html =>\u{2038}'>");
    check("<html \"a>\u{2038}b\">");
    check("<html '>\u{2038}'>");
    check("<html\ta\n=\r\"\x0c>\"><head>\u{2038}");
}

#[test]
fn a_comment_ends_where_a_browser_says() {
    check("<!--><head>\u{2038}-->");
    check("<!---><head>\u{2038}-->");
    check("<!-- --!><head>\u{2038}-->");
    check("<!-- -- > <head> ---><head>\u{2038}");
    check("<!-- <!-- --><head>\u{2038} -->");
    check("<!-- - -!> --><head>\u{2038}");
    check("<!-x--><head>\u{2038}");
    check("<![CDATA[><head>\u{2038}]]>");
    check("</><!doctype html>\u{2038}x");
    check("</ head><!doctype html>\u{2038}x");
    check("</p x='>'><html><head>\u{2038}x");
    check("<html>\u{2038}</head><head>");
    check("\u{2038}</br>");
}

#[test]
fn what_the_end_cuts_off_is_not_passed() {
    check("\u{2038}<!-- <html>");
    check("<!doctype html>\u{2038}<!-- --");
    check("\u{2038}<!doctype html");
    check("<!doctype html>\u{2038}<html lang='a>");
    check("<html>\u{2038}<head");
    check("<html>\u{2038}</p ");
    check("\u{2038}<");
    check("\u{2038}<!");
    check("\u{2038}<!--");
    check("\u{2038}</");
    check("\u{2038}<?");
}

#[test]
fn what_is_no_text_stays_as_it_is() {
    let utf16 = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let mark_first = format!("\u{feff}{text}");
        mark_first.encode_utf16().flat_map(bytes).collect()
    };
    let page = "<!doctype html>";
    assert_eq!(insert(&utf16(page, u16::to_le_bytes), b"x"), None);
    assert_eq!(insert(&utf16(page, u16::to_be_bytes), b"x"), None);
    assert_eq!(insert(b"<\0h\0t\0m\0l\0>\0", b"x"), None);
    assert_eq!(insert(b"\x1f\x8b\x08\0\0", b"x"), None);
    // Windows-1251, and ISO-2022-JP with its escapes, are text.
    assert!(insert(b"<title>\xcf\xf0\xe8</title>", b"x").is_some());
    assert!(insert(b"<title>\x1b$B$3\x1b(B</title>", b"x").is_some());
}

/// What an independent tokenizer sees: where the probe stands among the tags, and whether a doctype
/// comes before every tag and word.
#[derive(Debug, PartialEq)]
struct Seen {
    probes: Vec<usize>,
    tags: Vec<String>,
    doctype_first: bool,
    has_begun: bool,
}

fn read(document: &[u8]) -> Seen {
    let seen = RefCell::new(Seen {
        probes: Vec::new(),
        tags: Vec::new(),
        doctype_first: false,
        has_begun: false,
    });
    let settings = Settings::new()
        .with_strict(false)
        .append_element_content_handler(element!("*", |tag| {
            let mut seen = seen.borrow_mut();
            seen.has_begun = true;
            if tag.has_attribute("data-probe") {
                seen.probes.push(tag.source_location().bytes().start);
            } else {
                seen.tags.push(tag.tag_name());
            }
            Ok(())
        }))
        .append_document_content_handler(doctype!(|_| {
            let mut seen = seen.borrow_mut();
            seen.doctype_first |= !seen.has_begun;
            Ok(())
        }))
        .append_document_content_handler(doc_text!(|chunk| {
            let is_blank = |letter: char| "\t\n\x0c\r ".contains(letter);
            seen.borrow_mut().has_begun |= !chunk.as_str().chars().all(is_blank);
            Ok(())
        }));
    let document = document.strip_prefix(BYTE_ORDER_MARK).unwrap_or(document);
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    rewriter.write(document).unwrap();
    rewriter.end().unwrap();
    seen.into_inner()
}

/// Pieces of documents that go wrong when cut or put together carelessly.
const PIECES: &[&str] = &[
    "\u{feff}",
    " ",
    "\n",
    "<!doctype html>",
    "<!DOCTYPE html PUBLIC \"-//W3C//DTD HTML 4.01//EN\">",
    "<!--",
    "-->",
    "--!>",
    "<!-->",
    "<!-- <head> -->",
    "<?xml version='1.0'?>",
    "<![CDATA[",
    "]]>",
    "<html lang='a>b'>",
    "<html",
    "<html =\"'>",
    "<head",
    "<head>",
    "<head/>",
    " a=\"",
    " b='",
    " c=",
    ">",
    "\"",
    "'",
    "/",
    "<",
    "</",
    "</>",
    "</p>",
    "</head>",
    "</body>",
    "<title>",
    "</title>",
    "<script>",
    "'</body>'",
    "</script>",
    "<style>",
    "<textarea>",
    "<plaintext>",
    "<template><head>",
    "<svg>",
    "<select>",
    "<noscript>",
    "<xmp>",
    "<p>",
    "text",
    "é",
];

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn without_the_snippet_it_is_the_document(document in hostile()) {
        let Some(inserted) = insert(&document, SNIPPET.as_bytes()) else {
            return Ok(());
        };
        let point = insertion_point(&document);
        let mut removed = inserted.to_vec();
        let taken: Vec<u8> = removed.drain(point..point + SNIPPET.len()).collect();
        prop_assert_eq!(taken, SNIPPET.as_bytes());
        prop_assert_eq!(removed, document);
    }

    #[test]
    fn it_is_an_element_and_nothing_else_changes(document in hostile()) {
        let Some(inserted) = insert(&document, SNIPPET.as_bytes()) else {
            return Ok(());
        };
        let (before, after) = (read(&document), read(&inserted));
        let is_marked = document.starts_with(BYTE_ORDER_MARK);
        let mark = if is_marked { BYTE_ORDER_MARK.len() } else { 0 };
        prop_assert_eq!(after.probes, [insertion_point(&document) - mark]);
        prop_assert_eq!(after.tags, before.tags);
        // These begin the document as well, which the reader does not tell.
        let is_begun = [&b"</head>"[..], b"</body>"]
            .iter()
            .any(|end| document.windows(end.len()).any(|window| &window == end));
        prop_assert!(is_begun || after.doctype_first == before.doctype_first);
    }
}

#[track_caller]
fn check_obstacle(document: &str, expected: Option<&str>) {
    let found = obstacle(document.as_bytes());
    let found = found.map(|words| {
        words
            .split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    });
    assert_eq!(found.as_deref(), expected, "{document}");
}

#[test]
fn a_policy_in_the_head_may_be_in_the_way() {
    let policy = |content: &str| {
        let meta = "<meta http-equiv=Content-Security-Policy content=";
        format!("<!doctype html><title>x</title>{meta}\"{content}\">")
    };
    let forbids = Some("forbids connections");
    for (content, expected) in [
        ("", None),
        ("img-src 'none'", None),
        ("script-src 'none'", None),
        ("default-src 'self'", None),
        ("default-src https:", None),
        ("default-src &#39;self&#39;", None),
        ("default-src 'none'; connect-src 'self'", None),
        ("DEFAULT-SRC 'NONE'; Connect-Src *", None),
        ("connect-src https://localhost:8443", None),
        ("connect-src *.example 'SELF'", None),
        ("default-src 'none'", forbids),
        ("default-src", forbids),
        ("default-src 'none'; script-src 'self'", forbids),
        ("connect-src https://api.example", forbids),
        ("connect-src https://localhost.example", forbids),
        ("connect-src *.example", forbids),
        ("connect-src 'none'; connect-src 'self'", forbids),
        ("img-src *, connect-src 'none'", forbids),
    ] {
        check_obstacle(&policy(content), expected);
    }
    check_obstacle("<meta name=x content=\"connect-src 'none'\">", None);
    let stray = policy("connect-src 'none'");
    check_obstacle(&format!("<template>{stray}</template>"), None);
    check_obstacle(&format!("<template></template>{stray}"), forbids);
    check_obstacle(&format!("<p>{stray}"), None);
    check_obstacle(&format!("<!-- {stray} -->"), None);
}

#[test]
fn an_encoding_may_be_in_the_way() {
    assert!(obstacle(b"\xff\xfe<\0").is_some_and(|words| words.contains("UTF-16")));
    assert!(obstacle(b"\x1f\x8b\x08\0").is_some());
    assert_eq!(obstacle(b""), None);
}
