//! What nobody can know from this input, and why.

use highwater_core::evidence::Claim;
use highwater_oom::report::Writer;

use super::scene::Scene;

/// One statement that lists what is unknown; `None` where nothing of weight is.
pub(super) fn of(scene: &Scene<'_>) -> Option<Claim> {
    let gaps = gaps(scene);
    if gaps.is_empty() && scene.time.is_some() {
        return None;
    }
    // Many envelopes have a time that no reader can place: a year or a zone is not in them.
    let text = match (gaps.as_slice(), scene.time) {
        ([], _) => {
            "unknown, because no line bears a time with year and zone: when it was".to_owned()
        }
        (gaps, Some(_)) => format!("unknown, because {}: {}", why(scene), gaps.join(", ")),
        (gaps, None) => format!(
            "unknown, because {}: {}; and when it was, because no line bears a time with year and zone",
            why(scene),
            gaps.join(", ")
        ),
    };
    Some(Claim { text, evidence: Vec::new() })
}

fn gaps(scene: &Scene<'_>) -> Vec<&'static str> {
    let report = scene.report;
    let memcg = scene.is_memcg();
    let kernel = !scene.verdict.0.is_program();
    let machine = &report.machine;
    let zones_known = has_machine(scene);
    let all = [
        (kernel && report.trigger.is_none(), "who asked for memory"),
        (memcg && scene.limit_owner.is_none(), "whose limit it was"),
        (memcg && scene.limit.is_none(), "how high the limit was"),
        (memcg && scene.makeup_is_of_victim(), "what else the cgroup held"),
        (kernel && !memcg && !zones_known, "what the machine's memory was made of"),
        (kernel && !memcg && machine.swap_total.is_none(), "whether there was swap"),
        (
            kernel && !memcg && machine.ram.is_some() && machine.reserved.is_none(),
            "how much of the memory was reserved from the beginning",
        ),
        (
            memcg && report.memcg.memory.is_some_and(|told| told.value.usage.is_none()),
            "what the cgroup used",
        ),
        (kernel && report.tasks.rows.is_empty(), "what the other processes held"),
    ];
    all.iter().filter(|(missing, _)| *missing).map(|(_, what)| *what).collect()
}

/// Whether the log has anything of the machine's memory.
fn has_machine(scene: &Scene<'_>) -> bool {
    let machine = &scene.report.machine;
    machine.line.is_some() || !machine.zones.is_empty() || !machine.free_lists.is_empty()
}

fn why(scene: &Scene<'_>) -> &'static str {
    if scene.report.writer != Writer::Kernel {
        return "the program that killed does not print it";
    }
    match scene.kill {
        Some(kill) if kill.bare && has_machine(scene) => "the head of the report is cut off",
        Some(kill) if kill.bare => {
            "only the kill line is here (the kernel limits how much it prints, or the log was cut)"
        }
        _ if scene.report.summary.is_some() && scene.report.lines.len() == 1 => {
            "only the summary line is here"
        }
        _ if !scene.report.oddities.is_empty() => "the log is damaged or was cut",
        _ => "these lines are not in the log",
    }
}
