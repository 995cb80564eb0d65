//! What receivers get: whole messages, and names that try to break out of them.

use std::collections::BTreeMap;

use highwater_core::time::WallTime;

use super::*;
use crate::dispatch::{Context, TopProcess};

const EVIL: &str =
    "x*_`~[a](http://e.vil)<!channel><at user_id=\"all\">@all</at>&\r\nBcc: me\u{202e}";

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn report(owner: &str) -> Report {
    let process =
        |name: &str, pid, mib: u64| TopProcess { name: name.to_owned(), pid, bytes: mib << 20 };
    Report {
        labels: pairs([("alertname", "CgroupNearLimit"), ("id", owner), ("severity", "warning")]),
        annotations: pairs([
            ("summary", "gateway is near its limit"),
            ("description", "90 % of 1 GiB is used.\nIt grows by 5 MiB an hour."),
        ]),
        starts_at: WallTime::from_millis(1_795_219_200_123),
        ends_at: None,
        generator_url: "http://127.0.0.1:9477/graph?g0.expr=up".to_owned(),
        context: Context {
            owner: Some(owner.to_owned()),
            verdict: Some("anonymous memory leaks since 09:12".to_owned()),
            page: Some("http://127.0.0.1:9477/why?owner=gateway".to_owned()),
            processes: vec![process("node", 4711, 900), process(owner, 4712, 3)],
        },
        flaps: false,
    }
}

fn notice(alerts: Vec<Report>) -> Notice {
    let group = pairs([("alertname", "CgroupNearLimit")]);
    Notice::new("ops", group, alerts, WallTime::from_millis(1_795_219_230_000))
}

fn ended(owner: &str) -> Report {
    Report { ends_at: Some(WallTime::from_millis(1_795_219_500_000)), flaps: true, ..report(owner) }
}

