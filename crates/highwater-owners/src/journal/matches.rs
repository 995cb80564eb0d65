//! What journalctl is asked for.

/// `SD_MESSAGE_COREDUMP` (systemd, `src/systemd/sd-messages.h`).
const COREDUMP: &str = "fc2e22bc6ee647b6b90729ab34a250b1";

/// Whose lines matter, whatever unit they are in: users' managers, those who run containers, and
/// those who kill before the kernel has to. The kernel cuts a name after 15 bytes.
const NAMES: [&str; 8] =
    ["systemd", "systemd-oomd", "dockerd", "containerd", "kubelet", "earlyoom", "oomd", "oomd_bin"];

/// Units of programs that the journal knows by the name of their interpreter.
const UNITS: [&str; 2] = ["nohang.service", "nohang-desktop.service"];

/// The arguments with which journalctl gives what [`testimony`](super::testimony) reads, and what
/// the killers in user space say.
///
/// journalctl(1): of several matches of one field any has to hold, of different fields all, and `+`
/// stands between alternatives. All of systemd's own lines are asked for, since watchdog and
/// time-outs have no id; they are few.
pub fn matches() -> Vec<String> {
    let names = NAMES.iter().map(|name| format!("_COMM={name}"));
    let units = UNITS.iter().map(|unit| format!("_SYSTEMD_UNIT={unit}"));
    let id = format!("MESSAGE_ID={COREDUMP}");
    let or = || std::iter::once("+".to_owned());
    let first = std::iter::once("_PID=1".to_owned());
    first.chain(or()).chain(names).chain(or()).chain(units).chain(or()).chain([id]).collect()
}
