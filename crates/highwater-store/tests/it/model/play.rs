//! Takes steps in a store and in memory, and has them compared.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater_core::units::Bytes;
use highwater_store::{EventFilter, FILE_NAME, Keep, Reader, Store};
use tempfile::TempDir;

use super::judge;
use super::memory::Memory;
use super::world::{Step, World};
use crate::dice::Dice;

/// When all is compared.
#[derive(Clone, Copy, Debug)]
pub(super) enum Checks {
    Every(usize),
    AtTheEnd,
}

/// What went wrong after so many steps.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) step: usize,
    pub(super) what: String,
}

type Outcome = Result<(), String>;

/// Takes the steps of a seed.
pub(super) fn play(seed: u64, steps: usize, checks: Checks) -> Result<(), Failure> {
    let mut player = Player::new(seed);
    for step in 1..=steps {
        let due = match checks {
            Checks::Every(often) => step.is_multiple_of(often) || step == steps,
            Checks::AtTheEnd => step == steps,
        };
        let taken = player.step().and_then(|()| if due { player.check() } else { Ok(()) });
        if taken.is_err()
            && let Some(to) = std::env::var_os("HIGHWATER_MODEL_KEEP")
        {
            let _made = fs::create_dir_all(&to);
            let (database, wal) = files(&player.dir());
            fs::write(Path::new(&to).join(FILE_NAME), database).unwrap();
            fs::write(Path::new(&to).join(format!("{FILE_NAME}-wal")), wal).unwrap();
        }
        taken.map_err(|what| Failure { step, what })?;
    }
    Ok(())
}

/// A history under way, twice.
struct Player {
    folder: TempDir,
    /// Each crash leaves its directory behind and goes on in another.
    lives: usize,
    store: Option<Store>,
    memory: Memory,
    world: World,
    keep: Keep,
    /// What only the test decides: where a crash cuts, what is asked.
    dice: Dice,
}

impl Player {
    fn new(seed: u64) -> Self {
        let folder = in_memory();
        let hours = |count| Duration::from_hours(count);
        let mut dice = Dice::of(!seed);
        let keep = Keep {
            raw: hours(24 * (1 + dice.below(5))),
            minute: hours(24 * (6 + dice.below(10))),
            ten_minutes: hours(24 * (20 + dice.below(20))),
            budget: Bytes::from_mib(1 << 20),
            free_floor: Bytes::default(),
        };
        let store = Store::open(&folder.path().join("0")).unwrap();
        let (memory, world) = (Memory::new(), World::new(seed));
        Self { folder, lives: 0, store: Some(store), memory, world, keep, dice }
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join(self.lives.to_string())
    }

    fn store(&mut self) -> &mut Store {
        self.store.as_mut().unwrap()
    }

    fn step(&mut self) -> Outcome {
        match self.world.next() {
            Step::Reopen => {
                self.store = None;
                self.open()
            }
            Step::Crash { inside: false } => self.crash(None),
            Step::Crash { inside: true } => {
                let next = loop {
                    match self.world.next() {
                        Step::Crash { .. } | Step::Reopen => {}
                        step => break step,
                    }
                };
                self.crash_inside(&next)
            }
            step => self.take(&step),
        }
    }

    /// Takes a step in both.
    fn take(&mut self, step: &Step) -> Outcome {
        let (boot, now, keep) = (self.world.boot(), self.world.now(), self.keep);
        match step {
            Step::Append(frame) => {
                let stored = self.store().append(frame, boot).map_err(told)?.at.millis();
                same("kept under the moment", stored, self.memory.append(frame, boot))
            }
            Step::Survey(survey) => {
                let stored = self.store().append_survey(survey, boot).map_err(told)?.at.millis();
                same("kept under the moment", stored, self.memory.survey(survey, boot))
            }
            Step::Record(events) => {
                let new = self.store().record(events, None).map_err(told)?;
                same("events that were new", new, self.memory.record(events))
            }
            Step::Maintain { until_done } => {
                self.memory.maintain(now, &keep);
                for _ in 0..10_000 {
                    let done = self.store().maintain(now, &keep).map_err(told)?;
                    same("damage met", done.damaged, 0)?;
                    same("given up for want of room", done.early, false)?;
                    if !done.more || !until_done {
                        return Ok(());
                    }
                }
                Err("there is always more to maintain".to_owned())
            }
            Step::Reopen | Step::Crash { .. } => Ok(()),
        }
    }

