//! Names of units, and whose they are.

use highwater_core::owner::Owner;

/// The longest name of a unit (`UNIT_NAME_MAX` of systemd).
const NAME_BYTES: usize = 255;

/// How the names of units end that can hold processes.
const ENDINGS: [&str; 6] = [".service", ".scope", ".slice", ".mount", ".swap", ".socket"];

/// Is this the name of a unit that can hold processes? The letters are those that systemd allows
/// (systemd.unit(5)); whatever else stands in a name's place is somebody's text.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
    let stem = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending));
    name.len() <= NAME_BYTES && name.bytes().all(fits) && stem.is_some_and(|stem| !stem.is_empty())
}

/// Is it one that is started and stopped as people know it?
pub(super) fn is_started(name: &str) -> bool {
    ["service", "scope"].iter().any(|kind| name.rsplit('.').next() == Some(kind))
}

/// Whose the unit is: a container's scope is the container's, and the units of a user's manager are
/// that user's.
pub(super) fn owner(name: &str, user: Option<u32>) -> Option<Owner> {
    if !is_name(name) {
        return None;
    }
    if let Some(uid) = user {
        return Some(Owner::UserUnit { unit: name.to_owned(), uid });
    }
    Some(match Owner::of_path(&format!("/{name}")) {
        Owner::Cgroup(_) | Owner::Machine => Owner::Unit(name.to_owned()),
        owner => owner,
    })
}

/// The name that a message begins with, and what follows: `web.service: Main process …`.
pub(super) fn prefix(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once(": ")?;
    is_name(name).then_some((name, rest))
}

/// The name that is a message's first word, as systemd up to 226 has it.
pub(super) fn first_word(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once(' ')?;
    is_name(name).then_some((name, rest))
}

/// The name in `web.service - A web server.` (since 249), or in `web.service.`
pub(super) fn described(text: &str) -> Option<&str> {
    let name = text.split(" - ").next()?;
    let name = name.trim_end_matches('.');
    is_name(name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_text() {
        let long = format!("{}.service", "x".repeat(300));
        for name in ["web.service", r"dev-disk\x2d.swap", "a@b:c.service", "-.slice", "s-1.scope"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".service", "web", "web.timer", "a b.service", "é.service", &long] {
            assert!(!is_name(name), "{name}");
        }
        assert_eq!(described("web.service - A - B."), Some("web.service"));
        assert_eq!(described("Session 3 of User root."), None);
    }

    #[test]
    fn a_containers_scope_is_the_containers() {
        let id = "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6";
        let owned = |name: &str, user| owner(name, user).map(|owner| owner.to_string());
        let container = Some("container 34186d9bd077".to_owned());
        assert_eq!(owned(&format!("docker-{id}.scope"), None), container);
        assert_eq!(owned("web.service", Some(7)), Some("web.service of user 7".to_owned()));
        assert_eq!(owner("session-3.scope", None).map(|owner| owner.kind()), Some("session"));
        assert_eq!(owner("system.slice", None), Some(Owner::Unit("system.slice".to_owned())));
        assert_eq!(owner("nonsense", None), None);
    }
}
