//! The repository: where it is, and what cargo builds from it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

/// The top folder.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where what is made goes.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |named| root().join(named))
}

/// How a program is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

/// Builds the program of `package` and says where it is: cargo knows best.
pub(crate) fn build(package: &str, profile: Profile) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).args([
        "build",
        "--quiet",
        "--message-format=json-render-diagnostics",
    ]);
    cargo.args(["--package", package]);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    let built = cargo.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    if !built.status.success() {
        bail!("{package} does not build");
    }
    let messages = String::from_utf8_lossy(&built.stdout);
    executable(&messages, package)
        .with_context(|| format!("cargo built {package} and named no program"))
}

fn executable(messages: &str, package: &str) -> Option<PathBuf> {
    let parsed = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut named = parsed
        .filter(|message| message.pointer("/target/name").and_then(Value::as_str) == Some(package));
    named.find_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
}

/// Runs a command that should succeed, and fails with its words.
pub(crate) fn succeed(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).output();
    let done = done.with_context(|| format!("cannot run {name}; is it installed?"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        bail!("{name} failed ({}): {}", done.status, said.trim());
    }
    Ok(done.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_the_one_of_that_name() {
        let messages = "{\"target\":{\"name\":\"other\"},\"executable\":\"/x/other\"}\nnoise\n\
                        {\"target\":{\"name\":\"tool\"},\"executable\":null}\n\
                        {\"target\":{\"name\":\"tool\"},\"executable\":\"/x/tool\"}";
        assert_eq!(executable(messages, "tool"), Some(PathBuf::from("/x/tool")));
        assert_eq!(executable(messages, "absent"), None);
    }
}
