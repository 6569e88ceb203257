//! The order of entries under `after`.

use std::collections::BTreeMap;

/// Returns the entries so that each comes after those it waits for, otherwise in the order of the file;
/// or a cycle, as the indices along it, beginning with its first entry in the file.
///
/// `after[i]` holds the indices that entry `i` waits for. Costs O(entries × edges) in the worst case, which
/// a file of a bounded size keeps small.
pub(super) fn order(after: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut placed = vec![false; after.len()];
    let mut order = Vec::with_capacity(after.len());
    loop {
        let before = order.len();
        for (entry, awaited) in after.iter().enumerate() {
            if !placed[entry] && awaited.iter().all(|one| placed[*one]) {
                placed[entry] = true;
                order.push(entry);
            }
        }
        if order.len() == after.len() {
            return Ok(order);
        }
        if order.len() == before {
            return Err(cycle(after, &placed));
        }
    }
}

/// Walks from an entry that cannot be placed along what it waits for, until an entry comes again.
fn cycle(after: &[Vec<usize>], placed: &[bool]) -> Vec<usize> {
    let mut path = Vec::new();
    let mut seen = BTreeMap::new();
    let mut next = placed.iter().position(|placed| !placed);
    while let Some(entry) = next {
        if let Some(start) = seen.insert(entry, path.len()) {
            let mut cycle = path.split_off(start);
            let first = (0..cycle.len()).min_by_key(|place| cycle[*place]).unwrap_or(0);
            cycle.rotate_left(first);
            return cycle;
        }
        path.push(entry);
        next = after[entry].iter().copied().find(|one| !placed[*one]);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_the_order_of_the_file_unless_they_wait() {
        assert_eq!(order(&[vec![2], vec![], vec![1]]), Ok(vec![1, 2, 0]));
        assert_eq!(order(&[vec![], vec![], vec![0, 1]]), Ok(vec![0, 1, 2]));
        assert_eq!(order(&[]), Ok(vec![]));
    }

    #[test]
    fn a_cycle_is_told_without_the_entries_that_only_wait_for_it() {
        assert_eq!(order(&[vec![3], vec![2], vec![3], vec![1]]), Err(vec![1, 2, 3]));
        assert_eq!(order(&[vec![0]]), Err(vec![0]));
    }
}
