//! Log envelopes: dmesg, kmsg, journal.
