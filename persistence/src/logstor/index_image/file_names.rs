//! The names of index images: `index-00000001`, and `index-00000001.new` while one is being made.

const PREFIX: &str = "index-";
/// Suffix of an image that is being made.
pub(super) const UNFINISHED: &str = ".new";

/// Returns the name of the image with a number.
pub(super) fn image_file_name(number: u64) -> String {
    format!("{PREFIX}{number:08}")
}

/// Returns the number of a file that is an image by its name.
pub(in crate::logstor) fn image_number(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.parse().ok()
}
