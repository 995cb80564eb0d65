//! The tick blob of the store: any bytes as a blob, and any body packed as the store packs it.

#![no_main]

use highwater_store::tick::{Tick, Unpacker};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut unpacker = Unpacker::default();
    if let Ok(tick) = unpacker.unpack(bytes) {
        drain(&tick);
    }
    // The checksum keeps mutated blobs out, so the body is tried by itself as well.
    if let Ok(tick) = Tick::of_body(bytes) {
        drain(&tick);
    }
});

fn drain(tick: &Tick<'_>) {
    assert!(tick.ids().is_sorted_by(|a, b| a < b));
    for column in tick.columns().flatten() {
        assert!(column.values().count() <= tick.ids().len());
    }
}
