# Runs on this machine: containers of a dockerd of its own, cgroup v1 for memory, the unified one
# for the rest, and plain processes in cgroups made by hand.
work=$(mktemp -d)
export DOCKER_HOST=unix://$work/docker.sock
data=$work/history
why_program=${HIGHWATER:-}
mine=highwater-deaths
v1=/sys/fs/cgroup/memory
v2=/sys/fs/cgroup/unified

# systemd mounts this; a machine without systemd may not have it yet.
mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing

# Nothing of a daemon that may run already is touched, nor is the network.
dockerd --iptables=false --ip6tables=false --bridge=none -H "$DOCKER_HOST" --data-root "$work/data" \
    --exec-root "$work/exec" --pidfile "$work/pid" >"$RESULTS/dockerd.log" 2>&1 &
daemon=$!
ended() {
    # Politely, so that it takes its own tracing instance away.
    [ -z "${agent:-}" ] || { kill -TERM $agent; wait $agent; }
    docker rm -f $(docker ps -aq) >/dev/null 2>&1
    kill $daemon
    wait $daemon
    # To look at what was said when a verdict is wrong.
    [ ! -d "$data" ] || cp -r "$data" "$RESULTS/history"
    truth_end
    find $v1/$mine* $v2/$mine* -depth -type d -exec rmdir {} \; 2>/dev/null
    rm -rf "$work"
}
trap ended EXIT
until docker info >/dev/null 2>&1; do
    kill -0 $daemon || { cat "$RESULTS/dockerd.log"; exit 1; }
    pause 0.2
done

# An image with a shell and perl, of this machine's own files.
mkdir -p "$work/image/bin" "$work/image/run/deaths"
cp "$(command -v busybox)" "$work/image/bin/"
for tool in sh sleep cat tail; do ln -s busybox "$work/image/bin/$tool"; done
perl=$(readlink -f /usr/bin/perl)
cp "$perl" "$work/image/bin/perl"
# The recorder runs in it too.
ldd "$perl" ${why_program:+"$why_program"} | grep -o '/[^ ]*' | while read -r library; do
    install -D "$library" "$work/image$library"
done
tar -C "$work/image" -c . | docker import - deaths >/dev/null

printf "[witness]\ndocker_socket = \"%s\"\n" "$work/docker.sock" >"$work/agent.toml"
agent_start() {
    [ -n "$why_program" ] || return 0
    "$why_program" agent --data-dir "$data" --listen off --config "$work/agent.toml" \
        > >(exec perl -e '$| = 1; while (<STDIN>) { open U, "/proc/uptime"; my ($u) = split " ", <U>; print "[$u] $_" }' >>"$RESULTS/agent.log") 2>&1 &
    agent=$!
    until_true 10 greeted
}
greeted() { [ "$(grep -c 'highwater why' "$RESULTS/agent.log" 2>/dev/null)" -gt "${greetings:-0}" ]; }
agent_kill() {
    [ -n "$why_program" ] || return 0
    greetings=$(grep -c 'highwater why' "$RESULTS/agent.log")
    kill -KILL $agent
    wait $agent 2>/dev/null
    unset agent
}
why() { "$why_program" why --data-dir "$data" "$@"; }

# container NAME OPTION... -- COMMAND...: its first process is the victim.
container() {
    local called=$1 options=()
    shift
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    docker rm -f "$called" >/dev/null 2>&1
    docker run -d --name "$called" --network none -v /run/deaths:/run/deaths "${options[@]}" deaths "$@" >/dev/null
    victim "$(docker inspect -f '{{.State.Pid}}' "$called")"
    did owner container "$called"
}
# What Docker says of the end, when it has noticed it.
claims() {
    until_true 5 stopped "$1"
    docker inspect "$1" >"$here/inspect.json"
    did docker "$(docker inspect -f 'OOMKilled={{.State.OOMKilled}} ExitCode={{.State.ExitCode}} Status={{.State.Status}}' "$1")"
}
stopped() { [ "$(docker inspect -f '{{.State.Running}}' "$1")" = false ]; }
sitter=(perl /run/deaths/victim sitter stay)

