use super::*;

fn file(path: &str, text: &str) -> File {
    File { path: path.into(), text: text.into() }
}

/// The faults of a repository with this one file.
fn told(path: &str, text: &str) -> Vec<String> {
    faults(&[file(path, text)])
}

#[test]
fn a_tidy_file_has_no_faults() {
    let text = "//! What it is.\n//! What it is not.\n\nfn main() {}\n";
    assert_eq!(told("crates/x/src/lib.rs", text), Vec::<String>::new());
}

#[test]
fn a_head_of_one_line_is_too_short() {
    assert_eq!(told("crates/x/src/lib.rs", "//! What it is.\n").len(), 1);
    assert!(told("crates/x/src/room.rs", "//! What it is.\n").is_empty());
}

#[test]
fn a_file_over_the_limit_is_two() {
    let (fits, long) = ("\n".repeat(MOST_LINES - 1), "x\n".repeat(MOST_LINES + 1));
    assert!(length(&file("a.rs", &fits)).is_empty());
    assert_eq!(length(&file("a.rs", &long)).len(), 1);
}

#[test]
fn names_say_something() {
    assert_eq!(told("crates/x/src/util.rs", "").len(), 1);
    assert_eq!(told("crates/x/src/common/a.rs", "").len(), 1);
    assert!(told("crates/x/src/utility.rs", "").is_empty());
}

#[test]
fn leftovers_are_told_with_their_line() {
    for leftover in LEFTOVERS {
        let found = told("crates/x/src/a.rs", &format!("fn a() {{\n    {leftover}\n}}\n"));
        assert_eq!(found, [format!("crates/x/src/a.rs:2: {leftover}")]);
    }
}

#[test]
fn a_private_path_is_told_and_a_longer_path_is_not() {
    for path in PRIVATE_PATHS {
        assert_eq!(told("docs/a.md", &format!("see {path}x\n")).len(), 1, "{path}");
        assert!(told("docs/a.md", &format!("see frame{path}x\n")).is_empty(), "{path}");
        assert!(told("fixtures/oom/a.md", &format!("{path}\n")).len() == 1, "only its README");
    }
}

#[test]
fn blanks_are_told() {
    assert_eq!(told("docs/a.md", "a \n").len(), 1);
    assert_eq!(told("docs/a.md", "a\tb\n").len(), 1);
    assert_eq!(told("docs/a.md", "a").len(), 1);
    assert_eq!(told("docs/a.md", "a\n\n").len(), 1);
    assert!(told("docs/a.txt", "a \t").is_empty());
}

#[test]
fn fixtures_name_their_source() {
    let stat = file("fixtures/kernel/one/proc/1/stat", "");
    assert_eq!(faults(&[stat]).len(), 1);
    let both = [file("fixtures/oom/a.txt", ""), file("fixtures/oom/README.md", "Made here.\n")];
    assert!(faults(&both).is_empty());
}

#[test]
fn a_command_has_a_page() {
    let source = "#[derive(Subcommand)]\npub(crate) enum Command {\n    /// Says why.\n    \
                  Why(Why),\n    Agent {\n        data: u8,\n    },\n    WebSecret(Web),\n    Man(Man),\n}\n";
    assert_eq!(commands(source), ["why", "agent", "web-secret", "man"]);
    let page = |name: &str| file(&format!("docs/manual/{name}.md"), "# A page\n");
    let files = [file(COMMANDS, source), page("why"), page("web-secret")];
    assert_eq!(faults(&files), ["docs/manual/agent.md: the command has no page"]);
}
