//! Moments, spans, limits and choices, by GET and by POST.

use highwater_web::Limits;
use serde_json::{Value, json};

use super::Served;
use super::history::{BEGIN_S, Shelf};

/// The value of a scalar and its time.
fn scalar(web: &Served, parameters: &str) -> Value {
    web.get(&format!("query?query=1&{parameters}")).data()["result"].clone()
}

#[test]
fn moments_are_seconds_or_dates_and_without_one_it_is_now() {
    let web = Served::demo();
    assert_eq!(scalar(&web, ""), json!([BEGIN_S + 3600, "1"]));
    assert_eq!(scalar(&web, "time=4"), json!([4, "1"]));
    assert_eq!(scalar(&web, "time=-4.25"), json!([-4.25, "1"]));
    assert_eq!(scalar(&web, "time=2026-01-05T00:00:00.5Z"), json!([1_767_571_200.5, "1"]));
    assert_eq!(scalar(&web, "time=2026-01-05T01:00:00%2B01:00"), json!([1_767_571_200, "1"]));
    for path in [
        "labels?start=-292273086-05-16T16:47:06Z&end=292277025-08-18T07:12:54.999999999Z",
        "query?query=demo_requests_total&time=-292273086-05-16T16:47:06Z",
        "query?query=demo_requests_total&time=292277025-08-18T07:12:54.999999999Z",
        "query?query=rate(demo_requests_total[1h])&time=-9e12",
    ] {
        assert_eq!(web.get(path).status, 200, "{path}");
    }
    web.end();
}

#[test]
fn a_form_and_the_address_are_read_together_and_the_form_comes_first() {
    let web = Served::demo();
    let got = web.post("query?query=2&time=9", "query=1%2B2");
    assert_eq!(got.data()["result"], json!([9, "3"]));
    let got = web.post("series?match[]=demo_requests_total", "match[]=demo_memory_usage_bytes");
    assert_eq!(got.data().as_array().unwrap().len(), 6);
    let other = "Content-Type: text/plain\r\n";
    let got = web.ask("POST", "/api/v1/query?query=2&time=9", other, b"query=3");
    assert_eq!(got.data()["result"], json!([9, "2"]), "a body that is no form says nothing");
    web.end();
}

#[test]
fn a_range_has_a_step_in_seconds_or_units() {
    let web = Served::demo();
    let steps = |step: &str| {
        let path = format!("query_range?query=1&start=0&end=600&step={step}");
        web.get(&path).data()["result"][0]["values"].as_array().unwrap().len()
    };
    assert_eq!(
        [steps("60"), steps("1m"), steps("0.5"), steps("10m"), steps("1e3")],
        [11, 11, 1201, 2, 1]
    );
    web.end();
}

#[test]
fn how_far_a_series_is_looked_for_can_be_told() {
    let web = Served::demo();
    let found = |more: &str| {
        let late = BEGIN_S + 3600 + 60;
        let path = format!("query?query=demo_requests_total&time={late}{more}");
        web.get(&path).data()["result"].as_array().unwrap().len()
    };
    assert_eq!((found(""), found("&lookback_delta=30s"), found("&lookback_delta=90")), (2, 0, 2));
    assert_eq!(found("&lookback_delta=0"), 2, "as without");
    web.end();
}

#[test]
fn a_limit_cuts_and_says_so() {
    let web = Served::demo();
    let all = [
        "query?query=demo_memory_usage_bytes",
        "query_range?query=demo_memory_usage_bytes&start=1767571200&end=1767571260&step=15",
        "series?match[]=demo_memory_usage_bytes",
        "labels?match[]=demo_memory_usage_bytes",
        "label/__name__/values?x=y",
    ];
    for path in all {
        let time = format!("&time={}", BEGIN_S + 60);
        let count = |limit: &str| {
            let json = web.get(&format!("{path}{time}{limit}")).json();
            let list =
                if json["data"].is_array() { &json["data"] } else { &json["data"]["result"] };
            (list.as_array().unwrap().len(), json["warnings"].clone())
        };
        let cut = json!(["results truncated due to limit"]);
        let (whole, silent) = count("");
        assert!(whole >= 2 && silent.is_null(), "{path}");
        assert_eq!(count("&limit=0"), (whole, Value::Null), "{path}");
        assert_eq!(count(&format!("&limit={whole}")), (whole, Value::Null), "{path}");
        assert_eq!(count("&limit=1"), (1, cut), "{path}");
    }
    web.end();
}

#[test]
fn names_and_values_can_be_chosen_by_series_and_time() {
    let web = Served::demo();
    let names = |path: &str| web.get(path).data();
    assert_eq!(names("labels"), json!(["__name__", "http.status", "instance", "type"]));
    assert_eq!(names("labels?match[]=up"), json!([]));
    let two = "labels?match[]=demo_requests_total&match[]=up";
    assert_eq!(names(two), json!(["__name__", "http.status", "instance"]));
    assert_eq!(names("labels?end=100"), json!([]), "long before");
    assert_eq!(names("label/type/values"), json!(["cache", "rss"]));
    assert_eq!(names("label/http.status/values"), json!(["200", "404"]));
    assert_eq!(names("label/http%2Estatus/values"), json!(["200", "404"]));
    assert_eq!(names("label/nothing/values"), json!([]));
    assert_eq!(names("label/instance/values?match[]=%7Btype=~%22r.*%22%7D"), json!(["a", "b"]));
    web.end();
}

#[test]
fn metadata_and_figures_are_those_of_the_history() {
    let web = Served::demo();
    let all = web.get("metadata").data();
    assert_eq!(all["demo_requests_total"][0]["type"], "counter");
    assert_eq!(all.as_object().unwrap().len(), 2);
    assert_eq!(web.get("metadata?limit=1").data().as_object().unwrap().len(), 1);
    assert_eq!(web.get("metadata?limit=-1").data().as_object().unwrap().len(), 2);
    assert_eq!(web.get("metadata?metric=none").data(), json!({}));
    insta::assert_snapshot!(web.get("status/tsdb").shown());
    web.end();
    let empty = Served::new(Shelf::empty(), Limits::default());
    assert_eq!(empty.get("status/tsdb").data()["headStats"]["numSeries"], 0);
    assert_eq!(empty.get("labels").data(), json!([]));
    empty.end();
}

#[test]
fn an_expression_is_written_canonically() {
    let web = Served::demo();
    let got = web.post("format_query", "query=sum%28rate%28x%5B5m%5D%29%29by%28a%29");
    assert_eq!(got.data(), json!("sum by (a) (rate(x[5m]))"));
    web.end();
}
