//! JSON, written straight into bytes: an answer is a hundred thousand numbers as a rule.

use std::io::Write as _;

use highwater_core::series::{Labels, Point};
use highwater_promql::api::number;

/// Up to here whole numbers are exact, and are written as such.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A text in quotes.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|b| *b < 0x20 || matches!(b, b'"' | b'\\')) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        if let Some((byte, after)) = special.split_first() {
            escape(out, *byte);
            rest = after;
        }
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => out.extend([b'\\', byte]),
        b'\n' => out.extend(b"\\n"),
        b'\t' => out.extend(b"\\t"),
        b'\r' => out.extend(b"\\r"),
        _ => write!(out, "\\u{byte:04x}").unwrap_or_default(),
    }
}

/// Texts in brackets.
pub(super) fn texts<'a>(out: &mut Vec<u8>, all: impl IntoIterator<Item = &'a str>) {
    list(out, all, text);
}

/// Whatever `each` writes, in brackets.
pub(super) fn list<T>(
    out: &mut Vec<u8>,
    all: impl IntoIterator<Item = T>,
    mut each: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (at, one) in all.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        each(out, one);
    }
    out.push(b']');
}

/// The labels of a series.
pub(super) fn labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (at, (name, value)) in labels.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        text(out, name);
        out.push(b':');
        text(out, value);
    }
    out.push(b'}');
}

/// `[1435781451.781,"1.5"]`.
pub(super) fn sample(out: &mut Vec<u8>, point: &Point) {
    out.push(b'[');
    seconds(out, point.at.millis());
    out.extend_from_slice(b",\"");
    value(out, point.value);
    out.extend_from_slice(b"\"]");
}

/// Milliseconds as seconds with as many digits as it takes.
pub(super) fn seconds(out: &mut Vec<u8>, millis: i64) {
    if millis < 0 {
        out.push(b'-');
    }
    let millis = millis.unsigned_abs();
    write!(out, "{}", millis / 1000).unwrap_or_default();
    let part = millis % 1000;
    if part > 0 {
        write!(out, ".{part:03}").unwrap_or_default();
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

/// A value as Go writes it.
fn value(out: &mut Vec<u8>, value: f64) {
    if value.abs() < EXACT && value.fract() == 0.0 && (value != 0.0 || value.is_sign_positive()) {
        write!(out, "{}", whole(value)).unwrap_or_default();
    } else {
        out.extend_from_slice(number(value).as_bytes());
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "a whole number of less than 54 bits"
)]
fn whole(value: f64) -> i64 {
    value as i64
}

#[cfg(test)]
mod tests {
    use highwater_core::time::WallTime;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn texts_survive() {
        for plain in ["", "plain", "a\"b\\c", "\n\t\r\u{0}\u{1f}\u{7f}é\u{202e}", "</script>"] {
            let json = written(|out| text(out, plain));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), plain);
        }
    }

    #[test]
    fn samples_are_as_the_api_has_them() {
        for (ms, value, json) in [
            (0, 1.0, r#"[0,"1"]"#),
            (1_435_781_451_781, 0.1, r#"[1435781451.781,"0.1"]"#),
            (1_435_781_451_700, -0.0, r#"[1435781451.7,"-0"]"#),
            (-1_050, 1e21, r#"[-1.05,"1e+21"]"#),
            (4_000, -25_276_502_016.0, r#"[4,"-25276502016"]"#),
            (1, f64::NAN, r#"[0.001,"NaN"]"#),
            (1, f64::NEG_INFINITY, r#"[0.001,"-Inf"]"#),
            (1, 9.5e15, r#"[0.001,"9500000000000000"]"#),
        ] {
            let point = Point { at: WallTime::from_millis(ms), value };
            assert_eq!(written(|out| sample(out, &point)), json);
        }
    }

    #[test]
    fn labels_are_an_object_in_order() {
        let all = Labels::new([("b", "x\"y"), ("a", "1")]);
        assert_eq!(written(|out| labels(out, &all)), r#"{"a":"1","b":"x\"y"}"#);
        assert_eq!(written(|out| labels(out, &Labels::default())), "{}");
        assert_eq!(written(|out| texts(out, ["a", "b"])), r#"["a","b"]"#);
    }
}
