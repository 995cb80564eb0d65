# Runs on this machine, which must have docker, busybox and cgroup v1: containers over a limit, and
# names that try to look like the kernel's words. Leaves NAME.txt and NAME.did in $RESULTS.
set -u
work=$(mktemp -d)
export DOCKER_HOST=unix://$work/docker.sock
# Nothing of a daemon that may run already is touched, nor is the network.
dockerd --iptables=false --ip6tables=false --bridge=none -H "$DOCKER_HOST" --data-root "$work/data" \
    --exec-root "$work/exec" --pidfile "$work/pid" >"$work/log" 2>&1 &
daemon=$!
trap 'kill $daemon; wait $daemon; rm -rf "$work"' EXIT
until docker info >/dev/null 2>&1; do
    kill -0 $daemon || { cat "$work/log"; exit 1; }
    sleep 0.5
done
mkdir -p "$work/image/bin"
cp "$(command -v busybox)" "$work/image/bin/"
for tool in sh sleep cat tail; do ln -s busybox "$work/image/bin/$tool"; done
tar -C "$work/image" -c . | docker import - kills >/dev/null

begin() {
    now=$1
    mark="highwater capture $now $$"
    echo "<6>$mark" >/dev/kmsg
    : >"$RESULTS/$now.did"
}
did() { echo "$*" >>"$RESULTS/$now.did"; }
keep() {
    sleep 1
    dmesg "$@" | sed -n "/$mark/,\$p" | sed 1d >"$RESULTS/$now.txt"
}
# container COMMAND: runs it in 32 MiB, and notes what docker knows of the end.
container() {
    local id
    id=$(docker run -d --network none --memory 32m kills sh -c "$1")
    did container "$id" "$1"
    sleep 4
    did killed "$(docker inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' "$id")"
    docker rm -f "$id" >/dev/null
}

begin v1-docker
container 'cat /dev/zero | tail'
keep

# The shell lives on: docker calls the end a success.
begin v1-docker-first-process-survives
container 'sleep 60 & tail /dev/zero; echo still here; exit 0'
keep -T

v1=/sys/fs/cgroup/memory/highwater-hostile
mkdir -p $v1
echo 16M >$v1/memory.limit_in_bytes
begin v1-hostile-names
for name in $'a\nKilled process' $'\e[31mb\n[1.0] x' 'c, UID:1 (d) x' $'\n[   99.9] oom-'; do
    (
        echo 0 >$v1/cgroup.procs && echo 500 >/proc/self/oom_score_adj
        exec perl -e '$0 = shift; push @held, "x" x (1 << 20) while 1' "$name"
    ) &
    did pid $! "$(printf %q "$name")"
    wait $!
done
keep
# The same kills as the kernel hands them out, in records that end where it says.
timeout 1 cat /dev/kmsg | sed -n "/$mark/,\$p" | sed 1d >"$RESULTS/$now-kmsg.txt"
rmdir $v1
