//! What a link is for: destination and urgency by its kind (HTML, section 4.6.7; Fetch, section
//! 2.2.5).

use super::{Destination, Need, Obstacle};
use crate::site::links::html::{Link, LinkKind};

/// Returns what a link is for, how urgent that is, and what stands in its way by its kind.
pub(super) fn purpose(link: &Link) -> (Destination, Need, Option<Obstacle>) {
    let not_rendered = Some(Obstacle::NotRendered);
    match &link.kind {
        LinkKind::StyleSheet | LinkKind::InlineStyle(_) => {
            (Destination::Style, Need::RenderBlocking, None)
        }
        LinkKind::Script if link.in_head => (Destination::Script, Need::RenderBlocking, None),
        LinkKind::Script => (Destination::Script, Need::ParserBlocking, None),
        LinkKind::DeferredScript => (Destination::Script, Need::Deferred, None),
        LinkKind::AsyncScript => (Destination::Script, Need::Async, None),
        LinkKind::NomoduleScript => (Destination::Script, Need::Other, Some(Obstacle::Nomodule)),
        LinkKind::Module { is_async: true } => (Destination::Module, Need::Async, None),
        LinkKind::Module { is_async: false } | LinkKind::InlineModule(_) => {
            (Destination::Module, Need::Deferred, None)
        }
        LinkKind::Preload(destination) => match destination.as_str() {
            "style" => (Destination::Style, Need::Preloaded, None),
            "script" => (Destination::Script, Need::Preloaded, None),
            "font" => (Destination::Font, Need::Preloaded, None),
            "image" => (Destination::Image, Need::Preloaded, None),
            // Chromium does not preload media.
            "audio" | "video" | "track" => (Destination::Media, Need::Preloaded, not_rendered),
            _ => (Destination::Other, Need::Preloaded, None),
        },
        LinkKind::ModulePreload => (Destination::Module, Need::Preloaded, None),
        // Only a browser with a window fetches icons and manifests, and only when all else is done.
        LinkKind::Icon => (Destination::Image, Need::Other, not_rendered),
        LinkKind::Manifest => (Destination::Manifest, Need::Other, not_rendered),
        LinkKind::Image | LinkKind::Poster => (Destination::Image, Need::Image, None),
        LinkKind::Media => (Destination::Media, Need::Other, not_rendered),
        LinkKind::Frame => (Destination::Other, Need::Other, not_rendered),
    }
}
