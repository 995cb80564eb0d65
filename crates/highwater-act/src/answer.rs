//! What an answer means. Two messengers say 200 and mean no, or say 400 and mean not now.

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
    let codes = match manner {
        Manner::Plain | Manner::Alertmanager => None,
        Manner::DingTalk { .. } => Some(&DINGTALK),
        Manner::Feishu { .. } => Some(&FEISHU),
    };
    let good = (200..300).contains(&status);
    match codes.map(|codes| (codes, codes.said(body))) {
        Some((codes, Some(told))) if told.number != 0 => codes.meaning(&told, asked),
        Some((_, None)) if good => {
            Outcome::later(format!("what answers is not the messenger: {}", words(body)))
        }
        _ if good => Outcome::Sent,
        _ => refused(status, asked, body),
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
    /// It will never take this message: it cannot read it, or does not want what it says.
    unwanted: &'static [i64],
    /// What to look at, where the messenger's own words do not tell.
    advice: &'static [(i64, &'static str)],
}

/// What a messenger told.
struct Told {
    number: i64,
    words: String,
}

/// open.dingtalk.com, "Custom robots: error codes". Who sends more than 20 messages in a minute is
/// not heard for up to ten.
const DINGTALK: Codes = Codes {
    fields: &[("errcode", "errmsg")],
    too_often: &[-1, 90_030, 130_101, 410_100, 660_026],
    unwanted: &[40_035, 43_004, 400_105, 430_101, 430_102, 430_103, 430_104, 460_101],
    advice: &[
        (300_005, "is url the whole address, with access_token?"),
        (
            310_000,
            "the robot's security settings refuse it: is secret_file its secret, is the clock right, \
             is firing one of its keywords?",
        ),
        (400_101, "is url the whole address, with access_token?"),
        (400_102, "somebody switched the robot off"),
    ],
};

/// open.feishu.cn, "Use bots in groups: error codes", "Generic error codes"; the older names of the
/// fields are still met.
const FEISHU: Codes = Codes {
    fields: &[("code", "msg"), ("StatusCode", "StatusMessage")],
    too_often: &[11_232, 230_020, 9_499_001, 99_991_400],
    unwanted: &[9_499, 19_002],
    advice: &[
        (19_001, "is url the bot's whole address?"),
        (19_021, "is secret_file the bot's secret, and is the clock right?"),
        (19_022, "this machine's address is not on the bot's list"),
        (19_024, "none of the bot's keywords is in the message: add firing and resolved"),
    ],
};

/// The words beside a number that else means a message that cannot be read.
const BUSY: &str = "too many request";

impl Codes {
    /// The number and the words in the body, if it is the messenger that answers.
    fn said(&self, body: &[u8]) -> Option<Told> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        self.fields.iter().find_map(|(number, said)| {
            let said = answer.get(said).and_then(Value::as_str).unwrap_or_default();
            Some(Told { number: answer.get(number)?.as_i64()?, words: words(said.as_bytes()) })
        })
    }

    /// What a number other than 0 means; `asked` is the field `Retry-After`.
    fn meaning(&self, told: &Told, asked: Option<Duration>) -> Outcome {
        let Told { number, words } = told;
        let advice = self.advice.iter().find(|(of, _)| of == number);
        let advice = advice.map(|(_, advice)| format!("; {advice}")).unwrap_or_default();
        let why = format!("it answers code {number}: {words}{advice}");
        let busy = self.too_often.contains(number) || words.to_lowercase().contains(BUSY);
        match *number {
            _ if busy => Outcome::Later { after: asked.or(Some(TOO_OFTEN)), why },
            number if self.unwanted.contains(&number) => Outcome::Never { why },
            _ => Outcome::Later { after: asked, why },
        }
    }
}

/// What the field says that tells when to ask again: seconds, or a date.
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

    fn dingtalk(status: u16, body: &str) -> Outcome {
        meaning(&Manner::DingTalk { secret: None }, status, None, body.as_bytes())
    }

    fn feishu(status: u16, body: &str) -> Outcome {
        meaning(&Manner::Feishu { secret: None }, status, None, body.as_bytes())
    }

    #[test]
    fn who_says_200_and_means_no_is_understood() {
        assert_eq!(dingtalk(200, r#"{"errcode":0,"errmsg":"ok"}"#), Outcome::Sent);
        let sign = dingtalk(200, r#"{"errcode":310000,"errmsg":"sign not match"}"#);
        assert_eq!(later(&sign), Some(Duration::ZERO));
        let told = sign.to_string();
        assert!(told.starts_with("it answers code 310000: sign not match; "), "{told}");
        for code in [40_035, 430_101, 460_101] {
            let bad = dingtalk(200, &format!(r#"{{"errcode":{code},"errmsg":"no"}}"#));
            assert!(matches!(bad, Outcome::Never { .. }), "{bad:?}");
        }
        assert!(later(&dingtalk(200, "<html>sign in to the hotel")).is_some());
        assert_eq!(feishu(200, r#"{"StatusCode":0,"StatusMessage":"success"}"#), Outcome::Sent);
        assert_eq!(feishu(200, r#"{"code":0,"msg":"success","data":{}}"#), Outcome::Sent);
    }

    #[test]
    fn too_often_is_never_too_often_for_ever() {
        for code in [130_101, 410_100, 90_030] {
            let limit = dingtalk(200, &format!(r#"{{"errcode":{code},"errmsg":"send too fast"}}"#));
            assert_eq!(later(&limit), Some(TOO_OFTEN), "{code}");
        }
        // Feishu says 400 with it, which of others means that the message is bad.
        for status in [200, 400, 429] {
            for code in ["11232", "99991400", "230020"] {
                let limit = feishu(status, &format!(r#"{{"code":{code},"msg":"limited"}}"#));
                assert_eq!(later(&limit), Some(TOO_OFTEN), "{status} {code}");
            }
        }
        let busy = feishu(200, r#"{"code":9499,"msg":"too many request","data":{}}"#);
        assert_eq!(later(&busy), Some(TOO_OFTEN));
        let asked = Some(Duration::from_secs(7));
        let manner = Manner::Feishu { secret: None };
        assert_eq!(later(&meaning(&manner, 429, asked, br#"{"code":11232}"#)), asked);
        assert_eq!(later(&meaning(&manner, 429, asked, b"")), asked);
    }

    /// A wrong address is answered with 400: it can be put right.
    #[test]
    fn the_number_in_the_body_tells_more_than_the_status() {
        let wrong = feishu(400, r#"{"code":19001,"msg":"param invalid: access token invalid"}"#);
        assert!(later(&wrong).is_some(), "{wrong:?}");
        assert!(wrong.to_string().ends_with("is url the bot's whole address?"), "{wrong}");
        let bad = feishu(400, r#"{"code":9499,"msg":"Bad Request","data":{}}"#);
        assert!(matches!(bad, Outcome::Never { .. }), "{bad:?}");
        assert!(later(&dingtalk(502, "<html>bad gateway")).is_some());
        assert!(later(&dingtalk(500, r#"{"errcode":0}"#)).is_some());
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
