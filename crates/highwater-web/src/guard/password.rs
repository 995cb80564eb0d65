//! Passwords, hashed by bcrypt as in Prometheus's own web configuration.
//!
//! bcrypt is slow on purpose: 60 ms of a processor at the usual cost, for whoever guesses and for
//! whoever scrapes each second alike. So what was right once is known again by a quick hash, which
//! lives in memory only; and what is wrong is verified one at a time, with pauses, so that guessing
//! takes no more than a quarter of one processor from the machine that is recorded.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::GuardError;
use super::credentials::Verdict;

/// 2 s of a processor; each step doubles that.
pub(super) const MAX_COST: u32 = 15;
/// The least that bcrypt knows.
const MIN_COST: u32 = 4;
/// How many passwords wait to be verified. Whoever is right comes by the quick hash from the second
/// time on.
const MAX_WAITING: usize = 16;
/// How long after a wrong password the next is verified, as a multiple of what it took.
const PAUSE_FACTOR: u32 = 3;

/// One user of the configuration.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct User {
    name: String,
    hash: String,
    cost: u32,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

impl User {
    /// Reads `name:$2y$10$…`.
    pub(super) fn read(line: &str) -> Option<Self> {
        let (name, hash) = line.split_once(':')?;
        let cost = cost(hash)?;
        let known = (MIN_COST..=MAX_COST).contains(&cost) && !name.is_empty();
        known.then(|| Self { name: name.to_owned(), hash: hash.to_owned(), cost })
    }
}

/// The cost of a hash that has the form of one: `$2y$10$` and 53 characters of its own base 64.
fn cost(hash: &str) -> Option<u32> {
    let mut parts = hash.strip_prefix('$')?.split('$');
    let (version, cost, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/';
    let fits = matches!(version, "2a" | "2b" | "2y")
        && cost.len() == 2
        && cost.bytes().all(|digit| digit.is_ascii_digit())
        && rest.len() == 53
        && rest.bytes().all(letters)
        && parts.next().is_none();
    if fits { cost.parse().ok() } else { None }
}

/// All users.
#[derive(Debug)]
pub(super) struct Users {
    known: Vec<User>,
    /// What an unknown user's password is compared with: it takes as long as a known one's.
    nobody: String,
    /// For each user, the quick hash of his password once it was right.
    right: Mutex<Vec<Option<hmac::Tag>>>,
    /// Of this process alone, and never told: without it the quick hash cannot be guessed at.
    key: hmac::Key,
    turn: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Users {
    /// `None`: there are none.
    pub(super) fn new(users: Vec<User>) -> Result<Option<Self>, GuardError> {
        let Some(most) = users.iter().map(|user| user.cost).max() else { return Ok(None) };
        for (at, user) in users.iter().enumerate() {
            if users.iter().take(at).any(|other| other.name == user.name) {
                return Err(GuardError::Twice(
                    highwater_core::text::escape(user.name.as_bytes()).into_owned(),
                ));
            }
        }
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Ok(Some(Self {
            // No password has a hash of zeros alone.
            nobody: format!("$2y${most:02}${}", ".".repeat(53)),
            right: Mutex::new(vec![None; users.len()]),
            key: key.map_err(|_| GuardError::Random)?,
            turn: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
            known: users,
        }))
    }

    /// Whether it is this user's password.
    pub(super) async fn verdict(&self, name: &[u8], password: &[u8]) -> Verdict {
        let at = self.known.iter().position(|user| user.name.as_bytes() == name);
        let quick = quick_hash(&self.key, name, password);
        let before = at.and_then(|at| locked(&self.right).get(at).copied().flatten());
        if before.is_some_and(|before| same(before, quick)) {
            return Verdict::Fits;
        }
        let hash = at.and_then(|at| self.known.get(at)).map_or(&self.nobody, |user| &user.hash);
        match self.verify(password.to_vec(), hash.clone()).await {
            Some(true) => {
                let mut right = locked(&self.right);
                if let Some(slot) = at.and_then(|at| right.get_mut(at)) {
                    *slot = Some(quick);
                }
                Verdict::Fits
            }
            Some(false) => Verdict::Wrong,
            None => Verdict::Busy,
        }
    }

    /// Verifies in turn; `None`: too many wait.
    async fn verify(&self, password: Vec<u8>, hash: String) -> Option<bool> {
        let place = Place::take(&self.waiting)?;
        let turn = Arc::clone(&self.turn).acquire_owned().await.ok()?;
        drop(place);
        let (tell, told) = oneshot::channel();
        // A task of its own: whoever hangs up does not shorten the pause.
        tokio::spawn(async move {
            let began = Instant::now();
            let verify = move || bcrypt::verify(password, &hash).unwrap_or(false);
            let right = spawn_blocking(verify).await.unwrap_or(false);
            let took = began.elapsed();
            // He may have hung up.
            let _nobody_waits = tell.send(right);
            if !right {
                sleep(took.saturating_mul(PAUSE_FACTOR)).await;
            }
            drop(turn);
        });
        told.await.ok()
    }
}

/// A place among those who wait.
struct Place<'w>(&'w AtomicUsize);

impl<'w> Place<'w> {
    fn take(waiting: &'w AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        // Given back by the drop, also where it is one too many.
        (waiting.fetch_add(1, Ordering::Relaxed) < MAX_WAITING).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn same(one: hmac::Tag, other: hmac::Tag) -> bool {
    use subtle::ConstantTimeEq as _;
    one.as_ref().ct_eq(other.as_ref()).into()
}

/// Of both, with the name's length between: no other pair has the same bytes.
fn quick_hash(key: &hmac::Key, name: &[u8], password: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    context.update(&name.len().to_le_bytes());
    context.update(name);
    context.update(password);
    context.sign()
}
