//! Whether a running attempt may use a tool: policies are asked, and people where they have to agree.
//!
//! ```text
//!   ToolRequest ─► question ─► policies ─► yes or no ────────────────────────────► ToolAnswer
//!                                     └─► an approval ─► given, denied, expired ──┘
//! ```
//!
//! Promises: one answer for each request, when it is clear; the same question of the same task finds the same
//! approval, so an attempt after a crash goes on where the one before it waited. The approval is agreed state and stays
//! when whoever asked is gone.

use serde_json::{Map, Value as Json};
use synod_domain::approval::{ApprovalStatus, bounded_content};
use synod_domain::command::Command;
use synod_domain::event::Event;
use synod_domain::id::{AgentId, ApprovalId, TaskId};
use synod_domain::name::Name;
use synod_domain::policy::{Ask, Attributes, PolicyCommand, Ruled, Ruling, Value};
use synod_domain::reply::Reply;

use crate::events::{Heard, Subscription};
use crate::ports::{ToolAnswer, ToolRequest};
use crate::propose::World;

/// What the name of a tool begins with as an action.
const TOOL: &str = "tool.";

/// How deep what is said of a tool may be nested.
const DEPTH_MAX: usize = 8;

/// Returns the action of using a tool: `tool.shell.execute` for `shell.execute`.
pub fn action(tool: &str) -> String {
    if tool.starts_with(TOOL) { tool.to_owned() } else { format!("{TOOL}{tool}") }
}

/// Reads what is said of an action from JSON; what is in an object gets a dotted name, and what is null is not said.
///
/// # Errors
/// With a text for people, when it is nested too deep or a list holds other than texts, numbers and flags.
pub fn attributes(said: &Map<String, Json>) -> Result<Attributes, String> {
    let mut all = Attributes::new();
    flatten("", said, 0, &mut all)?;
    Ok(all)
}

fn flatten(before: &str, said: &Map<String, Json>, depth: usize, all: &mut Attributes) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err("they are nested too deep".to_owned());
    }
    for (name, value) in said {
        let name = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
        let value = match value {
            Json::Null => continue,
            Json::Object(inner) => {
                flatten(&name, inner, depth + 1, all)?;
                continue;
            }
            Json::Array(list) => Value::List(list.iter().map(scalar).collect::<Result<_, _>>()?),
            Json::Bool(_) | Json::Number(_) | Json::String(_) => scalar(value)?,
        };
        all.insert(name.as_str().into(), value);
    }
    Ok(())
}

/// Reads a text, a number or a flag from JSON.
///
/// # Errors
/// With a text for people, when it is something else.
pub fn scalar(value: &Json) -> Result<Value, String> {
    match value {
        Json::Bool(flag) => Ok(Value::Flag(*flag)),
        Json::String(text) => Ok(Value::Text(text.as_str().into())),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(Value::Whole(whole)),
            (None, Some(number)) => Ok(Value::Number(number)),
            (None, None) => Err(format!("{number} is no number that can be compared")),
        },
        Json::Null | Json::Array(_) | Json::Object(_) => {
            Err("a text, a number, true or false is expected".to_owned())
        }
    }
}

/// Waits until an approval is decided. `look` returns how it stands, nothing when it is not known any more; `events`
/// were listened to before.
pub async fn decided(
    mut events: Subscription,
    id: ApprovalId,
    look: impl Fn() -> Option<ApprovalStatus>,
) -> ApprovalStatus {
    let named = id.to_string();
    loop {
        // One that was forgotten was decided long ago; whoever asks again is told anew.
        let status = look().unwrap_or(ApprovalStatus::Withdrawn);
        if status != ApprovalStatus::Pending {
            return status;
        }
        loop {
            let concerns = match events.next().await {
                Heard::Happening(happening) => happening
                    .events
                    .iter()
                    .any(|event| matches!(event, Event::Governed { subject, .. } if **subject == *named)),
                Heard::Missed(_) => true,
                // Nothing will be decided here any more.
                Heard::Closed => std::future::pending().await,
            };
            if concerns {
                break;
            }
        }
    }
}

