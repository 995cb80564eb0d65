//! Letters to a real server.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use highwater_act::{Body, Message, Outcome, Receiver, Secret, Security, Smtp};
use highwater_core::time::WallTime;

use crate::exim::Exim;

fn smtp(exim: &Exim, security: Security, password: &str) -> Smtp {
    Smtp {
        host: "localhost".to_owned(),
        port: exim.port,
        security,
        login: Some(("agent".to_owned(), Secret::Plain(password.to_owned()))),
        from: "highwater@example.com".to_owned(),
        to: vec!["ops@example.com".to_owned(), "boss@example.com".to_owned()],
        ca_file: Some(exim.authority()),
        timeout: Duration::from_secs(20),
    }
}

fn letter() -> Message {
    let body = Body::Letter {
        subject: "[firing: 1] Speicher 二".to_owned(),
        text: "node holds 900 MiB\n".to_owned(),
        html: "<p>node holds <b>900 MiB</b></p>".to_owned(),
    };
    Message { id: "abc".to_owned(), body }
}

const NOW: WallTime = WallTime::from_millis(1_795_219_200_123);

#[test]
fn a_letter_reaches_the_queue_over_starttls_and_over_tls() {
    for (wrapped, security) in [(false, Security::StartTls), (true, Security::Tls)] {
        let exim = Exim::start(wrapped);
        let outcome = Receiver::Mail(smtp(&exim, security, "pass word")).send(&letter(), NOW);
        assert_eq!(outcome, Outcome::Sent, "{}", exim.log());
        let queue = exim.queue();
        let [(head, body)] = queue.as_slice() else { panic!("{queue:?}") };
        assert!(head.contains("ops@example.com") && head.contains("boss@example.com"), "{head}");
        assert!(head.contains("Message-ID: <abc.highwater@example.com>"), "{head}");
        assert!(head.contains("Date: Sat, 21 Nov 2026 00:00:00 +0000"), "{head}");
        assert!(head.contains("Subject: [firing: 1] Speicher =?utf-8?b?5LqM?="), "{head}");
        assert!(head.contains("multipart/alternative"), "{head}");
        assert!(body.contains("node holds 900 MiB") && body.contains("<b>900 MiB</b>"), "{body}");
        assert!(exim.log().contains("A=plain:agent"), "{}", exim.log());
    }
}

#[test]
fn what_can_be_put_right_goes_later_and_nothing_goes_in_the_clear() {
    let exim = Exim::start(false);
    let send = |smtp: Smtp| Receiver::Mail(smtp).send(&letter(), NOW);
    let good = || smtp(&exim, Security::StartTls, "pass word");
    let nobody = Smtp { to: vec!["nobody@example.com".to_owned()], ..good() };
    let stranger = Smtp { ca_file: None, ..good() };
    let plain = Smtp { login: None, ..smtp(&exim, Security::Plain, "") };
    let all = [
        (smtp(&exim, Security::StartTls, "wrong"), "535"),
        (nobody, "no such mailbox"),
        (stranger, "certificate"),
        (plain, "TLS first"),
        (Smtp { port: 1, ..good() }, "refused"),
    ];
    for (smtp, word) in all {
        let outcome = send(smtp);
        let Outcome::Later { why, .. } = &outcome else { panic!("{outcome:?}") };
        assert!(why.contains(word) || why.contains("UnknownIssuer"), "{word}: {why}");
        assert!(!why.contains("wrong"), "{why}");
    }
    assert!(exim.queue().is_empty());
}

#[test]
fn who_is_refused_holds_up_nobody_else() {
    let exim = Exim::start(false);
    let to = ["ops", "nobody", "boss"].map(|name| format!("{name}@example.com")).to_vec();
    let smtp = Smtp { to, ..smtp(&exim, Security::StartTls, "pass word") };
    let outcome = Receiver::Mail(smtp).send(&letter(), NOW);
    let Outcome::Partly { why } = &outcome else { panic!("{outcome:?}") };
    assert!(why.starts_with("refused for nobody@example.com: "), "{why}");
    assert!(why.contains("no such mailbox") && !why.contains("ops@"), "{why}");
    let queue = exim.queue();
    let [(head, _)] = queue.as_slice() else { panic!("{queue:?}") };
    // In exim's own note of whom it goes to, before the letter's own lines.
    let (envelope, _) = head.split_once("\n\n").unwrap();
    assert!(envelope.contains("\nops@example.com\nboss@example.com"), "{envelope}");
    assert!(!envelope.contains("nobody"), "{envelope}");
}

/// A server that offers no TLS is told nothing, and no password.
#[test]
fn a_server_without_tls_gets_no_password() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 old\r\n").unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut said = Vec::new();
        for line in lines.map_while(Result::ok) {
            let _closed = stream.write_all(b"250-old\r\n250 AUTH PLAIN\r\n");
            said.push(line);
        }
        said
    };
    let server = std::thread::Builder::new().spawn(serve).unwrap();
    let smtp = Smtp {
        host: "localhost".to_owned(),
        port,
        security: Security::StartTls,
        login: Some(("agent".to_owned(), Secret::Plain("pass".to_owned()))),
        from: "a@example.com".to_owned(),
        to: vec!["b@example.com".to_owned()],
        ca_file: None,
        timeout: Duration::from_secs(10),
    };
    let outcome = Receiver::Mail(smtp).send(&letter(), NOW);
    assert!(matches!(outcome, Outcome::Later { .. }), "{outcome:?}");
    let said = server.join().unwrap().join("\n");
    assert!(said.starts_with("EHLO") && !said.contains("AUTH"), "{said}");
}
