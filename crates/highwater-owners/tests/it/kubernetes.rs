//! A kubelet that answers what it is told to: there is no cluster here, and none was ever asked.

mod server;

use std::fs;
use std::sync::Arc;

use highwater_core::owner::Owner;
use highwater_core::testimony::{Fact, PodWord};
use highwater_core::time::WallTime;
use highwater_owners::kubernetes::{KubeConfig, Kubelet};
use highwater_owners::{Directory, Told};

use server::{Answer, Secured, Server};

const PODS: &str = include_str!("../../../../fixtures/kubernetes/pods.json");
const KILLING: &str = include_str!("../../../../fixtures/kubernetes/events-killing.json");
const EVICTED: &str = include_str!("../../../../fixtures/kubernetes/events-evicted.json");

fn kubelet(url: &str) -> KubeConfig {
    KubeConfig { url: url.to_owned(), ..KubeConfig::default() }
}

fn api_server(url: &str) -> KubeConfig {
    KubeConfig { node: Some("node-1".to_owned()), ..kubelet(url) }
}

fn asking(config: &KubeConfig) -> (Kubelet, Arc<Directory>) {
    let directory = Arc::new(Directory::new());
    (Kubelet::new(config, Arc::clone(&directory)).unwrap(), directory)
}

/// Why nothing was told.
fn absent(config: &KubeConfig) -> String {
    asking(config).0.poll().unwrap_err().why
}

/// What was said of the pod of this name.
fn of<'a>(told: &'a [Told], pod: &str) -> Vec<(&'a str, &'a PodWord)> {
    let own =
        told.iter().filter_map(|told| match (&told.testimony.about.owner, &told.testimony.fact) {
            (Some(Owner::Pod { pod: name, container, .. }), Fact::Pod(word))
                if name.starts_with(pod) =>
            {
                Some((container.as_str(), word))
            }
            _ => None,
        });
    own.collect()
}

/// `reason`, code and number of restarts of the ends of a pod's containers.
fn ends<'a>(told: &'a [Told], pod: &str) -> Vec<(&'a str, &'a str, i32, u32)> {
    let ends = of(told, pod).into_iter().filter_map(|(container, word)| match word {
        PodWord::Terminated { reason, code, restarts, .. } => {
            Some((container, reason.as_deref()?, (*code)?, (*restarts)?))
        }
        _ => None,
    });
    ends.collect()
}

#[test]
fn each_end_that_the_kubelet_knows_is_told_once() {
    let server = Server::begin(|path| match path {
        "/pods" => Answer::Says(200, PODS.to_owned()),
        _ => Answer::Says(404, String::new()),
    });
    let (mut asks, directory) = asking(&kubelet(&server.url));
    let told = asks.poll().unwrap();

    assert_eq!(ends(&told, "shop"), [("web", "OOMKilled", 137, 3)]);
    assert_eq!(ends(&told, "report"), [("report", "OOMKilled", 0, 0)]);
    assert_eq!(ends(&told, "crash"), [("app", "Error", 1, 7)]);
    assert_eq!(ends(&told, "slow"), [("slow", "Error", 137, 1)]);
    let migrate = [("fetch", "Completed", 0, 0), ("migrate", "Error", 2, 2)];
    assert_eq!(ends(&told, "migrate"), migrate);
    assert_eq!(ends(&told, "etcd"), [("etcd", "Completed", 0, 1)]);
    assert_eq!(ends(&told, "lost"), [("lost", "ContainerStatusUnknown", 137, 1)]);
    let [("cache", PodWord::Evicted { message })] = of(&told, "cache")[..] else {
        panic!("{:?}", of(&told, "cache"))
    };
    assert!(message.starts_with("The node was low on resource: memory."));
    assert_eq!(of(&told, "old"), [("old", &PodWord::Deleting { grace: Some(30) })]);

    let first = &told[0];
    assert_eq!(first.wall.unwrap().to_string(), "2026-11-21T09:10:29.000Z");
    assert!(first.key.starts_with("kube:") && first.key.ends_with(":web:1795252229000"));
    assert_eq!(
        first.testimony.evidence.text,
        "lastState.terminated reason=OOMKilled exitCode=137 restartCount=3"
    );
    let id = first.testimony.about.container_id.as_ref().unwrap();
    let owner = directory.owner_of_container(id);
    assert_eq!(owner.to_string(), "container web of pod default/shop-6d5f8b9c7-x2x9q");

    assert_eq!(asks.poll().unwrap(), [], "nothing is new");
    assert_eq!(asks.lacks(), Some("events (why a pod was killed) need the API server"));
}

