//! What is said of a death by a signal: who sent it, or what made the kernel send it.

use std::time::Duration;

use highwater_core::testimony::{Party, Sent, Signal};
use highwater_core::time::Span;

use super::{ended, is_own, run_near, signal as ending, unknown};
use crate::inquest::rules::Finding;
use crate::inquest::scene::Scene;
use crate::inquest::ways::{Asked, Way};

/// `was killed by kill (pid 812): SIGKILL`, `was told to end by bash (pid 7): SIGTERM, and ended with
/// code 143`.
pub(super) fn of(scene: &Scene<'_, '_>, finding: &Finding<'_>) -> String {
    let asked = Asked::of(scene);
    let sent = scene.fatal.map(|(_, sent)| sent).or(asked.map(|asked| asked.sent));
    if let Some((way, sent)) = finding.way.zip(sent) {
        return match asked {
            Some(_) => format!("{}, and {}", by_way(way, sent), ended(scene)),
            None => format!("{}: {}", by_way(way, sent), sent.signal),
        };
    }
    let sender = || finding.sender.as_ref().map(|sender| by(sender, &scene.matter.who));
    match (asked, sender()) {
        (Some(asked), _) if is_own(scene, finding) => {
            format!("sent itself {}, and {}", asked.sent.signal, ended(scene))
        }
        (Some(asked), Some(sender)) => answered(scene, &asked, &sender),
        (None, Some(_)) if is_own(scene, finding) => {
            format!("sent itself the signal it ended by{}", ending(scene))
        }
        (None, Some(sender)) => format!("was killed by {sender}{}", ending(scene)),
        (_, None) => unknown(scene),
    }
}

fn by(sender: &Party, victim: &Party) -> String {
    format!("{sender}{}", run_near(sender, victim))
}

/// It ended by itself after somebody asked it to.
fn answered(scene: &Scene<'_, '_>, asked: &Asked<'_>, sender: &str) -> String {
    let signal = asked.sent.signal;
    if asked.is_exact() {
        return format!("was told to end by {sender}: {signal}, and {}", ended(scene));
    }
    let gap = asked.gap_us.map(|gap| Span(Duration::from_micros(gap)));
    let gap = gap.map_or_else(String::new, |gap| format!("{gap} "));
    format!("{}, {gap}after {signal} from {sender}", ended(scene))
}

/// What made the kernel send it.
fn by_way(way: Way, sent: &Sent) -> &'static str {
    match (way, sent.signal) {
        (Way::Terminal, Signal::INT) => "was interrupted at its terminal (Ctrl-C)",
        (Way::Terminal, Signal::QUIT) => "was told to quit at its terminal (Ctrl-\\)",
        (Way::Terminal, _) => "was hung up on: its terminal was closed",
        (Way::Timer, _) => "was ended by its own timer (alarm, setitimer), which ran out",
        (Way::FileSize, _) => "reached its limit on file size (ulimit -f, LimitFSIZE=)",
        (Way::Pipe, _) => "wrote into a pipe whose reader had gone",
    }
}
