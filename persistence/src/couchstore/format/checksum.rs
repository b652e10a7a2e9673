//! The two checksums of the format: CRC-32C since version 12, zlib's CRC-32 before. A file keeps
//! its checksum for life.

/// The checksum of a file's headers and chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// Up to version 11.
    Crc32,
    /// From version 12 on.
    Crc32c,
}

impl Checksum {
    /// Returns the checksum of files of that version.
    pub(crate) const fn of_version(version: u8) -> Self {
        if version <= 11 {
            Self::Crc32
        } else {
            Self::Crc32c
        }
    }

    pub(crate) fn of(self, bytes: &[u8]) -> u32 {
        match self {
            Self::Crc32c => crc32c::crc32c(bytes),
            Self::Crc32 => !bytes.iter().fold(u32::MAX, |crc, &byte| {
                let index = usize::from((crc as u8) ^ byte);
                (crc >> 8) ^ CRC32.get(index).copied().unwrap_or_default()
            }),
        }
    }
}

/// Remainders of every byte by the polynomial EDB88320. Old files are only read, so speed does not
/// matter.
const CRC32: [u32; 256] = {
    let mut table = [0_u32; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut rest = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            rest = if rest & 1 == 1 {
                0xedb8_8320 ^ (rest >> 1)
            } else {
                rest >> 1
            };
            bit += 1;
        }
        #[allow(
            clippy::indexing_slicing,
            reason = "evaluated by the compiler, within 0..256"
        )]
        {
            table[byte] = rest;
        }
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_give_their_published_check_values() {
        assert_eq!(Checksum::Crc32.of(b"123456789"), 0xcbf4_3926);
        assert_eq!(Checksum::Crc32c.of(b"123456789"), 0xe306_9283);
    }
}
