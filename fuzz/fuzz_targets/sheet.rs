//! The sheet of the store: any bytes as heads, as unpacked columns, as a body and as times.
//!
//! The input is the columns, behind two bytes that tell their length, and then the body. Checksums
//! keep mutated bytes out, so the ones that a writer would have given are put in.

#![no_main]

use highwater_store::codec::{BlockReader, Heads, MAX_POINTS, times};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    drop(Heads::parse(bytes));
    let found = [times::decode(bytes, MAX_POINTS), times::of_body(bytes, MAX_POINTS)];
    for times in found.into_iter().flatten() {
        assert!(times.is_sorted_by(|a, b| a < b));
    }
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (columns, body) = rest.split_at(length);
    if let Ok(heads) = Heads::of_columns(columns) {
        drain(heads, body);
    }
});

fn drain(mut heads: Heads, body: &[u8]) {
    let mut reader = BlockReader::new();
    for block in 0..heads.blocks.len() {
        let place = &mut heads.blocks[block];
        let Some(bytes) = body.get(place.offset..).and_then(|b| b.get(..place.length)) else {
            continue;
        };
        place.crc = crc32fast::hash(bytes);
        let block = u32::try_from(block).expect("blocks are counted in 32 bits");
        let of_it = heads.entries.iter().filter(|entry| entry.block == block);
        let wanted: Vec<u16> = of_it.map(|entry| entry.place).take(8).collect();
        let points = heads.points;
        let mut check = |_: u16, values: &[f64]| assert_eq!(values.len(), points);
        drop(reader.decode(&heads, block, bytes, &wanted, &mut check));
    }
}
