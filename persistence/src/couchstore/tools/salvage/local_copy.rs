//! Copying the local documents of a damaged file. The vBucket's state gets the counts of the saved
//! rows.

use bytes::Bytes;
use serde_json::Value;

use crate::contract::EngineError;
use crate::couchstore::file::{CommitView, Extents};
use crate::couchstore::format::{StoreFigures, Tree, vbucket_state};
use crate::couchstore::tools::surveyor::{Flaw, FlawKind, SurveyedNode, Surveyor};
use crate::couchstore::tools::tree_survey;
use crate::couchstore::write::Writer;

use super::loss::{CountingObserver, Loss, SalvageObserver};

/// Copies every readable local document. Returns their number.
pub(crate) fn copy(
    view: &CommitView,
    writer: &mut Writer,
    figures: StoreFigures,
    observer: &mut CountingObserver<'_>,
) -> Result<u64, EngineError> {
    let mut copy = LocalCopy {
        writer,
        figures,
        observer,
        count: 0,
    };
    tree_survey::survey(view, Tree::Local, &mut Extents::default(), &mut copy)?;
    Ok(copy.count)
}

struct LocalCopy<'a, 'o> {
    writer: &'a mut Writer,
    figures: StoreFigures,
    observer: &'a mut CountingObserver<'o>,
    count: u64,
}

impl Surveyor for LocalCopy<'_, '_> {
    fn node(&mut self, _: SurveyedNode) {}

    fn row(&mut self, leaf: u64, key: &Bytes, value: &Bytes) -> Result<(), EngineError> {
        let mut value = value.clone();
        if &key[..] == vbucket_state::NAME {
            if let Err(what) = vbucket_state::decode(&value) {
                let key = Some(key.clone());
                self.observer.lost(Loss {
                    offset: leaf,
                    seqnos: None,
                    key,
                    rows: Some(1),
                    what,
                });
                return Ok(());
            }
            value = with_prepares(&value, &self.figures).unwrap_or(value);
        }
        self.writer.set_local(key, Some(value))?;
        self.count += 1;
        Ok(())
    }

    fn flaw(&mut self, flaw: Flaw) {
        let (FlawKind::Lost(_) | FlawKind::Overlap(_)) = flaw.kind else {
            return;
        };
        let what = format!("local documents: {}", flaw.what);
        self.observer.lost(Loss {
            offset: flaw.position,
            seqnos: None,
            key: flaw.key,
            rows: None,
            what,
        });
    }
}

/// Returns the state with other counts of prepares. Everything else in it stays, fields unknown to
/// this build included. Returns `None` if it has no counts.
fn with_prepares(document: &[u8], figures: &StoreFigures) -> Option<Bytes> {
    let mut state: Value = serde_json::from_slice(document).ok()?;
    for (name, count) in [
        ("on_disk_prepares", figures.prepares),
        ("on_disk_prepare_bytes", figures.prepare_bytes),
    ] {
        *state.get_mut(name)? = Value::from(count.to_string());
    }
    Some(serde_json::to_vec(&state).ok()?.into())
}
