//! Questions to servers of the Prometheus API, and whether two answers are the same.

/// How far two values may be apart, as a share of their size.
const APART: f64 = 1e-9;

/// Whether two values are the same but for how they were added up.
pub(crate) fn is_near(a: f64, b: f64) -> bool {
    let is_same = a.is_nan() && b.is_nan() || a.total_cmp(&b).is_eq();
    is_same || (a - b).abs() <= APART * a.abs().max(b.abs()) && (a - b).is_finite()
}

/// A text as a form and an address have it.
pub(crate) fn percent(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    bytes.collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_near_its_like_alone() {
        assert!(is_near(f64::NAN, f64::NAN) && is_near(f64::INFINITY, f64::INFINITY));
        assert!(is_near(1.0, 1.0 + 1e-12) && is_near(0.0, 0.0));
        for (a, b) in [(1.0, f64::NAN), (f64::INFINITY, 1.0), (1.0, 1.001), (-1.0, 1.0)] {
            assert!(!is_near(a, b) && !is_near(b, a), "{a} {b}");
        }
    }

    #[test]
    fn a_text_survives_an_address() {
        assert_eq!(percent("a{b=\"ä\"} 1"), "a%7Bb%3D%22%C3%A4%22%7D%201");
    }
}
