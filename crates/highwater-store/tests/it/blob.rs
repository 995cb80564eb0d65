//! The tick blob: whatever goes in comes out bit for bit; whatever is not one never panics.

use highwater_store::tick::{Unpacker, Writer};
use proptest::prelude::*;

fn value() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        1 => Just(None),
        1 => Just(Some(f64::INFINITY)),
        2 => any::<u64>().prop_map(|bits| Some(f64::from_bits(bits))),
        4 => (0..1_u64 << 40).prop_map(|pages| Some((pages * 4096) as f64)),
        2 => (-3000..3000_i64).prop_map(|score| Some(score as f64)),
        3 => (0..1_u64 << 50).prop_map(|us| Some(us as f64 / 1e6)),
    ]
}

/// Ids that rise, and columns with one value or none for each.
#[expect(clippy::type_complexity, reason = "a strategy's type is what it makes")]
fn tick() -> impl Strategy<Value = (Vec<u64>, Vec<(u32, Vec<Option<f64>>)>)> {
    prop::collection::btree_set(any::<u64>(), 0..40).prop_flat_map(|ids| {
        let values = prop::collection::vec(value(), ids.len());
        let columns = prop::collection::vec((any::<u32>(), values), 0..8);
        (Just(ids.into_iter().collect()), columns)
    })
}

fn pack(ids: &[u64], columns: &[(u32, Vec<Option<f64>>)]) -> Vec<u8> {
    let (mut writer, mut blob) = (Writer::new().unwrap(), vec![]);
    writer.begin(ids.iter().copied());
    for (metric, values) in columns {
        writer.column(*metric, values.iter().copied());
    }
    writer.finish(&mut blob).unwrap();
    blob
}

/// Reads everything there is to read.
fn drain(blob: &[u8]) {
    let mut unpacker = Unpacker::default();
    if let Ok(tick) = unpacker.unpack(blob) {
        tick.columns().flatten().for_each(|column| assert!(column.values().count() < 1 << 20));
    }
}

proptest! {
    #[test]
    fn a_tick_comes_back_bit_for_bit((ids, columns) in tick()) {
        let blob = pack(&ids, &columns);
        let mut unpacker = Unpacker::default();
        let tick = unpacker.unpack(&blob).unwrap();
        prop_assert_eq!(tick.ids(), &ids);
        let back: Vec<(u32, Vec<Option<u64>>)> = tick
            .columns()
            .map(|column| {
                let column = column.unwrap();
                let bits = column.values().map(|v| v.unwrap().map(f64::to_bits));
                (column.metric, bits.collect())
            })
            .collect();
        let sent: Vec<(u32, Vec<Option<u64>>)> = columns
            .iter()
            .filter(|(_, values)| values.iter().any(Option::is_some))
            .map(|(metric, values)| {
                (*metric, values.iter().map(|v| v.map(f64::to_bits)).collect())
            })
            .collect();
        prop_assert_eq!(back, sent);
    }

    #[test]
    fn a_flipped_bit_is_noticed((ids, columns) in tick(), place: prop::sample::Index, bit in 0..8) {
        let mut blob = pack(&ids, &columns);
        let before = blob.clone();
        let place = place.index(blob.len());
        blob[place] ^= 1_u8 << bit;
        drain(&blob);
        let mut unpacker = Unpacker::default();
        // A bit of zstd's header that changes nothing of the content may pass.
        if let Ok(tick) = unpacker.unpack(&blob) {
            let mut unhurt = Unpacker::default();
            let unhurt = unhurt.unpack(&before).unwrap();
            prop_assert_eq!(format!("{tick:?}"), format!("{unhurt:?}"));
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drain(&bytes);
        drain(&[&[1, 0x28, 0xb5, 0x2f, 0xfd], &bytes[..]].concat());
    }
}
