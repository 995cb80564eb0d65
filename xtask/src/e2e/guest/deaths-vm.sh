# Runs in the guest, which has systemd, cgroup v2, 512 MiB, no swap at first, pressure stall
# information, systemd-oomd, earlyoom and a user's own systemd: every way a unit dies.
udevadm settle
cgroup=/sys/fs/cgroup
data=/var/lib/highwater
why_program=$PAYLOAD/highwater
[ -x "$why_program" ] || why_program=

agent_start() {
    [ -n "$why_program" ] || return 0
    systemctl reset-failed highwater 2>/dev/null
    systemd-run -q --unit=highwater -p Type=notify -p WatchdogSec=60 -p OOMScoreAdjust=-900 \
        "$why_program" agent --data-dir "$data" --listen 127.0.0.1:9137
}
agent_kill() {
    [ -n "$why_program" ] || return 0
    systemctl kill -s KILL --kill-whom=main highwater
    until_true 10 no_agent
}
no_agent() { ! systemctl -q is-active highwater; }
why() { "$why_program" why --data-dir "$data" "$@"; }

# unit NAME OPTION... -- COMMAND...: starts it; its main process is the victim.
unit() {
    local name=$1 options=()
    shift
    while [ "$1" != -- ]; do options+=(-p "$1"); shift; done
    shift
    systemctl reset-failed "$name" 2>/dev/null
    systemd-run -q --unit="$name" "${options[@]}" "$@"
    victim "$(systemctl show -P MainPID "$name")"
    did owner unit "$name.service"
}
# of UNIT ACT...: what a unit runs.
hog=(perl /run/deaths/victim hog grow 0)
sitter=(perl /run/deaths/victim sitter stay)

