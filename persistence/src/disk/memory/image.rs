//! A file's bytes at one moment, as sparse pages.
//!
//! # Invariants
//!
//! No page lies wholly at or beyond the length. Every byte beyond the length in the last page is 0.
//! A missing page reads as zeros. Clones share pages until one of them is written.
//!
//! A page takes its full space, but uses memory only for its sectors up to the last one that ever
//! had a byte other than 0. Files are padded and preallocated, and memory that is never touched
//! costs no time.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::numbers::{part_to_usize, to_u64};

/// The unit in which space is allocated.
pub(super) const PAGE_BYTES: u64 = 4096;

const PAGE: usize = PAGE_BYTES as usize;

/// The unit in which pages grow in memory.
const GRAIN: usize = 512;

/// The first bytes of a page, in whole grains. The bytes behind them are 0.
type Page = Arc<[u8]>;

#[derive(Clone, Default)]
pub(super) struct Image {
    len: u64,
    pages: BTreeMap<u64, Page>,
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("len", &self.len)
            .field("pages", &self.pages.len())
            .finish()
    }
}

impl Image {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Returns the number of pages that take space.
    pub(super) fn pages(&self) -> u64 {
        to_u64(self.pages.len())
    }

    /// Returns the number of pages that a write over these bytes would add.
    pub(super) fn missing_pages(&self, bytes: Range<u64>) -> u64 {
        let wanted = page_numbers(bytes);
        let present = to_u64(self.pages.range(wanted.clone()).count());
        (wanted.end - wanted.start).saturating_sub(present)
    }

    /// Returns the number of pages that a cut to `len` would free.
    pub(super) fn pages_beyond(&self, len: u64) -> u64 {
        to_u64(self.pages.range(len.div_ceil(PAGE_BYTES)..).count())
    }

    /// Cuts, or extends with a hole.
    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.pages.split_off(&len.div_ceil(PAGE_BYTES));
            let (number, start) = split(len);
            if let Some(page) = self.pages.get_mut(&number) {
                clear(page, start..PAGE);
            }
        }
        self.len = len;
    }

    /// Extends with a hole; never cuts.
    pub(super) fn extend_to(&mut self, len: u64) {
        self.len = self.len.max(len);
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let mut rest = bytes;
        for (number, within) in pieces(offset, to_u64(bytes.len())) {
            let Some((now, later)) = rest.split_at_checked(within.len()) else {
                break;
            };
            put(self.pages.entry(number).or_default(), within.start, now);
            rest = later;
        }
        if !bytes.is_empty() {
            self.extend_to(offset.saturating_add(to_u64(bytes.len())));
        }
    }

    /// Writes zeros; unlike a hole they take space.
    pub(super) fn write_zeros(&mut self, offset: u64, len: u64) {
        let empty = Page::default();
        for (number, within) in pieces(offset, len) {
            let page = self
                .pages
                .entry(number)
                .or_insert_with(|| Page::clone(&empty));
            if within.len() == PAGE {
                *page = Page::clone(&empty);
            } else {
                clear(page, within);
            }
        }
        if len > 0 {
            self.extend_to(offset.saturating_add(len));
        }
    }

    /// Fills the buffer up to the end of the file. Returns the number of bytes read.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let available = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = buffer.len().min(available);
        let mut rest = buffer.get_mut(..count).unwrap_or_default();
        for (number, within) in pieces(offset, to_u64(count)) {
            let Some((now, later)) = rest.split_at_mut_checked(within.len()) else {
                break;
            };
            let page = self.pages.get(&number).map_or(&[][..], |page| page);
            let held = page.get(within.start..).unwrap_or_default();
            let held = held.get(..within.len()).unwrap_or(held);
            let (copied, zeros) = now.split_at_mut(held.len());
            copied.copy_from_slice(held);
            zeros.fill(0);
            rest = later;
        }
        count
    }

    /// Shares the pages that `other` has under these bytes.
    pub(super) fn share_pages(&mut self, other: &Self, bytes: Range<u64>) {
        let pages = other.pages.range(page_numbers(bytes));
        self.pages
            .extend(pages.map(|(&number, page)| (number, Arc::clone(page))));
    }
}

/// Writes bytes into a page, starting at `start`.
fn put(page: &mut Page, start: usize, bytes: &[u8]) {
    // Zeros behind the page's bytes are there already.
    let held = page.len().saturating_sub(start).min(bytes.len());
    let (over, behind) = bytes.split_at(held);
    let behind = without_zeros(behind);
    let grown = start + held + behind.len();
    if behind.is_empty() {
        if let Some(target) = Arc::make_mut(page).get_mut(start..start + over.len()) {
            target.copy_from_slice(over);
        }
        return;
    }
    let whole = grown.next_multiple_of(GRAIN);
    if let (0, Some(all)) = (start, bytes.get(..whole)) {
        *page = Page::from(all);
        return;
    }
    let mut larger: Page = std::iter::repeat_n(0, whole).collect();
    if let Some(larger) = Arc::get_mut(&mut larger) {
        for (at, from) in [
            (0, &page[..]),
            (start, bytes.get(..grown - start).unwrap_or(bytes)),
        ] {
            if let Some(target) = larger.get_mut(at..at + from.len()) {
                target.copy_from_slice(from);
            }
        }
    }
    *page = larger;
}

