//! Configurations that are good, and what is said of those that are not.

use std::fmt::Write as _;

use super::*;

fn faults(text: &str) -> String {
    Config::parse(text, "agent.toml").unwrap_err().to_string()
}

#[test]
fn nothing_said_is_the_default() {
    for text in ["", "\u{feff}", "# nothing\n", "[sample]\n[web]\n"] {
        assert_eq!(Config::parse(text, "f").unwrap(), Config::default(), "{text:?}");
    }
}

#[test]
fn the_commented_default_is_the_default_with_and_without_the_comment_signs() {
    let file = Config::commented_default();
    assert_eq!(Config::parse(&file, "f").unwrap(), Config::default());
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') => key.to_owned(),
        _ => line.to_owned(),
    };
    let active: Vec<_> = file.lines().map(uncomment).collect();
    let keys = active.iter().filter(|line| line.contains(" = ") && !line.starts_with('#')).count();
    assert_eq!(keys, KEYS.len());
    assert_eq!(Config::parse(&active.join("\n"), "f").unwrap(), Config::default());
}

#[test]
fn every_key_reaches_its_own_place() {
    let text = r#"
        sample = { every = "2s", close_up_every = "100ms", close_up_within = "12.5%", close_up_horizon = "0s", slow_every = "1m" }
        store.keep = "4w"
        store.keep_minutes = "5w"
        store.keep_ten_minutes = "6w"
        store.budget = "1GiB"
        store.free_floor = "0"
        store.process_min_rss = "1 GiB"
        store.process_min_growth = "2MiB"
        store.process_min_age = "2h"
        store.old_processes = 1
        store.new_processes = 2
        store.processes = 3
        [survey]
        enabled = false
        every = "2min"
        log_folders = ["/a", "/b"]
        log_file_least = "1kB"
        mappings_an_hour = "1s"
        docker = false
        [growth]
        enabled = false
        every = "1h"
        cpu_budget = "2%"
        [rules]
        enabled = false
        shipped = false
        files = ["/r/*.yml"]
        every = "1min"
        labels = ["cluster=east"]
        external_url = "https://here"
        [notify]
        group_by = []
        group_wait = "1s"
        group_interval = "1min"
        repeat_interval = "1h"
        timeout = "2s"
        [web]
        enabled = false
        listen = "[::1]:1"
        per_process = true
        tls_certificate_file = "/c"
        tls_key_file = "/k"
        tokens = ["sha256:1", "sha256:2"]
        users = ["ann:$2y$10$x"]
        hosts = ["mon.example"]
        allow_plain_http = true
        allow_anyone = true
        [agent]
        lock_memory = false
        oom_score_adj = 0x10
        cpu_budget = "0.3%"
        memory_budget = "20MiB"
        [kmsg]
        enabled = false
        [witness]
        signals = false
        processes = false
        cgroups = false
        journal = false
        systemd = false
        docker_socket = ""
        podman_socket = "/p"
        kubelet = "http://127.0.0.1:10255"
        kubelet_token_file = "/t"
        kubelet_ca_file = ""
        kubelet_insecure = true
        audit_log = ""
    "#;
    assert_eq!(Config::parse(text, "f").unwrap(), everything_else());
}

