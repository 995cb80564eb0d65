//! What an answer means. Two messengers say 200 and mean no.

use std::time::Duration;

use highwater_core::time::WallTime;
use serde_json::Value;

use crate::failure::words;
use crate::receiver::Outcome;
use crate::web::Manner;

/// How long to wait where a messenger says "too often" and not how long: both count by the minute.
const TOO_OFTEN: Duration = Duration::from_mins(1);

/// What the status and the body mean; `asked` is the field `Retry-After`.
pub(crate) fn meaning(
    manner: &Manner,
    status: u16,
    asked: Option<Duration>,
    body: &[u8],
) -> Outcome {
    if !(200..300).contains(&status) {
        return refused(status, asked, body);
    }
    match manner {
        Manner::Plain | Manner::Alertmanager => Outcome::Sent,
        Manner::DingTalk { .. } => coded(body, &DINGTALK),
        Manner::Feishu { .. } => coded(body, &FEISHU),
    }
}

/// What is wrong with the message never gets better. What is wrong with the address or the
/// credentials may: somebody puts that right, and then the message is still wanted.
fn refused(status: u16, after: Option<Duration>, body: &[u8]) -> Outcome {
    let said = words(body);
    let colon = if said.is_empty() { "" } else { ": " };
    let advice = match status {
        300..=399 => "; it has moved: the new address goes into url",
        401 | 403 => "; the credentials are not accepted",
        404 | 410 => "; nothing is there: is url right?",
        _ => "",
    };
    let why = format!("it answers {status}{colon}{said}{advice}");
    match status {
        400 | 405 | 406 | 411 | 413 | 415 | 422 => Outcome::Never { why },
        _ => Outcome::Later { after, why },
    }
}

/// How a messenger tells in the body how it went.
struct Codes {
    /// Where the number stands, and the words; 0 is good.
    fields: &'static [(&'static str, &'static str)],
    /// It was asked too often.
    too_often: &'static [i64],
    /// It cannot read the message.
    unreadable: &'static [i64],
}

/// open.dingtalk.com, "Custom robots: error codes".
const DINGTALK: Codes = Codes {
    fields: &[("errcode", "errmsg")],
    too_often: &[130_101, 410_100, 660_026],
    unreadable: &[40_035, 43_004, 400_105],
};

/// open.feishu.cn, "Use bots in groups: error codes"; the older name of the field is still met.
const FEISHU: Codes = Codes {
    fields: &[("code", "msg"), ("StatusCode", "StatusMessage")],
    too_often: &[9_499_001, 11_232],
    unreadable: &[9_499, 19_002],
};

fn coded(body: &[u8], codes: &Codes) -> Outcome {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let found = codes.fields.iter().find_map(|(code, said)| {
        Some((answer.get(code)?.as_i64()?, answer.get(said).and_then(Value::as_str)))
    });
    let Some((code, said)) = found else {
        let said = words(body);
        return Outcome::later(format!("what answers is not the messenger: {said}"));
    };
    let why = format!("it answers code {code}: {}", words(said.unwrap_or_default().as_bytes()));
    match code {
        0 => Outcome::Sent,
        _ if codes.too_often.contains(&code) => Outcome::Later { after: Some(TOO_OFTEN), why },
        _ if codes.unreadable.contains(&code) => Outcome::Never { why },
        _ => Outcome::later(why),
    }
}

/// The field `Retry-After`: seconds, or a date.
pub(crate) fn retry_after(field: &str, now: WallTime) -> Option<Duration> {
    let field = field.trim();
    if let Ok(seconds) = field.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(field).ok()?;
    Some(WallTime::from(date).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(outcome: &Outcome) -> Option<Duration> {
        match outcome {
            Outcome::Later { after, .. } => Some(after.unwrap_or_default()),
            _ => None,
        }
    }

    #[test]
    fn who_says_200_and_means_no_is_understood() {
        let dingtalk = |body: &str| coded(body.as_bytes(), &DINGTALK);
        assert_eq!(dingtalk(r#"{"errcode":0,"errmsg":"ok"}"#), Outcome::Sent);
        let limit = dingtalk(r#"{"errcode":130101,"errmsg":"send too fast"}"#);
        assert_eq!(later(&limit), Some(TOO_OFTEN));
        let sign = dingtalk(r#"{"errcode":310000,"errmsg":"sign not match"}"#);
        assert_eq!(later(&sign), Some(Duration::ZERO));
        assert_eq!(sign.to_string(), "it answers code 310000: sign not match");
        let bad = dingtalk(r#"{"errcode":40035,"errmsg":"no"}"#);
        assert!(matches!(bad, Outcome::Never { .. }), "{bad:?}");
        assert!(later(&dingtalk("<html>sign in to the hotel")).is_some());
        let feishu = |body: &str| coded(body.as_bytes(), &FEISHU);
        assert_eq!(feishu(r#"{"StatusCode":0,"StatusMessage":"success"}"#), Outcome::Sent);
        assert_eq!(feishu(r#"{"code":0,"msg":"success","data":{}}"#), Outcome::Sent);
        assert_eq!(later(&feishu(r#"{"code":11232,"msg":"limited"}"#)), Some(TOO_OFTEN));
    }

    #[test]
    fn what_can_be_put_right_is_tried_again() {
        for status in [301, 401, 403, 404, 408, 410, 425, 429, 500, 503] {
            assert!(later(&refused(status, None, b"")).is_some(), "{status}");
        }
        for status in [400, 413, 422] {
            assert!(later(&refused(status, None, b"")).is_none(), "{status}");
        }
        let asked = Some(Duration::from_secs(9));
        assert_eq!(later(&refused(429, asked, b"slow\ndown")), asked);
        assert_eq!(refused(429, asked, b"slow\ndown").to_string(), r"it answers 429: slow\ndown");
    }

    #[test]
    fn when_to_come_again_is_a_span_or_a_date() {
        let now = WallTime::from_millis(1_445_412_400_000);
        assert_eq!(retry_after(" 120 ", now), Some(Duration::from_mins(2)));
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(retry_after(date, now), Some(Duration::from_secs(80)));
        assert_eq!(retry_after(date, now.after(Duration::from_hours(1))), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }
}
