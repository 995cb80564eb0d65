//! One report of the kernel in every envelope: the same lines come out.

mod envelopes;
