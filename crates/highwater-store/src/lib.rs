//! History on disk: samples and events in SQLite.
