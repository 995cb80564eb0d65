//! A real Docker daemon, where one is installed and may be started; a socket that hangs, anywhere.

mod daemon;

use std::cell::RefCell;
use std::future::poll_fn;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use highwater_core::owner::Owner;
use highwater_core::testimony::{ContainerWord, Fact, Signal};
use highwater_core::units::Bytes;
use highwater_owners::{Absent, Directory, Heard, Told, docker};

use daemon::Daemon;

/// Far more than any of these takes on a busy machine.
const DEADLINE: Duration = Duration::from_mins(3);

/// What was heard, and why no more of it, if the daemon went.
struct Heed {
    heard: Vec<Heard>,
    absent: Option<Absent>,
}

/// Listens until `is_enough`, or until the daemon is heard no more.
fn listen(
    socket: &Path,
    since: Option<u64>,
    directory: &Arc<Directory>,
    is_enough: impl Fn(&[Heard]) -> bool,
) -> Heed {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let heard = RefCell::new(Vec::new());
    let out = |word| heard.borrow_mut().push(word);
    let watch = docker::watch(socket.to_owned(), since, Arc::clone(directory), &out);
    let end = runtime.block_on(async {
        let mut watch = pin!(watch);
        let enough = poll_fn(|context| match watch.as_mut().poll(context) {
            Poll::Ready(absent) => Poll::Ready(Some(absent)),
            Poll::Pending if is_enough(&heard.borrow()) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        tokio::time::timeout(DEADLINE, enough).await
    });
    let heard = heard.into_inner();
    let absent = end.unwrap_or_else(|_| panic!("what was waited for did not come: {heard:#?}"));
    Heed { heard, absent }
}

fn told(heard: &[Heard]) -> impl Iterator<Item = &Told> {
    heard.iter().filter_map(|word| match word {
        Heard::Told(told) => Some(told.as_ref()),
        _ => None,
    })
}

/// What was said of the container of this name, in order.
fn words<'a>(heard: &'a [Heard], name: &str) -> Vec<&'a ContainerWord> {
    let owner = Some(Owner::Container(name.to_owned()));
    let own = told(heard).filter(|told| told.testimony.about.owner == owner);
    own.filter_map(|told| match &told.testimony.fact {
        Fact::Container(word) => Some(word),
        _ => None,
    })
    .collect()
}

fn is_gone(heard: &[Heard], name: &str) -> bool {
    words(heard, name).contains(&&ContainerWord::Destroyed)
}

/// Where to go on from.
fn cursor(heard: &[Heard]) -> Option<u64> {
    told(heard).filter_map(|told| docker::moment(&told.key)).max()
}

fn has_missed(heard: &[Heard]) -> bool {
    heard.iter().any(|word| matches!(word, Heard::Missed(_)))
}

const fn died(code: i32) -> ContainerWord {
    ContainerWord::Died { code: Some(code), oom: Some(false) }
}

const fn kill(signal: Signal) -> ContainerWord {
    ContainerWord::Kill { signal: Some(signal) }
}

/// Everything that ends a container, while somebody listens.
fn scenes(daemon: &Daemon) {
    daemon.start("stubborn", "--stop-timeout 1", "trap '' TERM; while :; do sleep 1; done");
    daemon.docker("stop stubborn");
    daemon.docker("rename stubborn renamed");
    daemon.docker("start renamed");
    daemon.docker("kill renamed");
    daemon.start("forced", "", "sleep 100");
    daemon.docker("rm -f forced");
    daemon.start("flaky", "--restart on-failure:2", "sleep 0.2; exit 3");
    daemon.wait_for("flaky", "{{.RestartCount}} {{.State.Status}}", "2 exited");
    daemon.start("hog", "-m 16m", "tail /dev/zero");
    daemon.docker("wait hog");
    daemon.start("parent", "-m 16m", "tail /dev/zero & wait $!; sleep 0.5; exit 0");
    daemon.docker("wait parent");
    daemon.start("last", "", "exit 0");
    daemon.docker("wait last");
    daemon.docker("rm last");
}

#[test]
fn a_real_daemon_is_heard_before_during_and_after() {
    let Some(mut daemon) = Daemon::begin() else { return without_a_daemon() };
    let directory = Arc::new(Directory::new());
    daemon.start("early", "", "exit 7");
    daemon.docker("wait early");

    let first = thread::scope(|scope| {
        scope.spawn(|| scenes(&daemon));
        listen(&daemon.socket, None, &directory, |heard| is_gone(heard, "last"))
    });
    before_and_during(&first.heard);
    let since = cursor(&first.heard);

    daemon.start("unheard", "", "exit 5");
    daemon.docker("wait unheard");
    daemon.start("marker", "", "sleep 100");
    daemon.docker("rm -f marker");
    let second = listen(&daemon.socket, since, &directory, |heard| is_gone(heard, "marker"));
    assert!(!has_missed(&second.heard), "{:#?}", second.heard);
    assert!(words(&second.heard, "unheard").contains(&&died(5)));
    assert!(words(&second.heard, "early").is_empty(), "that was before");

    daemon.hang();
    let hung = listen(&daemon.socket, since, &directory, |_| false);
    daemon.go_on();
    assert_eq!(hung.absent.unwrap().why, "docker.sock did not answer /version within 5s");

    daemon.start("ghost", "", "sleep 100");
    daemon.docker("kill ghost");
    daemon.start("keeper", "--restart always", "sleep 1000");
    let since = cursor(&second.heard);
    daemon.end();
    let gone = listen(&daemon.socket, since, &directory, |_| false);
    let why = gone.absent.unwrap().why;
    assert!(why.starts_with("there is no socket") || why.starts_with("nobody listens"), "{why}");

    daemon.resume();
    after(&daemon, since, &directory);
}