/// Same as [`put`], with zeros.
fn clear(page: &mut Page, within: Range<usize>) {
    let end = within.end.min(page.len());
    if within.start < end
        && let Some(target) = Arc::make_mut(page).get_mut(within.start..end)
    {
        target.fill(0);
    }
}

/// Returns the bytes without the whole grains of zeros at their end.
fn without_zeros(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let Some((before, last)) = rest.split_last_chunk::<GRAIN>()
        && *last == [0; GRAIN]
    {
        rest = before;
    }
    if rest.len() < GRAIN && rest.iter().all(|&byte| byte == 0) {
        &[]
    } else {
        rest
    }
}

fn page_numbers(bytes: Range<u64>) -> Range<u64> {
    let first = bytes.start / PAGE_BYTES;
    if bytes.is_empty() {
        first..first
    } else {
        first..bytes.end.div_ceil(PAGE_BYTES)
    }
}

/// Returns the page of an offset, and the offset within it.
fn split(offset: u64) -> (u64, usize) {
    (offset / PAGE_BYTES, part_to_usize(offset % PAGE_BYTES))
}

/// Splits a byte range into pages: each page's number and the bytes within it.
fn pieces(offset: u64, len: u64) -> impl Iterator<Item = (u64, Range<usize>)> {
    let mut at = offset;
    let mut rest = len;
    std::iter::from_fn(move || {
        if rest == 0 {
            return None;
        }
        let (number, start) = split(at);
        let count = rest.min(PAGE_BYTES - to_u64(start));
        at = at.saturating_add(count);
        rest -= count;
        Some((number, start..start + part_to_usize(count)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(image: &Image) -> Vec<u8> {
        let mut buffer = vec![0xee; image.len() as usize];
        assert_eq!(image.read(&mut buffer, 0), buffer.len());
        buffer
    }

    #[test]
    fn cut_is_not_undone_by_extending() {
        let mut image = Image::default();
        image.write(0, &[7; 9000]);
        image.set_len(4100);
        image.set_len(9000);
        let mut expected = vec![7; 4100];
        expected.resize(9000, 0);
        assert_eq!(bytes(&image), expected);
        assert_eq!(image.pages(), 2);
    }

    #[test]
    fn written_zeros_replace_bytes_and_take_space() {
        let mut image = Image::default();
        image.write(0, &[7; 100]);
        assert_eq!(image.missing_pages(50..3 * PAGE_BYTES), 2);
        image.write_zeros(50, 3 * PAGE_BYTES - 50);
        assert_eq!(image.pages(), 3);
        let mut expected = vec![7; 50];
        expected.resize(3 * PAGE, 0);
        assert_eq!(bytes(&image), expected);
    }

    /// Compares pages as plain bytes with pages as they are kept, after writes of all kinds.
    #[test]
    fn page_after_any_writes_holds_their_bytes_in_the_least_memory() {
        let (mut image, mut expected) = (Image::default(), vec![0; PAGE]);
        let mut write = |image: &mut Image, at: usize, bytes: &[u8], held: usize| {
            image.write(at as u64, bytes);
            expected[at..at + bytes.len()].copy_from_slice(bytes);
            image.set_len(PAGE_BYTES);
            let page = image.pages.get(&0).expect("written");
            assert_eq!(
                (page.len(), self::bytes(image) == expected),
                (held, true),
                "{at}"
            );
        };
        write(&mut image, 100, &[0; 4], 0);
        write(&mut image, 100, &[1; 10], 512);
        write(&mut image, 500, &[2; 600], 1_536);
        write(&mut image, 1_000, &[0; 3_000], 1_536);
        write(&mut image, 0, &[3; 512], 1_536);
        let mut padded = vec![4; 3_000];
        padded.resize(PAGE, 0);
        write(&mut image, 0, &padded, 3_072);
        write(&mut image, 3_072, &[5; 1], 3_584);
        write(&mut image, PAGE - 1, &[6; 1], PAGE);
        image.set_len(700);
        image.set_len(PAGE_BYTES);
        assert!(self::bytes(&image)[700..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn clones_do_not_see_each_others_writes() {
        let mut image = Image::default();
        image.write_zeros(0, 2 * PAGE_BYTES);
        let before = image.clone();
        image.write(10, b"new");
        assert_eq!(bytes(&before), vec![0; 2 * PAGE]);
        assert_eq!(&bytes(&image)[10..13], b"new");
    }

    #[test]
    fn hole_of_any_size_costs_nothing() {
        let mut image = Image::default();
        image.set_len(1 << 62);
        image.write((1 << 62) - 2, b"end");
        assert_eq!((image.len(), image.pages()), ((1 << 62) + 1, 2));
        let mut buffer = [1; 10];
        assert_eq!(image.read(&mut buffer, (1 << 62) - 3), 4);
        assert_eq!(&buffer[..4], b"\0end");
    }
}
