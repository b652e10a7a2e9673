//! The engine against the vendor's files, models, and failing disks.

mod commit;
mod compact;
pub(super) mod craft;
mod crash;
mod damage;
mod model;
mod reads;
mod recovery;
mod reference_model;
mod rollback;
mod store_files;
pub(super) mod support;
mod violations;
