//! Cgroups: membership, the stat and event files of both versions, limits, mounts.

#![no_main]

use highwater_core::frame::{CgroupMemory, CgroupVersion};
use highwater_core::units::PageSize;
use highwater_linux::parse::mountinfo::{self, Hierarchies};
use highwater_linux::parse::{membership, number, v1, v2};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    for version in [CgroupVersion::V1, CgroupVersion::V2] {
        if let Some(path) = membership::memory_path(text, version) {
            assert!(path.starts_with(b"/") && !path.contains(&b'\n'));
        }
    }
    let mut memory = CgroupMemory::default();
    v1::stat(text, &mut memory);
    v1::oom_control(text, &mut memory);
    v2::stat(text, &mut memory);
    v2::events(text, &mut memory);
    // A second reading of the same text changes nothing.
    let mut again = memory;
    v2::stat(text, &mut again);
    v2::events(text, &mut again);
    assert_eq!(again, memory);
    let _ = (number::v2_limit(text), number::count_limit(text));
    let _ = number::v1_limit(text, PageSize::KIB4);
    let mounts = mountinfo::parse(text);
    let bytes = |mount: &mountinfo::Mount| mount.root.len() + mount.mount_point.len();
    assert!(mounts.iter().map(bytes).sum::<usize>() <= text.len());
    let _ = Hierarchies::find(&mounts);
});
