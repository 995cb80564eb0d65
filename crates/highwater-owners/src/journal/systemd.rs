//! What systemd says, by the id of its message and the fields beside it; by its words where it has
//! none, or where there is nothing but text.
//!
//! The ids are of systemd's `src/systemd/sd-messages.h`, what each means of its message catalogue
//! (`catalog/systemd.catalog.in`), the fields of `src/core/unit.c` and `src/core/job.c`; checked
//! against the journals of systemd 252 in `fixtures/journal`.

use highwater_core::line::JournalFields;
use highwater_core::testimony::{Fact, Party, UnitWord};

use super::{Said, party, status, unit, words};

/// `SD_MESSAGE_UNIT_PROCESS_EXIT`: a process that systemd had started ended (`EXIT_CODE`,
/// `EXIT_STATUS`, `COMMAND`).
const PROCESS_EXIT: &str = "98e322203f7a4ed290d09fe03c09fe15";
/// `SD_MESSAGE_UNIT_FAILURE_RESULT`: the unit failed (`UNIT_RESULT`).
const FAILURE_RESULT: &str = "d9b373ed55a64feb8242e02dbe79a49c";
/// `SD_MESSAGE_UNIT_SUCCESS`: it ended well.
const SUCCESS: &str = "7ad2d189f7e94e70a38c781354912448";
/// `SD_MESSAGE_UNIT_OUT_OF_MEMORY`: the kernel killed for memory in it. Slices above the unit say
/// so, too.
const OUT_OF_MEMORY: &str = "fe6faa94e7774663a0da52717891d8ef";
/// `SD_MESSAGE_UNIT_OOMD_KILL`: systemd-oomd killed it.
const OOMD_KILL: &str = "d989611b15e44c9dbf31e3c81256e4ed";
/// `SD_MESSAGE_UNIT_RESTART_SCHEDULED` (`N_RESTARTS`).
const RESTART_SCHEDULED: &str = "5eb03494b6584870a536b337290809b3";
/// `SD_MESSAGE_UNIT_STARTED`: a job to start it is done.
const STARTED: &str = "39f53479d3a045ac8e11786248231fbf";
/// `SD_MESSAGE_UNIT_STOPPING`: a job to stop it begins.
const STOPPING: &str = "de5b426a63be47a7b6ac3eaac82e2f6f";
/// `SD_MESSAGE_UNIT_STOPPED`: a job to stop it is done.
const STOPPED: &str = "9d1aaa27d60140bd96365438aad20286";
/// `SD_MESSAGE_UNIT_FAILED`: a job to start it failed (`JOB_RESULT`); what ended it is said by
/// others, but for a time-out.
const FAILED: &str = "be02cf6855d2428ba40df7e9d022f03d";

/// All of them.
pub(super) const IDS: [&str; 10] = [
    PROCESS_EXIT,
    FAILURE_RESULT,
    SUCCESS,
    OUT_OF_MEMORY,
    OOMD_KILL,
    RESTART_SCHEDULED,
    STARTED,
    STOPPING,
    STOPPED,
    FAILED,
];

/// What systemd says, and of whom; `user` is whose manager it is.
pub(super) fn read(
    text: &str,
    fields: Option<&JournalFields>,
    user: Option<u32>,
) -> Option<(Party, Fact)> {
    let field = |name| fields.and_then(|fields| fields.get(name));
    let named = field(if user.is_some() { "USER_UNIT" } else { "UNIT" });
    let mut said = words::read(text)
        // With the name in a field, what the message begins with is a description.
        .or_else(|| words::job(text).filter(|_| named.is_some()));
    if let Some(fields) = fields
        && let Some(told) = by_id(text, fields, said.as_ref())
    {
        let (pid, comm) = said.as_ref().map_or((None, None), |said| (said.pid, said.comm));
        let fact = told?;
        said = Some(Said { unit: None, pid, comm, fact });
    }
    let mut said = said?;
    let name = named.or(said.unit)?;
    if is_of_a_job(&said.fact) && !unit::is_started(name) {
        return None;
    }
    let owner = unit::owner(name, user)?;
    if let Some(fields) = fields {
        fill(&mut said.fact, fields);
    }
    Some((party(Some(owner), &said), said.fact))
}

