//! Raw snappy blocks: the encoding of nodes, and of bodies that are marked as compressed.
//!
//! Decoding never allocates more than the input could really expand to, whatever length it claims.

/// Greatest expansion: no snappy element produces more than 64 bytes, and such a copy takes three.
const EXPANSION_MAX: usize = 22;

/// Returns the length that `compressed` claims, or `None` if it is impossible.
pub(crate) fn length(compressed: &[u8]) -> Option<usize> {
    let claimed = snap::raw::decompress_len(compressed).ok()?;
    (claimed <= compressed.len().saturating_mul(EXPANSION_MAX)).then_some(claimed)
}

/// Decompresses a block. Returns `None` if it is not a snappy block.
pub(crate) fn decompress(compressed: &[u8]) -> Option<Vec<u8>> {
    length(compressed)?;
    snap::raw::Decoder::new().decompress_vec(compressed).ok()
}

/// Decompresses a block into `out`, which it must fill exactly. Returns `None` if it does not, or
/// is not a snappy block.
pub(crate) fn decompress_into(compressed: &[u8], out: &mut [u8]) -> Option<()> {
    let length = snap::raw::Decoder::new().decompress(compressed, out).ok()?;
    (length == out.len()).then_some(())
}

/// Compresses bytes. Returns `None` beyond 4 GiB.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    snap::raw::Encoder::new().compress_vec(bytes).ok()
}

/// A compressor that reuses its memory.
#[derive(Debug, Default)]
pub(crate) struct Compressor {
    encoder: Option<Box<snap::raw::Encoder>>,
    out: Vec<u8>,
}

impl Compressor {
    /// Compresses bytes. Returns `None` beyond 4 GiB.
    pub(crate) fn compress(&mut self, bytes: &[u8]) -> Option<&[u8]> {
        let bytes_max = snap::raw::max_compress_len(bytes.len());
        if self.out.len() < bytes_max {
            self.out.resize(bytes_max, 0);
        }
        let encoder = self
            .encoder
            .get_or_insert_with(|| Box::new(snap::raw::Encoder::new()));
        let length = encoder.compress(bytes, &mut self.out).ok()?;
        self.out.get(..length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greatest_expansion_decodes() {
        let zeros = vec![0; 1 << 20];
        let compressed = compress(&zeros).expect("small");
        assert_eq!(decompress(&compressed), Some(zeros));
    }

    #[test]
    fn impossible_length_is_refused_before_allocating() {
        assert_eq!(decompress(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0x00]), None);
        assert_eq!(decompress(&[]), None);
    }
}
