//! Random operations against models of the contract.

pub(super) mod batches;
mod histories;