/// Every key away from its default.
fn everything_else() -> Config {
    Config {
        sample: Sample {
            every: Duration::from_secs(2),
            close_up_every: Duration::from_millis(100),
            close_up_within: Permille::new(125),
            close_up_horizon: Duration::ZERO,
            slow_every: minutes(1),
        },
        store: Store {
            keep: hours(28 * 24),
            keep_minutes: hours(35 * 24),
            keep_ten_minutes: hours(42 * 24),
            budget: Bytes::new(1 << 30),
            free_floor: Bytes::ZERO,
            process_min_rss: Bytes::new(1 << 30),
            process_min_growth: Bytes::from_mib(2),
            process_min_age: hours(2),
            old_processes: 1,
            new_processes: 2,
            processes: 3,
        },
        survey: Survey {
            enabled: false,
            every: minutes(2),
            log_folders: vec!["/a".into(), "/b".into()],
            log_file_least: Bytes::new(1_000),
            mappings_an_hour: Duration::from_secs(1),
            docker: false,
        },
        web: Web {
            enabled: false,
            listen: "[::1]:1".parse().unwrap(),
            per_process: true,
            tls_certificate_file: "/c".to_owned(),
            tls_key_file: "/k".to_owned(),
            tokens: vec!["sha256:1".to_owned(), "sha256:2".to_owned()],
            users: vec!["ann:$2y$10$x".to_owned()],
            hosts: vec!["mon.example".to_owned()],
            allow_plain_http: true,
            allow_anyone: true,
        },
        agent: Own {
            lock_memory: false,
            oom_score_adj: 16,
            cpu_budget: Permille::new(3),
            memory_budget: Bytes::from_mib(20),
        },
        kmsg: Kmsg { enabled: false },
        growth: Growth { enabled: false, every: hours(1), cpu_budget: Permille::new(20) },
        rules: other_rules(),
        notify: other_notify(),
        witness: Witnesses {
            signals: false,
            processes: false,
            cgroups: false,
            journal: false,
            systemd: false,
            docker_socket: String::new(),
            podman_socket: "/p".to_owned(),
            kubelet: "http://127.0.0.1:10255".to_owned(),
            kubelet_token_file: "/t".to_owned(),
            kubelet_ca_file: String::new(),
            kubelet_insecure: true,
            audit_log: String::new(),
        },
        file: None,
        program: None,
    }
}

fn other_rules() -> Rules {
    Rules {
        enabled: false,
        shipped: false,
        files: vec!["/r/*.yml".to_owned()],
        every: minutes(1),
        labels: vec!["cluster=east".to_owned()],
        external_url: "https://here".to_owned(),
    }
}

fn other_notify() -> Notify {
    Notify {
        group_by: Vec::new(),
        group_wait: Duration::from_secs(1),
        group_interval: minutes(1),
        repeat_interval: hours(1),
        timeout: Duration::from_secs(2),
        receivers: Vec::new(),
    }
}

