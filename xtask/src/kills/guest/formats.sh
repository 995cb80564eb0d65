# One kill, as every tool of the machine prints it. The records are long: of those that repeat a
# whole record's fields, only the export and the JSON of one line keep them all.

begin v2-unit
unit hog MemoryMax=64M MemorySwapMax=0 -- perl /run/hog hog 0
gone hog
sleep 1
journalctl --sync

journal() { journalctl -b --no-pager --after-cursor="$cursor" "$@"; }
for format in short short-iso short-iso-precise short-precise short-full short-monotonic \
    short-unix short-delta export json cat with-unit; do
    journal -o "$format" >"$RESULTS/$now.journal-$format.txt"
done
for format in verbose json-pretty json-sse json-seq; do
    journal -o "$format" --output-fields=MESSAGE,PRIORITY,_TRANSPORT,SYSLOG_IDENTIFIER \
        >"$RESULTS/$now.journal-$format.txt"
done
SYSTEMD_COLORS=1 journal -o short >"$RESULTS/$now.journal-colour.txt"

# dmesg has no cursor: of what it prints, the part from the trigger on.
of_dmesg() {
    local name=$1
    shift
    dmesg "$@" | sed -n '/oom-killer/,/Killed process/p' >"$RESULTS/$now.dmesg$name.txt"
}
of_dmesg ''
of_dmesg -wall-clock -T
of_dmesg -levels -x
of_dmesg -levels-wall-clock -Tx
of_dmesg -raw -r
of_dmesg -human -H
of_dmesg -delta -d
of_dmesg -iso --time-format=iso
of_dmesg -no-time -t
of_dmesg -colour --color=always
dmesg --json >"$RESULTS/$now.dmesg-json.txt"
timeout 2 cat /dev/kmsg | sed -n '/oom-killer/,/Killed process/p' >"$RESULTS/$now.kmsg.txt"
