//! `cargo xtask oom-corpus DIR`: a folder of logs and the facts each must yield.
//!
//! `NAME.txt` is a log, `NAME.expected.json` what a perfect reader finds in it. Only the keys that
//! are present are compared; `alt_deaths` lists other readings that are as good.

use std::path::Path;

use anyhow::{Context, bail};
use highwater_log::{Stream, decoded};
use highwater_oom::OomReport;
use serde_json::Value;

/// What a log comes with.
const LOG: &str = ".txt";
const EXPECTED: &str = ".expected.json";

/// Checks every log of `dir`, prints what is wrong and `N passed, M failed`, and fails if M > 0.
pub(crate) fn run(dir: &Path) -> anyhow::Result<()> {
    let names = names(dir)?;
    let mut failed = 0_usize;
    for name in &names {
        let wrong = check(dir, name)?;
        failed += usize::from(!wrong.is_empty());
        for line in wrong {
            println!("{name}: {line}");
        }
    }
    println!("{} passed, {failed} failed", names.len() - failed);
    if names.is_empty() {
        bail!("{}: no NAME{LOG} beside a NAME{EXPECTED}", dir.display());
    }
    if failed > 0 {
        bail!("{failed} of {} logs were misread", names.len());
    }
    Ok(())
}

/// The names of all pairs, sorted.
fn names(dir: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in dir.read_dir().with_context(|| dir.display().to_string())? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        names.extend(file.strip_suffix(EXPECTED).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// What is wrong with one log: of all accepted readings, the one nearest to what came out.
fn check(dir: &Path, name: &str) -> anyhow::Result<Vec<String>> {
    let path = |end| dir.join(format!("{name}{end}"));
    let log = std::fs::read(path(LOG)).with_context(|| path(LOG).display().to_string())?;
    let expected = std::fs::read(path(EXPECTED))?;
    let expected: Value =
        serde_json::from_slice(&expected).with_context(|| path(EXPECTED).display().to_string())?;
    let got = serde_json::to_value(highwater_oom::facts::facts(&reports(&log)))?;
    let got = got.get("deaths").unwrap_or(&Value::Null);
    Ok(judge(&expected, got))
}

/// All reports of a log.
pub(crate) fn reports(log: &[u8]) -> Vec<OomReport> {
    // A log in memory can be read: what fails is an archive that is damaged, up to there.
    decoded(std::io::Cursor::new(log.to_vec()))
        .map(|input| highwater_oom::skim(Stream::new(input)))
        .unwrap_or_default()
}

/// What `got` lacks of the accepted reading that it comes nearest to.
fn judge(expected: &Value, got: &Value) -> Vec<String> {
    let alternatives = expected.get("alt_deaths").and_then(Value::as_array);
    let readings = expected.get("deaths").into_iter().chain(alternatives.into_iter().flatten());
    let wrong = readings.map(|want| {
        let mut wrong = Vec::new();
        compare("deaths", want, got, &mut wrong);
        wrong
    });
    wrong.min_by_key(Vec::len).unwrap_or_else(|| vec!["expected has no deaths".to_owned()])
}

/// Adds a line for each key of `want` that `got` does not have as it is.
fn compare(path: &str, want: &Value, got: &Value, wrong: &mut Vec<String>) {
    match (want, got) {
        (Value::Object(want), Value::Object(got)) => {
            for (key, want) in want {
                compare(
                    &format!("{path}.{key}"),
                    want,
                    got.get(key).unwrap_or(&Value::Null),
                    wrong,
                );
            }
        }
        (Value::Array(want), Value::Array(got)) => {
            if want.len() != got.len() {
                wrong.push(format!("{path}: want {} entries, got {}", want.len(), got.len()));
            }
            for (at, want) in want.iter().enumerate() {
                compare(&format!("{path}[{at}]"), want, got.get(at).unwrap_or(&Value::Null), wrong);
            }
        }
        _ if want == got => {}
        _ => wrong.push(format!("{path}: want {want}, got {got}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_keys_that_are_present_count() {
        let got = json!([{"victim": {"pid": 7, "comm": "x"}, "cause": "unknown"}]);
        let expected = json!({"deaths": [{"victim": {"pid": 7}}], "note": "n"});
        assert_eq!(judge(&expected, &got), Vec::<String>::new());
        let expected = json!({"deaths": [{"victim": {"pid": 8, "uid": 1}}]});
        assert_eq!(
            judge(&expected, &got),
            ["deaths[0].victim.pid: want 8, got 7", "deaths[0].victim.uid: want 1, got null"]
        );
    }

    #[test]
    fn other_readings_are_accepted() {
        let expected = json!({"deaths": [{"victim": {"pid": 7}}], "alt_deaths": [[]]});
        assert_eq!(judge(&expected, &json!([])), Vec::<String>::new());
        let too_many = json!([{"victim": {"pid": 7}}, {"victim": {"pid": 8}}]);
        assert_eq!(judge(&expected, &too_many), ["deaths: want 1 entries, got 2"]);
    }
}
