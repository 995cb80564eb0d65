//! The bound that was reached: a cgroup's limit, the machine, a node, a zone, a piece; or somebody's
//! threshold.

use highwater_core::evidence::Evidence;
use highwater_core::units::Bytes;
use highwater_oom::report::LineNumber;

use super::{Said, said};
use crate::death::reason::Reason;
use crate::death::scene::Scene;
use crate::death::zones::{self, Shortage, ZoneState};
use crate::death::{Cause, Confidence};

use super::{limit, program};

/// The bound that was reached, in the kernel's own words.
pub(super) fn what_ran_out(scene: &Scene<'_>) -> Option<Said> {
    match scene.verdict.0 {
        Cause::KernelOomMemcg => limit::reached(scene),
        Cause::KernelOomGlobal => machine(scene),
        Cause::KernelOomCpuset => nodes(scene, "the cpuset"),
        Cause::KernelOomMempolicy => nodes(scene, "the process's NUMA policy"),
        Cause::KernelOomSysrq => by_hand(scene),
        Cause::Unknown => None,
        Cause::SystemdOomd
        | Cause::Earlyoom
        | Cause::Nohang
        | Cause::Oomd
        | Cause::Lowmemorykiller => program::threshold(scene),
    }
}

fn by_hand(scene: &Scene<'_>) -> Option<Said> {
    let line = scene.report.trigger.as_ref().map(|told| told.line).or(scene.report.sysrq);
    let text = "order −1 is a request by hand: f written to /proc/sysrq-trigger, or the key";
    said(Reason::ByHand, scene.verdict.1, text.to_owned(), scene.cite.lines(line))
}

fn machine(scene: &Scene<'_>) -> Option<Said> {
    let shortage = scene.shortage();
    let mut evidence = said_by(scene);
    let lines = |zones: &[ZoneState]| scene.cite.lines(zones.iter().map(|state| state.line));
    let certain = scene.verdict.1;
    // Only the zones' lines, or the free lists, rule out that it was one zone, or the pieces.
    let zones_known = !scene.report.machine.zones.is_empty();
    let (reason, confidence, text) = match &shortage {
        Shortage::Zones { short, plenty } => {
            evidence.extend(lines(short));
            evidence.extend(scene.cite.lines([plenty.line]));
            let reason = if shortage.is_of_node() { Reason::Node } else { Reason::Zone };
            let sure = if zones_known { certain } else { certain.at_most(Confidence::Likely) };
            (reason, sure, zones_words(scene, short, plenty))
        }
        Shortage::Pieces { needed, order, zones } => {
            evidence.extend(scene.cite.lines(scene.report.trigger.as_ref().map(|told| told.line)));
            evidence.extend(lines(zones));
            let listed = zones.iter().any(|state| state.largest.is_some());
            let sure = if listed { certain } else { certain.at_most(Confidence::Likely) };
            let text = zones::fragmentation(*needed, *order, zones);
            (Reason::Fragmentation, sure, format!("memory was fragmented, not used up: {text}"))
        }
        Shortage::Unclear { zone } => {
            evidence.extend(scene.cite.lines([zone.line]));
            (Reason::Machine, Confidence::Possible, unclear(zone))
        }
        Shortage::Whole => {
            let order = scene.report.trigger.as_ref().and_then(|told| told.value.order);
            let text = "the machine as a whole ran out: no cgroup's limit was involved";
            let sure = match order {
                _ if zones_known => certain,
                Some(order) if order > 0 => Confidence::Possible,
                _ => certain.at_most(Confidence::Likely),
            };
            (Reason::Machine, sure, text.to_owned())
        }
    };
    evidence.dedup();
    said(reason, confidence, text, evidence)
}

/// The line that names the bound; else the one that kills, else the one that asked.
fn said_by(scene: &Scene<'_>) -> Vec<Evidence> {
    let constraint = scene.report.constraint.map(|told| told.line);
    let kill = scene.kill.map(|kill| kill.line);
    let trigger = scene.report.trigger.as_ref().map(|told| told.line);
    scene.cite.lines(constraint.or(kill).or(trigger))
}

fn unclear(zone: &ZoneState) -> String {
    format!(
        "no cgroup's limit was involved; what exactly was short is unknown, because the report shows {} free in zone {}, above the {} that it has to keep: memory came free while the report was printed, or something else stood in the way",
        zone.free.unwrap_or_default(),
        zones::name(zone),
        zone.min.unwrap_or_default().saturating_add(zone.reserve.unwrap_or_default())
    )
}

fn zones_words(scene: &Scene<'_>, short: &[ZoneState], plenty: &ZoneState) -> String {
    let free =
        |zone: &ZoneState| format!("{} {}", zones::name(zone), zone.free.unwrap_or_default());
    let low: Vec<String> = short.iter().map(free).collect();
    let kernel = zones::Request::of(scene.report).is_for_kernel();
    let why = match (plenty.name.as_str(), kernel, plenty.reachable) {
        ("HighMem", ..) => "; a 32-bit kernel cannot keep its own objects in high memory",
        ("Movable", ..) => "; only memory that can be moved away may lie in zone Movable",
        (_, true, false) => "; the request was for memory that only the lower zones can give",
        (_, false, false) => "; the request was confined to zones or nodes that do not include it",
        _ => "",
    };
    format!(
        "no cgroup's limit was involved, and the machine as a whole had not run out: free were {}, but {}{why}",
        low.join(", "),
        free(plenty)
    )
}

/// A cpuset or a policy confines to some nodes; what the others had shows that the machine had
/// not run out.
fn nodes(scene: &Scene<'_>, whose: &str) -> Option<Said> {
    let mut evidence = said_by(scene);
    let (free, line) = elsewhere(scene);
    evidence.extend(scene.cite.lines(line));
    let beside = if free > Bytes::ZERO {
        format!("; {free} was free on other nodes or in zones that it may not use")
    } else {
        String::new()
    };
    let text = match zones::allowed(scene.report) {
        Some(nodes) => format!(
            "only memory node {nodes}, which {whose} allows, ran out{beside}; victims come from every process on it"
        ),
        None => format!("only the memory nodes that {whose} allows ran out{beside}"),
    };
    evidence.dedup();
    said(Reason::Node, scene.verdict.1, text, evidence)
}

/// What was free where the request could not go. The kernel leaves out the zones of other nodes, so
/// that most often it is what the machine has beyond those printed.
fn elsewhere(scene: &Scene<'_>) -> (Bytes, Option<LineNumber>) {
    let states = zones::states(scene.report, scene.page_size);
    let out_of_reach = |state: &&ZoneState| !state.reachable && state.short == Some(false);
    let listed: Vec<&ZoneState> = states.iter().filter(out_of_reach).collect();
    if let Some(first) = listed.first() {
        return (listed.iter().filter_map(|state| state.free).sum(), Some(first.line));
    }
    let machine = &scene.report.machine;
    let all = machine.pages("free").zip(scene.page_size).map(|(free, page)| free.bytes(page));
    let (Some(all), Some(line), false) = (all, machine.line, states.is_empty()) else {
        return (Bytes::ZERO, None);
    };
    let printed: Bytes = states.iter().filter_map(|state| state.free).sum();
    (all.saturating_sub(printed), Some(line))
}
