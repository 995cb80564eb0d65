//! What machines do not often show: each hand-made tree gives what it can, and nothing wrong.

use highwater_core::limit::Limit;
use highwater_core::units::Bytes;

use crate::describe::describe;
use crate::tree::{Tree, folders, kernel_fixtures};

fn tree(name: &str) -> Tree {
    let tree = Tree::at(kernel_fixtures().join("oddities").join(name));
    assert!(tree.root.path("").is_dir(), "{name} is there");
    tree
}

#[test]
fn every_oddity_reads_as_it_did() {
    let trees: Vec<_> = folders(&kernel_fixtures().join("oddities")).map(Tree::at).collect();
    assert!(trees.len() >= 5);
    for tree in trees {
        insta::assert_snapshot!(format!("oddities-{}", tree.name), describe(&tree));
    }
}

#[test]
fn no_name_forges_a_field() {
    let processes = tree("names").processes();
    assert_eq!(processes.len(), 6);
    for process in processes {
        let stat = process.stat.unwrap();
        assert_eq!((stat.state, stat.start.get(), stat.parent.get()), (b'S', 4242, 1));
    }
}

#[test]
fn half_a_number_is_never_taken() {
    let tree = tree("truncated");
    let machine = tree.machine();
    assert_eq!(machine.mem.mem_free, Some(Bytes::from_kib(123_456)));
    assert_eq!((machine.mem.mem_available, machine.vm.pgfault), (None, None));
    assert_eq!(machine.memory_pressure.unwrap().full, None);
    assert_eq!(tree.zones().len(), 1);
    for process in tree.processes() {
        assert_eq!((process.stat, process.statm, process.v2_path), (None, None, None));
        assert_eq!((process.status.resident_anon, process.max_open_files), (None, None));
    }
    assert_eq!(tree.cgroups()[0].1.usage, None);
}

#[test]
fn no_limit_is_no_limit_on_every_kernel() {
    let cgroups = tree("huge").cgroups();
    let limits: Vec<_> = cgroups.iter().filter_map(|(_, memory)| memory.limit).collect();
    assert_eq!(limits, [Limit::Unlimited; 3]);
}

#[test]
fn what_an_old_kernel_lacks_is_unknown() {
    let tree = tree("missing");
    assert_eq!(tree.machine().mem.mem_available, None);
    assert_eq!((tree.zones().len(), tree.swaps().len(), tree.cgroups().len()), (0, 0, 0));
    assert_eq!(tree.processes()[0].status.threads, None);
}

#[test]
fn a_v2_service_is_known_whole() {
    let cgroups = tree("v2").cgroups();
    let (_, memory) =
        cgroups.iter().find(|(path, _)| path == "/system.slice/gateway.service").unwrap();
    assert_eq!(memory.limit, Some(Limit::At(Bytes::from_mib(1024))));
    assert_eq!(memory.high, Some(Limit::At(Bytes::from_mib(900))));
    assert_eq!((memory.oom_kills, memory.oom_group, memory.pids), (Some(3), Some(true), Some(34)));
    assert_eq!(memory.swap_limit, Some(Limit::Unlimited));
    assert_eq!(memory.working_set(), Some(Bytes::new(1_073_000_448 - 94_371_840)));
}
