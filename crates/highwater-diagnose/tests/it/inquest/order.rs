//! The same verdict in whatever order it is told, and quickly.

use super::*;
use highwater_core::testimony::Job;

/// Numbers that look like chance, the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let other = self.roll(last + 1);
            all.swap(last, other);
        }
    }
}

/// A bad hour: several owners, several kinds of ends, mixed.
fn hour(dice: &mut Dice) -> Said {
    let mut said = Said::default();
    said.heard_by(&Witness::ALL);
    for round in 0..6_i64 {
        let base = round * 700;
        let pid = 100 + 10 * u32::try_from(round).unwrap();
        let name = ["web.service", "db.service"][dice.roll(2)];
        let main = process(pid, "app", name);
        let child = process(pid + 1, "leak", name);
        said.started(base, name, pid);
        match dice.roll(6) {
            0 => said.signal(base + 100, &main, Signal::KILL, &command(812, "kill", "kill -9")),
            1 => said.oom(base + 100, &main, highwater_oom::Cause::KernelOomMemcg, None),
            2 => said
                .unit(base + 90, Witness::Systemd, name, UnitWord::Asked { job: Job::Stop })
                .signal(base + 100, &main, Signal::KILL, &systemd()),
            3 => said.counted(base + 101, &format!("/system.slice/{name}"), 1, 1),
            4 => said.oom(base + 100, &child, highwater_oom::Cause::KernelOomGlobal, None),
            _ => said.unit(base + 99, Witness::Journal, name, UnitWord::OutOfMemory),
        };
        if dice.roll(3) > 0 {
            said.exit(base + 103, &main, killed(Signal::KILL), Some(true));
        }
        said.main_exited(base + 104, name, killed(Signal::KILL)).result(base + 104, name, "signal");
        let web = contained(pid + 2, "app");
        said.signal(base + 100, &web, Signal::KILL, &runc()).died(base + 104, 137, None);
    }
    said
}

#[test]
fn the_order_in_which_it_is_told_does_not_matter() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let mut said = hour(&mut dice);
        let judged = said.judged();
        assert!(judged.deaths.len() >= 6, "{:#?}", judged.deaths);
        for _ in 0..4 {
            dice.shuffle(&mut said.heard);
            dice.shuffle(&mut said.kills);
            assert_eq!(said.judged(), judged, "seed {seed}");
        }
    }
}

#[test]
fn every_claim_stands_on_something_and_every_summary_is_a_sentence() {
    for seed in 0..60 {
        for death in hour(&mut Dice(seed)).judged().deaths {
            assert!(death.summary.ends_with('.'), "{}", death.summary);
            assert!(!death.claims.is_empty(), "{}", told(&death));
            let claims = death.claims.iter().chain(&death.contradictions).chain(&death.ruled_out);
            for claim in claims {
                assert!(!claim.evidence.is_empty(), "{claim:?}");
            }
        }
    }
}

/// Were each word looked at for each other one, this alone would take minutes.
#[test]
fn a_hundred_thousand_words_at_one_moment_are_judged() {
    let mut said = Said::default();
    for pid in 2..25_002_u32 {
        let one = process(pid, "worker", "web.service");
        said.made(0, &one, Signal::KILL, &person(1_000_000, "sh"), Origin::User, true);
        said.exit(1, &one, killed(Signal::KILL), Some(false));
        said.counted(1, &format!("/system.slice/web.service/{pid}"), 1, 0);
        said.ran(0, &command(pid, "docker", "docker stop web"));
    }
    assert_eq!(said.judged().deaths.len(), 25_000);
}
