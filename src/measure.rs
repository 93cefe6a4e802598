//! The root of `forerun measure`: pages x visits x links x deliveries x samples -> report.
//!
//! Read on in [`timeline`] and [`findings`] (what is recorded), [`sample`] (numbers to verdict),
//! [`bound`] (what sending ahead can be worth at most) and [`search`] (what to send ahead).

pub mod bound;
pub mod findings;
pub mod link;
pub mod sample;
pub mod search;
pub mod timeline;
