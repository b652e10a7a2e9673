//! The part of an image that was still true when the store was opened.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::logstor::format::to_usize;
use crate::logstor::index_image::{CoveredSegment, Image};
use crate::logstor::log::Segment;

/// An image, and the covered uses that went on when the store was opened.
#[derive(Debug)]
pub(in crate::logstor) struct ImageCoverage {
    pub(super) image: Arc<Image>,
    /// Covered uses that go on, by segment.
    pub(super) current: BTreeMap<u32, (Arc<Segment>, CoveredSegment)>,
    /// Whether a segment is in `current`, for the check of each row.
    is_current: Vec<bool>,
}

impl ImageCoverage {
    pub(in crate::logstor) fn new(
        image: Arc<Image>,
        current: BTreeMap<u32, (Arc<Segment>, CoveredSegment)>,
    ) -> Self {
        let mut is_current = vec![
            false;
            current
                .last_key_value()
                .map_or(0, |(&last, _)| to_usize(last) + 1)
        ];
        for &id in current.keys() {
            if let Some(is_current) = is_current.get_mut(to_usize(id)) {
                *is_current = true;
            }
        }
        Self {
            image,
            current,
            is_current,
        }
    }

    /// Returns whether the covered use of a segment goes on.
    pub(super) fn is_current(&self, segment: u32) -> bool {
        self.is_current
            .get(to_usize(segment))
            .copied()
            .unwrap_or(false)
    }
}
