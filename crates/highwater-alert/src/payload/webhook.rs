//! The document of Alertmanager's webhook, version 4: what reads that reads this.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::dispatch::{Notice, Report};

/// Go's zero time, which stands for "not yet".
const NOT_YET: &str = "0001-01-01T00:00:00Z";

/// The document.
pub(super) fn document(notice: &Notice, external_url: &str) -> Value {
    let annotations: Vec<BTreeMap<String, String>> =
        notice.alerts.iter().map(Report::all_annotations).collect();
    let labels = notice.alerts.iter().map(|alert| &alert.labels);
    let alerts: Vec<Value> =
        notice.alerts.iter().zip(&annotations).map(|(alert, all)| entry(alert, all)).collect();
    json!({
        "version": "4",
        "groupKey": notice.group_key(),
        "truncatedAlerts": notice.left_out,
        "status": status(notice.firing() > 0),
        "receiver": notice.receiver,
        "groupLabels": notice.group,
        "commonLabels": common(labels),
        "commonAnnotations": common(annotations.iter()),
        "externalURL": external_url,
        "alerts": alerts,
    })
}

fn entry(alert: &Report, annotations: &BTreeMap<String, String>) -> Value {
    let ends_at = alert.ends_at.map_or_else(|| NOT_YET.to_owned(), |at| at.to_string());
    json!({
        "status": status(alert.ends_at.is_none()),
        "labels": alert.labels,
        "annotations": annotations,
        "startsAt": alert.starts_at.to_string(),
        "endsAt": ends_at,
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint(),
    })
}

fn status(fires: bool) -> &'static str {
    if fires { "firing" } else { "resolved" }
}

/// What all have in common.
fn common<'m>(
    mut all: impl Iterator<Item = &'m BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    let mut common = all.next().cloned().unwrap_or_default();
    for one in all {
        common.retain(|name, value| one.get(name) == Some(value));
    }
    common
}
