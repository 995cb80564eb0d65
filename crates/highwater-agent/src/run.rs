//! Starting the agent, changing its mind, and ending it cleanly.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use highwater_core::event::Event;
use highwater_core::frame::Frame;
use highwater_core::testimony::Witness;
use highwater_core::time::{BootId, Stamp};
use highwater_linux::facts::HostFacts;
use highwater_linux::kmsg::Kmsg;
use highwater_linux::psi::{Threshold, Trigger};
use highwater_linux::root::Root;
use highwater_linux::sampler::Sampler;
use highwater_linux::survey::SurveyConfig;
use highwater_owners::Directory;
use highwater_store::StoreError;
use rustix::fs::Mode;

use crate::board::Board;
use crate::census::Census;
use crate::clock;
use crate::config::Config;
use crate::coroner::Coroner;
use crate::crew::{Crew, thread};
use crate::feed::{Feed, feed};
use crate::growth;
use crate::herald::Herald;
use crate::keeper::Keeper;
use crate::notice::Status;
use crate::own::Mirror;
use crate::place::{Place, PlaceError, option_for};
use crate::plan;
use crate::policy::Policy;
use crate::privilege;
use crate::pulse::{Pulse, Rhythm};
use crate::recorder::{Entry, Past, Recorder, Terms, lifecycle};
use crate::rounds::{Candidates, Rounds};
use crate::rules;
use crate::thrift::Thrift;
use crate::watcher::{CURSOR, Watcher};
use crate::witness::{self, Outlet};

/// How many frames go round between the pulse and the recorder: two seconds of close-ups, for a
/// store that has to wait for its disk.
const FRAMES: usize = 8;

/// How many changes of the configuration wait for the survey.
const PLANS: usize = 4;

/// How many entries wait for the recorder: every frame, and a few batches of deaths.
const ENTRIES: usize = FRAMES + 8;

/// The agent could not start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No data directory.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The store in it cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The machine cannot be read at all.
    #[error("cannot read /proc: {0}; is it mounted, and visible to this user?")]
    Proc(io::Error),
    /// The kernel refused a thread or a descriptor.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// What the agent found out about its own sight when it started.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// What is recorded, in short phrases.
    pub records: Vec<String>,
    /// What is not, and what it would take.
    pub blind: Vec<String>,
}

/// The running agent. Dropping it without [`Agent::stop`] leaves its threads to the end of the
/// process.
#[derive(Debug)]
pub struct Agent {
    place: Place,
    crew: Crew,
    rhythm: Arc<Mutex<Rhythm>>,
    entries: Feed,
    plans: SyncSender<Option<SurveyConfig>>,
    growth: Arc<Mutex<growth::Plan>>,
    rules: Arc<Mutex<rules::Plan>>,
    recorder: JoinHandle<()>,
    boot: BootId,
    findings: Findings,
}

impl Agent {
    /// Starts recording this machine into `dir`.
    pub fn start(root: &Root, dir: &Path, config: &Config) -> Result<Self, AgentError> {
        keep_private();
        let place = Place::claim(dir)?;
        let facts = HostFacts::read(root);
        let boot = facts.boot_id.ok_or_else(|| AgentError::Proc(no_boot_id()))?;
        let board = Arc::new(Board::of(config.sample.every));
        let terms = plan::terms(config, place.dir());
        let now = clock::now();
        let (place, mut keeper) = open(place, boot, &board, &terms, now)?;
        let mut findings = ask_for_privileges(root, config);
        let sampler = sampler(root, &facts, config, &mut findings)?;
        let (entries, inbox) = feed(ENTRIES, &board);
        let (back, used) = frames();
        keeper.events(beginning(dir, boot, now), None, now);
        let mut crew = Crew::new(&board);
        watch_kernel(root, config, boot, read_up_to(&keeper, boot), &entries, &mut crew)?;
        let rhythm = Arc::new(Mutex::new(plan::rhythm(config)));
        let pulse = Pulse {
            sampler,
            rhythm: Arc::clone(&rhythm),
            pressure: open_trigger(root, &mut findings),
            entries: entries.clone(),
            used,
            spare: None,
            beat: beat(),
            blind: false,
            board: Arc::clone(&board),
            stop: crew.stop_signal()?,
        };
        crew.add_ready("pulse", move || pulse.run())?;
        let candidates = Candidates::default();
        let (plans, new_plans) = sync_channel(PLANS);
        let rounds = Rounds {
            root: root.clone(),
            plan: plan::survey(config, place.dir()),
            plans: new_plans,
            candidates: Arc::clone(&candidates),
            entries: entries.clone(),
            board: Arc::clone(&board),
            stop: crew.stop_signal()?,
        };
        crew.add_ready("survey", move || rounds.run())?;
        let growth = watch_growth(config, place.dir(), boot, &entries, &mut crew)?;
        let rules = evaluate_rules(config, &keeper, place.dir(), &entries, &mut crew)?;
        let directory = Arc::<Directory>::default();
        let outlet = Outlet::new(boot, entries.clone(), Arc::clone(&board), Arc::clone(&directory));
        let heard = |name: &str| keeper.cursor(name).map(|cursor| cursor.seq);
        witness::listen(root, place.dir(), config, &heard, &outlet, &mut crew)?;
        witness::find(&board, &mut findings);
        let mut recorder = Recorder {
            keeper,
            board: Arc::clone(&board),
            terms: terms.clone(),
            census: Census::default(),
            policy: Policy::new(terms.bounds, facts.ticks_per_second),
            thrift: Thrift::default(),
            mirror: Mirror::new(root, &facts),
            candidates,
            used: back,
            ticks_per_second: facts.ticks_per_second,
            herald: Herald::new(now, option_for(place.dir())),
            notice: place.notice().map_err(AgentError::Thread)?,
            coroner: Coroner::default(),
            directory,
            boot,
            past: Past::default(),
        };
        recorder.come_to(terms);
        let recorder = thread("recorder", &board, move || recorder.run(&inbox))?;
        Ok(Self { place, crew, rhythm, entries, plans, growth, rules, recorder, boot, findings })
    }

