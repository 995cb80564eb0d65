//! A tree as text: one reading a line, and only what is known, so that a snapshot can be read.

use std::fmt::{Debug, Write};

use highwater_core::frame::{CgroupMemory, MemInfo, Pressure, VmStat};
use highwater_core::text::escape;

use crate::tree::{Process, Tree};

pub(crate) fn describe(tree: &Tree) -> String {
    let mut out = String::new();
    let machine = tree.machine();
    for reading in MemInfo::KEYS {
        known(&mut out, &format!("meminfo {}", reading.key), (reading.get)(&machine.mem));
    }
    for reading in VmStat::KEYS {
        known(&mut out, &format!("vmstat {}", reading.key), (reading.get)(&machine.vm));
    }
    stalls(&mut out, "memory", machine.memory_pressure);
    stalls(&mut out, "cpu", machine.cpu_pressure);
    stalls(&mut out, "io", machine.io_pressure);
    for zone in tree.zones() {
        line(&mut out, "zone", zone);
    }
    for swap in tree.swaps() {
        line(
            &mut out,
            &format!("swap {}", escape(&swap.name)),
            (swap.kind, swap.size, swap.used, swap.priority),
        );
    }
    let hierarchies = tree.hierarchies();
    known(&mut out, "hierarchy memory", hierarchies.memory);
    known(&mut out, "hierarchy pids", hierarchies.pids);
    known(&mut out, "hierarchy unified", hierarchies.unified);
    for (path, memory) in tree.cgroups() {
        cgroup(&mut out, &path, &memory);
    }
    for process in tree.processes() {
        describe_process(&mut out, &process);
    }
    out
}

fn describe_process(out: &mut String, process: &Process) {
    let name = |what: &str| format!("process {} {what}", process.dir);
    known(out, &name("stat"), process.stat);
    known(out, &name("statm"), process.statm);
    let status = process.status;
    known(out, &name("uid"), status.uid);
    known(out, &name("peak_resident"), status.peak_resident);
    known(out, &name("resident_anon"), status.resident_anon);
    known(out, &name("resident_file"), status.resident_file);
    known(out, &name("resident_shmem"), status.resident_shmem);
    known(out, &name("swap"), status.swap);
    known(out, &name("page_tables"), status.page_tables);
    known(out, &name("threads"), status.threads);
    known(out, &name("v1"), process.v1_path.as_deref().map(escape));
    known(out, &name("v2"), process.v2_path.as_deref().map(escape));
    known(out, &name("max_open_files"), process.max_open_files);
    known(out, &name("oom_score"), process.oom_score);
    known(out, &name("oom_score_adj"), process.oom_score_adj);
}

/// The fields of the struct as its `Debug` names them, without the unknown ones.
fn cgroup(out: &mut String, path: &str, memory: &CgroupMemory) {
    let mut memory = *memory;
    let pressure = memory.pressure.take();
    let text = format!("{memory:?}").replace("CgroupMemory { ", "").replace(" }", "");
    for field in text.split(", ").filter(|field| !field.ends_with(": None")) {
        writeln!(out, "cgroup {path} {field}").unwrap();
    }
    stalls(out, &format!("of {path}"), pressure);
}

fn stalls(out: &mut String, of: &str, pressure: Option<Pressure>) {
    let pressure = pressure.unwrap_or_default();
    known(out, &format!("pressure {of} some"), pressure.some);
    known(out, &format!("pressure {of} full"), pressure.full);
}

fn known(out: &mut String, name: &str, value: Option<impl Debug>) {
    if let Some(value) = value {
        line(out, name, value);
    }
}

fn line(out: &mut String, name: &str, value: impl Debug) {
    writeln!(out, "{name} {value:?}").unwrap();
}
