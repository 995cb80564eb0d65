//! The opener's tests.

use highwater_core::time::BootTime;

use super::*;

/// What is told of a message.
#[derive(Debug, PartialEq)]
struct Told {
    number: u64,
    text: String,
    ident: Option<String>,
    origin: Origin,
}

/// All messages of a log.
fn read(log: &[u8]) -> Vec<Told> {
    let (mut opener, mut all) = (Opener::default(), Vec::new());
    let mut add = |line: LogLine<'_>| {
        let own = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (number, origin) = (line.number, line.origin);
        all.push(Told { number, text: own(line.text), ident: line.ident.map(own), origin });
    };
    for (number, line) in (1..).zip(log.split(|b| *b == b'\n')) {
        if opener.take(number, line) {
            add(opener.message(line));
        }
    }
    while opener.finish() {
        add(opener.message(b""));
    }
    all
}

fn texts(log: &[u8]) -> Vec<String> {
    read(log).into_iter().map(|told| told.text).collect()
}

fn one(line: &[u8]) -> LogLine<'_> {
    let opener: &'static mut Opener = Box::leak(Box::default());
    assert!(opener.take(1, line), "{}", line.escape_ascii());
    opener.message(line)
}

#[test]
fn a_record_within_a_programs_line_vouches_for_nothing() {
    let line = b"1777272432.123456 host app[1]: v\xff\xffcpu-0m=0;t=14v'%cpu-\0|=053,7,12307,12345678,-;Out of memory: Killed process 7 (x)";
    let mut opener = Opener::default();
    assert!(opener.take(1, line));
    assert_eq!(opener.message(line).origin, Origin::Program);
}

#[test]
fn an_object_that_a_program_writes_stays_the_programs() {
    let text = "{\"MESSAGE\":\"Out of memory: Killed process 7 (x) total-vm:dj:0\",\"_TRANSPORT\":\"kernel\"}";
    for envelope in [
        "Apr 27 08:47:12 host app[1]: ",
        "Apr 27 08:47:12 host app: ",
        "<14>Apr 27 08:47:12 host kernel: ",
        "<14>1 2026-04-27T08:47:12.123456+02:00 host app 1 - - ",
        "2026-04-27T08:47:12.123456+02:00 host app[1]: ",
        "Sun 2026-04-26 08:47:12 CEST host app.service[1]: ",
        "1777272432.123456 host app[1]: ",
        "[   12.500000] host app[1]: ",
        "Jan  1 00:00:12 host user.notice app: ",
        "09-22 15:36:44.117   412   418 I app: ",
        "2026-04-27T08:47:12.123456789Z stdout F Apr 27 08:47:12 host app[1]: ",
        "12,1,12500000,-;",
    ] {
        let line = format!("{envelope}{text}");
        let mut opener = Opener::default();
        assert!(opener.take(1, line.as_bytes()));
        let told = opener.message(line.as_bytes());
        assert_eq!(told.origin, Origin::Program, "{envelope} {told:?}");
    }
}

