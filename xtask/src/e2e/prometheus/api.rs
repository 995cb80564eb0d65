//! The HTTP interface of both, asked the same: status codes and JSON beside each other.

use anyhow::Context;
use serde_json::Value;

use super::Count;
use crate::asked::percent;
use crate::e2e::loopback::send;

/// A question over HTTP, without `/api/v1/`. Values of parameters are written as they are meant.
struct Asked {
    path: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    same: Same,
}

/// What has to be the same, beside status code and kind of error.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Same {
    /// All of it.
    All,
    /// Of an error not the words: they are the parser's own.
    Kind,
    /// Nothing, for this reason.
    Not(&'static str),
}

const AT: (&str, &str) = ("time", "1767578407");
const SPAN: [(&str, &str); 2] = [("start", "1767571200"), ("end", "1767582000")];

const fn all(path: &'static str, parameters: &'static [(&'static str, &'static str)]) -> Asked {
    Asked { path, parameters, same: Same::All }
}

const fn kind(path: &'static str, parameters: &'static [(&'static str, &'static str)]) -> Asked {
    Asked { path, parameters, same: Same::Kind }
}

const fn other(
    path: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    reason: &'static str,
) -> Asked {
    Asked { path, parameters, same: Same::Not(reason) }
}

/// Prometheus 2.42 is asked; the interface here is that of 3.x.
const SINCE_3: &str = "the limit of answers came with Prometheus 3";

const ASKED: &[Asked] = &[
    // Values of each kind, and none.
    all("query", &[("query", "1+1"), ("time", "4")]),
    all("query", &[("query", "1+1"), ("time", "-4.5")]),
    all("query", &[("query", "\"a\\\"b\""), AT]),
    all("query", &[("query", "demo_memory_usage_bytes"), AT]),
    all("query", &[("query", "demo_special"), AT]),
    all("query", &[("query", "demo_wide"), AT]),
    all("query", &[("query", "demo_up[1m]"), AT]),
    all("query", &[("query", "{__name__=~\"demo_disk.*\",device!=\"sda\"}"), AT]),
    all("query", &[("query", "{job=\"odd\"}"), AT]),
    all("query", &[("query", "nothing"), AT]),
    all("query", &[("query", "nothing[1m]"), AT]),
    all("query", &[("query", "demo_up"), ("time", "2026-01-05T02:00:07Z")]),
    all("query", &[("query", "demo_up"), ("time", "2026-01-05T03:00:07.000+01:00")]),
    all("query", &[("query", "demo_up"), AT, ("timeout", "1m")]),
    all("query", &[("query", "demo_up"), ("time", "100")]),
    all(
        "query_range",
        &[("query", "demo_up"), ("start", "1767573007"), ("end", "1767574007"), ("step", "1m")],
    ),
    all(
        "query_range",
        &[("query", "demo_up"), ("start", "1767573007"), ("end", "1767574007"), ("step", "62.5")],
    ),
    all(
        "query_range",
        &[("query", "demo_ends"), ("start", "1767573007"), ("end", "1767580007"), ("step", "100")],
    ),
    all("query_range", &[("query", "time()"), ("start", "7"), ("end", "7"), ("step", "1")]),
    all("query_range", &[("query", "nothing"), ("start", "7"), ("end", "70"), ("step", "1")]),
    // What is wrong with a question.
    kind("query", &[]),
    kind("query", &[("query", "sum("), AT]),
    kind("query", &[("query", "unknown(up)"), AT]),
    kind("query", &[("query", "rate(up)"), AT]),
    kind("query", &[("query", "{}"), AT]),
    all("query", &[("query", "1"), ("time", "soon")]),
    all("query", &[("query", "1"), AT, ("timeout", "long")]),
    kind("query", &[("query", "demo_up"), AT, ("timeout", "1ns")]),
    kind("query", &[("query", "demo_up + on() demo_up"), AT]),
    kind("query", &[("query", "label_replace(demo_up, \"a\", \"\", \"(\", \"\")"), AT]),
    all("query_range", &[("query", "1"), ("end", "2"), ("step", "1")]),
    all("query_range", &[("query", "1"), ("start", "1"), ("step", "1")]),
    all("query_range", &[("query", "1"), ("start", "1"), ("end", "2")]),
    all("query_range", &[("query", "1"), ("start", "1"), ("end", "2"), ("step", "x")]),
    all("query_range", &[("query", "1"), ("start", "1"), ("end", "2"), ("step", "0")]),
    all("query_range", &[("query", "1"), ("start", "1"), ("end", "2"), ("step", "-1")]),
    all("query_range", &[("query", "1"), ("start", "2"), ("end", "1"), ("step", "1")]),
    all("query_range", &[("query", "1"), ("start", "0"), ("end", "11001"), ("step", "1")]),
    other(
        "query_range",
        &[("query", "up[1m]"), ("start", "1"), ("end", "2"), ("step", "1")],
        "Prometheus 3 names the parameter that is wrong here, too",
    ),
    kind("query_range", &[("query", "("), ("start", "1"), ("end", "2"), ("step", "1")]),
    // Names.
    all("labels", &[]),
    all("labels", &SPAN),
    all(
        "labels",
        &[SPAN[0], SPAN[1], ("match[]", "demo_http_requests_total"), ("match[]", "demo_up")],
    ),
    all("labels", &[("match[]", "nothing")]),
    all("labels", &[("start", "100"), ("end", "200")]),
    kind("labels", &[("match[]", "(")]),
    kind("labels", &[("match[]", "{a=\"\"}")]),
    all("labels", &[("start", "x")]),
    all("label/__name__/values", &[]),
    all("label/job/values", &SPAN),
    all("label/nothing/values", &[]),
    all("label/device/values", &[("match[]", "demo_disk_usage_bytes{device!=\"sda\"}")]),
    all("label/cat/values", &[("match[]", "{job=\"wide\"}")]),
    kind("label/job/values", &[("match[]", "{")]),
    other("label/a-b/values", &[], "in Prometheus 3 any text may be a label's name"),
    all("series", &[("match[]", "demo_memory_usage_bytes")]),
    all("series", &[SPAN[0], SPAN[1], ("match[]", "demo_wide"), ("match[]", "{job=\"odd\"}")]),
    all("series", &[("match[]", "nothing")]),
    all("series", &[]),
    kind("series", &[("match[]", "sum(up)")]),
    all("series", &[("match[]", "up"), ("end", "x")]),
    other("series", &[("match[]", "demo_up"), ("limit", "1")], SINCE_3),
    other("label/job/values", &[("limit", "1")], SINCE_3),
    other("query", &[("query", "demo_up"), AT, ("limit", "1")], SINCE_3),
    // The rest of what a data source asks.
    all("rules", &[]),
    all("alerts", &[]),
    all("query_exemplars", &[("query", "test"), SPAN[0], SPAN[1]]),
    kind("query_exemplars", &[("query", "(")]),
    all("format_query", &[("query", "sum(rate(x[5m]))by(a)")]),
    kind("format_query", &[("query", "sum(")]),
    all("metadata", &[("limit", "x")]),
    all("metadata", &[("metric", "nothing")]),
    other("metadata", &[], "what is written to it from afar has no metadata in Prometheus 2"),
];

