//! Asking: each query of all servers in turn, and who begins goes round.

use std::path::Path;

use anyhow::{Context, ensure};

use super::answer::{self, Answer};
use super::questions::Question;
use super::server::{Kind, Peak, Server, forget_files};
use crate::clock;

/// Where everything is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) program: &'a Path,
    pub(super) folder: &'a Path,
}

/// Who is asked: `VictoriaMetrics` with its cache of results and without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Ours,
    Prometheus,
    Victoria,
    VictoriaCached,
}

impl Peer {
    pub(super) const ALL: [Self; 4] =
        [Self::Ours, Self::Prometheus, Self::Victoria, Self::VictoriaCached];

    fn kind(self) -> Kind {
        match self {
            Self::Ours => Kind::Ours,
            Self::Prometheus => Kind::Prometheus,
            Self::Victoria | Self::VictoriaCached => Kind::Victoria,
        }
    }

    fn ask(self, server: &Server, question: &Question) -> anyhow::Result<(f64, Vec<u8>)> {
        let mut path = question.path();
        if self == Self::Victoria {
            path.push_str("&nocache=1");
        }
        let began = clock::now();
        let (status, body) = server.get(&path)?;
        let took = began.elapsed().as_secs_f64() * 1000.0;
        ensure!(
            status == 200,
            "{self:?}, {}: {status} {}",
            question.expr,
            String::from_utf8_lossy(body.get(..300).unwrap_or(&body))
        );
        Ok((took, body))
    }
}

/// What was seen of one query.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    /// Milliseconds, by [`Peer::ALL`].
    pub(super) warm: [f64; 4],
    pub(super) cold: [f64; 4],
    /// How ours differs from Prometheus's answer.
    pub(super) wrong: Option<String>,
    /// How many series each gave.
    pub(super) series: [usize; 4],
}

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) times: Vec<Times>,
    /// By [`Kind::ALL`].
    pub(super) peaks: [Peak; 3],
}

/// Asks servers that run on: the middle of some rounds counts.
pub(super) fn warm(
    place: Place<'_>,
    questions: &[Question],
    rounds: usize,
) -> anyhow::Result<Seen> {
    let start = |kind| Server::start(kind, place.program, place.folder);
    let servers = [start(Kind::Ours)?, start(Kind::Prometheus)?, start(Kind::Victoria)?];
    servers.iter().for_each(Server::forget_peak);
    let mut seen = Seen::default();
    for (number, question) in questions.iter().enumerate() {
        let mut times = Times::default();
        let answers = once(&servers, question)?;
        times.series = answers.each_ref().map(Answer::len);
        let [ours, theirs, ..] = &answers;
        times.wrong = answer::compare(ours, theirs).err().map(|why| why.to_string());
        let mut all: [Vec<f64>; 4] = Default::default();
        for round in 0..rounds {
            for turn in 0..Peer::ALL.len() {
                let at = (turn + round + number) % Peer::ALL.len();
                let (Some(peer), Some(times)) = (Peer::ALL.get(at), all.get_mut(at)) else {
                    continue;
                };
                times.push(peer.ask(of(&servers, *peer)?, question)?.0);
            }
        }
        times.warm = all.map(middle);
        seen.times.push(times);
    }
    seen.peaks = servers.each_ref().map(Server::peak);
    Ok(seen)
}

/// The answers of all; it warms them, too.
fn once(servers: &[Server; 3], question: &Question) -> anyhow::Result<[Answer; 4]> {
    let ask = |peer: Peer| {
        let (_, body) = peer.ask(of(servers, peer)?, question)?;
        answer::read(&body).with_context(|| format!("{peer:?}, {}", question.expr))
    };
    let [ours, prometheus, victoria, cached] = Peer::ALL;
    Ok([ask(ours)?, ask(prometheus)?, ask(victoria)?, ask(cached)?])
}

fn of(servers: &[Server; 3], peer: Peer) -> anyhow::Result<&Server> {
    let at = Kind::ALL.iter().position(|kind| *kind == peer.kind());
    at.and_then(|at| servers.get(at)).context("no server")
}

/// Asks each query once of servers that were just started and have nothing in memory.
pub(super) fn cold(
    place: Place<'_>,
    questions: &[Question],
    seen: &mut Seen,
) -> anyhow::Result<()> {
    for (number, (question, times)) in questions.iter().zip(&mut seen.times).enumerate() {
        for turn in 0..Kind::ALL.len() {
            let at = (turn + number) % Kind::ALL.len();
            let Some(kind) = Kind::ALL.get(at) else { continue };
            forget_files(&kind.data(place.folder))?;
            let server = Server::start(*kind, place.program, place.folder)?;
            server.forget_peak();
            let peer = Peer::ALL.into_iter().find(|peer| peer.kind() == *kind);
            let (took, _) = peer.context("nobody to ask")?.ask(&server, question)?;
            for (peer, time) in Peer::ALL.into_iter().zip(&mut times.cold) {
                // What was never asked is in no cache.
                if peer.kind() == *kind {
                    *time = took;
                }
            }
            if let Some(peak) = seen.peaks.get_mut(at) {
                *peak = peak.or(server.peak());
            }
        }
    }
    Ok(())
}

fn middle(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
