//! A line of a container's log is the same in one piece and in two, in the form of CRI and in
//! Docker's.
#![no_main]

use highwater_core::line::Origin;
use highwater_log::Opener;

/// What is told of the only message, at the end or before.
fn read(lines: &[Vec<u8>]) -> Option<(Vec<u8>, Option<Vec<u8>>, Origin)> {
    let mut opener = Opener::default();
    for (number, line) in (1..).zip(lines) {
        if opener.take(number, line) {
            let opened = opener.message(line);
            return Some((opened.text.to_vec(), opened.ident.map(<[u8]>::to_vec), opened.origin));
        }
    }
    None
}

fn cri(tag: &str, text: &[u8]) -> Vec<u8> {
    [b"2026-04-27T08:47:12.123456789Z stdout ", tag.as_bytes(), b" ", text].concat()
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    if rest.contains(&b'\n') || rest.contains(&b'\r') || rest.contains(&0) {
        return;
    }
    let (front, back) = rest.split_at(usize::from(*first).min(rest.len()));
    // A terminal code, a tag or an entity that the cut falls into is not one any more on its own.
    let whole = read(&[cri("F", rest)]);
    let has_tag = rest.windows(2).any(|two| two == b"[/");
    if !front.is_empty() && !has_tag && !rest.iter().any(|b| b"\x1b&<\xc2".contains(b)) {
        assert_eq!(read(&[cri("P", front), cri("F", back)]), whole);
    }
    let line = [br#"{"log":""#, rest, br#"\n","stream":"stdout","time":"2026-04-27T08:47:12Z"}"#];
    read(&[line.concat()]);
    assert!(whole.is_none_or(|(.., origin)| origin != Origin::Kernel), "a container vouches for nobody");
});
