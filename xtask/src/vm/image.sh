#!/usr/bin/env bash
# Builds the guest of the VM tests: image.sh FOLDER MIRROR GUEST PACKAGES
#   FOLDER    gets root.raw (an ext4 file system), vmlinuz and initrd
#   MIRROR    a Debian mirror, as the sources list of this machine names it
#   GUEST     the folder with what the guest runs
#   PACKAGES  what is installed beside the least, with commas; their daemons start when a test says so
# It is Debian 12 as anybody installs it, with one unit more; the whole text is part of the cache key.
set -euo pipefail
folder=$1 mirror=$2 guest=$3 packages=$4
suite=bookworm
size=900M # the tree is about 250 MB; the rest is room for a test's history, sparse on the host

root=$folder/root
rm -rf "$root"
mkdir -p "$root"
debootstrap --variant=minbase \
    --include="systemd-sysv,dbus,linux-image-cloud-amd64${packages:+,$packages}" \
    "$suite" "$root" "$mirror"

# One unit that runs whatever the payload disk brings, then powers off.
install -D -m 0755 "$guest/run.sh" "$root/usr/lib/highwater-e2e/run.sh"
install -D -m 0644 "$guest/highwater-e2e.service" "$root/etc/systemd/system/highwater-e2e.service"
ln -s /etc/systemd/system/highwater-e2e.service \
    "$root/etc/systemd/system/multi-user.target.wants/highwater-e2e.service"
echo host >"$root/etc/hostname"
: >"$root/etc/fstab"
# A machine id of its own, so that systemd does not take every boot for the first one.
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
# Emulated, every one of these costs a second and proves nothing.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer getty@tty1.service serial-getty@ttyS0.service \
    systemd-timesyncd.service systemd-update-utmp.service systemd-pstore.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done

# A daemon that a package brings is there to be started, not to run.
find "$root/etc/systemd/system" -type l \( -name 'earlyoom*' -o -name 'nohang*' -o -name '*oomd*' \) \
    -delete

# Kernel messages belong to the test: none is dropped for speed.
install -d "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\n' \
    >"$root/etc/systemd/journald.conf.d/highwater-e2e.conf"
mkdir -p "$root/var/log/journal"

cp "$root"/boot/vmlinuz-* "$folder/vmlinuz"
cp "$root"/boot/initrd.img-* "$folder/initrd"
rm -rf "$root"/boot/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* \
    "$root"/usr/share/{locale,doc,man,info} "$root"/initrd.img* "$root"/vmlinuz*
truncate -s "$size" "$folder/root.raw.part"
mkfs.ext4 -q -F -L root -d "$root" "$folder/root.raw.part"
rm -rf "$root"
# The last step makes the name: an image that was cut short is not an image.
mv "$folder/root.raw.part" "$folder/root.raw"