/// What is said where there is no Docker.
fn without_a_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let heed = listen(&socket, None, &Arc::new(Directory::new()), |_| false);
    assert_eq!(heed.absent.unwrap().why, format!("there is no socket at {}", socket.display()));
}

fn before_and_during(heard: &[Heard]) {
    assert!(matches!(heard.first(), Some(Heard::Here(words)) if words.starts_with("Docker ")));
    assert!(!has_missed(heard));
    let early = words(heard, "early");
    assert!(early.contains(&&died(7)), "the daemon still had it: {early:?}");

    let stubborn = words(heard, "stubborn");
    let ContainerWord::Started { first: Some(_), restarts: Some(0), limits } = stubborn[0] else {
        panic!("{stubborn:?}")
    };
    assert_eq!(limits.stop_timeout_ms, Some(1_000));
    let end = [kill(Signal::TERM), kill(Signal::KILL), died(137), ContainerWord::Stopped];
    assert_eq!(stubborn[1..], end.each_ref());
    let renamed = words(heard, "renamed");
    assert_eq!(renamed[1..], [kill(Signal::KILL), died(137)].each_ref());

    let forced = words(heard, "forced");
    assert_eq!(forced[1], &kill(Signal::KILL));
    assert!(matches!(forced[2], ContainerWord::Died { code: Some(137), .. }), "{forced:?}");
    assert_eq!(forced[3..], [&ContainerWord::Destroyed]);
    flaky(heard);
    memory(heard);
}

/// Three lives, and two of them by the daemon's own doing.
fn flaky(heard: &[Heard]) {
    let flaky = words(heard, "flaky");
    let is_end = |word: &&&ContainerWord| matches!(word, ContainerWord::Died { code: Some(3), .. });
    assert_eq!(flaky.iter().filter(is_end).count(), 3, "{flaky:?}");
    let lives = flaky.iter().filter_map(|word| match word {
        ContainerWord::Started { limits, .. } => limits.restart.as_deref(),
        _ => None,
    });
    assert_eq!(lives.collect::<Vec<_>>(), ["on-failure:2"; 3]);
    assert!(!flaky.contains(&&ContainerWord::Restarted), "nobody asked for it");
}

/// What Docker claims of memory: it saw the kill of the first process, and of the child.
fn memory(heard: &[Heard]) {
    let hog = words(heard, "hog");
    assert!(
        matches!(hog[0], ContainerWord::Started { limits, .. }
            if limits.memory == Some(Bytes::from_mib(16))),
        "{hog:?}"
    );
    assert!(hog.iter().any(|word| matches!(word, ContainerWord::Died { code: Some(137), .. })));
    let parent = words(heard, "parent");
    assert!(parent.iter().any(|word| matches!(word, ContainerWord::Died { code: Some(0), .. })));
    eprintln!("of the first process Docker says {hog:?}, of a child {parent:?}");
}

/// The daemon was restarted and has forgotten: what `inspect` has is what there is.
fn after(daemon: &Daemon, since: Option<u64>, directory: &Arc<Directory>) {
    daemon.wait_for("keeper", "{{.State.Status}}", "running");
    let seen = |heard: &[Heard]| {
        let is_start = |word: &&ContainerWord| matches!(word, ContainerWord::Started { .. });
        words(heard, "keeper").iter().any(is_start) && !words(heard, "ghost").is_empty()
    };
    let third = listen(&daemon.socket, since, directory, seen).heard;
    assert!(has_missed(&third), "{third:#?}");
    assert!(words(&third, "ghost").contains(&&died(137)));
    let keeper = told(&third).find(|told| {
        told.testimony.about.owner == Some(Owner::Container("keeper".to_owned()))
            && told.key.ends_with(":start")
    });
    let about = &keeper.unwrap().testimony.about;
    assert!(about.pid.is_some(), "{about:?}");
    let id = about.container_id.as_ref().unwrap();
    assert_eq!(directory.owner_of_container(id), Owner::Container("keeper".to_owned()));

    // It goes while it is listened to.
    let fourth = thread::scope(|scope| {
        scope.spawn(|| daemon.docker("rm -f keeper"));
        listen(&daemon.socket, cursor(&third), directory, |heard| is_gone(heard, "keeper"))
    });
    assert!(words(&fourth.heard, "keeper").contains(&&kill(Signal::KILL)));
}

#[test]
fn a_socket_that_accepts_and_never_answers_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let accept = move || {
        let mut held = Vec::new();
        listener.incoming().for_each(|stream| held.push(stream));
    };
    thread::Builder::new().name("mute".to_owned()).spawn(accept).unwrap();
    let heed = listen(&socket, None, &Arc::new(Directory::new()), |_| false);
    assert_eq!(heed.absent.unwrap().why, "docker.sock did not answer /version within 5s");
    assert!(heed.heard.is_empty());
}
