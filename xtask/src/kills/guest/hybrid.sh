# cgroup v1, as Debian 12 has it with systemd.unified_cgroup_hierarchy=0, and swap.
fallocate -l 64M /swapfile && chmod 600 /swapfile && mkswap -q /swapfile && swapon /swapfile
v1=/sys/fs/cgroup/memory

# within CGROUP COMMAND...: runs it as a member, waits for its end.
within() {
    local cgroup=$1
    shift
    (echo 0 >"$v1/$cgroup/cgroup.procs" && echo 0 >/proc/self/oom_score_adj && exec "$@") &
    did pid $!
    did command "$@"
    wait $!
    did status $?
}

begin v1-swap
mkdir $v1/swapping
echo 32M >$v1/swapping/memory.limit_in_bytes
within swapping perl /run/hog swapping 0
keep

begin v1-memory-and-swap
mkdir $v1/both
echo 32M >$v1/both/memory.limit_in_bytes
echo 40M >$v1/both/memory.memsw.limit_in_bytes
within both perl /run/hog both 0
keep

begin v1-children-have-stats
mkdir -p $v1/parent/{a,b}
echo 1 >$v1/parent/memory.use_hierarchy
echo 48M >$v1/parent/memory.limit_in_bytes
echo 48M >$v1/parent/memory.memsw.limit_in_bytes
(echo 0 >$v1/parent/b/cgroup.procs && echo 0 >/proc/self/oom_score_adj && exec perl /run/hog b 12) &
did sibling $!
sleep 3
within parent/a perl /run/hog a 0
kill %1
keep
