//! A death that its witnesses tell of: the sentence, who, who did it, why, what else was said, what
//! next; and what witnesses add to a death that a report tells of.

use anstyle::Style;
use highwater_core::evidence::Claim;
use highwater_core::testimony::{Party, Signal, Status, Witness};
use highwater_core::time::Span;
use highwater_diagnose::death::{Advice, Confidence, Growth, Recorded};
use highwater_diagnose::inquest::{Cause, LimitOwner, Stuck, Verdict};
use highwater_diagnose::{hang, place};

use super::death::{curves, evidence, next};
use super::paint::{BOLD, DIM, Page, RED, YELLOW, put};
use super::wrap;

/// So many claims, contradictions, things ruled out are shown each; the JSON has all.
const CLAIMS: usize = 8;

/// The column of names of facts.
const NAME: usize = 8;

/// So much of a command line is shown where it is not the one that died; the JSON has all.
const COMMAND: usize = 160;

/// So many of those who started it, the nearest first.
const PARENTS: usize = 4;

/// What is known beside the verdict.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// Recorded curves up to the end.
    pub(crate) growth: Vec<Growth>,
    /// How well they are on record.
    pub(crate) recorded: Option<Recorded>,
    /// What its lives add up to.
    pub(crate) story: Vec<Claim>,
    /// What to do next.
    pub(crate) advice: Vec<Advice>,
}

/// The page of a death without a report.
pub(crate) fn page(page: Page, verdict: &Verdict, beside: &Beside) -> String {
    let mut out = page.item("", &verdict.summary, BOLD);
    out += &line(page, verdict);
    out += &who(page, verdict);
    out += &claims(page, "Why", "  • ", &verdict.claims);
    out += &but(page, verdict);
    out += &claims(page, "Ruled out", "  – ", &verdict.ruled_out);
    out += &unheard(page, verdict);
    if is_about_memory(verdict) {
        out += &curves(page, &beside.growth, beside.recorded);
    }
    out += &story(page, &beside.story);
    out += &next(page, &beside.advice);
    out
}

/// How its memory grew tells something of this end.
fn is_about_memory(verdict: &Verdict) -> bool {
    let may_be = verdict.signal == Some(Signal::KILL) || verdict.status == Some(Status::Code(137));
    match verdict.cause {
        Cause::RlimitAs | Cause::NoMemory => true,
        Cause::Unknown => may_be,
        cause => cause.is_memory(),
    }
}

/// What the witnesses add to the page of a report.
pub(crate) fn additions(
    page: Page,
    verdict: &Verdict,
    again: &[Claim],
    is_in_report: &dyn Fn(&Claim) -> bool,
) -> String {
    let mut out = String::new();
    // Where only the kernel spoke, the report says it all.
    let spoke = verdict.witnesses.iter().any(|witness| *witness != Witness::Kmsg);
    let known = if spoke { who(page, verdict) } else { String::new() };
    let said: Vec<Claim> =
        verdict.claims.iter().filter(|claim| !is_in_report(claim)).cloned().collect();
    if !known.is_empty() || !said.is_empty() {
        out += &page.head("What its witnesses say", "");
        out += &known;
        for claim in said.iter().take(CLAIMS) {
            out += &page.item("  • ", &claim.text, Style::new());
            out += &evidence(page, &claim.evidence);
        }
    }
    out += &but(page, verdict);
    out += &story(page, again);
    out
}

/// When, what kind, how sure: in one dim line.
fn line(page: Page, verdict: &Verdict) -> String {
    let mut facts = Vec::new();
    facts.extend(verdict.wall.map(|time| time.to_string()));
    facts.extend(verdict.boot.map(|boot| format!("{:.3} s after boot", boot.seconds())));
    let cause = verdict.cause.as_str();
    facts.push(match verdict.cause {
        Cause::Unknown => format!("cause {cause}"),
        _ => cause.to_owned(),
    });
    if verdict.confidence != Confidence::Unknown {
        facts.push(verdict.confidence.name().to_owned());
    }
    page.item("", &facts.join(" · "), DIM)
}

/// The facts, one in a line.
fn who(page: Page, verdict: &Verdict) -> String {
    let mut out = String::new();
    let mut fact = |name: &str, text: Option<String>| {
        if let Some(text) = text {
            out += &page.item(&format!("  {} ", wrap::left(name, NAME)), &text, Style::new());
        }
    };
    fact("who", process(&verdict.who));
    fact("command", verdict.who.command.clone());
    fact("owner", owner(verdict));
    fact("ended", verdict.status.map(status));
    fact("lived", verdict.lived.map(|lived| Span(lived).to_string()));
    fact("asked by", verdict.clues.asker.as_ref().map(story_of));
    fact("sender", sender(verdict));
    fact("limit", limit(verdict));
    out
}

