//! `/proc/pressure/*` and the `*.pressure` files of cgroup v2 (`kernel/sched/psi.c`):
//! `some avg10=0.25 avg60=0.13 avg300=0.19 total=9703372`.

use highwater_core::frame::{Pressure, Stall};

use super::{number, text};

/// The two lines of a pressure file; `None` where one is missing or not whole.
pub fn parse(text: &[u8]) -> Pressure {
    let mut pressure = Pressure::default();
    for line in text::lines(text) {
        if let Some(values) = line.strip_prefix(b"some ") {
            pressure.some = stall(values);
        } else if let Some(values) = line.strip_prefix(b"full ") {
            pressure.full = stall(values);
        }
    }
    pressure
}

fn stall(values: &[u8]) -> Option<Stall> {
    let (mut avg10, mut avg60, mut avg300, mut total_us) = (None, None, None, None);
    for field in text::fields(values) {
        let equals = memchr::memchr(b'=', field)?;
        let (key, value) = field.split_at_checked(equals)?;
        let value = value.strip_prefix(b"=")?;
        match key {
            b"avg10" => avg10 = per_cent(value),
            b"avg60" => avg60 = per_cent(value),
            b"avg300" => avg300 = per_cent(value),
            b"total" => total_us = number::u64(value),
            _ => {}
        }
    }
    Some(Stall { avg10: avg10?, avg60: avg60?, avg300: avg300?, total_us: total_us? })
}

/// A decimal number without sign or exponent, which leaves out `inf` and `nan`.
fn per_cent(value: &[u8]) -> Option<f64> {
    let plain = value.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    plain.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lines_are_read() {
        let text = b"some avg10=0.25 avg60=1.13 avg300=99.19 total=9703372\n\
            full avg10=0.00 avg60=0.00 avg300=0.12 total=6053648\n";
        let stall = Stall { avg10: 0.25, avg60: 1.13, avg300: 99.19, total_us: 9_703_372 };
        assert_eq!(parse(text).some, Some(stall));
        assert_eq!(parse(text).full.map(|full| full.total_us), Some(6_053_648));
    }

    #[test]
    fn cpu_pressure_of_old_kernels_has_one_line() {
        let pressure = parse(b"some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n");
        assert_eq!((pressure.some.map(|some| some.total_us), pressure.full), (Some(7), None));
    }

    #[test]
    fn a_stall_that_is_not_whole_is_unknown() {
        let odd = [
            &b""[..],
            b"some avg10=0.00 avg60=0.00 avg300=0.00\n",
            b"some avg10=nan avg60=inf avg300=0.00 total=1\n",
            b"some avg10=-1.0 avg60=0.00 avg300=0.00 total=1\n",
            b"some avg10 avg60=0.00 avg300=0.00 total=1\n",
            b"some avg10=1.2.3 avg60=0.00 avg300=0.00 total=1\n",
            b"some avg10=0.00 avg60=0.00 avg300=0.00 total=99",
            b"\xff\xfe\n",
        ];
        for text in odd {
            assert_eq!(parse(text), Pressure::default(), "{text:?}");
        }
    }
}