fn json(notice: &Notice, format: Format) -> Value {
    match Body::of(notice, format, "http://127.0.0.1:9477") {
        Body::Json(value) => value,
        Body::Letter { .. } => panic!("{format:?} is no letter"),
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

#[test]
fn the_webhook_is_alertmanagers_document() {
    let notice = notice(vec![report("/gateway"), ended("/batch")]);
    insta::assert_snapshot!(pretty(&json(&notice, Format::Webhook)));
}

#[test]
fn an_alertmanager_gets_what_prometheus_posts() {
    let Body::Json(value) = Body::for_alertmanager(&[report("/gateway"), ended("/batch")]) else {
        panic!("no list");
    };
    insta::assert_snapshot!(pretty(&value));
}

#[test]
fn slack_gets_blocks() {
    let notice = notice(vec![report("/gateway"), ended(EVIL)]);
    insta::assert_snapshot!(pretty(&json(&notice, Format::Slack)));
}

#[test]
fn dingtalk_gets_markdown() {
    let notice = notice(vec![report("/gateway"), ended(EVIL)]);
    let value = json(&notice, Format::DingTalk);
    insta::assert_snapshot!(value["markdown"]["text"].as_str().unwrap());
    assert_eq!(value["at"]["isAtAll"], false);
    assert_eq!(value["markdown"]["title"], "[firing: 1] CgroupNearLimit");
}

#[test]
fn feishu_gets_a_post_of_plain_pieces() {
    let notice = notice(vec![ended(EVIL)]);
    insta::assert_snapshot!(pretty(&json(&notice, Format::Feishu)));
}

#[test]
fn mail_is_the_same_twice() {
    let notice = notice(vec![report("/gateway"), ended(EVIL)]);
    let Body::Letter { subject, text, html } = Body::of(&notice, Format::Mail, "") else {
        panic!("no letter");
    };
    insta::assert_snapshot!(format!("{subject}\n=====\n{text}=====\n{html}"));
}

#[test]
fn a_subject_is_one_line_whatever_the_group_is_called() {
    let evil = Notice::new("ops", pairs([("id", EVIL)]), vec![report("a")], WallTime::default());
    let Body::Letter { subject, .. } = Body::of(&evil, Format::Mail, "") else {
        panic!("no letter");
    };
    assert!(!subject.contains(['\r', '\n', '\u{202e}']), "{subject:?}");
}

#[test]
fn a_page_that_is_no_plain_address_is_no_link() {
    for page in ["javascript:alert(1)", "http://a/\"onclick=", "https://a/ b", "http://a)[x"] {
        let mut alert = report("a");
        alert.context.page = Some(page.to_owned());
        let feishu = json(&notice(vec![alert]), Format::Feishu).to_string();
        assert!(!feishu.contains("\"href\""), "{page}");
    }
}

/// Three hundred alerts with the longest and worst of names: each format stays within what its
/// receiver takes, shows at least one, and says how many it left out.
#[test]
fn what_does_not_fit_is_counted() {
    let worst = "\\\"".repeat(1_000);
    let alert = |n: usize| {
        let mut alert = report(&format!("{n}{worst}"));
        alert.annotations.insert("description".to_owned(), "\\\n".repeat(2_000));
        alert.context.verdict = Some(worst.clone());
        alert.context.processes = vec![TopProcess { name: worst.clone(), pid: 1, bytes: 1 }; 9];
        alert
    };
    let notice = notice((0..300).map(alert).collect());
    let limits = [(Format::Slack, 40_000), (Format::DingTalk, 20_000), (Format::Feishu, 20_000)];
    for (format, most) in limits {
        let text = json(&notice, format).to_string();
        assert!(text.len() < most, "{format:?}: {}", text.len());
        assert!(text.contains("gateway is near its limit"), "{format:?}");
        assert!(text.contains("more alerts are left out here."), "{format:?}");
    }
    let slack = json(&notice, Format::Slack);
    let sections = slack["blocks"].as_array().unwrap();
    assert!(sections.len() <= 50);
    for section in sections {
        assert!(section["text"]["text"].as_str().unwrap().chars().count() <= 3_000);
    }
    let Body::Letter { text, html, .. } = Body::of(&notice, Format::Mail, "") else {
        panic!("no letter");
    };
    assert!(text.len() < 70_000 && html.len() < 70_000);
    assert!(text.contains("left out") && html.contains("left out"));
}

/// One alert whose every text is as long as it may be, of signs that take the most room in each
/// format: it is told, with what is known beside it.
#[test]
fn the_longest_alert_fits_into_every_message() {
    for sign in ["🐘", "&", "\\", "*", "\"", "\u{202e}", "二"] {
        let long = sign.repeat(5_000);
        let mut alert = report(&long);
        for name in ["summary", "description", "action"] {
            alert.annotations.insert(name.to_owned(), long.clone());
        }
        alert.labels.insert("severity".to_owned(), long.clone());
        alert.context.verdict = Some(long.clone());
        let process = TopProcess { name: long.clone(), pid: 1, bytes: 1 };
        alert.context.processes = vec![process; 9];
        let mut notice = notice(vec![alert]);
        notice.group = pairs([("id", &long)]);
        for format in [Format::Slack, Format::DingTalk, Format::Feishu] {
            let document = json(&notice, format).to_string();
            assert!(document.len() < 20_000, "{sign:?} {format:?}: {}", document.len());
            for word in ["Owner", "Process"] {
                assert!(document.contains(word), "{sign:?} {format:?} {word}");
            }
        }
        let slack = json(&notice, Format::Slack);
        let most = |block: &Value| if block["type"] == "header" { 150 } else { 3_000 };
        for block in slack["blocks"].as_array().unwrap() {
            let text = block["text"]["text"].as_str().unwrap();
            assert!(text.encode_utf16().count() <= most(block), "{sign:?}: {}", text.len());
        }
        let Body::Letter { subject, .. } = Body::of(&notice, Format::Mail, "") else { panic!() };
        assert!(subject.chars().count() < 260, "{subject}");
    }
}

/// What Debian's Alertmanager says of an alert with these labels.
#[test]
fn fingerprints_are_alertmanagers() {
    let mut alert = report("a");
    alert.labels = pairs([("alertname", "HighwaterTest"), ("severity", "info")]);
    assert_eq!(alert.fingerprint(), "d5daa5defc5f3746");
}