scene-oom-unit() {
    unit oom-unit MemoryMax=32M MemorySwapMax=0 -- "${hog[@]}"
    curtain; act; died
}
scene-oom-user-unit() {
    local user=(setpriv --reuid 1000 --regid 1000 --clear-groups env XDG_RUNTIME_DIR=/run/user/1000)
    "${user[@]}" systemctl --user reset-failed 2>/dev/null
    "${user[@]}" systemd-run -q --user --unit=oom-user -p MemoryMax=32M -p MemorySwapMax=0 "${hog[@]}"
    victim "$("${user[@]}" systemctl --user show -P MainPID oom-user)"
    did owner user-unit oom-user.service
    curtain; act; died
}
scene-oom-ancestor() {
    systemctl set-property --runtime tight.slice MemoryMax=40M MemorySwapMax=0
    unit oom-ancestor Slice=tight.slice -- "${hog[@]}"
    curtain; act; died
}
scene-oom-global() {
    # Emulated, the kernel would drop and read again every program for a minute before it kills: it
    # is to spare what was used within this second.
    { echo y >/sys/kernel/mm/lru_gen/enabled && echo 1000 >/sys/kernel/mm/lru_gen/min_ttl_ms; } 2>/dev/null
    unit oom-global OOMScoreAdjust=300 -- "${hog[@]}"
    curtain; act; died 90
    { echo 0 >/sys/kernel/mm/lru_gen/min_ttl_ms && echo n >/sys/kernel/mm/lru_gen/enabled; } 2>/dev/null
}
scene-oom-policy-kill() {
    unit oom-policy OOMPolicy=kill MemoryMax=32M MemorySwapMax=0 -- perl /run/deaths/victim pair pair 0
    curtain; act; died
}
scene-oom-group() {
    local byhand=$cgroup/byhand
    mkdir -p $byhand
    echo 24M >$byhand/memory.max
    echo 0 >$byhand/memory.swap.max
    echo 1 >$byhand/memory.oom.group
    (echo 0 >$byhand/cgroup.procs; echo 0 >/proc/self/oom_score_adj; exec "${sitter[@]}") &
    did sibling $!
    (echo 0 >$byhand/cgroup.procs; echo 0 >/proc/self/oom_score_adj; exec "${hog[@]}") &
    victim $!
    did owner cgroup /byhand
    curtain; act; died
    wait $!
}
after-oom-group() { rmdir $cgroup/byhand; }
scene-oom-child() {
    unit oom-child OOMPolicy=continue MemoryMax=32M MemorySwapMax=0 -- perl /run/deaths/victim first child 0
    did main "$pid"
    curtain; act
    until_true 10 marked >/dev/null
    victim "$(marked)"
    died
}
marked() { sed -n 's/.*mark_victim: pid=\([0-9]*\).*/\1/p' $truth/trace | grep .; }
after-oom-child() { systemctl stop oom-child; }
scene-watchdog() {
    unit watchdog WatchdogSec=1 -- "${sitter[@]}"
    # The curtain rises before the second is over, or the agent is late: it starts anew then.
    if [ "$pass" = restarted ]; then
        systemctl stop watchdog
        agent_kill
        agent_start
        systemctl reset-failed watchdog 2>/dev/null
        unit watchdog WatchdogSec=1 -- "${sitter[@]}"
    fi
    died
}
scene-stop-timeout() {
    unit stop-timeout TimeoutStopSec=1 -- perl /run/deaths/victim stubborn stubborn-stay
    pause 0.3
    curtain
    systemctl stop stop-timeout
    died
}
scene-start-timeout() {
    unit_no_wait start-timeout Type=notify TimeoutStartSec=2 -- "${sitter[@]}"
    died
}
# The same for a unit that is not up when it should be.
unit_no_wait() {
    local name=$1 options=()
    shift
    while [ "$1" != -- ]; do options+=(-p "$1"); shift; done
    shift
    [ "$pass" != restarted ] || { agent_kill; agent_start; }
    systemctl reset-failed "$name" 2>/dev/null
    systemd-run -q --no-block --unit="$name" "${options[@]}" "$@"
    main=0
    until_true 10 has_main "$name"
    victim "$main"
    did owner unit "$name.service"
}
has_main() {
    main=$(systemctl show -P MainPID "$1")
    [ "$main" -gt 0 ]
}
scene-runtime-max() {
    unit_no_wait runtime-max RuntimeMaxSec=2 -- "${sitter[@]}"
    died
}
scene-systemctl-kill() {
    unit systemctl-kill -- "${sitter[@]}"
    curtain
    systemctl kill -s KILL systemctl-kill
    died
}
scene-systemctl-stop() {
    unit systemctl-stop -- "${sitter[@]}"
    curtain
    systemctl stop systemctl-stop
    died
}
scene-systemctl-restart() {
    printf '[Service]\nExecStart=perl /run/deaths/victim sitter stay\n' \
        >/run/systemd/system/systemctl-restart.service
    systemctl daemon-reload
    systemctl start systemctl-restart
    victim "$(systemctl show -P MainPID systemctl-restart)"
    did owner unit systemctl-restart.service
    curtain
    systemctl restart systemctl-restart
    died
}
after-systemctl-restart() { systemctl stop systemctl-restart; }
# A person who logged in as user 1000 and became root, as far as the kernel knows.
scene-kill-shell() {
    unit kill-shell -- "${sitter[@]}"
    curtain
    sends "echo 1000 >/proc/self/loginuid; kill -9 $pid"
    died
}
scene-kill-program() {
    unit kill-program -- "${sitter[@]}"
    curtain
    /bin/kill -KILL "$pid"
    died
}
scene-term-program() {
    unit term-program -- "${sitter[@]}"
    curtain
    /bin/kill -TERM "$pid"
    died
}
scene-segfault() {
    unit segfault -- perl /run/deaths/victim faulty segfault
    curtain; act; died
}
scene-abort() {
    unit abort -- perl /run/deaths/victim aborter abort
    curtain; act; died
}
scene-exit-1() {
    unit exit-1 -- perl /run/deaths/victim failer exit 1
    curtain; act; died
}
scene-rlimit-cpu() {
    unit rlimit-cpu LimitCPU=1 -- perl /run/deaths/victim spinner spin
    curtain; act; died
}
scene-rlimit-as() {
    unit rlimit-as LimitAS=96M -- perl /run/deaths/victim asker grow 0
    curtain; act; died
}
scene-overcommit() {
    unit overcommit -- perl /run/deaths/victim asker ask 16
    curtain
    echo $((2 << 20)) >/proc/sys/vm/overcommit_kbytes
    echo 2 >/proc/sys/vm/overcommit_memory
    act; died
    echo 0 >/proc/sys/vm/overcommit_memory
}
scene-cgroup-kill() {
    unit cgroup-kill -- "${sitter[@]}"
    curtain
    sends "echo 1 >$cgroup/system.slice/cgroup-kill.service/cgroup.kill"
    died
}
scene-oom-swap() {
    unit oom-swap MemoryMax=32M MemorySwapMax=16M -- "${hog[@]}"
    curtain; act; died
}
scene-earlyoom() {
    echo 'EARLYOOM_ARGS="-r 3600 -m 45,30 -s 100,100 --prefer ^hog$"' >/etc/default/earlyoom
    systemctl start earlyoom
    unit earlyoom-victim -- "${hog[@]}"
    curtain; act; died 60
}
after-earlyoom() { systemctl stop earlyoom; }
scene-oomd-pressure() {
    mkdir -p /etc/systemd/oomd.conf.d
    printf '[OOM]\nDefaultMemoryPressureDurationSec=2s\n' >/etc/systemd/oomd.conf.d/deaths.conf
    systemctl restart systemd-oomd.socket systemd-oomd.service
    unit oomd-pressure MemoryHigh=24M ManagedOOMMemoryPressure=kill ManagedOOMMemoryPressureLimit=5% -- \
        perl /run/deaths/victim squeezed grow 200
    curtain; act; died 60
}
after-oomd-pressure() { systemctl stop systemd-oomd.socket systemd-oomd; }
scene-oomd-swap() {
    printf '[OOM]\nSwapUsedLimit=20%%\n' >/etc/systemd/oomd.conf.d/deaths.conf
    systemctl restart systemd-oomd.socket systemd-oomd.service
    unit oomd-swap MemoryMax=110M ManagedOOMSwap=kill -- perl /run/deaths/victim swapper grow 0
    curtain; act; died 60
}
after-oomd-swap() { systemctl stop systemd-oomd.socket systemd-oomd; }
# Eight lives, each of which ends at its limit.
scene-restart-loop() {
    printf '%s\n' '[Unit]' StartLimitIntervalSec=0 '[Service]' MemoryMax=24M MemorySwapMax=0 Restart=always \
        RestartSec=1 'ExecStart=perl /run/deaths/victim looper grow 0' \
        >/run/systemd/system/restart-loop.service
    systemctl daemon-reload
    systemctl start restart-loop
    victim "$(systemctl show -P MainPID restart-loop)"
    did owner unit restart-loop.service
    curtain
    act
    until_true 60 restarted_8
    systemctl stop restart-loop
    victim "$(marked | tail -n 1)"
    died
    [ -z "$why_program" ] || pause 1
    [ -z "$why_program" ] || "$why_program" restarts --data-dir "$data" --json >"$here/restarts.json" 2>"$here/restarts.err"
    [ -z "$why_program" ] || "$why_program" restarts restart-loop.service --data-dir "$data" >"$here/restarts.txt" 2>&1
}
restarted_8() { [ "$(systemctl show -P NRestarts restart-loop)" -ge 8 ]; }

