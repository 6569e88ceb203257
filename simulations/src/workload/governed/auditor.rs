//! The auditor, beside every node: reads the last records of the audit log, and checks all of it.

use crate::history::{Answer, Change, Fact, Recorded, Request};
use crate::machine::Machine;
use crate::shared::Phase;
use crate::workload::governed::Office;
use crate::workload::question::ask;

use synod::node::{AUDIT_PAGE_MAX, Error, Kept, Node};

/// What it is called.
pub(super) const NAME: &str = "auditor";

/// How many records it reads.
const PAGE: usize = 12;

/// Reads until the world closes.
pub(super) async fn run(mut office: Office) {
    // The last record that was found to be as it must be. What is before it is checked once more when the world closes.
    let mut sound = None;
    while office.shared.phase() != Phase::Closing {
        if office.stream.happens(80) {
            let call = async { office.node.audit_latest(None, PAGE) };
            let request = Request::Govern(Change::ReadAudit);
            let read = ask(&office.shared, &office.name, request, call, |_| Answer::Done).await;
            if let Ok(mut page) = read {
                page.reverse();
                office.shared.note(Fact::Trail(page.iter().filter_map(recorded).collect()));
            }
        } else {
            let call = office.node.check_audit(sound, None);
            let request = Request::Govern(Change::CheckAudit);
            if let Ok(checked) = ask(&office.shared, &office.name, request, call, |_| Answer::Done).await {
                let broken = checked.broken.map(|broken| broken.to_string());
                sound = broken.is_none().then_some(checked.to);
                office.shared.note(Fact::Checked { to: checked.to, broken });
            }
        }
        office.pause(200, 2_000).await;
    }
}

/// Notes whether the audit log of a node holds, when the world closes.
pub(crate) async fn check(shared: &Machine, node: &Node) {
    if let Ok(checked) = node.check_audit(None, None).await {
        let broken = checked.broken.map(|broken| broken.to_string());
        shared.note(Fact::Checked { to: checked.to, broken });
    }
}

/// Notes the whole of the audit log.
///
/// # Errors
/// When the disk does not give it.
pub(crate) fn note_all(shared: &Machine, node: &Node) -> Result<(), Error> {
    let (mut from, last) = (1, node.audit_head().last.seq);
    let mut all = Vec::new();
    while from <= last {
        let page = node.audit_page(from, last, AUDIT_PAGE_MAX)?;
        let Some(end) = page.last().map(|kept| kept.seq) else { break };
        all.extend(page.iter().filter_map(recorded));
        from = end + 1;
    }
    shared.note(Fact::Trail(all));
    Ok(())
}

fn recorded(kept: &Kept) -> Option<Recorded> {
    let record = kept.record.as_ref()?;
    let said = &record.said;
    Some(Recorded {
        seq: record.seq,
        hash: record.hash.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte)),
        at: record.at,
        action: said.action.to_string(),
        resource: said.resource.to_string(),
        accepted: said.verdict == synod::node::domain::audit::AuditVerdict::Accepted,
    })
}
