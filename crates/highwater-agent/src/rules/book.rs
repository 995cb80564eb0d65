//! Which rules there are: those that come with highwater, and those of files.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use highwater_alert::{Fault, Group, Kind, Place, RuleFile};
use highwater_core::{metric, thing};

use crate::config;
use crate::own;

/// The rules that come with highwater, as they stand in `rules/`.
const SHIPPED: [(&str, &str); 5] = [
    ("shipped/memory.yml", include_str!("../../../../rules/memory.yml")),
    ("shipped/cgroups.yml", include_str!("../../../../rules/cgroups.yml")),
    ("shipped/growth.yml", include_str!("../../../../rules/growth.yml")),
    ("shipped/files.yml", include_str!("../../../../rules/files.yml")),
    ("shipped/baseline.yml", include_str!("../../../../rules/baseline.yml")),
];

/// The text of shipped rules by the name of their file, as `/api/v1/rules` has it.
pub fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The files that a configuration names: those that ship, and those that are found.
pub fn files(plan: &config::Rules) -> Vec<String> {
    if !plan.enabled {
        return Vec::new();
    }
    let ships = SHIPPED.iter().filter(|_| plan.shipped).map(|(name, _)| (*name).to_owned());
    let wanted = plan.files.iter().flat_map(|wanted| found(Path::new(wanted)).unwrap_or_default());
    let paths: BTreeSet<PathBuf> = wanted.take(MOST_FILES).collect();
    ships.chain(paths.iter().map(|path| path.display().to_string())).collect()
}

/// The most that is read of a file: what a large site has in all its files.
const MOST_BYTES: u64 = 4 << 20;

/// The most files: a folder that was named by mistake has more.
const MOST_FILES: usize = 256;

/// The most rules: each is evaluated again and again, beside the recorder.
const MOST_RULES: usize = 2_000;

/// A group and where it is from.
#[derive(Clone, Debug)]
pub(super) struct Chapter {
    /// The file that it stands in.
    pub(super) file: String,
    pub(super) group: Arc<Group>,
    pub(super) interval: Duration,
}

impl Chapter {
    /// What its state is kept under.
    pub(super) fn key(&self) -> String {
        format!("rules:{};{}", self.file, self.group.name)
    }
}

/// All rules, and what is wrong with files that could not be taken.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) chapters: Vec<Chapter>,
    pub(super) faults: Vec<String>,
}

impl Book {
    /// Reads all there are.
    pub(super) fn read(plan: &config::Rules) -> Self {
        let mut book = Self::default();
        if !plan.enabled {
            return book;
        }
        if plan.shipped {
            for (name, text) in SHIPPED {
                book.take(name, text, plan.every);
            }
        }
        let mut paths = BTreeSet::new();
        for wanted in &plan.files {
            match found(Path::new(wanted)) {
                Ok(some) => paths.extend(some),
                Err(error) => book.faults.push(format!("{wanted}: {error}")),
            }
        }
        if paths.len() > MOST_FILES {
            book.faults
                .push(format!("rules.files names {} files, more than {MOST_FILES}", paths.len()));
        }
        for path in paths.into_iter().take(MOST_FILES) {
            let name = path.display().to_string();
            match text_of(&path) {
                Ok(text) => book.take(&name, &text, plan.every),
                Err(error) => book.faults.push(format!("{name}: {error}")),
            }
        }
        book
    }

    /// Takes the rules of a file, all of them or none.
    fn take(&mut self, name: &str, text: &str, every: Duration) {
        let file = match RuleFile::read(name, text) {
            Ok(file) => file,
            Err(faults) => return self.faults.extend(faults.iter().map(ToString::to_string)),
        };
        let taken = taken_names(&file);
        if !taken.is_empty() {
            return self.faults.extend(taken.iter().map(ToString::to_string));
        }
        let rules = |groups: &[Group]| groups.iter().map(|group| group.rules.len()).sum::<usize>();
        let before: usize = self.chapters.iter().map(|chapter| chapter.group.rules.len()).sum();
        if before + rules(&file.groups) > MOST_RULES {
            self.faults.push(format!("{name}: with it there are more than {MOST_RULES} rules"));
            return;
        }
        self.chapters.extend(file.groups.into_iter().map(|group| Chapter {
            file: name.to_owned(),
            interval: group.interval.unwrap_or(every),
            group: Arc::new(group),
        }));
    }

    /// The metrics that the rules ask for by name.
    pub(super) fn metrics(&self) -> impl Iterator<Item = &str> {
        let groups = self.chapters.iter().map(|chapter| &chapter.group);
        groups.flat_map(|group| &group.rules).flat_map(|rule| rule.query.metrics())
    }
}

