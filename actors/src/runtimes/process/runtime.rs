//! The port: [`AgentRuntime`] for programs.

use async_trait::async_trait;
use synod_domain::agent::ProcessSpec;

use super::attempt::attempt;
use super::environment::of_pool;
use super::node::ProcessNode;
use super::program::Program;
use crate::ports::{AgentRuntime, Finish, Work};

/// Runs a pool's program, once for each attempt.
#[derive(Debug)]
pub struct ProcessRuntime {
    spec: ProcessSpec,
    node: ProcessNode,
}

impl ProcessRuntime {
    /// Makes the runtime of a pool on this node. Looks at nothing yet: see `prepare`.
    pub fn new(spec: ProcessSpec, node: ProcessNode) -> Self {
        Self { spec, node }
    }
}

#[async_trait]
impl AgentRuntime for ProcessRuntime {
    async fn prepare(&self) -> Result<(), String> {
        Program::find(&self.spec, &of_pool(self.node.inherited(), &self.spec)).map(drop)
    }

    async fn run(&self, work: Work) -> Finish {
        attempt(&self.node, &self.spec, work).await
    }
}
