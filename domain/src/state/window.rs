//! A bounded memory of the latest facts, in pages.
//!
//! Request ids and endings must be remembered for a while, and the same on every replica, so the bound
//! is a count and not a time. Pages keep checkpoints cheap: only the pages that changed are written.

use std::collections::{BTreeMap, VecDeque};

/// How many facts a page holds. Larger pages write more for each change, smaller ones make more rows.
const PAGE_LEN: usize = 512;

/// How many pages are kept: 65 536 facts, about a second of full load or an hour of ordinary work.
/// A retry after more than that many other requests is judged as a new request.
const PAGES_MAX: usize = 128;

/// The pages that a push touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Touched {
    /// The page that grew.
    pub(super) written: u64,
    /// The page that left, if the window was full.
    pub(super) dropped: Option<u64>,
}

/// The latest facts by key.
#[derive(Debug)]
pub(super) struct Window<K, V> {
    pages: VecDeque<(u64, Vec<(K, V)>)>,
    places: BTreeMap<K, (u64, usize)>,
}

impl<K, V> Default for Window<K, V> {
    fn default() -> Self {
        Self { pages: VecDeque::new(), places: BTreeMap::new() }
    }
}

impl<K: Ord + Clone, V: Clone> Window<K, V> {
    /// Remembers a fact; a later fact of the same key hides the earlier.
    pub(super) fn push(&mut self, key: K, value: V) -> Touched {
        let mut dropped = None;
        let full = self.pages.back().is_none_or(|(_, page)| page.len() >= PAGE_LEN);
        if full {
            let number = self.pages.back().map_or(0, |(number, _)| number + 1);
            self.pages.push_back((number, Vec::with_capacity(PAGE_LEN)));
            if self.pages.len() > PAGES_MAX {
                dropped = self.drop_oldest();
            }
        }
        let mut written = 0;
        if let Some((number, page)) = self.pages.back_mut() {
            written = *number;
            self.places.insert(key.clone(), (written, page.len()));
            page.push((key, value));
        }
        Touched { written, dropped }
    }

    fn drop_oldest(&mut self) -> Option<u64> {
        let (number, page) = self.pages.pop_front()?;
        for (key, _) in page {
            // A later fact of the same key keeps its place; that is rare enough to put it back.
            if let Some(place) = self.places.remove(&key).filter(|(page, _)| *page != number) {
                self.places.insert(key, place);
            }
        }
        Some(number)
    }

    /// Looks a fact up.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let (number, slot) = *self.places.get(key)?;
        self.page(number)?.get(slot).map(|(_, value)| value)
    }

    /// Returns one page.
    pub(super) fn page(&self, number: u64) -> Option<&Vec<(K, V)>> {
        let (first, _) = self.pages.front()?;
        let offset = usize::try_from(number.checked_sub(*first)?).ok()?;
        self.pages.get(offset).map(|(_, page)| page)
    }

    /// Walks the pages, oldest first.
    pub(super) fn pages(&self) -> impl Iterator<Item = (u64, &Vec<(K, V)>)> {
        self.pages.iter().map(|(number, page)| (*number, page))
    }

    /// Puts a stored page back; pages come in order.
    pub(super) fn restore(&mut self, number: u64, page: Vec<(K, V)>) {
        for (slot, (key, _)) in page.iter().enumerate() {
            self.places.insert(key.clone(), (number, slot));
        }
        self.pages.push_back((number, page));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_page_leaves_when_the_window_is_full() {
        let mut window = Window::default();
        let total = PAGE_LEN * PAGES_MAX;
        for number in 0..total {
            assert_eq!(window.push(number, number).dropped, None);
        }
        assert_eq!(window.push(total, total).dropped, Some(0));
        assert_eq!(window.get(&0), None);
        assert_eq!(window.get(&PAGE_LEN), Some(&PAGE_LEN));
        assert_eq!(window.get(&total), Some(&total));
    }

    #[test]
    fn a_restored_window_answers_and_goes_on_like_the_one_it_was_made_from() {
        let mut window = Window::default();
        for number in 0..PAGE_LEN * 2 + 5 {
            window.push(number, number * 2);
        }
        let mut restored = Window::default();
        for (number, page) in window.pages() {
            restored.restore(number, page.clone());
        }
        assert_eq!(restored.get(&(PAGE_LEN + 3)), window.get(&(PAGE_LEN + 3)));
        assert_eq!(restored.push(9999, 1), window.push(9999, 1));
    }
}
