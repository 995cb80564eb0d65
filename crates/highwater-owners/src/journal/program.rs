//! What programs themselves write when they are refused memory. Their words are their own: they
//! show that a refusal is possible, no more.

use highwater_core::id::{CgroupPath, Pid};
use highwater_core::line::JournalFields;
use highwater_core::owner::Owner;
use highwater_core::testimony::{Fact, Party};

/// What runtimes and libraries say: `ENOMEM` of the C library, C++, Python, Java, Go, Node, Perl,
/// PHP, Ruby.
pub(super) const WORDS: [&str; 9] = [
    "Cannot allocate memory",
    "std::bad_alloc",
    "MemoryError",
    "java.lang.OutOfMemoryError",
    "runtime: out of memory",
    "heap out of memory",
    "Out of memory!",
    "Allowed memory size of",
    "failed to allocate memory",
];

/// That the program which wrote the entry was refused memory.
pub(super) fn read(text: &str, fields: &JournalFields) -> Option<(Party, Fact)> {
    if !WORDS.iter().any(|word| text.contains(word)) {
        return None;
    }
    let pid = fields.get("_PID")?.parse().ok().map(Pid::new);
    let cgroup = fields.get("_SYSTEMD_CGROUP").map(|path| CgroupPath::new(path.as_bytes()));
    let owner = cgroup.as_ref().map(|path| Owner::of_path(path.as_str()));
    let owner =
        owner.or_else(|| fields.get("_SYSTEMD_UNIT").map(|unit| Owner::Unit(unit.to_owned())));
    let comm = fields.get("_COMM").map(str::to_owned);
    let party = Party { pid, comm, cgroup, owner, ..Party::default() };
    Some((party, Fact::NoMemory { bytes: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(unit: &str) -> JournalFields {
        let mut fields = JournalFields::default();
        fields.keep(b"_PID", b"641");
        fields.keep(b"_COMM", b"perl");
        fields.keep(b"_SYSTEMD_UNIT", unit.as_bytes());
        fields
    }

    #[test]
    fn a_program_says_that_it_got_no_memory() {
        let (party, fact) = read("Out of memory!", &entry("greedy.service")).unwrap();
        assert_eq!(party.pid, Some(Pid::new(641)));
        assert_eq!(party.owner, Some(Owner::Unit("greedy.service".to_owned())));
        assert_eq!(fact, Fact::NoMemory { bytes: None });
    }

    #[test]
    fn other_words_say_nothing_of_memory() {
        for text in ["", "Out of memory: Killed process 7 (x)", "all is well"] {
            assert_eq!(read(text, &entry("x.service")), None, "{text}");
        }
        assert_eq!(read("MemoryError", &JournalFields::default()), None);
    }
}
