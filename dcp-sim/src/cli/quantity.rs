//! Parser of numbers as people type them: `250000`, `250_000`, `250k`, `0.25M`, `2.5e5`; sizes with
//! a unit: `64KiB`, `10MB`.
//!
//! The result is the exact integer, or an error.

/// Parses a number of things. It is a value parser for clap.
///
/// # Errors
/// A description of the defect.
pub(super) fn count<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let (number, unit) = parts(text);
    let scale = match unit {
        "" => 1,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        _ => {
            return Err(
                "not a count: give a number such as 250000, 250_000, 250k, 0.25M or 2.5e5"
                    .to_owned(),
            );
        }
    };
    fitted(number, scale)
}

/// Parses a number of things that is at least one.
///
/// # Errors
/// Same as [`count`].
pub(super) fn positive(text: &str) -> Result<u64, String> {
    count(text).and_then(|count| {
        if count == 0 {
            Err("must be 1 or more".to_owned())
        } else {
            Ok(count)
        }
    })
}

/// Parses a size in bytes.
///
/// # Errors
/// Same as [`count`].
pub(super) fn bytes<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let (number, unit) = parts(text);
    let scale = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "k" | "K" | "M" | "G" => {
            let letter = unit.to_uppercase();
            return Err(format!(
                "{unit} can mean two things: write {number}{letter}iB (of 1024) or {number}{letter}B (of 1000)"
            ));
        }
        _ => {
            return Err(
                "not a size: give bytes, or a number with B, KiB, MiB, GiB, kB, MB or GB"
                    .to_owned(),
            );
        }
    };
    fitted(number, scale)
}

/// Splits a text into a number and its unit.
fn parts(text: &str) -> (&str, &str) {
    let is_exponent = |at: usize, c: char| {
        let rest = text.get(at + 1..).unwrap_or_default();
        matches!(c, 'e' | 'E')
            && rest
                .trim_start_matches('+')
                .starts_with(|c: char| c.is_ascii_digit())
    };
    let is_number =
        |at: usize, c: char| c.is_ascii_digit() || "._,+-".contains(c) || is_exponent(at, c);
    let end = text
        .char_indices()
        .find(|&(at, c)| !is_number(at, c))
        .map_or(text.len(), |(at, _)| at);
    let (number, unit) = text.split_at_checked(end).unwrap_or((text, ""));
    (number, unit.trim())
}

fn fitted<T: TryFrom<u64>>(number: &str, scale: u64) -> Result<T, String> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let plain: String = whole.chars().filter(|c| !matches!(c, '_' | ',')).collect();
    if !is_digits(&plain)
        || !whole.starts_with(|c: char| c.is_ascii_digit())
        || !(part.is_empty() || is_digits(part))
    {
        return Err("not a whole number of 0 or more".to_owned());
    }
    let too_large = || format!("too large: at most {}", u64::MAX);
    let exponent: u32 = exponent
        .parse()
        .map_err(|_| "not a whole number of 0 or more".to_owned())?;
    let digits: u128 = format!("{plain}{part}").parse().map_err(|_| too_large())?;
    let times = |number: u128, power: u32| {
        10_u128
            .checked_pow(power)
            .and_then(|factor| number.checked_mul(factor))
    };
    let scaled = times(digits, exponent)
        .and_then(|number| number.checked_mul(u128::from(scale)))
        .ok_or_else(too_large)?;
    let divisor = u32::try_from(part.len())
        .ok()
        .and_then(|power| 10_u128.checked_pow(power))
        .ok_or_else(too_large)?;
    if scaled % divisor != 0 {
        return Err("not a whole number".to_owned());
    }
    let exact = u64::try_from(scaled / divisor).map_err(|_| too_large())?;
    T::try_from(exact).map_err(|_| format!("{exact} is too large here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_parsed_exactly() {
        for (text, number) in [
            ("0", 0),
            ("1e6", 1_000_000),
            ("1E+6", 1_000_000),
            ("1M", 1_000_000),
            ("10k", 10_000),
            ("10K", 10_000),
            ("1_000_000", 1_000_000),
            ("1,000", 1_000),
            ("2.5e5", 250_000),
            ("0.25M", 250_000),
            ("1G", 1_000_000_000),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(count(text), Ok(number), "{text}");
        }
    }

    #[test]
    fn invalid_counts_are_refused() {
        for text in [
            "",
            "-1",
            "+1",
            "1.5",
            "1e-3",
            "e6",
            "M",
            "1 k k",
            "1Mi",
            "10KiB",
            "ten",
            "1..5",
            "_1",
            "1e",
            "é",
            "18446744073709551616",
            "1e20",
            "1e99",
            "1.00000000000000000000000000000000000000000001",
        ] {
            assert!(
                count::<u64>(text).is_err(),
                "{text}: {:?}",
                count::<u64>(text)
            );
        }
        assert_eq!(
            count::<u16>("70k"),
            Err("70000 is too large here".to_owned())
        );
        assert!(positive("0").is_err() && positive("0.0").is_err() && positive("1") == Ok(1));
    }

    #[test]
    fn sizes_are_parsed_with_units() {
        for (text, number) in [
            ("512", 512),
            ("512B", 512),
            ("64KiB", 65_536),
            ("1.5 MiB", 1_572_864),
            ("10MB", 10_000_000),
            ("1e3", 1_000),
        ] {
            assert_eq!(bytes(text), Ok(number), "{text}");
        }
        let error = bytes::<u64>("64k").expect_err("two meanings");
        assert!(error.contains("64KiB") && error.contains("64KB"), "{error}");
        for text in ["64kib", "1TiB", "KiB", "0.5B", "-1KiB"] {
            assert!(bytes::<u64>(text).is_err(), "{text}");
        }
    }
}
