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

mod aside;
mod batch;
mod bucket;
mod check;
mod chunks;
pub mod codec;
mod compact;
mod crc;
mod encode;
mod entity;
pub mod era;
mod error;
mod event;
mod export;
mod extremes;
mod import;
mod latest;
mod maintain;
mod migrate;
mod pen;
mod reader;
mod registry;
mod retain;
mod round;
mod schema;
mod seal;
mod select;
mod source;
mod store;
pub mod tick;

pub use aside::SetAside;
pub use batch::Tier;
pub use check::{CheckProgress, CheckReport, DamagedRow};
pub use entity::{Facts, Group, Scope};
pub use error::StoreError;
pub use event::{Cursor, EventFilter, StoredEvent};
pub use export::{CopyProgress, Exported};
pub use extremes::{Bound, Extreme};
pub use import::{Import, ImportProgress, Imported, SeriesId};
pub use maintain::{Keep, Maintained, Size, Work};
pub use pen::Pen;
pub use reader::{Boot, ClockStep, EventTally, GroupTally, Info, LastTick, Level, Reader};
pub use round::Round;
pub use schema::{FILE_NAME, SCHEMA_VERSION};
pub use select::known::KnownMetric;
pub use select::stream::Stream;
pub use select::whole::Told;
pub use store::{Appended, Store};
