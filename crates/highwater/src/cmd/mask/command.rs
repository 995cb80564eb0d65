//! Command lines without names.
//!
//! Who asked for an end is known by the command, so of one that may ask for it the program, the verb
//! and whom it was about stay, the last under its mask. Any other is masked as one name: any of its
//! words may be a secret.

use super::{Kind, Masks, lines};

/// Programs that are asked to end others.
const TOOLS: [&str; 12] = [
    "kill",
    "pkill",
    "killall",
    "timeout",
    "systemctl",
    "docker",
    "podman",
    "nerdctl",
    "crictl",
    "ctr",
    "kubectl",
    "loginctl",
];

/// What they are asked to do, and how.
const VERBS: &[&str] = &[
    "container",
    "delete",
    "down",
    "kill",
    "pause",
    "pod",
    "reload-or-restart",
    "restart",
    "rm",
    "run",
    "start",
    "stop",
    "task",
    "terminate-session",
    "terminate-user",
    "try-restart",
    "update",
    "--force",
    "--no-block",
    "--now",
    "--signal",
    "--system",
    "--time",
    "--user",
    "KILL",
    "SIGKILL",
    "SIGTERM",
    "TERM",
];

/// The program may be run by another one: sudo, env, an interpreter.
const BEFORE_TOOL: usize = 4;

/// The name of the program that a word is.
fn program(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// `command` without names.
pub(super) fn masked(masks: &mut Masks, command: &str) -> String {
    let words = || command.split_whitespace();
    let Some(tool) = words().take(BEFORE_TOOL).position(|word| TOOLS.contains(&program(word)))
    else {
        return masks.of(Kind::Process, command);
    };
    let one = |(at, word): (usize, &str)| match at {
        _ if at == tool => program(word).to_owned(),
        _ if at > tool && VERBS.contains(&word) => word.to_owned(),
        _ if at > tool && is_plain(word) => word.to_owned(),
        _ => lines::name(masks, word),
    };
    words().enumerate().map(one).collect::<Vec<_>>().join(" ")
}

/// `-9`, `-f`, `17`: an option of one letter or a number, which names nobody.
fn is_plain(word: &str) -> bool {
    /// As long as a pid may be: a container's id may be digits only, too.
    const NUMBER: usize = 7;
    let bare = word.strip_prefix('-').unwrap_or(word);
    let is_number = !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit());
    is_number && bare.len() <= NUMBER
        || word.len() == 2 && word.starts_with('-') && bare.bytes().all(|b| b.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_a_command_asked_to_end_can_still_be_told() {
        let mut masks = Masks::default();
        masks.of(Kind::Named, "shop");
        let id = "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6";
        masks.of(Kind::Container, id);
        masks.of(Kind::Unit, "web");
        for (typed, shown) in [
            ("docker rm -f shop", "docker rm -f container-1"),
            ("/usr/bin/docker stop -t 2 34186d9bd077", "docker stop -t 2 000000000001"),
            ("docker kill 34186d", "docker kill 000000000001"),
            ("sudo systemctl restart web.service", "sudo systemctl restart unit-1.service"),
            ("systemctl kill -s KILL web", "systemctl kill -s KILL unit-1"),
            ("kill -9 4711", "kill -9 4711"),
            ("docker pull -p hunter2", "docker word-1 -p word-2"),
            ("mysql -u ann db", "proc-1"),
        ] {
            assert_eq!(masked(&mut masks, typed), shown, "{typed}");
        }
    }
}
