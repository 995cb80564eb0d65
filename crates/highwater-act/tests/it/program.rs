//! Programs that read, that do not, that complain, that never end.

use std::path::Path;
use std::time::Duration;

use highwater_act::{Body, Message, Outcome, Program, Receiver};
use highwater_core::time::WallTime;
use serde_json::{Value, json};

fn run(script: &str, timeout: Duration, document: Value) -> Outcome {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    let message = Message { id: String::new(), body: Body::Json(document) };
    Receiver::Program(Program { argv, timeout }).send(&message, WallTime::default())
}

const LONG: Duration = Duration::from_secs(30);

#[test]
fn it_reads_the_document_and_sees_no_more_of_the_environment_than_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("got");
    let script = format!(
        "cat > {0}; env | cut -d= -f1 | sort > {0}.env; cat /proc/self/oom_score_adj > {0}.adj",
        path.display()
    );
    assert_eq!(run(&script, LONG, json!({"version": "4"})), Outcome::Sent);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"version\":\"4\"}\n");
    let names = std::fs::read_to_string(dir.path().join("got.env")).unwrap();
    assert!(names.contains("PATH") && !names.contains("CARGO"), "{names}");
    assert_eq!(std::fs::read_to_string(dir.path().join("got.adj")).unwrap().trim(), "0");
}

#[test]
fn one_that_reads_nothing_of_a_long_document_has_taken_it() {
    assert_eq!(run("exit 0", LONG, json!("x".repeat(1 << 20))), Outcome::Sent);
}

#[test]
fn what_it_complains_is_told_as_far_as_it_goes() {
    let script = "head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 3";
    let Outcome::Later { why, .. } = run(script, LONG, json!({})) else { panic!("not later") };
    assert!(why.starts_with("it ended with exit status: 3: xxx"), "{why}");
    assert!(why.len() < 300, "{}", why.len());
}

#[test]
fn one_that_never_ends_is_killed_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}; wait", path.display());
    // Long enough for a shell to begin on a machine that does much else.
    let outcome = run(&script, Duration::from_secs(3), json!({}));
    let Outcome::Later { why, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(why, "it took longer than 3s and was killed");
    let child = std::fs::read_to_string(&path).unwrap();
    let stat = Path::new("/proc").join(child.trim()).join("stat");
    // Dead, or a zombie that nobody has waited for yet: as soon as the kernel comes to it.
    let state = || std::fs::read_to_string(&stat).unwrap_or_default();
    let is_over = || state().is_empty() || state().contains(") Z");
    let over = (0..200).any(|_| {
        is_over() || {
            std::thread::sleep(Duration::from_millis(10));
            false
        }
    });
    assert!(over, "{}", state());
}

#[test]
fn one_that_is_not_there_is_told() {
    let argv = vec!["/no/such/program".to_owned()];
    let message = Message { id: String::new(), body: Body::Json(json!({})) };
    let program = Receiver::Program(Program { argv, timeout: LONG });
    let outcome = program.send(&message, WallTime::default());
    assert!(outcome.to_string().starts_with("it cannot be run: No such file"), "{outcome}");
}