#[test]
fn what_changed_is_told_key_by_key() {
    let (usual, other) = (Config::default(), everything_else());
    assert_eq!(usual.changes(&other).count(), KEYS.len());
    assert_eq!(other.changes(&other).count(), 0);
    let late: Vec<_> =
        usual.changes(&other).filter(|key| key.needs_restart()).map(|key| key.path).collect();
    assert_eq!(late.len(), 25, "{late:?}");
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    let text = "[sample]\nevery = \"5s\"\nevry = \"5s\"\n[wbe]\nlisten = \"x\"\n[sampel]\n\
                [kmsg]\nper_process = true\nfrobnicate = 1\n[other]\n[a.b]\nc = 1\n";
    insta::assert_snapshot!(faults(text), @r#"
    unknown key "sample.evry" in agent.toml line 3; did you mean "sample.every"?
    unknown key "wbe.listen" in agent.toml line 5; did you mean "web.listen"?
    unknown key "sampel" in agent.toml line 6; did you mean "sample"?
    unknown key "kmsg.per_process" in agent.toml line 8; did you mean "web.per_process"?
    unknown key "kmsg.frobnicate" in agent.toml line 9
    unknown key "other" in agent.toml line 10
    unknown key "a.b" in agent.toml line 11
    "#);
    insta::assert_snapshot!(faults("every = \"5s\""), @r#"unknown key "every" in agent.toml line 1; did you mean "sample.every"?"#);
}

#[test]
fn a_wrong_value_is_told_with_what_is_allowed() {
    let text = r#"
[sample]
every = "0s"
close_up_every = "2s"
close_up_within = "60%"
close_up_horizon = 60
slow_every = "30 sec"
[store]
keep = "7"
process_min_rss = "1.5GiB"
new_processes = 0
processes = -1
[survey]
log_folders = "/var/log"
[web]
enabled = "yes"
listen = "localhost:9477"
per_process = 1
[agent]
lock_memory = 2026-01-01
oom_score_adj = -1000
"#;
    insta::assert_snapshot!(faults(text), @r#"
    bad value "0s" of "sample.every" in agent.toml line 3: it is too small; allowed is a duration from "1s" to "10min"
    bad value "2s" of "sample.close_up_every" in agent.toml line 4: it is too large; allowed is a duration from "100ms" to "1s"
    bad value "60%" of "sample.close_up_within" in agent.toml line 5: it is too large; allowed is a share from "1%" to "50%"
    bad value 60 of "sample.close_up_horizon" in agent.toml line 6: it is not a text in quotes but of type integer; allowed is a duration from "0s" to "1h"
    bad value "30 sec" of "sample.slow_every" in agent.toml line 7: its unit is none of ms, s, min, h, d, w; allowed is a duration from "1s" to "1h"
    bad value "7" of "store.keep" in agent.toml line 9: it lacks a unit (ms, s, min, h, d, w); allowed is a duration from "1h" to "400d"
    bad value "1.5GiB" of "store.process_min_rss" in agent.toml line 10: it is not whole: take a smaller unit; allowed is a size from "0" to "1TiB"
    bad value 0 of "store.new_processes" in agent.toml line 11: it is too small; allowed is a whole number from 1 to 1000
    bad value -1 of "store.processes" in agent.toml line 12: it is out of range; allowed is a whole number from 0 to 50000
    bad value "/var/log" of "survey.log_folders" in agent.toml line 14: it is not a list but of type string; allowed is a list of at most 16 folders, as in ["/var/log"]
    bad value "yes" of "web.enabled" in agent.toml line 16: it is not a switch but of type string; allowed is true or false
    bad value "localhost:9477" of "web.listen" in agent.toml line 17: it is no such address; allowed is an address and a port, as in "127.0.0.1:9477" or "[::1]:9477"
    bad value 1 of "web.per_process" in agent.toml line 18: it is not a switch but of type integer; allowed is true or false
    bad value 2026-01-01 of "agent.lock_memory" in agent.toml line 20: it is not a switch but of type datetime; allowed is true or false
    bad value -1000 of "agent.oom_score_adj" in agent.toml line 21: it is too small; allowed is a whole number from -999 to 1000
    "#);
    insta::assert_snapshot!(faults("agent.oom_score_adj = 99999999999"), @r#"bad value 99999999999 of "agent.oom_score_adj" in agent.toml line 1: it is out of range; allowed is a whole number from -999 to 1000"#);
}

#[test]
fn folders_are_whole_paths_and_not_too_many() {
    insta::assert_snapshot!(faults("survey.log_folders = [\"/a\", 1]\n"), @r#"bad value ["/a", 1] of "survey.log_folders" in agent.toml line 1: it is not a text in quotes but of type integer; allowed is a list of at most 16 folders, as in ["/var/log"]"#);
    insta::assert_snapshot!(faults("survey.log_folders = [\"a/b\"]\n"), @r#"bad value ["a/b"] of "survey.log_folders" in agent.toml line 1: a path in it is not absolute; allowed is a list of at most 16 folders, as in ["/var/log"]"#);
    let many = format!("survey.log_folders = [{}]", "\"/a\",".repeat(17));
    insta::assert_snapshot!(faults(&many), @r#"bad value ["/a","/a","/a","/a","/a","/a","/a","/a","/a","/a","/a","/a"… of "survey.log_folders" in agent.toml line 1: it is too long; allowed is a list of at most 16 folders, as in ["/var/log"]"#);
    let none = Config::parse("survey.log_folders = []", "f").unwrap();
    assert!(none.survey.log_folders.is_empty());
}

#[test]
fn what_could_be_a_secret_is_not_repeated() {
    let text = "[web]\nhosts = [\"\"]\ntokens = \"a secret\"\nusers = [\"ann:secret\", 1]\n";
    insta::assert_snapshot!(faults(text), @r#"
    bad value [""] of "web.hosts" in agent.toml line 2: an entry in it is empty; allowed is a list of at most 64 names, as in ["mon.example"]
    bad value … of "web.tokens" in agent.toml line 3: it is not a list but of type string; allowed is a list of at most 64 hashes, as in ["sha256:…"]
    bad value … of "web.users" in agent.toml line 4: it is not a text in quotes but of type integer; allowed is a list of at most 64 names with hashes, as in ["ann:$2y$10$…"]
    "#);
}

#[test]
fn values_and_sections_in_each_others_place() {
    insta::assert_snapshot!(faults("web = false\n[sample.every]\nx = 1\n[[store]]\n"), @r#"
    misplaced "web" in agent.toml line 1: write [web] and its keys below it
    misplaced "sample.every" in agent.toml line 2: write every = "5s"
    misplaced "store" in agent.toml line 4: write [store] and its keys below it
    "#);
}

#[test]
fn what_is_not_toml_is_told_by_line() {
    insta::assert_snapshot!(faults("[sample]\nevery = 5s\n\n[web\n"), @r#"
    no TOML in agent.toml line 2: string values must be quoted, expected literal string
    no TOML in agent.toml line 4: unclosed table, expected `]`
    "#);
    insta::assert_snapshot!(faults("[sample]\nevery = \"5s\"\nevery = \"6s\"\n"), @r#"no TOML in agent.toml line 3: duplicate key"#);
}

#[test]
fn hostile_text_is_escaped_and_cut() {
    let text = format!("\"\\u001b[2J\" = 1\n[web]\nlisten = '''\n{}'''\n", "二".repeat(500));
    insta::assert_snapshot!(faults(&text), @r#"
    unknown key "\x1b[2J" in agent.toml line 1
    bad value '''\n二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二二… of "web.listen" in agent.toml line 3: it is no such address; allowed is an address and a port, as in "127.0.0.1:9477" or "[::1]:9477"
    "#);
}

#[test]
fn garbage_is_never_more_than_an_error() {
    for text in
        ["\0", "[[[[", "= = =", "a.b.c.d = {", "\"", "[sample]\nevery = \"\"\n", "x = [[[[["]
    {
        assert!(Config::parse(text, "f").is_err(), "{text:?}");
    }
    let deep = format!("a = {}", "[".repeat(100_000));
    assert!(Config::parse(&deep, "f").is_err());
}

#[test]
fn files_are_read_and_what_cannot_be_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.toml");
    assert!(Config::load(&path).unwrap_err().to_string().contains("agent.toml"));
    std::fs::write(&path, "[web]\nenabled = false\n").unwrap();
    let loaded = Config::load(&path).unwrap();
    assert!(!loaded.web.enabled);
    assert_eq!(loaded.file.as_ref(), Some(&path));
    std::fs::write(&path, "[web]\nenabled = 0\n").unwrap();
    let error = Config::load(&path).unwrap_err().to_string();
    assert!(error.contains(&format!("{} line 2", path.display())), "{error}");
    std::fs::write(&path, b"\xff\xfe").unwrap();
    assert!(matches!(Config::load(&path), Err(ConfigError::Unreadable { .. })));
    std::fs::write(&path, "#".repeat(1024 * 1024 + 1)).unwrap();
    assert!(matches!(Config::load(&path), Err(ConfigError::TooLarge { .. })));
}

#[test]
fn the_manual_shows_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/manual/config.md");
    let manual = std::fs::read_to_string(&path).unwrap();
    let mut table = "| key | default | allowed | meaning |\n|---|---|---|---|\n".to_owned();
    for key in KEYS {
        let (allowed, doc) = (key.allowed(), key.doc);
        writeln!(table, "| `{}` | `{}` | {allowed} | {doc} |", key.path, key.default).unwrap();
    }
    let file = format!("```toml\n{}```\n", Config::commented_default());
    let expected = [("keys", table), ("file", file)].iter().fold(manual, |text, (name, block)| {
        let begin = format!("<!-- {name} -->\n");
        let (head, rest) = text.split_once(&begin).expect("the place is marked");
        let (_, tail) = rest.split_once("<!-- end -->").expect("and its end");
        format!("{head}{begin}{block}<!-- end -->{tail}")
    });
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let now = std::fs::read_to_string(&path).unwrap();
    assert!(now == expected, "docs/manual/config.md is out of date: run this test with BLESS=1");
}
