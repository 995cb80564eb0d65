//! What can be wrong with a configuration, said so that it can be put right.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read, or is not text.
    #[error("cannot read the configuration {path:?}: {cause}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The file is no configuration that anybody wrote.
    #[error("the configuration {path:?} has more than {most} bytes: is it the right file?")]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// How many bytes it may have.
        most: u64,
    },
    /// What it says cannot be; one line for each fault.
    #[error("{}", lines(.0))]
    Faults(Vec<Fault>),
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, as it was called.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub wrong: Wrong,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is not TOML.
    Syntax {
        /// What the parser says.
        why: String,
    },
    /// There is no such key or section.
    UnknownKey {
        /// Its path, as in `sample.every`.
        path: String,
        /// What was probably meant.
        meant: Option<&'static str>,
    },
    /// A key's name was given a section, or a section's name a value.
    Misplaced {
        /// Its path.
        path: String,
        /// How it is written.
        write: String,
    },
    /// The key cannot have this value.
    BadValue {
        /// The key's path.
        path: String,
        /// The value as it stands in the file, escaped and cut.
        value: String,
        /// Why it cannot be.
        why: String,
        /// What can be.
        allowed: String,
    },
    /// A receiver lacks something, or its keys contradict each other.
    Receiver {
        /// What it is, as in `slack`.
        kind: &'static str,
        /// What is wrong with it, and what to write.
        why: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, wrong } = self;
        match wrong {
            Wrong::Syntax { why } => write!(f, "no TOML in {file} line {line}: {why}"),
            Wrong::UnknownKey { path, meant } => {
                write!(f, "unknown key \"{path}\" in {file} line {line}")?;
                match meant {
                    Some(meant) => write!(f, "; did you mean \"{meant}\"?"),
                    None => Ok(()),
                }
            }
            Wrong::Misplaced { path, write: right } => {
                write!(f, "misplaced \"{path}\" in {file} line {line}: write {right}")
            }
            Wrong::BadValue { path, value, why, allowed } => write!(
                f,
                "bad value {value} of \"{path}\" in {file} line {line}: {why}; allowed is {allowed}"
            ),
            Wrong::Receiver { kind, why } => {
                write!(f, "[[notify.{kind}]] in {file} line {line} cannot be: {why}")
            }
        }
    }
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n")
}
