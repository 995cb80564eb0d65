//! Remote write 1.0: the protocol buffer `WriteRequest` in a snappy block.

use highwater_core::series::Series;

/// The most bytes of a literal whose length stands in two bytes.
const LITERAL: usize = 1 << 16;

/// The tag of such a literal.
const LONG_LITERAL: u8 = 61 << 2;

/// A request that brings these series. Its samples must be in order of time.
pub(super) fn request(series: &[Series]) -> Vec<u8> {
    let mut request = Vec::new();
    for one in series {
        message(&mut request, 1, &time_series(one));
    }
    block(&request)
}

fn time_series(series: &Series) -> Vec<u8> {
    let mut encoded = Vec::new();
    for (name, value) in series.labels.iter() {
        let mut label = Vec::new();
        message(&mut label, 1, name.as_bytes());
        message(&mut label, 2, value.as_bytes());
        message(&mut encoded, 1, &label);
    }
    for point in &series.points {
        let mut sample = vec![1 << 3 | 1];
        sample.extend(point.value.to_le_bytes());
        sample.push(2 << 3);
        varint(&mut sample, point.at.millis().unsigned_abs());
        message(&mut encoded, 2, &sample);
    }
    encoded
}

/// A field that has a length.
fn message(into: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    into.push(field << 3 | 2);
    varint(into, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    into.extend(bytes);
}

fn varint(into: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return into.push(low & 0x7f);
        }
        into.push(low | 0x80);
    }
}

/// A snappy block of literals: the format asks nobody to find repetitions.
fn block(bytes: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    varint(&mut block, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    for literal in bytes.chunks(LITERAL) {
        let last = u16::try_from(literal.len() - 1).unwrap_or(u16::MAX);
        block.push(LONG_LITERAL);
        block.extend(last.to_le_bytes());
        block.extend(literal);
    }
    block
}

#[cfg(test)]
mod tests {
    use highwater_core::series::{Labels, Point};
    use highwater_core::time::WallTime;

    use super::*;

    #[test]
    fn a_request_is_what_the_format_says() {
        let point = Point { at: WallTime::from_millis(300), value: 1.0 };
        let series = Series { labels: Labels::new([("a", "b")]), points: vec![point] };
        let sample = [0x12, 12, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0xac, 0x02];
        let label = [0x0a, 6, 0x0a, 1, b'a', 0x12, 1, b'b'];
        let body = [&[0x0a, 22], &label[..], &sample[..]].concat();
        assert_eq!(request(&[series]), [&[24, 0xf4, 23, 0][..], &body].concat());
    }

    #[test]
    fn a_long_block_has_several_literals() {
        let encoded = block(&vec![7; LITERAL + 1]);
        assert_eq!(encoded.first_chunk(), Some(&[0x81, 0x80, 0x04, 0xf4, 0xff, 0xff]));
        assert_eq!(encoded.last_chunk(), Some(&[7, 0xf4, 0, 0, 7]));
    }
}