/// What nobody is named to have said: only if it begins with a unit's name, as a stranger's line
/// hardly does.
pub(super) fn read_unnamed(text: &str) -> Option<(Party, Fact)> {
    read(text, None, None)
}

/// By the id of the message; `Some(None)` if it is known to tell nothing.
#[expect(clippy::option_option, reason = "not known, and known to tell nothing")]
fn by_id(text: &str, fields: &JournalFields, said: Option<&Said<'_>>) -> Option<Option<Fact>> {
    let word = match fields.get("MESSAGE_ID")? {
        PROCESS_EXIT => return Some(exited(text, fields, said)),
        FAILURE_RESULT => {
            let result = fields.get("UNIT_RESULT").or_else(|| quoted(text)).unwrap_or("failed");
            UnitWord::Result { result: result.to_owned(), invocation: None }
        }
        SUCCESS => UnitWord::Result { result: "success".to_owned(), invocation: None },
        OUT_OF_MEMORY => UnitWord::OutOfMemory,
        OOMD_KILL => words::oomd_kill(text).unwrap_or(UnitWord::OomdKill { processes: None }),
        RESTART_SCHEDULED => UnitWord::RestartScheduled {
            count: fields.get("N_RESTARTS").and_then(|count| count.parse().ok()),
        },
        STARTED => words::started(None),
        STOPPING => UnitWord::Stopping,
        // The stop within a restart, as systemd makes it of a unit that died, is not one that
        // somebody asked for; where somebody did, it was announced.
        STOPPED if fields.get("JOB_TYPE") == Some("restart") => return Some(None),
        STOPPED => UnitWord::Stopped,
        FAILED if fields.get("JOB_RESULT") == Some("timeout") => {
            UnitWord::TimedOut { step: fields.get("JOB_TYPE").unwrap_or("start").to_owned() }
        }
        FAILED => return Some(None),
        _ => return None,
    };
    Some(Some(Fact::Unit(word)))
}

/// A process ended: the first one, or one that prepared or cleaned up. Of a forking service both
/// may be of `ExecStart`, so the words decide where they are there.
fn exited(text: &str, fields: &JournalFields, said: Option<&Said<'_>>) -> Option<Fact> {
    let field = |name| fields.get(name).unwrap_or_default();
    let status =
        status::read(field("EXIT_CODE"), field("EXIT_STATUS")).or_else(|| status::in_words(text));
    let is_first = match said.map(|said| &said.fact) {
        Some(Fact::Unit(UnitWord::MainExited { .. })) => true,
        Some(Fact::Exited(_)) => false,
        _ => field("COMMAND") == "ExecStart",
    };
    if is_first { Some(words::main_exited(status, None)) } else { words::control_exited(status?) }
}

/// `Failed with result 'signal'.`
fn quoted(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("result '")?;
    rest.split('\'').next()
}

/// Puts in which life of the unit it was, and how often it was restarted.
fn fill(fact: &mut Fact, fields: &JournalFields) {
    let of = |name| fields.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let life = || of("INVOCATION_ID").or_else(|| of("USER_INVOCATION_ID"));
    if let Fact::Unit(
        UnitWord::Started { invocation, .. }
        | UnitWord::MainExited { invocation, .. }
        | UnitWord::Result { invocation, .. },
    ) = fact
    {
        *invocation = life();
    }
}

/// Devices, mounts and timers are started and stopped, too, and nobody dies of it.
const fn is_of_a_job(fact: &Fact) -> bool {
    matches!(fact, Fact::Unit(UnitWord::Started { .. } | UnitWord::Stopping | UnitWord::Stopped))
}
