//! Who has how much: the owners' sums of a frame, the largest of them one by one.

use highwater_core::owner::Owner;
use highwater_core::sum::{OwnerSample, OwnerSum};

use crate::exposition::LabelText;

/// How many owners are told apart, those with most anonymous memory first; the others are one,
/// `kind="other"`. A machine with more units than this has its memory in far fewer.
pub(crate) const MAX_OWNERS: usize = 100;

/// The sums of the [`MAX_OWNERS`] largest owners, largest first, then that of all others.
pub(crate) fn largest_owners(owners: &[OwnerSample]) -> Vec<(LabelText, OwnerSum)> {
    let mut all: Vec<_> =
        owners.iter().map(|sample| (labels(sample.owner.as_ref()), sample.sum)).collect();
    all.sort_by(|(a_labels, a), (b_labels, b)| {
        b.resident_anon.cmp(&a.resident_anon).then_with(|| a_labels.cmp(b_labels))
    });
    let rest = all.split_off(all.len().min(MAX_OWNERS));
    if let Some(other) = rest.into_iter().map(|(_, sum)| sum).reduce(OwnerSum::plus) {
        all.push((LabelText::new([("kind", "other")]), other));
    }
    all
}

/// Its `kind` and `id`, and whose it is if it is a user's.
fn labels(owner: Option<&Owner>) -> LabelText {
    let Some(owner) = owner else {
        return LabelText::new([("kind", "unknown")]);
    };
    let uid = owner.uid().map(|uid| uid.to_string()).unwrap_or_default();
    LabelText::new([("kind", owner.kind()), ("id", owner.id()), ("uid", &uid)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_core::units::Bytes;

    fn owner(path: Option<&str>, anon_mib: u64) -> OwnerSample {
        let sum = OwnerSum {
            processes: 1,
            resident_anon: Bytes::from_mib(anon_mib),
            ..OwnerSum::default()
        };
        OwnerSample { owner: path.map(Owner::of_path), sum }
    }

    #[test]
    fn owners_are_told_by_kind_name_and_user_the_largest_first() {
        let user = "/user.slice/user-1000.slice/user@1000.service/app.slice/a.service";
        let owners =
            [owner(Some("/system.slice/web.service"), 1), owner(None, 2), owner(Some(user), 3)];
        let told: Vec<_> = largest_owners(&owners).into_iter().map(|(labels, _)| labels).collect();
        let user = [("kind", "user-unit"), ("id", "a.service"), ("uid", "1000")];
        let web = [("kind", "unit"), ("id", "web.service")];
        let unknown = LabelText::new([("kind", "unknown")]);
        assert_eq!(told, [LabelText::new(user), unknown, LabelText::new(web)]);
    }

    #[test]
    fn the_small_owners_become_one_and_nothing_is_lost() {
        let count = u64::try_from(MAX_OWNERS).unwrap() + 20;
        let many: Vec<_> =
            (0..count).map(|n| owner(Some(&format!("/s/u{n}.service")), n)).collect();
        let sums = largest_owners(&many);
        assert_eq!(sums.len(), MAX_OWNERS + 1);
        let other = &sums[MAX_OWNERS];
        assert_eq!(other.0, LabelText::new([("kind", "other")]));
        assert_eq!(other.1.processes, 20);
        assert_eq!(other.1.resident_anon, Bytes::from_mib((0..20).sum()));
        assert_eq!(sums.iter().map(|(_, sum)| sum.processes).sum::<u64>(), count);
    }
}
