//! Bytes as a source of choices: they go in, small numbers come out, zeros once there are none left.

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

    /// One of these.
    pub(super) fn one_of<T: Copy + Default>(&mut self, choices: &[T]) -> T {
        let at = usize::from(self.byte()).checked_rem(choices.len());
        at.and_then(|at| choices.get(at))
            .copied()
            .unwrap_or_default()
    }

    /// So many bytes as the next one says, or what is left.
    pub(super) fn piece(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        piece
    }

    /// Mostly a small one, near where a test's seqnos are.
    pub(super) fn seqno(&mut self) -> Seqno {
        match self.byte() {
            255 => Seqno::MAX,
            254 => Seqno(1 << 48),
            small => Seqno(u64::from(small % 32)),
        }
    }
}
