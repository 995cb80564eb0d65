//! What a process ended with, as systemd writes it: `code=killed, status=9/KILL`, `EXIT_CODE` and
//! `EXIT_STATUS`.

use highwater_core::testimony::{Signal, Status};

/// The greatest number a signal has (`_NSIG`).
const SIGNALS: u8 = 64;

/// Names of exit codes that stand alone in `EXIT_STATUS` of what services run at their end
/// (systemd.exec(5)).
const NAMED: [(&str, u8); 8] = [
    ("SUCCESS", 0),
    ("FAILURE", 1),
    ("INVALIDARGUMENT", 2),
    ("NOTIMPLEMENTED", 3),
    ("NOPERMISSION", 4),
    ("NOTINSTALLED", 5),
    ("NOTCONFIGURED", 6),
    ("NOTRUNNING", 7),
];

/// The status that `code` (`exited`, `killed`, `dumped`) and `status` (`9`, `KILL`, `9/KILL`) mean.
pub(super) fn read(code: &str, status: &str) -> Option<Status> {
    let (number, name) = match status.split_once('/') {
        Some((number, name)) => (number, name),
        None => (status, status),
    };
    match code {
        "exited" => {
            let named = || NAMED.iter().find(|(known, _)| *known == name).map(|(_, code)| *code);
            number.parse().ok().or_else(named).map(Status::Code)
        }
        "killed" | "dumped" => {
            let signal = number.parse().ok().map(Signal).or_else(|| Signal::of_name(name))?;
            let is_signal = (1..=SIGNALS).contains(&signal.0);
            is_signal.then_some(Status::Signal { signal, core: code == "dumped" })
        }
        _ => None,
    }
}

/// The same out of the words `code=killed, status=9/KILL`; up to 226 some lack the comma.
pub(super) fn in_words(text: &str) -> Option<Status> {
    let word = |name: &str| {
        let (_, rest) = text.split_once(name)?;
        rest.split([',', ' ']).next()
    };
    read(word("code=")?, word("status=")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_read() {
        let killed = Some(Status::Signal { signal: Signal::KILL, core: false });
        for status in ["9", "KILL", "9/KILL", "SIGKILL"] {
            assert_eq!(read("killed", status), killed);
        }
        assert_eq!(
            read("dumped", "11/SEGV"),
            Some(Status::Signal { signal: Signal::SEGV, core: true })
        );
        assert_eq!(read("exited", "203/EXEC"), Some(Status::Code(203)));
        assert_eq!(read("exited", "FAILURE"), Some(Status::Code(1)));
        assert_eq!(in_words("x, code=killed, status=9/KILL"), killed);
        assert_eq!(in_words("x, code=exited status=143"), Some(Status::Code(143)));
    }

    #[test]
    fn nonsense_is_nothing() {
        for (code, status) in [
            ("killed", "0"),
            ("killed", "65"),
            ("killed", "999999999999"),
            ("exited", "256"),
            ("exited", "-1"),
            ("", "9"),
            ("killed", ""),
            ("stopped", "9"),
        ] {
            assert_eq!(read(code, status), None, "{code} {status}");
        }
        assert_eq!(in_words("code=killed"), None);
    }
}
