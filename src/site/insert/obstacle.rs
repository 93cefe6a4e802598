//! What keeps a script of the same origin, put into a document, from its work.

use std::cell::RefCell;
use std::rc::Rc;

use lol_html::html_content::Element as Tag;
use lol_html::{EndTagHandler, HtmlRewriter, MemorySettings, Settings, element};

use super::{is_text, is_utf16};
use crate::site::links::html::decode_attribute;

/// Most memory that `lol_html` may take for one document, in bytes.
const PARSER_BYTES_MAX: usize = 1024 * 1024;

/// Hosts that the site may be served on; which one it is, a document cannot know.
const OWN_HOSTS: &[&str] = &["localhost", "127.0.0.1", "[::1]"];

/// Returns why a script of the same origin is not put into the document, or could not go on working
/// there, in words that follow the document's name; `None` if nothing is in its way.
///
/// A policy in a `meta` tag comes into force where it stands, after the script: it never keeps that
/// from running, whatever its `script-src`, but it does keep it from opening connections later.
pub fn obstacle(document: &[u8]) -> Option<&'static str> {
    if is_utf16(document) {
        return Some("is in UTF-16: save it as UTF-8");
    }
    if !is_text(document) {
        return Some("is not text");
    }
    let forbids = policies(document)
        .iter()
        .any(|policy| !allows_connections(policy));
    forbids.then_some(
        "forbids connections to its own site in a meta tag: add connect-src 'self' to the policy",
    )
}

/// Returns the policies of a document: `<meta http-equiv=content-security-policy>` counts in the
/// head only (HTML, section 4.2.5.3).
fn policies(document: &[u8]) -> Vec<String> {
    struct Head {
        templates: usize,
        ended: bool,
        policies: Vec<String>,
    }
    let head = Rc::new(RefCell::new(Head {
        templates: 0,
        ended: false,
        policies: Vec::new(),
    }));
    let settings = Settings::new()
        .with_strict(false)
        .with_memory_settings(MemorySettings::new().with_max_allowed_memory_usage(PARSER_BYTES_MAX))
        .append_element_content_handler(element!("*", |tag| {
            let mut seen = head.borrow_mut();
            match tag.tag_name().as_str() {
                "template" => {
                    seen.templates += 1;
                    let head = Rc::clone(&head);
                    if let Some(handlers) = tag.end_tag_handlers() {
                        let leave: EndTagHandler<'static> = Box::new(move |_| {
                            head.borrow_mut().templates -= 1;
                            Ok(())
                        });
                        handlers.push(leave);
                    }
                }
                _ if seen.templates > 0 || seen.ended => {}
                "meta" => seen.policies.extend(policy(tag)),
                "html" | "head" | "base" | "link" | "title" | "script" | "style" | "noscript" => {}
                _ => seen.ended = true,
            }
            Ok(())
        }));
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    // After an error what was found until then is kept.
    let _ = rewriter.write(document).and_then(|()| rewriter.end());
    std::mem::take(&mut head.borrow_mut().policies)
}

/// Returns the policies that a `meta` tag sets, which commas part.
fn policy(meta: &Tag<'_, '_>) -> Vec<String> {
    let is_policy = meta
        .get_attribute("http-equiv")
        .is_some_and(|name| name.trim().eq_ignore_ascii_case("content-security-policy"));
    let content = meta.get_attribute("content").filter(|_| is_policy);
    let content = content.map(|content| decode_attribute(&content).into_owned());
    let policies = content.as_deref().unwrap_or_default().split(',');
    policies.map(str::to_owned).collect()
}

/// Returns whether a policy allows connections to the same origin (Content Security Policy Level 3,
/// sections 6.1.2 and 6.7.2).
fn allows_connections(policy: &str) -> bool {
    let find = |wanted: &str| {
        let mut directives = policy.split(';').map(str::split_ascii_whitespace);
        directives.find_map(|mut words| {
            let name = words.next()?;
            name.eq_ignore_ascii_case(wanted).then_some(words)
        })
    };
    let sources = find("connect-src").or_else(|| find("default-src"));
    sources.is_none_or(|mut sources| sources.any(may_name_own_origin))
}

fn may_name_own_origin(source: &str) -> bool {
    let source = source.to_ascii_lowercase();
    let host = source.split_once("://").map_or(&*source, |(_, host)| host);
    let is_own = |own: &&str| {
        let rest = host.strip_prefix(own);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    };
    matches!(&*source, "'self'" | "*" | "https:") || OWN_HOSTS.iter().any(is_own)
}
