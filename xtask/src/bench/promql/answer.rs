//! Answers beside each other.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::asked::is_near;

/// An answer: the samples of each series, moments as they are written.
pub(super) type Answer = BTreeMap<String, Vec<(String, f64)>>;

/// Reads the answer of the API.
pub(super) fn read(body: &[u8]) -> anyhow::Result<Answer> {
    let said = || String::from_utf8_lossy(body.get(..400).unwrap_or(body)).into_owned();
    let json: Value = serde_json::from_slice(body).with_context(said)?;
    let all = json.pointer("/data/result").and_then(Value::as_array).with_context(said)?;
    all.iter().map(series).collect()
}

fn series(one: &Value) -> anyhow::Result<(String, Vec<(String, f64)>)> {
    let metric = one.get("metric").and_then(Value::as_object).context("no metric")?;
    let mut labels: Vec<String> = metric.iter().map(|(name, of)| format!("{name}={of}")).collect();
    labels.sort();
    let samples = match (one.get("values").and_then(Value::as_array), one.get("value")) {
        (Some(values), _) => values.iter().map(sample).collect::<anyhow::Result<_>>()?,
        (None, Some(value)) => vec![sample(value)?],
        (None, None) => anyhow::bail!("a series without values"),
    };
    Ok((labels.join(","), samples))
}

fn sample(pair: &Value) -> anyhow::Result<(String, f64)> {
    let at = pair.get(0).context("no moment")?.to_string();
    let value = pair.get(1).and_then(Value::as_str).context("no value")?;
    Ok((at, value.parse().with_context(|| value.to_owned())?))
}

/// Fails where ours is not theirs.
pub(super) fn compare(ours: &Answer, theirs: &Answer) -> anyhow::Result<()> {
    let names = |of: &Answer| of.keys().take(3).cloned().collect::<Vec<_>>();
    ensure!(
        ours.keys().eq(theirs.keys()),
        "{} series, theirs {}: {:?}, {:?}",
        ours.len(),
        theirs.len(),
        names(ours),
        names(theirs)
    );
    for ((name, ours), theirs) in ours.iter().zip(theirs.values()) {
        let counts = (ours.len(), theirs.len());
        ensure!(counts.0 == counts.1, "{name}: {} samples, theirs {}", counts.0, counts.1);
        for (one, other) in ours.iter().zip(theirs) {
            ensure!(one.0 == other.0, "{name}: at {}, theirs at {}", one.0, other.0);
            let near = is_near(one.1, other.1);
            ensure!(near, "{name} at {}: {}, theirs {}", one.0, one.1, other.1);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told() {
        let body = |value: &str| {
            let text = format!(
                r#"{{"data":{{"result":[{{"metric":{{"a":"b"}},"values":[[1,"{value}"]]}}]}}}}"#
            );
            read(text.as_bytes()).unwrap()
        };
        assert!(compare(&body("3"), &body("3.0000000001")).is_ok());
        assert!(compare(&body("3"), &body("3.001")).is_err());
        assert!(compare(&body("3"), &Answer::new()).is_err());
        assert!(read(b"{}").is_err());
    }
}
