//! Keys that a map has had already.

use std::borrow::Cow;
use std::collections::HashSet;

use foldhash::fast::RandomState;

/// Keys that are compared one by one. A choice: most maps have fewer, and comparing lengths first
/// is quicker than a hash.
const FEW: usize = 16;

/// The keys of one map: a few where they lie, more in a set.
#[derive(Debug)]
pub(super) struct Seen<'de> {
    few: [&'de str; FEW],
    count: usize,
    many: Option<HashSet<Cow<'de, str>, RandomState>>,
}

impl<'de> Seen<'de> {
    #[inline]
    pub(super) fn new() -> Self {
        Self { few: [""; FEW], count: 0, many: None }
    }

    /// Adds a key that lies in the input. Whether it is new.
    #[inline]
    pub(super) fn add(&mut self, key: &'de str) -> bool {
        if self.many.is_none()
            && let Some(free) = self.few.get_mut(self.count)
        {
            *free = key;
            let known = &self.few[..self.count];
            self.count += 1;
            return !known.contains(&key);
        }
        self.add_to_many(Cow::Borrowed(key))
    }

    /// Adds a key that lies elsewhere. Whether it is new.
    #[cold]
    pub(super) fn add_copied(&mut self, key: String) -> bool {
        self.add_to_many(Cow::Owned(key))
    }

    fn add_to_many(&mut self, key: Cow<'de, str>) -> bool {
        let known = &self.few[..self.count];
        let many = self
            .many
            .get_or_insert_with(|| known.iter().map(|known| Cow::Borrowed(*known)).collect());
        many.insert(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_new_once_however_many_there_are() {
        for count in [0, 1, FEW - 1, FEW, FEW + 1, 1000] {
            let keys: Vec<_> = (0..count).map(|key| key.to_string()).collect();
            let mut seen = Seen::new();
            for (number, key) in keys.iter().enumerate() {
                let new =
                    if number % 7 == 3 { seen.add_copied(key.clone()) } else { seen.add(key) };
                assert!(new, "{key} of {count}");
            }
            for key in &keys {
                assert!(!seen.add(key), "{key} of {count}");
                assert!(!seen.add_copied(key.clone()), "{key} of {count}");
            }
        }
    }
}
