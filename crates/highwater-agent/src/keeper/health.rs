//! Whether the store is well: ill at the first write that fails, well after many that went well.

/// So many writes in a row must go well before the store counts as well again: on a disk that is
/// nearly full every other write may still go well.
const STEADY_WRITES: u32 = 12;

/// How the store was lately.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Health {
    /// How many writes went well since the last that failed.
    good_since: Option<u32>,
    full: bool,
}

impl Health {
    /// The last write failed.
    pub(super) fn is_ill(self) -> bool {
        self.good_since == Some(0)
    }

    /// It failed because the disk is full: opening the store anew would not help.
    pub(super) fn is_full(self) -> bool {
        self.is_ill() && self.full
    }

    /// A write failed; whether that is news.
    pub(super) fn fails(&mut self, full: bool) -> bool {
        let news = self.good_since.is_none();
        *self = Self { good_since: Some(0), full };
        news
    }

    /// A write went well; whether that is news.
    pub(super) fn works(&mut self) -> bool {
        match self.good_since {
            None => false,
            Some(good) if good < STEADY_WRITES => {
                self.good_since = Some(good + 1);
                false
            }
            Some(_) => {
                self.good_since = None;
                true
            }
        }
    }
}

/// An error and its cause, in one line. What is beneath that says the same in other words.
pub(super) fn reasons(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_told_once_and_the_end_of_it_once() {
        let mut health = Health::default();
        assert!(!health.works() && !health.is_ill());
        assert!(health.fails(true));
        assert!(health.is_full());
        assert!(!health.works(), "one good write is no recovery");
        assert!(!health.is_ill());
        assert!(!health.fails(false), "it never was well");
        assert!(!health.is_full());
        let told = (0..100).filter(|_| health.works()).count();
        assert_eq!(told, 1);
        assert!(health.fails(false));
    }
}
