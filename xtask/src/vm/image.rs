//! The guest's disk, kernel and initial file system, built once per recipe.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::clock;
use crate::repo;

/// What the image is made of: all of it is hashed into its name.
const RECIPE: &str = include_str!("image.sh");
const RUN: &str = include_str!("guest/run.sh");
const UNIT: &str = include_str!("guest/highwater-e2e.service");

/// The release that the recipe installs.
const SUITE: &str = "bookworm";

/// A bootable machine.
#[derive(Debug)]
pub(crate) struct Image {
    folder: PathBuf,
}

impl Image {
    /// The image of this recipe with these packages more; builds it if this is the first time.
    pub(crate) fn ready(packages: &[&str]) -> anyhow::Result<Self> {
        let images = repo::target().join("vm");
        let folder = images.join(format!("{:016x}", fingerprint(packages)));
        if !folder.join("root.raw").is_file() {
            build(&images, &folder, packages)?;
        }
        Ok(Self { folder })
    }

    pub(super) fn root(&self) -> PathBuf {
        self.folder.join("root.raw")
    }

    pub(super) fn kernel(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    pub(super) fn initrd(&self) -> PathBuf {
        self.folder.join("initrd")
    }
}

fn fingerprint(packages: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (RECIPE, RUN, UNIT, packages).hash(&mut hasher);
    hasher.finish()
}

/// Builds beside the final place and moves: an image that was cut short is not an image.
fn build(images: &Path, folder: &Path, packages: &[&str]) -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("the image is made by debootstrap, which needs root");
    }
    let mirror = mirror()?;
    let part = images.join(format!("part-{}", std::process::id()));
    fs::create_dir_all(&part)?;
    let script = part.join("image.sh");
    fs::write(&script, RECIPE)?;
    let guest = part.join("guest");
    fs::create_dir_all(&guest)?;
    fs::write(guest.join("run.sh"), RUN)?;
    fs::write(guest.join("highwater-e2e.service"), UNIT)?;
    println!("building the guest's image (once per recipe)");
    let begun = clock::now();
    let mut recipe = Command::new("bash");
    recipe.arg(script).arg(&part).arg(mirror).arg(&guest).arg(packages.join(","));
    let made = repo::succeed(&mut recipe);
    let moved = made.and_then(|_| {
        fs::rename(&part, folder).with_context(|| format!("cannot make {}", folder.display()))
    });
    if moved.is_err() {
        // The first error is the one to tell.
        let _left = fs::remove_dir_all(&part);
    }
    println!("built in {} s", begun.elapsed().as_secs());
    moved
}

/// Where this machine's packages come from: the guest's come from there too.
fn mirror() -> anyhow::Result<String> {
    let format = "$(REPO_URI) $(RELEASE)";
    let mut apt = Command::new("apt-get");
    apt.args(["indextargets", "--format", format, "Created-By: Packages"]);
    let sources = repo::succeed(&mut apt)?;
    mirror_in(&String::from_utf8_lossy(&sources))
        .with_context(|| format!("apt knows no mirror of Debian {SUITE}; add it to the sources"))
}

fn mirror_in(sources: &str) -> Option<String> {
    let mut pairs = sources.lines().filter_map(|line| line.split_once(' '));
    pairs.find(|(_, release)| *release == SUITE).map(|(uri, _)| uri.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_that_of_the_release_itself() {
        let sources = "http://one.example/debian-security/ bookworm-security\n\
                       http://two.example/debian/ bookworm\n";
        assert_eq!(mirror_in(sources).as_deref(), Some("http://two.example/debian/"));
        assert_eq!(mirror_in("http://one.example/ trixie\n"), None);
    }
}
