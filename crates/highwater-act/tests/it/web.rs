//! Documents over HTTP, and the two messengers that want them signed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use highwater_act::{Auth, Body, Manner, Message, Outcome, Receiver, Secret, Web};
use highwater_core::time::WallTime;
use serde_json::json;

use crate::server::{Server, answer};
use crate::signature::hmac;

const NOW: WallTime = WallTime::from_millis(1_795_219_200_123);

fn plain(text: &str) -> Secret {
    Secret::Plain(text.to_owned())
}

fn receiver(port: u16, path: &str, manner: Manner) -> Receiver {
    let url = plain(&format!("http://127.0.0.1:{port}{path}"));
    let timeout = Duration::from_secs(10);
    Receiver::Web(Web { url, auth: None, manner, ca_file: None, timeout })
}

fn message() -> Message {
    Message { id: "abc".to_owned(), body: Body::Json(json!({"text": "二 \"quoted\""})) }
}

#[test]
fn a_webhook_gets_the_document_and_who_asks() {
    let server = Server::saying("thanks");
    let Receiver::Web(web) = receiver(server.port, "/hook?a=b", Manner::Plain) else { panic!() };
    let bearer = Some(Auth::Bearer(plain("token")));
    let sent = Receiver::Web(Web { auth: bearer, ..web.clone() }).send(&message(), NOW);
    assert_eq!(sent, Outcome::Sent);
    let asked = server.asked();
    assert_eq!(asked.path, "/hook?a=b");
    assert_eq!(asked.json(), json!({"text": "二 \"quoted\""}));
    assert_eq!(asked.field("content-type"), "application/json");
    assert_eq!(asked.field("idempotency-key"), "abc");
    assert_eq!(asked.field("authorization"), "Bearer token");
    let basic = Some(Auth::Basic { user: "ann".to_owned(), password: plain("a:b") });
    Receiver::Web(Web { auth: basic, ..web }).send(&message(), NOW);
    assert_eq!(
        server.asked().field("authorization"),
        format!("Basic {}", STANDARD.encode("ann:a:b"))
    );
}

#[test]
fn an_alertmanager_is_posted_to_below_its_address() {
    let server = Server::saying("");
    receiver(server.port, "/prefix/", Manner::Alertmanager).send(&message(), NOW);
    assert_eq!(server.asked().path, "/prefix/api/v2/alerts");
}

#[test]
fn dingtalk_is_signed_in_the_address() {
    let server = Server::start(|asked| {
        let moment = asked.parameter("timestamp");
        if asked.parameter("sign") == hmac("SECtop", &format!("{moment}\nSECtop")) {
            answer("200 OK", r#"{"errcode":0,"errmsg":"ok"}"#)
        } else {
            answer("200 OK", r#"{"errcode":310000,"errmsg":"sign not match"}"#)
        }
    });
    let send = |secret: Option<Secret>| {
        let manner = Manner::DingTalk { secret };
        receiver(server.port, "/robot/send?access_token=t", manner).send(&message(), NOW)
    };
    assert_eq!(send(Some(plain("SECtop"))), Outcome::Sent);
    let asked = server.asked();
    assert!(asked.path.starts_with("/robot/send?access_token=t&timestamp=1795219200123&sign="));
    let wrong = send(Some(plain("SECother")));
    assert!(wrong.to_string().starts_with("it answers code 310000: sign not match"), "{wrong}");
    assert!(matches!(wrong, Outcome::Later { .. }), "somebody may put the secret right");
}

#[test]
fn feishu_is_signed_in_the_document() {
    let server = Server::start(|asked| {
        let document = asked.json();
        let moment = document["timestamp"].as_str().unwrap();
        if document["sign"] == hmac(&format!("{moment}\ntop"), "") {
            answer("200 OK", r#"{"code":0,"msg":"success","data":{}}"#)
        } else {
            answer("200 OK", r#"{"code":19021,"msg":"sign match fail"}"#)
        }
    });
    let send = |secret| {
        receiver(server.port, "/hook", Manner::Feishu { secret: Some(plain(secret)) })
            .send(&message(), NOW)
    };
    assert_eq!(send("top"), Outcome::Sent);
    assert_eq!(server.asked().json()["timestamp"], "1795219200");
    let wrong = send("other");
    assert!(wrong.to_string().starts_with("it answers code 19021: sign match fail"), "{wrong}");
}

#[test]
fn who_is_asked_too_often_says_when() {
    let server = Server::start(|_| {
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n".to_owned()
    });
    let after = Some(Duration::from_secs(30));
    let outcome = receiver(server.port, "/", Manner::Plain).send(&message(), NOW);
    assert_eq!(outcome, Outcome::Later { after, why: "it answers 429".to_owned() });
    let feishu = Server::start(|_| {
        let body = r#"{"code":11232,"msg":"frequency limited"}"#;
        let head = "HTTP/1.1 400 Bad Request\r\nx-ogw-ratelimit-reset: 40\r\nConnection: close";
        format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    });
    let manner = Manner::Feishu { secret: None };
    let outcome = receiver(feishu.port, "/", manner).send(&message(), NOW);
    let why = "it answers code 11232: frequency limited".to_owned();
    assert_eq!(outcome, Outcome::Later { after: Some(Duration::from_secs(40)), why });
}

/// Secrets are in the address, in a header, and in what the server repeats of the address.
#[test]
fn nothing_that_goes_wrong_tells_a_secret() {
    let secret = "hunter2";
    let mut told = Vec::new();
    let nowhere = receiver(1, &format!("/{secret}"), Manner::Plain);
    told.push(nowhere.send(&message(), NOW).to_string());
    let moved = Server::start(|_| {
        "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n".to_owned()
    });
    let moved = receiver(moved.port, &format!("/{secret}"), Manner::Plain);
    told.push(moved.send(&message(), NOW).to_string());
    let timeout = Duration::from_secs(1);
    for url in [format!("http://{secret} x/"), format!("http://{secret}.invalid/")] {
        let web =
            Web { url: plain(&url), auth: None, manner: Manner::Plain, ca_file: None, timeout };
        told.push(Receiver::Web(web).send(&message(), NOW).to_string());
    }
    assert!(told.iter().all(|words| !words.contains(secret)), "{told:?}");
    assert!(told[1].starts_with("it answers 302; it has moved"), "{told:?}");
}

#[test]
fn a_server_that_does_not_answer_is_left_in_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let Receiver::Web(web) = receiver(port, "/", Manner::Plain) else { panic!() };
    let web = Web { timeout: Duration::from_millis(300), ..web };
    let outcome = Receiver::Web(web).send(&message(), NOW);
    assert_eq!(outcome, Outcome::Later { after: None, why: "no answer in time".to_owned() });
}

#[test]
fn a_letter_is_nothing_for_a_webhook() {
    let text = String::new;
    let body = Body::Letter { subject: text(), text: text(), html: text() };
    let message = Message { id: text(), body };
    let server = Server::saying("");
    let outcome = receiver(server.port, "/", Manner::Plain).send(&message, NOW);
    assert!(matches!(outcome, Outcome::Never { .. }) && server.is_unasked(), "{outcome:?}");
}
