//! A source whose first batch is already read. So input that is invalid from the start is refused
//! before any work.

use super::error::InputError;
use super::source::{ChangeBatch, Source};

/// Source that returns all batches of another one.
pub struct Peeked {
    first: Option<ChangeBatch>,
    rest: Box<dyn Source>,
}

impl Peeked {
    /// Reads the first batch of a source.
    ///
    /// # Errors
    /// The source's error.
    pub fn new(mut rest: Box<dyn Source>) -> Result<Self, InputError> {
        Ok(Self {
            first: rest.next_batch()?,
            rest,
        })
    }
}

impl Source for Peeked {
    fn next_batch(&mut self) -> Result<Option<ChangeBatch>, InputError> {
        match self.first.take() {
            Some(batch) => Ok(Some(batch)),
            None => self.rest.next_batch(),
        }
    }

    fn batches_total(&self) -> Option<u64> {
        self.rest.batches_total()
    }

    fn describe(&self) -> String {
        self.rest.describe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::json_lines::JsonLines;

    #[test]
    fn peeked_source_gives_every_batch_once() {
        let lines = "{\"op\":\"delete\",\"key\":\"a\"}\n{\"op\":\"delete\",\"key\":\"b\"}\n";
        let source = || Box::new(JsonLines::new("in.jsonl", std::io::Cursor::new(lines)));
        let mut peeked = Peeked::new(source()).expect("good");
        let mut plain = source();
        for _ in 0..4 {
            assert_eq!(
                peeked.next_batch().expect("good"),
                plain.next_batch().expect("good")
            );
        }
    }
}
