//! Questions to the API with any path and parameters: each has an answer in the API's own form, with a
//! status that goes with it.
#![no_main]

#[path = "../../crates/highwater-web/tests/it/api/history.rs"]
#[expect(dead_code, reason = "the tests ask in more ways")]
mod history;

use std::sync::{Arc, LazyLock};

use highwater_web::{Api, Limits};
use serde_json::Value;

/// Samples that a question may hold: the history has fewer, and the fuzzer little memory.
const MAX_SAMPLES: usize = 100_000;

static API: LazyLock<Api> = LazyLock::new(|| {
    let limits = Limits { max_samples: MAX_SAMPLES, ..Limits::default() };
    Api::new(Arc::new(history::Shelf::demo()), limits)
});

const PATHS: [&str; 13] = [
    "query",
    "query_range",
    "format_query",
    "query_exemplars",
    "labels",
    "label/__name__/values",
    "label/U__a_2e_b/values",
    "series",
    "metadata",
    "rules",
    "status/buildinfo",
    "status/tsdb",
    "nothing",
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((path, rest)) = bytes.split_first() else { return };
    let path = PATHS.get(usize::from(*path) % PATHS.len()).copied().unwrap_or("query");
    let mut parts = rest.splitn(2, |byte| *byte == b'\n');
    let parameters = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let form = parts.next().unwrap_or_default();
    let (status, body) = API.ask(&format!("/api/v1/{path}"), &parameters, form);
    let answer: Value = serde_json::from_slice(&body).expect("the answer is JSON");
    let word = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
    let expected: &[u16] = match (word("status"), word("errorType")) {
        ("success", "") => &[200],
        ("error", "bad_data") => &[400, 413],
        ("error", "not_found") => &[404],
        ("error", "execution") => &[422],
        (status, kind) => panic!("{status} {kind}: {}", String::from_utf8_lossy(&body)),
    };
    assert!(expected.contains(&status), "{status}: {}", String::from_utf8_lossy(&body));
    assert_eq!(status == 200, answer.get("data").is_some());
});
