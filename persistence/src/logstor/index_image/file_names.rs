//! The names of index images: `index-00000001`. While one is being made, it is `index-00000001.new`,
//! and `index-00000001.runs` has the records that are sorted for it.

const PREFIX: &str = "index-";
/// Suffix of an image that is being made.
pub(super) const UNFINISHED: &str = ".new";
/// Suffix of the records that are sorted for an image.
pub(super) const RUNS: &str = ".runs";

/// Returns the name of the image with a number.
pub(super) fn image_file_name(number: u64) -> String {
    format!("{PREFIX}{number:08}")
}

/// Returns the number of a file that is an image by its name.
pub(in crate::logstor) fn image_number(name: &str) -> Option<u64> {
    let number = name.strip_prefix(PREFIX)?.parse().ok()?;
    // Opening removes older images, and no file with a name that only looks like theirs.
    (image_file_name(number) == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_number_is_that_of_an_exact_name() {
        for number in [0, 1, 99_999_999, 100_000_000, u64::MAX] {
            assert_eq!(image_number(&image_file_name(number)), Some(number));
        }
        for name in [
            "index-",
            "index-2024",
            "index-+0000001",
            "index-000000001",
            "index-00000001.new",
            "index-00000001.runs",
            "log-00000001",
        ] {
            assert_eq!(image_number(name), None, "{name}");
        }
    }
}
