//! Worlds broken on purpose: the checks must notice each defect.
//!
//! A check that has never failed proves nothing.

mod frames;
mod verdicts;
mod worlds;
