//! Verbs about runs of fleet files.

use super::ask::Ask;
use super::{Client, Error};
use crate::api::{EndRun, OpenRun, Run};

impl Client {
    /// Opens a run of a fleet, or goes on with the one that is open.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn open_run(&self, run: &OpenRun) -> Result<Run, Error> {
        let ask = Ask::post(["runs"]).body(run)?;
        // Asked again it finds the run of the first time, unless that is to be ended.
        self.send(if run.fresh { ask } else { ask.repeatable() }).await
    }

    /// Ends a run.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn end_run(&self, run: &str, summary: &str) -> Result<(), Error> {
        let end = EndRun { summary: summary.to_owned() };
        match self.tell(Ask::post(["runs", run, "end"]).body(&end)?.repeatable()).await {
            // It was ended by this request, whose first answer was lost.
            Err(Error::Refused(problem)) if problem.code == "run_unknown" => Ok(()),
            told => told,
        }
    }
}