/// Answers a running attempt: asks in its name, and waits where people have to agree. Waits for ever when the node
/// stops meanwhile; the attempt is stopped then.
pub(crate) async fn answer(world: &World, task: TaskId, agent: AgentId, request: ToolRequest) {
    let ToolRequest { tool, attributes, content, answer } = request;
    let said = match question(task, agent, &tool, &attributes, content.as_deref()) {
        Ok(ask) => decide(world, ask).await,
        Err(why) => ToolAnswer::no(why),
    };
    // An error means that the attempt does not wait for it any more.
    let _ = answer.send(said);
}

fn question(
    task: TaskId,
    agent: AgentId,
    tool: &str,
    said: &Map<String, Json>,
    content: Option<&str>,
) -> Result<Ask, String> {
    Ok(Ask {
        action: Name::new(&action(tool))
            .map_err(|error| format!("{tool:?} is no name of a tool: {error}"))?,
        workspace: None,
        task: Some(task),
        task_type: None,
        agent: Some(agent),
        attributes: attributes(said).map_err(|why| format!("the attributes: {why}"))?,
        content: content.map(bounded_content),
    })
}

async fn decide(world: &World, ask: Ask) -> ToolAnswer {
    let now = world.clock.now();
    if let Some(ruled) = world.read(|state| state.is_plainly_allowed(&ask).then(|| state.rule(&ask, now))) {
        return ruled.map_or_else(|refusal| ToolAnswer::no(refusal.to_string()), |ruled| shown(&ruled));
    }
    let id = ApprovalId::from_raw(world.ids.task().raw());
    let mut ruled = match world.persist(Command::Policy(PolicyCommand::Ask { id, ask: ask.into() })).await {
        Ok(Ok(Reply::Ruled(ruled))) => *ruled,
        Ok(Ok(_)) => return ToolAnswer::no("the question was not understood".to_owned()),
        Ok(Err(refusal)) => return ToolAnswer::no(refusal.to_string()),
        // The node stops, and the attempt with it.
        Err(_) => std::future::pending().await,
    };
    if let Some((id, ApprovalStatus::Pending)) = ruled.approval {
        let look = || world.read(|state| state.approval(id).map(|approval| approval.status));
        let status = decided(world.hub.subscribe(), id, look).await;
        ruled.approval = Some((id, status));
    }
    shown(&ruled)
}

fn shown(ruled: &Ruled) -> ToolAnswer {
    let why = &ruled.verdict.why;
    let asked = matches!(ruled.verdict.ruling, Ruling::RequireApproval(_));
    let reason = match ruled.approval {
        Some((id, status)) if asked => format!("{why}; {id} is {status}"),
        Some(_) | None => why.to_string(),
    };
    ToolAnswer {
        allowed: ruled.allows(),
        reason,
        policy: ruled.verdict.by.as_ref().map(|by| by.policy.to_string()),
        approval_id: ruled.approval.map(|(id, _)| id.to_string()),
        approval_status: ruled.approval.map(|(_, status)| status.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn attributes_in_objects_get_dotted_names() {
        let said = json!({ "params": { "path": "/srv", "deep": { "n": 1.5 } }, "tags": ["a"], "none": null });
        let read = attributes(said.as_object().unwrap()).unwrap();
        let names: Vec<&str> = read.keys().map(|name| &**name).collect();
        assert_eq!(names, ["params.deep.n", "params.path", "tags"]);
        assert!(attributes(json!({ "a": [[1]] }).as_object().unwrap()).is_err());
    }

    #[test]
    fn the_action_of_a_tool_says_that_it_is_one() {
        assert_eq!(action("shell.execute"), "tool.shell.execute");
        assert_eq!(action("tool.shell.execute"), "tool.shell.execute");
        assert!(question(TaskId::from_raw(1), AgentId::from_raw(2), "two words", &Map::new(), None).is_err());
    }
}
