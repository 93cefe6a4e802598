//! Everything that is tested from outside: one binary, a file for each matter.

mod tidy;
