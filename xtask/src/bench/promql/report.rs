//! The tables, and what is promised of them.

use super::ask::{Seen, Times};
use super::questions::Question;
use super::server::Kind;

/// Prints what was seen; the promises that are broken.
pub(super) fn print(questions: &[Question], seen: &Seen) -> Vec<String> {
    let mut broken = Vec::new();
    println!("\nmilliseconds, warm: middle of the rounds; cold: the first after a start");
    println!(
        "{:>5} {:>8} {:>8} {:>8} {:>8}  {:>8} {:>8} {:>8}  {:>6}  query",
        "span", "ours", "prom", "vm", "vm+cache", "ours", "prom", "vm", "series"
    );
    for (question, times) in questions.iter().zip(&seen.times) {
        let [ours, prometheus, victoria, cached] = times.warm;
        let [cold, cold_prometheus, cold_victoria, _] = times.cold;
        let [series, _, of_victoria, _] = times.series;
        println!(
            "{:>5} {ours:>8.1} {prometheus:>8.1} {victoria:>8.1} {cached:>8.1}  {cold:>8.1} \
             {cold_prometheus:>8.1} {cold_victoria:>8.1}  {series:>6}  {}",
            question.span(),
            question.expr
        );
        if let Some(why) = &times.wrong {
            println!("      DIFFERS from Prometheus: {why}");
            broken.push(format!("{}: the answer differs", question.expr));
        }
        if of_victoria != series {
            println!("      VictoriaMetrics gives {of_victoria} series");
        }
    }
    judge("warm", means(seen, |times| times.warm), &mut broken);
    if seen.times.iter().all(|times| times.cold.iter().all(|time| *time > 0.0)) {
        judge("cold", means(seen, |times| times.cold), &mut broken);
    }
    memory(seen, &mut broken);
    broken
}

fn judge(what: &str, means: [f64; 4], broken: &mut Vec<String>) {
    let [ours, prometheus, victoria, cached] = means;
    let faster = prometheus.min(victoria);
    println!(
        "{what}: geometric mean {ours:.2} ms; prometheus {prometheus:.2}, victoria {victoria:.2} \
         (with its cache of results {cached:.2}): {:.2} of the faster, {:.2} with the cache",
        ours / faster,
        ours / faster.min(cached)
    );
    if ours > faster {
        broken.push(format!("{what}: {ours:.2} ms is more than {faster:.2} ms"));
    }
}

fn means(seen: &Seen, of: impl Fn(&Times) -> [f64; 4]) -> [f64; 4] {
    let count = f64::from(u32::try_from(seen.times.len()).unwrap_or(u32::MAX));
    let mut sums = [0.0; 4];
    for times in &seen.times {
        for (sum, time) in sums.iter_mut().zip(of(times)) {
            *sum += time.ln();
        }
    }
    sums.map(|sum: f64| (sum / count).exp())
}

fn memory(seen: &Seen, broken: &mut Vec<String>) {
    println!("peak memory during queries (all that is present; its own alone)");
    for (kind, peak) in Kind::ALL.into_iter().zip(seen.peaks) {
        let (resident, anon) = (peak.resident_kib >> 10, peak.anon_kib >> 10);
        println!("{:<12} {resident:>6} MiB {anon:>6} MiB", kind.name());
    }
    let [ours, prometheus, victoria] = seen.peaks.map(|peak| peak.resident_kib);
    let least = prometheus.min(victoria);
    if ours >= least {
        broken.push(format!("{} MiB of memory are not below {} MiB", ours >> 10, least >> 10));
    }
}
