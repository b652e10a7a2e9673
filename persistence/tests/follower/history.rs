//! The plain list of everything ever written to a branch, and what it leaves.

use std::collections::BTreeMap;

use bytes::Bytes;
use lowtide_checkpoint::{Item, Key, Namespace, Operation, Seqno};

/// Newest revisions: of documents, and of prepares that were not completed.
pub(crate) type Contents = BTreeMap<(Namespace, Key), (Seqno, Option<Bytes>)>;

/// Everything written to a branch, by seqno. A hole is an item that its active never had.
pub(crate) type History = Vec<Option<Item>>;

/// Returns the prepare that is not completed, and the highest completed one.
pub(crate) fn outstanding(history: &History) -> (Option<Item>, Seqno) {
    let items = || history.iter().flatten();
    let completed = items().map(|item| item.prepare_seqno).max();
    let completed = completed.unwrap_or_default();
    let prepare = items()
        .rfind(|item| item.operation == Operation::Prepare && item.seqno > completed)
        .cloned();
    (prepare, completed)
}

/// Returns the contents that the items leave, and the highest completed prepare.
pub(crate) fn contents<'a>(items: impl Iterator<Item = &'a Item>) -> (Contents, Seqno) {
    let (mut contents, mut completed) = (Contents::new(), Seqno::ZERO);
    for item in items {
        let Some(namespace) = item.operation.namespace() else {
            continue;
        };
        completed = completed.max(item.prepare_seqno);
        if item.operation == Operation::Abort {
            continue;
        }
        let revision = (item.seqno, item.value.clone());
        contents.insert((namespace, item.key.clone()), revision);
    }
    contents.retain(|(namespace, _), (seqno, _)| {
        *namespace != Namespace::Prepared || *seqno > completed
    });
    (contents, completed)
}
