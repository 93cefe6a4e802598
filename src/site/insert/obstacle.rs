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

/// Returns why a script of the same origin is not put into the document, or could not do its work
/// there, in words that follow the document's name; `None` if nothing is in its way.
pub fn obstacle(document: &[u8]) -> Option<&'static str> {
    if is_utf16(document) {
        return Some("is in UTF-16: save it as UTF-8");
    }
    if !is_text(document) {
        return Some("is not text");
    }
    policies(document).iter().find_map(|policy| {
        if !allows(policy, &["script-src-elem", "script-src", "default-src"]) {
            Some("forbids scripts of its own site in a meta tag: add 'self' to its script-src")
        } else if !allows(policy, &["connect-src", "default-src"]) {
            Some("forbids connections to its own site in a meta tag: add 'self' to its connect-src")
        } else {
            None
        }
    })
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

/// Returns whether the first of some directives that a policy has allows URLs of the same origin
/// (Content Security Policy Level 3, sections 6.7.2 and 6.8.3).
fn allows(policy: &str, directives: &[&str]) -> bool {
    let find = |wanted: &&str| {
        let mut all = policy.split(';').map(str::split_ascii_whitespace);
        all.find_map(|mut words| {
            let name = words.next()?;
            name.eq_ignore_ascii_case(wanted).then_some(words)
        })
    };
    let Some(mut sources) = directives.iter().find_map(find) else {
        return true;
    };
    // Hosts count for nothing beside this one, and the snippet has neither nonce nor hash.
    let is_script = directives.iter().any(|name| name.starts_with("script"));
    if is_script
        && sources
            .clone()
            .any(|source| source.eq_ignore_ascii_case("'strict-dynamic'"))
    {
        return false;
    }
    sources.any(may_name_own_origin)
}

fn may_name_own_origin(source: &str) -> bool {
    let source = source.to_ascii_lowercase();
    let host = source
        .split_once("://")
        .map_or(source.as_str(), |(_, host)| host);
    matches!(source.as_str(), "'self'" | "*" | "https:" | "http:")
        || host.starts_with('*')
        || OWN_HOSTS.iter().any(|own| host.starts_with(own))
}
