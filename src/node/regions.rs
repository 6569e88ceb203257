//! A node's verbs about regions: submitting along a route, taking what others offer, and having others answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use synod_actors::system::World;
use synod_domain::command::Command;
use synod_domain::id::{RequestId, TaskId};
use synod_domain::name::Name;
use synod_domain::payload::{INLINE_BYTES_MAX, Payload};
use synod_domain::refusal::Refusal;
use synod_domain::region::{NoWay, Outcome, Routing, Way, outcome};
use synod_domain::reply::{Answer, Reply};
use synod_domain::task::TaskSpec;

use crate::node::elsewhere::{ElsewhereError, Handed, HandedAnswer, HandedRequest};
use crate::node::{Error, NewTask, Node, PROPOSE_PATIENCE};

/// What a submit came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The task.
    pub task: TaskId,
    /// Whether an earlier submit with the same key made it.
    pub duplicate: bool,
    /// The region that has it, when it was handed through and nothing of it is kept here.
    pub region: Option<Name>,
}

impl Node {
    /// Submits a task as [`Node::submit`] does, and tells what came of it. With a route it becomes a task of this
    /// region, is kept here until another one has it, or is handed through to another one.
    ///
    /// # Errors
    /// As [`Node::submit`]; when its region cannot be reached and it may not be kept here; or when it is not known
    /// whether that region took it, so that it should be sent again under the same idempotency key.
    pub async fn submit_task(&self, task: NewTask) -> Result<Submission, Error> {
        let (route, after, terms) = (task.route.clone(), task.after.clone(), task.terms.clone());
        // What has to do with other work of this region, or with its resources.
        let is_bound = !after.is_empty() || terms.is_some();
        let strict = route.as_ref().is_some_and(|route| route.routing == Routing::Strict);
        let regions = &self.world.regions;
        let way = match &route {
            None => Way::Here,
            Some(route) => route.at_submit(regions.here(), &regions.reachable()),
        };
        match (way, route) {
            (Way::Refuse(NoWay::Unreachable(region)), _) => {
                self.check_known(&region)?;
                Err(NoWay::Unreachable(region).into())
            }
            (Way::Refuse(why), _) => Err(why.into()),
            (Way::Direct(_) | Way::Offer(_) | Way::Wait, Some(_)) if is_bound => {
                let why =
                    "what begins after other tasks, or on terms of its own, stays in their region".to_owned();
                Err(Refusal::Invalid { field: "region".to_owned(), why }.into())
            }
            (Way::Direct(region), _) => self.submit_elsewhere(task, region).await,
            // Where it prefers another region, this one is a fallback that may refuse it as any other.
            (Way::Here | Way::Offer(_) | Way::Wait, Some(route))
                if route.is_kept(regions.here()) && !is_bound =>
            {
                let spec = Arc::new(self.spec_of(task).await?);
                let made = spec.id;
                let reply = self.propose(Command::KeepForRegion { spec, route }).await?;
                Ok(submission(&reply, made, None))
            }
            (Way::Here | Way::Offer(_) | Way::Wait, _) => {
                let spec = Arc::new(self.spec_of(task).await?);
                let made = spec.id;
                let answer = self.submit_here(spec.clone(), after, terms, strict).await;
                if let Err(error) = &answer {
                    self.note_denied(&spec, error).await;
                }
                Ok(submission(&answer?, made, None))
            }
        }
    }

    /// Hands a task through. Its payload is not stored here, not even as a blob.
    async fn submit_elsewhere(&self, task: NewTask, region: Name) -> Result<Submission, Error> {
        if task.run.is_some() {
            let why = "work of a run stays in the region of its run".to_owned();
            return Err(Refusal::Invalid { field: "region".to_owned(), why }.into());
        }
        let payload = Bytes::from(task.payload.clone());
        let spec = Arc::new(self.spec_with(task, Payload::default()));
        let (made, request) = (spec.id, self.new_request_id());
        let sent = self.world.regions.submit_direct(&region, request, spec, payload);
        match tokio::time::timeout(PROPOSE_PATIENCE, sent).await {
            Ok(Ok(answer)) => Ok(submission(&answer?, made, Some(region))),
            Ok(Err(why)) => Err(ElsewhereError::Unknown { region, why }.into()),
            Err(_) => {
                let why = format!("it took longer than {PROPOSE_PATIENCE:?}");
                Err(ElsewhereError::Unknown { region, why }.into())
            }
        }
    }

