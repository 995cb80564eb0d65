//! The largest slab caches of `/proc/slabinfo` (`mm/slab_common.c`), for root only:
//!
//! ```text
//! # name  <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables … : slabdata <active_slabs> <num_slabs> …
//! dentry   150231 151221  192  21  1 : tunables 0 0 0 : slabdata 7201 7201 0
//! ```
//!
//! A cache that was told stays told until it falls out of twice as many places, so that two of
//! one size do not take turns.

use std::collections::BTreeSet;
use std::io;

use highwater_core::thing::names;
use highwater_core::units::{Bytes, PageSize, Pages};

use super::reading::{Sight, label, plain, refusal};
use crate::parse::{number, text};

const FILE: &str = "proc/slabinfo";

/// The most caches that are taken: with one per cgroup, as before 5.9, there may be thousands.
const CACHES_MAX: usize = 20_000;

/// Which caches were told last.
#[derive(Debug, Default)]
pub(super) struct Slabs {
    told: BTreeSet<Vec<u8>>,
}

impl Slabs {
    /// Reads them, and tells the largest `top` and the sum of the others.
    pub(super) fn read(&mut self, sight: &mut Sight<'_>, page_size: PageSize, top: usize) {
        let caches = match sight.root.read(FILE, sight.buffer) {
            Ok(()) => parse(sight.buffer),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return sight.reading.blind("the kernel has no /proc/slabinfo".to_owned());
            }
            Err(error) => return sight.reading.blind(refusal(FILE, &error)),
        };
        let count = caches.len();
        let (told, rest) = self.choose(caches, top);
        let rest = rest.iter().map(|cache| cache.pages.bytes(page_size)).sum();
        for cache in &told {
            let labels = label("slab", &cache.name);
            sight.reading.amount(&names::SLAB_BYTES, &labels, cache.pages.bytes(page_size));
            sight.reading.count(&names::SLAB_ACTIVE, &labels, cache.active);
            sight.reading.count(&names::SLAB_OBJECTS, &labels, cache.objects);
            sight.reading.amount(&names::SLAB_OBJECT_SIZE, &labels, cache.object_size);
        }
        sight.reading.amount(&names::SLAB_REST, &plain(), rest);
        sight.reading.count(&names::SLAB_CACHES, &plain(), count.try_into().unwrap_or(u64::MAX));
    }

    /// The caches to tell, largest first, and the others.
    fn choose(&mut self, mut caches: Vec<Cache>, top: usize) -> (Vec<Cache>, Vec<Cache>) {
        caches.sort_by(|a, b| b.pages.cmp(&a.pages).then_with(|| a.name.cmp(&b.name)));
        caches.dedup_by(|later, first| later.name == first.name);
        let near = caches.iter().take(top.saturating_mul(2)).enumerate();
        let chosen = near.filter(|(place, cache)| *place < top || self.told.contains(&cache.name));
        self.told = chosen.map(|(_, cache)| cache.name.clone()).collect();
        caches.into_iter().partition(|cache| self.told.contains(&cache.name))
    }
}

/// One slab cache.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cache {
    name: Vec<u8>,
    active: u64,
    objects: u64,
    object_size: Bytes,
    pages: Pages,
}

/// The caches; head lines and lines that are not a cache are left out.
fn parse(text: &[u8]) -> Vec<Cache> {
    text::lines(text).filter_map(cache).take(CACHES_MAX).collect()
}

