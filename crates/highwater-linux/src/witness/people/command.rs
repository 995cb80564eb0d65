//! Which command lines end others.

/// Programs whose every use can end a process.
const ALWAYS: [&[u8]; 8] =
    [b"kill", b"pkill", b"killall", b"killall5", b"skill", b"slay", b"xkill", b"fuser"];

/// Programs with words of which some end others.
const WITH_WORDS: [(&[u8], &[&[u8]]); 9] = [
    (b"systemctl", SYSTEMCTL),
    (b"loginctl", &[b"kill-session", b"kill-user", b"terminate-session", b"terminate-user"]),
    (b"machinectl", &[b"kill", b"poweroff", b"terminate"]),
    (b"service", &[b"stop", b"restart", b"force-reload"]),
    (b"docker", CONTAINERS),
    (b"podman", CONTAINERS),
    (b"nerdctl", CONTAINERS),
    (b"crictl", &[b"stop", b"stopp", b"rm", b"rmp"]),
    (b"kubectl", &[b"delete", b"drain", b"rollout", b"scale", b"replace"]),
];

const SYSTEMCTL: &[&[u8]] = &[
    b"stop",
    b"kill",
    b"restart",
    b"try-restart",
    b"reload-or-restart",
    b"try-reload-or-restart",
    b"isolate",
    b"reboot",
    b"poweroff",
    b"halt",
    b"soft-reboot",
    b"daemon-reexec",
];

const CONTAINERS: &[&[u8]] = &[b"stop", b"kill", b"rm", b"restart", b"down", b"update", b"prune"];

/// The most words of a command line that are looked at: options may stand before the one that
/// counts.
const WORDS_MAX: usize = 16;

/// Whether this command line can end other processes: `kill`, `systemctl stop`, `docker rm -f`.
///
/// The words stand between spaces or NULs. What a shell or `sudo` is told to run is the command of
/// another process, which is seen by itself.
pub fn noteworthy(command: &[u8]) -> bool {
    let mut words = command.split(|byte| matches!(byte, b' ' | 0)).filter(|word| !word.is_empty());
    let Some(program) = words.next() else { return false };
    let name = program.rsplit(|byte| *byte == b'/').next().unwrap_or(program);
    if ALWAYS.contains(&name) {
        return true;
    }
    let known = WITH_WORDS.iter().find(|(program, _)| *program == name);
    known.is_some_and(|(_, enders)| words.take(WORDS_MAX).any(|word| enders.contains(&word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_end_others() {
        for command in [
            "kill -9 4711",
            "/usr/bin/pkill\0-f\0node",
            "killall5",
            "systemctl --user stop gateway.service",
            "/bin/systemctl\0kill\0-s\0KILL\0nginx",
            "systemctl --no-block restart x",
            "docker -H unix:///s rm -f web",
            "docker compose -f x.yml down",
            "podman kill web",
            "kubectl -n prod delete pod web-0",
            "crictl stopp 12",
            "service nginx restart",
        ] {
            assert!(noteworthy(command.as_bytes()), "{command}");
        }
    }

    #[test]
    fn others_do_not() {
        let others = [
            "",
            " ",
            "\0\0",
            "bash -c kill",
            "systemctl status nginx",
            "docker ps",
            "killer",
            "kubectl get pods",
            "vim kill",
        ];
        for command in others {
            assert!(!noteworthy(command.as_bytes()), "{command}");
        }
        assert!(!noteworthy(b"\xff\xfe\0stop"));
    }
}
