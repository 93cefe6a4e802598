//! Everything that is tested from outside: one binary, a file for each matter.
//!
//! Features are tested at the boundary: a site in, a transcript out. The stage is `world` (a site
//! and its server, laid out by `fixture`, at the ends of a `forerun::measure::link`), `client` (who
//! asks), `doors` (the same over HTTP/1.1), `tap` (who listens), `transcript` (what is told),
//! `places` (where events are kept) and `laws` (what must always hold). `tidy` checks the source
//! itself.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected has failed"
)]

mod client;
mod doors;
mod fixture;
mod laws;
mod places;
mod raw;
mod tap;
mod transcript;
mod world;

mod authorization;
mod behind;
mod channels;
mod defects;
mod downloads;
mod drain;
mod editing;
mod encodings;
mod finding;
mod h2_rules;
mod hints;
mod hostile;
mod http1;
mod keys;
mod limits;
mod live;
mod log;
mod measure;
mod measure_validate;
mod policy;
mod publishing;
mod push;
mod ranges;
mod records;
mod redis_nodes;
mod rfc7541;
mod rfc9113;
mod rules;
mod schedule;
mod semantics;
mod service_manager;
mod slow;
mod stores;
mod storm;
mod tidy;
mod ways;