fn cache(line: &[u8]) -> Option<Cache> {
    let mut field = text::fields(line);
    let name = field.next()?.to_vec();
    let active = number::u64(field.next()?)?;
    let objects = number::u64(field.next()?)?;
    let object_size = Bytes::new(number::u64(field.next()?)?);
    let pages_per_slab = number::u64(field.nth(1)?)?;
    let slabs = number::u64(field.skip_while(|word| *word != b"slabdata").nth(2)?)?;
    let pages = Pages::new(slabs.saturating_mul(pages_per_slab));
    Some(Cache { name, active, objects, object_size, pages })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;
    use crate::survey::reading::Reading;

    const HEAD: &str = "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> \
        <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : \
        slabdata <active_slabs> <num_slabs> <sharedavail>\n";

    fn line(name: &str, slabs: u64) -> String {
        format!("{name}   90 100 192 21 2 : tunables 0 0 0 : slabdata {slabs} {slabs} 0\n")
    }

    fn seen(root: &Root, slabs: &mut Slabs, top: usize) -> Reading {
        let (mut buffer, mut reading) = (Vec::new(), Reading::default());
        let mut sight = Sight { root, buffer: &mut buffer, reading: &mut reading };
        slabs.read(&mut sight, PageSize::KIB4, top);
        reading
    }

    #[test]
    fn a_line_gives_objects_and_pages() {
        let text = [HEAD, &line("dentry", 7)].concat();
        let dentry = Cache {
            name: b"dentry".to_vec(),
            active: 90,
            objects: 100,
            object_size: Bytes::new(192),
            pages: Pages::new(14),
        };
        assert_eq!(parse(text.as_bytes()), [dentry]);
    }

    #[test]
    fn the_largest_are_told_and_the_rest_is_summed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("proc")).unwrap();
        let text = [HEAD, &line("a", 1), &line("b", 30), &line("c", 20), &line("d", 4)].concat();
        std::fs::write(dir.path().join(FILE), text).unwrap();
        let reading = seen(&Root::at(dir.path()), &mut Slabs::default(), 2);
        let bytes = |metric, slab: &str| {
            let mut all = reading.things.iter();
            all.find(|thing| thing.metric == metric && thing.labels.get("slab") == slab)
                .map(|thing| thing.value)
        };
        assert_eq!(bytes(&names::SLAB_BYTES, "b"), Some(60.0 * 4096.0));
        assert_eq!(bytes(&names::SLAB_BYTES, "a"), None);
        assert_eq!(bytes(&names::SLAB_REST, ""), Some(10.0 * 4096.0));
        assert_eq!(bytes(&names::SLAB_CACHES, ""), Some(4.0));
    }

    #[test]
    fn a_cache_that_was_told_stays_until_it_is_far_behind() {
        let mut slabs = Slabs::default();
        let mut told = |sizes: [(&str, u64); 5]| {
            let text: String = sizes.iter().map(|(name, size)| line(name, *size)).collect();
            let (told, _) = slabs.choose(parse(text.as_bytes()), 2);
            told.iter()
                .map(|cache| String::from_utf8(cache.name.clone()).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(told([("a", 9), ("b", 8), ("c", 7), ("d", 2), ("e", 1)]), ["a", "b"]);
        assert_eq!(told([("a", 9), ("b", 8), ("c", 9), ("d", 2), ("e", 1)]), ["a", "c", "b"]);
        assert_eq!(told([("a", 9), ("b", 0), ("c", 9), ("d", 2), ("e", 1)]), ["a", "c"]);
    }

    #[test]
    fn missing_and_garbage_files_are_told_or_empty() {
        let reading = seen(&Root::at("/nonexistent"), &mut Slabs::default(), 4);
        assert_eq!(reading.blind, ["the kernel has no /proc/slabinfo"]);
        for text in [
            &b""[..],
            b"a 1 2 3 4 5 : slabdata 1 2 3",
            b"a 1 2 3 4 5\n",
            b"a 1 2 3 4 5 : slabdata 1\n",
            b"a x 2 3 4 5 : slabdata 1 2\n",
            b"\xff\xff \xff\n",
        ] {
            assert_eq!(parse(text), [], "{text:?}");
        }
        let huge = line("big", u64::MAX);
        assert_eq!(parse(huge.as_bytes())[0].pages, Pages::new(u64::MAX));
    }

    #[test]
    fn this_machine_tells_its_slabs_or_says_why_not() {
        let reading = seen(&Root::live(), &mut Slabs::default(), 8);
        if !rustix::process::geteuid().is_root() {
            assert_eq!(reading.blind, ["/proc/slabinfo is for root only"]);
            return;
        }
        let sum = |metric| {
            let of = reading.things.iter().filter(|thing| thing.metric == metric);
            of.map(|thing| thing.value).sum::<f64>()
        };
        let all = sum(&names::SLAB_BYTES) + sum(&names::SLAB_REST);
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
        let slab = meminfo.lines().find(|line| line.starts_with("Slab:")).unwrap();
        let slab = slab.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0;
        assert!((all / slab - 1.0).abs() < 0.2, "{all} in caches, {slab} in all");
    }
}
