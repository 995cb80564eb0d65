//! The limits of a process's own (`setrlimit`, `ulimit`) that end it: how much address space it may
//! have, how long it may compute.

use highwater_core::units::Bytes;

use crate::parse::number;
use crate::parse::text::{fields, lines};

/// Those of `/proc/PID/limits` that are finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rlimits {
    /// `RLIMIT_AS`, the soft limit: from there on the kernel refuses it memory.
    pub address_space: Option<Bytes>,
    /// `RLIMIT_CPU`, the soft limit in seconds: then it gets SIGXCPU, once a second.
    pub cpu_soft_s: Option<u64>,
    /// The hard limit: then it gets SIGKILL.
    pub cpu_hard_s: Option<u64>,
}

impl Rlimits {
    /// Whether there is one.
    pub fn is_any(self) -> bool {
        self != Self::default()
    }

    /// Those of `/proc/PID/limits` (`fs/proc/base.c`).
    pub fn parse(text: &[u8]) -> Self {
        let mut limits = Self::default();
        for line in lines(text) {
            if let Some(values) = line.strip_prefix(b"Max cpu time ") {
                let mut values = fields(values).map(number::u64);
                limits.cpu_soft_s = values.next().flatten();
                limits.cpu_hard_s = values.next().flatten();
            } else if let Some(values) = line.strip_prefix(b"Max address space ") {
                limits.address_space = fields(values).next().and_then(number::u64).map(Bytes::new);
            }
        }
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_finite_is_taken() {
        let text =
            b"Limit                     Soft Limit           Hard Limit           Units     \n\
            Max cpu time              1                    unlimited            seconds   \n\
            Max file size             unlimited            unlimited            bytes     \n\
            Max address space         104857600            209715200            bytes     \n";
        let expected = Rlimits {
            address_space: Some(Bytes::from_mib(100)),
            cpu_soft_s: Some(1),
            cpu_hard_s: None,
        };
        assert_eq!(Rlimits::parse(text), expected);
        assert!(expected.is_any());
    }

    #[test]
    fn garbage_and_unlimited_is_none() {
        for text in [
            &b""[..],
            b"Max cpu time              unlimited            unlimited            seconds   \n",
            b"Max cpu time \nMax address space x y\n",
            b"Max cpu time 1",
            b"\xff\n",
        ] {
            assert!(!Rlimits::parse(text).is_any(), "{text:?}");
        }
    }
}
