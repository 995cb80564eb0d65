//! History on disk: frames and events in, series out, in one SQLite file.
//!
//! The only room that writes data files. It keeps raw samples and the kernel's own words; rates,
//! totals and meanings are worked out by whoever reads. It knows no clock and starts no thread.
//!
//! ```text
//! Frame ─ Store::append ─┐                      ┌─ Reader::select ─ Series
//!                        ├─ DIR/highwater.db ───┤
//! Event ─ Store::record ─┘                      └─ Reader::events ─ StoredEvent
//! ```
//!
//! The format is drawn in `docs/formats/store.md`.

mod entity;
mod error;
mod event;
mod reader;
mod registry;
mod schema;
mod select;
mod store;
pub mod tick;

pub use entity::{Facts, Group};
pub use error::StoreError;
pub use event::{Cursor, EventFilter, StoredEvent};
pub use reader::{Boot, Info, LastTick, Reader};
pub use schema::{FILE_NAME, SCHEMA_VERSION};
pub use store::{Appended, Forgotten, Store};
