//! Reading small things off the front of a line.

/// The decimal number at the front, and what follows it.
pub(crate) fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let len = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(len)?;
    let value = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((value, rest))
}

/// A number of exactly `len` digits, and what follows it.
pub(crate) fn digits(text: &[u8], len: usize) -> Option<(u64, &[u8])> {
    let (head, rest) = text.split_at_checked(len)?;
    let (value, left) = number(head)?;
    left.is_empty().then_some((value, rest))
}

/// What follows a decimal fraction (`.123`, `,123456`) and its value in microseconds; digits
/// beyond the sixth are dropped.
pub(crate) fn micros(text: &[u8]) -> Option<(u64, &[u8])> {
    let len = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (fraction, rest) = text.split_at_checked(len)?;
    if fraction.is_empty() {
        return None;
    }
    let padded = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(6);
    let value = padded.fold(0, |sum, digit| sum * 10 + u64::from(digit.saturating_sub(b'0')));
    Some((value, rest))
}

/// Without blanks and tabs in front.
pub(crate) fn trim_start(text: &[u8]) -> &[u8] {
    let blank = text.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    text.get(blank..).unwrap_or_default()
}

/// The first word, and what follows the blanks behind it.
pub(crate) fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (word, rest) = first_word(text);
    (!word.is_empty()).then(|| (word, trim_start(rest)))
}

/// The first word, and everything behind it, blanks included.
pub(crate) fn first_word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr2(b' ', b'\t', text).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, &[]))
}

/// `08:47:12` at the front, perhaps with a fraction, and what follows it; the value is the time of
/// day in microseconds.
pub(crate) fn clock(text: &[u8]) -> Option<(u64, &[u8])> {
    let (hour, rest) = digits(text, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(b":")?, 2)?;
    let (second, rest) = digits(rest.strip_prefix(b":")?, 2)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let whole = (hour * 3600 + minute * 60 + second) * 1_000_000;
    let fraction = match rest.split_first() {
        Some((b'.' | b',', digits)) => micros(digits),
        _ => None,
    };
    Some(fraction.map_or((whole, rest), |(us, rest)| (whole + us, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_off_the_front() {
        assert_eq!(number(b"12ab"), Some((12, &b"ab"[..])));
        assert_eq!(number(b"ab"), None);
        assert_eq!(number(b"99999999999999999999"), None);
        assert_eq!(micros(b"5]"), Some((500_000, &b"]"[..])));
        assert_eq!(micros(b"123456789"), Some((123_456, &b""[..])));
    }

    #[test]
    fn a_clock_is_three_pairs() {
        assert_eq!(clock(b"00:00:01.5 x"), Some((1_500_000, &b" x"[..])));
        assert_eq!(clock(b"24:00:00"), None);
        assert_eq!(clock(b"1:00:00"), None);
    }
}
