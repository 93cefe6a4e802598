//! Bytes to links: what a document, style sheet or module names, in document order.
//!
//! Pure parsing, without resolving: URLs stay as written, and nothing here knows which files exist.
//! Read on in [`html`], [`css`] and [`module`]; `graph` resolves and orders what they find.

pub mod css;
pub mod html;
pub mod module;