    /// Where the data goes.
    pub fn dir(&self) -> PathBuf {
        self.place.dir().to_owned()
    }

    /// What is shown to the page.
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(self.crew.board())
    }

    /// What the agent can see and what it cannot.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Goes on by another configuration. What is opened once (the page's address, the privileges,
    /// the kernel's messages) stays until a restart.
    pub fn reload(&self, config: &Config) {
        self.crew.board().set_every(config.sample.every);
        *self.rhythm.lock().unwrap_or_else(PoisonError::into_inner) = plan::rhythm(config);
        *self.growth.lock().unwrap_or_else(PoisonError::into_inner) = plan::growth(config);
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        *rules = plan::rules(config, rules.turn.wrapping_add(1));
        drop(rules);
        let dir = self.place.dir();
        let _stopped = self.entries.send(Entry::Terms(Box::new(plan::terms(config, dir))));
        // With so many changes within one round of the survey, one of the earlier ones is as good.
        let _full = self.plans.try_send(plan::survey(config, dir));
    }

    /// Ends every thread, the recorder last, so that what is queued is written.
    pub fn stop(self) {
        self.crew.stop();
        let now = clock::now();
        let ended = lifecycle(now, self.boot, "stopped", "the recorder stopped");
        let _gone = self.entries.send(Entry::Events(vec![ended], None));
        let _gone = self.entries.send(Entry::Stop);
        let _panicked = self.recorder.join();
    }
}

/// What reads this machine, and what it cannot see.
fn sampler(
    root: &Root,
    facts: &HostFacts,
    config: &Config,
    findings: &mut Findings,
) -> Result<Sampler, AgentError> {
    let sampler =
        Sampler::new(root, facts.clone(), plan::sampler(config)).map_err(AgentError::Proc)?;
    see(&sampler, config, findings);
    Ok(sampler)
}

/// How often systemd is told that all is well: half of what it allows, as `sd_watchdog_enabled(3)`
/// advises.
fn beat() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|most| most / 2)
}

/// The last line of the kernel's log that was read in this boot.
fn read_up_to(keeper: &Keeper, boot: BootId) -> Option<u64> {
    keeper.cursor(CURSOR).filter(|at| at.boot_id == boot).map(|at| at.seq)
}

/// Reads the kernel's messages on a thread of their own, from after the message `after` on.
fn watch_kernel(
    root: &Root,
    config: &Config,
    boot: BootId,
    after: Option<u64>,
    entries: &Feed,
    crew: &mut Crew,
) -> Result<(), AgentError> {
    let Some(kmsg) = open_kmsg(root, config, crew.board()) else { return Ok(()) };
    let (entries, board) = (entries.clone(), Arc::clone(crew.board()));
    board.counts().kmsg_ok.store(true, Ordering::Relaxed);
    crew.add("watcher", move |stop| Watcher { kmsg, boot, after, entries, board, stop }.run())
}

/// Looks for what grows, on a thread of its own, where there is a program that can.
fn watch_growth(
    config: &Config,
    dir: &Path,
    boot: BootId,
    entries: &Feed,
    crew: &mut Crew,
) -> Result<Arc<Mutex<growth::Plan>>, AgentError> {
    let plan = Arc::new(Mutex::new(plan::growth(config)));
    if let Some(program) = config.program.clone() {
        let (entries, board) = (entries.clone(), Arc::clone(crew.board()));
        let (dir, shared) = (dir.to_owned(), Arc::clone(&plan));
        crew.add("growth", move |stop| {
            growth::Watch { program, dir, plan: shared, boot, entries, board, stop }.run();
        })?;
    }
    Ok(plan)
}

