//! Signatures as the robots of two messengers ask for them: HMAC-SHA256, in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use highwater_core::time::WallTime;
use ring::hmac::{HMAC_SHA256, Key, sign};
use serde_json::Value;

/// What DingTalk wants behind the address: the secret signs the moment, in milliseconds, and itself.
/// (open.dingtalk.com, "Custom robots: security settings")
pub(crate) fn dingtalk(secret: &str, now: WallTime) -> String {
    let moment = now.millis();
    let print = hmac(secret, &format!("{moment}\n{secret}"));
    format!("timestamp={moment}&sign={}", encoded(&print))
}

/// What Feishu wants in the document: moment, in seconds, and secret sign nothing at all.
/// (open.feishu.cn, "Use bots in groups: signature verification")
pub(crate) fn feishu(document: &Value, secret: &str, now: WallTime) -> Value {
    let moment = now.millis().div_euclid(1000);
    let print = hmac(&format!("{moment}\n{secret}"), "");
    let mut signed = document.clone();
    if let Some(fields) = signed.as_object_mut() {
        fields.insert("timestamp".to_owned(), Value::String(moment.to_string()));
        fields.insert("sign".to_owned(), Value::String(print));
    }
    signed
}

fn hmac(key: &str, text: &str) -> String {
    let tag = sign(&Key::new(HMAC_SHA256, key.as_bytes()), text.as_bytes());
    STANDARD.encode(tag)
}

/// Base64 as a part of an address.
fn encoded(base64: &str) -> String {
    base64.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reckoned with `openssl dgst -hmac` and Python.
    #[test]
    fn signatures_are_those_of_openssl() {
        let now = WallTime::from_millis(1_795_219_200_123);
        assert_eq!(
            dingtalk("SECtop", now),
            "timestamp=1795219200123&sign=ma86S%2FACR6r9frFuHmcO1M%2F%2FkupbFfCL19P9SBiVSZY%3D"
        );
        let signed = feishu(&serde_json::json!({"msg_type": "post"}), "top", now);
        assert_eq!(signed["timestamp"], "1795219200");
        assert_eq!(signed["sign"], "Uqn07U/mLOQydzDTVy4iVHGAB1PFPSN/sw1MDfA7Z18=");
        assert_eq!(signed["msg_type"], "post");
    }
}
