//! The killers beside the kernel's own: programs, and Android's in the kernel.
//!
//! A program's line counts where its envelope names that program, or nobody.

mod android;
mod earlyoom;
mod nohang;
mod oomd;
mod systemd;

use crate::report::{Candidate, Writer};
use crate::said::Said;

/// A killed cgroup and what was said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CgroupKill {
    /// Who killed.
    pub(crate) writer: Writer,
    /// What was killed, with its pressure and limit where the line says so.
    pub(crate) cgroup: Candidate,
    /// The cgroup whose pressure it was, where that is another one.
    pub(crate) watched: Option<String>,
}

/// One line of what `systemd-oomd` says of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CandidatePart {
    /// `Path: /a`: a new one begins.
    Path(String),
    /// `Memory Pressure Limit: 0.00%`, `Pressure: Avg10: 85.87 …`, `Current Memory Usage: 43.3G`,
    /// `Swap Usage: 2.0G`, `Pgscan: 5`: what stands here is added to it.
    More(Candidate),
}

/// Reads a line of the program `ident`, or of nobody says whom.
pub(crate) fn read(text: &[u8], ident: Option<&[u8]>) -> Option<Said> {
    let line = text.trim_ascii();
    let by = |names: &[&[u8]]| ident.is_none_or(|ident| names.contains(&ident));
    let earlyoom = || by(&[b"earlyoom"]).then(|| earlyoom::read(line))?;
    let systemd = || by(&[b"systemd-oomd", b"systemd"]).then(|| systemd::read(line))?;
    let oomd = || by(&OOMD).then(|| oomd::read(text, ident))?;
    let nohang = || by(&[b"nohang", b"nohang-desktop"]).then(|| nohang::read(line))?;
    let android =
        || by(&[b"lowmemorykiller", b"lmkd", b"lowmemory"]).then(|| android::program(line))?;
    earlyoom().or_else(systemd).or_else(oomd).or_else(nohang).or_else(android)
}

/// Reads a line of a killer that is a part of the kernel.
pub(crate) fn in_kernel(line: &[u8]) -> Option<Said> {
    android::in_kernel(line)
}

/// What an envelope may take for the name of Meta's `oomd`, whose record begins `oomd kill: `.
const OOMD: [&[u8]; 5] = [b"oomd", b"oomd_bin", b"oomd kill", b"kill", b"user"];
