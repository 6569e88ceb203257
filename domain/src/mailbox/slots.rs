//! Small numbers for names and demands, so that a waiting task costs four bytes for each of them.
//!
//! A slot lives as long as something waits under it, and is reused afterwards. Which number a key gets
//! depends on history: nothing may be ordered by it. Walks go by key.

use std::collections::BTreeMap;

/// Keys in use, each with its slot and how many tasks wait under it.
#[derive(Debug, Clone)]
pub(super) struct Slots<K> {
    by_key: BTreeMap<K, u32>,
    slots: Vec<Option<(K, usize)>>,
    free: Vec<u32>,
}

impl<K> Default for Slots<K> {
    fn default() -> Self {
        Self { by_key: BTreeMap::new(), slots: Vec::new(), free: Vec::new() }
    }
}

impl<K: Ord + Clone> Slots<K> {
    /// Counts one more under `key` and returns its slot.
    pub(super) fn acquire(&mut self, key: &K) -> u32 {
        if let Some(slot) = self.by_key.get(key).copied() {
            if let Some((_, count)) = &mut self.slots[slot as usize] {
                *count += 1;
            }
            return slot;
        }
        let entry = Some((key.clone(), 1));
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = entry;
                slot
            }
            None => {
                self.slots.push(entry);
                // More distinct keys than that do not fit into memory.
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.by_key.insert(key.clone(), slot);
        slot
    }

    /// Counts one less under `slot`; forgets the key with the last.
    pub(super) fn release(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        match entry {
            Some((_, count)) if *count > 1 => *count -= 1,
            Some((key, _)) => {
                self.by_key.remove(key);
                *entry = None;
                self.free.push(slot);
            }
            None => debug_assert!(false, "slot {slot} was released too often"),
        }
    }

    /// Returns the slot of a key in use.
    pub(super) fn find(&self, key: &K) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    /// Returns how many wait under a key.
    pub(super) fn count(&self, key: &K) -> usize {
        self.find(key).map_or(0, |slot| self.count_of(slot))
    }

    fn count_of(&self, slot: u32) -> usize {
        self.slots[slot as usize].as_ref().map_or(0, |(_, count)| *count)
    }

    /// Returns the key of a slot in use.
    pub(super) fn get(&self, slot: u32) -> Option<&K> {
        self.slots[slot as usize].as_ref().map(|(key, _)| key)
    }

    /// Walks the keys in order, with how many wait under each.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&K, usize)> + '_ {
        self.by_key.iter().map(|(key, slot)| (key, self.count_of(*slot)))
    }
}

/// Which slots of a table an agent can serve; asked once a claim and not once a queue.
pub(super) struct Reach(Vec<bool>);

impl Reach {
    /// Judges every key in use.
    pub(super) fn new<K>(table: &Slots<K>, serves: impl Fn(&K) -> bool) -> Self {
        Self(table.slots.iter().map(|entry| entry.as_ref().is_some_and(|(key, _)| serves(key))).collect())
    }

    /// Tells whether a slot can be served.
    pub(super) fn holds(&self, slot: u32) -> bool {
        self.0[slot as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_keeps_its_slot_until_the_last_release_and_the_slot_is_reused() {
        let mut slots = Slots::default();
        assert_eq!((slots.acquire(&"b"), slots.acquire(&"a"), slots.acquire(&"b")), (0, 1, 0));
        assert_eq!(slots.iter().collect::<Vec<_>>(), [(&"a", 1), (&"b", 2)]);
        slots.release(0);
        assert_eq!(slots.find(&"b"), Some(0));
        slots.release(0);
        assert_eq!((slots.find(&"b"), slots.get(0)), (None, None));
        assert_eq!(slots.acquire(&"c"), 0);
    }
}