#[test]
fn every_envelope_comes_off() {
    let stamped = Some(BootTime::from_micros(12_345_678_901));
    for line in [
        "[12345.678901] hello",
        "<6>[12345.678901] hello",
        "\u{feff}[12345.678901] hello\r",
        "> [12345.678901] hello",
        "    [12345.678901] hello",
        "| [12345.678901] hello",
        "kern.log-12-[12345.678901] hello",
        "host1: [12345.678901] hello",
        "&lt;6&gt;[12345.678901] hello",
        "\u{1b}[32m[12345.678901] \u{1b}[0mhello\u{1b}(B",
        "kern  :info  : [12345.678901] hello",
        "Apr 27 08:47:12 host kernel: [12345.678901] hello",
        "2026-04-27T08:47:12+02:00 host kernel: [12345.678901] hello",
        "[12345.678901] host kernel: hello",
        "6,22743,12345678901,-;hello",
        "09-22 15:36:44.117 <4>[12345.678901] c2 hello",
        "68 <6>1 2026-04-27T08:47:12Z host kernel - - - [12345.678901] hello",
        r#"{"log":"[12345.678901] hello\n","stream":"stderr","time":"2026-04-27T08:47:12Z"}"#,
        r#"{"log":"Apr 27 08:47:12 h kernel: [12345.678901] hello\r\n","stream":"stdout"}"#,
        "2026-04-27T08:47:12.123456789Z stderr F <6>[12345.678901] hello",
        "2026-04-27T08:47:12.123456789Z Apr 27 08:47:12 h kernel: [12345.678901] hello",
        "2026-04-27T08:47:12.123000+00:00 i-1 Apr 27 08:47:12 h kernel: [12345.678901] hello",
        "web-1  | Apr 27 08:47:12 h kernel: [12345.678901] hello",
        "2026-04-27T08:47:12.123Z| vcpu-0| I125: Guest: <6>[12345.678901] hello",
        "Apr 27 08:47:12.123: vcpu-0| Guest: <6>[12345.678901] hello",
        r#"{"message":"<6>1 2026-04-27T08:47:12Z h kernel - - - [12345.678901] hello"}"#,
        "\0\0\0[12345.678901] hello\0",
        "`[12345.678901] hello`",
    ] {
        let line = one(line.as_bytes());
        assert_eq!((line.text, line.boot), (&b"hello"[..], stamped), "{line:?}");
        assert_eq!(line.raw.first().copied().filter(|b| *b == 0), None);
    }
    for line in ["hello", "kernel: hello", "systemd[1]: hello", "Sep 03 07:18:33 kernel: hello"] {
        assert_eq!(one(line.as_bytes()).text, b"hello", "{line}");
    }
}

#[test]
fn the_writer_is_named_where_the_envelope_names_it() {
    assert_eq!(one(b"kernel: hello").ident, Some(&b"kernel"[..]));
    assert_eq!(one(b"6,1,2,-;hello").ident, Some(&b"kernel"[..]));
    assert_eq!(one(b"30,1,2,-;hello").ident, Some(&b"user"[..]));
    assert_eq!(one(b"Apr 27 08:47:12 h earlyoom[7]: x").ident, Some(&b"earlyoom"[..]));
    assert_eq!(one(b"[    1.000000] usb 1-1: new device").ident, None);
    assert_eq!(one(b"[    1.000000] usb 1-1: new device").text, b"usb 1-1: new device");
    assert_eq!(one(b"[    1.000000] systemd[1]: hello").ident, Some(&b"systemd"[..]));
}

#[test]
fn a_moment_needs_a_zone() {
    assert!(one(b"2026-04-27T08:47:12+0200 host kernel: x").wall.is_some());
    assert_eq!(one(b"Apr 27 08:47:12 host kernel: x").wall, None);
    assert_eq!(one(b"[Mon Apr 27 08:47:12 2026] x").wall, None);
    let docker = br#"{"log":"x\n","stream":"stdout","time":"2026-04-27T08:47:12.5Z"}"#;
    assert_eq!(one(docker).wall.unwrap().to_string(), "2026-04-27T08:47:12.500Z");
}

#[test]
fn an_input_vouches_if_its_first_message_can() {
    use Origin::{Kernel, Program, Unsaid};
    let origins =
        |log: &[u8]| -> Vec<Origin> { read(log).into_iter().map(|told| told.origin).collect() };
    let json = br#"{"MESSAGE":"x","_TRANSPORT":"kernel"}"#;
    assert_eq!(origins(b"6,1,2,-;x\n12,2,3,-;app: y\n"), [Kernel, Program]);
    assert_eq!(origins(json), [Kernel]);
    assert_eq!(origins(&[&b"hello\n"[..], json, b"\n6,1,2,-;x"].concat()), [Unsaid; 3]);
    assert_eq!(origins(b"> 6,1,2,-;x"), [Unsaid]);
    let nested = br#"{"log":"{\"MESSAGE\":\"x\",\"_TRANSPORT\":\"kernel\"}\n","stream":"stdout"}"#;
    assert_eq!(origins(nested), [Unsaid]);
}

