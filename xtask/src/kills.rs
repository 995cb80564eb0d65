//! `cargo xtask capture-oom`: real kernels kill, and what they say about it becomes fixtures.
//!
//! ```text
//! guest/prelude.sh + guest/SCENE.sh ── a machine of the scene's hardware ── NAME.txt   the log
//!                                                                         NAME.did   what was done
//! ```
//!
//! The logs come with other pids each time, so they land in a folder of their own. Who moves one to
//! fixtures/oom writes its expected facts from NAME.did and from the log, by hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::repo;
use crate::vm::{Hardware, Payload, Vm};

/// In front of each script: the victims, and how words are kept.
const PRELUDE: &str = include_str!("kills/guest/prelude.sh");

/// Where a log of a whole boot begins to be the report.
const REPORT: &str = "invoked oom-killer";

/// What is captured.
#[derive(Debug, clap::Args)]
pub(crate) struct CaptureOom {
    /// The scenes, all of them when none is named.
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(SCENES.iter().map(|scene| scene.name)))]
    scenes: Vec<String>,
    /// The folder to fill, which is target/oom when none is named.
    #[arg(long)]
    to: Option<PathBuf>,
}

/// Several kills in one go.
struct Scene {
    name: &'static str,
    stage: Stage,
    script: &'static str,
}

/// Where a scene is played.
enum Stage {
    /// In a machine, to the end of the script.
    Machine(Hardware),
    /// In a machine that panics: only its serial console tells, and the scene is one log.
    Crash(Hardware),
    /// On this machine, by its own kernel.
    Here,
}

/// A machine with enough of everything.
const AMPLE: Hardware = Hardware { nodes_mib: &[1024], kernel: "quiet", packages: &[] };

/// Enough for systemd and little else.
const SHORT_MIB: u32 = 256;

const SCENES: &[Scene] = &[
    Scene {
        name: "formats",
        stage: Stage::Machine(AMPLE),
        script: include_str!("kills/guest/formats.sh"),
    },
    Scene {
        name: "units",
        stage: Stage::Machine(AMPLE),
        script: include_str!("kills/guest/units.sh"),
    },
    Scene {
        name: "machine",
        stage: Stage::Machine(Hardware { nodes_mib: &[SHORT_MIB], ..AMPLE }),
        script: include_str!("kills/guest/machine.sh"),
    },
    Scene {
        name: "nodes",
        stage: Stage::Machine(Hardware { nodes_mib: &[SHORT_MIB, SHORT_MIB], ..AMPLE }),
        script: include_str!("kills/guest/nodes.sh"),
    },
    Scene {
        name: "hybrid",
        stage: Stage::Machine(Hardware {
            kernel: "quiet systemd.unified_cgroup_hierarchy=0",
            ..AMPLE
        }),
        script: include_str!("kills/guest/hybrid.sh"),
    },
    Scene {
        name: "daemons",
        stage: Stage::Machine(Hardware {
            nodes_mib: &[512],
            kernel: "quiet psi=1",
            packages: &["earlyoom", "nohang", "systemd-oomd"],
        }),
        script: include_str!("kills/guest/daemons.sh"),
    },
    Scene {
        name: "v2-panic",
        stage: Stage::Crash(AMPLE),
        script: include_str!("kills/guest/panic.sh"),
    },
    Scene {
        name: "containers",
        stage: Stage::Here,
        script: include_str!("kills/here/containers.sh"),
    },
    // The last, for the kernel may try longer than anybody waits.
    Scene {
        name: "kernel",
        stage: Stage::Machine(Hardware { nodes_mib: &[SHORT_MIB], ..AMPLE }),
        script: include_str!("kills/guest/kernel.sh"),
    },
];

impl CaptureOom {
    /// Plays the scenes one after the other.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let to = self.to.clone().unwrap_or_else(|| repo::target().join("oom"));
        fs::create_dir_all(&to)?;
        let wanted = |name| self.scenes.is_empty() || self.scenes.iter().any(|scene| scene == name);
        for scene in SCENES.iter().filter(|scene| wanted(scene.name)) {
            let kept = scene.play(&to).with_context(|| format!("the scene {}", scene.name))?;
            for name in kept {
                println!("{}: {name}", scene.name);
            }
        }
        println!("in {}", to.display());
        Ok(())
    }
}

impl Scene {
    /// Plays it and keeps its files in `to`; returns their names.
    fn play(&self, to: &Path) -> anyhow::Result<Vec<String>> {
        let folder = format!("kills-{}", self.name);
        let script = format!("{PRELUDE}\n{}", self.script);
        let payload = Payload { files: &[], script: &script };
        match self.stage {
            Stage::Machine(hardware) => {
                let run = Vm::of(&folder, hardware)?.run(&payload)?;
                ensure!(run.code == 0, "the script ended with {}", run.code);
                keep(&run.results, to)
            }
            Stage::Crash(hardware) => {
                let console = Vm::of(&folder, hardware)?.crash(&payload)?;
                let name = format!("{}.txt", self.name);
                fs::write(to.join(&name), report(&console)?)?;
                Ok(vec![name])
            }
            Stage::Here => {
                let results = repo::target().join("vm").join(folder);
                fs::create_dir_all(&results)?;
                let mut bash = Command::new("bash");
                bash.arg("-c").arg(self.script).env("RESULTS", &results);
                repo::succeed(&mut bash)?;
                keep(&results, to)
            }
        }
    }
}

/// Copies what a script left; returns the names.
fn keep(results: &Path, to: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for file in results.read_dir()? {
        let file = file?;
        fs::copy(file.path(), to.join(file.file_name()))?;
        names.push(file.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The console's log from the report on.
fn report(console: &[u8]) -> anyhow::Result<String> {
    let console = String::from_utf8_lossy(console);
    let at = console.find(REPORT).context("the console shows no report")?;
    let line = console.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
    Ok(console.get(line..).unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_the_rest_of_the_console() {
        let console = b"boot\r\n[ 2.0] x invoked oom-killer: y\r\n[ 2.1] Kernel panic\r\n";
        let kept = report(console).unwrap();
        assert_eq!(kept, "[ 2.0] x invoked oom-killer: y\r\n[ 2.1] Kernel panic\r\n");
        assert!(report(b"boot\r\n").is_err());
    }

    #[test]
    fn each_scene_has_a_name_of_its_own() {
        let mut names: Vec<_> = SCENES.iter().map(|scene| scene.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SCENES.len());
    }
}