    fn open(&mut self) -> Outcome {
        self.store = Some(Store::open(&self.dir()).map_err(told)?);
        Ok(())
    }

    /// The files as they are now become those of the next life, the log cut to so many bytes.
    fn crash(&mut self, log: Option<usize>) -> Outcome {
        let (from, to) = (self.dir(), self.folder.path().join((self.lives + 1).to_string()));
        fs::create_dir(&to).unwrap();
        let (database, mut wal) = files(&from);
        wal.truncate(log.unwrap_or(wal.len()));
        fs::write(to.join(FILE_NAME), database).unwrap();
        fs::write(to.join(format!("{FILE_NAME}-wal")), wal).unwrap();
        self.store = None;
        fs::remove_dir_all(from).unwrap();
        self.lives += 1;
        self.open()
    }

    /// The recorder dies in the middle of a step: the log ends somewhere in what the step wrote.
    fn crash_inside(&mut self, step: &Step) -> Outcome {
        let before = self.memory.clone();
        let (database, wal) = files(&self.dir());
        self.take(step)?;
        let (database_after, wal_after) = files(&self.dir());
        let same_bytes = wal.iter().zip(&wal_after).take_while(|(a, b)| a == b).count();
        // Where the step moved the log into the database, it had the log on the disk by then.
        let cut = (database == database_after && same_bytes < wal_after.len())
            .then(|| same_bytes + self.dice.place(wal_after.len() - same_bytes));
        self.crash(cut)?;
        let reader = Reader::open(&self.dir()).map_err(told)?;
        let lost = match step {
            Step::Append(_) | Step::Survey(_) => {
                let last = reader.last_tick().map_err(told)?;
                let last = last.map(|tick| (tick.wall.millis(), tick.boot_id));
                let (with, without) = (self.memory.last_tick(), before.last_tick());
                if last != with && last != without {
                    return Err(format!("the last tick is {last:?}, not {with:?} or {without:?}"));
                }
                last != with
            }
            Step::Record(_) => {
                let stored = reader.events(&EventFilter::default()).map_err(told)?.len();
                let (with, without) = (self.memory.events.len(), before.events.len());
                if stored != with && stored != without {
                    return Err(format!("{stored} events, not {with} or {without}"));
                }
                stored != with
            }
            _ => false,
        };
        if lost {
            self.memory = before;
        }
        Ok(())
    }

    fn check(&mut self) -> Outcome {
        let reader = Reader::open(&self.dir()).map_err(told)?;
        judge::compare(&reader, &self.memory, self.world.now(), &mut self.dice)?;
        same("caveats", reader.caveats(), vec![])
    }
}

/// A folder in memory, where there is one: a hundred thousand commits wait for no disk.
fn in_memory() -> TempDir {
    let shared = Path::new("/dev/shm");
    tempfile::tempdir_in(shared).or_else(|_| tempfile::tempdir()).unwrap()
}

fn files(dir: &Path) -> (Vec<u8>, Vec<u8>) {
    let wal = fs::read(dir.join(format!("{FILE_NAME}-wal"))).unwrap_or_default();
    (fs::read(dir.join(FILE_NAME)).unwrap(), wal)
}

pub(super) fn told(error: impl std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

#[expect(clippy::needless_pass_by_value, reason = "both are made for the call")]
pub(super) fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: T, wanted: T) -> Outcome {
    if is == wanted {
        return Ok(());
    }
    Err(format!("{what}: {is:?} instead of {wanted:?}"))
}
