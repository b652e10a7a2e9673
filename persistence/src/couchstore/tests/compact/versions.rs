//! The version of a compaction's new file (E19), which is as good as any file of that version.

use crate::contract::{CompactionRequest, EnginePoint};
use crate::couchstore::config::CouchstoreConfig;
use crate::couchstore::format::FormatVersion;
use crate::couchstore::tests::reference_model;
use crate::couchstore::tests::support::{VB, commit, dir, open_with, set, store_with};
use crate::couchstore::tools::CouchFile;
use crate::disk::PowerLoss;

use super::{begin, compact, to_end, to_point};

const SOURCES: [(&str, u8); 4] = [
    ("g_ten_v11", 11),
    ("j_v6.6.5_d_rich", 12),
    ("j_v7.6.11_d_rich", 13),
    ("h_boundary", 14),
];

#[test]
fn new_file_has_the_later_of_both_versions() {
    for (case, of_source) in SOURCES {
        for version in [FormatVersion::V12, FormatVersion::V13, FormatVersion::V14] {
            let (what, expected) = (
                format!("{case} {version:?}"),
                of_source.max(version.number()),
            );
            let disk = store_with(case);
            let config = CouchstoreConfig {
                version,
                ..CouchstoreConfig::default()
            };
            let (engine, _) = open_with(&disk, config).expect("opens");
            let before = reference_model::now(&engine);
            compact(&engine, VB, CompactionRequest::default());
            assert_eq!(reference_model::now(&engine), before, "{what}");
            let file = |revision: u64| {
                let path = dir().join(format!("7.couch.{revision}"));
                CouchFile::open_read_only(&disk, &path)
                    .expect("opens")
                    .header()
            };
            assert_eq!(
                (file(2).version, file(2).previous),
                (expected, None),
                "{what}"
            );

            // A file of two headers: each is found, whether headers name the one before or not.
            let mut job = begin(&engine);
            to_point(&mut *job, EnginePoint::CompactBeforeRename);
            commit(&engine, VB, &[set(before.high + 1, "beside", b"1")]).expect("committed");
            to_end(&mut *job, super::SMALL).expect("no failure");
            assert_eq!(file(3).version, expected, "{what}");
            assert_eq!(
                reference_model::rollback(&engine, before.high),
                before.high,
                "{what}"
            );
            assert_eq!(reference_model::now(&engine), before, "{what}");
            commit(&engine, VB, &[set(before.high + 1, "after", b"2")]).expect("committed");
            let after = reference_model::now(&engine);
            drop((job, engine));
            disk.crash(PowerLoss::DropUnsynced);
            let (engine, _) = open_with(&disk, CouchstoreConfig::default()).expect("opens");
            assert_eq!(reference_model::now(&engine), after, "{what}");
            assert_eq!(
                file(3).version,
                expected,
                "{what}: opening changes no version"
            );
        }
    }
}