    /// Takes a task from another region, as [`arrive`] does.
    ///
    /// # Errors
    /// With a text for people: it is not known whether it was taken.
    pub async fn take_arrival(
        &self,
        from: Option<&Name>,
        request: RequestId,
        spec: TaskSpec,
        payload: Bytes,
    ) -> Result<Answer, String> {
        arrive(&self.world, from, request, spec, payload).await
    }

    /// Returns the region that the node belongs to.
    pub fn region(&self) -> &Name {
        self.world.regions.here()
    }

    /// Returns the other regions of which somebody is alive.
    pub fn reachable_regions(&self) -> BTreeSet<Name> {
        self.world.regions.reachable()
    }

    /// Returns the other regions that are known, whether they can be reached or not.
    pub fn known_regions(&self) -> BTreeSet<Name> {
        let mut known = self.reachable_regions();
        self.read(|state| known.extend(state.federation().others().map(|(name, _)| name.clone())));
        known.remove(self.region());
        known
    }

    /// Refuses a region that was never heard of: waiting for it helps nobody.
    ///
    /// # Errors
    /// When it is neither within reach nor agreed to be another region.
    pub fn check_known(&self, region: &Name) -> Result<(), Refusal> {
        if self.known_regions().contains(region) {
            return Ok(());
        }
        Err(Refusal::RegionNotKnown(region.clone()))
    }

    /// Has a request of the API answered by another region.
    ///
    /// # Errors
    /// When it cannot be reached or does not answer.
    pub async fn ask_region(
        &self,
        region: &Name,
        request: HandedRequest,
    ) -> Result<HandedAnswer, ElsewhereError> {
        if !self.world.regions.reachable().contains(region) {
            let why = "nobody of it is heard".to_owned();
            return Err(ElsewhereError::Unreachable { region: region.clone(), why });
        }
        self.elsewhere.ask(region, request).await
    }

    /// Returns who serves what other regions hand over.
    pub fn handed(&self) -> &Handed {
        &self.handed
    }
}

/// Takes a task from another region: one that is kept there and offered when `from` names it, so that it is taken once
/// however late it is offered again, else a strict one, of which nothing is kept there. Its payload is stored where it belongs. An
/// offer is refused for good only once that is noted: that region may give the task to another one as soon as it hears
/// of it, while copies of the offer are still on their way.
///
/// # Errors
/// With a text for people: it is not known whether it was taken.
pub(crate) async fn arrive(
    world: &World,
    from: Option<&Name>,
    request: RequestId,
    spec: TaskSpec,
    payload: Bytes,
) -> Result<Answer, String> {
    let payload = if payload.len() <= INLINE_BYTES_MAX {
        Payload::inline(&*payload)
    } else {
        let size = payload.len() as u64;
        Payload::Blob { hash: world.blobs.put(&payload).await?, size }
    };
    let spec = Arc::new(TaskSpec { payload, ..spec });
    let Some(from) = from else {
        // What is not kept where it was submitted is strict.
        let strict = Command::SubmitStrict { spec, after: BTreeSet::new(), terms: None };
        return confirmed(world, request, strict).await;
    };
    let task = spec.id;
    let answer = confirmed(world, request, Command::TakeOffered { spec, from: from.clone() }).await?;
    match (&answer, outcome(task, &answer)) {
        (Err(Refusal::OfferDeclined { .. }), _) | (_, Outcome::Taken { .. } | Outcome::Later) => Ok(answer),
        (_, Outcome::Refused(why)) => {
            let note = Command::RefuseOffered { task, from: from.clone(), why };
            match confirmed(world, world.ids.request(), note).await? {
                Ok(Reply::Done) => Ok(answer),
                // It was taken between the two.
                other => Ok(other),
            }
        }
    }
}

/// Proposes a command of another region.
async fn confirmed(world: &World, request: RequestId, command: Command) -> Result<Answer, String> {
    match tokio::time::timeout(PROPOSE_PATIENCE, world.propose_as(request, command)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no leader confirmed it in time".to_owned()),
    }
}

fn submission(reply: &Reply, made: TaskId, region: Option<Name>) -> Submission {
    match reply {
        Reply::Submitted { task, duplicate } => Submission { task: *task, duplicate: *duplicate, region },
        Reply::Done
        | Reply::Claimed(_)
        | Reply::Ended { .. }
        | Reply::WillRetry { .. }
        | Reply::Ruled(_)
        | Reply::Admitted { .. } => Submission { task: made, duplicate: false, region },
    }
}
