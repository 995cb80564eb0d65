//! `/proc/vmstat` (`mm/vmstat.c`): `oom_kill 0`.

use highwater_core::frame::VmStat;

use super::text;

/// Takes the counters of `text`, which replace all old ones.
pub fn parse(text: &[u8], into: &mut VmStat) {
    *into = VmStat::default();
    for (key, value) in text::counters(text) {
        into.set(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &[u8]) -> VmStat {
        let mut stat = VmStat { pgfault: Some(1), ..VmStat::default() };
        parse(text, &mut stat);
        stat
    }

    #[test]
    fn counters_are_taken_and_old_ones_go() {
        let stat = parsed(b"nr_free_pages 828750\noom_kill 3\npswpin 18446744073709551615\n");
        assert_eq!((stat.oom_kill, stat.pswpin, stat.pgfault), (Some(3), Some(u64::MAX), None));
    }

    #[test]
    fn what_is_missing_or_foreign_stays_unknown() {
        assert_eq!(parsed(b""), VmStat::default());
        assert_eq!(
            parsed(b"oom_kill\noom_kill x\npgfault -1\n\xff\xfe 1\npswpout 1"),
            VmStat::default()
        );
    }
}
