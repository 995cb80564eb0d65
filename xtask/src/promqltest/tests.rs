//! The notation, the language, the judge, and the cases that are our own.

use highwater_core::series::{Labels, NAME, STALE};

use super::{Tally, judge, script};
use highwater_promql::notation::{self, Line, Sample};

fn values(text: &str) -> Vec<String> {
    let line = Line::read(&format!("m {text}")).unwrap();
    let shown = line.samples.iter().map(|sample| match sample {
        Sample::Gap => "_".to_owned(),
        Sample::Float(value) if value.to_bits() == STALE.to_bits() => "stale".to_owned(),
        Sample::Float(value) => value.to_string(),
        Sample::Histogram => "H".to_owned(),
    });
    shown.collect()
}

#[test]
fn values_are_numbers_runs_gaps_and_ends() {
    assert_eq!(values("1 -2 .5 1e3 1E-1"), ["1", "-2", "0.5", "1000", "0.1"]);
    assert_eq!(values("0+10x3"), ["0", "10", "20", "30"]);
    assert_eq!(values("8-2x2 -1-1x1"), ["8", "6", "4", "-1", "-2"]);
    assert_eq!(values("3x2"), ["3", "3", "3"]);
    assert_eq!(values("0x2 7"), ["0", "0", "0", "7"]);
    assert_eq!(values("1 _ _x2 2 stale"), ["1", "_", "_", "_", "2", "stale"]);
    assert_eq!(values("NaN Inf +inf -Inf"), ["NaN", "inf", "inf", "-inf"]);
    assert_eq!(values("{{count:1 sum:2}} {{}}+{{count:1}}x2 3"), ["H", "H", "H", "H", "3"]);
    assert_eq!(values(""), Vec::<String>::new());
}

#[test]
fn slips_of_the_pen_are_told() {
    let wrong = ["1+1", "x3", "1x", "1,2", "{{count:1", "0x99999999999", "1..2", "staleness", "1e"];
    for text in wrong {
        assert!(Line::read(&format!("m {text}")).is_err(), "{text}");
    }
    for text in ["", "{", "{a}", "{a=}", "{a=\"b}", "m{a=\"b\" c=\"d\"} 1", "{a=\"\\q\"} 1"] {
        assert!(Line::read(text).is_err(), "{text}");
    }
}

