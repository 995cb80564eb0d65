# Runs in the guest: a unit over its MemoryMax, with the agent watching. Leaves in $RESULTS what
# highwater says, what the kernel said, and the machine as it was before and after.
set -u
highwater=$PAYLOAD/highwater
leak=$PAYLOAD/leak
data=/var/lib/highwater
own=/sys/fs/cgroup/system.slice

# Where there is swap, the unit must die all the same.
fallocate -l 64M /swapfile && chmod 600 /swapfile && mkswap -q /swapfile && swapon /swapfile

look() {
    "$leak" capture "$RESULTS/$1" --pid 1 2 "$2" "$(systemctl show -P MainPID dbus)" \
        --cgroup /sys/fs/cgroup /sys/fs/cgroup/{init.scope,system.slice,user.slice} \
        "$own"/{hog,dbus,systemd-journald}.service
}

if [ -x "$highwater" ]; then
    # Returns when the agent says that it is ready; kills it if it falls silent.
    systemd-run -q --unit=highwater -p Type=notify -p WatchdogSec=20 \
        "$highwater" agent --data-dir "$data"
    cat "/proc/$(systemctl show -P MainPID highwater)/oom_score_adj" >"$RESULTS/agent.adj"
fi

systemd-run -q --unit=hog -p MemoryMax=64M -p MemorySwapMax=0 \
    "$leak" leak --step-mib 2 --every-ms 1000
pid=$(systemctl show -P MainPID hog)
echo "$pid" >"$RESULTS/pid"
while read -r used <"$own/hog.service/memory.current" && [ "$used" -lt $((40 << 20)) ]; do
    sleep 0.3
done
look before "$pid"
while [ -e "/proc/$pid" ]; do sleep 0.3; done

if [ -x "$highwater" ]; then
    for _ in {1..20}; do
        "$highwater" why --json --data-dir "$data" >"$RESULTS/why.json" 2>"$RESULTS/why.err"
        grep -q '"pid"' "$RESULTS/why.json" && break
        sleep 0.5
    done
    "$highwater" why hog.service --json --data-dir "$data" >"$RESULTS/why-unit.json"
    "$highwater" why hog --data-dir "$data" >"$RESULTS/why.txt" 2>&1
    "$highwater" checkup --data-dir "$data" >"$RESULTS/checkup.txt" 2>&1
    echo $? >"$RESULTS/checkup.code"

    # Two deaths of other kinds: a unit whose processes die together, and whom a person's sysrq
    # finds. The latter is no limit's doing: the one with the highest adjustment dies.
    systemd-run -q --unit=group -p OOMPolicy=kill -p MemoryMax=64M -p MemorySwapMax=0 \
        bash -c "sleep 900 & exec '$leak' leak --step-mib 8 --every-ms 200"
    systemctl show -P MainPID group >"$RESULTS/group.pid"
    while systemctl -q is-active group; do sleep 0.3; done
    systemd-run -q --unit=quiet -p OOMScoreAdjust=900 \
        "$leak" leak --step-mib 8 --every-ms 200 --until-mib 48
    systemctl show -P MainPID quiet >"$RESULTS/quiet.pid"
    sleep 5
    echo f >/proc/sysrq-trigger
    while systemctl -q is-active quiet; do sleep 0.3; done
    for unit in group quiet; do
        for _ in {1..20}; do
            "$highwater" why "$unit.service" --json --data-dir "$data" >"$RESULTS/why-$unit.json"
            grep -q '"pid"' "$RESULTS/why-$unit.json" && break
            sleep 0.5
        done
    done

    systemctl show -P ActiveState highwater >"$RESULTS/agent.state"
    systemctl stop highwater
    systemctl show -P Result highwater >"$RESULTS/agent.result"
fi

look after 1
dmesg >"$RESULTS/dmesg.txt"
journalctl -b --no-pager -o short >"$RESULTS/journal.txt"
systemctl show -P Result hog >"$RESULTS/hog.result"
