//! What a page's validator remembers of the resources sent with it.
//!
//! A page's ETag is `"<hash of its bytes>.<digest>"`. The digest is a set of 24-bit truncations of
//! a hash of URL and content, one for each resource of the page's plan, so a returning client says
//! in `If-None-Match` which of them it was given, without a cookie. It is a function of the
//! snapshot alone, never of the client, so it identifies nobody and suits shared caches. It only
//! ever suppresses a push: a chance match (2^-24 for each pair) costs one round trip.
//!
//! The alphabet is standard base64, four characters an entry: it has no `-` and no `;`, with which
//! proxies begin the suffixes that they append to a tag (`-gzip`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::{ContentHash, SiteUrl};

/// Entries of a digest.
pub const ENTRIES_MAX: usize = 32;
/// Characters of an entry.
const ENTRY_CHARS: usize = 4;
/// Tags of an `If-None-Match` that are read; more know nothing.
const TAGS_MAX: usize = 16;

/// A set of resources, each as 24 bits, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digest(Vec<[u8; 3]>);

impl Digest {
    /// Returns the digest of resources; those after the first [`ENTRIES_MAX`] are left out.
    pub fn of<'a>(resources: impl IntoIterator<Item = (&'a SiteUrl, ContentHash)>) -> Self {
        let mut entries: Vec<_> = resources
            .into_iter()
            .take(ENTRIES_MAX)
            .map(|(url, content)| entry(url, content))
            .collect();
        entries.sort_unstable();
        entries.dedup();
        Self(entries)
    }

    /// Returns whether a resource is in the set, or looks like one that is.
    pub fn contains(&self, url: &SiteUrl, content: ContentHash) -> bool {
        self.0.binary_search(&entry(url, content)).is_ok()
    }

    /// Adds the resources of another digest.
    pub fn join(&mut self, other: Self) {
        self.0.extend(other.0);
        self.0.sort_unstable();
        self.0.dedup();
    }

    /// Returns whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the entity tag of a page with this digest (RFC 9110 section 8.8.3), quotes included.
    pub fn tag(&self, page: ContentHash) -> String {
        let mut tag = format!("\"{page}");
        if !self.0.is_empty() {
            tag.push('.');
            STANDARD_NO_PAD.encode_string(self.0.as_flattened(), &mut tag);
        }
        tag.push('"');
        tag
    }

    /// Reads the union of the digests in the entity tags of an `If-None-Match`: weak ones, several,
    /// and ones with a suffix. What is no such tag, `*` among it, adds nothing.
    pub fn read(if_none_match: &str) -> Self {
        let mut entries = Vec::new();
        // Every second piece between quotes is a tag's content; a tag holds no quote.
        for tag in if_none_match.split('"').skip(1).step_by(2).take(TAGS_MAX) {
            let Some((_, digest)) = tag.split_once('.') else {
                continue;
            };
            let suffix =
                digest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '+' || c == '/'));
            let digest = &digest.as_bytes()[..suffix.unwrap_or(digest.len())];
            for chars in digest.chunks_exact(ENTRY_CHARS).take(ENTRIES_MAX) {
                let mut entry = [0; 3];
                if STANDARD_NO_PAD.decode_slice(chars, &mut entry).is_ok() {
                    entries.push(entry);
                }
            }
        }
        entries.sort_unstable();
        entries.dedup();
        Self(entries)
    }
}

fn entry(url: &SiteUrl, content: ContentHash) -> [u8; 3] {
    let mut hasher = blake3::Hasher::new_derive_key("forerun digest entry 1");
    hasher.update(url.target().as_bytes());
    hasher.update(&[0]);
    hasher.update(&content.0);
    let hash = hasher.finalize();
    let bytes = hash.as_bytes();
    [bytes[0], bytes[1], bytes[2]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resources(count: usize) -> Vec<(SiteUrl, ContentHash)> {
        let content = |index: usize| {
            ContentHash(
                *blake3::hash(&index.to_le_bytes())
                    .as_bytes()
                    .first_chunk()
                    .unwrap(),
            )
        };
        (0..count)
            .map(|index| {
                (
                    SiteUrl::parse(&format!("/r{index}.css?v={index}")).unwrap(),
                    content(index),
                )
            })
            .collect()
    }

    fn of(resources: &[(SiteUrl, ContentHash)]) -> Digest {
        Digest::of(resources.iter().map(|(url, content)| (url, *content)))
    }

    proptest! {
        #[test]
        fn a_tag_gives_back_its_set_whatever_stands_around_it(
            count in 0..40_usize,
            weak in any::<bool>(),
            suffix in "(-gzip|-br|;gzip|--zstd|)",
            other in "[!#-~]{0,40}",
        ) {
            let resources = resources(count);
            let digest = of(&resources);
            let tag = digest.tag(ContentHash([7; 16]));
            let inner = tag.trim_matches('"');
            let weak = if weak { "W/" } else { "" };
            let field = format!("\"{other}\", {weak}\"{inner}{suffix}\"");
            let read = Digest::read(&field);
            for (url, content) in resources.iter().take(ENTRIES_MAX) {
                prop_assert!(read.contains(url, *content));
            }
            prop_assert_eq!(Digest::read(&tag), digest);
        }

        #[test]
        fn garbage_is_read_without_panic(field in "\\PC*") {
            let _ = Digest::read(&field);
        }

        #[test]
        fn the_order_of_resources_does_not_matter(count in 0..32_usize, by in 0..32_usize) {
            let mut resources = resources(count);
            let digest = of(&resources);
            if count > 0 {
                resources.rotate_left(by % count);
            }
            prop_assert_eq!(of(&resources), digest);
        }
    }

    #[test]
    fn a_star_knows_nothing() {
        assert!(Digest::read("*").is_empty());
        assert!(Digest::read("\"abc\"").is_empty());
    }

    #[test]
    fn an_edited_resource_is_not_in_the_set() {
        let resources = resources(3);
        let digest = of(&resources);
        assert!(!digest.contains(&resources[0].0, resources[1].1));
    }
}
