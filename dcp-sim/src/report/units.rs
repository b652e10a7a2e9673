//! Numbers as people read them.

/// Bytes in the largest binary unit that keeps them at 1 or more.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut scaled, mut name) = (bytes as f64, "B");
    for unit in UNITS {
        if scaled < 1024.0 {
            break;
        }
        (scaled, name) = (scaled / 1024.0, unit);
    }
    format!("{scaled:.1} {name}")
}

/// A count with its thousands apart.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Virtual microseconds as a time.
pub(super) fn micros(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([5, 1_536, 3 << 20].map(bytes), ["5 B", "1.5 KiB", "3.0 MiB"]);
        assert_eq!([7, 1_500, 2_000_000].map(micros), ["7 us", "1.5 ms", "2.00 s"]);
    }
}
