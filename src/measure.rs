//! The root of `forerun measure`: pages x visits x links x deliveries x samples -> report.
//!
//! Read on in [`timeline`] and [`findings`] (what is recorded), [`sample`] (numbers to verdict)
//! and [`bound`] (what sending ahead can be worth at most).

pub mod bound;
pub mod findings;
pub mod sample;
pub mod timeline;
