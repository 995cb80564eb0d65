//! Whole sheets: what goes in comes out, and what is damaged is found.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A sheet with its bytes.
struct Sheet {
    heads: Vec<u8>,
    body: Vec<u8>,
    samples: u64,
}

fn key(number: usize) -> Key {
    let number = u32::try_from(number).unwrap();
    let aspect = Aspect::ALL[usize::try_from(number % 3).unwrap()];
    Key { metric: number / 12 * 5, entity: u64::from(number % 12) / 3 * 1000 + 7, aspect }
}

fn sheet(form: Form, points: usize, series: &[Vec<f64>]) -> Sheet {
    let mut writer = SheetWriter::new(form).unwrap();
    // A sheet before it leaves nothing behind.
    writer.begin(2);
    writer.push(key(0), &[1.0, ABSENT]).unwrap();
    writer.begin(points);
    for (number, values) in series.iter().enumerate() {
        writer.push(key(number), values).unwrap();
    }
    let done = writer.finish().unwrap();
    Sheet { heads: done.heads.to_vec(), body: done.body.to_vec(), samples: done.samples }
}

fn place_of(heads: &Heads, block: u32) -> BlockPlace {
    heads.blocks[usize::try_from(block).unwrap()]
}

fn read_block(heads: &Heads, block: u32, body: &[u8]) -> Result<Vec<(Key, Vec<u64>)>, Damage> {
    let of_it: Vec<_> = heads.entries.iter().filter(|entry| entry.block == block).collect();
    let wanted: Vec<u16> = of_it.iter().rev().map(|entry| entry.place).collect();
    let BlockPlace { offset, length, .. } = place_of(heads, block);
    let mut found = vec![];
    let bytes = body.get(offset..offset + length).unwrap_or_default();
    BlockReader::new().decode(heads, block, bytes, &wanted, &mut |place, values| {
        let key = of_it[usize::from(place)].key;
        found.push((key, values.iter().map(|value| value.to_bits()).collect()));
    })?;
    Ok(found)
}

fn read_all(heads: &Heads, body: &[u8]) -> Vec<(Key, Vec<u64>)> {
    let blocks = 0..u32::try_from(heads.blocks.len()).unwrap();
    let mut all: Vec<_> = blocks.flat_map(|b| read_block(heads, b, body).unwrap()).collect();
    all.sort();
    all
}

fn comes_back(form: Form, points: usize, series: &[Vec<f64>]) {
    let sheet = sheet(form, points, series);
    let heads = Heads::parse(&sheet.heads).unwrap();
    let told = |values: &[f64]| values.iter().any(|value| !is_absent(*value));
    let kept: Vec<_> = (0..).zip(series).filter(|(_, values)| told(values)).collect();
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let want: Vec<_> = kept.iter().map(|(number, values)| (key(*number), bits(values))).collect();
    assert_eq!(heads.points, points);
    assert_eq!(read_all(&heads, &sheet.body), want);
    for (entry, (_, values)) in heads.entries.iter().zip(&kept) {
        let present: Vec<_> = values.iter().copied().filter(|value| !is_absent(*value)).collect();
        assert_eq!(usize::try_from(entry.samples).unwrap(), present.len());
        let least = present.iter().copied().fold(f64::NAN, f64::min);
        let most = present.iter().copied().fold(f64::NAN, f64::max);
        assert!(entry.min.partial_cmp(&least) == least.partial_cmp(&least), "{entry:?}");
        assert!(entry.max.partial_cmp(&most) == most.partial_cmp(&most), "{entry:?}");
    }
    assert_eq!(
        sheet.samples,
        heads.entries.iter().map(|entry| u64::from(entry.samples)).sum::<u64>()
    );
}

/// Numbers between 0 and 2^32 that look like chance, and are the same each time.
fn noise(count: usize) -> impl Iterator<Item = f64> {
    let seed = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |state: &u64| Some(state ^ state << 13).map(|s| s ^ s >> 7).map(|s| s ^ s << 17);
    std::iter::successors(Some(seed), next)
        .map(|state| f64::from(u32::try_from(state >> 32).unwrap()))
        .take(count)
}

fn sums(steps: impl Iterator<Item = f64>) -> Vec<f64> {
    steps.scan(1e6, |sum, step| Some(std::mem::replace(sum, *sum + step))).collect()
}

