//! Who plays which part: somebody outside of the nodes who works with one of them, and with another when it dies.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

/// The parts that somebody plays.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seats(Arc<Mutex<BTreeSet<Arc<str>>>>);

/// A part that is played. It is free again when this goes away, with the node as well.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Seats,
    part: Arc<str>,
}

impl Seats {
    /// Takes a part, if nobody plays it.
    pub(crate) fn take(&self, part: &Arc<str>) -> Option<Seat> {
        let news = self.0.lock().insert(Arc::clone(part));
        news.then(|| Seat { seats: self.clone(), part: Arc::clone(part) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.0.lock().remove(&self.part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_played_by_one_at_a_time() {
        let (seats, part) = (Seats::default(), Arc::from("coordinator"));
        let seat = seats.take(&part);
        assert!(seat.is_some() && seats.take(&part).is_none());
        drop(seat);
        assert!(seats.take(&part).is_some());
    }
}