scene-docker-oom() {
    container deaths-oom --memory 32m -- perl /run/deaths/victim hog grow
    curtain; act; died
    claims deaths-oom
}
scene-docker-oom-child() {
    container deaths-oom-child --memory 32m -- perl /run/deaths/victim first child
    did main "$pid"
    curtain; act
    until_true 10 marked >/dev/null
    victim "$(marked)"
    died
    did docker "$(docker inspect -f 'OOMKilled={{.State.OOMKilled}} ExitCode={{.State.ExitCode}} Status={{.State.Status}}' deaths-oom-child)"
    docker inspect deaths-oom-child >"$here/inspect.json"
}
marked() { sed -n 's/.*mark_victim: pid=\([0-9]*\).*/\1/p' $truth/trace | grep .; }
scene-docker-stop-ignored() {
    container deaths-stop-ignored -- perl /run/deaths/victim stubborn stubborn-stay
    curtain
    docker stop -t 1 deaths-stop-ignored >/dev/null
    died
    claims deaths-stop-ignored
}
# The first process of a container has no default for SIGTERM: it must want to end.
scene-docker-stop() {
    container deaths-stop -- perl /run/deaths/victim obliging obliging-stay
    curtain
    docker stop -t 5 deaths-stop >/dev/null
    died
    claims deaths-stop
}
scene-docker-kill() {
    container deaths-kill -- "${sitter[@]}"
    curtain
    docker kill deaths-kill >/dev/null
    died
    claims deaths-kill
}
scene-docker-rm() {
    container deaths-rm -- "${sitter[@]}"
    curtain
    docker rm -f deaths-rm >/dev/null
    died
}
scene-docker-restart() {
    container deaths-restart -- perl /run/deaths/victim obliging obliging-stay
    curtain
    docker restart -t 5 deaths-restart >/dev/null
    died
}
scene-docker-policy() {
    container deaths-policy --restart on-failure:3 -- perl /run/deaths/victim failer exit 1
    curtain; act; died
    until_true 10 tried_3
    claims deaths-policy
    docker inspect -f 'RestartCount={{.RestartCount}}' deaths-policy >>"$here/did"
}
tried_3() { [ "$(docker inspect -f '{{.RestartCount}} {{.State.Running}}' deaths-policy)" = "3 false" ]; }
# Nothing may be killed: it hangs until there is more.
scene-docker-hang() {
    container deaths-hang --memory 32m --oom-kill-disable -- perl /run/deaths/victim hanger grow 48
    curtain; act
    until_true 10 hangs
    uptime_now
    did hangs "$up"
    grep . "$v1/docker/$(docker inspect -f '{{.Id}}' deaths-hang)/memory.oom_control" >"$here/oom_control"
    [ -z "$why_program" ] || until_true 10 stuck_told || did untold
    uptime_now
    did stuck-told "$up"
    # What lasts less than five seconds is no hang worth telling of.
    pause 5
    [ -z "$why_program" ] || cp "$here/why.json" "$here/why-stuck.json"
    echo 128M >"$v1/docker/$(docker inspect -f '{{.Id}}' deaths-hang)/memory.memsw.limit_in_bytes" 2>/dev/null
    echo 128M >"$v1/docker/$(docker inspect -f '{{.Id}}' deaths-hang)/memory.limit_in_bytes"
    until_true 5 unstuck
    docker rm -f deaths-hang >/dev/null
}
hangs() { grep -q 'under_oom 1' "$v1/docker/$(docker inspect -f '{{.Id}}' deaths-hang)/memory.oom_control"; }
unstuck() { ! hangs; }
stuck_told() {
    why deaths-hang --json >"$here/why.json" 2>"$here/why.err"
    tr -d ' \n' <"$here/why.json" | grep -q '"stuck":\[{'
}
# That it recovered.
told-docker-hang() { stuck_told && grep -q '"until": "' "$here/why.json"; }
scene-docker-kill-shell() {
    container deaths-kill-shell -- "${sitter[@]}"
    curtain
    sends "kill -9 $pid"
    died
    claims deaths-kill-shell
}
scene-docker-segfault() {
    container deaths-segfault -- perl /run/deaths/victim faulty segfault
    curtain; act; died
    claims deaths-segfault
}
# What the first process does to itself does not end it: it is a child that aborts.
scene-docker-abort() {
    container deaths-abort --init -- perl /run/deaths/victim aborter abort
    did main "$pid"
    until_true 5 child_of "$pid" >/dev/null
    victim "$(child_of "$pid")"
    curtain; act; died
    claims deaths-abort
}
child_of() { cat "/proc/$1/task/$1/children" | grep -o '[0-9]*'; }
scene-docker-exit-3() {
    container deaths-exit-3 -- perl /run/deaths/victim failer exit 3
    curtain; act; died
    claims deaths-exit-3
}
# plain CGROUP COMMAND...: a process in cgroups of its own, v1 and v2.
plain() {
    local at=$1
    shift
    mkdir -p "$v1/$at" "$v2/$at"
    (
        echo 0 >"$v1/$at/cgroup.procs"
        echo 0 >"$v2/$at/cgroup.procs"
        exec "$@"
    ) &
    job=$!
    victim $job
    did owner cgroup "/$at"
}
scene-kill-shell() {
    plain $mine-shell "${sitter[@]}"
    curtain
    sends "kill -9 $pid"
    wait $job
    died
}
scene-kill-program() {
    plain $mine-program "${sitter[@]}"
    curtain
    /bin/kill -KILL "$pid"
    wait $job
    died
}
scene-oom-cgroup() {
    mkdir -p $v1/$mine-oom
    echo 24M >$v1/$mine-oom/memory.limit_in_bytes
    plain $mine-oom perl /run/deaths/victim hog grow
    curtain; act
    wait $job
    died
}
scene-oom-ancestor() {
    mkdir -p $v1/$mine-above/below
    echo 1 >$v1/$mine-above/memory.use_hierarchy
    echo 24M >$v1/$mine-above/memory.limit_in_bytes
    plain $mine-above/below perl /run/deaths/victim hog grow
    curtain; act
    wait $job
    died
}
scene-cgroup-kill() {
    plain $mine-kill "${sitter[@]}"
    curtain
    sends "echo 1 >$v2/$mine-kill/cgroup.kill"
    wait $job
    died
}
scene-parent-death() {
    rm -f /run/deaths/orphan
    plain $mine-parent perl /run/deaths/victim family orphan
    until_true 10 test -s /run/deaths/orphan
    victim "$(cat /run/deaths/orphan)"
    curtain
    : >$go.2
    died
    kill $job
    wait $job
}
# The first process of a pid namespace is killed, and with it all that lived beside.
scene-namespace() {
    plain $mine-namespace unshare --pid --fork sh -c 'perl /run/deaths/victim sitter stay & wait'
    until_true 5 child_of $job >/dev/null
    local first
    first=$(child_of $job)
    until_true 5 child_of "$first" >/dev/null
    victim "$(child_of "$first")"
    curtain
    sends "kill -9 $first"
    died
    wait $job
}
scene-rlimit-cpu() {
    plain $mine-cpu bash -c 'ulimit -t 1; exec perl /run/deaths/victim spinner spin'
    curtain; act
    wait $job
    died
}
# The limit is far above what this machine promises, and the demand above that: nobody else notices.
scene-overcommit() {
    local mode kbytes
    read -r mode </proc/sys/vm/overcommit_memory
    read -r kbytes </proc/sys/vm/overcommit_kbytes
    plain $mine-strict perl /run/deaths/victim asker ask 1024
    curtain
    echo $((256 << 20)) >/proc/sys/vm/overcommit_kbytes
    echo 2 >/proc/sys/vm/overcommit_memory
    act
    wait $job
    echo "$mode" >/proc/sys/vm/overcommit_memory
    [ "$kbytes" = 0 ] || echo "$kbytes" >/proc/sys/vm/overcommit_kbytes
    died
}

