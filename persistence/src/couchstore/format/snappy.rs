//! Raw snappy blocks: how nodes, and bodies marked so, are stored.
//!
//! Decoding never allocates more than the input could really expand to, whatever length it claims.

/// No snappy element stands for more than 64 bytes, and such a copy takes three.
const EXPANSION_MAX: usize = 22;

/// How many bytes `compressed` claims to stand for; `None` if it can't be so many.
pub(crate) fn length(compressed: &[u8]) -> Option<usize> {
    let claimed = snap::raw::decompress_len(compressed).ok()?;
    (claimed <= compressed.len().saturating_mul(EXPANSION_MAX)).then_some(claimed)
}

/// The bytes `compressed` stands for; `None` if it is no snappy block.
pub(crate) fn decompress(compressed: &[u8]) -> Option<Vec<u8>> {
    length(compressed)?;
    snap::raw::Decoder::new().decompress_vec(compressed).ok()
}

/// Puts the bytes `compressed` stands for where they fit exactly; `None` if they don't, or it is no snappy block.
pub(crate) fn decompress_into(compressed: &[u8], out: &mut [u8]) -> Option<()> {
    let length = snap::raw::Decoder::new().decompress(compressed, out).ok()?;
    (length == out.len()).then_some(())
}

/// A snappy block for `bytes`; `None` beyond 4 GiB.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    snap::raw::Encoder::new().compress_vec(bytes).ok()
}

/// Compresses again and again without new memory each time.
#[derive(Debug, Default)]
pub(crate) struct Compressor {
    encoder: Option<Box<snap::raw::Encoder>>,
    out: Vec<u8>,
}

impl Compressor {
    /// A snappy block for `bytes`; `None` beyond 4 GiB.
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
    fn the_best_case_still_decodes() {
        let zeros = vec![0; 1 << 20];
        let compressed = compress(&zeros).expect("small");
        assert_eq!(decompress(&compressed), Some(zeros));
    }

    #[test]
    fn an_impossible_length_is_refused_before_allocating() {
        assert_eq!(decompress(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0x00]), None);
        assert_eq!(decompress(&[]), None);
    }
}
