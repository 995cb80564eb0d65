//! `journalctl -o json`: any message of a program comes out whole and as the program's, and any
//! members at all do no harm.
#![no_main]

use highwater_core::line::Origin;
use highwater_log::Opener;

/// A message as journald writes it if it is not plain text.
fn bytes_of(text: &[u8]) -> String {
    let numbers: Vec<String> = text.iter().map(u8::to_string).collect();
    format!("[{}]", numbers.join(","))
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let message = bytes_of(bytes);
    let line = format!(r#"{{"MESSAGE":{message},"_TRANSPORT":"stdout","_COMM":"app"}}"#);
    let mut opener = Opener::default();
    if opener.take(1, line.as_bytes()) {
        let opened = opener.message(line.as_bytes());
        assert_eq!((opened.origin, opened.ident), (Origin::Program, Some(&b"app"[..])));
        assert_eq!(opened.text, bytes.trim_ascii_end());
    } else {
        assert!(bytes.is_empty());
    }
    // The same bytes as members of an object, on one line and on many.
    let members = [br#"{"MESSAGE":"#, bytes, b"}"].concat();
    let (mut opener, mut number) = (Opener::default(), 0);
    for line in members.split(|b| *b == b'\n') {
        number += 1;
        if opener.take(number, line) {
            assert!(opener.message(line).number <= number);
        }
    }
    let mut left = 0;
    while opener.finish() {
        left += 1;
        assert!(left < 10, "an end");
    }
});