swap_on() { fallocate -l 128M /swapfile && chmod 600 /swapfile && mkswap -q /swapfile && swapon /swapfile; }

useradd --create-home --uid 1000 walt
loginctl enable-linger walt
truth_begin
until_true 30 test -S /run/user/1000/systemd/private
agent_start
dry=(oom-unit oom-user-unit oom-ancestor oom-global oom-policy-kill oom-group oom-child watchdog
    stop-timeout start-timeout runtime-max systemctl-kill systemctl-stop systemctl-restart kill-shell
    kill-program term-program segfault abort exit-1 rlimit-cpu rlimit-as overcommit
    cgroup-kill restart-loop earlyoom)
wet=(oom-swap oomd-pressure oomd-swap)
perform "${dry[@]}"
swap_on
perform "${wet[@]}"
if [ -n "$why_program" ]; then
    why --json >"$RESULTS/why-all.json" 2>"$RESULTS/why-all.err"
    systemctl show highwater >"$RESULTS/agent.show"
    journalctl -b --no-pager -u highwater -o short-monotonic >"$RESULTS/agent.log"
    systemctl stop highwater
    cp -r "$data" "$RESULTS/history"
fi
journalctl --sync
journalctl -b --no-pager -o export >"$RESULTS/journal.export"
journalctl -b --no-pager -o json >"$RESULTS/journal.json"
dmesg >"$RESULTS/dmesg.txt"
truth_end
