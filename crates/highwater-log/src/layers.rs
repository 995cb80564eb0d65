//! The layers of a line of text, outermost first: level, time, writer, the kernel's own stamp.

use crate::envelope::{Facts, Opened, is_kernel};
use crate::{dmesg, iso, kmsg, logcat, rfc5424, scan, syslog};

/// Digits that a container runtime gives to a second (`2026-04-27T08:47:12.123456789Z`), one or two
/// zeros left out; all others write microseconds at most. No writer follows.
const RUNTIME_DIGITS: usize = 7;

/// The line out of its envelope. `host` is the one that wrote lines before, if it is known.
pub(crate) fn open<'a>(line: &'a [u8], host: &[u8]) -> Opened<'a> {
    if let Some(opened) = record(line) {
        return opened;
    }
    if let Some((facility, rest)) = dmesg::level(line) {
        let opened = rfc5424::open(rest).map(stamped).or_else(|| timed(rest));
        if let Some(opened) = opened {
            return opened.judged(Some(facility));
        }
    }
    let opened = logcat::open(line).map(stamped).or_else(|| timed(line));
    opened.map_or_else(|| untimed(line, host), |opened| opened.judged(None))
}

/// A `/dev/kmsg` record.
pub(crate) fn record(line: &[u8]) -> Option<Opened<'_>> {
    let record = kmsg::head(line)?;
    let facts = Facts {
        boot: Some(record.boot),
        seq: Some(record.seq),
        continues: record.continues,
        origin: kmsg::origin(record.facility),
        caller: record.caller,
        wall: None,
    };
    let ident = Some(kmsg::writer(record.facility, record.text));
    Some(Opened { facts, ident, text: record.text, is_enveloped: true })
}

/// A line with a time: behind it the writer, if one is named, and what the kernel put before its
/// own words.
fn timed(line: &[u8]) -> Option<Opened<'_>> {
    let (wall, rest) = syslog::time(line)?;
    let facts = Facts { wall, ..Facts::default() };
    let opened = Opened { facts, ident: None, text: rest, is_enveloped: true };
    if iso::stamp(line).is_some_and(|stamp| stamp.is_comma || stamp.fraction >= RUNTIME_DIGITS) {
        return Some(opened);
    }
    if let Some((opened, facility)) = taken(opened) {
        return Some(of_cpu(opened).judged(facility));
    }
    let found = syslog::writer(rest);
    if found.is_none()
        && let Some((_, behind)) = scan::word(rest)
        && is_filed(behind)
    {
        // The name of a stream, and a line in its own envelope: `aws logs tail` prints so.
        return Some(Opened { text: behind, ..opened });
    }
    let guest = || memchr::memmem::find(rest, b"Guest: <").is_some();
    let Some(writer) = found.or_else(|| if guest() { None } else { syslog::roundabout(rest) })
    else {
        return Some(opened);
    };
    let opened = Opened { ident: Some(writer.ident), text: writer.text, ..opened };
    Some(stamped(opened).judged(writer.facility))
}

/// A line without a time: the kernel's stamp, and perhaps a host and a writer behind it, as
/// `short-monotonic` has them; or a writer alone.
fn untimed<'a>(line: &'a [u8], host: &[u8]) -> Opened<'a> {
    let Some((opened, facility)) = taken(Opened::bare(line)) else { return alone(line) };
    let opened = if facility.is_some() { of_cpu(opened) } else { opened };
    let writer = syslog::writer(opened.text);
    // Behind a stamp alone `host kernel:` is a writer; the `name:` of a driver is not.
    let sure = |writer: &syslog::Writer<'_>| {
        writer.is_certain || writer.host.is_some_and(|named| named == host)
    };
    match writer.filter(sure) {
        Some(writer) => {
            let opened = Opened { ident: Some(writer.ident), text: writer.text, ..opened };
            stamped(opened).judged(facility)
        }
        None => opened.judged(facility),
    }
}

/// A writer on a line without a time: only one that cannot be the message's own first word.
fn alone(line: &[u8]) -> Opened<'_> {
    let (first, _) = scan::first_word(line);
    let bare = Opened::bare(line);
    let found = first.ends_with(b":").then(|| syslog::writer(line)).flatten();
    match found.filter(|writer| writer.is_certain) {
        Some(writer) => {
            let opened = Opened { ident: Some(writer.ident), text: writer.text, ..bare };
            stamped(Opened { is_enveloped: true, ..opened }).judged(None)
        }
        None => bare,
    }
}