fn process(who: &Party) -> Option<String> {
    let pid = who.pid?;
    let user = who.uid.map_or(String::new(), |uid| format!(", user {uid}"));
    Some(match &who.comm {
        Some(comm) => format!("{comm} (pid {pid}){user}"),
        None => format!("pid {pid}{user}"),
    })
}

fn owner(verdict: &Verdict) -> Option<String> {
    let owner = verdict.who.owner.as_ref()?;
    Some(match verdict.is_first {
        Some(true) => format!("{owner}: this was its first process"),
        Some(false) if verdict.clues.is_owner_gone || verdict.cause == Cause::NamespaceEnd => {
            format!("{owner}: this was not its first process")
        }
        Some(false) => format!("{owner}, which lives on: this was not its first process"),
        None => owner.to_string(),
    })
}

fn status(status: Status) -> String {
    match status {
        Status::Code(code) => format!("by itself, with exit code {code}"),
        Status::Signal { signal, core } => {
            let core = if core { ", with a core dump" } else { "" };
            format!("by {signal}{core} (a shell says {})", 128 + u16::from(signal.0))
        }
    }
}

/// Who sent the signal. What a manager did on somebody's behalf is that one's doing: of the hand it
/// used for it the name is enough.
fn sender(verdict: &Verdict) -> Option<String> {
    let sender = verdict.sender.as_ref()?;
    Some(if is_on_behalf(verdict.cause) { sender.to_string() } else { story_of(sender) })
}

const fn is_on_behalf(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::DockerStop
            | Cause::DockerStopTimeout
            | Cause::DockerKill
            | Cause::DockerRestart
            | Cause::DockerRemove
            | Cause::KubeletProbe
            | Cause::KubeletEviction
            | Cause::KubeletDelete
    )
}

/// Who it was, who started him, and who was logged in.
fn story_of(sender: &Party) -> String {
    let user = sender.uid.map(|uid| format!(", user {uid}"));
    let login = sender.login_uid.filter(|login| *login != u32::MAX);
    let login = login.map(|login| format!(", logged in as {login}"));
    let command = sender.command.as_ref();
    let command = command.map(|command| format!(": {}", wrap::cut(command, COMMAND)));
    let all = sender.parents.iter().take(PARENTS);
    let parents = all.map(|one| format!("{} ({})", one.comm, one.pid));
    let mut parents = parents.collect::<Vec<_>>().join(" < ");
    if sender.parents.len() > PARENTS {
        parents += " < …";
    }
    let parents = (!parents.is_empty()).then(|| format!("; started by {parents}"));
    let owner = sender.owner.as_ref().map(|owner| format!("; of {owner}"));
    let more: String = [user, login, command, parents, owner].into_iter().flatten().collect();
    format!("{sender}{more}")
}

fn limit(verdict: &Verdict) -> Option<String> {
    let whose = match verdict.limit_owner? {
        LimitOwner::Own => "its own",
        LimitOwner::Ancestor => "of a cgroup above it",
        LimitOwner::Machine => return Some("the machine's".to_owned()),
    };
    let path = verdict.limited_by.as_ref().map(|path| format!(": {}", place(path.as_str())));
    Some(format!("{whose}{}", path.unwrap_or_default()))
}

fn claims(page: Page, head: &str, mark: &str, all: &[Claim]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let mut out = page.head(head, "");
    for claim in all.iter().take(CLAIMS) {
        let is_open = claim.evidence.is_empty() && mark == "  • ";
        let (mark, style) = if is_open { ("  ? ", YELLOW) } else { (mark, Style::new()) };
        out += &page.item(mark, &claim.text, style);
        out += &evidence(page, &claim.evidence);
    }
    if let Some(more) = all.len().checked_sub(CLAIMS).filter(|more| *more > 0) {
        put(&mut out, &format!("    and {more} more (--json has all)\n"));
    }
    out
}

/// What was said that cannot be true beside it.
fn but(page: Page, verdict: &Verdict) -> String {
    if verdict.contradictions.is_empty() {
        return String::new();
    }
    let mut out = page.head("But", "");
    for claim in verdict.contradictions.iter().take(CLAIMS) {
        out += &page.item("  ! ", &claim.text, YELLOW);
        out += &evidence(page, &claim.evidence);
    }
    out
}

/// Who would have known more: only where something is left to know.
fn unheard(page: Page, verdict: &Verdict) -> String {
    if verdict.missing.is_empty() {
        return String::new();
    }
    let mut out = page.head("Who would have known more", "");
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (witness, why) in &verdict.missing {
        match reasons.iter_mut().find(|(known, _)| known == why) {
            Some((_, all)) => all.push(witness.words()),
            None => reasons.push((why, vec![witness.words()])),
        }
    }
    for (why, all) in reasons {
        out += &page.item("  ? ", &format!("{}: {why}", all.join(", ")), YELLOW);
    }
    out
}

