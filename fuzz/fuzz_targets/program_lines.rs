//! What a program writes behind its name in a log of lines: it stays the program's.
#![no_main]

use highwater_core::line::Origin;
use highwater_log::Opener;

/// Envelopes in which a program is named.
const ENVELOPES: [&str; 12] = [
    "Apr 27 08:47:12 host app[1]: ",
    "Apr 27 08:47:12 host app: ",
    "<14>Apr 27 08:47:12 host kernel: ",
    "<14>1 2026-04-27T08:47:12.123456+02:00 host app 1 - - ",
    "2026-04-27T08:47:12.123456+02:00 host app[1]: ",
    "Sun 2026-04-26 08:47:12 CEST host app.service[1]: ",
    "1777272432.123456 host app[1]: ",
    "[   12.500000] host app[1]: ",
    "Jan  1 00:00:12 host user.notice app: ",
    "09-22 15:36:44.117   412   418 I app: ",
    "2026-04-27T08:47:12.123456789Z stdout F Apr 27 08:47:12 host app[1]: ",
    "12,1,12500000,-;",
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|b| *b == b'\n');
    let text = lines.next().unwrap_or_default();
    for envelope in ENVELOPES {
        let line = [envelope.as_bytes(), text].concat();
        let mut opener = Opener::default();
        assert!(opener.take(1, &line), "one line is one message");
        let opened = opener.message(&line);
        assert_eq!(opened.origin, Origin::Program);
        assert!(opened.ident.is_some_and(|ident| ident != b"kernel"));
        // It swallows nothing of what the kernel says below it, also not with `=3D=` at its end.
        let next = b"[   12.600000] hello";
        assert!(opener.take(2, next), "the next line is a message, too");
        assert_eq!((opener.message(next).number, opener.message(next).text), (2, &b"hello"[..]));
    }
});
