//! Signatures as a messenger reckons them: by openssl.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// HMAC-SHA256 in base64.
pub(crate) fn hmac(key: &str, text: &str) -> String {
    let hex: String = key.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let key = format!("hexkey:{hex}");
    let print =
        openssl(&["dgst", "-sha256", "-mac", "HMAC", "-macopt", &key, "-binary"], text.as_bytes());
    String::from_utf8(openssl(&["base64", "-A"], &print)).unwrap()
}

fn openssl(args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut openssl = Command::new("openssl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    openssl.stdin.take().unwrap().write_all(input).unwrap();
    let done = openssl.wait_with_output().unwrap();
    assert!(done.status.success());
    done.stdout
}
