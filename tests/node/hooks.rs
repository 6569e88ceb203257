//! Hooks in real repositories: work that survives its agent, its node, and either of log and record.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use synod::hooks::{Error as HookError, HookSettings, Load, Record, Repositories, Worktrees};
use synod::native::{AgentError, Context, NativeAgent};
use synod::node::domain::agent::AgentStatus;
use synod::node::domain::hook::{Hook, HookRefusal, HookSpec, HookState, HookStatus};
use synod::node::domain::id::{AgentId, HookId, NodeId};
use synod::node::domain::name::Name;
use synod::node::domain::payload::Payload;
use synod::node::domain::refusal::Refusal;
use synod::node::domain::time::Timestamp;
use synod::node::{Builder, Error, NewHook, Node, Pool};
use tempfile::TempDir;

use crate::support::{eventually, folder};

/// Runs git and returns what it wrote.
pub(super) fn git(at: &Path, arguments: &[&str]) -> String {
    let who = ["-c", "user.name=somebody", "-c", "user.email=somebody@localhost"];
    let output = Command::new("git").arg("-C").arg(at).args(who).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Makes a repository with one commit on `main`.
pub(super) fn repository(within: &TempDir) -> PathBuf {
    let path = within.path().canonicalize().unwrap().join("repository");
    std::fs::create_dir(&path).unwrap();
    git(&path, &["init", "--quiet", "--initial-branch", "main"]);
    std::fs::write(path.join("readme"), "one\n").unwrap();
    git(&path, &["add", "--all"]);
    git(&path, &["commit", "--quiet", "--message", "begin"]);
    path
}

/// Returns the last record of a hook.
pub(super) fn record(repository: &Path, hook: HookId) -> Record {
    let text = git(repository, &["cat-file", "blob", &format!("refs/synod/hooks/{hook}:hook.json")]);
    serde_json::from_str(&text).unwrap()
}

/// Returns what the records of a hook say, the first first.
fn story(repository: &Path, hook: HookId) -> Vec<String> {
    let log = git(repository, &["log", "--reverse", "--format=%s", &format!("refs/synod/hooks/{hook}")]);
    log.lines().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect()
}

/// Works in the worktree that it is given: leaves a file for each attempt and does what the work says then.
struct Clerk;

impl NativeAgent for Clerk {
    type Input = Value;
    type Output = Value;

    async fn run(&self, context: Context, input: Value) -> Result<Value, AgentError> {
        let attempt = input["attempt"].as_u64().unwrap();
        let worktree = PathBuf::from(input["worktree"].as_str().unwrap());
        tokio::fs::write(worktree.join(format!("attempt-{attempt}")), "work\n").await.unwrap();
        match input["work"]["do"].as_str().unwrap() {
            "hang" => context.cancelled().await,
            // Of the first attempt at the hook, or the first delivery of its task.
            "hang_first" if attempt == 1 => context.cancelled().await,
            "hang_once" if context.attempt == 1 => context.cancelled().await,
            "fail" => return Err(AgentError::retry(format!("attempt {attempt} broke"))),
            _ => {}
        }
        Ok(json!({ "by": attempt }))
    }
}

fn described(data: &Path) -> Builder {
    let settings = HookSettings { patrol: Duration::from_millis(200), ..HookSettings::default() };
    let builder = Node::builder().data(data).native("clerk", Clerk).unwrap();
    builder.hooks(settings).drain(Duration::from_millis(50)).kill_grace(Duration::from_millis(100))
}

/// Starts a node with a pool of agents, and returns those.
async fn started(data: &Path, agents: u32) -> (Node, Vec<AgentId>) {
    let node = described(data).start().await.unwrap();
    node.put_pool(Pool::native("clerks", "clerk").unwrap().size(agents)).await.unwrap();
    let pool = Name::new("clerks").unwrap();
    let ready = eventually("the agents are ready", || {
        let ready: Vec<AgentId> = node.read(|state| {
            let agents = state.agents_of(&pool).filter(|agent| agent.status() == AgentStatus::Ready);
            agents.map(|agent| agent.spec.id).collect()
        });
        (u32::try_from(ready.len()) == Ok(agents)).then_some(ready)
    });
    let ready = ready.await;
    (node, ready)
}

fn work(what: &str) -> Value {
    json!({ "do": what })
}

async fn stands(node: &Node, hook: HookId, status: HookStatus, attempt: u32) -> Arc<Hook> {
    let seen = || node.hook(hook).ok().filter(|hook| hook.status() == status && hook.attempt == attempt);
    eventually(&format!("{hook} is {status} under attempt {attempt}"), seen).await
}

async fn recorded(repository: &Path, hook: HookId, status: HookStatus) -> Record {
    let name = format!("refs/synod/hooks/{hook}");
    eventually(&format!("{hook} is on record as {status}"), || {
        let mut known = Command::new("git");
        known.arg("-C").arg(repository).args(["rev-parse", "--quiet", "--verify", &name]);
        known.output().unwrap().status.success().then_some(())?;
        Some(record(repository, hook)).filter(|record| record.status == status)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn work_on_a_hook_is_done_in_its_worktree_and_ends_on_its_branch_and_on_record() {
    let folder = folder();
    let repository = repository(&folder);
    let (node, agents) = started(&folder.path().join("data"), 1).await;
    let hook = node.create_hook(NewHook::new(agents[0], &repository, &work("do")).unwrap()).await.unwrap();
    let id = hook.spec.id;
    let ended = stands(&node, id, HookStatus::Completed, 1).await;
    let result = node.fetch(ended.result().unwrap()).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&result).unwrap(), json!({ "by": 1 }));
    let record = recorded(&repository, id, HookStatus::Completed).await;
    let branch = format!("hook/{id}");
    assert_eq!(record.head.unwrap(), git(&repository, &["rev-parse", &branch]));
    assert_eq!(
        git(&repository, &["show", &format!("{branch}:attempt-1")]),
        "work",
        "it was committed for the agent"
    );
    assert_eq!(
        git(&repository, &["cat-file", "blob", &format!("refs/synod/hooks/{id}:work")]),
        r#"{"do":"do"}"#
    );
    assert_eq!(
        git(&repository, &["cat-file", "blob", &format!("refs/synod/hooks/{id}:result")]),
        r#"{"by":1}"#
    );
    assert_eq!(git(&repository, &["status", "--porcelain"]), "", "the folder of the people is as it was");
    assert_eq!(git(&repository, &["rev-list", "--count", "main"]), "1");
    let story = story(&repository, id);
    assert_eq!(story.first().map(String::as_str), Some("PENDING under attempt 1"));
    assert_eq!(story.last().map(String::as_str), Some("COMPLETED under attempt 1"));
    // Removing it leaves the branch and the record, and nothing else.
    node.remove_hook(id).await.unwrap();
    let home = folder.path().join("data/hooks").join(id.to_string());
    eventually("its folder is gone", || (!home.exists()).then_some(())).await;
    assert!(self::record(&repository, id).removed);
    assert_eq!(git(&repository, &["worktree", "list"]).lines().count(), 1);
    assert!(node.import_hooks(&repository).await.unwrap().is_empty(), "what was removed stays so");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_on_a_hook_goes_on_after_a_restart_with_what_lies_in_the_worktree() {
    let folder = folder();
    let repository = repository(&folder);
    let data = folder.path().join("data");
    let (node, agents) = started(&data, 1).await;
    let new = NewHook::new(agents[0], &repository, &work("hang_once")).unwrap().branch("agent/refactor");
    let id = node.create_hook(new).await.unwrap().spec.id;
    stands(&node, id, HookStatus::Active, 1).await;
    let worktree = data.join("hooks").join(id.to_string()).join("worktree");
    eventually("the agent has begun", || worktree.join("attempt-1").exists().then_some(())).await;
    std::fs::write(worktree.join("half"), "done\n").unwrap();
    node.stop().await;
    let (node, _) = started(&data, 1).await;
    // The same attempt: its agent is the same, and so is its task.
    stands(&node, id, HookStatus::Completed, 1).await;
    recorded(&repository, id, HookStatus::Completed).await;
    assert_eq!(git(&repository, &["show", "agent/refactor:half"]), "done");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_changes_hands_is_saved_first_and_its_old_holder_can_write_nothing() {
    let folder = folder();
    let repository = repository(&folder);
    let data = folder.path().join("data");
    let (node, agents) = started(&data, 2).await;
    let hook =
        node.create_hook(NewHook::new(agents[0], &repository, &work("hang_first")).unwrap()).await.unwrap();
    let id = hook.spec.id;
    let active = stands(&node, id, HookStatus::Active, 1).await;
    let worktree = node.worktree_of(&active).unwrap();
    eventually("the agent has begun", || worktree.join("attempt-1").exists().then_some(())).await;
    node.reassign_hook(id, None).await.unwrap();
    let taken = stands(&node, id, HookStatus::Completed, 2).await;
    assert_eq!(taken.agent, agents[1]);
    recorded(&repository, id, HookStatus::Completed).await;
    let subjects = git(&repository, &["log", "--format=%s", &format!("main..hook/{id}")]);
    let expected = [2, 1].map(|attempt| format!("Save what attempt {attempt} at {id} left"));
    assert_eq!(subjects.lines().collect::<Vec<_>>(), expected);
    let late = node.complete_hook(id, 1, &json!(null)).await.unwrap_err();
    assert!(matches!(late, Error::Refused(Refusal::Hook(HookRefusal::Ended { .. }))), "{late}");
    // Nor does it move the record, were it a node that has not heard of any of this.
    let before = git(&repository, &["rev-parse", &format!("refs/synod/hooks/{id}")]);
    let elsewhere = Worktrees::new(folder.path().join("elsewhere"), &HookSettings::default());
    let fenced = elsewhere.bring_up(&active, &Load::default()).await.unwrap_err();
    assert_eq!(fenced, HookError::Fenced { hook: id, there: 2 });
    assert_eq!(git(&repository, &["rev-parse", &format!("refs/synod/hooks/{id}")]), before);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_that_fail_use_the_retries_up_and_leave_no_dead_letters() {
    let folder = folder();
    let repository = repository(&folder);
    let (node, agents) = started(&folder.path().join("data"), 1).await;
    let new = NewHook::new(agents[0], &repository, &work("fail")).unwrap().max_retries(1);
    let id = node.create_hook(new).await.unwrap().spec.id;
    let failed = stands(&node, id, HookStatus::Failed, 2).await;
    assert!(failed.reason().unwrap().contains("attempt 2 broke"));
    let record = recorded(&repository, id, HookStatus::Failed).await;
    assert!(record.reason.unwrap().contains("attempt 2 broke"));
    eventually("no dead letters", || (node.read(|state| state.dead_letters().count()) == 0).then_some(()))
        .await;
    assert!(git(&repository, &["ls-tree", "--name-only", &format!("hook/{id}")]).contains("attempt-1"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_survive_the_loss_of_the_log_and_the_loss_of_the_record() {
    let folder = folder();
    let repository = repository(&folder);
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let (node, agents) = started(&first, 1).await;
    let done =
        node.create_hook(NewHook::new(agents[0], &repository, &work("do")).unwrap()).await.unwrap().spec.id;
    recorded(&repository, done, HookStatus::Completed).await;
    let open = NewHook::new(agents[0], &repository, &work("hang_first")).unwrap();
    let open = node.create_hook(open).await.unwrap().spec.id;
    recorded(&repository, open, HookStatus::Active).await;
    // The record is lost: it is written anew when the patrol looks for the worktree, which is lost with it.
    git(&repository, &["update-ref", "-d", &format!("refs/synod/hooks/{open}")]);
    std::fs::remove_dir_all(first.join("hooks").join(open.to_string()).join("worktree")).unwrap();
    recorded(&repository, open, HookStatus::Active).await;
    assert!(first.join("hooks").join(open.to_string()).join("worktree/readme").exists());
    node.stop().await;
    drop(node);
    // The log is lost, with everything else that the node had.
    std::fs::remove_dir_all(&first).unwrap();
    let (node, _) = started(&second, 1).await;
    let mut taken = node.import_hooks(&repository).await.unwrap();
    taken.sort();
    let mut expected = vec![done, open];
    expected.sort();
    assert_eq!(taken, expected);
    assert_eq!(node.hook(done).unwrap().status(), HookStatus::Completed);
    stands(&node, open, HookStatus::Completed, 2).await;
    recorded(&repository, open, HookStatus::Completed).await;
    assert!(node.import_hooks(&repository).await.unwrap().is_empty(), "once is enough");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_hook_is_refused_with_what_to_do_and_leaves_nothing_behind() {
    let folder = folder();
    let repository = repository(&folder);
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let bare = folder.path().join("bare");
    git(folder.path(), &["init", "--quiet", "--bare", "bare"]);
    let (node, agents) = started(&folder.path().join("data"), 1).await;
    let new = |path: &Path| NewHook::new(agents[0], path, &work("do")).unwrap();
    git(&repository, &["branch", "taken"]);
    std::fs::write(repository.join("readme"), "two\n").unwrap();
    git(&repository, &["commit", "--quiet", "--all", "--message", "go on"]);
    let wrong = [
        (new(&folder.path().join("nowhere")), "repository_missing", "there is no folder"),
        (new(&empty), "repository_missing", "git init"),
        (new(Path::new("repository")), "invalid", "absolute"),
        (new(&bare), "invalid", "first commit"),
        (new(&repository).branch("main"), "branch_in_use", "checked out at"),
        (new(&repository).branch("no..name"), "invalid", "check-ref-format"),
        (new(&repository).branch("-b"), "invalid", "check-ref-format"),
        (new(&repository).base("nowhere"), "invalid", "has no commit"),
        (new(&repository).branch("taken").base("main"), "branch_in_use", "leave the base away"),
    ];
    for (hook, code, says) in wrong {
        let Err(Error::Hook(error)) = node.create_hook(hook).await else { panic!("{code}") };
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(node.read(|state| state.hooks().count()), 0);
    assert_eq!(git(&repository, &["for-each-ref", "refs/synod"]), "");
    // One that exists and is free is gone on with.
    let id = node.create_hook(new(&repository).branch("taken")).await.unwrap().spec.id;
    recorded(&repository, id, HookStatus::Completed).await;
    assert_eq!(git(&repository, &["rev-list", "--count", "taken"]), "2");
    node.stop().await;
    let plain = Node::builder().data(folder.path().join("plain")).start().await.unwrap();
    let refused = plain.create_hook(new(&repository)).await.unwrap_err();
    assert!(matches!(refused, Error::Hook(HookError::None)), "{refused}");
    plain.stop().await;
}

/// A hook as the log may have it, apart from any node.
pub(super) fn by_hand(repository: &Path, attempt: u32, revision: u64, state: HookState) -> Hook {
    let spec = HookSpec {
        id: HookId::from_raw(7),
        workspace: Name::default(),
        agent: AgentId::from_raw(1),
        node: NodeId::from_raw(1),
        repository: repository.to_str().unwrap().into(),
        branch: "work".into(),
        base: git(repository, &["rev-parse", "main"]).into(),
        kind: Name::default(),
        work: Payload::default(),
        max_retries: 3,
        stale_after: Duration::from_secs(300),
    };
    Hook {
        agent: spec.agent,
        spec: Arc::new(spec),
        pool: None,
        state,
        attempt,
        retries: 0,
        revision,
        last_error: None,
        heard_at: Timestamp::ZERO,
        created_at: Timestamp::ZERO,
        updated_at: Timestamp::ZERO,
    }
}

/// A repository, worktrees, and the worktree of attempt 1.
pub(super) async fn at_work(folder: &TempDir) -> (PathBuf, Worktrees, PathBuf) {
    let repository = repository(folder);
    let worktrees =
        Worktrees::new(folder.path().canonicalize().unwrap().join("hooks"), &HookSettings::default());
    let hook = by_hand(&repository, 1, 1, HookState::Pending);
    let worktree = worktrees.bring_up(&hook, &Load::default()).await.unwrap();
    (repository, worktrees, worktree)
}

#[tokio::test]
async fn whatever_an_agent_was_in_the_middle_of_is_kept() {
    let folder = folder();
    let (repository, worktrees, worktree) = at_work(&folder).await;
    // Two branches that do not go together, and a rebase between them that stands still.
    std::fs::write(worktree.join("readme"), "mine\n").unwrap();
    git(&worktree, &["commit", "--quiet", "--all", "--message", "mine"]);
    let mine = git(&worktree, &["rev-parse", "HEAD"]);
    std::fs::write(repository.join("readme"), "theirs\n").unwrap();
    git(&repository, &["commit", "--quiet", "--all", "--message", "theirs"]);
    let rebased =
        Command::new("git").arg("-C").arg(&worktree).args(["rebase", "--quiet", "main"]).output().unwrap();
    assert!(!rebased.status.success());
    std::fs::write(worktree.join("new"), "not added\n").unwrap();
    let next = by_hand(&repository, 2, 2, HookState::Pending);
    worktrees.bring_up(&next, &Load::default()).await.unwrap();
    let kept = format!("refs/synod/saved/{}/1", next.spec.id);
    assert_eq!(git(&repository, &["show", &format!("{kept}:new")]), "not added");
    assert_eq!(git(&worktree, &["rev-parse", "HEAD"]), mine, "the branch is where the agent left it");
    assert_eq!(git(&worktree, &["symbolic-ref", "HEAD"]), "refs/heads/work");
    assert_eq!(git(&worktree, &["status", "--porcelain"]), "");
    // A merge that stands still goes to the branch as it lies there.
    let merged =
        Command::new("git").arg("-C").arg(&worktree).args(["merge", "--quiet", "main"]).output().unwrap();
    assert!(!merged.status.success());
    worktrees.bring_up(&by_hand(&repository, 3, 3, HookState::Pending), &Load::default()).await.unwrap();
    assert!(git(&repository, &["show", "work:readme"]).contains("<<<<<<<"));
    assert_eq!(git(&worktree, &["status", "--porcelain"]), "");
    // Commits away from the branch that it can go on to become the branch's.
    git(&worktree, &["checkout", "--quiet", "--detach"]);
    std::fs::write(worktree.join("apart"), "apart\n").unwrap();
    worktrees.bring_up(&by_hand(&repository, 4, 4, HookState::Pending), &Load::default()).await.unwrap();
    assert_eq!(git(&repository, &["show", "work:apart"]), "apart");
    assert_eq!(git(&worktree, &["symbolic-ref", "HEAD"]), "refs/heads/work");
}

#[tokio::test]
async fn a_lock_is_respected_until_it_is_old_and_a_damaged_worktree_is_moved_aside() {
    let folder = folder();
    let (repository, worktrees, worktree) = at_work(&folder).await;
    std::fs::write(worktree.join("new"), "not added\n").unwrap();
    let lock = repository.join(".git/worktrees/worktree/index.lock");
    std::fs::write(&lock, "").unwrap();
    let next = by_hand(&repository, 2, 2, HookState::Pending);
    let locked = worktrees.bring_up(&next, &Load::default()).await.unwrap_err();
    assert_eq!(locked, HookError::Locked(lock.display().to_string()));
    assert_eq!(record(&repository, next.spec.id).attempt, 1, "nobody gets it before it is saved");
    let old = Command::new("touch").args(["-d", "1 hour ago"]).arg(&lock).status().unwrap();
    assert!(old.success());
    worktrees.bring_up(&next, &Load::default()).await.unwrap();
    assert_eq!(git(&repository, &["show", "work:new"]), "not added");
    // Without its link git does not know whose the folder is; what lies in it may be somebody's work.
    std::fs::write(worktree.join("later"), "work\n").unwrap();
    std::fs::remove_file(worktree.join(".git")).unwrap();
    worktrees.bring_up(&next, &Load::default()).await.unwrap();
    assert!(worktree.join("new").exists() && !worktree.join("later").exists());
    let aside = worktree.parent().unwrap().join("lost-1/later");
    assert_eq!(std::fs::read_to_string(aside).unwrap(), "work\n");
    // A branch that somebody deleted comes back where it was recorded last.
    let tip = git(&repository, &["rev-parse", "work"]);
    std::fs::remove_dir_all(&worktree).unwrap();
    git(&repository, &["worktree", "prune"]);
    worktrees.bring_up(&by_hand(&repository, 2, 3, HookState::Active), &Load::default()).await.unwrap();
    std::fs::remove_dir_all(&worktree).unwrap();
    git(&repository, &["worktree", "prune"]);
    git(&repository, &["branch", "--quiet", "-D", "work"]);
    worktrees.bring_up(&by_hand(&repository, 2, 4, HookState::Active), &Load::default()).await.unwrap();
    assert_eq!(git(&repository, &["rev-parse", "work"]), tip);
}

#[tokio::test]
async fn records_are_appended_once_and_in_order() {
    let folder = folder();
    let (repository, worktrees, _) = at_work(&folder).await;
    let active = by_hand(&repository, 1, 2, HookState::Active);
    for _ in 0..3 {
        worktrees.bring_up(&active, &Load::default()).await.unwrap();
    }
    assert_eq!(story(&repository, active.spec.id), ["PENDING under attempt 1", "ACTIVE under attempt 1"]);
    let late = by_hand(&repository, 1, 1, HookState::Pending);
    let fenced = worktrees.bring_up(&late, &Load::default()).await.unwrap_err();
    assert_eq!(fenced, HookError::Fenced { hook: late.spec.id, there: 1 });
    // A log that is behind goes on over the record under a later attempt.
    worktrees.bring_up(&by_hand(&repository, 2, 2, HookState::Pending), &Load::default()).await.unwrap();
    assert_eq!(story(&repository, active.spec.id).len(), 3);
    let name = format!("refs/synod/hooks/{}", active.spec.id);
    let tree = git(&repository, &["hash-object", "-w", "-t", "tree", "/dev/null"]);
    let foreign = git(&repository, &["commit-tree", &tree, "-m", "not a record"]);
    git(&repository, &["update-ref", &name, &foreign]);
    let next = by_hand(&repository, 3, 3, HookState::Pending);
    let unreadable = worktrees.bring_up(&next, &Load::default()).await.unwrap_err();
    assert!(matches!(unreadable, HookError::Unreadable { .. }), "{unreadable}");
    assert_eq!(git(&repository, &["rev-parse", &name]), foreign, "it is left as it is");
}
