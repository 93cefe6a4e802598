//! Bytes to links: what a document, style sheet or module names, in document order.
//!
//! Pure parsing, without resolving: URLs stay as written, and nothing here knows which files exist.
//! Read on in [`html`], [`css`], [`module`], [`import_map`] and [`header`]; `graph` resolves and
//! orders what they find.

pub mod css;
pub mod header;
pub mod html;
pub mod import_map;
pub mod module;