/// Series as they are recorded, and as nobody would record them.
fn typical(points: usize) -> Vec<Vec<f64>> {
    let pages = sums(noise(points).map(|n| (n % 64.0 - 32.0) * 4096.0));
    let calm = sums(noise(points).map(|n| if n % 50.0 < 1.0 { 4096.0 } else { 0.0 }));
    let ticks = sums(noise(points).map(|n| n % 3.0)).iter().map(|n| n / 100.0).collect();
    let stall: Vec<_> = sums(noise(points).map(|n| n % 5000.0)).iter().map(|n| n / 1e6).collect();
    let ratio = noise(points).map(|n| n % 10_000.0 / 1e4).collect();
    let real = noise(points).map(f64::sqrt).collect();
    let levels = noise(points).map(|n| if n % 2.0 < 1.0 { 1e9 } else { f64::INFINITY }).collect();
    let bits = noise(points).map(|n| f64::from_bits((n * 1e9).to_bits() << 1)).collect();
    let born = [vec![ABSENT; points / 3], pages[points / 3..].to_vec()].concat();
    let torn =
        stall.iter().zip(noise(points)).map(|(s, n)| if n % 4.0 < 1.0 { ABSENT } else { *s });
    let torn = torn.collect();
    let same = |value: f64| vec![value; points];
    let fixed = [0.0, -0.0, 4096.0, 12.34, f64::INFINITY, f64::NAN, 0.1 + 0.2, ABSENT].map(same);
    let mut died = same(4096.0);
    died[points / 2..].fill(ABSENT);
    let mut all = vec![pages, calm, ticks, stall, ratio, real, levels, bits, born, torn, died];
    all.extend(fixed);
    all
}

#[test]
fn typical_series_come_back_at_every_length() {
    for points in [1, 2, 3, 120, 1440, 2049, 17_280] {
        for form in [Form::Blocks, Form::Chunks, Form::Swift] {
            comes_back(form, points, &typical(points));
        }
    }
    comes_back(Form::Chunks, MAX_POINTS, &[sums(noise(MAX_POINTS))]);
}

#[test]
fn no_series_make_a_sheet_too() {
    comes_back(Form::Blocks, 0, &[]);
    comes_back(Form::Chunks, 120, &[vec![ABSENT; 120]]);
}

#[test]
fn many_series_take_several_blocks() {
    let series: Vec<_> = (0..200).map(|_| sums(noise(5))).collect();
    comes_back(Form::Blocks, 5, &series);
    let sheet = sheet(Form::Blocks, 5, &series);
    let heads = Heads::parse(&sheet.heads).unwrap();
    assert_eq!(heads.blocks.len(), 200_usize.div_ceil(BLOCK_SERIES));
}

#[test]
fn a_chunk_has_one_series_that_changes() {
    let (moves, rests) = (sums(noise(500)), vec![4096.0; 500]);
    let series = [rests.clone(), moves.clone(), rests.clone(), moves, rests];
    let sheet = sheet(Form::Chunks, 500, &series);
    let heads = Heads::parse(&sheet.heads).unwrap();
    let blocks: Vec<_> = heads.entries.iter().map(|e| (e.block, e.place)).collect();
    assert_eq!(blocks, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]);
}

#[test]
fn what_rests_is_only_in_the_heads() {
    let sheet = sheet(Form::Blocks, 120, &vec![vec![4096.0; 120]; 1200]);
    assert!(sheet.body.is_empty());
    assert!(sheet.heads.len() < 600, "{} bytes for 1,200 series", sheet.heads.len());
}

#[test]
fn the_example_of_the_format_is_this() {
    let mut writer = SheetWriter::new(Form::Blocks).unwrap();
    writer.begin(3);
    let raw = |metric, entity| Key { metric, entity, aspect: Aspect::Raw };
    writer.push(raw(7, 1), &[4096.0, 4096.0, 4096.0]).unwrap();
    writer.push(raw(7, 2), &[ABSENT, 8192.0, 12288.0]).unwrap();
    let done = writer.finish().unwrap();
    let columns = &done.heads[2..done.heads.len() - 4];
    let want = [
        &[3, 2, 1][..],
        &[1, 1, 1, 2],
        &[7, 2],
        &[0, 0],
        &[2, 2],
        &[0, 1],
        &[12, 12],
        &[0, 3],
        &[2, 4, 1],
        &[2, u8::try_from(done.body.len()).unwrap()],
        &crc32fast::hash(done.body).to_le_bytes(),
    ];
    assert_eq!(columns, want.concat());
    assert_eq!(done.heads[..2], [1, 0]);
    assert_eq!((done.series, done.samples), (2, 5));
    assert_eq!(done.body, EXAMPLE_BODY);
}

