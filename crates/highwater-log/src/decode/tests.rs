//! Every kind, whole, cut off and damaged.

use std::io::Write as _;

use super::*;

fn text() -> Vec<u8> {
    let mut text = Vec::new();
    for number in 0..20_000_u32 {
        let mixed = number.wrapping_mul(2_654_435_761);
        writeln!(text, "Nov 20 10:00:00 host app[{}]: line {mixed}", number % 977).unwrap();
    }
    text
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn bz(bytes: &[u8]) -> Vec<u8> {
    let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut out = liblzma::write::XzEncoder::new(Vec::new(), 1);
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn lzma(bytes: &[u8]) -> Vec<u8> {
    let options = liblzma::stream::LzmaOptions::new_preset(1).unwrap();
    let stream = Stream::new_lzma_encoder(&options).unwrap();
    let mut out = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

type Encode = fn(&[u8]) -> Vec<u8>;

const KINDS: [(&str, Encode); 5] =
    [("gzip", gzip), ("bzip2", bz), ("xz", xz), ("lzma", lzma), ("zstd", zst)];

/// What was read, and why no more.
fn read(input: Vec<u8>) -> (Vec<u8>, Option<String>) {
    let mut out = Vec::new();
    let fault = match decoded(Cursor::new(input)) {
        Ok(mut decoded) => decoded.read_to_end(&mut out).err(),
        Err(error) => Some(error),
    };
    (out, fault.map(|error| error.to_string()))
}

#[test]
fn every_kind_is_told_by_its_first_bytes() {
    let text = text();
    for (name, encode) in KINDS {
        let packed = encode(&text);
        assert_eq!(decoded(Cursor::new(packed.clone())).unwrap().compression(), Some(name));
        assert!(read(packed) == (text.clone(), None), "{name}");
    }
    assert!(read(text.clone()) == (text, None));
    assert_eq!(read(Vec::new()), (Vec::new(), None));
    assert_eq!(read(b"BZh".to_vec()), (b"BZh".to_vec(), None));
}

#[test]
fn members_that_follow_each_other_are_one_log() {
    let text = text();
    for (name, encode) in KINDS.into_iter().filter(|(name, _)| *name != "lzma") {
        let packed = [encode(&text), encode(b"the end\n")].concat();
        assert!(read(packed) == ([text.as_slice(), b"the end\n"].concat(), None), "{name}");
    }
}

#[test]
fn what_is_cut_off_is_read_as_far_as_it_goes() {
    let text = text();
    for (name, encode) in KINDS {
        let mut packed = encode(&text);
        let half = packed.len() / 2;
        packed.truncate(half);
        let (out, fault) = read(packed);
        assert!(text.starts_with(&out), "{name}");
        assert!(!out.is_empty() || name == "bzip2", "{name} {}", out.len());
        let wanted =
            format!("the {name} data ends early at byte {half}: what is before it was read");
        assert_eq!(fault.as_deref(), Some(wanted.as_str()));
    }
}

#[test]
fn damage_is_told_and_what_is_before_it_is_read() {
    let text = text();
    for (name, encode) in KINDS {
        let mut packed = encode(&text);
        let from = packed.len() / 2;
        packed[from..from + 64].fill(0xa5);
        let (out, fault) = read(packed);
        assert!(name == "lzma" || fault.is_some_and(|fault| fault.contains(name)), "{name}");
        assert!(out.len() <= text.len() + 4096, "{name}");
    }
}

#[test]
fn two_byte_text_becomes_utf8() {
    let wanted = "käse 🧀\r\n".repeat(9000);
    let units: Vec<u16> = std::iter::once(0xfeff).chain(wanted.encode_utf16()).collect();
    let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    for bytes in [&little, &big, &gzip(&little)] {
        assert!(read(bytes.clone()) == (wanted.clone().into_bytes(), None));
    }
    let half: Vec<u8> = [0xff, 0xfe, 0x00, 0xd8, 0x41].to_vec();
    assert_eq!(read(half), ("\u{fffd}".as_bytes().to_vec(), None));
}

#[test]
fn a_file_that_asks_for_too_much_memory_is_refused() {
    let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
    options.dict_size(256 << 20);
    let mut filters = liblzma::stream::Filters::new();
    filters.lzma2(&options);
    // A header made small: the dictionary's size is one byte in it, and its checksum follows.
    let stream = Stream::new_stream_encoder(&filters, liblzma::stream::Check::None).unwrap();
    let mut out = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    out.write_all(b"hello").unwrap();
    let (text, fault) = read(out.finish().unwrap());
    assert_eq!(text, b"");
    assert!(fault.unwrap().contains("needs too much memory"));
    // A frame header that names a window of 2 GiB.
    let (text, fault) = read(b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00".to_vec());
    assert!(text.is_empty() && fault.unwrap().contains("zstd data is damaged"));
}
