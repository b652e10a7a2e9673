//! A store that is written to while it is inspected.

use std::sync::Arc;

use lowtide_checkpoint::Seqno;

use super::stores::{contents_of, store};
use crate::contract::{CompactionRequest, Engine};
use crate::logstor::Logstor;
use crate::logstor::tests::life::shown;
use crate::logstor::tests::support::{A, B, C, commit, dir, open, run, set};
use crate::logstor::tools::inspect::{LogDirectory, LogFinding, LogObserver};

/// An observer that writes to the store while it is inspected.
struct Meddler<'a> {
    engine: &'a Logstor,
    left: u64,
    what: fn(&Logstor),
}

impl LogObserver for Meddler<'_> {
    fn found(&mut self, _finding: LogFinding) {}

    fn progress(&mut self, _done: u64, _total: u64) {
        self.left = self.left.wrapping_sub(1);
        if self.left == 0 {
            (self.what)(self.engine);
        }
    }
}

#[test]
fn store_written_to_meanwhile_is_reported_in_use() {
    let writes: [fn(&Logstor); 5] = [
        |engine| assert!(commit(engine, A, &[set(5, "more", b"")]).is_ok()),
        |engine| assert!(engine.purge(B, Seqno(3)).is_ok()),
        |engine| engine.create(C).expect("created"),
        |engine| engine.drop_vbucket(A).expect("dropped"),
        |engine| {
            drop(
                run(engine
                    .compact(A, CompactionRequest::default())
                    .expect("begun"))
                .expect("done"),
            )
        },
    ];
    let mut told = 0;
    for (number, what) in writes.into_iter().enumerate() {
        for left in 1..=16 {
            let disk = store();
            let (engine, _) = open(&disk).expect("opens");
            let mut meddler = Meddler {
                engine: &engine,
                left,
                what,
            };
            let result = LogDirectory::read(Arc::new(disk.clone()), &dir(), &mut meddler);
            match result {
                // The write came before the inspection read that part.
                Ok(store) => assert!(
                    contents_of(&store) == Some(shown(&engine)),
                    "{number}, {left}"
                ),
                Err(error) => {
                    assert_eq!(error.kind(), "in-use", "{error}");
                    told += 1;
                }
            }
        }
    }
    assert!(told > 30, "{told}");
}
