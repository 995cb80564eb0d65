//! What does not change while the machine is up.

use highwater_core::text::escape;
use highwater_core::time::BootId;
use highwater_core::units::PageSize;

use crate::root::Root;

/// Facts of the machine that parsers and metrics need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// How large a page is.
    pub page_size: PageSize,
    /// Clock ticks per second (`USER_HZ`), the unit of processor times.
    pub ticks_per_second: u64,
    /// Which boot this is.
    pub boot_id: Option<BootId>,
    /// The host name, escaped.
    pub hostname: Option<String>,
    /// The kernel's release, escaped: `6.1.0-28-amd64`.
    pub kernel_release: Option<String>,
}

impl HostFacts {
    /// Reads them. Page size and ticks are always this machine's; the rest is what `root` has.
    pub fn read(root: &Root) -> Self {
        let mut buf = Vec::new();
        let mut line = |rel: &str| {
            root.read(rel, &mut buf).ok()?;
            let text = escape(buf.trim_ascii()).into_owned();
            (!text.is_empty()).then_some(text)
        };
        Self {
            page_size: page_size(),
            ticks_per_second: rustix::param::clock_ticks_per_second(),
            boot_id: line("proc/sys/kernel/random/boot_id").and_then(|text| text.parse().ok()),
            hostname: line("proc/sys/kernel/hostname"),
            kernel_release: line("proc/sys/kernel/osrelease"),
        }
    }
}

fn page_size() -> PageSize {
    let bytes = u64::try_from(rustix::param::page_size()).ok();
    bytes.and_then(PageSize::new).unwrap_or(PageSize::KIB4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_all_facts() {
        let facts = HostFacts::read(&Root::live());
        assert!(facts.page_size.get() >= 4096 && facts.ticks_per_second > 0);
        assert!(facts.boot_id.is_some() && facts.hostname.is_some());
        assert!(facts.kernel_release.is_some_and(|release| release.contains('.')));
    }

    #[test]
    fn what_a_tree_lacks_or_garbles_is_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let kernel = dir.path().join("proc/sys/kernel");
        std::fs::create_dir_all(kernel.join("random")).unwrap();
        std::fs::write(kernel.join("random/boot_id"), "no uuid\n").unwrap();
        std::fs::write(kernel.join("hostname"), "a\x1bb\n").unwrap();
        std::fs::write(kernel.join("osrelease"), "\n").unwrap();
        let facts = HostFacts::read(&Root::at(dir.path()));
        assert_eq!((facts.boot_id, facts.kernel_release), (None, None));
        assert_eq!(facts.hostname.as_deref(), Some(r"a\x1bb"));
    }
}
