//! `/proc/PID/limits` (`fs/proc/base.c`): `Max open files            1024     524288     files`.

use highwater_core::limit::Limit;

use super::{number, text};

/// The soft limit of open files, at which `open` fails with EMFILE.
pub fn max_open_files(text: &[u8]) -> Option<Limit<u64>> {
    let values = text::lines(text).find_map(|line| line.strip_prefix(b"Max open files "))?;
    number::limit(text::fields(values).next()?, b"unlimited", |count| count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_taken() {
        let text =
            b"Limit                     Soft Limit           Hard Limit           Units     \n\
            Max processes             96365                96365                processes \n\
            Max open files            1024                 524288               files     \n";
        assert_eq!(max_open_files(text), Some(Limit::At(1024)));
        let text = b"Max open files            unlimited            unlimited            files\n";
        assert_eq!(max_open_files(text), Some(Limit::Unlimited));
    }

    #[test]
    fn garbage_is_none() {
        for text in
            [&b""[..], b"Max open files \n", b"Max open files x\n", b"Max open files 1", b"\xff\n"]
        {
            assert_eq!(max_open_files(text), None, "{text:?}");
        }
    }
}
