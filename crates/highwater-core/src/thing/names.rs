//! What the slow survey's numbers are called.
//!
//! Names are `node_exporter`'s where it has one, with its labels (`node_*`; of swap areas since
//! its 1.10); `highwater_*` where nobody has named the thing yet. One list, so that whoever
//! explains or shows metrics can walk it.

use super::Metric;

/// Declares each metric and the list of all, so that none is left out of it.
macro_rules! things {
    ($($item:ident = $kind:ident($name:literal, $help:literal);)*) => {
        $(
            #[doc = concat!("`", $name, "`.")]
            pub static $item: Metric = Metric::$kind($name, $help);
        )*

        /// Every metric of the survey.
        pub static THINGS: &[&Metric] = &[$(&$item),*];
    };
}

things! {
    PROCESS_PSS = gauge(
        "highwater_process_pss_bytes",
        "Memory of the process in RAM; of what it shares, its share."
    );
    PROCESS_PSS_ANON = gauge(
        "highwater_process_pss_anon_bytes",
        "The anonymous part of the proportional memory."
    );
    PROCESS_PSS_FILE = gauge(
        "highwater_process_pss_file_bytes",
        "The part of the proportional memory that is pages of files."
    );
    PROCESS_PSS_SHMEM = gauge(
        "highwater_process_pss_shmem_bytes",
        "The part of the proportional memory that is shared memory and tmpfs."
    );
    PROCESS_USS = gauge(
        "highwater_process_uss_bytes",
        "Memory that only this process has: what its end would give back."
    );
    PROCESS_SWAP_PSS = gauge(
        "highwater_process_swap_pss_bytes",
        "Memory of the process in swap; of what it shares, its share."
    );
    PROCESS_LOCKED = gauge(
        "highwater_process_locked_bytes",
        "Memory that the process locked in RAM."
    );
    PROCESS_ANON_HUGE = gauge(
        "highwater_process_anon_huge_pages_bytes",
        "Anonymous memory of the process in transparent huge pages."
    );
    PROCESS_LAZY_FREE = gauge(
        "highwater_process_lazy_free_bytes",
        "Memory that the process gave up and the kernel has not taken yet (MADV_FREE)."
    );
    PROCESS_HUGETLB = gauge(
        "highwater_process_hugetlb_bytes",
        "Reserved huge pages that the process maps; resident memory leaves them out."
    );
    PROCESS_MAPPINGS_AGE = gauge(
        "highwater_process_mappings_age_seconds",
        "How old the reading of the process's mappings is: large processes are read rarely."
    );
    PROCESS_FDS = gauge(
        "highwater_process_fds",
        "Open file descriptors of the process by kind."
    );
    PROCESS_FDS_READ = gauge(
        "highwater_process_fds_read_ratio",
        "Share of the descriptors whose kind was read; below 1 the kinds are reckoned from those."
    );
    SURVEY_SKIPPED = gauge(
        "highwater_survey_skipped_processes",
        "Processes of interest whose mappings were not read in the last round, by reason."
    );

    FILES_ALLOCATED = gauge("node_filefd_allocated", "File handles in use.");
    FILES_MAX = gauge("node_filefd_maximum", "How many file handles there may be.");
    CONNTRACK = gauge(
        "node_nf_conntrack_entries",
        "Connections that netfilter keeps in memory."
    );
    CONNTRACK_MAX = gauge(
        "node_nf_conntrack_entries_limit",
        "How many connections netfilter may keep."
    );
    SOCKETS = gauge("node_sockstat_sockets_used", "Sockets in use.");
    TCP_INUSE = gauge("node_sockstat_TCP_inuse", "TCP sockets in use.");
    TCP_ORPHAN = gauge(
        "node_sockstat_TCP_orphan",
        "TCP sockets that no process holds any more."
    );
    TCP_TW = gauge("node_sockstat_TCP_tw", "TCP connections in TIME_WAIT.");
    TCP_ALLOC = gauge("node_sockstat_TCP_alloc", "TCP sockets allocated.");
    TCP_MEM = gauge("node_sockstat_TCP_mem_bytes", "Memory of all TCP buffers.");
    TCP_MEM_LIMIT = gauge(
        "highwater_tcp_memory_limit_bytes",
        "How much memory TCP buffers may have (the last number of tcp_mem)."
    );
    UDP_INUSE = gauge("node_sockstat_UDP_inuse", "UDP sockets in use.");
    UDP_MEM = gauge("node_sockstat_UDP_mem_bytes", "Memory of all UDP buffers.");
    UDP_MEM_LIMIT = gauge(
        "highwater_udp_memory_limit_bytes",
        "How much memory UDP buffers may have (the last number of udp_mem)."
    );
    FRAG_MEM = gauge(
        "node_sockstat_FRAG_memory",
        "Bytes of IP fragments that wait for the rest."
    );
    CGROUPS = gauge(
        "node_cgroups_cgroups",
        "Cgroups of the controller, the dying among them."
    );
    CGROUPS_LIVE = gauge("highwater_live_cgroups", "Cgroups that are there (v2).");
    CGROUPS_DYING = gauge(
        "highwater_dying_cgroups",
        "Cgroups that were removed and still hold memory (v2)."
    );
    PID_MAX = gauge(
        "node_processes_max_processes",
        "How many process and thread ids there are (pid_max)."
    );
    THREADS_MAX = gauge("node_processes_max_threads", "How many threads there may be.");
    SWAP_SIZE = gauge("node_swap_size_bytes", "Size of the swap area.");
    SWAP_USED = gauge("node_swap_used_bytes", "How much of the swap area is used.");
    SWAP_PRIORITY = gauge(
        "node_swap_priority",
        "Priority of the swap area: the higher is used first."
    );

    BUDDY_BLOCKS = gauge(
        "node_buddyinfo_blocks",
        "Free blocks of 2^size pages in the zone."
    );
    HUGETLB_POOL = gauge(
        "highwater_hugetlb_pool_bytes",
        "Memory set aside for huge pages of this size."
    );
    HUGETLB_FREE = gauge("highwater_hugetlb_free_bytes", "Huge pages that nobody has yet.");
    HUGETLB_RESERVED = gauge(
        "highwater_hugetlb_reserved_bytes",
        "Free huge pages that are promised to somebody."
    );
    HUGETLB_SURPLUS = gauge(
        "highwater_hugetlb_surplus_bytes",
        "Huge pages beyond the pool's size."
    );
    THP_MODE = gauge(
        "highwater_thp_mode",
        "1 for the mode of transparent huge pages: always, madvise or never."
    );
    THP_COLLAPSED = counter(
        "highwater_thp_collapsed_total",
        "Huge pages that khugepaged put together."
    );
    THP_PARTIAL = gauge(
        "highwater_thp_partially_mapped_bytes",
        "Huge pages of which only a part is still mapped, and all is still held."
    );
    SLAB_BYTES = gauge("highwater_slab_bytes", "Memory of the slab cache's pages.");
    SLAB_ACTIVE = gauge("node_slabinfo_active_objects", "Objects of the slab cache in use.");
    SLAB_OBJECTS = gauge(
        "node_slabinfo_objects",
        "Objects of the slab cache, those not in use among them."
    );
    SLAB_OBJECT_SIZE = gauge(
        "node_slabinfo_object_size_bytes",
        "Size of one object of the slab cache."
    );
    SLAB_REST = gauge(
        "highwater_slab_rest_bytes",
        "Memory of all slab caches that are not told one by one."
    );
    SLAB_CACHES = gauge("highwater_slab_caches", "Slab caches there are.");

    FS_SIZE = gauge("node_filesystem_size_bytes", "Size of the file system.");
    FS_FREE = gauge("node_filesystem_free_bytes", "Free space, what is kept for root included.");
    FS_AVAIL = gauge("node_filesystem_avail_bytes", "Free space for everybody.");
    FS_FILES = gauge("node_filesystem_files", "Inodes of the file system.");
    FS_FILES_FREE = gauge("node_filesystem_files_free", "Free inodes of the file system.");
    FS_READONLY = gauge("node_filesystem_readonly", "1 if the file system cannot be written.");
    LOG_FILE = gauge("highwater_log_file_bytes", "Size on disk of a large log file.");
    LOG_FILE_GROWTH = gauge(
        "highwater_log_file_growth_bytes_per_second",
        "How fast the large log file grew since the reading before."
    );
    LOG_DIR = gauge(
        "highwater_log_dir_bytes",
        "Size on disk of all files seen below a directory of logs."
    );
    LOG_DIR_WHOLE = gauge(
        "highwater_log_dir_whole",
        "1 if all of the directory of logs was seen, 0 if a bound was reached."
    );
    DOCKER_DISK = gauge("highwater_docker_disk_bytes", "Disk space that Docker uses, by type.");
    DOCKER_RECLAIMABLE = gauge(
        "highwater_docker_reclaimable_bytes",
        "Disk space that Docker would give back when pruned, by type."
    );
    DOCKER_OBJECTS = gauge(
        "highwater_docker_objects",
        "Images, containers, volumes and build cache records of Docker, by type."
    );
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::metric::{self, MetricKind};

    #[test]
    fn no_name_is_taken_twice_and_counters_of_ours_say_total() {
        let frames = (metric::machine().iter().map(|c| c.name))
            .chain(metric::CGROUP.iter().map(|c| c.name))
            .chain(metric::PROCESS.iter().map(|c| c.name))
            .collect::<HashSet<_>>();
        let mut names = HashSet::new();
        for thing in THINGS {
            assert!(names.insert(thing.name), "{} is there twice", thing.name);
            assert!(!frames.contains(thing.name), "{} is a frame's", thing.name);
            assert!(thing.help.ends_with('.'), "{}", thing.help);
            if thing.name.starts_with("highwater_") {
                let total = thing.name.ends_with("_total");
                assert_eq!(total, thing.kind == MetricKind::Counter, "{}", thing.name);
            }
        }
    }
}
