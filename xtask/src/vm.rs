//! A real systemd machine with cgroup v2, made from Debian packages and emulated by qemu.
//!
//! ```text
//! Image::ready ── root.raw, vmlinuz, initrd   built once per recipe, never written again
//!      │
//! Vm::run(Payload) ── boots a snapshot ── the guest runs the payload's script ── VmRun
//!         payload disk (ext4, read only) ──┘                results disk (a tar) ──┘
//! ```
//!
//! Emulated rather than accelerated: the same everywhere, also where /dev/kvm is absent or only
//! pretends.

mod boot;
mod image;

pub(crate) use boot::{Hardware, Payload, Vm, VmRun};
pub(crate) use image::Image;
