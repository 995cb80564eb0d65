use std::path::Path;

use super::*;

const BOOT: &str = "0af46ef7-3b9c-4f0c-8f0e-6f6f0e1f5b11";

fn keeper(dir: &Path) -> Keeper {
    let config = crate::config::Config::default();
    let terms = crate::plan::terms(&config, dir);
    let now = Stamp::default();
    Keeper::open(dir.to_owned(), BOOT.parse().unwrap(), Arc::default(), terms.keep, now).unwrap()
}

#[test]
fn what_several_sources_were_read_up_to_while_the_store_was_away_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut keeper = keeper(dir.path());
    let cursor = |name: &str, seq| {
        Some(Cursor { name: name.to_owned(), boot_id: BOOT.parse().unwrap(), seq })
    };
    let away = keeper.shelf.take();
    for (name, seq) in [("kmsg", 1), ("docker", 2), ("kmsg", 3)] {
        keeper.events(Vec::new(), cursor(name, seq), Stamp::default());
    }
    keeper.shelf = away;
    let event = lifecycle(Stamp::default(), BOOT.parse().unwrap(), "missed", "nothing");
    assert_eq!(keeper.events(vec![event], None, Stamp::default()).len(), 1);
    let read = |name: &str| keeper.cursor(name).map(|cursor| cursor.seq);
    assert_eq!((read("kmsg"), read("docker"), read("journal")), (Some(3), Some(2), None));
    assert!(keeper.cursors.is_empty());
}

#[test]
fn what_is_given_up_is_not_passed_by_its_cursor() {
    let dir = tempfile::tempdir().unwrap();
    let mut keeper = keeper(dir.path());
    let cursor =
        |seq| Some(Cursor { name: "journal".to_owned(), boot_id: BOOT.parse().unwrap(), seq });
    let event = |number: usize| {
        let note = format!("event {number}");
        let mut event = lifecycle(Stamp::default(), BOOT.parse().unwrap(), "missed", &note);
        event.key = note;
        event
    };
    let away = keeper.shelf.take();
    keeper.events((0..300).map(event).collect(), cursor(300), Stamp::default());
    keeper.events(vec![event(300)], cursor(301), Stamp::default());
    keeper.shelf = away;
    keeper.events(vec![event(301)], None, Stamp::default());
    assert_eq!(keeper.cursor("journal"), None, "the first 45 are nowhere else");
    // What comes after they were told lost is as ever.
    keeper.events(vec![event(302)], cursor(303), Stamp::default());
    assert_eq!(keeper.cursor("journal").map(|cursor| cursor.seq), Some(303));
}
