//! The fabric: agents, pools and their work behind one short facade.
//!
//! ```text
//!  spawn, create_pool ─► agents        schedule, schedule_to_pool ─► tasks ─► wait_for_task
//!          └──────────── one agreed set of bounds ───────────┘
//! ```
//!
//! It is a view of a [`Node`] and keeps nothing of its own: what it makes is durable, survives the node and is seen by
//! every other client. Its limits are agreed, so that they hold however many programs and nodes schedule at once, and
//! a refusal says what is full, why, and what to do. The guide is `docs/FABRIC.md`.
//!
//! ```no_run
//! use std::sync::Arc;
//! use serde_json::{Value, json};
//! use synod::fabric::{AgentConfig, Config, Fabric};
//! use synod::node::Node;
//!
//! # async fn example() -> Result<(), synod::fabric::Error> {
//! let node = Arc::new(Node::builder().data("data").start().await?);
//! let fabric = Fabric::new(node.clone(), Config::default()).await?;
//!
//! let reviewer = AgentConfig::new("claude-3-opus", "code-review-agent")
//!     .handler(|_, task: Value| async move { Ok(json!({ "reviewed": task["pr_url"] })) });
//! let agent = fabric.spawn(reviewer).await?;
//!
//! let pull = json!({ "pr_url": "https://github.com/org/repo/pull/123" });
//! let task = fabric.schedule(agent.id, "code_review", &pull).await?;
//! println!("Result: {}", fabric.wait_for_task(task.id).await?);
//!
//! fabric.terminate(agent.id).await?;
//! node.stop().await;
//! # Ok(())
//! # }
//! ```

mod agent_config;
mod agents;
mod budgets;
mod config;
mod error;
mod hooks;
mod policies;
mod pools;
mod schedule;
mod shown;
mod statistics;
mod tasks;
mod until;
mod words;

pub use agent_config::{AgentConfig, Isolation};
pub use budgets::{BudgetConfig, BudgetStatus, Budgets};
pub use config::Config;
pub use error::Error;
pub use hooks::{Hook, Hooks};
pub use policies::{Policies, Policy, PolicyDecision, PolicyRule};
pub use pools::PoolConfig;
pub use schedule::Schedule;
pub use shown::{AgentInfo, Pool, Task};
pub use statistics::Statistics;
pub use synod_domain::hook::HookStatus;
pub use words::{Health, Priority, TaskStatus};

use std::sync::Arc;

use synod_domain::command::Command;
use synod_domain::fabric::FabricCommand;
use synod_domain::name::Name;

use crate::node::Node;

/// The facade. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Fabric {
    node: Arc<Node>,
    config: Arc<Config>,
    workspace: Name,
}

impl Fabric {
    /// Puts the facade over a node, with limits that hold from here on for the whole of what the fabric makes, on
    /// every node of its cluster. What is there already stays when they are lower than they were.
    ///
    /// # Errors
    /// When a limit is not one, or the log does not take it.
    pub async fn new(node: Arc<Node>, config: Config) -> Result<Self, Error> {
        config.check()?;
        let bounds = config.bounds();
        if node.read(|state| state.fabric_bounds() != Some(&bounds)) {
            node.propose(Command::Fabric(FabricCommand::SetBounds { bounds })).await?;
        }
        Ok(Self { node, config: Arc::new(config), workspace: Name::default() })
    }

    /// Does what it schedules for this workspace instead of the default one.
    #[must_use]
    pub fn in_workspace(mut self, workspace: Name) -> Self {
        self.workspace = workspace;
        self
    }

    /// Returns the node below, for everything that the facade leaves out.
    pub const fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Returns what it was configured with.
    pub fn config(&self) -> &Config {
        &self.config
    }
}
