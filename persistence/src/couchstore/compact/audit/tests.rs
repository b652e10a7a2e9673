//! The audit of rows that are copied after the first pass.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::Seqno;

use crate::contract::{CompactionReport, CompactionRequest};
use crate::couchstore::compact::catch_up::Round;
use crate::couchstore::compact::copy::Copying;
use crate::couchstore::compact::filter::Rules;
use crate::couchstore::compact::target::Target;
use crate::couchstore::config::CouchstoreConfig;
use crate::couchstore::file::Source;
use crate::couchstore::store_context::StoreContext;
use crate::couchstore::tests::craft::{Craft, both};
use crate::couchstore::write::{Writer, tail_recovery};
use crate::disk::{Disk, MemoryDisk};

use super::*;

/// Returns a commit with a row that lies in both indexes, an empty commit before it, and a target.
fn lying() -> (CommitView, CommitView, Target) {
    let (disk, shared) = (
        MemoryDisk::new(),
        Arc::new(StoreContext::new(CouchstoreConfig::default())),
    );
    let make = |name: &str| disk.create(Path::new(name)).expect("new");
    let image = Craft::of_rows(&both(
        |row| row.rev_meta = Bytes::from_static(b"16 bytes, as of "),
        3,
    ))
    .image();
    let file = make("/7.couch.1");
    file.write_at(&[&image], 0).expect("written");
    let (view, _) = tail_recovery::open(file, Path::new("/7.couch.1")).expect("opens");
    let empty =
        Writer::create(make("/empty"), Path::new("/empty"), Arc::clone(&shared)).expect("made");
    let source = Source::new(make("/target"), Path::new("/target"), view.source.checksum);
    let target = Target::new(source, shared, &view);
    (view, empty.view().clone(), target)
}

/// Rows after the first pass are verified one by one, because nothing compares the indexes of later
/// commits.
#[test]
fn lying_row_of_a_later_pass_is_refused() {
    let (view, empty, mut target) = lying();
    let mut report = CompactionReport::default();
    let mut round = Round::new(&empty, view.clone(), Vec::new(), 1 << 20);
    let refused = round.step(&mut target, &mut report, Budget::NONE);
    assert_eq!(refused.expect_err("while it catches up").kind(), "corrupt");

    let rules = Rules::new(CompactionRequest::default(), Seqno::ZERO, Seqno::ZERO);
    let mut copying = Copying::new(&empty, rules, 1 << 20);
    let mut create =
        |_: &str| -> Result<Source, EngineError> { panic!("all of it fits into memory") };
    while !copying
        .step(&empty, &mut target, &mut create, &mut report, Budget::NONE)
        .expect("empty")
    {}
    let refused = copying.step(&view, &mut target, &mut create, &mut report, Budget::NONE);
    assert_eq!(refused.expect_err("in a later pass").kind(), "corrupt");
}