/// The course of the counts 2 and 3, of which the least is 2 and the span 1.
const EXAMPLE_BODY: [u8; 1] = [0x35];

#[test]
fn wrong_use_is_refused() {
    let mut writer = SheetWriter::new(Form::Blocks).unwrap();
    writer.begin(1);
    writer.push(key(3), &[1.0]).unwrap();
    assert!(writer.push(key(3), &[1.0]).is_err(), "the same key");
    assert!(writer.push(key(2), &[1.0]).is_err(), "an earlier key");
    assert!(writer.push(key(4), &[1.0, 2.0]).is_err(), "too many points");
    writer.begin(MAX_POINTS + 1);
    assert!(writer.push(key(0), &vec![1.0; MAX_POINTS + 1]).is_err());
    let sheet = sheet(Form::Blocks, 1, &[vec![1.0]]);
    let heads = Heads::parse(&sheet.heads).unwrap();
    let mut never = |_: u16, _: &[f64]| panic!("nothing to read");
    let mut reader = BlockReader::new();
    assert_eq!(reader.decode(&heads, 1, &[], &[0], &mut never), Err(Damage::Body));
    assert_eq!(reader.decode(&heads, 0, &[], &[1], &mut never), Err(Damage::Body));
}

#[test]
fn every_flipped_bit_is_found() {
    for form in [Form::Blocks, Form::Chunks] {
        let Sheet { heads: bytes, body, .. } = sheet(form, 40, &typical(40));
        let heads = Heads::parse(&bytes).unwrap();
        let flip = |bytes: &[u8], at: usize, bit: u8| {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 1 << bit;
            bytes
        };
        let cases = |length: usize| (0..length).flat_map(|at| (0..8).map(move |bit| (at, bit)));
        for (at, bit) in cases(bytes.len()) {
            assert!(Heads::parse(&flip(&bytes, at, bit)).is_err(), "heads, byte {at}");
        }
        for (at, bit) in cases(body.len()) {
            let of_it =
                |place: &BlockPlace| (place.offset..place.offset + place.length).contains(&at);
            let block = heads.blocks.iter().position(of_it).unwrap();
            let found = read_block(&heads, u32::try_from(block).unwrap(), &flip(&body, at, bit));
            assert_eq!(found, Err(Damage::Checksum), "body, byte {at}");
        }
    }
}

#[test]
fn cut_and_foreign_heads_have_a_name() {
    let Sheet { heads, .. } = sheet(Form::Blocks, 40, &typical(40));
    assert_eq!(Heads::parse(&[]).unwrap_err(), Damage::Empty);
    assert_eq!(Heads::parse(&[9, 0]).unwrap_err(), Damage::Version(9));
    assert_eq!(Heads::parse(&heads[..3]).unwrap_err(), Damage::Body);
    assert_eq!(Heads::parse(&heads[..heads.len() - 1]).unwrap_err(), Damage::Checksum);
    let mut huge = vec![1, 1, 0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 1, 0, 0, 0];
    huge.extend(crc32fast::hash(&huge).to_le_bytes());
    assert_eq!(Heads::parse(&huge).unwrap_err(), Damage::Size(1 << 32));
}

fn awkward() -> impl Strategy<Value = f64> {
    let known = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.1, 1.5e300, ABSENT];
    prop_oneof![
        prop::sample::select(known.to_vec()),
        any::<u64>().prop_map(f64::from_bits),
        any::<i32>().prop_map(f64::from),
        any::<i32>().prop_map(|n| f64::from(n) / 1e6),
        (0..40_u32).prop_map(|n| f64::from(n) * 4096.0),
        Just(ABSENT),
    ]
}