#[test]
fn a_new_end_of_the_same_container_is_told_and_the_old_one_is_not() {
    let later = PODS.replacen("2026-11-21T09:10:29Z", "2026-11-21T09:20:00Z", 1).replacen(
        "\"restartCount\": 3",
        "\"restartCount\": 4",
        1,
    );
    let mut turn = 0;
    let server = Server::begin(move |_| {
        turn += 1;
        let pods = if turn == 1 { PODS.to_owned() } else { later.clone() };
        Answer::Says(200, pods)
    });
    let (mut asks, _) = asking(&kubelet(&server.url));
    asks.poll().unwrap();
    let news = asks.poll().unwrap();
    assert_eq!(ends(&news, ""), [("web", "OOMKilled", 137, 4)]);
}

fn api(path: &str) -> Answer {
    let body = match path {
        "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1" => PODS,
        path if path.contains("reason%3DKilling") => KILLING,
        path if path.contains("reason%3DEvicted") => EVICTED,
        _ => return Answer::Says(404, String::new()),
    };
    Answer::Says(200, body.to_owned())
}

#[test]
fn the_api_server_knows_why_the_kubelet_killed() {
    let server = Server::begin(api);
    let (mut asks, _) = asking(&api_server(&server.url));
    let told = asks.poll().unwrap();
    let killing = |pod: &str| {
        of(&told, pod).into_iter().find_map(|(container, word)| match word {
            PodWord::Killing { message } => Some((container, message.as_str())),
            _ => None,
        })
    };
    let probe = "Container slow failed liveness probe, will be restarted";
    assert_eq!(killing("slow"), Some(("slow", probe)));
    assert_eq!(killing("old"), Some(("old", "Stopping container old")));
    assert_eq!(killing("elsewhere"), None, "that is another node's");
    let evictions = of(&told, "cache");
    assert!(evictions.len() == 2, "of the pod's state and of the event: {evictions:?}");
    assert_eq!(asks.lacks(), None);
    assert_eq!(asks.poll().unwrap(), []);
}

#[test]
fn without_the_right_to_events_pods_are_told_all_the_same() {
    let server = Server::begin(|path| match path {
        path if path.contains("/events") => Answer::Says(403, String::new()),
        path => api(path),
    });
    let (mut asks, _) = asking(&api_server(&server.url));
    assert!(!asks.poll().unwrap().is_empty());
    let lacks = asks.lacks().unwrap();
    assert!(lacks.ends_with("answers 403; needs a service account that may list pods and events"));
}

#[test]
fn a_refusal_says_what_it_takes() {
    let server = Server::begin(|_| Answer::Says(401, String::new()));
    let url = &server.url;
    assert_eq!(absent(&kubelet(url)), format!("{url}/pods answers 401; needs a token file"));
    let server = Server::begin(|_| Answer::Says(403, String::new()));
    let why = absent(&kubelet(&server.url));
    assert!(why.ends_with("answers 403; needs a token that may get nodes/proxy, or nodes/pods"));
    let why = absent(&api_server(&server.url));
    assert!(why.ends_with("needs a service account that may list pods and events"), "{why}");
    let server = Server::begin(|_| Answer::Says(302, String::new()));
    assert!(absent(&kubelet(&server.url)).starts_with(&server.url));
}

#[test]
fn the_token_is_sent_as_it_is_now() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    let server = Server::begin_with_head(|_, head| {
        let is_known = head.to_ascii_lowercase().contains("authorization: bearer second\r\n");
        if is_known { Answer::Says(200, PODS.to_owned()) } else { Answer::Says(401, String::new()) }
    });
    let config = KubeConfig { token_file: Some(file.clone()), ..kubelet(&server.url) };
    let (mut asks, _) = asking(&config);
    assert!(asks.poll().unwrap_err().why.contains("token: No such file"));
    fs::write(&file, "first\n").unwrap();
    assert!(asks.poll().unwrap_err().why.ends_with("401; the token is not accepted"));
    fs::write(&file, "second\n").unwrap();
    assert!(!asks.poll().unwrap().is_empty());
}

