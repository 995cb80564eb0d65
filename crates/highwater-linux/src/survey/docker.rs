//! What Docker uses of the disk: `GET /system/df` of the engine's API, as `docker system df` adds
//! it up.
//!
//! ```text
//!   round ── due? ──► Asking: a thread of its own, a socket, at most a minute
//!   round ── done? ─► the answer's head and body are read here, where the time is counted
//! ```

mod asking;
mod http;

use std::path::Path;
use std::time::Duration;

use highwater_core::thing::names;
use highwater_core::time::BootTime;
use serde::Deserialize;

use super::reading::{Reading, float, label};
use asking::{Asking, Outcome};

/// How long an answer may take: counting the layers of a hundred containers on a slow disk does.
const PATIENCE: Duration = Duration::from_mins(1);

/// How soon a silent Docker is asked again, in readings left out: doubled each time, up to this.
const LEFT_OUT_MAX: u32 = 32;

/// The last answer, and what is being asked.
#[derive(Debug, Default)]
pub(super) struct Docker {
    pending: Option<Pending>,
    usage: Option<Usage>,
    blind: Option<String>,
    failures: u32,
    leave_out: u32,
}

/// A question that is under way.
#[derive(Debug)]
struct Pending {
    asking: Asking,
    since: BootTime,
    hung_up: bool,
}

impl Docker {
    /// Begins to ask, unless an answer is still awaited or Docker did not answer lately.
    pub(super) fn ask(&mut self, socket: &Path, now: BootTime) {
        if self.pending.is_some() {
            return;
        }
        if self.leave_out > 0 {
            self.leave_out -= 1;
            return;
        }
        if !socket.exists() {
            (self.usage, self.blind) = (None, None);
            return;
        }
        match Asking::begin(socket) {
            Ok(asking) => self.pending = Some(Pending { asking, since: now, hung_up: false }),
            Err(error) => self.fail(format!("docker: its socket cannot be asked: {error}")),
        }
    }

    /// Whether an answer is awaited.
    pub(super) fn is_waiting(&self) -> bool {
        self.pending.is_some()
    }

    /// Fetches the answer if it is there, and tells the last one.
    pub(super) fn tell(&mut self, now: BootTime, reading: &mut Reading) {
        if let Some(pending) = &mut self.pending {
            match pending.asking.outcome() {
                Some(outcome) => {
                    let hung_up = pending.hung_up;
                    self.pending = None;
                    self.hear(if hung_up { Outcome::late() } else { outcome });
                }
                None if now.since(pending.since) > PATIENCE && !pending.hung_up => {
                    pending.asking.hang_up();
                    pending.hung_up = true;
                }
                None => {}
            }
        }
        reading.things.clear();
        reading.blind.clear();
        if let Some(usage) = &self.usage {
            usage.note(reading);
        }
        if let Some(why) = &self.blind {
            reading.blind(why.clone());
        }
    }

    fn hear(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Answer(bytes) => match http::body(&bytes).and_then(|body| parse(&body)) {
                Ok(usage) => {
                    (self.usage, self.blind) = (Some(usage), None);
                    (self.failures, self.leave_out) = (0, 0);
                }
                Err(why) => self.fail(format!("docker: {why}")),
            },
            Outcome::Failed(why) => self.fail(format!("docker: {why}")),
        }
    }

    fn fail(&mut self, why: String) {
        self.usage = None;
        self.blind = Some(why);
        self.failures = self.failures.saturating_add(1);
        self.leave_out = 1_u32.checked_shl(self.failures).unwrap_or(LEFT_OUT_MAX).min(LEFT_OUT_MAX);
    }
}

/// What the four types use together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Usage {
    images: Share,
    containers: Share,
    volumes: Share,
    build_cache: Share,
}

/// What one type uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    count: u64,
    bytes: u64,
    reclaimable: u64,
}

impl Share {
    /// Adds one object. A size of -1 is unknown.
    fn add(&mut self, bytes: i64, reclaimable: bool) {
        let bytes = u64::try_from(bytes).unwrap_or(0);
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        if reclaimable {
            self.reclaimable = self.reclaimable.saturating_add(bytes);
        }
    }
}