fn some_series() -> impl Strategy<Value = (usize, Vec<Vec<f64>>)> {
    (1..60_usize).prop_flat_map(|points| {
        let mixed = vec(awkward(), points);
        let counter =
            vec(0..5000_u32, points).prop_map(|steps| sums(steps.into_iter().map(f64::from)));
        let huge = vec(-(1_i64 << 53)..1 << 53, points);
        let huge = huge.prop_map(|all| all.into_iter().filter_map(number::exact).collect());
        let still = awkward().prop_map(move |value| vec![value; points]);
        let few = (awkward(), awkward(), vec(any::<bool>(), points));
        let few =
            few.prop_map(|(a, b, which)| which.iter().map(|w| if *w { a } else { b }).collect());
        (Just(points), vec(prop_oneof![mixed, counter, huge, still, few], 0..20))
    })
}

/// Heads and bodies that nobody wrote, with the checksums that a writer would have given them.
fn survives(columns: &[u8], body: &[u8]) {
    let Ok(mut heads) = Heads::of_columns(columns) else { return };
    for place in &mut heads.blocks {
        let bytes = body.get(place.offset..).and_then(|rest| rest.get(..place.length));
        place.crc = crc32fast::hash(bytes.unwrap_or_default());
    }
    for block in 0..u32::try_from(heads.blocks.len()).unwrap() {
        for (_, values) in read_block(&heads, block, body).unwrap_or_default() {
            assert_eq!(values.len(), heads.points);
        }
    }
}

/// The columns of heads, unpacked.
fn columns_of(heads: &[u8]) -> Vec<u8> {
    let inner = &heads[2..heads.len() - 4];
    if heads[1] == 0 { inner.to_vec() } else { zstd::bulk::decompress(inner, 1 << 20).unwrap() }
}

proptest! {
    #[test]
    fn any_series_come_back((points, series) in some_series(), chunks: bool) {
        comes_back(if chunks { Form::Chunks } else { Form::Blocks }, points, &series);
    }

    #[test]
    fn times_come_back(
        first in -(1_i64 << 40)..1 << 41,
        steps in vec(prop_oneof![9 => 4990..5010_i64, 1 => 1..100_000_000_i64], 0..3000),
    ) {
        let times: Vec<i64> = std::iter::once(0)
            .chain(steps)
            .scan(first, |at, step| { *at += step; Some(*at) })
            .collect();
        let mut bytes = vec![];
        times::encode(&times, &mut bytes);
        prop_assert_eq!(times::decode(&bytes, times.len()).unwrap(), times.clone());
        prop_assert!(times::decode(&bytes, times.len() - 1).is_err(), "one more than wanted");
    }

    #[test]
    fn garbage_is_survived(bytes: Vec<u8>) {
        prop_assert!(Heads::parse(&bytes).is_err());
        prop_assert!(times::decode(&bytes, 1000).is_err());
        drop(times::of_body(&bytes, 1000));
        survives(&bytes, &bytes);
    }

    #[test]
    fn changed_sheets_are_survived(
        chunks: bool,
        points in 1..300_usize,
        of_heads in vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        of_body in vec((any::<prop::sample::Index>(), any::<u8>()), 0..9),
    ) {
        let form = if chunks { Form::Chunks } else { Form::Blocks };
        let Sheet { heads, mut body, .. } = sheet(form, points, &typical(points));
        let mut columns = columns_of(&heads);
        for (at, byte) in of_heads {
            *at.get_mut(&mut columns) = byte;
        }
        for (at, byte) in of_body.into_iter().filter(|_| points > 1) {
            *at.get_mut(&mut body) = byte;
        }
        survives(&columns, &body);
    }
}

#[test]
fn steady_times_cost_little_and_every_flipped_bit_is_found() {
    let times: Vec<i64> =
        (0..120).zip(noise(120)).map(|(n, late)| n * 5000 + i64::from(late > 2e9)).collect();
    let mut bytes = vec![];
    times::encode(&times, &mut bytes);
    assert!(bytes.len() < 50, "{} bytes", bytes.len());
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert!(times::decode(&flipped, 120).is_err(), "byte {at}");
        }
    }
    bytes.clear();
    times::encode(&[], &mut bytes);
    assert_eq!(times::decode(&bytes, 0), Ok(vec![]));
}
