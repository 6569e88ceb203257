//! Lazy fsync: a disk that says "synced" before it is. No node can survive that; the judges must say so.

use synod_simulations::Scenario;
use synod_simulations::faults::Fault;
use synod_simulations::history::{Answer, Fact};
use synod_simulations::process::alone;

use super::support::{ms, power_loss, s};

#[test]
fn a_disk_that_lies_about_its_syncs_is_found_out() {
    alone(|| {
        let acknowledged = |fact: &Fact| matches!(fact, Fact::Answered { answer: Answer::Submitted(_), .. });
        let outcome = Scenario::of(403)
            .nodes(1)
            .lasts(s(8))
            .at(ms(0), Fault::LyingDisk)
            // In the moment after an answer, and so again: one of them is on no disk yet.
            .whenever(move |record| acknowledged(&record.fact), ms(0), 8, |_| power_loss(1, ms(200)))
            .run();
        let broken: Vec<&str> = outcome.report.broken.iter().map(|broken| broken.judge.as_str()).collect();
        assert!(broken.contains(&"acknowledged exists"), "{}", outcome.report);
        assert!(outcome.count(|fact| matches!(fact, Fact::Lost { unsynced, .. } if *unsynced > 0)) > 0);
    });
}
