//! Whose a process or cgroup is, and what its owner's manager says of its life.
//!
//! ```text
//! systemd (D-Bus) ─┐
//! journal          │
//! Docker (socket)  ├─ Testimony, names of containers
//! Kubernetes       │
//! audit log        ┘
//! ```
//!
//! Each of these may be missing, refuse or hang: nothing here is waited for by anybody who records.

mod told;

pub use told::{Absent, Heard, Missed, Told, cited, cut};
pub mod audit;
pub mod bundle;
mod directory;
pub mod docker;
pub mod journal;
pub mod kubernetes;
pub mod systemd;

pub use directory::Directory;
