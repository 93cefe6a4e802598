//! Live reload: from the events of the file system to settled batches of paths.
//!
//! Read on in [`watch`] (the door to the system's events), [`settle`] (when a batch is worth acting
//! on) and [`ignored`] (names that nobody waits for).

pub mod ignored;
pub mod settle;
pub mod watch;
