//! Whether a key has been seen in its map.
//!
//! Only the keys of the maps that are open at the moment are kept, as 16 bytes each: a short
//! plain key itself, of any other a hash. Two different hashed keys of one map are taken for equal
//! once in about 2^120 pairs.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;

use super::scan::Short;

/// Stands where a short key has its length.
const HASHED: u8 = 0xff;
/// A long key is hashed block by block, so that its hash does not depend on the pieces it comes in.
const BLOCK_LEN: usize = 64;
/// Up to so many keys are looked through one by one. A choice: two or three cache lines.
const FEW: usize = 16;
/// A set with more room than this is not kept for the next map: to clear it would cost more than
/// the next map does.
const SPARE_CAPACITY: usize = 1024;

type Set = HashSet<u128, RandomState>;

/// The keys of the open maps.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Those of the maps with few keys, innermost last.
    few: Vec<u128>,
    maps: Vec<Map>,
    #[expect(clippy::vec_box, reason = "a set is moved to its map as it is")]
    spare: Vec<Box<Set>>,
    random: [RandomState; 2],
}

#[derive(Debug)]
struct Map {
    /// Where its keys begin in `few`.
    begin: usize,
    many: Option<Box<Set>>,
}

impl Keys {
    #[inline]
    pub(super) fn begin(&mut self) {
        self.maps.push(Map { begin: self.few.len(), many: None });
    }

    #[inline]
    pub(super) fn end(&mut self) {
        let Some(map) = self.maps.pop() else { return };
        self.few.truncate(map.begin);
        if let Some(mut set) = map.many
            && set.capacity() <= SPARE_CAPACITY
        {
            set.clear();
            self.spare.push(set);
        }
    }

    /// Takes a key of the innermost map. False if the map has it already.
    pub(super) fn insert(&mut self, key: &[u8]) -> bool {
        let mut hasher = self.hasher();
        hasher.update(key);
        self.insert_word(hasher.finish())
    }

    /// For a key that comes in pieces.
    pub(super) fn hasher(&self) -> KeyHasher {
        let hashers = [self.random[0].build_hasher(), self.random[1].build_hasher()];
        KeyHasher { block: [0; BLOCK_LEN], filled: 0, len: 0, hashers }
    }

    /// As [`insert`](Self::insert), for what [`Short::key`] or [`KeyHasher::finish`] gave.
    #[inline]
    pub(super) fn insert_word(&mut self, key: u128) -> bool {
        let Some(map) = self.maps.last() else { return true };
        let few = &self.few[map.begin..];
        if few.len() == FEW || map.many.is_some() {
            return self.insert_into_many(key);
        }
        let new = !few.contains(&key);
        self.few.push(key);
        new
    }

    #[cold]
    fn insert_into_many(&mut self, key: u128) -> bool {
        let Some(map) = self.maps.last_mut() else { return true };
        let set = map.many.get_or_insert_with(|| self.spare.pop().unwrap_or_default());
        set.extend(self.few.drain(map.begin..));
        set.insert(key)
    }
}

/// A key on its way in.
pub(super) struct KeyHasher {
    block: [u8; BLOCK_LEN],
    filled: usize,
    len: u64,
    hashers: [<RandomState as BuildHasher>::Hasher; 2],
}

impl KeyHasher {
    pub(super) fn update(&mut self, mut piece: &[u8]) {
        self.len += piece.len() as u64;
        while !piece.is_empty() {
            // Not before there is more: a short key is taken from here.
            if self.filled == BLOCK_LEN {
                for hasher in &mut self.hashers {
                    hasher.write(&self.block);
                }
                self.filled = 0;
            }
            let (now, rest) = piece.split_at(piece.len().min(BLOCK_LEN - self.filled));
            self.block[self.filled..self.filled + now.len()].copy_from_slice(now);
            self.filled += now.len();
            piece = rest;
        }
    }

    pub(super) fn finish(mut self) -> u128 {
        if self.len <= Short::MAX_LEN as u64
            && let Some(short) = Short::of(&self.block, self.filled)
        {
            return short.key();
        }
        let rest = &self.block[..self.filled];
        let [low, high] = self.hashers.each_mut().map(|hasher| {
            hasher.write(rest);
            hasher.write_u64(self.len);
            u128::from(hasher.finish())
        });
        low | high << 64 | u128::from(HASHED) << 120
    }
}