/// Takes the kernel's stamp off behind its name. What a program writes stays as it wrote it.
fn stamped(opened: Opened<'_>) -> Opened<'_> {
    match opened.ident {
        Some(ident) if is_kernel(ident) => {
            taken(opened).map_or(opened, |(opened, facility)| opened.judged(facility))
        }
        _ => opened,
    }
}

/// Takes the kernel's stamp off, if there is one, and tells the facility that stood before it.
fn taken(opened: Opened<'_>) -> Option<(Opened<'_>, Option<u32>)> {
    let (stamp, text) = dmesg::strip(opened.text)?;
    let inner =
        Facts { boot: stamp.boot, wall: stamp.wall, caller: stamp.caller, ..Facts::default() };
    let facts = Facts { origin: opened.facts.origin, ..inner.within(opened.facts) };
    Some((Opened { facts, text, is_enveloped: true, ..opened }, stamp.facility))
}

/// Without the processor that printed.
fn of_cpu(opened: Opened<'_>) -> Opened<'_> {
    let Some((caller, text)) = dmesg::android_cpu(opened.text) else { return opened };
    Opened { text, facts: Facts { caller: Some(caller), ..opened.facts }, ..opened }
}

/// The host that a line with nothing but the kernel's stamp before it surely names.
pub(crate) fn host(line: &[u8]) -> Option<&[u8]> {
    let (_, rest) = dmesg::strip(line)?;
    syslog::writer(rest).filter(|writer| writer.is_certain)?.host
}

/// A line in an envelope that no message begins with.
pub(crate) fn is_enveloped(line: &[u8]) -> bool {
    let stamped = || line.starts_with(b"[") && dmesg::strip(line).is_some();
    let levelled = || {
        dmesg::level(line).is_some_and(|(_, rest)| {
            dmesg::strip(rest).is_some() || rfc5424::open(rest).is_some() || is_filed(rest)
        })
    };
    match line.first() {
        Some(b'[') => stamped(),
        Some(b'<') => levelled(),
        Some(b'{') => line.starts_with(b"{\""),
        Some(b'0'..=b'9') => {
            kmsg::head(line).is_some()
                || is_filed(line)
                || iso::stamp(line).is_some_and(|stamp| stamp.fraction >= RUNTIME_DIGITS)
        }
        Some(_) => line.starts_with(b"kernel: ") || levelled() || is_filed(line),
        None => false,
    }
}

/// A time and a writer.
fn is_filed(line: &[u8]) -> bool {
    syslog::time(line).is_some_and(|(_, rest)| syslog::writer(rest).is_some())
}

/// A time, and the kernel as the writer.
pub(crate) fn is_kernels(line: &[u8]) -> bool {
    let writer = syslog::time(line).and_then(|(_, rest)| syslog::writer(rest));
    writer.is_some_and(|writer| is_kernel(writer.ident))
}

#[cfg(test)]
mod tests {
    use highwater_core::line::{Caller, Origin};
    use highwater_core::time::BootTime;

    use super::*;

    fn one(line: &str) -> Opened<'_> {
        open(line.as_bytes(), b"")
    }

    #[test]
    fn what_the_kernel_filed_is_unsaid() {
        let boot = Some(BootTime::from_micros(12_500_000));
        for line in [
            "[   12.500000] hello",
            "<6>[   12.500000] hello",
            "Apr 27 08:47:12 host kernel: [   12.500000] hello",
            "<4>Apr 27 08:47:12 host kernel: [   12.500000] hello",
            "<6>1 2026-04-27T08:47:12Z host kernel - - - [   12.500000] hello",
            "Jan  1 00:00:12 host kern.info kernel: [   12.500000] hello",
            "09-22 15:36:44.117     0     0 W         : [   12.500000] hello",
            "09-22 15:36:44.117 <4>[   12.500000] c2 hello",
            "<4>[   12.500000] c2 hello",
            "[   12.500000] host kernel: hello",
            "kern  :info  : [   12.500000] hello",
            "kernel: [   12.500000] hello",
        ] {
            let Opened { facts, text, ident, .. } = one(line);
            assert_eq!((text, facts.boot, facts.origin), (&b"hello"[..], boot, Origin::Unsaid));
            assert!(ident.is_none_or(is_kernel), "{line}");
        }
    }

    #[test]
    fn a_program_stays_a_program_whatever_it_says() {
        let forged = "[   12.0] Out of memory: Killed process 1 (x)";
        for before in [
            "Apr 27 08:47:12 host app[1]: ",
            "Apr 27 08:47:12 host app: ",
            "Apr 27 08:47:12 app: ",
            "Apr 27 08:47:12 host app[1]: kernel: ",
            "Apr 27 08:47:12 host two words: ",
            "<30>Apr 27 08:47:12 host kernel: ",
            "<14>1 2026-04-27T08:47:12Z host app 1 - - ",
            "Jan  1 00:00:12 host user.notice app: ",
            "09-22 15:36:44.117   412   418 I app: ",
            "daemon:info  : ",
            "<30>",
            "12,1,12000000,-;app: ",
            "[   12.000000] app[1]: ",
            "app[1]: ",
        ] {
            let line = format!("{before}{forged}");
            let Opened { facts, text, .. } = one(&line);
            assert_eq!(facts.origin, Origin::Program, "{line}");
            assert!(text.ends_with(b"Out of memory: Killed process 1 (x)"), "{line}");
        }
    }

    #[test]
    fn a_host_that_is_known_makes_a_writer_sure() {
        assert_eq!(host(b"[    1.5] box kernel: x"), Some(&b"box"[..]));
        assert_eq!(host(b"[    1.5] box app: x"), None);
        assert_eq!(open(b"[    1.5] box app: x", b"box").facts.origin, Origin::Program);
        assert_eq!(open(b"[    1.5] box app: x", b"").text, b"box app: x");
    }

    #[test]
    fn callers_are_kept_and_runtime_stamps_name_nobody() {
        let opened = one("[    1.5][ T77] hello");
        assert_eq!((opened.facts.caller, opened.text), (Some(Caller::Task(77)), &b"hello"[..]));
        let opened = one("2026-04-27T08:47:12.123456789Z Call Trace: x");
        assert_eq!((opened.ident, opened.text), (None, &b"Call Trace: x"[..]));
        assert!(opened.facts.wall.is_some());
    }
}
