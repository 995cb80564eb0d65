//! From the configuration to what each thread goes by.

use std::path::{Path, PathBuf};

use highwater_core::units::Bytes;
use highwater_linux::sampler::{Nearness, SamplerConfig};
use highwater_linux::survey::{Cadences, SurveyConfig};
use highwater_store::Keep;
use rustix::fs::statvfs;

use crate::config::{self, Config};
use crate::growth;
use crate::policy::Bounds;
use crate::privilege;
use crate::pulse::Rhythm;
use crate::recorder::Terms;
use crate::rules;

/// How often what is looked at.
pub(crate) fn rhythm(config: &Config) -> Rhythm {
    let sample = &config.sample;
    let ticks = sample.slow_every.as_millis() / sample.every.as_millis().max(1);
    Rhythm {
        every: sample.every,
        close_up_every: sample.close_up_every,
        slow_every_ticks: u32::try_from(ticks).unwrap_or(u32::MAX).max(1),
        nearness: Nearness {
            within: sample.close_up_within,
            horizon: sample.close_up_horizon,
            ..SamplerConfig::default().nearness
        },
    }
}

/// The sampler as it starts; raises the limit on open files.
pub(crate) fn sampler(config: &Config) -> SamplerConfig {
    let Rhythm { slow_every_ticks, nearness, .. } = rhythm(config);
    let kept_files = privilege::raise_file_limit(SamplerConfig::default().kept_files);
    SamplerConfig { slow_every_ticks, nearness, kept_files }
}

/// What is kept in `dir`, and what may be used for it.
pub(crate) fn terms(config: &Config, dir: &Path) -> Terms {
    let store = &config.store;
    let keep = Keep {
        raw: store.keep,
        minute: store.keep_minutes,
        ten_minutes: store.keep_ten_minutes,
        budget: store.budget,
        free_floor: store.free_floor.min(tenth_of_disk(dir).unwrap_or(store.free_floor)),
    };
    let bounds = Bounds {
        min_rss: store.process_min_rss,
        min_growth: store.process_min_growth,
        min_age: store.process_min_age,
        most_old: store.old_processes,
        new_a_minute: store.new_processes,
        most: store.processes,
    };
    let (cpu, memory) = (config.agent.cpu_budget, config.agent.memory_budget);
    Terms { keep, bounds, cpu, memory, config: config.file.clone() }
}

/// A floor made for large disks would keep the recorder off a small one altogether.
fn tenth_of_disk(dir: &Path) -> Option<Bytes> {
    let disk = statvfs(dir).ok()?;
    Some(Bytes::new(disk.f_blocks.saturating_mul(disk.f_frsize) / 10))
}

/// How what grows is looked for.
pub(crate) fn growth(config: &Config) -> growth::Plan {
    let wanted = &config.growth;
    growth::Plan { enabled: wanted.enabled, every: wanted.every, cpu: wanted.cpu_budget }
}

/// Which rules are evaluated, and who is told; `turn` tells one reading of them from the next.
pub(crate) fn rules(config: &Config, turn: u64) -> rules::Plan {
    let external_url = config.rules.external_url.trim_end_matches('/').to_owned();
    let rules = config::Rules { external_url, ..config.rules.clone() };
    rules::Plan { rules, notify: config.notify.clone(), turn }
}

/// What the survey reads; `None` where it is switched off.
pub(crate) fn survey(config: &Config, dir: &Path) -> Option<SurveyConfig> {
    let survey = &config.survey;
    // Millionths of a core are microseconds in a second.
    let us_a_second = survey.mappings_an_hour.as_micros() / 3_600;
    let every = survey.every;
    survey.enabled.then(|| SurveyConfig {
        every: Cadences {
            kernel: every / 2,
            pages: every,
            slabs: every,
            disks: every,
            logs: every,
            mappings: every,
            descriptors: every,
            docker: every.saturating_mul(10),
        },
        data_dir: dir.to_owned(),
        log_dirs: survey.log_folders.clone(),
        log_file_least: survey.log_file_least,
        docker_socket: path(&config.witness.docker_socket).filter(|_| survey.docker),
        mappings_ppm: u32::try_from(us_a_second).unwrap_or(u32::MAX),
        ..SurveyConfig::default()
    })
}

/// A path that may be empty, which is none.
pub(crate) fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_configuration_are_those_of_the_rooms() {
        let config = Config::default();
        let dir = Path::new("/");
        let wanted = SurveyConfig { data_dir: dir.to_owned(), ..SurveyConfig::default() };
        assert_eq!(survey(&config, dir), Some(wanted));
        let terms = terms(&config, dir);
        assert_eq!(Keep { free_floor: Keep::default().free_floor, ..terms.keep }, Keep::default());
        assert_eq!(rhythm(&config).nearness, SamplerConfig::default().nearness);
        assert_eq!(rhythm(&config).slow_every_ticks, SamplerConfig::default().slow_every_ticks);
    }

    #[test]
    fn a_small_disk_is_not_all_floor() {
        let mut config = Config::default();
        config.store.free_floor = Bytes::new(u64::MAX);
        let dir = tempfile::tempdir().unwrap();
        assert!(terms(&config, dir.path()).keep.free_floor < Bytes::new(1 << 50));
        config.survey.enabled = false;
        assert_eq!(survey(&config, dir.path()), None);
    }
}
