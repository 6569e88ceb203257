//! A run that shows nothing proves nothing: it must have done work, and had faults if it was to have some.
//!
//! Source: a harness that silently stopped to inject or to work would pass every other judge.

use crate::history::{Answer, Fact, Record};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "something happened",
    says: "work was acknowledged, tasks ended, the world was closed, and faults came if they were asked for",
    look,
};

fn look(history: &[Record]) -> Verdict {
    let count = |is: fn(&Fact) -> bool| history.iter().filter(|record| is(&record.fact)).count();
    let end = history.len().saturating_sub(1);
    let acknowledged = count(|fact| matches!(fact, Fact::Answered { answer: Answer::Submitted(_), .. }));
    if acknowledged == 0 {
        return broken(end, None, "no submit was acknowledged");
    }
    if count(|fact| matches!(fact, Fact::Happened { .. })) == 0 {
        return broken(end, None, "no event was told");
    }
    if count(|fact| matches!(fact, Fact::Closed)) == 0 {
        return broken(end, None, "the node did not live to the last look");
    }
    let wanted = count(|fact| matches!(fact, Fact::Began { faults: true, .. })) > 0;
    if wanted && count(|fact| matches!(fact, Fact::Injected(_))) == 0 {
        return broken(end, None, "faults were asked for and none was injected");
    }
    Ok(acknowledged)
}

#[cfg(test)]
mod tests {
    use crate::faults::Fault;
    use crate::judges::histories::*;

    use super::*;

    fn work() -> [Fact; 3] {
        [answered(1, Answer::Submitted(task(1))), submitted(1, 1), Fact::Closed]
    }

    #[test]
    fn an_empty_history_fails() {
        assert!(look(&[]).is_err());
        assert!(look(&history([began(false)])).is_err());
    }

    #[test]
    fn a_run_without_the_faults_that_were_asked_for_fails() {
        assert_eq!(look(&history([began(false)].into_iter().chain(work()))), Ok(1));
        assert!(look(&history([began(true)].into_iter().chain(work()))).is_err());
        let fault = Fact::Injected(Fault::FailedSync { node: 1 });
        assert_eq!(look(&history([began(true), fault].into_iter().chain(work()))), Ok(1));
    }

    #[test]
    fn a_node_that_is_down_at_the_end_fails() {
        let facts = work().into_iter().filter(|fact| *fact != Fact::Closed);
        assert!(look(&history(facts)).is_err());
    }
}