/// Asks both everything, by GET and by POST where that is taken.
pub(super) fn compare(theirs: &str, ours: &str, count: &mut Count) -> anyhow::Result<()> {
    for asked in ASKED {
        for method in ["GET", "POST"] {
            let (theirs, ours) = (ask(theirs, method, asked)?, ask(ours, method, asked)?);
            let is_near = theirs.status == ours.status
                && match asked.same {
                    Same::Kind if ours.status != 200 => theirs.kind() == ours.kind(),
                    _ => theirs.json == ours.json,
                };
            let differs = (!is_near)
                .then(|| format!("theirs {}\n      ours   {}", theirs.shown(), ours.shown()));
            let reason = match asked.same {
                // By POST neither takes it: that is the same.
                Same::Not(reason) if theirs.status != 405 => Some(reason),
                _ => None,
            };
            count.note(&format!("{method} {} {:?}", asked.path, asked.parameters), differs, reason);
        }
    }
    Ok(())
}

/// An answer, in an order of its own where the interface has none.
struct Said {
    status: u16,
    json: Value,
}

impl Said {
    fn kind(&self) -> Option<&str> {
        self.json.get("errorType").and_then(Value::as_str)
    }

    fn shown(&self) -> String {
        let text = self.json.to_string();
        format!("{} {}", self.status, text.chars().take(600).collect::<String>())
    }
}

fn ask(address: &str, method: &str, asked: &Asked) -> anyhow::Result<Said> {
    let parameters = asked.parameters.iter();
    let form: Vec<String> =
        parameters.map(|(name, value)| format!("{}={}", percent(name), percent(value))).collect();
    let form = form.join("&");
    let path = format!("/api/v1/{}", asked.path);
    let (status, body) = if method == "GET" {
        send(address, method, &format!("{path}?{form}"), "", b"")?
    } else {
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        send(address, method, &path, kind, form.as_bytes())?
    };
    // Of a method that is not taken the status is all that is common.
    if status == 405 {
        return Ok(Said { status, json: Value::Null });
    }
    let said = || format!("{method} {path} {form}: {}", String::from_utf8_lossy(&body));
    let json: Value = serde_json::from_slice(&body).with_context(said)?;
    Ok(Said { status, json: sorted(json) })
}

/// The same with lists of series and of names in order; lists of samples have theirs.
fn sorted(json: Value) -> Value {
    match json {
        Value::Array(all) => {
            let mut all: Vec<Value> = all.into_iter().map(sorted).collect();
            let is_sample = all.first().is_some_and(|one| one.is_number() || one.is_array());
            if !is_sample {
                all.sort_by_cached_key(Value::to_string);
            }
            Value::Array(all)
        }
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, sorted(value))).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn series_have_no_order_and_samples_have() {
        let one = json!({"data": [{"a": "x"}, {"a": "b"}], "values": [[2, "1"], [1, "5"]]});
        let sorted = sorted(one);
        assert_eq!(sorted["data"], json!([{"a": "b"}, {"a": "x"}]));
        assert_eq!(sorted["values"], json!([[2, "1"], [1, "5"]]));
    }
}
