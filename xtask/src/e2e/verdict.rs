//! What a death must say, against what is known about it.

use anyhow::{Context, ensure};
use serde_json::Value;

/// What is known, because the test made it so.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) pid: u64,
    pub(crate) comm: String,
    pub(crate) limit: u64,
    pub(crate) limit_owner: String,
    /// How many recorded points of growth there must be at least.
    pub(crate) points: u64,
}

impl Expected {
    /// The figures, or the first statement of the death that is not so.
    pub(crate) fn judge(&self, death: &Value) -> anyhow::Result<String> {
        self.identify(death)?;
        let limit = number(death, "/memcg/limit_bytes")?;
        ensure!(limit == self.limit, "limit {limit} instead of {}", self.limit);
        let usage = number(death, "/memcg/usage_bytes")?;
        let near = self.limit - self.limit / 10;
        ensure!((near..=self.limit).contains(&usage), "usage {usage} at a limit of {limit}");
        let points = number(death, "/recorded/points")?;
        ensure!(points >= self.points, "{points} recorded points, {} wanted", self.points);
        Ok(format!(
            "pid {} ({}) at {} of {} bytes of {}, {points} recorded points",
            self.pid, self.comm, usage, limit, self.limit_owner
        ))
    }

    /// Who died, of what, and whose limit it was.
    pub(crate) fn identify(&self, death: &Value) -> anyhow::Result<()> {
        let pid = number(death, "/victim/pid")?;
        ensure!(pid == self.pid, "pid {pid} instead of {}", self.pid);
        let texts = [
            ("/cause", "kernel-oom-memcg"),
            ("/victim/comm", self.comm.as_str()),
            ("/memcg/limit_owner", self.limit_owner.as_str()),
        ];
        for (pointer, wanted) in texts {
            let told = text(death, pointer)?;
            ensure!(told == wanted, "{pointer} is {told} instead of {wanted}");
        }
        Ok(())
    }
}

fn number(death: &Value, pointer: &str) -> anyhow::Result<u64> {
    let value = death.pointer(pointer).and_then(Value::as_u64);
    value.with_context(|| format!("no number at {pointer}"))
}

fn text<'a>(death: &'a Value, pointer: &str) -> anyhow::Result<&'a str> {
    let value = death.pointer(pointer).and_then(Value::as_str);
    value.with_context(|| format!("no text at {pointer}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Expected {
        let (comm, limit_owner) = ("leak".into(), "/group".into());
        Expected { pid: 7, comm, limit: 1000, limit_owner, points: 20 }
    }

    fn death() -> Value {
        serde_json::json!({
            "cause": "kernel-oom-memcg",
            "victim": { "pid": 7, "comm": "leak" },
            "memcg": { "limit_owner": "/group", "limit_bytes": 1000, "usage_bytes": 1000 },
            "recorded": { "points": 20 },
        })
    }

    #[test]
    fn a_true_death_passes() {
        assert!(expected().judge(&death()).unwrap().contains("20 recorded points"));
    }

    #[test]
    fn every_wrong_statement_is_seen() {
        let wrong = [
            ("/cause", serde_json::json!("unknown")),
            ("/victim/pid", serde_json::json!(8)),
            ("/victim/comm", Value::Null),
            ("/memcg/limit_owner", serde_json::json!("/")),
            ("/memcg/limit_bytes", serde_json::json!(999)),
            ("/memcg/usage_bytes", serde_json::json!(1)),
            ("/recorded/points", serde_json::json!(19)),
        ];
        for (pointer, value) in wrong {
            let mut death = death();
            *death.pointer_mut(pointer).unwrap() = value;
            assert!(expected().judge(&death).is_err(), "{pointer}");
        }
    }
}
