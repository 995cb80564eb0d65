//! The words that may stay: the kernel's own, and those of the programs that kill for memory.

use std::collections::HashSet;
use std::sync::LazyLock;

static KNOWN: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let lines = WORDS.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.flat_map(str::split_ascii_whitespace).collect()
});

/// May `run`, letters and digits only, stay as it is?
pub(super) fn is_word(run: &str) -> bool {
    let lower = run.to_ascii_lowercase();
    let stem = lower.trim_end_matches(|c: char| c.is_ascii_digit());
    is_number(&lower)
        || run.len() == 1 && run.is_ascii()
        || KNOWN.contains(lower.as_str())
        || KNOWN.contains(stem)
        || is_flag(run)
        || is_migrate_types(run)
        || behind_number(&lower).is_some_and(|rest| KNOWN.contains(rest))
}

/// `order` of `0x800d0order`: mail programs swallow what stood between.
fn behind_number(lower: &str) -> Option<&str> {
    let rest = match lower.strip_prefix("0x") {
        Some(hex) => hex.trim_start_matches(|c: char| c.is_ascii_hexdigit()),
        None => lower.trim_start_matches(|c: char| c.is_ascii_digit()),
    };
    (rest.len() < lower.len()).then_some(rest)
}

/// `GFP_KERNEL`, `__GFP_ZERO`, `CONSTRAINT_NONE`.
fn is_flag(run: &str) -> bool {
    let bare = run.trim_start_matches('_');
    let is_upper = bare.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    is_upper && (bare.starts_with("GFP_") || bare.starts_with("CONSTRAINT_"))
}

/// `UMEHC`: which kinds of free pages there are.
fn is_migrate_types(run: &str) -> bool {
    const LETTERS: &[u8] = b"UMEHCIR";
    run.len() <= LETTERS.len() && run.bytes().all(|b| LETTERS.contains(&b))
}

/// `12`, `0x1100cca`, `64kB`, `00000000ffffe000`.
fn is_number(lower: &str) -> bool {
    const UNITS: [&str; 16] = [
        "", "b", "kb", "mb", "gb", "k", "m", "g", "kib", "mib", "gib", "tib", "ms", "us", "s", "x",
    ];
    let is_hex = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    let unit = lower.trim_start_matches(|c: char| c.is_ascii_digit());
    let counted = unit.len() < lower.len() && UNITS.contains(&unit);
    counted || lower.strip_prefix("0x").is_some_and(is_hex) || (lower.len() == 16 && is_hex(lower))
}

/// Processes that every machine has, under names that nobody chose, and programs that end others at
/// somebody's command: by their names a sender is judged.
pub(super) fn is_system_process(comm: &str) -> bool {
    const NAMES: [&str; 42] = [
        "systemd",
        "init",
        "(sd-pam)",
        "kthreadd",
        "oom_reaper",
        "systemd-journal",
        "systemd-udevd",
        "systemd-logind",
        "systemd-oomd",
        "systemd-network",
        "systemd-resolve",
        "systemd-timesyn",
        "dbus-daemon",
        "earlyoom",
        "nohang",
        "oomd",
        "lmkd",
        "lowmemorykiller",
        "kill",
        "pkill",
        "killall",
        "timeout",
        "systemctl",
        "docker",
        "dockerd",
        "containerd",
        "runc",
        "runsc",
        "crun",
        "conmon",
        "crio",
        "podman",
        "nerdctl",
        "crictl",
        "ctr",
        "kubectl",
        "kubelet",
        "sudo",
        "su",
        "sh",
        "bash",
        "dash",
    ];
    // What runc calls its own stages.
    let is_stage = |rest: &str| matches!(rest, "[0:PARENT]" | "[1:CHILD]" | "[2:INIT]");
    let digits = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    let numbered = ["kswapd", "kcompactd", "khugepaged", "swapper/", "khungtaskd", "ksoftirqd/"];
    NAMES.contains(&comm)
        || comm.strip_prefix("runc:").is_some_and(is_stage)
        || matches!(comm, "containerd-shim" | "containerd-shim-runc-v2")
        || comm == "khugepaged"
        || numbered.iter().any(|head| comm.strip_prefix(head).is_some_and(digits))
}

