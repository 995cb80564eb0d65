# Memory that is no process's: 256 MiB, one node, cgroup v2, no swap. The pipes alone would try for
# minutes; whoever starts a process meanwhile, as asking systemd does, makes the kernel decide.

begin v2-global-kernel-memory
unit decoy OOMScoreAdjust=500 -- perl /run/hog decoy 32
unit pipes OOMScoreAdjust=-900 LimitNOFILE=200000 -- \
    perl /run/pipes "$(systemctl show -P MainPID decoy)"
until=$((SECONDS + 240))
while systemctl -q is-active decoy && [ "$SECONDS" -lt "$until" ]; do pause 0.5; done
gone decoy
gone pipes
keep
