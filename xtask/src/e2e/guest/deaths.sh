# In front of the scenes of `cargo xtask e2e deaths`, in the guest and on this machine: the victims,
# the agent, and how each death is noted and asked for.
#
#   scene-NAME    plays one case: starts its victim, calls `curtain` when that stands, provokes, and
#                 calls `died`; every path below $RESULTS/PASS/NAME is of that case
#   $PASSES       "standing": one agent for all; "restarted": the agent is killed with SIGKILL and
#                 started again at each curtain
#   CAUSE[NAME]   what `why` must come to say, by which the time until it does is measured
#
# The stage brings agent_start, agent_kill, why, owner and its scenes.
set -u
mkdir -p /run/deaths
go=/run/deaths/go

# perl /run/deaths/victim NAME ACT [ARGUMENT]: is called NAME, stands there until the go, then acts.
cat >/run/deaths/victim <<'P'
($0, my $act, my $n) = @ARGV;
my $go = "/run/deaths/go";
our %acts = (
    grow => sub { for (my $mib = 0; !$n || $mib < $n; $mib += 4) { push @held, "x" x (4 << 20) } sleep 3600 },
    ask => sub { my $all = "x" x ($n << 30); sleep 3600 },
    stay => sub { sleep 3600 },
    spin => sub { 1 while 1 },
    exit => sub { exit $n },
    segfault => sub { unpack "p", pack "J", 8 },
    # Where the module is not at hand, what abort(3) does.
    abort => sub { eval { require POSIX; POSIX::abort() }; syscall(234, $$ + 0, $$ + 0, 6) },
    # The parent ends, and with it the child that asked for that.
    orphan => sub {
        my $parent = fork;
        if (!$parent) {
            my $child = fork;
            if (!$child) { $0 = "orphan"; syscall(157, 1, 9, 0, 0, 0); sleep 3600 }
            open my $note, ">", "/run/deaths/orphan"; print $note $child; close $note;
            select(undef, undef, undef, .05) until -e "$go.2";
            exit 0;
        }
        waitpid $parent, 0;
        sleep 3600;
    },
    # One that works beside one that only sits there.
    pair => sub { if (!fork) { $0 = "sitter"; sleep 3600 } $acts{grow}->() },
    # One that grows below a first process that lives on.
    child => sub { if (!fork) { $0 = "child"; $acts{grow}->() } wait; sleep 3600 },
);
$SIG{TERM} = "IGNORE" if $act =~ s/^stubborn-//;
$SIG{TERM} = sub { exit 0 } if $act =~ s/^obliging-//;
unless ($act eq "orphan") { select(undef, undef, undef, .05) until -e $go }
$acts{$act}->();
P

# A pause that starts no process.
rm -f /run/deaths/never
mkfifo /run/deaths/never
exec {never}<>/run/deaths/never
pause() { read -rt "$1" -u "$never"; }

# The boot clock, in seconds.
uptime_now() { read -r up _ </proc/uptime; }

# until SECONDS COMMAND...: asks until it succeeds.
until_true() {
    local at_most=$1 began=${EPOCHREALTIME/./}
    shift
    until "$@"; do
        [ $((${EPOCHREALTIME/./} - began)) -lt $((at_most * 1000000)) ] || return 1
        pause 0.05
    done
    return 0
}

# What is true, from the kernel itself: signals, the OOM killer's choice and every exit.
truth_begin() {
    tracing=/sys/kernel/tracing
    [ -e $tracing/events ] || mount -t tracefs tracefs $tracing || return
    truth=$tracing/instances/deaths-truth
    mkdir -p $truth
    echo boot >$truth/trace_clock
    echo 4096 >$truth/buffer_size_kb
    local fatal='sig==1||sig==2||sig==3||sig==4||sig==6||sig==7||sig==8||sig==9||sig==11||sig==15||sig==24'
    echo "$fatal" >$truth/events/signal/signal_generate/filter
    echo 1 >$truth/events/signal/signal_generate/enable
    echo 1 >$truth/events/oom/mark_victim/enable
    echo 1 >$truth/events/sched/sched_process_exit/enable
    : >$truth/trace
}
truth_keep() { cat $truth/trace >"$here/truth.txt"; : >$truth/trace; }
truth_end() { [ ! -d "${truth:-}" ] || rmdir "$truth"; }

# did WORD VALUE...: something that the verdict must agree with.
did() { echo "$*" >>"$here/did"; }

# victim PID: whose death it is.
victim() { pid=$1; did pid "$pid"; }

# Whether the victim is what it is to be, rather than what starts it.
stands() {
    local comm
    read -r comm <"/proc/$pid/comm" && [[ $comm != bash && $comm != perl && $comm != *runc* && $comm != \(* ]]
} 2>/dev/null

# curtain: the victim stands. Now the agent is there, or is there again.
curtain() {
    until_true 10 stands
    if [ "$pass" = restarted ]; then
        agent_kill
        agent_start
    fi
    # Nobody who matters dies within milliseconds of being born.
    pause 0.3
    uptime_now
    did curtain "$up"
}

# sends COMMANDS: a shell does it, and lives on for a moment.
sends() { bash -c "$1; read -rt 0.5 <>/run/deaths/never" & }

# Lets the victim act.
act() { : >$go; }

gone() { [ ! -e "/proc/$1" ] || grep -q '^State:.[ZX]' "/proc/$1/status" 2>/dev/null; }

# died [SECONDS]: waits for the victim's death.
died() {
    until_true "${1:-20}" gone "$pid" || did lives "$pid"
    uptime_now
    did gone "$up"
}

told() {
    if declare -F "told-$now" >/dev/null; then
        "told-$now"
        return
    fi
    why "$pid" --json >"$here/why.json" 2>"$here/why.err"
    grep -Eq "\"cause\": ?\"${CAUSE[$now]:-unknown}\"" "$here/why.json"
}

# Asks until the cause is what it was, for as long as a person would wait.
ask() {
    # Nobody to ask: what is written of the death shall be of this case all the same.
    [ -n "${why_program:-}" ] || { pause 2; return 0; }
    until_true 10 told || did untold
    uptime_now
    did told "$up"
}

# play NAME: one case.
play() {
    now=$1
    here=$RESULTS/$pass/$now
    mkdir -p "$here"
    rm -f $go $go.2 "$here/did"
    echo "$pass $now at $SECONDS s"
    echo "<7>highwater-deaths $pass $now" >/dev/kmsg
    did begin "$EPOCHREALTIME"
    "scene-$now"
    truth_keep
    ask
    did end "$EPOCHREALTIME"
    ! declare -F "after-$now" >/dev/null || "after-$now"
}

# perform SCENE...: all of them, in each pass.
perform() {
    local name
    for pass in $PASSES; do
        for name; do
            [ -z "$ONLY" ] || [[ " $ONLY " == *" $name "* ]] || continue
            play "$name"
        done
        # All of them once more, when everybody has said what there is to say.
        [ -z "${why_program:-}" ] || why --json >"$RESULTS/$pass/why-all.json" 2>"$RESULTS/$pass/why-all.err"
    done
}
