//! `cargo xtask tidy`: the house rules that no compiler knows.
//!
//! ```text
//! git ls-files ─ File { path, text } ─ rule, rule, rule ─ faults
//! ```
//!
//! A rule is a pure function of one file or of the list of all; each fault names its place.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::bail;

use crate::repo;

/// A file over this many lines wants to be two.
const MOST_LINES: usize = 600;

/// Names that say nothing.
const EMPTY_NAMES: &[&str] = &["common", "helper", "helpers", "manager", "misc", "util", "utils"];

/// What is left over when somebody stops half-way. In two parts, so that this file has none.
const LEFTOVERS: &[&str] = &[concat!("#[ig", "nore"), concat!("to", "do!("), concat!("dbg", "!(")];

/// Paths that only one machine has.
const PRIVATE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// What is text and ours: other files are somebody's words, kept as they are.
const OURS: &[&str] = &["rs", "toml", "md", "sh", "yml", "yaml", "sql"];

/// The commands of the binary, each of which has a page.
const COMMANDS: &str = "crates/highwater/src/args.rs";

/// Those that print what a page would say, and those that only the agent calls.
const PAGELESS: &[&str] = &["completions", "look", "man", "tell"];

/// A file of the repository.
struct File {
    path: String,
    text: String,
}

impl File {
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    fn extension(&self) -> &str {
        self.name().rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    fn is_rust(&self) -> bool {
        self.extension() == "rs"
    }

    /// Captured words keep their blanks.
    fn is_ours(&self) -> bool {
        OURS.contains(&self.extension()) && !self.path.starts_with("fixtures/")
    }
}

/// Reads the files that git knows, or would, and checks them.
pub(crate) fn run() -> anyhow::Result<()> {
    let files = files()?;
    let faults = faults(&files);
    for fault in &faults {
        println!("{fault}");
    }
    if faults.is_empty() {
        println!("tidy: {} files, nothing to say", files.len());
        return Ok(());
    }
    bail!("{} places are not tidy", faults.len())
}

fn files() -> anyhow::Result<Vec<File>> {
    let mut git = Command::new("git");
    git.current_dir(repo::root());
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = String::from_utf8_lossy(&repo::succeed(&mut git)?).into_owned();
    let paths: BTreeSet<&str> = listed.split('\0').filter(|path| !path.is_empty()).collect();
    // A file that was just removed is still listed; one that is no text has no lines to check.
    let read = |path: &str| {
        let text = fs::read_to_string(repo::root().join(path)).ok()?;
        Some(File { path: path.to_owned(), text })
    };
    Ok(paths.into_iter().filter_map(read).collect())
}

fn faults(files: &[File]) -> Vec<String> {
    let alone: [fn(&File) -> Vec<String>; 5] = [head, length, name, leftovers, blanks];
    let each = files.iter().flat_map(|file| alone.iter().flat_map(move |rule| rule(file)));
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    each.chain(provenance(&paths)).chain(manual(files, &paths)).collect()
}

/// A crate's head says in at least two lines what it is.
fn head(file: &File) -> Vec<String> {
    let is_head = matches!(file.name(), "lib.rs" | "main.rs") && file.path.contains("/src/");
    let lines = file.text.lines().take_while(|line| line.starts_with("//!")).count();
    let short = is_head && lines < 2;
    short
        .then(|| format!("{}: its head says in {lines} lines what it is", file.path))
        .into_iter()
        .collect()
}

fn length(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    let long = file.is_rust() && lines > MOST_LINES;
    long.then(|| format!("{}: {lines} lines, {MOST_LINES} at most", file.path))
        .into_iter()
        .collect()
}

fn name(file: &File) -> Vec<String> {
    let mut parts = file.path.split('/').map(|part| part.split('.').next().unwrap_or_default());
    let empty = file.is_rust() && parts.any(|part| EMPTY_NAMES.contains(&part));
    empty.then(|| format!("{}: the name says nothing", file.path)).into_iter().collect()
}

/// Nothing half-done, nothing of one machine.
fn leftovers(file: &File) -> Vec<String> {
    let words = LEFTOVERS.iter().filter(|_| file.is_rust());
    let words = words.chain(PRIVATE_PATHS.iter().filter(|_| file.is_ours()));
    let found = words.flat_map(|word| {
        let lines = file.text.lines().enumerate();
        let with = lines.filter(move |(_, line)| holds(line, word));
        with.map(move |(at, _)| format!("{}:{}: {word}", file.path, at + 1))
    });
    found.collect()
}

/// Whether the word is there on its own: a path must begin where it is said to.
fn holds(line: &str, word: &str) -> bool {
    let mut places = line.match_indices(word);
    places.any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|letter| letter.is_alphanumeric() || "_-./".contains(letter))
    })
}

/// No tabs, no blanks at the end of a line, one newline at the end of the file.
fn blanks(file: &File) -> Vec<String> {
    if !file.is_ours() {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        if line.ends_with([' ', '\t']) {
            faults.push(format!("{}:{}: blanks at the end of the line", file.path, at + 1));
        }
        if line.contains('\t') {
            faults.push(format!("{}:{}: a tab", file.path, at + 1));
        }
    }
    if !file.text.is_empty() && (!file.text.ends_with('\n') || file.text.ends_with("\n\n")) {
        faults.push(format!("{}: ends with other than one newline", file.path));
    }
    faults
}

/// A fixture says where it comes from: the README.md of its folder, or of the first folder above.
fn provenance(paths: &BTreeSet<&str>) -> Vec<String> {
    let fixtures = paths.iter().filter_map(|path| path.strip_prefix("fixtures/"));
    let folders: BTreeSet<&str> = fixtures.filter_map(|path| source(path)).collect();
    let without = folders
        .into_iter()
        .filter(|folder| !paths.contains(format!("fixtures/{folder}/README.md").as_str()));
    without
        .map(|folder| format!("fixtures/{folder}: no README.md says where this is from"))
        .collect()
}

/// The folder that has to name its source: of a captured machine, the machine.
fn source(path: &str) -> Option<&str> {
    let (first, rest) = path.split_once('/')?;
    if first != "kernel" {
        return Some(first);
    }
    let (machine, _) = rest.split_once('/')?;
    path.get(..first.len() + 1 + machine.len())
}

/// A command of the binary has a page in the manual.
fn manual(files: &[File], paths: &BTreeSet<&str>) -> Vec<String> {
    let source = files.iter().find(|file| file.path == COMMANDS);
    let commands = source.map(|file| commands(&file.text)).unwrap_or_default();
    let without = commands.into_iter().filter(|command| {
        let page = format!("docs/manual/{command}.md");
        !PAGELESS.contains(&command.as_str()) && !paths.contains(page.as_str())
    });
    without.map(|command| format!("docs/manual/{command}.md: the command has no page")).collect()
}

/// The names of the binary's commands: the variants of its `enum Command`.
fn commands(source: &str) -> Vec<String> {
    let body = source.split_once("enum Command {").map_or("", |(_, after)| after);
    let body = body.split_once("\n}").map_or(body, |(before, _)| before);
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    let variants = lines.filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
    let names =
        variants.filter_map(|line| line.split(|letter: char| !letter.is_alphanumeric()).next());
    names.map(typed).collect()
}

/// A variant as its command is typed: `WebSecret` is `web-secret`.
fn typed(variant: &str) -> String {
    let mut name = String::new();
    for letter in variant.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

#[cfg(test)]
mod tests;
