//! How the kernel lays out text: lines, `key value`, fields, octal escapes.

/// The lines that end in a newline, without it.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"))
}

/// The fields between spaces and tabs, however many there are.
pub(crate) fn fields(line: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty())
}

/// The lines that are exactly `key number`, as in `vmstat`, `memory.stat` and `memory.events`.
pub(crate) fn counters(text: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
    lines(text).filter_map(|line| {
        let space = memchr::memchr(b' ', line)?;
        let (key, value) = line.split_at_checked(space)?;
        Some((key, super::number::u64(value)?))
    })
}

/// The lines that are `key: value`, both trimmed.
pub(crate) fn keyed(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines(text).filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let (key, value) = line.split_at_checked(colon)?;
        Some((key.trim_ascii(), value.strip_prefix(b":")?.trim_ascii()))
    })
}

/// Text in which space, tab, newline and backslash stand as `\040`, `\011`, `\012`, `\134`
/// (`mangle_path` in `fs/seq_file.c`), as it was. A backslash that begins no escape stays.
pub(crate) fn unescape_octal(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let escape = (*byte == b'\\').then(|| octal(after)).flatten();
        let (byte, after) = escape.unwrap_or((*byte, after));
        out.push(byte);
        rest = after;
    }
    out
}

/// The byte that three octal digits spell, and what follows them.
fn octal(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<3>()?;
    let value = digits.iter().try_fold(0_u8, |sum, digit| match digit {
        b'0'..=b'7' => sum.checked_mul(8)?.checked_add(digit - b'0'),
        _ => None,
    })?;
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_its_end_is_not_taken() {
        assert_eq!(counters(b"a 1\nb 22\nc 3").collect::<Vec<_>>(), [(&b"a"[..], 1), (b"b", 22)]);
    }

    #[test]
    fn a_counter_is_one_key_and_one_number() {
        let odd = b"\n \nkey\nkey \n 5\nkey x\nkey 1 2\nkey -1\nkey 18446744073709551616\nok 7\n";
        assert_eq!(counters(odd).collect::<Vec<_>>(), [(&b""[..], 5), (b"ok", 7)]);
    }

    #[test]
    fn octal_escapes_are_undone_and_half_ones_stay() {
        assert_eq!(unescape_octal(br"/a\040b\134\011"), b"/a b\\\t");
        assert_eq!(unescape_octal(br"\04"), br"\04");
        assert_eq!(unescape_octal(br"\777\08x\"), br"\777\08x\");
    }
}
