//! Reports to loom of each access to a cell that no lock protects, only an invariant (C26).
//!
//! The cells themselves are not loom's, so that the models run the layout that ships.

/// The accesses to a run of cells, reported to loom. Empty without loom.
#[derive(Debug)]
pub(crate) struct Accesses(#[cfg(checkpoint_loom)] Box<[loom::cell::UnsafeCell<()>]>);

#[cfg_attr(
    not(checkpoint_loom),
    expect(clippy::unused_self, reason = "under loom they have something to do")
)]
impl Accesses {
    pub(crate) fn new(_cells: usize) -> Self {
        Self(
            #[cfg(checkpoint_loom)]
            (0.._cells)
                .map(|_| loom::cell::UnsafeCell::new(()))
                .collect(),
        )
    }

    /// Reports a read of the first `_cells` cells.
    #[inline]
    pub(crate) fn read(&self, _cells: usize) {
        #[cfg(checkpoint_loom)]
        self.0
            .iter()
            .take(_cells)
            .for_each(|cell| cell.with(|_| ()));
    }

    /// Reports a write of one cell.
    #[inline]
    pub(crate) fn write(&self, _cell: usize) {
        #[cfg(checkpoint_loom)]
        self.0
            .iter()
            .skip(_cell)
            .take(1)
            .for_each(|cell| cell.with_mut(|_| ()));
    }
}
