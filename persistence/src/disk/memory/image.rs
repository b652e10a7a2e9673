//! A file's bytes at one moment, as sparse pages: bytes go in at offsets and come out again.
//!
//! Always: no page lies wholly at or beyond the length, every byte beyond the length within the last page is 0, and
//! what has no page reads as zeros. Clones share pages until one of them is written.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// What space is handed out in.
pub(super) const PAGE_BYTES: u64 = 4096;

const PAGE: usize = PAGE_BYTES as usize;

type Page = [u8; PAGE];

#[derive(Clone, Default)]
pub(super) struct Image {
    len: u64,
    pages: BTreeMap<u64, Arc<Page>>,
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("len", &self.len).field("pages", &self.pages.len()).finish()
    }
}

impl Image {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Pages that take space.
    pub(super) fn pages(&self) -> u64 {
        self.pages.len() as u64
    }

    /// Pages that a write over these bytes would add.
    pub(super) fn missing_pages(&self, bytes: Range<u64>) -> u64 {
        let wanted = page_numbers(bytes);
        let present = self.pages.range(wanted.clone()).count() as u64;
        (wanted.end - wanted.start).saturating_sub(present)
    }

    /// Pages that a cut to `len` would free.
    pub(super) fn pages_beyond(&self, len: u64) -> u64 {
        self.pages.range(len.div_ceil(PAGE_BYTES)..).count() as u64
    }

    /// Cuts, or extends with a hole.
    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.pages.split_off(&len.div_ceil(PAGE_BYTES));
            let (number, start) = split(len);
            if let Some(tail) =
                self.pages.get_mut(&number).and_then(|page| Arc::make_mut(page).get_mut(start..))
            {
                tail.fill(0);
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
        for (number, within) in pieces(offset, bytes.len() as u64) {
            let Some((now, later)) = rest.split_at_checked(within.len()) else { break };
            let page = self.pages.entry(number).or_insert_with(|| Arc::new([0; PAGE]));
            if let Some(target) = Arc::make_mut(page).get_mut(within) {
                target.copy_from_slice(now);
            }
            rest = later;
        }
        if !bytes.is_empty() {
            self.extend_to(offset.saturating_add(bytes.len() as u64));
        }
    }

    /// Writes zeros; unlike a hole they take space. Whole pages of them share one page of memory.
    pub(super) fn write_zeros(&mut self, offset: u64, len: u64) {
        let zeros: Arc<Page> = Arc::new([0; PAGE]);
        for (number, within) in pieces(offset, len) {
            let page = self.pages.entry(number).or_insert_with(|| Arc::clone(&zeros));
            if within.len() == PAGE {
                *page = Arc::clone(&zeros);
            } else if let Some(target) = Arc::make_mut(page).get_mut(within) {
                target.fill(0);
            }
        }
        if len > 0 {
            self.extend_to(offset.saturating_add(len));
        }
    }

    /// Fills the buffer as far as the file goes; returns how far.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let available = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = buffer.len().min(available);
        let mut rest = buffer.get_mut(..count).unwrap_or_default();
        for (number, within) in pieces(offset, count as u64) {
            let Some((now, later)) = rest.split_at_mut_checked(within.len()) else { break };
            match self.pages.get(&number).and_then(|page| page.get(within)) {
                Some(source) => now.copy_from_slice(source),
                None => now.fill(0),
            }
            rest = later;
        }
        count
    }

    /// Takes over the pages that `other` has under these bytes.
    pub(super) fn share_pages(&mut self, other: &Self, bytes: Range<u64>) {
        let pages = other.pages.range(page_numbers(bytes));
        self.pages.extend(pages.map(|(&number, page)| (number, Arc::clone(page))));
    }
}

fn page_numbers(bytes: Range<u64>) -> Range<u64> {
    let first = bytes.start / PAGE_BYTES;
    if bytes.is_empty() { first..first } else { first..bytes.end.div_ceil(PAGE_BYTES) }
}

/// The page an offset lies in, and where in it.
fn split(offset: u64) -> (u64, usize) {
    (offset / PAGE_BYTES, (offset % PAGE_BYTES) as usize)
}

/// A byte range page by page: the page's number and the bytes within it.
fn pieces(offset: u64, len: u64) -> impl Iterator<Item = (u64, Range<usize>)> {
    let mut at = offset;
    let mut rest = len;
    std::iter::from_fn(move || {
        if rest == 0 {
            return None;
        }
        let (number, start) = split(at);
        let count = rest.min(PAGE_BYTES - start as u64);
        at = at.saturating_add(count);
        rest -= count;
        Some((number, start..start + count as usize))
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
    fn a_cut_is_not_undone_by_extending() {
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
    fn zeros_replace_and_take_space() {
        let mut image = Image::default();
        image.write(0, &[7; 100]);
        assert_eq!(image.missing_pages(50..3 * PAGE_BYTES), 2);
        image.write_zeros(50, 3 * PAGE_BYTES - 50);
        assert_eq!(image.pages(), 3);
        let mut expected = vec![7; 50];
        expected.resize(3 * PAGE, 0);
        assert_eq!(bytes(&image), expected);
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
    fn a_hole_of_any_size_costs_nothing() {
        let mut image = Image::default();
        image.set_len(1 << 62);
        image.write((1 << 62) - 2, b"end");
        assert_eq!((image.len(), image.pages()), ((1 << 62) + 1, 2));
        let mut buffer = [1; 10];
        assert_eq!(image.read(&mut buffer, (1 << 62) - 3), 4);
        assert_eq!(&buffer[..4], b"\0end");
    }
}
