//! Alertmanager's `POST /api/v2/alerts`.

use serde_json::{Value, json};

use crate::dispatch::Report;

/// A list of alerts, as Prometheus posts it.
pub(super) fn alerts(reports: &[Report]) -> Value {
    let one = |report: &Report| {
        let mut alert = json!({
            "labels": report.labels,
            "annotations": report.all_annotations(),
            "startsAt": report.starts_at.to_string(),
            "generatorURL": report.generator_url,
        });
        if let (Some(ends_at), Some(fields)) = (report.ends_at, alert.as_object_mut()) {
            fields.insert("endsAt".to_owned(), Value::String(ends_at.to_string()));
        }
        alert
    };
    reports.iter().map(one).collect()
}
