//! Deaths on the machine that runs the test, as the kernel's own witnesses tell them.
//!
//! Without root there is nothing to hear: then the refusal has to say what it takes. tracefs is
//! mounted in a folder of the test's own, which changes nothing for anybody else.

mod deaths;
mod stand;
mod table;
