//! What the journal keeps beside a message.

use super::*;

/// The kept fields of the messages of a log, by name.
fn kept(log: &[u8], names: &[&str]) -> Vec<Option<Vec<Option<String>>>> {
    let (mut opener, mut all) = (Opener::default(), Vec::new());
    let mut add = |line: LogLine<'_>| {
        let of = |fields: &JournalFields| {
            names.iter().map(|name| fields.get(name).map(str::to_owned)).collect()
        };
        all.push(line.journal.map(of));
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

fn owned(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| Some((*value).to_owned())).collect()
}

const NAMES: [&str; 5] = ["UNIT", "_PID", "_TRANSPORT", "__CURSOR", "__REALTIME_TIMESTAMP"];

#[test]
fn every_form_of_an_entry_keeps_its_fields() {
    let object = r#"{"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"5000000","MESSAGE":"x","_TRANSPORT":"journal","_PID":"1","UNIT":"a.service","OTHER":"no"}"#;
    let export = "__CURSOR=s=1\n__REALTIME_TIMESTAMP=5000000\nMESSAGE=x\n_TRANSPORT=journal\n_PID=1\nUNIT=a.service\nOTHER=no\n\n";
    let pretty =
        format!("{}\n", object.replace(",\"", ",\n\t\"").replace('{', "{\n\t").replace('}', "\n}"));
    let expected = [Some(owned(&["a.service", "1", "journal", "s=1", "5000000"]))];
    for log in [
        object,
        export,
        &pretty,
        &format!("data: {object}\n"),
        &format!("\u{1e}{object}\n"),
        &object.replace("\"a.service\"", "[97,46,115,101,114,118,105,99,101]"),
        &object.replace("\"a.service\"", "[\"a.service\",\"b.service\"]"),
        &object.replace("\"OTHER\":\"no\"", "\"UNIT\":\"b.service\""),
        &object.replace("\"no\"", "null"),
        &object.replace("\"5000000\"", "5000000"),
        &pretty.replace("\"a.service\"", "[\n97,\n46,\n115,\n101,\n114,\n118,\n105,\n99,\n101\n]"),
        &pretty.replace("\"a.service\"", "[\n\"a.service\",\n\"b.service\"\n]"),
        &export.replace("UNIT=a.service", "UNIT\n\t\0\0\0\0\0\0\0a.service"),
        &export.replace("OTHER=no", "UNIT=b.service"),
    ] {
        assert_eq!(kept(log.as_bytes(), &NAMES), expected, "{log}");
    }
}

#[test]
fn the_verbose_form_keeps_its_fields_and_the_cursor_of_its_head() {
    let log = "Sat 2026-04-27 08:47:12.123456 UTC [s=a;i=1;b=c;m=140fd78;t=660c0769315bd;x=d]\n    \
               _PID=1\n    UNIT=a.service\n    _TRANSPORT=journal\n    MESSAGE=x\n";
    let cursor = "s=a;i=1;b=c;m=140fd78;t=660c0769315bd;x=d";
    let expected = owned(&["a.service", "1", "journal", cursor, "1795229599602109"]);
    assert_eq!(kept(log.as_bytes(), &NAMES), [Some(expected)]);
}

#[test]
fn what_is_no_entry_of_the_journal_keeps_nothing() {
    let entry = r#"{\"MESSAGE\":\"x\",\"_TRANSPORT\":\"journal\",\"_PID\":\"1\",\"UNIT\":\"a.service\",\"__REALTIME_TIMESTAMP\":\"5\"}"#;
    for log in [
        "Apr 27 08:47:12 host systemd[1]: a.service: Failed with result 'signal'.".to_owned(),
        r#"{"MESSAGE":"x","UNIT":"a.service","_PID":"1"}"#.to_owned(),
        format!(r#"{{"log":"{entry}\n","stream":"stdout","time":"2026-04-27T08:47:12.1Z"}}"#),
        format!("Apr 27 08:47:12 host app[1]: {}", entry.replace('\\', "")),
        "6,1,2,-;a\n UNIT=a.service\n".to_owned(),
    ] {
        assert!(kept(log.as_bytes(), &NAMES).iter().all(Option::is_none), "{log}");
    }
}

#[test]
fn an_entry_behind_a_value_that_lies_about_its_length_vouches_for_nothing() {
    let log = b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=5\n_TRANSPORT=stdout\n_PID=77\nMESSAGE\n\x01\0\0\0\0\0\0\0xy\n\n\
        __CURSOR=s=2\n__REALTIME_TIMESTAMP=6\n_TRANSPORT=journal\n_PID=1\nUNIT=a.service\nMESSAGE=z\n\n";
    assert!(kept(log, &["_PID"]).iter().all(Option::is_none));
}

#[test]
fn values_are_escaped_and_cut() {
    let endless = "x".repeat(9_000);
    let log = format!(
        r#"{{"MESSAGE":"x","_TRANSPORT":"journal","UNIT":"a\u001b[31m","COMMAND":"{endless}"}}"#
    );
    let fields = kept(log.as_bytes(), &["UNIT", "COMMAND"]).pop().flatten().unwrap();
    assert_eq!(fields[0].as_deref(), Some(r"a\x1b[31m"));
    assert_eq!(fields[1].as_ref().map(String::len), Some(JournalFields::MOST_BYTES));
}
