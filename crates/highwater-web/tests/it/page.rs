//! `/metrics` in both formats.

use std::io::Write;
use std::process::{Command, Stdio};

use highwater_core::frame::Frame;
use highwater_web::exposition::Format;
use highwater_web::{Detail, metrics};

use crate::machine::{Still, frame, process, sum_up};

/// The page with every process, and no version that a release would change.
fn page(format: Format) -> String {
    let version = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"");
    metrics(&Still::new(), Detail::Processes, format, 0).replace(version, "version=\"…\"")
}

#[test]
fn prometheus_text_of_a_machine_with_hostile_names() {
    insta::assert_snapshot!(page(Format::Prometheus));
}

#[test]
fn openmetrics_of_a_machine_with_hostile_names() {
    insta::assert_snapshot!(page(Format::OpenMetrics));
}

#[test]
fn processes_are_told_one_by_one_only_where_asked_for() {
    let text = metrics(&Still::new(), Detail::Owners, Format::Prometheus, 0);
    assert!(!text.contains("pid="), "{text}");
    assert!(!text.contains("\nprocess_"), "{text}");
    assert!(text.contains("\nhighwater_owner_processes{kind=\"machine\",id=\"/\"} 1\n"));
}

#[test]
fn before_the_first_frame_there_is_still_a_valid_page() {
    let nothing_yet = Still { frame: None, ..Still::new() };
    let text = metrics(&nothing_yet, Detail::Owners, Format::OpenMetrics, 0);
    assert!(text.contains("highwater_build_info{version="));
    assert!(text.ends_with("# EOF\n"));
    assert!(!text.contains("node_"));
}

#[test]
fn too_many_cgroups_and_processes_are_cut_and_the_cut_is_told() {
    let mut crowd = frame();
    let paths = (0..600).map(|n| format!("/c/{n}"));
    let one = crowd.cgroups[0].clone();
    crowd.cgroups = paths
        .map(|path| highwater_core::frame::CgroupSample {
            path: highwater_core::id::CgroupPath::new(path.as_bytes()),
            ..one.clone()
        })
        .collect();
    crowd.processes = (0..600).map(|n| process(n, b"many", Some("/"))).collect();
    sum_up(&mut crowd);
    let crowd = Still { frame: Some::<Frame>(crowd), ..Still::new() };
    let text = metrics(&crowd, Detail::Processes, Format::Prometheus, 0);
    let count = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!(count("container_memory_usage_bytes{"), 500);
    assert_eq!(count("process_threads{"), 500);
    assert!(text.contains("\nhighwater_omitted_cgroups 100\n"));
    assert!(text.contains("\nhighwater_omitted_processes 100\n"));
    assert!(text.contains("\nhighwater_owner_processes{kind=\"machine\",id=\"/\"} 600\n"));
}

/// What promtool finds fault with, and why it stays: the name is the ecosystem's, not ours.
const ECOSYSTEM: [(&str, &str); 3] = [
    ("node_memory_", "camelCase"),
    ("node_memory_", "abbreviated units"),
    ("container_memory_failcnt", "_total"),
];

#[test]
fn promtool_reads_the_page_and_finds_fault_only_with_names_of_others() {
    let text = metrics(&Still::new(), Detail::Processes, Format::Prometheus, 0);
    let Ok(mut promtool) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        eprintln!("skipped: promtool is not installed (Debian package prometheus)");
        return;
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    // 3 is "readable, but with style faults"; 1 is "not readable".
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");
    let known = |line: &str| {
        ECOSYSTEM.iter().any(|(name, fault)| line.starts_with(name) && line.contains(fault))
    };
    let faults: Vec<_> = said.lines().filter(|line| !line.is_empty() && !known(line)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}
