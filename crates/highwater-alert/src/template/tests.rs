use std::fmt::Write as _;

use highwater_core::series::{Labels, Selection, Series, SeriesSource, SourceError};
use highwater_core::time::WallTime;
use highwater_promql::Options;

use super::{Scene, check, expand};

/// One series, `up{instance="a:1",job="j"} 1`.
struct Up;

impl SeriesSource for Up {
    fn select(&self, selection: &Selection) -> Result<Vec<Series>, SourceError> {
        let series = |instance| Series {
            labels: Labels::new([("__name__", "up"), ("instance", instance), ("job", "j")]),
            points: vec![highwater_core::series::Point { at: selection.to, value: 1.5 }],
        };
        let all = [series("b:1"), series("a:1")];
        let wanted = |series: &Series| selection.matchers.iter().all(|m| m.accepts(&series.labels));
        Ok(all.into_iter().filter(wanted).collect())
    }

    fn name(&self) -> &'static str {
        "a test"
    }
}

fn said(text: &str) -> Result<String, String> {
    let labels = Labels::new([("instance", "web.example.com:9100"), ("job", "gateway")]);
    let scene = Scene {
        labels: &labels,
        value: 1_234_567.5,
        external_labels: &Labels::new([("site", "here")]),
        external_url: "http://hw.example/base",
        at: WallTime::from_millis(60_000),
        source: &Up,
        options: &Options::default(),
    };
    expand(text, &scene)
}

#[test]
fn texts_are_prometheus_s() {
    let cases = [
        ("plain", "plain"),
        ("{{ $value }} {{ .Value }}", "1.2345675e+06 1.2345675e+06"),
        ("{{ $labels.job }} {{ $labels.nope }}|", "gateway |"),
        ("{{ if $labels.nope }}yes{{ else }}no{{ end }}", "no"),
        (
            "{{ $externalLabels.site }} {{ $externalURL }} {{ pathPrefix }}",
            "here http://hw.example/base /base",
        ),
        ("{{ $value | humanize }} {{ humanize1024 $value }}B", "1.235M 1.177MiB"),
        ("{{ $value | printf \"%.2f\" }}", "1234567.50"),
        ("{{ printf \"%s-%s\" $labels.job $labels.nope }}", "gateway-"),
        ("{{ with query \"up\" }}{{ . | first | value }}{{ end }}", "1.5"),
        (
            "{{ range query \"up\" | sortByLabel \"instance\" }}{{ .Labels.instance }}={{ .Value }} {{ end }}",
            "a:1=1.5 b:1=1.5 ",
        ),
        ("{{ query \"up{job='j',instance='a:1'}\" | first | label \"instance\" }}", "a:1"),
        (
            "{{ $labels.instance | stripDomain }} {{ $labels.instance | stripPort }}",
            "web:9100 web.example.com",
        ),
        ("{{ reReplaceAll \"(.*):.*\" \"$1\" $labels.instance }}", "web.example.com"),
        ("{{ if match \"^gate\" $labels.job }}m{{ end }}", "m"),
        ("{{ title \"two words\" }} {{ toUpper \"a\" }}", "Two Words A"),
        ("{{ if gt $value 1.0 }}big{{ end }}", "big"),
        ("{{ $labels.job | len }}", "7"),
        ("{{ print $value $value }} {{ print \"a\" 1 \"b\" }}", "1.2345675e+06 1.2345675e+06 a1b"),
        (
            "{{ printf \"%v %g %6.1f|%-4s|%[1]v\" $value $value 2.25 \"x\" }}",
            "1.2345675e+06 1.2345675e+06    2.2|x   |1.2345675e+06",
        ),
        ("{{ query \"up\" | first }}", "{map[__name__:up instance:b:1 job:j] 1.5}"),
        (
            "{{ $labels }} {{ $value | html }}",
            "map[instance:web.example.com:9100 job:gateway] 1.2345675e+06",
        ),
        ("{{ 0.25 | humanizePercentage }} {{ humanizeDuration 3661.0 }}", "25% 1h 1m 1s"),
        ("{{ define \"x\" }}[{{ . }}]{{ end }}{{ template \"x\" $labels.job }}", "[gateway]"),
        ("{{ $x := 1 }}{{ range $i, $s := query \"up\" }}{{ $i }}{{ end }}{{ $x }}", "011"),
        ("{{ query \"vector(7)\" | first | value }} {{ now }}", "7 60"),
    ];
    for (text, wanted) in cases {
        assert_eq!(said(text).as_deref(), Ok(wanted), "{text}");
        assert!(check(text).is_ok(), "{text}");
    }
}

#[test]
fn faults_are_told_with_their_places() {
    let cases = [
        ("{{ $nope }}", 1, 4, "undefined variable"),
        ("a\nb {{ nope 1 }}", 2, 6, "not defined"),
        ("{{ if }}", 1, 1, ""),
        ("{{ $labels.job", 1, 1, ""),
        (
            "{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}",
            1,
            1,
            "calls itself",
        ),
    ];
    for (text, line, column, what) in cases {
        let unfit = check(text).unwrap_err();
        let place = unfit.place.unwrap();
        assert_eq!(place.line, line, "{text}: {unfit:?}");
        assert!(place.column >= column, "{text}: {unfit:?}");
        assert!(unfit.what.contains(what), "{text}: {unfit:?}");
    }
    for open in ["{{ if 1 }}x", "{{ range . }}{{ if 1 }}{{ end }}", "a {{ define \"x\" }} b"] {
        assert!(check(open).unwrap_err().what.contains("no {{ end }}"), "{open}");
    }
    assert!(said("{{ $labels.job.x }}").is_err());
    assert!(said("{{ .Nope }}").is_err());
    assert!(said("{{ query \"up +\" }}").unwrap_err().contains("parse error"));
    assert!(said("{{ query \"up == 7\" | first }}").unwrap_err().contains("no elements"));
}

#[test]
fn bombs_end() {
    let mut calls = "{{ define \"t0\" }}x{{ end }}".to_owned();
    for level in 1..40 {
        let before = level - 1;
        let call = format!("{{{{ template \"t{before}\" }}}}");
        write!(calls, "{{{{ define \"t{level}\" }}}}{call}{call}{{{{ end }}}}").unwrap();
    }
    calls += "{{ template \"t39\" }}";
    let doubled = "{{ $x := \"xxxxxxxx\" }}".to_owned() + &"{{ $x = print $x $x }}".repeat(40);
    let piped =
        "{{ $x := \"xxxxxxxx\" }}".to_owned() + &"{{ $x = $x | printf \"%s%s\" $x }}".repeat(40);
    let padded = "{{ $x := printf \"%65000d\" 1 }}".repeat(80);
    let grown = "{{ reReplaceAll \"\" $value2 $value2 }}"
        .replace("$value2", &format!("{:?}", "ab".repeat(5000)));
    let mut asked = String::new();
    for at in 0..40 {
        write!(asked, "{{{{ query \"vector({at})\" | len }}}}").unwrap();
    }
    for bomb in [
        calls,
        doubled,
        piped,
        padded,
        grown,
        asked,
        "{{ range 1000000000 }}{{ end }}".into(),
        "{{ range 9000 }}{{ $labels.instance }}{{ end }}".into(),
        "(".repeat(70_000) + "{{ 1 }}",
        format!("{{{{ {}1{} }}}}", "(".repeat(20_000), ")".repeat(20_000)),
    ] {
        let start: String = bomb.chars().take(60).collect();
        assert!(said(&bomb).is_err(), "{start}");
    }
}
