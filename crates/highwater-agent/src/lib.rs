//! The daemon: threads, queues, configuration.
