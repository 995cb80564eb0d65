# In front of each script here: the victims, and how the kernel's words about them are kept.
# A script leaves NAME.txt (the log) and NAME.did (what was done, to write the expected facts from).
set -u
udevadm settle
cgroup=/sys/fs/cgroup

# perl /run/hog NAME MIB: takes so much, 4 MiB a time, under that name, and stays; 0 is no end.
cat >/run/hog <<'P'
($0, my $most) = @ARGV;
for (my $mib = 0; !$most || $mib < $most; $mib += 4) { push @held, "x" x (4 << 20) }
sleep 3600;
P

# perl /run/stubborn NAME MIB: the same, and it does not end when it is asked to.
{ echo '$SIG{TERM} = "IGNORE";' && cat /run/hog; } >/run/stubborn

# perl /run/pipes PID: takes kernel memory in pieces of 2^2 pages, as the buffers of large pipes are,
# for as long as that process lives.
cat >/run/pipes <<'P'
($0, my $gone) = ("pipes", @ARGV);
while (-e "/proc/$gone") {
    pipe(my $r, my $w) or last;
    fcntl($w, 1031, 1 << 20);
    push @held, $r, $w;
}
P

# begin NAME: from here on the log is NAME's.
begin() {
    now=$1
    echo "$now at $SECONDS s"
    journalctl --sync
    cursor=$(journalctl -b -n 1 -o export --output-fields=MESSAGE | sed -n 's/^__CURSOR=//p')
    dmesg --clear
    : >"$RESULTS/$now.did"
}

# did WORD VALUE: something that the log must agree with.
did() { echo "$*" >>"$RESULTS/$now.did"; }

# unit NAME OPTION... -- COMMAND...: starts it, and notes its main process and what it was given.
unit() {
    local name=$1 options=()
    shift
    while [ "$1" != -- ]; do options+=(-p "$1"); shift; done
    shift
    did unit "$name" "${options[@]}" -- "${@@Q}"
    systemctl reset-failed "$name" 2>/dev/null
    systemd-run -q --unit="$name" "${options[@]}" "$@"
    did pid "$name" "$(systemctl show -P MainPID "$name")"
}

# A pause that starts no process: nothing here may ask for memory while there is none.
mkfifo /run/never
exec {never}<>/run/never
pause() { read -rt "$1" -u "$never"; }

# gone UNIT: waits for its death, at most two minutes.
gone() {
    local until=$((SECONDS + 120)) pid
    pid=$(sed -n "s/^pid $1 //p" "$RESULTS/$now.did" | tail -n 1)
    while [ "$pid" -gt 0 ] && kill -0 "$pid" 2>/dev/null && [ "$SECONDS" -lt "$until" ]; do
        pause 0.2
    done
    while systemctl -q is-active "$1" && [ "$SECONDS" -lt "$until" ]; do pause 0.2; done
    did result "$1" "$(systemctl show -P Result "$1")"
}

# members CGROUP: notes who is in it, by pid and name.
members() {
    local pid
    while read -r pid; do did member "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline")"; done \
        <"$1/cgroup.procs"
}

# keep: the kernel's words since `begin`.
keep() {
    sleep 1
    dmesg >"$RESULTS/$now.txt"
}

# keep_journal: the same, with what systemd and the daemons said, as journald wrote it down.
keep_journal() {
    sleep 1
    journalctl --sync
    journalctl -b --no-pager --after-cursor="$cursor" -o "${1:-short-iso}" >"$RESULTS/$now.txt"
}
