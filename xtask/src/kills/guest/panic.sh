# Panics instead of killing: the serial console is all that is left.
begin v2-panic
dmesg -n 8
echo 2 >/proc/sys/vm/panic_on_oom
unit hog MemoryMax=32M MemorySwapMax=0 -- perl /run/hog hog 0
gone hog
