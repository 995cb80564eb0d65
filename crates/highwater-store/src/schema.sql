-- Schema 1 of highwater.db, explained in docs/formats/store.md.

CREATE TABLE boot (
  id       INTEGER PRIMARY KEY,
  boot_id  TEXT NOT NULL UNIQUE,  -- 32 hexadecimal digits
  first_ms INTEGER NOT NULL       -- wall clock when first seen
) STRICT;

CREATE TABLE metric (
  id   INTEGER PRIMARY KEY,       -- given once to a name, for good
  grp  TEXT NOT NULL,             -- machine, zone, cgroup, process
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,             -- gauge, counter
  help TEXT NOT NULL
) STRICT;

CREATE TABLE entity (
  id       INTEGER PRIMARY KEY,
  grp      TEXT NOT NULL,
  boot     INTEGER NOT NULL,      -- boot.id of a process, 0 of anything else
  facts    TEXT NOT NULL,         -- what never changes about it, as JSON
  first_ms INTEGER NOT NULL,
  last_ms  INTEGER NOT NULL,      -- at most ten minutes before its last sample
  UNIQUE (grp, facts, boot)
) STRICT;

CREATE TABLE tick (
  at_ms   INTEGER PRIMARY KEY,    -- wall clock, moved on by 1 ms until it is unique
  boot    INTEGER NOT NULL,
  boot_us INTEGER NOT NULL,
  scope   INTEGER NOT NULL,       -- 0 everything, 1 a close-up
  machine BLOB,                   -- tick blobs
  zone    BLOB,
  cgroup  BLOB,
  process BLOB
) STRICT;
CREATE INDEX tick_scope ON tick (scope);

CREATE TABLE event (
  id      INTEGER PRIMARY KEY,
  at_ms   INTEGER NOT NULL,
  boot    INTEGER NOT NULL,
  boot_us INTEGER,
  kind    TEXT NOT NULL,
  key     TEXT NOT NULL,
  pid     INTEGER,
  comm    TEXT,
  cgroup  TEXT,
  body    TEXT NOT NULL,          -- JSON
  UNIQUE (boot, key)
) STRICT;
CREATE INDEX event_at ON event (at_ms);

CREATE TABLE cursor (
  name    TEXT PRIMARY KEY,
  boot_id TEXT NOT NULL,
  seq     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
