//! An answer over a socket that is closed behind it: a head, and a body whole or in chunks.

/// The most header lines; Docker sends about eight.
const HEADERS_MAX: usize = 64;

/// The body of an answer with status 200; else why there is none, as a fragment.
pub(super) fn body(answer: &[u8]) -> Result<Vec<u8>, String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let parsed = head.parse(answer).map_err(|error| format!("it does not speak HTTP: {error}"))?;
    let httparse::Status::Complete(length) = parsed else {
        return Err("its answer breaks off in the head".to_owned());
    };
    match head.code {
        Some(200) => {}
        code => return Err(format!("it answers with status {}", code.unwrap_or(0))),
    }
    let rest = answer.get(length..).unwrap_or_default();
    let header = |name: &str| {
        let mut all = head.headers.iter();
        all.find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    };
    if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case(b"chunked")) {
        return unchunked(rest);
    }
    let told = header("content-length").and_then(crate::parse::number::u64);
    match told.map(usize::try_from) {
        None => Ok(rest.to_vec()),
        Some(Ok(told)) if told <= rest.len() => Ok(rest.get(..told).unwrap_or_default().to_vec()),
        Some(_) => Err("its answer breaks off".to_owned()),
    }
}

/// Puts chunks together (RFC 9112, 7.1); what follows the last one is left out.
fn unchunked(mut rest: &[u8]) -> Result<Vec<u8>, String> {
    let broken = || "its answer breaks off between chunks".to_owned();
    let mut body = Vec::new();
    loop {
        let parsed = httparse::parse_chunk_size(rest).map_err(|_| broken())?;
        let httparse::Status::Complete((from, size)) = parsed else { return Err(broken()) };
        if size == 0 {
            return Ok(body);
        }
        let size = usize::try_from(size).map_err(|_| broken())?;
        let chunk = rest.get(from..).ok_or_else(broken)?;
        let (chunk, after) = chunk.split_at_checked(size).ok_or_else(broken)?;
        body.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n").ok_or_else(broken)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_whole_or_in_chunks() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more";
        assert_eq!(body(whole).unwrap(), b"hello");
        let to_the_end = b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\nhello";
        assert_eq!(body(to_the_end).unwrap(), b"hello");
        let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
            3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n";
        assert_eq!(body(chunks).unwrap(), b"hello");
    }

    #[test]
    fn what_breaks_off_or_is_no_answer_is_said_so() {
        let chunked = |rest: &str| {
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{rest}").into_bytes()
        };
        let cases: [(&[u8], &str); 8] = [
            (b"", "its answer breaks off in the head"),
            (b"HTTP/1.1 200 OK\r\n", "its answer breaks off in the head"),
            (b"\xff\xfe\r\n\r\n", "it does not speak HTTP: invalid HTTP version"),
            (b"HTTP/1.1 500 No\r\n\r\n", "it answers with status 500"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "its answer breaks off"),
            (&chunked("3\r\nhe"), "its answer breaks off between chunks"),
            (&chunked("ffffffffffffffff\r\nhe"), "its answer breaks off between chunks"),
            (&chunked("3\r\nhello\r\n"), "its answer breaks off between chunks"),
        ];
        for (answer, why) in cases {
            assert_eq!(body(answer).unwrap_err(), why, "{answer:?}");
        }
    }
}
