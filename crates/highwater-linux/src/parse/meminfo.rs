//! `/proc/meminfo` (`fs/proc/meminfo.c`): `MemTotal:       24684088 kB`.

use highwater_core::frame::MemInfo;

use super::{number, text};

/// Takes the readings of `text`, which replace all old ones. Lines without `kB` are counts of huge
/// pages and not taken; nor is a number without its unit, which was cut off.
pub fn parse(text: &[u8], into: &mut MemInfo) {
    *into = MemInfo::default();
    for (key, value) in text::keyed(text) {
        if let Some(amount) = number::kib(value) {
            into.set(key, amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::units::Bytes;

    use super::*;

    fn parsed(text: &[u8]) -> MemInfo {
        let mut info = MemInfo { mem_free: Some(Bytes::new(1)), ..MemInfo::default() };
        parse(text, &mut info);
        info
    }

    #[test]
    fn kilobytes_become_bytes() {
        let info = parsed(b"MemTotal:       24684088 kB\nActive(anon):       16 kB\n");
        assert_eq!(info.mem_total, Some(Bytes::from_kib(24_684_088)));
        assert_eq!(info.active_anon, Some(Bytes::from_kib(16)));
        assert_eq!(info.mem_free, None, "an old reading does not stay");
    }

    #[test]
    fn what_is_missing_or_foreign_stays_unknown() {
        assert_eq!(parsed(b""), MemInfo::default());
        let odd =
            b"MemTotal 5 kB\nMemFree: many kB\nHugePages_Total: 3\nNews: 5 kB\n\xff:\nSlab: 12";
        assert_eq!(parsed(odd), MemInfo::default());
    }
}
