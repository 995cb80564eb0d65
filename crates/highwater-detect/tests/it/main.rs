//! Whole courses, made by rules that are written down here, and what they are judged to be.

mod calm;
mod courses;
mod incidents;
mod laws;
