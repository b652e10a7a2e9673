//! Key patterns of `fill`, like those of printf, with one `%d` or `%0Nd`.

/// Pattern with a place for one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::script) struct KeyFormat {
    before: String,
    /// Smallest number of digits.
    digits: usize,
    after: String,
}

/// Largest width of the number: the length of the longest key that any engine accepts.
const DIGITS_MAX: usize = 250;

impl KeyFormat {
    pub(in crate::script) fn new(format: &str) -> Result<Self, String> {
        let wrong = || format!("`keys=` takes a format with one %d or %0Nd, not `{format}`");
        let (before, rest) = format.split_once('%').ok_or_else(wrong)?;
        let (width, after) = rest.split_once('d').ok_or_else(wrong)?;
        if after.contains('%') {
            return Err(wrong());
        }
        let digits = match (width, width.strip_prefix('0')) {
            ("", _) => 0,
            (_, Some(digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
                .parse()
                .ok()
                .filter(|&digits| digits <= DIGITS_MAX)
                .ok_or_else(wrong)?,
            _ => return Err(wrong()),
        };
        Ok(Self {
            before: before.to_owned(),
            digits,
            after: after.to_owned(),
        })
    }

    pub(in crate::script) fn key(&self, number: u64) -> String {
        let Self {
            before,
            digits,
            after,
        } = self;
        format!("{before}{number:0digits$}{after}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_padded_with_zeros() {
        let key = |format, number| KeyFormat::new(format).unwrap().key(number);
        assert_eq!(key("k%04d", 7), "k0007");
        assert_eq!(key("k%04d", 12345), "k12345");
        assert_eq!(key("%d-end", 7), "7-end");
        assert_eq!(key("d%dd", 7), "d7d");
    }

    #[test]
    fn invalid_key_formats_are_refused() {
        for format in [
            "k", "k%", "k%s", "k%4d", "%d%d", "%0d", "%0-1d", "%0999d", "100%%d",
        ] {
            assert!(KeyFormat::new(format).is_err(), "{format}");
        }
    }
}
