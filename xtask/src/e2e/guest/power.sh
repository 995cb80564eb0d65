# Runs in the guest until somebody pulls the plug: the agent records onto a disk of its own, and
# everything that it reports goes to the serial line, the only thing that outlives the machine.
set -u
highwater=$PAYLOAD/highwater
leak=$PAYLOAD/leak

# The serial line belongs to this script: the kernel's own words would fall into its lines.
dmesg -n 1
# Whoever runs below may be killed: only the harness itself may not.
echo 0 >/proc/self/oom_score_adj
mkdir -p /data
mount /dev/vdd /data
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
echo "power: boot $(cat /proc/sys/kernel/random/boot_id)"

# One line is one write, or two programs' lines would mix.
"$highwater" agent --data-dir /data/history --config "$PAYLOAD/agent.toml" 2>&1 |
    while read -r line; do echo "power: said $line"; done &

# How late it is when the power goes.
while read -r up _ </proc/uptime; do
    echo "power: alive $up"
    sleep 0.25
done &

# When, in seconds from here, the kernel kills somebody.
count=0
while read -r wait; do
    sleep "$wait"
    count=$((count + 1))
    group=/sys/fs/cgroup/doom-$count
    mkdir "$group"
    echo 16M >"$group/memory.max"
    [ -e "$group/memory.swap.max" ] && echo 0 >"$group/memory.swap.max"
    "$leak" leak --step-mib 4 --every-ms 20 --cgroup "$group"
done <"$PAYLOAD/kills"
wait
