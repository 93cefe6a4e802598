//! A reader of markup, as strict as the reports are plain: every element is closed, every
//! attribute is quoted.

/// Elements that HTML never closes.
const VOID: [&str; 3] = ["meta", "input", "br"];

/// Checks that every element is closed where it was opened.
#[track_caller]
pub(super) fn check_balanced(markup: &str) {
    let mut open: Vec<String> = Vec::new();
    for tag in tags(markup) {
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        assert!(
            !name.is_empty() || tag.starts_with('!'),
            "<{tag}> is no tag"
        );
        if tag.starts_with('/') {
            assert_eq!(open.pop().as_deref(), Some(name.as_str()), "in {open:?}");
        } else if !tag.starts_with('!') && !tag.ends_with('/') && !VOID.contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
}

/// Returns the name and value of every attribute.
pub(super) fn attributes(markup: &str) -> Vec<(String, String)> {
    let mut attributes = Vec::new();
    for tag in tags(markup) {
        let mut rest = tag;
        while let Some((before, after)) = rest.split_once("=\"") {
            let name = before.rsplit([' ', '\n']).next().unwrap();
            let (value, after) = after.split_once('"').unwrap();
            attributes.push((name.to_owned(), value.to_owned()));
            rest = after;
        }
    }
    attributes
}

/// Returns what stands between `<` and `>`, quoted `>` passed over; style sheets and scripts are
/// text.
fn tags(markup: &str) -> Vec<&str> {
    let mut tags = Vec::new();
    let mut rest = markup;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let mut is_quoted = false;
        let end = rest.find(|letter| {
            is_quoted ^= letter == '"';
            letter == '>' && !is_quoted
        });
        let (tag, after) = rest.split_at(end.expect("a tag ends"));
        tags.push(tag);
        rest = &after[1..];
        for text in ["style", "script"] {
            if tag == text {
                rest = &rest[rest.find(&format!("</{text}>")).expect("it ends")..];
            }
        }
    }
    tags
}