impl Usage {
    fn note(&self, reading: &mut Reading) {
        let all = [
            ("images", self.images),
            ("containers", self.containers),
            ("volumes", self.volumes),
            ("build_cache", self.build_cache),
        ];
        for (kind, share) in all {
            let labels = label("type", kind.as_bytes());
            reading.note(&names::DOCKER_DISK, &labels, float(share.bytes));
            reading.note(&names::DOCKER_RECLAIMABLE, &labels, float(share.reclaimable));
            reading.note(&names::DOCKER_OBJECTS, &labels, float(share.count));
        }
    }
}

/// The answer's document, as far as it is needed. Before API 1.52 the objects stand at the top;
/// since then sums do, and the objects only on demand.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Document {
    layers_size: Option<i64>,
    images: Option<Vec<Image>>,
    containers: Option<Vec<Container>>,
    volumes: Option<Vec<Volume>>,
    build_cache: Option<Vec<Record>>,
    image_usage: Option<Sum>,
    container_usage: Option<Sum>,
    volume_usage: Option<Sum>,
    build_cache_usage: Option<Sum>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Sum {
    total_count: u64,
    total_size: i64,
    reclaimable: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Image {
    size: i64,
    shared_size: i64,
    containers: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Container {
    size_rw: i64,
    state: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Volume {
    usage_data: Option<VolumeUsage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct VolumeUsage {
    size: i64,
    ref_count: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Record {
    size: i64,
    in_use: bool,
    shared: bool,
}

fn parse(body: &[u8]) -> Result<Usage, String> {
    let document: Document = serde_json::from_slice(body)
        .map_err(|error| format!("its answer is not understood: {error}"))?;
    Ok(document.usage())
}

impl Document {
    fn usage(&self) -> Usage {
        let or = |sum: &Option<Sum>, share: Share| sum.as_ref().map_or(share, Sum::share);
        Usage {
            images: or(&self.image_usage, self.images()),
            containers: or(&self.container_usage, self.containers()),
            volumes: or(&self.volume_usage, self.volumes()),
            build_cache: or(&self.build_cache_usage, self.build_cache()),
        }
    }

    /// Images share layers: together they take the layers' size, and those that no container uses
    /// could give back what is left of it.
    fn images(&self) -> Share {
        let images = self.images.as_deref().unwrap_or_default();
        let used: i64 = images
            .iter()
            .filter(|image| image.containers != 0 && image.size >= 0 && image.shared_size >= 0)
            .fold(0, |sum, image| sum.saturating_add(image.size.saturating_sub(image.shared_size)));
        let all = self.layers_size.unwrap_or(0);
        Share {
            count: u64::try_from(images.len()).unwrap_or(u64::MAX),
            bytes: u64::try_from(all).unwrap_or(0),
            reclaimable: u64::try_from(all.saturating_sub(used)).unwrap_or(0),
        }
    }

    fn containers(&self) -> Share {
        let mut share = Share::default();
        for container in self.containers.iter().flatten() {
            let alive = matches!(&*container.state, "running" | "paused" | "restarting");
            share.add(container.size_rw, !alive);
        }
        share
    }

    fn volumes(&self) -> Share {
        let mut share = Share::default();
        for volume in self.volumes.iter().flatten() {
            let (size, users) =
                volume.usage_data.as_ref().map_or((-1, 0), |usage| (usage.size, usage.ref_count));
            share.add(size, users == 0);
        }
        share
    }

    /// Shared records are counted where they belong.
    fn build_cache(&self) -> Share {
        let mut share = Share::default();
        for record in self.build_cache.iter().flatten() {
            share.add(if record.shared { 0 } else { record.size }, !record.in_use);
        }
        share
    }
}

impl Sum {
    fn share(&self) -> Share {
        let amount = |bytes| u64::try_from(bytes).unwrap_or(0);
        Share {
            count: self.total_count,
            bytes: amount(self.total_size),
            reclaimable: amount(self.reclaimable),
        }
    }
}

#[cfg(test)]
mod tests;
