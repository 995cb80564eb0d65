//! Who has a place, and who gives way.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::Patience;
use super::wire::Phase;

/// How often it is seen whether somebody can give way now, where nobody could.
const RECHECK: Duration = Duration::from_millis(50);

/// The places there are.
#[derive(Debug)]
pub(super) struct Door {
    places: usize,
    seats: Mutex<Seats>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    taken: BTreeMap<u64, Weak<Seat>>,
}

/// One connection's place, and what it does.
#[derive(Debug)]
pub(super) struct Seat {
    door: Weak<Door>,
    number: u64,
    peer: Peer,
    phase: watch::Sender<Phase>,
    /// The whole answer has been given to the wire, which may still hold some of it.
    said: AtomicBool,
}

/// Whose a connection is: the whole network of an IPv6 address, since one machine has all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    /// This machine, which may be many programs, or a proxy for many.
    Here,
    V4([u8; 4]),
    V6([u8; 8]),
}

impl Peer {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            address if address.is_loopback() => Self::Here,
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => Self::V6(network(address)),
        }
    }
}

/// The first half of an address.
fn network(address: Ipv6Addr) -> [u8; 8] {
    let mut network = [0; 8];
    network.iter_mut().zip(address.octets()).for_each(|(to, from)| *to = from);
    network
}

impl Door {
    pub(super) fn new(places: usize) -> Self {
        Self { places: places.max(1), seats: Mutex::default(), left: Notify::new() }
    }

    /// A place for a connection from `address`, once there is one.
    pub(super) async fn seat(self: &Arc<Self>, address: IpAddr) -> Arc<Seat> {
        let peer = Peer::of(address);
        loop {
            if let Some(seat) = self.try_seat(peer) {
                return seat;
            }
            // Whether somebody left or not: look again.
            drop(timeout(RECHECK, self.left.notified()).await);
        }
    }

    /// A place, if there is one; else somebody is asked to leave, if anybody can.
    fn try_seat(self: &Arc<Self>, peer: Peer) -> Option<Arc<Seat>> {
        let mut seats = self.lock();
        let taken: Vec<_> = seats.taken.values().filter_map(Weak::upgrade).collect();
        let own = taken.iter().filter(|seat| seat.peer == peer).count();
        let crowded = peer != Peer::Here && own >= self.most_of_one();
        if taken.len() < self.places && !crowded {
            let number = seats.next;
            seats.next = number.wrapping_add(1);
            let seat = Arc::new(Seat::new(Arc::downgrade(self), number, peer));
            seats.taken.insert(number, Arc::downgrade(&seat));
            // Those looked at may be the last of a seat, which locks the door when it is dropped.
            drop(seats);
            return Some(seat);
        }
        drop(seats);
        taken
            .iter()
            .filter(|seat| !crowded || seat.peer == peer)
            .filter_map(|seat| Some((seat.phase().rank()?, seat)))
            .min_by_key(|(rank, _)| *rank)
            .inspect(|(_, seat)| seat.enter(Phase::Over));
        None
    }

    /// Three quarters: another machine always finds a place.
    fn most_of_one(&self) -> usize {
        self.places - self.places / 4
    }

    /// Waits until nobody is left.
    pub(super) async fn empty(&self) {
        while !self.lock().taken.is_empty() {
            drop(timeout(RECHECK, self.left.notified()).await);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    fn new(door: Weak<Door>, number: u64, peer: Peer) -> Self {
        let (phase, _) = watch::channel(Phase::Head(Instant::now()));
        Self { door, number, peer, phase, said: AtomicBool::new(false) }
    }

    fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Goes over to `phase`; who has to leave does not.
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let goes = *now != Phase::Over && *now != phase;
            if goes {
                *now = phase;
            }
            goes
        });
    }

    /// Whether nothing was asked that is not answered.
    pub(super) fn is_unasked(&self) -> bool {
        matches!(self.phase(), Phase::Head(_) | Phase::Idle(_))
    }

    /// A request is here whole; it is begun when the answer before it has been taken.
    pub(super) async fn begin(&self) {
        let mut phases = self.phase.subscribe();
        // The sender is this seat's own.
        drop(phases.wait_for(|phase| !phase.is_answering()).await);
        self.said.store(false, Ordering::Relaxed);
        self.enter(Phase::Work);
    }

    /// Bytes came in.
    pub(super) fn heard(&self) {
        if matches!(self.phase(), Phase::Idle(_)) {
            self.enter(Phase::Head(Instant::now()));
        }
    }

    /// `count` bytes went out.
    pub(super) fn took(&self, count: usize) {
        self.phase.send_if_modified(|now| match now {
            Phase::Sending(_, bytes) => {
                *bytes = bytes.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
                true
            }
            _ => false,
        });
    }

    /// The whole answer was handed over.
    pub(super) fn said(&self) {
        self.said.store(true, Ordering::Relaxed);
    }

    /// A piece of an answer without an end was handed over.
    pub(super) fn says(&self) {
        if self.phase() == Phase::Streaming(None) {
            self.enter(Phase::Streaming(Some(Instant::now())));
        }
    }

    /// All that was handed over has gone out.
    pub(super) fn flushed(&self) {
        let phase = self.phase();
        if phase.is_answering() && self.said.swap(false, Ordering::Relaxed) {
            self.enter(Phase::Idle(Instant::now()));
        } else if matches!(phase, Phase::Streaming(_)) {
            self.enter(Phase::Streaming(None));
        }
    }

    /// Waits until the peer has been waited for in vain, or has to make room.
    pub(super) fn overdue(&self, patience: Patience) -> impl Future<Output = ()> + use<> {
        let mut phases = self.phase.subscribe();
        async move {
            loop {
                let deadline = phases.borrow_and_update().deadline(&patience);
                let end = async {
                    match deadline {
                        Some(at) => sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = end => return,
                    changed = phases.changed() => if changed.is_err() { return },
                }
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(door) = self.door.upgrade() else { return };
        door.lock().taken.remove(&self.number);
        door.left.notify_waiters();
        door.left.notify_one();
    }
}