contained_greets() { docker logs deaths-agent 2>&1 | grep -q 'highwater why'; }

mark="highwater deaths $$"
echo "<6>$mark" >/dev/kmsg
truth_begin
docker events --format '{{json .}}' >"$RESULTS/docker.events" 2>&1 &
listener=$!
agent_start
perform docker-oom docker-oom-child docker-stop-ignored docker-stop docker-kill docker-rm docker-restart \
    docker-policy docker-hang docker-kill-shell docker-segfault docker-abort docker-exit-3 \
    kill-shell kill-program oom-cgroup oom-ancestor cgroup-kill parent-death namespace rlimit-cpu \
    overcommit
kill $listener
# An agent in a container of its own, with no privilege at all.
if [ -n "$why_program" ]; then
    docker run -d --name deaths-agent --network none -v "$why_program:/highwater:ro" deaths \
        /highwater agent --data-dir /history --listen off >/dev/null
    until_true 15 contained_greets
    docker logs deaths-agent >"$RESULTS/contained.log" 2>&1
    docker exec deaths-agent /highwater why --json --data-dir /history >"$RESULTS/contained.json" 2>"$RESULTS/contained.err"
    docker rm -f deaths-agent >/dev/null
fi
dmesg | sed -n "/$mark/,\$p" | sed 1d >"$RESULTS/dmesg.txt"
