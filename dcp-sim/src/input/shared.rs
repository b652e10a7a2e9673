//! A source that is read once and played many times.

use std::sync::Arc;

use super::error::InputError;
use super::source::{ChangeBatch, Source};

/// All batches of another source, in memory. Clones share them; each plays them from the first.
#[derive(Clone)]
pub struct SharedSource {
    batches: Arc<[ChangeBatch]>,
    about: Arc<str>,
    next: usize,
}

impl SharedSource {
    /// Reads a source to its end.
    ///
    /// # Errors
    /// The source's error.
    pub fn load(source: &mut dyn Source) -> Result<Self, InputError> {
        let about = source.describe().into();
        let batches =
            std::iter::from_fn(|| source.next_batch().transpose()).collect::<Result<_, _>>()?;
        Ok(Self {
            batches,
            about,
            next: 0,
        })
    }
}

impl Source for SharedSource {
    fn next_batch(&mut self) -> Result<Option<ChangeBatch>, InputError> {
        let batch = self.batches.get(self.next).cloned();
        self.next += usize::from(batch.is_some());
        Ok(batch)
    }

    fn batches_total(&self) -> Option<u64> {
        Some(self.batches.len() as u64)
    }

    fn describe(&self) -> String {
        self.about.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::generated::{Distribution, GeneratedSource};

    fn all(source: &mut dyn Source) -> Vec<ChangeBatch> {
        std::iter::from_fn(|| source.next_batch().expect("readable")).collect()
    }

    #[test]
    fn shared_source_played_twice_gives_its_batches_twice() {
        let generated =
            || GeneratedSource::new(Distribution::Zipfian, 50, 9, 30, 1).expect("valid");
        let shared = SharedSource::load(&mut generated()).expect("readable");
        let loaded = all(&mut generated());
        for mut played in [shared.clone(), shared] {
            assert_eq!(played.batches_total(), Some(50));
            assert_eq!(all(&mut played), loaded);
            assert!(played.next_batch().expect("the end").is_none());
        }
    }

    #[test]
    fn source_that_fails_midway_is_not_loaded() {
        let text = "{\"op\":\"delete\",\"key\":\"a\"}\nnonsense\n";
        let mut source = crate::input::json_lines::JsonLines::new("in", std::io::Cursor::new(text));
        assert!(SharedSource::load(&mut source).is_err_and(|error| error.is_usage()));
    }
}
