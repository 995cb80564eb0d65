# The programs that kill before the kernel does: 512 MiB, cgroup v2, pressure stall information, and
# swap, without which systemd-oomd does not start.
fallocate -l 128M /swapfile && chmod 600 /swapfile && mkswap -q /swapfile && swapon /swapfile

begin user-earlyoom-term
echo 'EARLYOOM_ARGS="-r 3600 -m 40,10 -s 100,100"' >/etc/default/earlyoom
systemctl start earlyoom
unit hog -- perl /run/hog hog 0
gone hog
systemctl stop earlyoom
keep_journal short

begin user-earlyoom-kill
echo 'EARLYOOM_ARGS="-r 3600 -m 40,35 -s 100,100 --prefer stubborn"' >/etc/default/earlyoom
systemctl start earlyoom
unit stubborn -- perl /run/stubborn stubborn 0
gone stubborn
systemctl stop earlyoom
keep_journal short-iso

begin user-nohang
sed -i 's/^soft_threshold_min_mem .*/soft_threshold_min_mem = 40 %/
        s/^soft_threshold_min_swap .*/soft_threshold_min_swap = 99 %/
        s/^hard_threshold_min_mem .*/hard_threshold_min_mem = 10 %/
        s/^max_soft_exit_time .*/max_soft_exit_time = 1/' /etc/nohang/nohang.conf
# Some of the swap must be in use, for nohang wants both to be short.
unit swapped MemoryHigh=16M -- perl /run/hog swapped 48
sleep 4
systemctl start nohang
sleep 3
unit stubborn -- perl /run/stubborn stubborn 0
gone stubborn
systemctl stop nohang swapped
keep_journal short-precise

begin user-oomd-pressure
mkdir -p /etc/systemd/oomd.conf.d
printf '[OOM]\nDefaultMemoryPressureDurationSec=2s\n' >/etc/systemd/oomd.conf.d/capture.conf
systemctl start systemd-oomd.socket systemd-oomd.service
unit squeezed MemoryHigh=24M ManagedOOMMemoryPressure=kill ManagedOOMMemoryPressureLimit=5% -- \
    perl /run/hog squeezed 200
gone squeezed
oomctl >"$RESULTS/$now.oomctl"
keep_journal short

begin user-oomd-swap
printf '[OOM]\nSwapUsedLimit=20%%\n' >/etc/systemd/oomd.conf.d/capture.conf
systemctl restart systemd-oomd.service
# Its own limit makes it swap; the machine has room, so that systemd-oomd gets its turn.
unit swapper MemoryMax=110M ManagedOOMSwap=kill -- perl /run/hog swapper 0
gone swapper
keep_journal short-iso