/// A line that begins with `#` is a heading.
const WORDS: &str = "
    # The killer and its choice.
    oom kill killer killed killing invoked out of memory process processes task tasks cgroup memcg pid tgid ppid uid gid euid
    gfp mask gfp_mask order oom_score_adj oomkilladj oom_adj oom_score score adj badness points sacrifice child or a an and
    total total_vm vm vsz rss anon file shmem anon_rss file_rss shmem_rss pgtables swap swapents rss_anon rss_file rss_shmem
    nr_ptes nr_pmds nr_puds pgtables_bytes cpu name values in pages state usage limit failcnt kmem memsw mem
    constraint nodemask cpuset mems_allowed oom_memcg task_memcg global_oom global node nodes zone null comm
    reaper oom_reaper reaped unable reap now as result the are going to be due group set selected chose
    no killable panic panicked not syncing compulsory system deadlocked is on enabled oom_kill_allocating_task allocating
    deferred skip already exiting victim dying sleeping kernel attempted init exitcode force sysrq manual execution request
    page fault pagefault_out_of_memory huh vm_fault_oom leaked retrying allocation failure alloc failed mode
    memory_policy mpol_bind policy available lowmem low high min boost free highmem normal dma movable device
    tainted hardware pnp bios rip eip call trace modules linked unaligned access mce
    # The memory of the machine.
    info active inactive isolated active_anon inactive_anon isolated_anon active_file inactive_file isolated_file
    unevictable dirty writeback unstable slab slab_reclaimable slab_unreclaimable mapped pagetables bounce sec_pagetables
    kernel_misc_reclaimable kernel_stack shadow_call_stack free_pcp local_pcp free_cma pcp cma shmem_thp shmem_pmdmapped
    anon_thp file_thp file_pmdmapped writeback_tmp all_unreclaimable yes present managed mlocked spanned
    reserved_highatomic reserved free_highatomic lowmem_reserve protections pages_scanned per hot cold batch used
    writepending zspages balloon balloon_pages iommu_pages gpu_active gpu_reclaim nfs_unstable uml percpu
    hugepages_total hugepages_free hugepages_surp hugepages_size hugetlb pagecache ram movableonly swapcache cached swapcached
    add delete find race hwpoisoned total_pagecache largest shared buffers buffermem nr_slab mapping unmapped
    unreclaimable entries cache objects currently allocations calls numa quickly depletes watermark watermarks
    # The statistics of a cgroup.
    stats rss_huge mapped_file pgpgin pgpgout pgfault pgmajfault hierarchical_memory_limit hierarchical_memsw_limit
    vmalloc sock zswap zswapped zswap_incomp file_mapped file_dirty file_writeback workingset_refault
    workingset_refault_anon workingset_refault_file workingset_activate workingset_activate_anon workingset_activate_file
    workingset_restore_anon workingset_restore_file workingset_nodereclaim pgrefill pgscan pgsteal pgactivate pgdeactivate
    pglazyfree pglazyfreed pgscan_kswapd pgscan_direct pgscan_khugepaged pgscan_proactive pgsteal_kswapd pgsteal_direct
    pgsteal_khugepaged pgsteal_proactive pgdemote_kswapd pgdemote_direct pgdemote_khugepaged pgdemote_proactive
    pgpromote_success pgpromote_candidate numa_pages_migrated numa_pte_updates numa_hint_faults numa_task_migrated
    numa_task_swapped zswpin zswpout zswpwb swpin_zero swpout_zero pswpin pswpout thp_fault_alloc thp_collapse_alloc
    thp_swpout thp_swpout_fallback inactive_pages active_pages nr_dirty nr_writeback
    total_cache total_rss total_rss_huge total_shmem total_mapped_file total_dirty total_writeback total_swap total_swapcached
    total_pgpgin total_pgpgout total_pgfault total_pgmajfault total_inactive_anon total_active_anon total_inactive_file
    total_active_file total_unevictable total_workingset_refault_anon total_workingset_refault_file
    total_workingset_activate_anon total_workingset_activate_file total_workingset_restore_anon
    total_workingset_restore_file total_workingset_nodereclaim recent_rotated_anon recent_rotated_file
    recent_scanned_anon recent_scanned_file swappiness under_oom oom_kill oom_kill_disable
    # Kernels and what they run on.
    smp preempt lazy voluntary full preempt_dynamic preempt_rt generic lowlatency amd64 arm64 aarch64 i386 i486 i586 i686 x86 x86_64 armv7l
    ppc64le ppc64 s390x riscv64 mips loongarch64 debian ubuntu el centos fc fedora arch archlinux gentoo rhel rc rt lts
    default standard microsoft wsl azure aws gcp cloud pve raspi rpi rpt android deb bpo bpf uek amzn cos fips kdump loaded
    linux qemu standard_pc wed thu fri sat sun mon tue jan feb mar apr may jun jul aug sep oct nov dec utc
    # What systemd, Docker and the kernel say of ends.
    main exit code exited dumped result failed success watchdog timeout timed stop start final sigabrt abort core trap segfault
    scheduled restart job counter repeated too quickly stopped stopping of restarting invocation deactivated succeeded
    die died oom destroy health container event events action attributes status_code exitcode signal_generate errno grp
    res comm_exit sender target general protection ip sp error likely cpu socket traps divide invalid opcode
    sig true false image inspect oomkilled restartcount memoryswap nanocpus startedat finishedat health_status healthy unhealthy
    oomkilldisable rlimit_as containerexitcode execduration oldname create rename pause unpause update
    abrt segv bus fpe ill term hup int quit xcpu xfsz alrm pipe sys usr1 usr2 successfully runtime terminating operation libc so
    nrestarts invocationid execmainstatus execmaincode watchdogusec runtimemaxusec startlimit job jobs reload restarts limits
    # What Kubernetes says of ends.
    laststate state waiting reason message oomkilled completed containercannotrun crashloopbackoff back backoff
    evicted eviction evicting manager deletiontimestamp deletiongraceperiodseconds terminated liveness readiness startup probe
    probes will restarted low resource resources threshold quantity larger consumption request requests using deleting pod
    phase running pending grace period node
    counters rose kills group_kills limit_bytes mark_victim tracefs proc connector dbus bus journal log
    # The programs that kill for memory.
    earlyoom nohang oomd lmkd lowmemorykiller systemd service unit scope slice sigterm sigkill signal sending sent vmrss
    cmdline running time exited after seconds mib kib gib avail availability percent below at or both swap_free mem_avail
    pressure avg some full being above limit_hit for more than with reclaim activity has been by this its was were
    candidates candidate top path considered cgroups swapped usage current pgrate scan last average memory_pressure
    printed highest top status sigterm started starting finishing memavailable swapfree soft_threshold_min_mem
    soft_threshold_min_swap hard_threshold_min_mem hard_threshold_min_swap sid lifetime ok success found requires
    actions implement_corrective_action implementing response zram psi metric anon bonus stalls ruleset oomd_bin purging
    send wait size term behalf because kernel kernels could would printk messages dropped suppressed imklog lost func panic_on_oom
    workqueue callbacks duration during search next non zero except self tasks
    victims corrective action implement threshold exceeded found hit reached free_swap min_score_adj thrashing kb total_free
";
