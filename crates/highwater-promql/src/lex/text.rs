//! Texts in quotes, with the escapes of Go.

use highwater_core::text::quoted;

/// A text. What is not UTF-8 is kept as it would be quoted, because no label can hold it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text {
    /// What it says.
    pub(crate) value: String,
    /// The text in quotes, if its bytes are not UTF-8.
    pub(crate) broken: Option<String>,
}

/// The text that `rest` begins with, and how long it is with its quotes.
pub(crate) fn read(rest: &str) -> Result<(Text, usize), &'static str> {
    let mut chars = rest.char_indices();
    let (_, quote) = chars.next().ok_or("unterminated string")?;
    let mut bytes = Vec::new();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => return Ok((finished(bytes), at.saturating_add(1))),
            '\n' if quote != '`' => return Err("unterminated quoted string"),
            '\\' if quote != '`' => escape(&mut chars, quote, &mut bytes)?,
            _ => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Err("unterminated quoted string")
}

fn finished(bytes: Vec<u8>) -> Text {
    match String::from_utf8(bytes) {
        Ok(value) => Text { value, broken: None },
        Err(error) => {
            let bytes = error.into_bytes();
            let value = String::from_utf8_lossy(&bytes).into_owned();
            Text { value, broken: Some(quoted(&bytes)) }
        }
    }
}

fn escape(
    chars: &mut std::str::CharIndices<'_>,
    quote: char,
    bytes: &mut Vec<u8>,
) -> Result<(), &'static str> {
    const NOT_ENDED: &str = "escape sequence not terminated";
    const ILLEGAL: &str = "unknown escape sequence";
    let (_, c) = chars.next().ok_or(NOT_ENDED)?;
    let simple = match c {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '"' if quote == '"' => b'"',
        '\'' if quote == '\'' => b'\'',
        'x' | 'u' | 'U' | '0'..='7' => {
            let (len, radix) = match c {
                'x' => (2, 16),
                'u' => (4, 16),
                'U' => (8, 16),
                _ => (2, 8),
            };
            let mut value = if radix == 8 { c.to_digit(8).unwrap_or(0) } else { 0 };
            for _ in 0..len {
                let digit = chars.next().and_then(|(_, c)| c.to_digit(radix)).ok_or(ILLEGAL)?;
                value =
                    value.checked_mul(radix).and_then(|v| v.checked_add(digit)).ok_or(ILLEGAL)?;
            }
            if len == 2 {
                u8::try_from(value).map_err(|_| ILLEGAL)?
            } else {
                let c = char::from_u32(value).ok_or(ILLEGAL)?;
                bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
                return Ok(());
            }
        }
        _ => return Err(ILLEGAL),
    };
    bytes.push(simple);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_go() {
        let (text, len) = read(r#""a\n\"\x41\u00e9\101" + 1"#).unwrap();
        assert_eq!((text.value.as_str(), len), ("a\n\"Aé A".replace(' ', "").as_str(), 21));
        assert_eq!(read("`a\\n`").unwrap().0.value, "a\\n");
        assert_eq!(read("'it\\'s'").unwrap().0.value, "it's");
        for wrong in ["\"open", "\"\\q\"", "\"\\'\"", "\"\\ud800\"", "\"a\nb\"", "\"\\x4\""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_as_quoted() {
        let (text, _) = read(r#""a\xc5z""#).unwrap();
        assert_eq!(text.broken.as_deref(), Some(r#""a\xc5z""#));
    }
}
