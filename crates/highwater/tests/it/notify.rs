//! `highwater notify test` with receivers that are there, that refuse, that are slow, that are not.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::exim::Exim;
use crate::exits::highwater;
use crate::server::{Asked, Server, answer};
use crate::signature::hmac;

/// What nobody may see: each secret has it.
const HIDDEN: &str = "hunter2";

/// A configuration with its secrets, and the environment that it is read in.
struct Desk {
    dir: TempDir,
    environment: Vec<(String, String)>,
}

impl Desk {
    /// The receivers, with the keys that all of them have.
    fn new(receivers: &str) -> Self {
        let desk = Self { dir: tempfile::tempdir().unwrap(), environment: Vec::new() };
        desk.write("agent.toml", &format!("[notify]\ntimeout = \"20s\"\n{receivers}"));
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = highwater(&["notify", "test", "--config"]);
        command.arg(self.path("agent.toml")).args(args).envs(self.environment.iter().cloned());
        command.output().unwrap()
    }

    /// What is printed, which holds no secret; and how it ends.
    fn tells(&self, args: &[&str]) -> (String, Option<i32>) {
        let done = self.run(args);
        let all = [done.stdout, done.stderr].concat();
        let all = String::from_utf8(all).unwrap();
        assert!(!all.contains(HIDDEN), "{args:?}: {all}");
        (all, done.status.code())
    }

    /// The document that is printed.
    fn json(&self, args: &[&str]) -> (Value, Option<i32>) {
        let (text, code) = self.tells(&[args, &["--json"]].concat());
        (serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}")), code)
    }
}

