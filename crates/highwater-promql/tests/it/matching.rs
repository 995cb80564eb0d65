//! Operators between vectors, and aggregations.

use super::memory::Memory;

fn machines() -> Memory {
    Memory::from(
        0,
        &[
            "used{host=\"a\",kind=\"x\"} 1 2",
            "used{host=\"a\",kind=\"y\"} 3 4",
            "used{host=\"b\",kind=\"x\"} 5 6",
            "size{host=\"a\",zone=\"n\"} 10 10",
            "size{host=\"b\",zone=\"s\"} 20 20",
        ],
    )
}

#[test]
fn one_to_one_by_all_labels_by_some_or_by_all_but_some() {
    let all = machines();
    assert_eq!(
        all.at("used{kind=\"x\"} / on(host) size", 0),
        "{host=\"a\"} 0.1\n{host=\"b\"} 0.25"
    );
    assert_eq!(all.at("used{kind=\"x\"} + ignoring(kind) used{kind=\"y\"}", 0), "{host=\"a\"} 4");
    assert_eq!(all.at("used + used", 10).lines().count(), 3);
    assert_eq!(all.at("used > on(host, kind) used", 10), "");
    assert_eq!(all.at("used{kind=\"y\"} >= bool used", 10), "{host=\"a\",kind=\"y\"} 1");
}

#[test]
fn many_to_one_keeps_the_many_and_may_take_labels() {
    let all = machines();
    assert_eq!(
        all.at("used / on(host) group_left(zone) size", 0),
        "{host=\"a\",kind=\"x\",zone=\"n\"} 0.1\n{host=\"a\",kind=\"y\",zone=\"n\"} 0.3\n\
         {host=\"b\",kind=\"x\",zone=\"s\"} 0.25"
    );
    assert_eq!(all.at("size - on(host) group_right used", 0).lines().count(), 3);
}

#[test]
fn matches_that_are_not_unique_are_errors_in_prometheus_words() {
    let all = machines();
    assert_eq!(
        all.at("used / on(host) size", 0),
        "error: multiple matches for labels: many-to-one matching must be explicit \
         (group_left/group_right)"
    );
    assert_eq!(
        all.at("size / on(host) used", 0),
        "error: found duplicate series for the match group {host=\"a\"} on the right hand-side of \
         the operation: [{__name__=\"used\", host=\"a\", kind=\"y\"}, {__name__=\"used\", \
         host=\"a\", kind=\"x\"}];many-to-many matching not allowed: matching labels must be \
         unique on one side"
    );
    assert_eq!(
        all.at("-{__name__=~\"used|size\",host=\"b\",kind=~\"x?\"} or -used", 0).lines().count(),
        4
    );
    let same = Memory::from(0, &["a{x=\"1\"} 1", "b{x=\"1\"} 2"]);
    assert_eq!(
        same.at("abs({x=\"1\"})", 0),
        "error: vector cannot contain metrics with the same labelset"
    );
}

#[test]
fn sets_are_decided_step_by_step() {
    let all = machines();
    assert_eq!(all.over("used > 3 or size", (0, 10, 10)).lines().count(), 4);
    assert_eq!(
        all.over("used and on(host) (size > 15)", (0, 10, 10)),
        "used{host=\"b\",kind=\"x\"} 5@0 6@10"
    );
    assert_eq!(all.at("used unless on(kind) used{host=\"b\"}", 0), "used{host=\"a\",kind=\"y\"} 3");
}

#[test]
fn groups_are_folded() {
    let all = machines();
    assert_eq!(all.at("sum by (host) (used)", 0), "{host=\"a\"} 4\n{host=\"b\"} 5");
    assert_eq!(all.at("sum without (kind) (used)", 0), "{host=\"a\"} 4\n{host=\"b\"} 5");
    assert_eq!(all.at("avg(used) + stddev(used) * 0", 0), " 3");
    assert_eq!(all.at("quantile(0.5, used)", 10), " 4");
    assert_eq!(all.at("count_values by (host) (\"v\", used * 0)", 0).lines().count(), 2);
    assert_eq!(
        all.at("topk(2, used)", 0),
        "used{host=\"b\",kind=\"x\"} 5\nused{host=\"a\",kind=\"y\"} 3"
    );
    assert_eq!(all.over("bottomk(1, used)", (0, 10, 10)), "used{host=\"a\",kind=\"x\"} 1@0 2@10");
    assert_eq!(all.at("topk(NaN, used)", 0), "error: Parameter value is NaN");
}

#[test]
fn labels_can_be_written_anew() {
    let all = machines();
    assert_eq!(
        all.at("label_replace(size, \"h\", \"$1-${1}x\", \"host\", \"(.)\")", 0),
        "size{h=\"a-ax\",host=\"a\",zone=\"n\"} 10\nsize{h=\"b-bx\",host=\"b\",zone=\"s\"} 20"
    );
    assert_eq!(
        all.at("label_join(size{host=\"a\"}, \"j\", \"/\", \"host\", \"zone\")", 0),
        "size{host=\"a\",j=\"a/n\",zone=\"n\"} 10"
    );
    assert_eq!(
        all.at("label_replace(size, \"host\", \"\", \"\", \"\")", 0),
        "size{zone=\"n\"} 10\nsize{zone=\"s\"} 20"
    );
    assert!(all.at("label_replace(size, \"\\xff\", \"\", \"\", \"\")", 0).contains("label name"));
}
