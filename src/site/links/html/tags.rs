//! What HTML says of each element by its name (HTML, section 13.2.4 and 15.3).

pub(super) fn is_never_rendered(tag: &str) -> bool {
    matches!(
        tag,
        "head"
            | "base"
            | "link"
            | "meta"
            | "title"
            | "script"
            | "style"
            | "template"
            | "noscript"
            | "noembed"
            | "noframes"
            | "param"
            | "area"
            | "datalist"
            | "rp"
            | "source"
            | "track"
    )
}

/// Elements that may stand in a head.
pub(super) fn is_head_element(tag: &str) -> bool {
    matches!(
        tag,
        "base"
            | "basefont"
            | "bgsound"
            | "link"
            | "meta"
            | "title"
            | "script"
            | "style"
            | "template"
            | "noscript"
            | "noframes"
    )
}

pub(super) fn is_void(tag: &str) -> bool {
    matches!(
        tag,
        "area"
            | "base"
            | "basefont"
            | "bgsound"
            | "br"
            | "col"
            | "embed"
            | "frame"
            | "hr"
            | "img"
            | "image"
            | "input"
            | "keygen"
            | "link"
            | "meta"
            | "param"
            | "source"
            | "track"
            | "wbr"
    )
}

pub(super) fn is_heading(tag: &str) -> bool {
    matches!(tag, "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}

pub(super) fn is_integration_point(tag: &str) -> bool {
    matches!(
        tag,
        "foreignobject" | "desc" | "title" | "mi" | "mo" | "mn" | "ms" | "mtext" | "annotation-xml"
    )
}

/// What an element is looked for inside of (HTML, section 13.2.4.2).
pub(super) fn is_scope(tag: &str) -> bool {
    matches!(
        tag,
        "applet" | "caption" | "html" | "table" | "td" | "th" | "marquee" | "object" | "template"
    ) || is_integration_point(tag)
}

pub(super) fn is_table_scope(tag: &str) -> bool {
    matches!(tag, "html" | "table" | "template")
}

/// Elements that exist only inside of a table.
pub(super) fn is_table_part(tag: &str) -> bool {
    matches!(
        tag,
        "caption" | "col" | "colgroup" | "tbody" | "td" | "tfoot" | "th" | "thead" | "tr"
    )
}

pub(super) fn is_formatting(tag: &str) -> bool {
    matches!(
        tag,
        "a" | "b"
            | "big"
            | "code"
            | "em"
            | "font"
            | "i"
            | "nobr"
            | "s"
            | "small"
            | "strike"
            | "strong"
            | "tt"
            | "u"
    )
}

pub(super) fn closes_paragraph(tag: &str) -> bool {
    is_heading(tag)
        || matches!(
            tag,
            "address"
                | "article"
                | "aside"
                | "blockquote"
                | "center"
                | "details"
                | "dialog"
                | "dir"
                | "div"
                | "dl"
                | "dd"
                | "dt"
                | "fieldset"
                | "figcaption"
                | "figure"
                | "footer"
                | "form"
                | "header"
                | "hgroup"
                | "hr"
                | "li"
                | "listing"
                | "main"
                | "menu"
                | "nav"
                | "ol"
                | "p"
                | "plaintext"
                | "pre"
                | "search"
                | "section"
                | "summary"
                | "table"
                | "ul"
                | "xmp"
        )
}

/// The "special" category of HTML, section 13.2.4.2.
pub(super) fn is_special(tag: &str) -> bool {
    is_void(tag)
        || is_scope(tag)
        || is_head_element(tag)
        || (closes_paragraph(tag) && tag != "dialog")
        || matches!(
            tag,
            "body"
                | "button"
                | "colgroup"
                | "frameset"
                | "head"
                | "iframe"
                | "noembed"
                | "p"
                | "select"
                | "tbody"
                | "textarea"
                | "tfoot"
                | "thead"
                | "tr"
        )
}
