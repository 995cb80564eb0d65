//! What nobody else may see: where it is found, and nothing of it shown.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use highwater_core::text::escape;

/// The most that is read of a file: a hundred times the longest token.
const MOST_BYTES: u64 = 64 * 1024;

/// The bit of a file's mode by which everybody may read it.
const EVERYBODY_READS: u32 = 0o004;

/// Where a secret is found. It is looked up at each use: a file may be written anew meanwhile.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// It is this.
    Plain(String),
    /// The first line of this file.
    File(PathBuf),
    /// The value of this variable of the environment.
    Environment(String),
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the secret from {file}: {cause}")]
    Unreadable {
        /// Which file.
        file: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// There is no such variable, or it is no text.
    #[error("the variable {0} of the environment, which should hold the secret, is not set")]
    Unset(String),
    /// It holds nothing, or what no secret holds.
    #[error("{0} holds no secret: it is empty, or has what cannot be printed")]
    Empty(String),
}

impl Secret {
    /// The secret itself.
    pub fn read(&self) -> Result<String, SecretError> {
        let text = match self {
            Self::Plain(text) => text.clone(),
            Self::Environment(name) => {
                std::env::var(name).map_err(|_| SecretError::Unset(name.clone()))?
            }
            Self::File(path) => {
                let unreadable = |cause| SecretError::Unreadable { file: self.place(), cause };
                let mut text = String::new();
                let file = File::open(path).map_err(unreadable)?;
                file.take(MOST_BYTES).read_to_string(&mut text).map_err(unreadable)?;
                text.lines().next().unwrap_or_default().to_owned()
            }
        };
        let text = text.trim();
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(SecretError::Empty(self.place()));
        }
        Ok(text.to_owned())
    }

    /// The file that it is in, if everybody on this machine may read that.
    pub(crate) fn open_file(&self) -> Option<String> {
        let Self::File(path) = self else { return None };
        let mode = std::fs::metadata(path).ok()?.permissions().mode();
        (mode & EVERYBODY_READS != 0).then(|| self.place())
    }

    /// Where it is found.
    fn place(&self) -> String {
        match self {
            Self::Plain(_) => "the configuration".to_owned(),
            Self::File(path) => escape(path.as_os_str().as_encoded_bytes()).into_owned(),
            Self::Environment(name) => format!("the variable {name}"),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<secret in {}>", self.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_it_is_shown() {
        assert_eq!(
            format!("{:?}", Secret::Plain("hunter2".to_owned())),
            "<secret in the configuration>"
        );
    }

    #[test]
    fn a_file_is_read_anew_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let secret = Secret::File(path.clone());
        assert!(
            secret.read().unwrap_err().to_string().starts_with("cannot read the secret from /")
        );
        std::fs::write(&path, " one \nrest").unwrap();
        assert_eq!(secret.read().unwrap(), "one");
        std::fs::write(&path, "two").unwrap();
        assert_eq!(secret.read().unwrap(), "two");
        std::fs::write(&path, "\n").unwrap();
        assert!(secret.read().unwrap_err().to_string().ends_with("cannot be printed"));
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let error = Secret::Environment("HIGHWATER_NO_SUCH".to_owned()).read().unwrap_err();
        assert!(error.to_string().contains("HIGHWATER_NO_SUCH"));
        assert!(Secret::Environment("PATH".to_owned()).read().is_ok());
    }
}