/// Rules that record under a name that the recorder itself records under: both would be lost in
/// one another.
fn taken_names(file: &RuleFile) -> Vec<Fault> {
    let recorded = |rule: &highwater_alert::Rule| match &rule.kind {
        Kind::Record(name) => Some((name.clone(), rule.place)),
        Kind::Alert { .. } => None,
    };
    let names = file.groups.iter().flat_map(|group| &group.rules).filter_map(recorded);
    let taken = names.filter(|(name, _)| is_recorded(name));
    taken.map(|(name, place)| fault(&file.name, place, &name)).collect()
}

fn fault(file: &str, place: Place, name: &str) -> Fault {
    let what = format!("`{name}` is recorded by highwater itself; give the rule another name");
    Fault { file: file.to_owned(), place, what }
}

/// Whether the recorder records under this name.
fn is_recorded(name: &str) -> bool {
    metric::machine().iter().any(|of| of.name == name)
        || metric::ZONE.iter().any(|of| of.name == name)
        || metric::CGROUP.iter().any(|of| of.name == name)
        || metric::PROCESS.iter().any(|of| of.name == name)
        || metric::OWNER.iter().any(|of| of.name == name)
        || thing::THINGS.iter().any(|of| of.name == name)
        || own::metrics().any(|of| of.name == name)
}

/// The files that a path means: itself, or those of a folder that fit `*` in its last part.
fn found(wanted: &Path) -> io::Result<Vec<PathBuf>> {
    let last = wanted.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !last.contains('*') {
        return Ok(vec![wanted.to_owned()]);
    }
    let folder = wanted.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut files = vec![];
    for entry in fs::read_dir(folder.unwrap_or(Path::new(".")))? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| !name.starts_with('.') && fits(name, last)) {
            files.push(entry.path());
        }
    }
    Ok(files)
}

/// Whether a name fits a text in which `*` stands for anything.
fn fits(name: &str, wanted: &str) -> bool {
    let Some((head, tail)) = wanted.split_once('*') else { return name == wanted };
    let Some(mut rest) = name.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = tail.split('*').collect();
    let Some(end) = parts.pop() else { return true };
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(end)
}

/// The text of a file.
fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > MOST_BYTES) {
        return Err(io::Error::other(format!("it has more than {MOST_BYTES} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(files: &[String]) -> config::Rules {
        config::Rules { shipped: false, files: files.to_vec(), ..config::Rules::default() }
    }

    const GOOD: &str =
        "groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: up == 0\n";

    #[test]
    fn the_shipped_rules_are_taken_as_they_are() {
        let book = Book::read(&config::Rules::default());
        assert_eq!(book.faults, [""; 0]);
        assert_eq!(book.chapters.len(), SHIPPED.len());
        assert!(book.metrics().any(|name| name == "node_memory_MemAvailable_bytes"));
        let named = files(&config::Rules::default());
        assert!(named.iter().all(|name| shipped(name).is_some()) && named.len() == SHIPPED.len());
        assert_eq!(shipped("/etc/passwd"), None);
        let off = config::Rules { enabled: false, ..config::Rules::default() };
        assert!(Book::read(&off).chapters.is_empty() && files(&off).is_empty());
    }

    #[test]
    fn files_are_found_by_a_star_and_a_bad_one_is_told_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        put("a.yml", GOOD);
        put("b.yml", "groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: up ==\n");
        put("c.yml", "groups:\n  - name: g\n    rules:\n      - record: ALERTS\n        expr: 1\n");
        let taken = GOOD.replace("alert: A", "record: node_memory_MemFree_bytes");
        put("d.yml", &taken);
        put(".hidden.yml", GOOD);
        put("e.txt", GOOD);
        let all = dir.path().join("*.yml").display().to_string();
        let book = Book::read(&plan(&[all, "/nowhere/at/all.yml".to_owned()]));
        let files: Vec<&str> = book.chapters.iter().map(|one| one.file.as_str()).collect();
        assert!(files.iter().any(|file| file.ends_with("a.yml")), "{files:?}");
        let told = |text: &str| book.faults.iter().any(|fault| fault.contains(text));
        assert!(told("b.yml:5:"), "{:?}", book.faults);
        assert!(told("`node_memory_MemFree_bytes` is recorded by highwater itself"));
        assert!(told("/nowhere/at/all.yml: "));
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (name, wanted, is) in [
            ("a.yml", "*.yml", true),
            ("a.yaml", "*.y*ml", true),
            ("a.yml", "b*.yml", false),
            ("ab", "*", true),
            ("aXbXc", "a*b*c", true),
            ("abc", "a*d", false),
            ("a", "a*a", false),
        ] {
            assert_eq!(fits(name, wanted), is, "{name} {wanted}");
        }
    }
}
