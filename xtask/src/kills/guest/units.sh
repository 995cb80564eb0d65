# Units over a limit, on a machine with one node, cgroup v2 and no swap.

begin v2-oom-group
unit group OOMPolicy=kill MemoryMax=64M MemorySwapMax=0 -- \
    bash -c 'sleep 900 & sleep 901 & sleep 2; perl /run/hog hog 0 & wait'
sleep 1
members "$cgroup/system.slice/group.service"
did oom.group "$(cat "$cgroup/system.slice/group.service/memory.oom.group")"
gone group
keep

begin v2-limit-of-the-slice
systemctl set-property --runtime tight.slice MemoryMax=96M MemorySwapMax=0
unit big Slice=tight.slice -- perl /run/hog big 48
sleep 4
unit small Slice=tight.slice -- perl /run/hog small 60
gone big
systemctl stop small
keep

begin v2-tmpfs-full
unit fill MemoryMax=32M MemorySwapMax=0 -- dd if=/dev/zero of=/dev/shm/fill bs=1M
gone fill
keep
rm /dev/shm/fill

begin v2-order-above-0
unit pipes MemoryMax=52M MemorySwapMax=0 LimitNOFILE=100000 -- \
    bash -c 'perl /run/hog hog 40 & sleep 3; perl /run/pipes $!'
sleep 1
members "$cgroup/system.slice/pipes.service"
gone pipes
keep

begin v2-three-lives
unit again MemoryMax=32M MemorySwapMax=0 Restart=always RestartSec=2 -- perl /run/hog again 0
until=$((SECONDS + 40))
while [ "$(systemctl show -P NRestarts again)" -lt 3 ] && [ "$SECONDS" -lt "$until" ]; do
    sleep 0.2
done
systemctl stop again
keep_journal short-iso

begin v2-sysrq-f
unit quiet OOMScoreAdjust=700 -- perl /run/hog quiet 32
unit loud OOMScoreAdjust=0 -- perl /run/hog loud 64
sleep 4
echo f >/proc/sysrq-trigger
gone quiet
systemctl stop loud
keep

# Whoever is immune and has no memory asks again and again, and the kernel prints it all each time:
# it must die by hand, and two rounds tell as much as two hundred.
begin v2-nobody-to-kill
unit immune MemoryMax=32M MemorySwapMax=0 OOMScoreAdjust=-1000 -- perl /run/hog immune 0
until dmesg | grep -q 'no killable'; do sleep 0.1; done
systemctl kill -s KILL immune
gone immune
keep
sed -i '/no killable/{x;s/^/x/;/^xx/{x;q};x}' "$RESULTS/$now.txt"
