//! The names of a directory, compared with a model that keeps every state since the last sync.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;

use crate::disk::error::DiskErrorKind;
use crate::disk::memory::PowerLoss;
use crate::disk::traits::Disk;

use super::{disk, kind, path, read};

proptest! {
    #[test]
    fn names_after_any_steps_survive_as_in_the_model(
        steps in prop::collection::vec((0usize..4, 0usize..3, 0usize..3), 0..24),
        seed in any::<u64>(),
    ) {
        let names = ["a", "b", "c"];
        let disk = disk();
        let mut current: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        let mut moments = vec![current.clone()];
        for (number, (what, one, two)) in (0u8..).zip(steps) {
            let (one, two) = (names[one], names[two]);
            match what {
                0 if current.contains_key(one) => {
                    prop_assert_eq!(kind(disk.create(&path(one))), Some(DiskErrorKind::AlreadyExists));
                }
                0 => {
                    let file = disk.create(&path(one)).expect("free");
                    file.write_at(&[&[number]], 0).expect("space");
                    file.sync_data().expect("power");
                    current.insert(one, vec![number]);
                }
                1 if current.contains_key(one) => {
                    disk.rename(&path(one), &path(two)).expect("there");
                    let bytes = current.remove(one).expect("there");
                    current.insert(two, bytes);
                }
                1 => prop_assert_eq!(kind(disk.rename(&path(one), &path(two))), Some(DiskErrorKind::NotFound)),
                2 => {
                    let removed = current.remove(one).is_some();
                    prop_assert_eq!(disk.remove(&path(one)).is_ok(), removed);
                }
                _ => {
                    disk.sync_dir(Path::new("/data")).expect("there");
                    moments.clear();
                }
            }
            moments.push(current.clone());
            let listed = disk.list(Path::new("/data")).expect("there");
            prop_assert_eq!(listed, current.keys().copied().collect::<Vec<_>>());
        }
        let keep = [PowerLoss::DropUnsynced, PowerLoss::KeepUnsynced, PowerLoss::Random { seed }][(seed % 3) as usize];
        disk.crash(keep);
        let listed = disk.list(Path::new("/data")).expect("there");
        let left: BTreeMap<&str, Vec<u8>> =
            listed.iter().map(|name| (name.as_str(), read(&disk, name))).collect();
        match keep {
            PowerLoss::DropUnsynced => prop_assert_eq!(&left, &moments[0]),
            PowerLoss::KeepUnsynced => prop_assert_eq!(&left, &current),
            PowerLoss::Random { .. } => {
                for name in names {
                    prop_assert!(moments.iter().any(|moment| moment.get(name) == left.get(name)), "{name}");
                }
                let files: BTreeSet<_> = left.values().collect();
                prop_assert_eq!(files.len(), left.len(), "a rename left both names");
            }
        }
    }
}
