//! Layers of the workspace: which code may import which.
//!
//! An import that breaks the architecture is found here, not in review.

mod imports;
mod manifests;
mod rules;
