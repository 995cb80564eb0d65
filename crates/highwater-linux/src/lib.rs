//! Reading the kernel: /proc, /sys, cgroups v1 and v2, pressure, kmsg.
