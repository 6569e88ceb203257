//! From the node's data to what the API shows of it. Nothing is decided here.

mod agent;
mod breaker;
mod budget;
mod event;
mod hook;
mod lease;
mod limit;
mod mailbox;
mod node;
mod pool;
mod resource;
mod task;
pub(crate) mod tending;
mod time;
mod token;
mod webhook;
mod words;

pub(crate) use agent::{agent, agent_of, health};
pub(crate) use breaker::breaker;
pub(crate) use budget::{budget, budget_alert, budget_summary, day, used};
pub(crate) use event::event;
pub(crate) use hook::{hook, hook_line};
pub(crate) use lease::{lease, leased};
pub(crate) use limit::{limit, limit_key};
pub(crate) use mailbox::{lanes, mailbox, pause};
pub(crate) use node::{cluster, join_token, member, nodes, region, region_token};
pub(crate) use pool::{pool, restart, spread};
pub(crate) use resource::{resource, whole_resource};
pub(crate) use task::{Detail, millis, task};
pub(crate) use tending::rollout;
pub(crate) use time::{read_time, time};
pub(crate) use token::token;
pub(crate) use webhook::{webhook, webhook_delivery};
pub(crate) use words::{lane, priority, status};
