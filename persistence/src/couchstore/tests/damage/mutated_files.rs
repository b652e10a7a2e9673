//! The vendor's files with flipped bits, cut, or recombined (E21): opening and reading end in
//! content or in a typed error. `fuzzing` has the checks. Each input that a fuzzer found has a test
//! here.

use std::path::Path;

use lowtide_checkpoint::Seqno;
use proptest::prelude::*;

use crate::contract::Severity;
use crate::couchstore::file::Keyring;
use crate::couchstore::fuzzing::{self, seal};
use crate::couchstore::tests::support::fixture;
use crate::couchstore::tools::{CouchFile, Finding, Loss, check_file, salvage};
use crate::disk::{Access, Disk, MemoryDisk};

const CASES: [&str; 12] = [
    "a_created",
    "b_ten",
    "d_rich",
    "e_base",
    "e_header_not_activated",
    "e_torn_before_header",
    "g_ten_v11",
    "g_ten_v13",
    "i_encrypted_v0_wrapped",
    "i_encrypted_v1_derived",
    "j_v6.6.5_d_rich",
    "k_compact_d_rich",
];

fn read(case: &str) -> Vec<u8> {
    std::fs::read(fixture(&format!("{case}.couch.1"))).expect("fixture")
}

#[derive(Clone, Debug)]
enum Mutation {
    Flip {
        at: usize,
        bit: u32,
    },
    Set {
        at: usize,
        byte: u8,
    },
    Cut {
        at: usize,
    },
    Zero {
        at: usize,
        len: usize,
    },
    /// Bytes of another place, written over others or inserted.
    Splice {
        from: usize,
        to: usize,
        len: usize,
        insert: bool,
    },
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let place = || any::<usize>();
    prop_oneof![
        4 => (place(), 0..8_u32).prop_map(|(at, bit)| Mutation::Flip { at, bit }),
        4 => (place(), prop_oneof![Just(0), Just(1), Just(0x7f), Just(0x80), Just(0xff), any::<u8>()])
            .prop_map(|(at, byte)| Mutation::Set { at, byte }),
        1 => place().prop_map(|at| Mutation::Cut { at }),
        1 => (place(), 1..5000_usize).prop_map(|(at, len)| Mutation::Zero { at, len }),
        2 => (place(), place(), 1..5000_usize, any::<bool>())
            .prop_map(|(from, to, len, insert)| Mutation::Splice { from, to, len, insert }),
    ]
}

fn apply(bytes: &mut Vec<u8>, mutation: Mutation) {
    let len_now = bytes.len();
    if len_now == 0 {
        return;
    }
    let range = |at: usize, len: usize| at % len_now..(at % len_now + len).min(len_now);
    match mutation {
        Mutation::Flip { at, bit } => bytes[at % len_now] ^= 1 << bit,
        Mutation::Set { at, byte } => bytes[at % len_now] = byte,
        Mutation::Cut { at } => bytes.truncate(at % len_now),
        Mutation::Zero { at, len } => bytes[range(at, len)].fill(0),
        Mutation::Splice {
            from,
            to,
            len,
            insert,
        } => {
            let part = bytes[range(from, len)].to_vec();
            let over = if insert {
                range(to, 0)
            } else {
                range(to, part.len())
            };
            bytes.splice(over, part);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_end_in_content_or_a_typed_error(
        case in 0..CASES.len(),
        mutations in prop::collection::vec(mutation(), 0..6),
        sealed in any::<bool>(),
    ) {
        let mut bytes = read(CASES[case]);
        for mutation in mutations {
            apply(&mut bytes, mutation);
        }
        if sealed {
            seal(&mut bytes);
        }
        fuzzing::file(&bytes);
    }

    #[test]
    fn any_nodes_end_in_content_or_a_typed_error(
        roots in any::<[u8; 6]>(),
        nodes in prop::collection::vec(
            (any::<bool>(), prop::collection::vec((0..4_usize, "[a-c]{0,3}", any::<u8>()), 1..4)), 1..8),
    ) {
        let mut bytes = roots.to_vec();
        for (leaf, mut entries) in nodes {
            entries.sort_by(|a, b| a.1.cmp(&b.1));
            let mut node = vec![u8::from(leaf)];
            for (reduction, key, choice) in entries {
                let reduction = [0, 5, 16, 3][reduction];
                let mut value = vec![choice; 13];
                value.push(reduction);
                value.extend(vec![0; usize::from(reduction)]);
                node.extend([0, (key.len() as u8) << 4, 0, 0, value.len() as u8]);
                node.extend_from_slice(key.as_bytes());
                node.extend(value);
            }
            bytes.extend((node.len() as u16).to_be_bytes());
            bytes.extend(node);
        }
        fuzzing::trees(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// A file that is encrypted or has no sound header is refused. Any other is saved, and what is
    /// saved is consistent (T5).
    #[test]
    fn mutated_file_is_salvaged_or_refused(
        case in 0..CASES.len(),
        mutations in prop::collection::vec(mutation(), 0..6),
        sealed in any::<bool>(),
    ) {
        let mut bytes = read(CASES[case]);
        for mutation in mutations {
            apply(&mut bytes, mutation);
        }
        if sealed {
            seal(&mut bytes);
        }
        let disk = MemoryDisk::new();
        let (source, target, keys) = (Path::new("/old"), Path::new("/new"), Keyring::new());
        let file = disk.create(source).expect("new");
        file.write_at(&[&bytes], 0).expect("written");
        let mut found: Vec<Finding> = Vec::new();
        let checked = check_file(&disk, source, &keys, &mut found);
        let mut lost: Vec<Loss> = Vec::new();
        let salvaged = salvage(&disk, source, target, &keys, &mut lost);
        match &salvaged {
            Ok(salvaged) => {
                let is_damaged = found
                    .iter()
                    .any(|finding| finding.severity() == Severity::Damage);
                prop_assert!(is_damaged || lost.is_empty(), "{:?}", lost);
                let file = CouchFile::open_read_only(&disk, target).expect("opens");
                let rows = file.doc_infos(Seqno(0)).expect("readable").count() as u64;
                prop_assert_eq!(rows, salvaged.rows);
            }
            Err(error) => {
                let is_refused = matches!(
                    error.kind(),
                    "corrupt" | "unsupported" | "key-missing" | "key-wrong"
                ) && !error.to_string().contains("inconsistent");
                prop_assert!(is_refused, "{}", error);
                prop_assert!(checked.is_err() || !found.is_empty());
                prop_assert!(disk.open(target, Access::ReadOnly).is_err());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        fuzzing::header(&bytes);
        fuzzing::node(&bytes);
        fuzzing::row(&bytes);
        fuzzing::vbucket_state(&bytes);
        fuzzing::key_file(&bytes);
        fuzzing::file(&bytes);
    }
}

#[test]
fn unchanged_files_pass_the_fuzzing_checks() {
    for case in CASES {
        fuzzing::file(&read(case));
    }
}
