//! What a chore borrows of the machine and gives back, however it ends: folders and processes.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use anyhow::Context;

/// A folder of our own. Dropping it removes it with all that is in it.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// One under the system's folder for what is temporary.
    pub(crate) fn fresh(name: &str) -> anyhow::Result<Self> {
        Self::below(&std::env::temp_dir(), name)
    }

    /// One that no other run has, in `parent`.
    pub(crate) fn below(parent: &Path, name: &str) -> anyhow::Result<Self> {
        let folder = parent.join(format!("highwater-{name}-{}", std::process::id()));
        let made = fs::create_dir_all(&folder);
        made.with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is in a folder for what is temporary.
        let _left = fs::remove_dir_all(&self.0);
    }
}

/// A process of our own. Dropping it kills it and waits for its end.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Running {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.spawn();
        let name = || Path::new(command.get_program()).display().to_string();
        Ok(Self(child.with_context(|| format!("cannot run {}; is it installed?", name()))?))
    }
}

impl From<Child> for Running {
    fn from(child: Child) -> Self {
        Self(child)
    }
}

impl Deref for Running {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_borrowed_is_given_back() {
        let folder = Folder::fresh("borrowed").unwrap();
        let place = folder.to_owned();
        fs::write(place.join("file"), "").unwrap();
        let process = Running::start(Command::new("sleep").arg("1000")).unwrap();
        let entry = PathBuf::from(format!("/proc/{}", process.id()));
        assert!(place.is_dir() && entry.exists());
        drop((folder, process));
        assert!(!place.exists() && !entry.exists());
    }
}
