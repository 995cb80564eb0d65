//! What a row's `crc` is: the CRC-32 of its other columns, so that a flipped byte is seen.

use crc32fast::Hasher;

/// The checksum of a row, column by column.
#[derive(Clone, Debug)]
pub(crate) struct RowCrc(Hasher);

impl RowCrc {
    /// Of a row of this table.
    pub(crate) fn of(table: &str) -> Self {
        Self(Hasher::new()).text(table)
    }

    /// Goes on from the checksum of a row's first columns.
    pub(crate) fn after(columns: u32) -> Self {
        Self(Hasher::new_with_initial(columns))
    }

    /// A number.
    pub(crate) fn int(mut self, number: i64) -> Self {
        self.0.update(b"i");
        self.0.update(&number.to_le_bytes());
        self
    }

    /// A number, or NULL.
    pub(crate) fn maybe(mut self, number: Option<i64>) -> Self {
        if let Some(number) = number {
            return self.int(number);
        }
        self.0.update(b"n");
        self
    }

    /// A text.
    pub(crate) fn text(self, text: &str) -> Self {
        self.blob(text.as_bytes())
    }

    /// A text, or NULL.
    pub(crate) fn maybe_text(mut self, text: Option<&str>) -> Self {
        if let Some(text) = text {
            return self.text(text);
        }
        self.0.update(b"n");
        self
    }

    /// Bytes.
    pub(crate) fn blob(mut self, bytes: &[u8]) -> Self {
        self.0.update(b"b");
        self.0.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// The checksum so far, to go on from later.
    pub(crate) fn so_far(self) -> u32 {
        self.0.finalize()
    }

    /// The checksum as the table holds it.
    pub(crate) fn done(self) -> i64 {
        self.so_far().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_do_not_run_into_each_other() {
        let ab = RowCrc::of("t").text("a").text("b").done();
        assert_ne!(ab, RowCrc::of("t").text("ab").text("").done());
        assert_ne!(ab, RowCrc::of("u").text("a").text("b").done());
        assert_ne!(RowCrc::of("t").maybe(None).done(), RowCrc::of("t").int(0).done());
    }

    #[test]
    fn it_can_go_on_later() {
        let first = RowCrc::of("t").int(7).so_far();
        assert_eq!(RowCrc::after(first).int(8).done(), RowCrc::of("t").int(7).int(8).done());
    }
}
