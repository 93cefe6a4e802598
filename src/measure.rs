//! The root of `forerun measure`: pages x visits x links x deliveries x samples -> report.
//!
//! Read on in [`page_load`] (one load), [`timeline`] and [`findings`] (what is recorded), and
//! [`sample`] (numbers to verdict).

pub mod bound;
pub mod findings;
pub mod page_load;
pub mod sample;
pub mod search;
pub mod timeline;
