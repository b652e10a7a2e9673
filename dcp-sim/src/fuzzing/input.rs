//! Bytes as a source of choices. Returns zeros after the last byte.

use lowtide_checkpoint::Seqno;

#[derive(Debug)]
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        byte
    }

    /// Picks one of `choices`.
    pub(super) fn one_of<T: Copy + Default>(&mut self, choices: &[T]) -> T {
        let at = usize::from(self.byte()).checked_rem(choices.len());
        at.and_then(|at| choices.get(at))
            .copied()
            .unwrap_or_default()
    }

    /// Takes the number of bytes in the next byte, or all remaining ones.
    pub(super) fn piece(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        piece
    }

    /// Returns a seqno, usually a small one near those of a test.
    pub(super) fn seqno(&mut self) -> Seqno {
        match self.byte() {
            255 => Seqno::MAX,
            254 => Seqno(1 << 48),
            small => Seqno(u64::from(small % 32)),
        }
    }
}
