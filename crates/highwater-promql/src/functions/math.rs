//! Functions of one value.

use std::f64::consts::PI;

/// The function called `name`.
pub(crate) fn of(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "asinh" => f64::asinh,
        "acosh" => f64::acosh,
        "atanh" => f64::atanh,
        "rad" => rad,
        "deg" => deg,
        "sgn" => sgn,
        _ => return None,
    })
}

fn rad(value: f64) -> f64 {
    value * PI / 180.0
}

fn deg(value: f64) -> f64 {
    value * 180.0 / PI
}

fn sgn(value: f64) -> f64 {
    if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    }
}

/// The multiple of `nearest` that is next to `value`; of two the upper one.
pub(crate) fn round(value: f64, nearest: f64) -> f64 {
    // Multiplying by the inverse is a little more exact than dividing.
    let inverse = 1.0 / nearest;
    (value * inverse + 0.5).floor() / inverse
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "what is exact is compared exactly")]
mod tests {
    use super::*;

    #[test]
    fn signs_and_ties() {
        assert_eq!([sgn(-2.0), sgn(0.0), sgn(f64::INFINITY)], [-1.0, 0.0, 1.0]);
        assert!(sgn(f64::NAN).is_nan());
        assert_eq!(round(2.5, 1.0), 3.0);
        assert_eq!(round(-2.5, 1.0), -2.0);
        assert_eq!(round(13.0, 5.0), 15.0);
        assert_eq!(deg(rad(90.0)), 90.0);
    }
}
