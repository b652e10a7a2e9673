//! Memory accounting: one account per manager, and quotas that managers share.
//!
//! Memory is charged where it is allocated and discharged where it is dropped, on any thread. The
//! figures are therefore exact at any moment, also for memory that only a slow reader keeps alive.
//!
//! # Invariants
//! - A quota's used bytes are the sum of its managers' accounts (C18).

mod account;
mod quota;

pub(crate) use account::{Account, Charge};
pub(crate) use quota::Membership;
pub use quota::{MemoryState, Quota, QuotaConfig, QuotaStats};
