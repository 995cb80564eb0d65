//! The files of the machine: meminfo, vmstat, pressure, zoneinfo, swaps.

#![no_main]

use highwater_core::frame::{MemInfo, VmStat};
use highwater_core::units::PageSize;
use highwater_linux::parse::{meminfo, pressure, swaps, vmstat, zoneinfo};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    meminfo::parse(text, &mut MemInfo::default());
    vmstat::parse(text, &mut VmStat::default());
    let pressure = pressure::parse(text);
    for stall in [pressure.some, pressure.full].into_iter().flatten() {
        for average in [stall.avg10, stall.avg60, stall.avg300] {
            assert!(average >= 0.0);
        }
    }
    let mut zones = Vec::new();
    zoneinfo::parse(text, PageSize::KIB4, &mut zones);
    assert!(zones.len() <= text.len());
    let names = swaps::parse(text).iter().map(|swap| swap.name.len()).sum::<usize>();
    assert!(names <= text.len());
});