/// What its lives add up to.
fn story(page: Page, claims: &[Claim]) -> String {
    if claims.is_empty() {
        return String::new();
    }
    let mut out = page.head("Its restarts", "");
    for claim in claims.iter().take(CLAIMS) {
        out += &page.item("  • ", &claim.text, Style::new());
    }
    out
}

/// Who hangs now, for want of memory, or did.
pub(crate) fn stuck(page: Page, all: &[&Stuck]) -> String {
    let mut out = String::new();
    for one in all {
        let since = one.since.map_or(String::new(), |since| format!(" since {since}"));
        let text = match one.until {
            None => format!(
                "{} is stuck under OOM{since}: nothing may be killed there, and its processes hang.",
                one.who
            ),
            Some(until) => format!("{} was stuck under OOM{since} until {until}.", one.who),
        };
        let style = if one.until.is_none() { RED } else { YELLOW };
        out += &page.item("! ", &text, style);
        out += &evidence(page, &one.claim.evidence);
        out += &next(page, &hang::advice(one));
    }
    if !out.is_empty() {
        out += "\n";
    }
    out
}

#[cfg(test)]
mod tests {
    use highwater_core::evidence::Evidence;
    use highwater_core::id::Pid;
    use highwater_core::owner::Owner;
    use highwater_core::testimony::{
        Ancestor, ContainerWord, Exit, Fact, Origin, Reception, Sent, Testimony,
    };
    use highwater_core::time::WallTime;
    use highwater_diagnose::inquest::{Heard, Hearing, inquire};

    use super::*;

    fn said(ms: i64, witness: Witness, about: Party, fact: Fact) -> Heard {
        let evidence =
            Evidence { source: witness.name().to_owned(), line: None, text: ms.to_string() };
        let testimony = Testimony { witness, about, fact, evidence };
        let wall = Some(WallTime::from_millis(1_767_225_600_000 + ms));
        Heard { wall, boot: None, boot_id: None, testimony }
    }

    fn named(pid: u32, comm: &str, command: &str) -> Party {
        Party {
            comm: Some(comm.to_owned()),
            command: Some(command.to_owned()),
            ..Party::of_pid(Pid::new(pid))
        }
    }

    fn judged(heard: &[Heard]) -> Verdict {
        let mut deaths = inquire(&Hearing { heard, kills: &[], sights: &[] }).deaths;
        assert_eq!(deaths.len(), 1);
        deaths.remove(0)
    }

    /// `docker kill web`, by way of runc, whose command line is long.
    fn by_docker() -> Verdict {
        let web = || Party::of_owner(Owner::Container("web".to_owned()));
        let app = Party { owner: web().owner, ..named(100, "app", "app") };
        let id = "7c".repeat(32);
        let runc =
            named(90, "runc", &format!("runc --root /run/moby --log /run/log {id} kill {id}"));
        let parents = (1..9).map(|n| Ancestor { pid: Pid::new(n), comm: format!("sh{n}") });
        let docker = Party {
            parents: parents.collect(),
            ..named(80, "docker", &format!("docker kill web {}", "x".repeat(400)))
        };
        let sent = Sent {
            signal: Signal::KILL,
            origin: Origin::User,
            to_process: true,
            reception: Reception::Delivered,
            by: Box::new(runc),
        };
        let kill = ContainerWord::Kill { signal: Some(Signal::KILL) };
        let status = Status::Signal { signal: Signal::KILL, core: false };
        let exit = Exit { status, lived_ms: Some(9), is_first: Some(true) };
        judged(&[
            said(0, Witness::Processes, docker, Fact::Ran),
            said(20, Witness::Docker, web(), Fact::Container(kill)),
            said(30, Witness::Signals, app.clone(), Fact::Signalled(sent)),
            said(31, Witness::Processes, app, Fact::Exited(exit)),
        ])
    }

    #[test]
    fn who_asked_docker_matters_and_not_the_hand_it_used() {
        let verdict = by_docker();
        assert_eq!(verdict.cause, Cause::DockerKill);
        let facts = who(Page { width: 1_000 }, &verdict);
        assert!(facts.contains("asked by docker (pid 80): docker kill web xxx"), "{facts}");
        assert!(facts.contains("sender   runc (pid 90)\n"), "{facts}");
        assert!(!facts.contains("--root"), "{facts}");
        // What is too long is cut, and says so.
        assert!(
            facts.contains("x…; started by sh1 (1) < sh2 (2) < sh3 (3) < sh4 (4) < …"),
            "{facts}"
        );
    }

    #[test]
    fn how_memory_grew_is_shown_where_the_end_has_to_do_with_memory() {
        let mut verdict = by_docker();
        for (cause, is_shown) in [
            (Cause::DockerKill, false),
            (Cause::Signal, false),
            (Cause::ExitCode, false),
            (Cause::KernelOomMemcg, true),
            (Cause::NoMemory, true),
            (Cause::Unknown, true),
        ] {
            verdict.cause = cause;
            assert_eq!(is_about_memory(&verdict), is_shown, "{cause:?}");
        }
    }
}
