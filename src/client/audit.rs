//! Verbs about the audit log.

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::ask::Ask;
use super::{Client, Error};
use crate::api::{AuditCheck, AuditFilter, AuditRange, AuditRecord, AuditStats, KeepAudit, Page, PageQuery};

impl Client {
    /// Lists records of the audit log, the latest first.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn audit(&self, filter: &AuditFilter, page: &PageQuery) -> Result<Page<AuditRecord>, Error> {
        self.send(Ask::get(["audit"]).with_fields(filter)?.with_fields(page)?).await
    }

    /// Looks at how the audit log stands.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn audit_stats(&self) -> Result<AuditStats, Error> {
        self.send(Ask::get(["audit", "stats"])).await
    }

    /// Has the node check the audit log as it has it.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn check_audit(&self, range: &AuditRange) -> Result<AuditCheck, Error> {
        self.send(Ask::get(["audit", "verify"]).with_fields(range)?).await
    }

    /// Writes an export of the audit log into `into`; returns how many bytes it has. Not repeated: what was written
    /// before a failure is no export.
    ///
    /// # Errors
    /// When the node cannot be asked, refuses or breaks off, or when it cannot be written.
    pub async fn export_audit(
        &self,
        range: &AuditRange,
        into: &mut (impl AsyncWrite + Unpin),
    ) -> Result<u64, Error> {
        let mut response = self.stream(&Ask::look(["audit", "export"]).with_fields(range)?).await?;
        let mut written = 0;
        let broken = |reason: String| Error::Unanswered { url: self.url().to_owned(), reason };
        while let Some(piece) = response.chunk().await.map_err(|error| broken(error.to_string()))? {
            let wrong = |error| Error::Setup(format!("the export cannot be written: {error}"));
            into.write_all(&piece).await.map_err(wrong)?;
            written += piece.len() as u64;
        }
        let wrong = |error| Error::Setup(format!("the export cannot be written: {error}"));
        into.flush().await.map_err(wrong)?;
        Ok(written)
    }

    /// Sets how long records are kept.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn keep_audit(&self, keep: &KeepAudit) -> Result<AuditStats, Error> {
        self.send(self.put(["audit", "keep"]).body(keep)?).await
    }
}
