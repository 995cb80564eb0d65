-- Schema 4 of highwater.db, explained in docs/formats/store.md.
-- A column `crc` is the CRC-32 of the row's other columns, so that a byte that flipped is seen.

CREATE TABLE boot (
  id       INTEGER PRIMARY KEY,
  boot_id  TEXT NOT NULL UNIQUE,  -- 32 hexadecimal digits
  first_ms INTEGER NOT NULL,      -- wall clock when first seen
  crc      INTEGER NOT NULL
) STRICT;

CREATE TABLE era (                -- recording within a boot, under one setting of the wall clock
  id       INTEGER PRIMARY KEY,
  boot     INTEGER NOT NULL,
  first_ms INTEGER NOT NULL,      -- wall and boot clock at its first tick
  first_us INTEGER NOT NULL,
  last_ms  INTEGER,               -- and at its last one, once another era has begun
  last_us  INTEGER,
  crc      INTEGER NOT NULL
) STRICT;

CREATE TABLE metric (
  id   INTEGER PRIMARY KEY,       -- given once to a name, for good
  grp  TEXT NOT NULL,             -- machine, zone, cgroup, process, owner, thing
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,             -- gauge, counter
  help TEXT NOT NULL,
  crc  INTEGER NOT NULL
) STRICT;

CREATE TABLE entity (
  id       INTEGER PRIMARY KEY,
  grp      TEXT NOT NULL,
  boot     INTEGER NOT NULL,      -- boot.id of a process, 0 of anything else
  facts    TEXT NOT NULL,         -- what never changes about it, as JSON
  first_ms INTEGER NOT NULL,
  last_ms  INTEGER NOT NULL,      -- at most ten minutes before its last sample
  key      INTEGER NOT NULL,      -- CRC-32 of grp, boot and facts, to find it by
  crc      INTEGER NOT NULL
) STRICT;
CREATE INDEX entity_key ON entity (key);

CREATE TABLE tick (               -- what is not sealed yet
  id      INTEGER PRIMARY KEY,    -- in the order of recording
  at_ms   INTEGER NOT NULL,       -- wall clock, moved on until it is later than the one before
  era     INTEGER NOT NULL,
  boot_us INTEGER NOT NULL,
  scope   INTEGER NOT NULL,       -- 0 everything, 1 a close-up, 2 a survey
  crc     INTEGER NOT NULL,       -- of the columns before it; blobs have their own
  machine BLOB,                   -- tick blobs
  zone    BLOB,
  cgroup  BLOB,
  process BLOB,
  owner   BLOB,
  thing   BLOB
) STRICT;

CREATE TABLE batch (              -- moments, and what was sampled at them
  id       INTEGER PRIMARY KEY,   -- in the order of recording, within its tier and level
  tier     INTEGER NOT NULL,      -- 0 as sampled; 60, 600: buckets of so many seconds
  level    INTEGER NOT NULL,      -- 0 sealed, 1 compacted
  grp      TEXT NOT NULL,
  scope    INTEGER NOT NULL,
  era      INTEGER NOT NULL,
  first_ms INTEGER NOT NULL,
  last_ms  INTEGER NOT NULL,
  points   INTEGER NOT NULL,      -- how many moments
  samples  INTEGER NOT NULL,      -- how many values, and the bytes they take; 0 until it is valid
  bytes    INTEGER NOT NULL,
  state    INTEGER NOT NULL,      -- 0 being made, 1 valid, 2 being deleted
  times    BLOB NOT NULL,         -- the moments
  crc      INTEGER NOT NULL
) STRICT;
CREATE INDEX batch_of ON batch (grp, tier, level, first_ms);
CREATE INDEX batch_state ON batch (state, tier, last_ms);

CREATE TABLE sheet (              -- some series of a batch
  id           INTEGER PRIMARY KEY,
  batch        INTEGER NOT NULL,
  metric       INTEGER NOT NULL,  -- 0: several
  first_entity INTEGER NOT NULL,
  last_entity  INTEGER NOT NULL,
  crc          INTEGER NOT NULL,  -- of the columns before it and of heads; blocks have their own
  heads        BLOB NOT NULL,     -- which series, where their blocks are, their extremes
  body         BLOB NOT NULL      -- blocks, one behind the other
) STRICT;
CREATE INDEX sheet_of ON sheet (metric, batch);
CREATE INDEX sheet_batch ON sheet (batch);

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
  crc     INTEGER NOT NULL,
  UNIQUE (boot, key)
) STRICT;
CREATE INDEX event_at ON event (at_ms);

CREATE TABLE cursor (
  name    TEXT PRIMARY KEY,
  boot_id TEXT NOT NULL,
  seq     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE standing (           -- what the agent goes on from when it is started anew
  id   INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  body TEXT NOT NULL,             -- JSON
  crc  INTEGER NOT NULL
) STRICT;