fn dingtalk(asked: &Asked) -> String {
    let moment = asked.parameter("timestamp");
    let right = asked.parameter("sign") == hmac("SEChunter2", &format!("{moment}\nSEChunter2"));
    let body = if right { r#"{"errcode":0}"# } else { r#"{"errcode":310000,"errmsg":"sign"}"# };
    answer("200 OK", body)
}

fn feishu(asked: &Asked) -> String {
    let document = asked.json();
    let moment = document["timestamp"].as_str().unwrap_or_default();
    let right = document["sign"] == hmac(&format!("{moment}\nhunter2-feishu"), "");
    let body = if right { r#"{"code":0}"# } else { r#"{"code":19021,"msg":"sign match fail"}"# };
    answer("200 OK", body)
}

/// One of each, all of whom take what they are sent if it is signed and comes with the password.
struct World {
    desk: Desk,
    servers: [Server; 5],
    exim: Exim,
}

impl World {
    fn new() -> Self {
        let ok = || Server::saying("ok");
        let servers = [ok(), ok(), ok(), Server::start(dingtalk), Server::start(feishu)];
        let [alertmanager, webhook, slack, dingtalk, feishu] =
            servers.each_ref().map(|server| format!("http://127.0.0.1:{}", server.port));
        let exim = Exim::start(false);
        let mut desk = Desk::new("");
        let at = |name: &str| desk.path(name).display().to_string();
        let config = format!(
            "[notify]\ntimeout = \"20s\"\n\
             [[notify.alertmanager]]\nurl = \"{alertmanager}\"\n\
             [[notify.webhook]]\nurl = \"{webhook}/hook\"\nbearer_env = \"HOOK_TOKEN\"\n\
             [[notify.slack]]\nurl_file = \"{}\"\n\
             [[notify.dingtalk]]\nurl_file = \"{}\"\nsecret_file = \"{}\"\n\
             [[notify.feishu]]\nurl_env = \"FEISHU_URL\"\nsecret_env = \"FEISHU_SECRET\"\n\
             [[notify.email]]\nserver = \"localhost:{}\"\nuser = \"agent\"\npassword_env = \"MAIL_PASSWORD\"\n\
             from = \"highwater@example.com\"\nto = [\"ops@example.com\"]\nca_file = \"{}\"\n\
             [[notify.command]]\nargv = [\"/bin/sh\", \"-c\", \"cat > {}\"]\n",
            at("slack"),
            at("dingtalk"),
            at("secret"),
            exim.port,
            exim.authority().display(),
            at("got"),
        );
        desk.write("agent.toml", &config);
        desk.write("slack", &format!("{slack}/services/{HIDDEN}\n"));
        desk.write("dingtalk", &format!("{dingtalk}/robot/send?access_token={HIDDEN}"));
        desk.write("secret", "SEChunter2\n");
        let set = |name: &str, value: String| (name.to_owned(), value);
        desk.environment = vec![
            set("HOOK_TOKEN", HIDDEN.to_owned()),
            set("FEISHU_URL", format!("{feishu}/hook/{HIDDEN}")),
            set("FEISHU_SECRET", "hunter2-feishu".to_owned()),
            set("MAIL_PASSWORD", "pass word".to_owned()),
        ];
        Self { desk, servers, exim }
    }
}

#[test]
fn everybody_is_told_and_can_check_who_tells() {
    let world = World::new();
    let (page, code) = world.desk.tells(&[]);
    assert_eq!(code, Some(0), "{page}");
    assert_eq!(page.lines().filter(|line| line.ends_with(" sent")).count(), 7, "{page}");
    let [alertmanager, webhook, slack, dingtalk, feishu] = &world.servers;
    let asked = alertmanager.asked();
    assert_eq!(asked.path, "/api/v2/alerts");
    assert_eq!(asked.json()[0]["labels"]["alertname"], "HighwaterTest");
    assert!(asked.json()[0]["endsAt"].is_string(), "it ends by itself");
    let asked = webhook.asked();
    assert_eq!(asked.field("authorization"), "Bearer hunter2");
    assert_eq!(asked.json()["version"], "4");
    assert_eq!(slack.asked().json()["text"], "TEST [firing: 1] HighwaterTest");
    assert_eq!(dingtalk.asked().json()["markdown"]["title"], "TEST [firing: 1] HighwaterTest");
    assert_eq!(feishu.asked().json()["msg_type"], "post");
    let got: Value = serde_json::from_slice(&fs::read(world.desk.path("got")).unwrap()).unwrap();
    assert_eq!(got["alerts"][0]["annotations"]["summary"], "this is a test of highwater");
    let queue = world.exim.queue();
    assert!(queue[0].0.contains("Subject: TEST [firing: 1] HighwaterTest"), "{queue:?}");
}

#[test]
fn a_dry_run_sends_nothing_and_shows_no_secret() {
    let world = World::new();
    let (page, code) = world.desk.tells(&["--dry-run"]);
    assert_eq!(code, Some(0), "{page}");
    assert!(page.contains("the variable FEISHU_URL") && page.contains("/slack"), "{page}");
    assert!(page.contains("TEST [firing: 1] HighwaterTest"), "{page}");
    let (document, _) = world.desk.json(&["--dry-run", "slack"]);
    assert_eq!(document["schema"], 1);
    assert_eq!(document["receivers"][0]["kind"], "slack");
    assert!(document["receivers"][0]["body"]["blocks"].is_array(), "{document}");
    assert!(world.servers.iter().all(Server::is_unasked) && world.exim.queue().is_empty());
}

/// The four that fail are told apart, and the one that works has its message.
#[test]
fn who_refuses_who_is_not_there_and_what_is_missing_is_told() {
    let refuses = Server::start(|_| answer("403 Forbidden", "invalid_token"));
    let works = Server::saying("ok");
    let desk = Desk::new(&format!(
        "[[notify.slack]]\nname = \"refuses\"\nurl = \"http://127.0.0.1:{}/{HIDDEN}\"\n\
         [[notify.slack]]\nname = \"works\"\nurl = \"http://127.0.0.1:{}/{HIDDEN}\"\n\
         [[notify.webhook]]\nname = \"away\"\nurl = \"http://127.0.0.1:1/{HIDDEN}\"\n\
         [[notify.dingtalk]]\nname = \"unset\"\nurl_env = \"HIGHWATER_NO_SUCH\"\n\
         [[notify.feishu]]\nname = \"unread\"\nurl_file = \"/no/such/file\"\n\
         [[notify.command]]\nname = \"missing\"\nargv = [\"/no/such/program\"]\n",
        refuses.port, works.port
    ));
    let (document, code) = desk.json(&[]);
    assert_eq!(code, Some(1));
    let told = |name: &str| {
        let all = document["receivers"].as_array().unwrap();
        let one = all.iter().find(|receiver| receiver["name"] == name).unwrap();
        (one["outcome"].as_str().unwrap(), one["why"].as_str().unwrap_or_default())
    };
    assert_eq!(told("works"), ("sent", ""));
    for (name, words) in [
        ("refuses", "it answers 403: invalid_token; the credentials are not accepted"),
        ("away", "refused"),
        ("unset", "the variable HIGHWATER_NO_SUCH of the environment"),
        ("unread", "cannot read the secret from /no/such/file"),
        ("missing", "it cannot be run: No such file"),
    ] {
        let (outcome, why) = told(name);
        assert_eq!(outcome, "later", "{name}: {document}");
        assert!(why.contains(words), "{name}: {why}");
    }
    let (page, code) = desk.tells(&["works"]);
    assert_eq!((page.as_str(), code), ("works  slack         sent\n", Some(0)));
}

#[test]
fn a_wrong_signature_names_what_to_look_at() {
    let world = World::new();
    world.desk.write("secret", "SECother");
    let (page, code) = world.desk.tells(&["dingtalk"]);
    assert_eq!(code, Some(1));
    assert!(page.contains("is secret_file its secret, is the clock right, "), "{page}");
}

/// One takes the message and never says so: it is left after the time-out, and the other is told
/// meanwhile.
#[test]
fn a_slow_one_is_left_in_time_and_delays_nobody() {
    let never = TcpListener::bind("127.0.0.1:0").unwrap();
    let quick = Server::saying("ok");
    let desk = Desk::new(&format!(
        "[[notify.webhook]]\nname = \"slow\"\nurl = \"http://{}/\"\ntimeout = \"2s\"\n\
         [[notify.webhook]]\nname = \"quick\"\nurl = \"http://127.0.0.1:{}/\"\n",
        never.local_addr().unwrap(),
        quick.port
    ));
    let (page, code) = desk.tells(&[]);
    assert_eq!(code, Some(1));
    assert!(page.contains("slow   webhook       no answer in time"), "{page}");
    assert!(page.contains("quick  webhook       sent"), "{page}");
}

#[test]
fn one_refused_mailbox_is_named_and_the_others_have_the_letter() {
    let world = World::new();
    let config = fs::read_to_string(world.desk.path("agent.toml")).unwrap();
    let two =
        config.replace("[\"ops@example.com\"]", "[\"nobody@example.com\", \"ops@example.com\"]");
    world.desk.write("agent.toml", &two);
    let (document, code) = world.desk.json(&["email"]);
    assert_eq!(code, Some(1));
    assert_eq!(document["receivers"][0]["outcome"], "partly", "{document}");
    let why = document["receivers"][0]["why"].as_str().unwrap();
    assert!(why.starts_with("refused for nobody@example.com: "), "{why}");
    assert_eq!(world.exim.queue().len(), 1);
}

#[test]
fn names_and_configurations_that_are_not_there_are_told_with_those_that_are() {
    let desk = Desk::new(
        "[[notify.slack]]\nurl = \"https://x/hunter2\"\n[[notify.command]]\nargv = [\"/bin/true\"]\n",
    );
    let (page, code) = desk.tells(&["slak"]);
    assert_eq!(code, Some(1));
    assert!(page.contains("no receiver slak; it has command, slack"), "{page}");
    let empty = Desk::new("");
    let (page, code) = empty.tells(&[]);
    assert_eq!(code, Some(1));
    assert!(page.contains("has no receiver"), "{page}");
    let absent = highwater(&["notify", "test", "--config", "/no/such.toml"]).output().unwrap();
    assert_eq!(absent.status.code(), Some(1));
    assert!(String::from_utf8(absent.stderr).unwrap().contains("/no/such.toml"));
    for wrong in [&["notify"][..], &["notify", "tset"], &["notify", "test", "a", "b"]] {
        assert_eq!(highwater(wrong).output().unwrap().status.code(), Some(64), "{wrong:?}");
    }
}

/// Who may read the file of a secret is its owner's affair; that others may is worth a word.
#[test]
fn a_secret_that_everybody_may_read_is_told() {
    let server = Server::saying("ok");
    let desk = Desk::new("");
    let file = desk.path("url");
    desk.write("url", &format!("http://127.0.0.1:{}/{HIDDEN}", server.port));
    desk.write("agent.toml", &format!("[[notify.slack]]\nurl_file = \"{}\"\n", file.display()));
    let warned = |mode: u32, file: &Path| {
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
        let (page, code) = desk.tells(&[]);
        assert_eq!(code, Some(0), "{page}");
        page.contains("everybody on this machine may read")
    };
    assert!(warned(0o644, &file));
    assert!(!warned(0o640, &file));
}
