//! A directory's names: as they are now, as syncs made them durable, and as a power loss may leave
//! them.
//!
//! # Invariants
//!
//! `pending` applied in order to `durable` gives `current`. A power loss keeps or loses each
//! pending change as a whole, and a lost change takes later changes of the same names with it. A
//! rename therefore never leaves both names or neither. Changes to different names survive
//! independently of their order. A failed sync leaves changes pending: unlike file bytes, names are
//! written again by the next sync.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

#[derive(Clone, Debug)]
enum NameChange<T> {
    Create { name: OsString, file: T },
    Rename { from: OsString, to: OsString },
    Remove { name: OsString },
}

impl<T: Clone> NameChange<T> {
    fn names(&self) -> [&OsStr; 2] {
        match self {
            Self::Create { name, .. } | Self::Remove { name } => [name, name],
            Self::Rename { from, to } => [from, to],
        }
    }

    fn apply(&self, names: &mut BTreeMap<OsString, T>) {
        match self {
            Self::Create { name, file } => {
                names.insert(name.clone(), file.clone());
            }
            Self::Rename { from, to } => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Remove { name } => {
                names.remove(name);
            }
        }
    }
}

/// The names of a directory, each with its file of type `T`.
#[derive(Debug)]
pub(super) struct Directory<T> {
    current: BTreeMap<OsString, T>,
    durable: BTreeMap<OsString, T>,
    pending: Vec<NameChange<T>>,
}

impl<T: Clone> Directory<T> {
    /// Returns a directory whose names are all durable.
    pub(super) fn new(names: BTreeMap<OsString, T>) -> Self {
        Self {
            current: names.clone(),
            durable: names,
            pending: Vec::new(),
        }
    }

    pub(super) fn get(&self, name: &OsStr) -> Option<&T> {
        self.current.get(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&OsString, &T)> {
        self.current.iter()
    }

    pub(super) fn create(&mut self, name: &OsStr, file: T) {
        self.change(NameChange::Create {
            name: name.to_owned(),
            file,
        });
    }

    pub(super) fn rename(&mut self, from: &OsStr, to: &OsStr) {
        self.change(NameChange::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
        });
    }

    pub(super) fn remove(&mut self, name: &OsStr) {
        self.change(NameChange::Remove {
            name: name.to_owned(),
        });
    }

    fn change(&mut self, change: NameChange<T>) {
        change.apply(&mut self.current);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// Returns the same names with other files.
    pub(super) fn map(&self, other: &mut impl FnMut(&T) -> T) -> Self {
        let mut of = |names: &BTreeMap<OsString, T>| -> BTreeMap<OsString, T> {
            names
                .iter()
                .map(|(name, file)| (name.clone(), other(file)))
                .collect()
        };
        let (current, durable) = (of(&self.current), of(&self.durable));
        let pending = self.pending.iter().map(|change| match change {
            NameChange::Create { name, file } => NameChange::Create {
                name: name.clone(),
                file: other(file),
            },
            rest => rest.clone(),
        });
        Self {
            current,
            durable,
            pending: pending.collect(),
        }
    }

    /// Returns the names that a power loss leaves. `choose(2)` decides whether a change is lost (0)
    /// or kept (1).
    pub(super) fn survivors(
        &self,
        choose: &mut dyn FnMut(usize) -> usize,
    ) -> BTreeMap<OsString, T> {
        let mut names = self.durable.clone();
        let mut stuck = BTreeSet::new();
        for change in &self.pending {
            let touched = change.names();
            if touched.iter().any(|name| stuck.contains(name)) || choose(2) == 0 {
                stuck.extend(touched);
            } else {
                change.apply(&mut names);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::memory::for_all_choices;

    fn outcomes(directory: &Directory<u32>) -> BTreeSet<Vec<(String, u32)>> {
        let mut outcomes = BTreeSet::new();
        for_all_choices(|choose| {
            let left = directory.survivors(choose);
            outcomes.insert(
                left.iter()
                    .map(|(name, file)| (name.to_string_lossy().into_owned(), *file))
                    .collect(),
            );
        });
        outcomes
    }

    fn names(list: &[(&str, u32)]) -> Vec<(String, u32)> {
        list.iter()
            .map(|&(name, file)| (name.to_owned(), file))
            .collect()
    }

    fn directory() -> Directory<u32> {
        Directory::new(BTreeMap::from([("old".into(), 1)]))
    }

    #[test]
    fn synced_names_have_one_outcome() {
        let mut directory = directory();
        directory.create("new".as_ref(), 2);
        directory.rename("old".as_ref(), "older".as_ref());
        directory.sync();
        assert_eq!(
            outcomes(&directory),
            BTreeSet::from([names(&[("new", 2), ("older", 1)])])
        );
    }

    #[test]
    fn rename_is_atomic_and_needs_its_create() {
        let mut directory = directory();
        directory.create("tmp".as_ref(), 2);
        directory.rename("tmp".as_ref(), "old".as_ref());
        let expected = BTreeSet::from([
            names(&[("old", 1)]),
            names(&[("old", 1), ("tmp", 2)]),
            names(&[("old", 2)]),
        ]);
        assert_eq!(outcomes(&directory), expected);
    }

    #[test]
    fn name_taken_again_survives_only_with_its_release() {
        let mut directory = directory();
        directory.rename("old".as_ref(), "older".as_ref());
        directory.create("old".as_ref(), 2);
        let expected = BTreeSet::from([
            names(&[("old", 1)]),
            names(&[("older", 1)]),
            names(&[("old", 2), ("older", 1)]),
        ]);
        assert_eq!(outcomes(&directory), expected);
    }

    #[test]
    fn different_names_are_not_ordered() {
        let mut directory = directory();
        directory.create("new".as_ref(), 2);
        directory.remove("old".as_ref());
        let expected = BTreeSet::from([
            names(&[("old", 1)]),
            names(&[("new", 2), ("old", 1)]),
            names(&[]),
            names(&[("new", 2)]),
        ]);
        assert_eq!(outcomes(&directory), expected);
    }

    #[test]
    fn file_renamed_to_itself_stays() {
        let mut directory = directory();
        directory.rename("old".as_ref(), "old".as_ref());
        assert_eq!(outcomes(&directory), BTreeSet::from([names(&[("old", 1)])]));
    }
}
