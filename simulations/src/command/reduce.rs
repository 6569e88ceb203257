//! Taking things away as long as what matters stays.
//!
//! Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", TSE 2002), with the
//! complements alone: large parts first, then smaller ones, until no single thing can go.

/// Returns the fewest of the items that it finds with which the test still says yes. It must say so with all of them.
pub(crate) async fn fewest<T: Clone>(items: Vec<T>, mut fails: impl AsyncFnMut(&[T]) -> bool) -> Vec<T> {
    let mut kept = items;
    let mut parts = 1;
    while !kept.is_empty() {
        let size = kept.len().div_ceil(parts);
        let mut went = false;
        // From the end: what comes later depends on what comes earlier.
        let mut end = kept.len();
        while end > 0 {
            let begin = end.saturating_sub(size);
            let fewer = [&kept[..begin], &kept[end..]].concat();
            if fails(&fewer).await {
                kept = fewer;
                went = true;
            }
            end = begin;
        }
        match (size, went) {
            (1, false) => break,
            (1, true) => {}
            (_, _) => parts = (parts * 2).min(kept.len().max(1)),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn kept(of: u32, needed: &[u32]) -> (Vec<u32>, usize) {
        let mut tries = 0;
        let kept = fewest((0..of).collect(), async |some: &[u32]| {
            tries += 1;
            needed.iter().all(|one| some.contains(one))
        });
        (kept.await, tries)
    }

    #[tokio::test]
    async fn what_is_needed_stays_and_nothing_else_does() {
        for needed in [&[][..], &[0], &[999], &[3, 500, 998], &[0, 1, 2, 3]] {
            let (kept, tries) = kept(1_000, needed).await;
            assert_eq!(kept, needed);
            assert!(tries < 200, "{tries} tries for {needed:?}");
        }
        assert!(kept(0, &[]).await.0.is_empty());
        assert_eq!(kept(3, &[0, 1, 2]).await.0, [0, 1, 2]);
    }
}
