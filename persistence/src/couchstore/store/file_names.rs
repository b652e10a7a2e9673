//! File names in a store's directory: `<vb>.couch.<revision>`, and those of leftovers.

use std::path::Path;

use lowtide_checkpoint::Vbid;

/// The meaning of a name in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// A vBucket's file. The highest revision counts.
    File { vb: Vbid, revision: u64 },
    /// A file that was being made when the process ended.
    Leftover,
    /// A file of the vendor that this engine ignores.
    Ignored,
    /// A foreign file.
    Other,
}

pub(crate) fn file(vb: Vbid, revision: u64) -> String {
    format!("{vb}.couch.{revision}")
}

/// Returns the name of a file whose first header is not durable yet.
pub(crate) fn boot(vb: Vbid) -> String {
    format!("{vb}.couch.boot")
}

/// Returns the name of a compaction's target before it becomes the vBucket's file of that revision.
pub(crate) fn compact(vb: Vbid, revision: u64) -> String {
    format!("{vb}.couch.{revision}.compact")
}

/// Returns the name of a run of rows that a compaction sorts, next to the file at `target`.
pub(crate) fn run(target: &Path, number: usize) -> String {
    let target = target.file_name().unwrap_or_default().to_string_lossy();
    format!("{target}.btree-tmp_{number}")
}

pub(crate) fn parse(name: &str) -> Name {
    let Some((vb, rest)) = name.split_once(".couch.") else {
        return Name::Other;
    };
    if vb == "master" {
        return Name::Ignored;
    }
    let Some(vb) = number(vb).and_then(|vb| u16::try_from(vb).ok()) else {
        return Name::Other;
    };
    if rest == "boot" {
        return Name::Leftover;
    }
    match rest.split_once('.') {
        None => match number(rest) {
            Some(revision) => Name::File {
                vb: Vbid(vb),
                revision,
            },
            None => Name::Other,
        },
        Some((revision, kind)) if number(revision).is_some() => match kind {
            "compact" => Name::Leftover,
            _ if kind.starts_with("compact.btree-tmp_") => Name::Leftover,
            _ => Name::Other,
        },
        Some(_) => Name::Other,
    }
}

/// Parses a decimal number as this engine writes it.
fn number(text: &str) -> Option<u64> {
    let number = text.parse::<u64>().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_distinguished() {
        assert_eq!(
            parse(&file(Vbid(1023), 12)),
            Name::File {
                vb: Vbid(1023),
                revision: 12
            }
        );
        assert_eq!(compact(Vbid(7), 2), "7.couch.2.compact");
        let run = run(Path::new("/store/7.couch.2.compact"), 3);
        assert_eq!(run, "7.couch.2.compact.btree-tmp_3");
        for leftover in [&boot(Vbid(7)), &compact(Vbid(7), 2), &run] {
            assert_eq!(parse(leftover), Name::Leftover, "{leftover}");
        }
        assert_eq!(parse("master.couch.1"), Name::Ignored);
        for other in [
            "7.couch.01",
            "+7.couch.1",
            "65536.couch.1",
            "7.couch.x",
            "7.couch.1.bak",
            "notes.txt",
            "7.couch",
        ] {
            assert_eq!(parse(other), Name::Other, "{other}");
        }
    }
}
