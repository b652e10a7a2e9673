//! Logarithm and exponential with identical results on every machine.
//!
//! The standard library calls the platform's functions, which may differ in the last bit. Then an
//! operation's key would differ, and everything after it. This file uses only `+ - * /`, which IEEE
//! 754 defines exactly.

/// Returns the natural logarithm of a number of at least 1.
pub(super) fn ln(mut x: f64) -> f64 {
    let mut halvings = 0.0;
    // Division by two is exact.
    while x > 2.0 {
        x /= 2.0;
        halvings += 1.0;
    }
    // ln x = 2 artanh z. z is at most 1/3, so each term is at most a ninth of the one before, and
    // 20 terms exceed the precision.
    let z = (x - 1.0) / (x + 1.0);
    let square = z * z;
    let mut power = z;
    let mut sum = 0.0;
    let mut odd = 1.0;
    for _ in 0..20 {
        sum += power / odd;
        power *= square;
        odd += 2.0;
    }
    2.0 * sum + halvings * std::f64::consts::LN_2
}

/// Returns e^x, for x up to a few dozen with either sign.
pub(super) fn exp(x: f64) -> f64 {
    if x < 0.0 {
        return 1.0 / exp(-x);
    }
    if x > 1.0 {
        let half = exp(x / 2.0);
        return half * half;
    }
    // 20 terms of Taylor's series exceed the precision.
    let mut term = 1.0;
    let mut sum = 1.0;
    let mut n = 1.0;
    for _ in 0..20 {
        term *= x / n;
        sum += term;
        n += 1.0;
    }
    sum
}

/// Returns `base` to the power of `exponent`, for a positive base.
pub(super) fn power(base: f64, exponent: f64) -> f64 {
    let logarithm = if base < 1.0 {
        -ln(1.0 / base)
    } else {
        ln(base)
    };
    exp(exponent * logarithm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_functions_agree_with_the_platform_functions() {
        for x in [1.0, 1.5, 2.0, 10.0, 12_345.678, 1e12] {
            assert!(
                (ln(x) - f64::ln(x)).abs() <= 1e-14 * f64::ln(x).max(1.0),
                "ln {x}"
            );
        }
        for x in [-20.0, -1.5, -0.1, 0.0, 0.3, 1.0, 1.0001, 7.5, 30.0] {
            assert!((exp(x) / f64::exp(x) - 1.0).abs() < 1e-13, "exp {x}");
        }
        for (base, exponent) in [
            (0.001, -0.35),
            (0.5, 2.0),
            (1.0, 5.0),
            (70.0, 0.2615),
            (3.0, -1.0),
        ] {
            assert!(
                (power(base, exponent) / f64::powf(base, exponent) - 1.0).abs() < 1e-13,
                "{base}^{exponent}"
            );
        }
    }
}
