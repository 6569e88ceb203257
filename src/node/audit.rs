//! A node's verbs about the audit log.

use std::time::Duration;

use synod_cluster::audit::{Checked, Kept};
use synod_domain::audit::{AuditCommand, AuditHead, AuditKeep};
use synod_domain::command::Command;

use crate::node::{Error, Node};

impl Node {
    /// Returns the agreed ends of the audit log.
    pub fn audit_head(&self) -> AuditHead {
        self.read(synod_domain::state::State::audit_head)
    }

    /// Returns records of the audit log from one number through another, in order, at most a page of them.
    ///
    /// # Errors
    /// When the disk does not give them.
    pub fn audit_page(&self, from: u64, to: u64, limit: usize) -> Result<Vec<Kept>, Error> {
        Ok(self.history()?.audit().page(from, to, limit)?)
    }

    /// Returns the records before a number, the latest first, at most a page of them; from the end without one.
    ///
    /// # Errors
    /// When the disk does not give them.
    pub fn audit_latest(&self, before: Option<u64>, limit: usize) -> Result<Vec<Kept>, Error> {
        Ok(self.history()?.audit().latest(before, limit)?)
    }

    /// Checks the audit log as this node has it, or a part of it, against what is agreed of it.
    ///
    /// # Errors
    /// When the disk does not give it.
    pub async fn check_audit(&self, from: Option<u64>, to: Option<u64>) -> Result<Checked, Error> {
        Ok(self.history()?.audit().check(from, to).await?)
    }

    /// Sets how long records of the audit log are kept: so many at least, and so long if a time is given.
    ///
    /// # Errors
    /// When the numbers are not valid.
    pub async fn keep_audit(&self, records: u64, time: Option<Duration>) -> Result<(), Error> {
        self.propose(Command::Audit(AuditCommand::Keep(AuditKeep { records, time }))).await.map(drop)
    }
}