/// Evaluates rules, on a thread of its own.
fn evaluate_rules(
    config: &Config,
    keeper: &Keeper,
    dir: &Path,
    entries: &Feed,
    crew: &mut Crew,
) -> Result<Arc<Mutex<rules::Plan>>, AgentError> {
    let plan = Arc::new(Mutex::new(plan::rules(config, 0)));
    let (entries, board) = (entries.clone(), Arc::clone(crew.board()));
    let (dir, shared, standing) = (dir.to_owned(), Arc::clone(&plan), keeper.standing());
    crew.add_deep("rules", move |stop| {
        rules::Watch { dir, plan: shared, standing, entries, board, stop }.run();
    })?;
    Ok(plan)
}

/// Opens the store of `place`. A directory whose database is not the recorder's is left as it was.
fn open(
    place: Place,
    boot: BootId,
    board: &Arc<Board>,
    terms: &Terms,
    now: Stamp,
) -> Result<(Place, Keeper), AgentError> {
    match Keeper::open(place.dir().to_owned(), boot, Arc::clone(board), terms.keep, now) {
        Ok(keeper) => Ok((place, keeper)),
        Err(error) => {
            place.abandon();
            Err(error.into())
        }
    }
}

/// The events that a recorder in `dir` begins with: what the one before it could not write, as far
/// as that one left word of it, and the start.
fn beginning(dir: &Path, boot: BootId, now: Stamp) -> Vec<Event> {
    let lost = Status::read(dir).and_then(|status| status.unwritten()).map(|note| {
        crate::log::say(&note);
        lifecycle(now, boot, "missed", &note)
    });
    let started = lifecycle(now, boot, "started", "the recorder started");
    lost.into_iter().chain([started]).collect()
}

/// The frames that go round, and the way back to the pulse.
fn frames() -> (SyncSender<Box<Frame>>, Receiver<Box<Frame>>) {
    let (back, used) = sync_channel(FRAMES);
    for _ in 0..FRAMES {
        // The channel was made for as many.
        let _room = back.try_send(Box::default());
    }
    (back, used)
}

/// What is recorded names every process of every user, and the kernel's own words: files that the
/// agent makes are for its user and group.
fn keep_private() {
    rustix::process::umask(Mode::from_raw_mode(0o027));
}

fn ask_for_privileges(root: &Root, config: &Config) -> Findings {
    let own = &config.agent;
    let locked = if own.lock_memory { privilege::lock_memory() } else { Ok(()) };
    let last = privilege::be_killed_last(root, own.oom_score_adj);
    let blind = [locked, last].into_iter().filter_map(Result::err).collect();
    Findings { records: Vec::new(), blind }
}

fn see(sampler: &Sampler, config: &Config, findings: &mut Findings) {
    let every = highwater_core::time::Span(config.sample.every);
    findings.records.push(format!("the machine and its processes every {every}"));
    match &sampler.blindness().cgroups {
        None => {
            let close = highwater_core::time::Span(config.sample.close_up_every);
            let what = format!("its memory cgroups, every {close} near a limit");
            findings.records.push(what);
        }
        Some(why) => findings.blind.push(format!("cgroups: {why}")),
    }
    if config.survey.enabled {
        let every = highwater_core::time::Span(config.survey.every);
        findings.records.push(format!("slabs, disks, large logs and mappings every {every}"));
    }
    match sampler.blindness().refused_processes {
        0 => {}
        some => findings.blind.push(format!(
            "the open files of {some} {} of other users: needs root or CAP_SYS_PTRACE",
            if some == 1 { "process" } else { "processes" }
        )),
    }
}

fn open_kmsg(root: &Root, config: &Config, board: &Board) -> Option<Kmsg> {
    if !config.kmsg.enabled {
        board.gallery().set(Witness::Kmsg, Some("switched off (kmsg.enabled = false)".to_owned()));
        return None;
    }
    match Kmsg::open(root) {
        Ok(kmsg) => {
            board.gallery().set(Witness::Kmsg, None);
            Some(kmsg)
        }
        Err(error) => {
            board.gallery().set(Witness::Kmsg, Some(error.to_string()));
            None
        }
    }
}

fn open_trigger(root: &Root, findings: &mut Findings) -> Option<Trigger> {
    match Trigger::register(root, "proc/pressure/memory", Threshold::EARLY) {
        Ok(trigger) => Some(trigger),
        Err(error) => {
            findings.blind.push(format!("no wake-up by memory pressure: {error}"));
            None
        }
    }
}

fn no_boot_id() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "no boot id in /proc/sys/kernel/random/boot_id")
}
