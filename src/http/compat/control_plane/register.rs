//! Registering agents: by a request of their own, or by their first claim.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use synod_domain::agent::{Agent, AgentSpec, CONCURRENCY_MAX, Host};
use synod_domain::capability::{Capabilities, Capability};
use synod_domain::id::AgentId;
use synod_domain::name::Name;
use synod_domain::permission::Permission::AgentsWrite;

use crate::http::Body;
use crate::http::{Caller, Context, Problem};

use super::agents::shown;
use super::extra::{self, AgentExtra};
use super::shown::{AgentInfo, REGION_DEFAULT};
use super::{conflict, find, invalid};

/// What a client says of an agent. What is not known here is passed over, as there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Register {
    agent_id: Option<String>,
    capabilities: Option<Vec<String>>,
    model: Option<String>,
    provider: Option<String>,
    metadata: Option<Map<String, Value>>,
    tags: Option<Vec<String>>,
    #[serde(alias = "region")]
    region_id: Option<String>,
    available_regions: Option<Vec<String>>,
    region_latency_ms: Option<Map<String, Value>>,
}

/// `POST /agents`
pub(super) async fn register(
    State(context): State<Context>,
    Body(request): Body<Register>,
) -> Result<(StatusCode, Json<AgentInfo>), Problem> {
    let name = agent_name(request.agent_id.as_deref())?;
    let offered = capabilities(request.capabilities.as_deref().unwrap_or_default())?;
    let extra = AgentExtra {
        model: request.model,
        provider: request.provider,
        tags: request.tags.unwrap_or_default(),
        available_regions: request.available_regions.unwrap_or_default(),
        region_latency_ms: request.region_latency_ms.unwrap_or_default(),
    };
    let metadata = extra::join(request.metadata.unwrap_or_default(), &extra)?;
    let region = request.region_id.filter(|region| region != REGION_DEFAULT);
    let region = region.map(|region| name_of("region_id", &region)).transpose()?;
    let spec = AgentSpec { region, metadata, ..external(&context, name, offered) };
    let agent = put(&context, spec).await?;
    Ok((StatusCode::CREATED, Json(shown(&context, &agent))))
}

/// Returns the agent that claims, registered with what it offers if it is not known and the caller may register it.
pub(super) async fn claimant(
    context: &Context,
    caller: &Caller,
    agent_id: Option<&str>,
    offered: Option<&Capabilities>,
) -> Result<Arc<Agent>, Problem> {
    let name = agent_name(agent_id)?;
    if let Ok(known) = find::agent(context, name.as_str()) {
        return match known.spec.host {
            Host::External => Ok(known),
            Host::Node(_) => Err(hosted(&name, "claims its work there")),
        };
    }
    if !caller.may(AgentsWrite) {
        return Err(Problem::not_allowed(AgentsWrite));
    }
    put(context, external(context, name, offered.cloned().unwrap_or_default())).await
}

/// Describes an agent that runs elsewhere. It may hold as much as it claims, as there.
fn external(context: &Context, name: Name, capabilities: Capabilities) -> AgentSpec {
    AgentSpec {
        id: context.node().new_agent_id(),
        name,
        pool: None,
        capabilities,
        labels: BTreeMap::new(),
        region: None,
        concurrency: CONCURRENCY_MAX,
        host: Host::External,
        heartbeat_timeout: Some(context.options().agent_timeout),
        metadata: None,
    }
}

/// Registers an agent, or says anew what the one of that name is.
async fn put(context: &Context, mut spec: AgentSpec) -> Result<Arc<Agent>, Problem> {
    let name = spec.name.clone();
    if let Ok(known) = find::agent(context, name.as_str()) {
        spec.id = known.spec.id;
        // What belongs to a pool or has labels got them through the native API and keeps them.
        spec.pool = known.spec.pool.clone();
        spec.labels.clone_from(&known.spec.labels);
        if known.spec.host != Host::External {
            return Err(hosted(&name, "cannot be registered from outside"));
        }
    }
    let id: AgentId = spec.id;
    context.node().register_agent(spec).await?;
    let agent = context.node().read(|state| state.agent(id).cloned());
    agent.ok_or_else(|| find::agent_not_found(name.as_str()))
}

fn hosted(name: &Name, so: &str) -> Problem {
    conflict("agent_hosted", format!("Agent {name} is run by a node and {so}"))
}

/// Reads the name of an agent.
pub(super) fn agent_name(text: Option<&str>) -> Result<Name, Problem> {
    match text {
        None | Some("") => Err(invalid("agent_id is required")),
        Some(text) => name_of("agent_id", text),
    }
}

/// Reads a name.
pub(super) fn name_of(field: &str, text: &str) -> Result<Name, Problem> {
    Name::new(text).map_err(|error| invalid(format!("{field} is not valid: {error}")))
}

/// Reads capabilities.
pub(super) fn capabilities(texts: &[String]) -> Result<Capabilities, Problem> {
    let read = |text: &String| {
        text.parse::<Capability>()
            .map_err(|error| invalid(format!("the capability {text:?} is not valid: {error}")))
    };
    texts.iter().map(read).collect()
}
