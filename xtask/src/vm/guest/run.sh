#!/bin/bash
# Inside the guest: mounts the payload disk, runs its run.sh with $RESULTS to fill, packs that onto
# the results disk, says how it ended on the serial line, and powers off.
exec >/dev/ttyS0 2>&1
echo "highwater-e2e: begin at $(cut -d ' ' -f 1 /proc/uptime) s"
export RESULTS=/run/highwater-e2e/results PAYLOAD=/run/highwater-e2e/payload
mkdir -p "$RESULTS" "$PAYLOAD"
mount -o ro /dev/vdb "$PAYLOAD"
cd /
bash "$PAYLOAD/run.sh"
code=$?
tar -C "$RESULTS" -cf /dev/vdc .
sync
echo "highwater-e2e: end with $code at $(cut -d ' ' -f 1 /proc/uptime) s"
systemctl poweroff --force --force
