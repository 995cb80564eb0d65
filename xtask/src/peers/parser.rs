//! The crate `linux-oom-parser`, asked for what it knows of each death.
//!
//! It gets each log twice, as it is and out of its envelopes, and the better answer counts.

use linux_oom_parser::{
    ByteSize, CgroupResource, KilledProcess, OomEvent, OomMessage, OomReason, OomScope,
    analyze_event, parse_events,
};
use serde_json::{Value, json};

use super::case::Case;
use super::judge;

/// The deaths that it finds, or the first fault that made it give up.
pub(super) fn read(log: &Case) -> Result<Vec<Value>, String> {
    let plain = deaths(&log.text());
    let stripped = deaths(&log.messages().join("\n"));
    match (plain, stripped) {
        (Ok(plain), Ok(stripped)) => Ok(better(log, plain, stripped)),
        (Ok(deaths), Err(_)) | (Err(_), Ok(deaths)) => Ok(deaths),
        (Err(cause), Err(_)) => Err(cause),
    }
}

fn better(log: &Case, plain: Vec<Value>, stripped: Vec<Value>) -> Vec<Value> {
    let badness = |deaths: &[Value]| judge::best(&log.readings, deaths).badness();
    if badness(&stripped) < badness(&plain) { stripped } else { plain }
}

fn deaths(log: &str) -> Result<Vec<Value>, String> {
    let events = parse_events(log).map_err(|cause| cause.to_string())?;
    Ok(events.iter().flat_map(of_event).collect())
}

/// The deaths of one event; a victim that is printed twice died once.
fn of_event(event: &OomEvent) -> Vec<Value> {
    let mut killed: Vec<&KilledProcess> = Vec::new();
    for record in &event.records {
        if let OomMessage::Killed(victim) = &record.message
            && !killed.iter().any(|known| known.pid == victim.pid)
        {
            killed.push(victim);
        }
    }
    let (constraint, trigger, memcg) = (constraint(event), trigger(event), memcg(event));
    let death = |victim: &&KilledProcess| {
        json!({
            "victim": self::victim(event, victim),
            "constraint": constraint,
            "trigger": trigger,
            "memcg": memcg,
        })
    };
    killed.iter().map(death).collect()
}

/// What it knows of the victim: from the kill line, else from the summary or the table.
fn victim(event: &OomEvent, victim: &KilledProcess) -> Value {
    let memory = &victim.memory;
    let bytes = |size: Option<ByteSize>| size.map(|size| size.as_u64());
    let mut uid = victim.uid;
    let mut adjustment = victim.oom_score_adj;
    let mut score = None;
    for record in &event.records {
        match &record.message {
            OomMessage::OomContext(line) if line.pid == victim.pid => uid = uid.or(Some(line.uid)),
            OomMessage::Task(row) if row.tgid == victim.pid => {
                uid = uid.or(Some(row.uid));
                adjustment = adjustment.or(Some(row.oom_score_adj));
            }
            OomMessage::VictimSelection(line) if line.pid == victim.pid => score = Some(line.score),
            _ => {}
        }
    }
    json!({
        "pid": victim.pid,
        "comm": victim.name,
        "uid": uid,
        "total_vm_bytes": bytes(memory.total_vm),
        "anon_rss_bytes": bytes(memory.anon_rss),
        "file_rss_bytes": bytes(memory.file_rss),
        "shmem_rss_bytes": bytes(memory.shmem_rss),
        "pgtables_bytes": bytes(memory.page_tables),
        "oom_score": score,
        "oom_score_adj": adjustment,
    })
}

/// By its own analysis.
fn constraint(event: &OomEvent) -> Option<&'static str> {
    match analyze_event(event).reason {
        OomReason::MemoryCgroup => Some("memcg"),
        OomReason::Cpuset => Some("cpuset"),
        OomReason::MemoryPolicy => Some("mempolicy"),
        OomReason::Global => Some("none"),
        _ => None,
    }
}

fn trigger(event: &OomEvent) -> Value {
    let mut trigger = json!({});
    for record in &event.records {
        let (name, value) = match &record.message {
            OomMessage::Invoked(line) => {
                put(&mut trigger, "order", json!(line.order));
                ("comm", json!(line.name))
            }
            OomMessage::CpuContext(line) => ("pid", json!(line.pid)),
            _ => continue,
        };
        put(&mut trigger, name, value);
    }
    trigger
}

fn memcg(event: &OomEvent) -> Value {
    let mut memcg = json!({});
    for record in &event.records {
        match &record.message {
            OomMessage::OomContext(line) => {
                put(&mut memcg, "task", json!(line.task_memcg));
                if let OomScope::MemoryCgroup(owner) = &line.scope {
                    put(&mut memcg, "limit_owner", json!(owner));
                }
            }
            OomMessage::CgroupBudget(line) if line.resource == CgroupResource::Memory => {
                put(&mut memcg, "usage_bytes", json!(line.usage.as_u64()));
                put(&mut memcg, "limit_bytes", json!(line.limit.as_u64()));
                put(&mut memcg, "failcnt", json!(line.fail_count));
            }
            OomMessage::CgroupBudget(line) if line.resource == CgroupResource::Swap => {
                put(&mut memcg, "swap_usage_bytes", json!(line.usage.as_u64()));
                put(&mut memcg, "swap_limit_bytes", json!(line.limit.as_u64()));
            }
            _ => {}
        }
    }
    memcg
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_records_become_deaths() {
        let log = "hog invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n\
                   Out of memory: Killed process 7 (hog) total-vm:3kB, anon-rss:2kB, file-rss:1kB";
        let deaths = deaths(log).unwrap();
        assert_eq!(deaths.len(), 1);
        let at = |path: &str| deaths[0].pointer(path).cloned();
        assert_eq!(at("/victim/pid"), Some(json!(7)));
        assert_eq!(at("/victim/total_vm_bytes"), Some(json!(3072)));
        assert_eq!(at("/trigger/order"), Some(json!(0)));
        assert!(super::deaths("CPU: malformed").unwrap().is_empty());
    }
}
