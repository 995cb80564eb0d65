//! How things are called in a sentence.

use highwater_core::id::Pid;
use highwater_core::units::Bytes;

/// `node (pid 32145)`; what is not known is left out.
pub(crate) fn process(comm: Option<&str>, pid: Option<Pid>) -> String {
    match (comm, pid) {
        (Some(comm), Some(pid)) => format!("{comm} (pid {pid})"),
        (Some(comm), None) => comm.to_owned(),
        (None, Some(pid)) => format!("process {pid}"),
        (None, None) => "a process it does not name".to_owned(),
    }
}

/// The most characters of a cgroup's path in a sentence.
const MAX_PLACE: usize = 56;

/// A cgroup's path as it fits in a sentence: container ids keep 12 digits, as docker prints them,
/// and a long path loses its head.
pub fn place(path: &str) -> String {
    let parts: Vec<String> = path.split('/').map(short_ids).collect();
    let whole = parts.join("/");
    if whole.chars().count() <= MAX_PLACE {
        return whole;
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut room = MAX_PLACE;
    for part in parts.iter().rev() {
        let length = part.chars().count() + 1;
        if !kept.is_empty() && length > room {
            break;
        }
        room = room.saturating_sub(length);
        kept.push(part);
    }
    kept.reverse();
    format!("…/{}", kept.join("/"))
}

/// Runs of 64 hexadecimal digits, cut to 12.
fn short_ids(part: &str) -> String {
    const ID: usize = 64;
    const SHOWN: usize = 12;
    let mut out = String::with_capacity(part.len());
    let mut run = String::new();
    for c in part.chars().map(Some).chain([None]) {
        match c {
            Some(c) if c.is_ascii_hexdigit() => run.push(c),
            other => {
                if run.len() == ID {
                    out.extend(run.chars().take(SHOWN));
                    out.push('…');
                } else {
                    out.push_str(&run);
                }
                run.clear();
                out.extend(other);
            }
        }
    }
    out
}

/// Amounts from here up that are a whole number of their unit are limits that a person chose more
/// often than chance.
const LEAST_ROUND: Bytes = Bytes::from_mib(16);

/// `amount` in words, if it is exactly a round one: `exactly 1 GiB`.
pub(crate) fn round(amount: Bytes) -> Option<String> {
    let steps = [(1u64 << 30, "GiB"), (100 << 20, "MiB"), (64 << 20, "MiB")];
    if amount < LEAST_ROUND {
        return None;
    }
    let count = amount.get();
    let power = count.is_power_of_two();
    let step = steps.iter().any(|(step, _)| count.is_multiple_of(*step));
    (power || step).then(|| format!("exactly {amount}"))
}

/// A rate of growth as people read it: the unit of time in which it is a number one can picture.
pub(crate) fn rate(bytes_per_second: f64) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    let (sign, speed) =
        if bytes_per_second < 0.0 { ("−", -bytes_per_second) } else { ("", bytes_per_second) };
    let (amount, unit) = match speed {
        _ if speed >= MIB / 2.0 => (speed, "s"),
        _ if speed * 60.0 >= MIB / 2.0 => (speed * 60.0, "min"),
        _ if speed * 3600.0 >= MIB / 2.0 => (speed * 3600.0, "h"),
        _ => (speed * 86_400.0, "day"),
    };
    format!("{sign}{}/{unit}", Bytes::from_f64(amount))
}

/// `1 line`, `2 lines`, `2 processes`.
pub(crate) fn count(number: usize, one: &str) -> String {
    let end = match number {
        1 => "",
        _ if one.ends_with('s') => "es",
        _ => "s",
    };
    format!("{number} {one}{end}")
}

/// `text` as a sentence: its first letter is raised, unless it begins with one of `names`, a path
/// or a unit, which stay as they are.
pub(crate) fn sentence(text: &str, names: &[&str]) -> String {
    let first = text.split(' ').next().unwrap_or_default();
    let is_name = names.iter().any(|name| !name.is_empty() && text.starts_with(name));
    let mut chars = text.chars();
    match chars.next() {
        Some(letter) if !is_name && !first.contains(['.', '/', '_']) => {
            letter.to_uppercase().chain(chars).chain(['.']).collect()
        }
        _ => format!("{text}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_fit_a_sentence() {
        let id = "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6";
        assert_eq!(place(&format!("/docker/{id}")), "/docker/34186d9bd077…");
        assert_eq!(place("/system.slice/nginx.service"), "/system.slice/nginx.service");
        let pod = format!(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod10d16a28.slice/cri-containerd-{id}.scope"
        );
        assert_eq!(place(&pod), "…/cri-containerd-34186d9bd077….scope");
        assert_eq!(place("/"), "/");
        assert_eq!(place(&"é".repeat(99)), format!("…/{}", "é".repeat(99)));
    }

    #[test]
    fn round_amounts_are_those_that_people_choose() {
        assert_eq!(round(Bytes::from_kib(1_048_576)).as_deref(), Some("exactly 1 GiB"));
        assert_eq!(round(Bytes::from_kib(921_600)).as_deref(), Some("exactly 900 MiB"));
        assert_eq!(round(Bytes::from_mib(64)).as_deref(), Some("exactly 64 MiB"));
        assert_eq!(round(Bytes::from_kib(1_048_132)), None);
        assert_eq!(round(Bytes::from_kib(4)), None);
    }

    #[test]
    fn rates_choose_their_unit() {
        assert_eq!(rate(2.0 * 1024.0 * 1024.0), "2 MiB/s");
        assert_eq!(rate(-2.0 * 1024.0 * 1024.0), "−2 MiB/s");
        assert_eq!(rate(123.0 * 1024.0 * 1024.0 / 86_400.0), "5.12 MiB/h");
        assert_eq!(rate(100.0), "8.24 MiB/day");
    }
}
