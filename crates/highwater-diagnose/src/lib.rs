//! Verdicts: why a process died, what a machine needs.
