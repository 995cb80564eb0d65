//! What is asked: the panels of a fleet's dashboards.

use super::fleet::END_MS;
use crate::asked::percent;

/// A query.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) expr: &'static str,
    pub(super) when: When,
}

/// When it is asked, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    At(i64),
    From { from: i64, to: i64, step: i64 },
}

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// So many points a panel has, and how close they are at the least, as in Grafana.
const WIDTH: i64 = 1000;
const LEAST_STEP: i64 = 15;

/// The queries: how far back (0: at one moment), and what.
const ALL: [(i64, &str); 20] = [
    (0, "topk(10, container_memory_working_set_bytes)"),
    (0, r#"sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[5m]))"#),
    (0, "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes"),
    (0, "predict_linear(node_filesystem_avail_bytes[6h], 86400) / 1e9"),
    (0, "max_over_time(container_memory_working_set_bytes[7d])"),
    (HOUR, "node_load1"),
    (HOUR, "sum by (mode) (rate(node_cpu_seconds_total[5m]))"),
    (6 * HOUR, "sum by (namespace) (container_memory_working_set_bytes)"),
    (
        6 * HOUR,
        "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
    ),
    (
        6 * HOUR,
        "container_memory_working_set_bytes / on (container, instance) group_left () \
         container_spec_memory_limit_bytes",
    ),
    (6 * HOUR, "max_over_time(sum(rate(container_cpu_usage_seconds_total[5m]))[3601s:5m])"),
    (DAY, "topk(5, sum by (container) (rate(container_cpu_usage_seconds_total[5m])))"),
    (DAY, r#"100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])))"#),
    (DAY, r#"absent(node_load1{instance="node-00:9100"})"#),
    (DAY, r#"rate(node_network_receive_bytes_total{device="eth0"}[5m]) * 8"#),
    (7 * DAY, "avg_over_time(node_load1[1h])"),
    (
        7 * DAY,
        "sum(container_memory_working_set_bytes) - \
         sum(container_memory_working_set_bytes offset 1w)",
    ),
    (7 * DAY, "quantile(0.9, container_memory_working_set_bytes)"),
    (30 * DAY, "sum by (instance) (increase(node_network_transmit_bytes_total[1h]))"),
    (30 * DAY, "deriv(node_memory_MemAvailable_bytes[1h])"),
];

/// All, asked at the end of what was imported.
pub(super) fn all() -> Vec<Question> {
    let to = END_MS / 1000;
    let question = |(back, expr): (i64, &'static str)| {
        let step = ((back + WIDTH - 1) / WIDTH).max(LEAST_STEP);
        let when = if back == 0 { When::At(to) } else { When::From { from: to - back, to, step } };
        Question { expr, when }
    };
    ALL.into_iter().map(question).collect()
}

impl Question {
    /// The path and query of the request.
    pub(super) fn path(&self) -> String {
        let expr = percent(self.expr);
        match self.when {
            When::At(at) => format!("/api/v1/query?query={expr}&time={at}"),
            When::From { from, to, step } => {
                format!("/api/v1/query_range?query={expr}&start={from}&end={to}&step={step}")
            }
        }
    }

    /// How far back it looks, in a word.
    pub(super) fn span(&self) -> String {
        match self.when {
            When::At(_) => "now".to_owned(),
            When::From { from, to, .. } if to - from < DAY => format!("{} h", (to - from) / HOUR),
            When::From { from, to, .. } => format!("{} d", (to - from) / DAY),
        }
    }
}