#[test]
fn half_an_answer_tells_what_is_in_it() {
    let half = PODS.get(..PODS.find("crash-0").unwrap()).unwrap().to_owned();
    let mut turn = 0;
    let server = Server::begin(move |_| {
        turn += 1;
        if turn == 1 { Answer::Cut(half.clone()) } else { Answer::Says(200, PODS.to_owned()) }
    });
    let (mut asks, _) = asking(&kubelet(&server.url));
    let first = asks.poll().unwrap();
    assert_eq!(ends(&first, ""), [("web", "OOMKilled", 137, 3), ("report", "OOMKilled", 0, 0)]);
    let rest = asks.poll().unwrap();
    assert!(ends(&rest, "shop").is_empty() && !ends(&rest, "crash").is_empty());
}

#[test]
fn hostile_answers_are_no_news() {
    for body in
        ["", "{", "null", "[]", "<html>", r#"{"items":[{"metadata":7}]}"#, &"[".repeat(99_999)]
    {
        let body = body.to_owned();
        let server = Server::begin(move |_| Answer::Says(200, body.clone()));
        let why = absent(&kubelet(&server.url));
        assert!(why.ends_with("/pods answers, but not with a list of pods"), "{why}");
    }
    let empty = Server::begin(|_| Answer::Says(200, r#"{"items":null}"#.to_owned()));
    assert_eq!(asking(&kubelet(&empty.url)).0.poll().unwrap(), []);
    let odd = r#"{"items":[{},{"metadata":{"name":"a\u001b[2J"},"status":{"containerStatuses":[
        {"name":"x\ny","containerID":"containerd://../../etc","state":{"terminated":
        {"exitCode":-1,"signal":9,"startedAt":"never","finishedAt":"9999-99-99"}}}]}}]}"#;
    let odd = Server::begin(move |_| Answer::Says(200, odd.to_owned()));
    let (mut asks, _) = asking(&kubelet(&odd.url));
    let told = asks.poll().unwrap();
    let [one] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(one.wall, None);
    assert_eq!(one.testimony.about.container_id, None);
    let owner = one.testimony.about.owner.as_ref().unwrap().to_string();
    assert_eq!(owner, r"container x\ny of pod default/a\x1b[2J");
    assert_eq!(asks.poll().unwrap(), []);
}

#[test]
fn an_endless_answer_ends() {
    let server = Server::begin(|_| Answer::Endless);
    let why = absent(&kubelet(&server.url));
    assert!(why.contains("more than 16777216 bytes") || why.contains("did not answer"), "{why}");
}

#[test]
fn a_server_that_accepts_and_never_answers_is_given_up() {
    let server = Server::begin(|_| Answer::Never);
    let why = absent(&kubelet(&server.url));
    assert_eq!(why, format!("{}/pods did not answer within 5s", server.url));
}

#[test]
fn a_server_that_is_not_there_is_absent() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let why = absent(&kubelet(&format!("http://{free}")));
    assert!(why.contains("refused"), "{why}");
    assert!(!absent(&kubelet("nonsense")).is_empty());
    let dir = tempfile::tempdir().unwrap();
    let config =
        KubeConfig { ca_file: Some(dir.path().join("ca")), ..kubelet("https://127.0.0.1") };
    let why = Kubelet::new(&config, Arc::new(Directory::new())).unwrap_err().why;
    assert!(why.contains("No such file"), "{why}");
}

#[test]
fn a_certificate_is_checked_unless_it_is_said_otherwise() {
    let Some(server) = Secured::begin(PODS) else {
        // Without openssl there is nobody to show a certificate: a plain server is no secured one.
        let plain = Server::begin(|_| Answer::Says(200, PODS.to_owned()));
        let why = absent(&kubelet(&plain.url.replace("http:", "https:")));
        assert!(!why.is_empty());
        return;
    };
    let why = absent(&kubelet(&server.url));
    assert!(why.ends_with("needs the file of the authority that signed it"), "{why}");
    let known = KubeConfig { ca_file: Some(server.authority()), ..kubelet(&server.url) };
    assert!(!asking(&known).0.poll().unwrap().is_empty());
    let insecure = KubeConfig { insecure: true, ..kubelet(&server.url) };
    let told = asking(&insecure).0.poll().unwrap();
    assert_eq!(told[0].wall, Some(WallTime::from_millis(1_795_252_229_000)));
}
