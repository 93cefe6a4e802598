//! The root of `forerun measure`: pages x visits x links x deliveries x samples -> report.
//!
//! Read on in [`timeline`] and [`findings`] (what is recorded) and [`sample`] (numbers to verdict).

pub mod findings;
pub mod sample;
pub mod timeline;
