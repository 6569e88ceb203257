//! Verbs about runs of fleet files.

use super::{Client, Error};
use crate::api::{EndRun, OpenRun, Run};

impl Client {
    /// Opens a run of a fleet, or goes on with the one that is open.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn open_run(&self, run: &OpenRun) -> Result<Run, Error> {
        self.send(self.post(["runs"]).body(run)?).await
    }

    /// Ends a run.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn end_run(&self, run: &str, summary: &str) -> Result<(), Error> {
        let end = EndRun { summary: summary.to_owned() };
        match self.tell(self.post(["runs", run, "end"]).body(&end)?).await {
            // Whoever ends a run wants it over, and it is.
            Err(Error::Refused(problem)) if problem.code == "run_unknown" => Ok(()),
            told => told,
        }
    }
}
