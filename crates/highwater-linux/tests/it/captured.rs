//! What holds on every real machine, and what each captured one said.

use highwater_core::frame::CgroupVersion;
use highwater_core::limit::Limit;
use highwater_core::units::{Bytes, PageSize};
use highwater_linux::facts::HostFacts;

use crate::describe::describe;
use crate::tree::{Process, captured};

#[test]
fn every_captured_machine_reads_as_it_did() {
    for tree in captured() {
        insta::assert_snapshot!(tree.name.clone(), describe(&tree));
    }
}

#[test]
fn the_machine_is_known_and_adds_up() {
    for tree in captured() {
        let (name, machine, zones) = (&tree.name, tree.machine(), tree.zones());
        let mem = machine.mem;
        let total = mem.mem_total.expect(name);
        assert!(mem.mem_available.expect(name) <= total && mem.mem_free.expect(name) <= total);
        assert_eq!(
            mem.slab,
            mem.slab_reclaimable.zip(mem.slab_unreclaimable).map(|(a, b)| a.saturating_add(b))
        );
        assert!(machine.vm.oom_kill.is_some() && machine.vm.pgmajfault.is_some(), "{name}");
        let managed: Bytes = zones.iter().map(|zone| zone.managed).sum();
        assert!(
            managed.saturating_sub(total) < Bytes::from_mib(1),
            "{name}: zones hold what there is"
        );
        assert!(zones.iter().all(|zone| zone.min <= zone.low && zone.low <= zone.high), "{name}");
        if !tree.bytes("proc/pressure/memory").is_empty() {
            let pressure = machine.memory_pressure.expect(name);
            assert!(pressure.some.is_some() && pressure.full.is_some(), "{name}");
        }
        let facts = HostFacts::read(&tree.root);
        assert!(facts.boot_id.is_some() && facts.kernel_release.is_some(), "{name}");
        let nameless = facts.hostname.as_deref().is_none_or(|host| host == "host");
        assert!(nameless, "{name}: no machine's own name");
    }
}

#[test]
fn processes_are_known_and_stat_statm_and_status_agree() {
    for tree in captured() {
        let processes = tree.processes();
        for process in &processes {
            agree(process);
        }
        let own = |process: &&Process| process.status.peak_resident.is_some();
        assert!(processes.iter().filter(own).count() >= 1, "{}: a process with memory", tree.name);
        let thread = |process: &Process| process.stat.unwrap().is_kernel_thread();
        assert!(processes.iter().any(thread), "{}: a kernel thread", tree.name);
    }
}

fn agree(process: &Process) {
    let (stat, statm) = (process.stat.unwrap(), process.statm.unwrap());
    assert_eq!(stat.pid.get().to_string(), process.dir);
    assert_eq!(Some(stat.threads), process.status.threads);
    assert_eq!(stat.virtual_size, statm.size.bytes(PageSize::KIB4));
    assert!(process.status.uid.is_some() && process.max_open_files.is_some());
    assert!(process.oom_score.is_some() && process.oom_score_adj.is_some());
    if process.status.peak_resident.is_none() {
        assert_eq!(statm.resident.get(), 0, "a kernel thread or a zombie has no memory");
        return;
    }
    // Resident is anonymous, file and shared memory, and `shared` of statm the last two.
    let status = process.status;
    let shared = status.resident_file.unwrap().saturating_add(status.resident_shmem.unwrap());
    assert_eq!(statm.shared.bytes(PageSize::KIB4), shared);
    let resident = shared.saturating_add(status.resident_anon.unwrap());
    assert_eq!(statm.resident.bytes(PageSize::KIB4), resident);
}

#[test]
fn a_limited_cgroup_is_known_whole() {
    for tree in captured() {
        let (name, cgroups) = (&tree.name, tree.cgroups());
        let (version, _) = tree.hierarchies().memory.expect(name);
        let limited = cgroups
            .iter()
            .find(|(_, memory)| memory.limit.is_some_and(|limit| limit.at().is_some()));
        let (path, memory) = limited.unwrap_or_else(|| panic!("{name}: no cgroup has a limit"));
        let (usage, limit) = (memory.usage.unwrap(), memory.limit.and_then(Limit::at).unwrap());
        assert!(usage <= limit, "{name} {path}");
        let parts = memory.anon.unwrap().saturating_add(memory.file.unwrap());
        assert!(
            parts <= usage.saturating_add(Bytes::from_mib(1)),
            "{name} {path}: the parts of {usage}"
        );
        assert!(
            memory.working_set().is_some() && memory.oom_kills.is_some() && memory.pids.is_some()
        );
        match version {
            CgroupVersion::V1 => {
                assert!(memory.oom_kill_disabled.is_some() && memory.peak.is_some());
            }
            CgroupVersion::V2 => assert!(memory.limit_hits.is_some() && memory.high.is_some()),
        }
        assert!(cgroups.iter().any(|(_, memory)| memory.limit != Some(Limit::At(limit))), "{name}");
    }
}

#[test]
fn some_process_is_in_a_cgroup_that_was_captured() {
    for tree in captured() {
        let (version, _) = tree.hierarchies().memory.unwrap();
        let cgroups = tree.cgroups();
        let found = tree.processes().into_iter().any(|process| {
            let path = match version {
                CgroupVersion::V1 => process.v1_path,
                CgroupVersion::V2 => process.v2_path,
            };
            let path = String::from_utf8(path.unwrap()).unwrap();
            path != "/" && cgroups.iter().any(|(known, _)| *known == path)
        });
        assert!(found, "{}", tree.name);
    }
}