#[test]
fn what_a_program_says_below_its_first_line_is_its_own() {
    let log = b"Apr 27 08:47:12 host app[1]: first\n\
        \x20                            Out of memory: Killed process 1 (x)\n\
        \x20                            [   12.0] Out of memory: Killed process 1 (x)\n\n\
        \x20   [   12.500000] hello\n";
    let told = read(log);
    assert_eq!(told[1].ident.as_deref(), Some("app"));
    assert_eq!((told[1].origin, told[2].origin), (Origin::Program, Origin::Program));
    assert_eq!((told[3].origin, told[3].text.as_str()), (Origin::Unsaid, "hello"));
}

#[test]
fn a_program_inside_a_container_stays_one() {
    let forged = "[   12.0] Out of memory: Killed process 1 (x)";
    for line in [
        format!(r#"{{"MESSAGE":"{forged}","_TRANSPORT":"stdout","SYSLOG_IDENTIFIER":"kernel"}}"#),
        format!(r#"{{"log":"Apr 27 08:47:12 h app[1]: kernel: {forged}\n","stream":"stdout"}}"#),
        format!("2026-04-27T08:47:12.123456789Z stdout F Apr 27 08:47:12 h app[1]: {forged}"),
        format!("web | Apr 27 08:47:12 h app[1]: vcpu-0| Guest: <6>{forged}"),
        format!("> 12:Apr 27 08:47:12 h app: {forged}"),
    ] {
        let told = read(line.as_bytes());
        assert_eq!(told[0].origin, Origin::Program, "{line}");
        assert!(told[0].ident.as_deref().is_some_and(|ident| ident != "kernel"), "{line}");
    }
}

#[test]
fn parts_of_a_line_are_glued() {
    let log = b"2026-04-27T08:47:12.1Z stdout P [    1.5] he\n\
        2026-04-27T08:47:12.1Z stderr F other\n\
        2026-04-27T08:47:12.2Z stdout F llo\n";
    assert_eq!(texts(log), ["other", "hello"]);
    let docker = |text: &str| {
        format!(
            "{{\"log\":\"{text}\",\"stream\":\"stdout\",\"time\":\"2026-04-27T08:47:12.1Z\"}}\n"
        )
    };
    let log = [docker("a\\n"), docker("[  1.5] he"), docker("llo\\n"), docker("cut")].concat();
    assert_eq!(texts(log.as_bytes()), ["a", "hello", "cut"]);
    assert_eq!(texts([docker("a"), docker("b")].concat().as_bytes()), ["a", "b"]);
}

#[test]
fn several_messages_on_a_line_are_one_of_several_lines() {
    assert_eq!(texts(b"[1.5] a\r[1.6] b\r\r[1.7] c\r"), ["a\nb\nc"]);
    assert_eq!(texts(br#"[{"message":"[1.5] a"},{"message":"[1.6] b\n"}]"#), ["a\nb"]);
    assert_eq!(texts(br#"{"MESSAGE":"a\nb","_TRANSPORT":"kernel"}"#), ["a\nb"]);
    assert_eq!(texts(b"10 <6>[1.5] a10 <6>[1.6] b"), ["a\nb"]);
    assert_eq!(texts(b"13 <30>app[1]: x10 <6>[1.5] a"), ["a"]);
    assert_eq!(texts(b"[   12.500000] a[   12.600000] b[ 5] c"), ["a\nb[ 5] c"]);
    assert_eq!(texts(b"[   12.500000] a [   12.600000] b"), ["a [   12.600000] b"]);
    assert_eq!(texts(b"[1.000000] a[1.000001] app[1]: b[1.000002] c"), ["a"]);
    let forged = b"Apr 27 08:47:12 h app[1]: x\rApr 27 08:47:12 h kernel: y\r";
    assert_eq!(read(forged)[0].ident.as_deref(), Some("app"));
    assert_eq!(read(forged)[0].text, "x");
}

#[test]
fn a_line_right_behind_an_entry_waits_its_turn() {
    let log = b"_TRANSPORT=kernel\nMESSAGE=a\n[    1.5] b\n[    1.6] c\n--\n[    1.7] d";
    let told = read(log);
    let both: Vec<_> = told.iter().map(|told| (told.number, told.text.as_str())).collect();
    assert_eq!(both, [(2, "a"), (3, "b"), (4, "c"), (6, "d")]);
    assert_eq!(texts(b"MESSAGE=a\n10 <6>[1.5] b"), ["a", "b"]);
    assert_eq!(texts(b"\"msg\" : \"a\"\n[1.5] b\r[1.6] c"), ["a", "b\nc"]);
}

#[test]
fn entries_tell_where_their_message_stands_and_what_they_looked_like() {
    let log = b"x\n{\n\t\"PRIORITY\" : \"6\",\n\t\"MESSAGE\" : \"a\"\n}\ny\n";
    let numbers: Vec<_> = read(log).iter().map(|told| told.number).collect();
    assert_eq!(numbers, [1, 4, 6]);
    let mut opener = Opener::default();
    assert!(!opener.take(1, b"MESSAGE=a"));
    assert!(!opener.take(2, b"_TRANSPORT=kernel") && opener.take(3, b""));
    assert_eq!(opener.message(b"").raw, b"MESSAGE=a\n_TRANSPORT=kernel");
}

#[test]
fn mail_as_it_was_sent_is_decoded() {
    let first = format!("{:x<75}=", "> a=3D1,");
    let log = format!("{first}\nb=3D2\n[   12.600000] c=3D=\n[   12.700000] d=e\n");
    let told = read(log.as_bytes());
    let numbers: Vec<_> = told.iter().map(|told| told.number).collect();
    assert_eq!(numbers, [1, 3, 4]);
    assert!(told[0].text.starts_with("a=1,x") && told[0].text.ends_with("xb=2"));
    assert_eq!((told[1].text.as_str(), told[2].text.as_str()), ("c==", "d=e"));
    let app = b"Apr 27 08:47:12 h app[1]: a=3D=\n[   12.0] Out of memory: Killed process 1 (x)";
    assert_eq!(read(app)[0].origin, Origin::Program);
    assert_eq!(read(app)[1].text, "Out of memory: Killed process 1 (x)");
}

#[test]
fn no_code_is_undone_where_an_envelope_vouches() {
    let forged = "=22,=22MESSAGE=22:=22y=22,=22_TRANSPORT=22:=22kernel=22,=22z=22:=22";
    let docker = format!(r#"{{"log":"x=3D{forged}\n","stream":"stdout"}}"#);
    let journal = format!(r#"{{"MESSAGE":"x=3D{forged}","_TRANSPORT":"stdout"}}"#);
    for line in [docker.clone(), journal.clone(), format!("> {docker}"), format!("a\n{journal}")] {
        let told = read(line.as_bytes()).pop().unwrap();
        assert_ne!(told.origin, Origin::Kernel, "{line}");
        assert!(told.text.contains("x=3D=22,=22MESSAGE"), "{line}");
    }
    let export = b"_TRANSPORT=kernel\nMESSAGE=3DOut of memory: Killed process 1 (x) x=\n\
        SYSLOG_FACILITY=16\n\n";
    let told = read(export);
    assert_eq!((told.len(), told[0].origin), (1, Origin::Program));
    assert_eq!(told[0].text, "3DOut of memory: Killed process 1 (x) x=");
    let verbose = b"Sat 2026-04-27 08:47:12.123456 UTC [s=1;i=1;b=1;m=1;t=1;x=1]\n    \
        MESSAGE=3Dx=\n    _TRANSPORT=stdout\n";
    assert!(read(verbose).iter().all(|told| told.origin != Origin::Kernel));
    let record = read(b"6,1,2,-;x=3D\n12,2,3,-;y=3D=\n6,3,4,-;z");
    let both: Vec<_> = record.iter().map(|told| (told.text.as_str(), told.origin)).collect();
    let (kernel, app) = (Origin::Kernel, Origin::Program);
    assert_eq!(both, [("x=3D", kernel), ("y=3D=", app), ("z", kernel)]);
}

#[test]
fn an_input_with_a_line_that_was_decoded_does_not_vouch() {
    for log in ["a=3D1\n6,1,2,-;x", "=36,1,2,-;x=3D", "a=3D1\n=7B=22MESSAGE=22:=22x=22}"] {
        let told = read(log.as_bytes()).pop().unwrap();
        assert_ne!(told.origin, Origin::Kernel, "{log}");
    }
}

#[test]
fn a_blank_line_in_a_message_does_not_end_it() {
    for blank in ["    ", "\t\t", "                             ", " \r"] {
        let log = format!(
            "Apr 27 08:47:12 host app[1]: first\n{blank}\n\
            \x20                            [   12.0] Out of memory: Killed process 1 (x)\n"
        );
        let told = read(log.as_bytes());
        assert_eq!(told[1].origin, Origin::Program, "{blank:?}");
        assert_eq!(told[1].ident.as_deref(), Some("app"));
    }
}

#[test]
fn wrapped_lines_come_out_and_programs_stay_programs() {
    for line in [
        r#"1772355600100,"[   12.500000] hello""#,
        r#"- {"dt": "2026-04-27T08:47:12", "lvl": "target", "msg": "[   12.500000] hello"}"#,
        r#"[0] kube: [[1772355600.1, {}], {"log"=>"[   12.500000] hello"}]"#,
        r#"2026-04-27T08:47:12Z {unit="kernel"} [   12.500000] hello"#,
        r#"2026-04-27 08:47:12.123456789 +0200 kernel: {"seq": 1, "msg": "hello"}"#,
        r#"{"dmesg": "[   12.500000] hello"}"#,
        r#"{"data":{"result":[{"values":[["1772355600100","[   12.500000] hello"]]}]}}"#,
        "b'[   12.500000] hello'",
    ] {
        assert_eq!(one(line.as_bytes()).text, b"hello", "{line}");
    }
    let forged = "[   12.000000] Out of memory: Killed process 1 (x)";
    for line in [
        format!(r#"1772355600100,"Apr 27 08:47:12 h app[1]: {forged}""#),
        format!(r#"2026-04-27T08:47:12Z {{unit="app.service"}} {forged}"#),
        format!(r#"[0] k: [[1.1, {{}}], {{"MESSAGE"=>"{forged}", "_TRANSPORT"=>"stdout"}}]"#),
        format!(r"b'Apr 27 08:47:12 h app[1]: x\n{forged}'"),
        format!("app[1]: - {forged}"),
        format!("Apr 27 08:47:12 h app[1]: x y {forged}"),
        format!("[   11.000000] app[1]: x{forged}[   13.000000] {forged}"),
    ] {
        let told = read(line.as_bytes());
        assert_eq!(told[0].origin, Origin::Program, "{line}");
    }
}

#[test]
fn what_was_left_out_is_not_glued() {
    let mut opener = Opener::default();
    assert!(!opener.take(1, b"2026-04-27T08:47:12.1Z stdout P he"));
    opener.skipped();
    assert!(opener.take(9, b"2026-04-27T08:47:12.1Z stdout F llo"));
    assert_eq!(opener.message(b"2026-04-27T08:47:12.1Z stdout F llo").text, b"llo");
}

#[test]
fn garbage_is_a_line_like_any_other() {
    let silent = br#"{"MESSAGE":null,"_TRANSPORT":"stdout","X":"Killed process 1 (x)"}"#;
    assert!(texts(silent).is_empty());
    for log in [
        &b"\xff\xfe\x00"[..],
        b"[",
        b"<",
        b"<6",
        b"1,",
        b"> ",
        b">>>",
        b"[.]",
        b"\r",
        b"{\"",
        b"{",
        b"[{",
        b"data: {",
        b"\x1e",
        b"1 <",
        b"&;",
        b"\x1b]",
        b"`",
        b"I/(0)",
        b"\xc2",
    ] {
        assert!(texts(log).len() <= 1, "{}", log.escape_ascii());
    }
}
