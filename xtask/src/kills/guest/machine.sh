# The whole machine out of memory: 256 MiB, one node, cgroup v2, no swap at first.

begin v2-global
unit hog -- perl /run/hog hog 0
gone hog
keep

begin v2-global-allocating-task
echo 1 >/proc/sys/vm/oom_kill_allocating_task
unit hog -- perl /run/hog hog 0
gone hog
echo 0 >/proc/sys/vm/oom_kill_allocating_task
keep

begin v2-swap-of-the-unit
fallocate -l 64M /swapfile && chmod 600 /swapfile && mkswap -q /swapfile && swapon /swapfile
unit swapper MemoryMax=32M MemorySwapMax=16M -- perl /run/hog swapper 0
gone swapper
keep

begin v2-global-swap-exhausted
unit idle -- perl /run/hog idle 24
unit hog -- perl /run/hog hog 0
gone hog
systemctl stop idle
keep