#[test]
fn labels_may_be_quoted_in_three_ways_and_names_too() {
    let labels = |text: &str| Line::read(text).unwrap().labels;
    let wanted = Labels::new([(NAME, "m"), ("a", "x\"y"), ("b", "z")]);
    assert_eq!(labels(r#"m{a="x\"y", b='z',} 1"#), wanted);
    assert_eq!(labels("{ __name__=`m`, a=`x\"y`, b = \"z\" } 1"), wanted);
    let any = labels(r#"{"a.b", "c d"="\u00e4\x41\101"} 1"#);
    assert_eq!(any.to_string(), "{\"a.b\",\"c d\"=\"äAA\"}");
    assert_eq!(labels("{} 1"), Labels::default());
    assert!(Line::read("m@st{a=\"b\"} -1m 0s").unwrap().starts);
}

#[test]
fn durations_have_parts() {
    let ms = |text| notation::duration_ms(text).ok();
    assert_eq!(ms("1h30m"), Some(5_400_000));
    assert_eq!(ms("10s53ms"), Some(10_053));
    assert_eq!(ms("0"), Some(0));
    assert_eq!(ms("-5m"), Some(-300_000));
    assert_eq!(ms("1w1d"), Some(691_200_000));
    for wrong in ["", "5", "m", "5 m", "5x", "-", "99999999999999999y"] {
        assert_eq!(ms(wrong), None, "{wrong}");
    }
}

#[test]
fn a_number_may_have_a_base() {
    assert_eq!(notation::number("0x1F"), Some(31.0));
    assert_eq!(notation::number("-0b101"), Some(-5.0));
    assert_eq!(notation::number("1e3"), Some(1000.0));
    assert_eq!(notation::number("+Inf"), Some(f64::INFINITY));
    assert_eq!(notation::number("{} 1"), None);
    assert_eq!(notation::number("infinite"), None);
}

#[test]
fn values_are_compared_by_a_share_of_their_size() {
    assert!(judge::almost(1.0, 1.000_001));
    assert!(!judge::almost(1.0, 1.000_01));
    assert!(judge::almost(f64::NAN, -f64::NAN) && judge::almost(0.0, -0.0));
    assert!(judge::almost(STALE, STALE) && !judge::almost(STALE, f64::NAN));
    assert!(!judge::almost(0.0, 1e-300) && !judge::almost(f64::INFINITY, f64::MAX));
    assert!(!judge::almost(f64::INFINITY, f64::NEG_INFINITY) && !judge::almost(1.0, f64::NAN));
    assert!(judge::almost(f64::MAX, f64::MAX.next_down()));
}

#[test]
fn what_is_no_command_is_told_with_its_line() {
    let told = |text: &str| format!("{:#}", script::read(text).unwrap_err());
    assert!(told("# a\n\nlod 5m\n").starts_with("3: lod 5m"), "{}", told("# a\n\nlod 5m\n"));
    for wrong in [
        "load 5\n  m 1",
        "load 5m\n  m one",
        "eval instant m",
        "eval instant at 5m m\n  m 1 # note\n  expect nothing",
        "eval instant at 5m m\n  expect fail\n  expect fail",
        "eval instant at 5m m\n  expect fail regex:(",
        "eval range from 5m to 0 step 1m m",
        "eval range from 0 to 5m step 0 m",
        "eval instant at 5m m\n  expected_fail_message no",
    ] {
        assert!(script::read(wrong).is_err(), "{wrong}");
    }
}

fn tally(text: &str) -> Tally {
    let mut tally = Tally::default();
    tally.file("test", text);
    tally
}

fn figures(text: &str) -> (usize, usize, usize) {
    let tally = tally(text);
    (tally.passed, tally.failed, tally.apart.values().sum())
}

#[test]
fn each_wrong_expectation_fails() {
    let load = "load 1m\n  m{a=\"1\"} 1 2 3\n  m{a=\"2\"} 5x2\n\n";
    for wrong in [
        "eval instant at 1m m",
        "eval instant at 1m m\n  m{a=\"1\"} 2\n  m{a=\"2\"} 6",
        "eval instant at 1m m\n  m{a=\"1\"} 2\n  m{a=\"3\"} 5",
        "eval instant at 1m m{a=\"1\"}\n  {a=\"1\"} 2",
        "eval instant at 1m m{a=\"1\"}\n  2",
        "eval_ordered instant at 1m sort(m)\n  m{a=\"2\"} 5\n  m{a=\"1\"} 2",
        "eval_fail instant at 1m m",
        "eval instant at 1m m + ignoring(a) m\n  expect fail msg: something else",
        "eval instant at 1m m{a=\"1\"}\n  expect warn\n  m{a=\"1\"} 2",
        "eval instant at 1m 1 + 1\n  3",
        "eval instant at 1m \"a\"\n  expect string \"b\"",
        "eval range from 0 to 2m step 1m m{a=\"1\"}\n  m{a=\"1\"} 1 2",
        "eval range from 0 to 2m step 1m m{a=\"1\"}\n  m{a=\"1\"} 1 2 3 4",
        "eval range from 0 to 2m step 1m m{a=\"1\"}\n  m{a=\"1\"} 1 _ 3",
        "eval instant at 2m m{a=\"1\"}[2m]\n  expect range vector from 1m to 2m step 1m\n  m{a=\"1\"} 2 4",
        "eval_fail instant at 1m m +",
    ] {
        assert_eq!(figures(&format!("{load}{wrong}\n")), (0, 1, 0), "{wrong}");
    }
}

#[test]
fn what_needs_native_histograms_is_counted_apart() {
    let load = "load 1m\n  h {{count:1 sum:2}}x5\n  f 1x5\n\n";
    assert_eq!(
        figures(&format!("{load}eval instant at 1m h\n  h {{{{count:1 sum:2}}}}\n")),
        (0, 0, 1)
    );
    assert_eq!(figures(&format!("{load}eval instant at 1m deriv(h[2m])\n")), (0, 0, 1));
    assert_eq!(figures(&format!("{load}eval instant at 1m f\n  f 2\n")), (0, 1, 0));
    assert_eq!(figures(&format!("{load}eval instant at 1m f\n  f 1\n")), (1, 0, 0));
}

#[test]
fn a_load_adds_and_a_clear_forgets() {
    let loads = "load 1m\n  a 1\n\nload 1m\n  b 2\n  b 3\n\n";
    assert_eq!(
        figures(&format!("{loads}eval instant at 0 {{__name__=~\".\"}}\n  a 1\n  b 3\n")),
        (1, 0, 0)
    );
    assert_eq!(
        figures(&format!("{loads}clear\neval instant at 0 {{__name__=~\".\"}}\n")),
        (1, 0, 0)
    );
}

#[test]
fn our_own_cases_hold() {
    let mut tally = Tally::default();
    for file in super::files(&crate::repo::root().join("fixtures/promql")).unwrap() {
        tally.file(&file.display().to_string(), &std::fs::read_to_string(&file).unwrap());
    }
    assert_eq!(tally.failed, 0, "what fails is printed above");
    assert!(tally.passed > 50 && tally.apart.is_empty());
}
