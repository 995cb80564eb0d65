//! `why` of what happened while no agent listened.

use std::time::Duration;

use highwater_core::event::{Event, Happening, Presence, Sight};
use highwater_core::evidence::Evidence;
use highwater_core::frame::{Frame, MachineSample, MemInfo};
use highwater_core::owner::Owner;
use highwater_core::testimony::{ContainerWord, Fact, Party, Testimony, Witness};
use highwater_core::time::{BootId, BootTime, Stamp};
use highwater_core::units::Bytes;
use highwater_store::Store;
use serde_json::Value;

use crate::exits::highwater;

fn boot() -> BootId {
    "3b1f7a520c2e4d689a1e1f2e3d4c5b6a".parse().unwrap()
}

/// So many seconds after the beginning, an hour ago.
fn stamp(begun: Stamp, seconds: u64) -> Stamp {
    Stamp {
        wall: begun.wall.after(Duration::from_secs(seconds)),
        boot: BootTime::from_micros(60_000_000 + seconds * 1_000_000),
    }
}

fn sight() -> Happening {
    let presence = |witness: Witness| Presence { witness, absent: None };
    Happening::Sight(Sight { witnesses: Witness::ALL.map(presence).to_vec() })
}

fn started() -> Happening {
    Happening::Recorder { what: "started".to_owned(), note: "the recorder started".to_owned() }
}

fn died(name: &str) -> Happening {
    let evidence =
        Evidence { source: "docker.sock /events".to_owned(), line: None, text: "die".to_owned() };
    Happening::Testimony(Box::new(Testimony {
        witness: Witness::Docker,
        about: Party::of_owner(Owner::Container(name.to_owned())),
        fact: Fact::Container(ContainerWord::Died { code: Some(137), oom: Some(false) }),
        evidence,
    }))
}

#[test]
fn nobody_is_said_to_have_listened_while_the_agent_was_dead() {
    let dir = tempfile::tempdir().unwrap();
    let now = highwater_agent::clock::now();
    let begun = Stamp { wall: now.wall.before(Duration::from_hours(1)), ..now };
    let mut store = Store::open(dir.path()).unwrap();
    // The agent is killed a little after its reading at 40 s; the next one begins at 100 s.
    for seconds in [10, 40, 110] {
        let available = Some(Bytes::from_mib(2_048));
        let mem = MemInfo { mem_available: available, ..MemInfo::default() };
        let machine = Some(MachineSample { mem, ..MachineSample::default() });
        let frame = Frame { stamp: stamp(begun, seconds), machine, ..Frame::default() };
        store.append(&frame, boot()).unwrap();
    }
    let told = [
        (0, started()),
        (2, sight()),
        (30, died("heard")),
        (70, died("unheard")),
        (100, started()),
        (102, sight()),
    ];
    for (at, (seconds, what)) in told.into_iter().enumerate() {
        let Stamp { wall, boot: boot_at } = stamp(begun, seconds);
        let key = format!("test:{at}");
        let event = Event { wall, boot: Some(boot_at), boot_id: boot(), key, what };
        store.record(&[event], None).unwrap();
    }
    drop(store);
    let of = |name: &str| {
        let shown = dir.path().to_str().unwrap();
        let done = highwater(&["why", name, "--json", "--data-dir", shown]).output().unwrap();
        let answer: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(answer["deaths"].as_array().unwrap().len(), 1, "{answer:#}");
        answer["deaths"][0].clone()
    };
    let heard = of("heard");
    assert!(
        heard["ruled_out"].to_string().contains("no counter that is watched rose"),
        "{heard:#}"
    );
    assert!(!heard["missing"].to_string().contains("nobody listened"), "{heard:#}");
    let unheard = of("unheard");
    assert!(!unheard["ruled_out"].to_string().contains("counter"), "{unheard:#}");
    // The kernel keeps its log, whoever listens.
    assert!(unheard["ruled_out"].to_string().contains("the kernel's log"), "{unheard:#}");
    let missing = unheard["missing"].as_array().unwrap();
    let cgroups = missing.iter().find(|one| one["witness"] == "cgroups").unwrap();
    let (from, to) = (stamp(begun, 40).wall, stamp(begun, 100).wall);
    assert_eq!(cgroups["why"], format!("nobody listened from {from} to {to}"), "{unheard:#}");
}
