//! Receivers that are good, and what is said of those that are not.

use std::fmt::Write as _;
use std::path::Path;

use highwater_act::{Auth, Manner, Secret, Security};

use super::*;
use crate::config::Config;

fn notify(text: &str) -> Notify {
    Config::parse(text, "agent.toml").unwrap().notify
}

fn faults(text: &str) -> String {
    Config::parse(text, "agent.toml").unwrap_err().to_string()
}

fn web(receiver: &Receiver) -> &highwater_act::Web {
    match &receiver.way {
        highwater_act::Receiver::Web(web) => web,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_is_read() {
    let notify = notify(
        r#"
        [notify]
        group_wait = "1s"
        timeout = "5s"
        [[notify.alertmanager]]
        url = "http://am1:9093/"
        [[notify.alertmanager]]
        name = "am2"
        url_env = "AM2"
        bearer_file = "/t"
        [[notify.webhook]]
        url = "https://a.example/hook"
        user = "u"
        password_env = "P"
        severities = ["critical"]
        [[notify.slack]]
        url_file = "/s"
        group_by = []
        group_wait = "2s"
        [[notify.dingtalk]]
        url_file = "/d"
        secret_file = "/ds"
        [[notify.feishu]]
        url_file = "/f"
        secret_env = "FS"
        send_resolved = false
        [[notify.email]]
        server = "mail.example"
        from = "a@example.com"
        to = ["b@example.com", "c@example.com"]
        [[notify.command]]
        argv = ["/bin/tell", "me"]
        timeout = "1min"
        "#,
    );
    let names: Vec<&str> = notify.receivers.iter().map(|it| it.name.as_str()).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    let all = ["alertmanager", "am2", "command", "dingtalk", "email", "feishu", "slack", "webhook"];
    assert_eq!(sorted, all);
    let of = |name: &str| notify.receivers.iter().find(|it| it.name == name).unwrap();
    assert_eq!(web(of("am2")).auth, Some(Auth::Bearer(Secret::File("/t".into()))));
    assert_eq!(web(of("webhook")).timeout, Duration::from_secs(5));
    assert_eq!(of("webhook").terms.severities, ["critical"]);
    assert_eq!(of("webhook").terms.group_wait, Duration::from_secs(1));
    assert_eq!(of("slack").terms.group_wait, Duration::from_secs(2));
    assert_eq!(of("slack").terms.group_by, [""; 0]);
    assert!(!of("feishu").terms.send_resolved);
    let secret = Some(Secret::File("/ds".into()));
    assert_eq!(web(of("dingtalk")).manner, Manner::DingTalk { secret });
    let highwater_act::Receiver::Mail(mail) = &of("email").way else { panic!("no mail") };
    assert_eq!((mail.host.as_str(), mail.port), ("mail.example", 587));
    assert_eq!(mail.security, Security::StartTls);
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_the_way_out() {
    let all = faults(
        "[[notify.slack]]\nulr = \"x\"\n[[notify.email]]\nto = \"me\"\n[notify.webhook]\nurl = \"x\"\n[[notify.command]]\ntimeout = \"1h\"\n",
    );
    insta::assert_snapshot!(all);
}

#[test]
fn what_is_missing_or_contradicts_itself_is_told() {
    let mail = "[[notify.email]]\nserver = \"a\"\nfrom = \"a@b\"\nto = [\"b@c\"]\n";
    let broken = [
        "[[notify.slack]]\n".to_owned(),
        "[[notify.slack]]\nurl = \"hooks.slack.com/x\"\n".to_owned(),
        "[[notify.slack]]\nurl = \"http://a\"\nurl_file = \"/b\"\n".to_owned(),
        "[[notify.webhook]]\nurl = \"http://a\"\n[[notify.webhook]]\nurl = \"http://b\"\n"
            .to_owned(),
        "[[notify.webhook]]\nurl = \"http://a\"\nuser = \"u\"\n".to_owned(),
        "[[notify.webhook]]\nname = \"a b\"\nurl = \"http://a\"\n".to_owned(),
        "[[notify.command]]\nargv = [\"tell\"]\n".to_owned(),
        format!("{mail}security = \"ssl\"\n"),
        mail.replace("b@c", "Bob <b@c>"),
        mail.replace("\"a\"", "\"a:x\""),
    ];
    let told: Vec<String> = broken.iter().map(|text| faults(text)).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn an_address_that_is_a_secret_is_never_shown() {
    let secret = "https://hooks.slack.com/services/T0/B0/hunter2";
    let text = format!("[[notify.slack]]\nurl = \"{secret}\"\n");
    assert!(!format!("{:?}", notify(&text)).contains("hunter2"));
    let wrong = format!("[[notify.slack]]\nurl = [\"{secret}\"]\n");
    assert!(!faults(&wrong).contains("hunter2"));
    let wrong = format!("[[notify.slack]]\nurl = \"x{secret}\"\n");
    assert!(!faults(&wrong).contains("hunter2"));
}

#[test]
fn the_manual_shows_every_key_of_a_receiver() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/manual/notify.md");
    let manual = std::fs::read_to_string(&path).unwrap();
    let mut table = "| key | of | allowed | meaning |\n|---|---|---|---|\n".to_owned();
    for key in RECEIVER_KEYS {
        let of = match key.of.len() {
            7 => "all".to_owned(),
            _ => key.of.iter().map(|kind| kind.word()).collect::<Vec<_>>().join(", "),
        };
        writeln!(table, "| `{}` | {of} | {} | {} |", key.name, key.allowed(), key.doc).unwrap();
    }
    let begin = "<!-- receivers -->\n";
    let (head, rest) = manual.split_once(begin).expect("the table's place is marked");
    let (_, tail) = rest.split_once("<!-- end -->").expect("and its end");
    let expected = format!("{head}{begin}{table}<!-- end -->{tail}");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let now = std::fs::read_to_string(&path).unwrap();
    assert!(now == expected, "docs/manual/notify.md is out of date: run this test with BLESS=1");
}
