//! One page load as a browser does it: the page says what it wants, and it is taken from the cache,
//! from what is pushed or was hinted, or asked for.
//!
//! Read on in [`wants`], what a page says; [`hints`], what a server says ahead.

pub mod hints;
pub mod wants;
