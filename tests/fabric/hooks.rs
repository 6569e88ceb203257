//! Hooks of agents through the fabric, as in the guide.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use serde_json::json;
use synod::fabric::{AgentConfig, Config, Fabric, HookStatus};
use synod::hooks::HookSettings;
use synod::node::Node;

use crate::support::{eventually, folder};

fn git(at: &Path, arguments: &[&str]) -> String {
    let who = ["-c", "user.name=somebody", "-c", "user.email=somebody@localhost"];
    let output = Command::new("git").arg("-C").arg(at).args(who).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn repository(within: &Path) -> PathBuf {
    let path = within.join("repository");
    std::fs::create_dir(&path).unwrap();
    git(&path, &["init", "--quiet", "--initial-branch", "main"]);
    git(&path, &["commit", "--quiet", "--allow-empty", "--message", "begin"]);
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_is_made_found_pending_reassigned_after_a_crash_and_completed_on_its_branch() {
    let folder = folder();
    let repository = repository(folder.path());
    let data = folder.path().join("data");
    let node = Node::builder().data(data).hooks(HookSettings::default()).start().await.unwrap();
    let fabric = Fabric::new(Arc::new(node), Config::default()).await.unwrap();
    // They run elsewhere and take nothing by themselves.
    let agent = fabric.spawn(AgentConfig::new("claude-3-opus", "one")).await.unwrap().id;
    let hooks = fabric.hooks(&repository);
    let work = json!({ "task": "refactor", "file": "api.py" });
    let hook = hooks.create_hook(agent, &work, Some("agent/refactor-123")).await.unwrap();
    assert_eq!(
        (hook.agent_id, hook.status, &*hook.branch),
        (agent, HookStatus::Pending, "agent/refactor-123")
    );
    let pending = hooks.check_pending_hooks().await.unwrap();
    assert_eq!((pending.len(), pending[0].hook_id, &pending[0].work_item), (1, hook.hook_id, &work));
    assert!(fabric.hooks(folder.path()).check_pending_hooks().await.unwrap().is_empty());

    hooks.start_hook(hook.hook_id).await.unwrap();
    assert_eq!(hooks.hook(hook.hook_id).await.unwrap().status, HookStatus::Active);
    std::fs::write(hook.worktree.as_ref().unwrap().join("api.py"), "print()\n").unwrap();
    hooks.abandon_hook(hook.hook_id, "it crashed").await.unwrap();
    let abandoned = hooks.check_pending_hooks().await.unwrap().remove(0);
    assert_eq!(abandoned.status, HookStatus::Abandoned);

    let other = fabric.spawn(AgentConfig::new("claude-3-opus", "two")).await.unwrap().id;
    hooks.reassign_hook(hook.hook_id, other).await.unwrap();
    let again = hooks.hook(hook.hook_id).await.unwrap();
    assert_eq!((again.agent_id, again.status), (other, HookStatus::Pending));
    assert!(again.attempt > hook.attempt);
    hooks.start_hook(hook.hook_id).await.unwrap();
    let done = json!({ "files_changed": ["api.py"], "tests_passed": true });
    hooks.complete_hook(hook.hook_id, &done).await.unwrap();
    assert_eq!(hooks.hook(hook.hook_id).await.unwrap().status, HookStatus::Completed);
    // What the first one left is on the branch.
    eventually("the work is on the branch", || {
        (git(&repository, &["ls-tree", "--name-only", "agent/refactor-123"]) == "api.py").then_some(())
    })
    .await;
    fabric.node().stop().await;
}
