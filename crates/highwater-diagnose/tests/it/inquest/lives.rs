//! Starts and ends of owners, and what hangs.

use super::*;

#[test]
fn lives_have_a_start_an_end_and_a_death() {
    let mut said = Said::default();
    said.started(0, "web.service", 100)
        .main_exited(60_000, "web.service", Status::Code(1))
        .started(75_000, "web.service", 101)
        .started(200_000, "web.service", 102)
        .unit(300_000, Witness::Journal, "web.service", UnitWord::StartLimitHit);
    let inquest = said.judged();
    let spans: Vec<_> = inquest.lives.iter().map(|life| (life.started, life.ended)).collect();
    assert_eq!(
        spans,
        [
            (Some(wall(0)), Some(wall(60_000))),
            (Some(wall(75_000)), Some(wall(200_000))),
            (Some(wall(200_000)), None),
        ],
        "an end that nobody saw is closed by the next start"
    );
    let deaths: Vec<_> = inquest.lives.iter().map(|life| life.death).collect();
    assert_eq!(deaths, [Some(0), None, None]);
    assert_eq!(inquest.deaths[0].lived, Some(std::time::Duration::from_mins(1)));
    assert_eq!(inquest.lives[0].limits.as_ref().unwrap().stop_timeout_ms, Some(3_000));
    assert!(inquest.lives[2].is_given_up);
}

#[test]
fn one_start_told_by_two_is_one_life() {
    let mut said = Said::default();
    said.started(0, "web.service", 100).started(0, "web.service", 100);
    let word =
        UnitWord::Started { main: None, invocation: None, restarts: None, limits: Box::default() };
    said.unit(30, Witness::Journal, "web.service", word);
    assert_eq!(said.judged().lives.len(), 1);
}

#[test]
fn a_first_process_by_itself_has_a_life_too() {
    let mut said = Said::default();
    said.exit(10_000, &process(100, "app", "web.service"), Status::Code(1), Some(true));
    let lives = said.judged().lives;
    assert_eq!(lives.len(), 1);
    assert_eq!((lives[0].started, lives[0].first), (Some(wall(5_000)), Some(Pid::new(100))));
}

#[test]
fn a_cgroup_whose_killer_is_off_is_stuck_and_nobody_died() {
    let about = Party { cgroup: Some(CgroupPath::new(b"/hang")), ..Party::default() };
    let mut said = Said::default();
    said.say(0, Witness::Cgroups, about.clone(), Fact::Oom(OomWord::Stuck));
    let open = said.judged();
    assert_eq!((open.deaths.len(), open.stuck.len()), (0, 1));
    assert_eq!((open.stuck[0].since, open.stuck[0].until), (Some(wall(0)), None));
    assert_eq!(open.stuck[0].who.owner, Some(Owner::Cgroup("/hang".to_owned())));
    said.say(5, Witness::Cgroups, about.clone(), Fact::Oom(OomWord::Stuck)).say(
        9_000,
        Witness::Cgroups,
        about,
        Fact::Oom(OomWord::Unstuck),
    );
    let over = said.judged().stuck;
    assert_eq!((over.len(), over[0].until), (1, Some(wall(9_000))));
}
